"""Tests of the comparison of densities."""
