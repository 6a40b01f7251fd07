"""Multivariate t distribution: its descriptor in ``family``, its fit in the files beside it."""

from fastkl.families.multivariate_t.family import MultivariateT

__all__ = ["MultivariateT"]
