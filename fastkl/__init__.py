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
    cross_entropy_batches,
    discrete_cross_entropy,
    discrete_entropy,
    discrete_kl,
    empirical,
    entropy,
    entropy_batches,
    jeffreys,
    jensen_shannon,
    kl_divergence,
    kl_divergence_batches,
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
from fastkl.families import priors
from fastkl.selection import Comparison, compare_densities, likelihood_ratio_test, vuong_test

__version__ = "0.1.0"
__all__ = [
    "Comparison",
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
    "compare_densities",
    "cross_entropy",
    "cross_entropy_batches",
    "discrete_cross_entropy",
    "discrete_entropy",
    "discrete_kl",
    "empirical",
    "entropy",
    "entropy_batches",
    "families",
    "jeffreys",
    "jensen_shannon",
    "kl_divergence",
    "kl_divergence_batches",
    "kl_divergence_sweep",
    "likelihood_ratio_test",
    "load",
    "permutation_test",
    "priors",
    "subsampling_interval",
    "vuong_test",
]
