"""Mixtures: a family whose distribution is a weighted sum of those of other families, and its ascent to a maximum.

``family`` is what a mixture offers as a family, ``layout`` how the parameters of its components lie in one dict;
``expectation`` and ``maximisation`` are the two halves of an EM map, and ``ascent`` goes to a maximum by them.
"""

from fastkl.families.mixture.family import Mixture

__all__ = ["Mixture"]
