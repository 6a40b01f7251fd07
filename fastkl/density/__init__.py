"""Estimators that learn a density: fit, score, sample."""

from fastkl.density.bijections import Bijection, bijection
from fastkl.density.mle import DensityMLE
from fastkl.density.persistence import load
from fastkl.density.product import ProductDensity
from fastkl.density.product_proposal import make_product_density
from fastkl.density.transformed import TransformedDensity

__all__ = [
    "Bijection",
    "DensityMLE",
    "ProductDensity",
    "TransformedDensity",
    "bijection",
    "load",
    "make_product_density",
]
