"""Comparison with numbers of many digits, and slopes by differences."""

import mpmath as mp
import numpy as np


def close(got, want, tolerance=1e-13):
    return abs(mp.mpf(float(got)) - want) <= tolerance * max(abs(want), 1)


def slopes(score, x, step=1e-4):
    """Central differences of fourth order, one row for each entry of x."""
    rows = []
    for j in range(len(x)):
        e = np.eye(len(x))[j] * step
        rows.append((8.0 * (score(x + e) - score(x - e)) - (score(x + 2 * e) - score(x - 2 * e))) / (12.0 * step))
    return np.array(rows)
