"""Estimators that learn a density: fit, score, sample."""
