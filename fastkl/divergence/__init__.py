"""Entropy, cross-entropy, Kullback-Leibler divergence and relatives, from samples and from models."""

from fastkl.divergence.empirical import EmpiricalDistribution, empirical
from fastkl.divergence.estimate import ConfidenceInterval, Estimate
from fastkl.divergence.estimator import KLDivergence
from fastkl.divergence.functions import cross_entropy, entropy, kl_divergence, kl_divergence_sweep
from fastkl.divergence.relatives import jeffreys, jensen_shannon

__all__ = [
    "ConfidenceInterval",
    "EmpiricalDistribution",
    "Estimate",
    "KLDivergence",
    "cross_entropy",
    "empirical",
    "entropy",
    "jeffreys",
    "jensen_shannon",
    "kl_divergence",
    "kl_divergence_sweep",
]

# Discrete calls and the other entropies: import them below this line and add their names to ``__all__``.
