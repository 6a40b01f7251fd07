"""Entropy, cross-entropy, Kullback-Leibler divergence and relatives, from samples and from models."""

from fastkl.divergence.estimate import Estimate

cross_entropy = kl_divergence = None
__all__ = ["Estimate", "cross_entropy", "kl_divergence"]
