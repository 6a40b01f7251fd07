"""Figures in scikit-learn's manner: a class method computes, ``plot`` draws, attributes hold both.

matplotlib is imported when something is drawn, not before.
"""

from fastkl.plotting.comparison_display import ComparisonDisplay
from fastkl.plotting.components_display import ComponentsDisplay
from fastkl.plotting.density_display import DensityDisplay
from fastkl.plotting.density_panels import DensityPanels
from fastkl.plotting.divergence_display import DivergenceDisplay
from fastkl.plotting.goodness_display import GoodnessDisplay
from fastkl.plotting.k_sweep_display import KSweepDisplay

__all__ = [
    "ComparisonDisplay",
    "ComponentsDisplay",
    "DensityDisplay",
    "DensityPanels",
    "DivergenceDisplay",
    "GoodnessDisplay",
    "KSweepDisplay",
]


def __dir__() -> list[str]:
    return list(__all__)
