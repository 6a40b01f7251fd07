"""Estimators that learn a density: fit, score, sample."""

from fastkl.density.bijections.base import Bijection
from fastkl.density.bijections.lookup import bijection
from fastkl.density.bootstrap import BootstrapFits
from fastkl.density.composed.product import ProductDensity
from fastkl.density.composed.transformed import TransformedDensity
from fastkl.density.files.persistence import load
from fastkl.density.goodness import GoodnessOfFit
from fastkl.density.kernel.mle import KernelDensityMLE
from fastkl.density.outliers import DensityOutlierDetector
from fastkl.density.parametric.factor_analysis import FactorAnalysisMLE
from fastkl.density.parametric.mixture.mle import MixtureMLE
from fastkl.density.parametric.mle import DensityMLE
from fastkl.density.shape.mle import ShapeConstrainedMLE
from fastkl.density.summary import Summary
from fastkl.rows.jobs import Job

__all__ = [
    "Bijection",
    "BootstrapFits",
    "DensityMLE",
    "DensityOutlierDetector",
    "FactorAnalysisMLE",
    "GoodnessOfFit",
    "Job",
    "KernelDensityMLE",
    "MixtureMLE",
    "ProductDensity",
    "ShapeConstrainedMLE",
    "Summary",
    "TransformedDensity",
    "bijection",
    "load",
]


def __dir__() -> list[str]:
    return list(__all__)
