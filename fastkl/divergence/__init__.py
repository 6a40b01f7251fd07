"""Entropy, cross-entropy, Kullback-Leibler divergence and relatives, from samples and from models."""

from fastkl.divergence.empirical import EmpiricalDistribution, empirical
from fastkl.divergence.entropies import cross_entropy, entropy
from fastkl.divergence.estimate import ConfidenceInterval, Estimate
from fastkl.divergence.estimator import KLDivergence
from fastkl.divergence.functions import kl_divergence, kl_divergence_sweep
from fastkl.divergence.relatives import jeffreys, jensen_shannon
from fastkl.divergence.significance import PermutationTest, permutation_test, subsampling_interval

__all__ = [
    "ConfidenceInterval",
    "EmpiricalDistribution",
    "Estimate",
    "KLDivergence",
    "PermutationTest",
    "cross_entropy",
    "empirical",
    "entropy",
    "jeffreys",
    "jensen_shannon",
    "kl_divergence",
    "kl_divergence_sweep",
    "permutation_test",
    "subsampling_interval",
]

# Discrete calls and the other entropies: import them below this line and add their names to ``__all__``.
