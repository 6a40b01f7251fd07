"""Maximum-likelihood densities and Kullback-Leibler divergences: Cython kernels under a scikit-learn API.

Three verbs: fit (``DensityMLE``), score (``score``, ``score_samples``), compare (``kl_divergence``, ``entropy``,
``cross_entropy``). Every number is in nats.
"""

from fastkl import families
from fastkl.density import DensityMLE, load
from fastkl.divergence import (
    EmpiricalDistribution,
    Estimate,
    KLDivergence,
    cross_entropy,
    empirical,
    entropy,
    jeffreys,
    jensen_shannon,
    kl_divergence,
    kl_divergence_sweep,
)
from fastkl.exceptions import (
    DegenerateDataError,
    ModelFileError,
    SharedRowsWarning,
    SupportError,
    UnknownFamilyError,
)

__version__ = "0.1.0"
__all__ = [
    "DegenerateDataError",
    "DensityMLE",
    "EmpiricalDistribution",
    "Estimate",
    "KLDivergence",
    "ModelFileError",
    "SharedRowsWarning",
    "SupportError",
    "UnknownFamilyError",
    "__version__",
    "cross_entropy",
    "empirical",
    "entropy",
    "families",
    "jeffreys",
    "jensen_shannon",
    "kl_divergence",
    "kl_divergence_sweep",
    "load",
]
