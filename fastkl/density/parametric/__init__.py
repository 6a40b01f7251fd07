"""Densities of one parametric family."""
