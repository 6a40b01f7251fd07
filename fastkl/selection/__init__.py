"""Choosing between densities: tables on held-out rows, Vuong's test, the likelihood-ratio test."""

from fastkl.selection.comparison import Comparison, compare_densities
from fastkl.selection.likelihood_tests import TestResult, likelihood_ratio_test, vuong_test

__all__ = ["Comparison", "TestResult", "compare_densities", "likelihood_ratio_test", "vuong_test"]
