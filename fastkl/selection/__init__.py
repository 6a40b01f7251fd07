"""Choosing between densities: tables on held-out rows, Vuong's test, the likelihood-ratio test, scorers for searches."""

from fastkl.selection.comparison import Comparison, compare_densities
from fastkl.selection.components import ComponentChoice, choose_components
from fastkl.selection.cross_validation import cross_validated_log_density
from fastkl.selection.likelihood_tests import TestResult, likelihood_ratio_test, vuong_test
from fastkl.selection.product_proposal import make_product_density
from fastkl.selection.scorers import make_kl_scorer, neg_cross_entropy

__all__ = [
    "Comparison",
    "ComponentChoice",
    "TestResult",
    "choose_components",
    "compare_densities",
    "cross_validated_log_density",
    "likelihood_ratio_test",
    "make_kl_scorer",
    "make_product_density",
    "neg_cross_entropy",
    "vuong_test",
]


def __dir__() -> list[str]:
    return list(__all__)
