"""Maximum-likelihood densities and Kullback-Leibler divergences."""

from fastkl import families
from fastkl.density import DensityMLE, load
from fastkl.divergence import Estimate, cross_entropy, kl_divergence

__version__ = "0.1.0"
__all__ = ["DensityMLE", "Estimate", "__version__", "cross_entropy", "families", "kl_divergence", "load"]
