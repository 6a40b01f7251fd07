"""Densities as files."""
