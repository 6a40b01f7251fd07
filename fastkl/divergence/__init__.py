"""Entropy, cross-entropy, Kullback-Leibler divergence and relatives, from samples and from models."""

from fastkl.divergence.batches import cross_entropy_batches, entropy_batches, kl_divergence_batches
from fastkl.divergence.entropies import cross_entropy, entropy
from fastkl.divergence.entropy_estimators.weighted_knn import entropy_weights
from fastkl.divergence.estimate import ConfidenceInterval, Estimate
from fastkl.divergence.estimator import KLDivergence
from fastkl.divergence.functions import kl_divergence, kl_divergence_sweep
from fastkl.divergence.log_probs import kl_from_log_probs
from fastkl.divergence.mutual_information import mutual_information
from fastkl.divergence.pairwise import pairwise_divergence
from fastkl.divergence.relatives import jeffreys, jensen_shannon
from fastkl.divergence.renyi import renyi_divergence
from fastkl.divergence.significance.lower_bound import LowerBound, kl_lower_bound
from fastkl.divergence.significance.permutation_test import PermutationTest, permutation_test
from fastkl.divergence.significance.subsampling import subsampling_interval
from fastkl.divergence.stability import population_stability_index
from fastkl.divergence.sweep import NeighborSweep
from fastkl.divergence.symbols.categorical_entropy import categorical_entropy
from fastkl.divergence.symbols.categorical_kl import categorical_cross_entropy, categorical_kl
from fastkl.divergence.symbols.categorical_relatives import categorical_jeffreys, categorical_jensen_shannon
from fastkl.divergence.symbols.discrete import discrete_cross_entropy, discrete_entropy, discrete_kl
from fastkl.divergence.symbols.discrete_relatives import discrete_jeffreys, discrete_jensen_shannon
from fastkl.divergence.symbols.empirical import EmpiricalDistribution, empirical
from fastkl.divergence.table_comparison import compare_tables
from fastkl.divergence.table_lines import TableComparison, TableLine

__all__ = [
    "ConfidenceInterval",
    "EmpiricalDistribution",
    "Estimate",
    "KLDivergence",
    "LowerBound",
    "NeighborSweep",
    "PermutationTest",
    "TableComparison",
    "TableLine",
    "categorical_cross_entropy",
    "categorical_entropy",
    "categorical_jeffreys",
    "categorical_jensen_shannon",
    "categorical_kl",
    "compare_tables",
    "cross_entropy",
    "cross_entropy_batches",
    "discrete_cross_entropy",
    "discrete_entropy",
    "discrete_jeffreys",
    "discrete_jensen_shannon",
    "discrete_kl",
    "empirical",
    "entropy",
    "entropy_batches",
    "entropy_weights",
    "jeffreys",
    "jensen_shannon",
    "kl_divergence",
    "kl_divergence_batches",
    "kl_divergence_sweep",
    "kl_from_log_probs",
    "kl_lower_bound",
    "mutual_information",
    "pairwise_divergence",
    "permutation_test",
    "population_stability_index",
    "renyi_divergence",
    "subsampling_interval",
]


def __dir__() -> list[str]:
    return list(__all__)
