"""Entropy, cross-entropy, Kullback-Leibler divergence and relatives, from samples and from models."""
