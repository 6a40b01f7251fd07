"""How maxima are found: Newton ascent, searches under a prior, starts, medians, curvature."""
