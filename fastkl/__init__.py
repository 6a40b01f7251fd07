"""Maximum-likelihood densities and Kullback-Leibler divergences."""

from fastkl.divergence.estimate import Estimate

__version__ = "0.1.0"
__all__ = ["Estimate", "__version__"]
