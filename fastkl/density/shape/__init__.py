"""Densities on a line that are known by their shape alone."""
