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
    PermutationTest,
    categorical_cross_entropy,
    categorical_entropy,
    categorical_kl,
    cross_entropy,
    discrete_cross_entropy,
    discrete_entropy,
    discrete_kl,
    empirical,
    entropy,
    jeffreys,
    jensen_shannon,
    kl_divergence,
    kl_divergence_sweep,
    permutation_test,
    subsampling_interval,
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
    "PermutationTest",
    "SharedRowsWarning",
    "SupportError",
    "UnknownFamilyError",
    "__version__",
    "categorical_cross_entropy",
    "categorical_entropy",
    "categorical_kl",
    "cross_entropy",
    "discrete_cross_entropy",
    "discrete_entropy",
    "discrete_kl",
    "empirical",
    "entropy",
    "families",
    "jeffreys",
    "jensen_shannon",
    "kl_divergence",
    "kl_divergence_sweep",
    "load",
    "permutation_test",
    "subsampling_interval",
]
