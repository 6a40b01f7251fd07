"""Choosing between densities: tables on held-out rows, tests, scorers for searches; one density for each group."""

from fastkl.selection.comparison import Comparison, compare_densities
from fastkl.selection.components import ComponentChoice, choose_components
from fastkl.selection.cross_validation import cross_validated_log_density
from fastkl.selection.family_ranking import FamilyRanking, FamilyTable
from fastkl.selection.group_fits import GroupFits
from fastkl.selection.groups import fit_groups
from fastkl.selection.likelihood_tests import TestResult, likelihood_ratio_test, vuong_test
from fastkl.selection.product_proposal import make_product_density
from fastkl.selection.ranking import rank_families
from fastkl.selection.scorers import make_kl_scorer, neg_cross_entropy

__all__ = [
    "Comparison",
    "ComponentChoice",
    "FamilyRanking",
    "FamilyTable",
    "GroupFits",
    "TestResult",
    "choose_components",
    "compare_densities",
    "cross_validated_log_density",
    "fit_groups",
    "likelihood_ratio_test",
    "make_kl_scorer",
    "make_product_density",
    "neg_cross_entropy",
    "rank_families",
    "vuong_test",
]


def __dir__() -> list[str]:
    return list(__all__)
