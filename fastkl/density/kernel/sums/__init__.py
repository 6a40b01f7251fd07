"""Sums of kernels over references, and over their images where columns end."""
