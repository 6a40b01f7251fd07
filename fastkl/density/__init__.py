"""Estimators that learn a density: fit, score, sample."""

from fastkl.density.mle import DensityMLE
from fastkl.density.persistence import load

__all__ = ["DensityMLE", "load"]
