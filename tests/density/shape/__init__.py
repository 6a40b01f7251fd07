"""Densities known by their shape."""
