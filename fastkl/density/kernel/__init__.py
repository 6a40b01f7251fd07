"""Densities without a family: kernel sums and the choice of their bandwidths."""
