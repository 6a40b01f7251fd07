"""How far the rows are from a distribution function, column by column: Kolmogorov-Smirnov, Cramér-von Mises, Anderson-Darling."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastkl._core.array_types import Floats

STATISTICS = ("ks", "cvm", "ad")
# Above this probability one minus it has lost digits.
_LAST = 0.999


def edf_statistics(density: Any, rows: Any, weights: Floats | None, table: Any = None) -> dict[str, Floats]:
    """Kolmogorov-Smirnov, Cramér-von Mises and Anderson-Darling statistics of every column of the rows.

    With masses w of the rows in order, W_i their sum up to the i-th and W_0 = 0, u_i the distribution function there and n the
    sum of the weights: the integrals are sums over the steps of the empirical distribution function in closed form. Equal rows
    may come in any order.
    """
    if weights is None and type(rows) is np.ndarray and rows.dtype.kind == "f":
        return sorted_statistics(density, np.sort(rows, axis=0))
    below, above = density.cdf(rows), density.sf(rows)
    logs = [_logarithms(tail, rest) for tail, rest in ((below, above), (above, below))]
    if not all(np.isfinite(one).all() for one in logs):
        logs = [density.log_cdf(rows), density.log_sf(rows)]
    order = np.argsort(np.where(below <= 0.5, logs[0], -logs[1]), axis=0)  # the tail that has the digits
    u, log_below, log_above = (np.take_along_axis(values, order, axis=0) for values in (below, *logs))
    return _statistics(u, log_below, log_above, None if weights is None else weights[order])


def sorted_statistics(density: Any, rows: Floats) -> dict[str, Floats]:
    """The same of rows without weights, (n, d), every column of which is in order.

    The upper tail is one minus the lower one, but for the last rows, where that has no digits; logarithms are right to the
    rounding of 1, which is all that the statistics see.
    """
    below = density.cdf(rows)
    if np.any(below[1:] < below[:-1]):  # angles, whose turn begins elsewhere
        order = np.argsort(below, axis=0, kind="stable")
        rows, below = np.take_along_axis(rows, order, axis=0), np.take_along_axis(below, order, axis=0)
    above = 1.0 - below
    last = int(np.min(np.argmax(below > _LAST, axis=0), initial=len(rows), where=below[-1] > _LAST))
    if last < len(rows):
        above[last:] = density.sf(rows[last:])
    with np.errstate(divide="ignore"):
        log_below, log_above = np.log(below), np.log(above)
    if not (np.isfinite(log_below[0]).all() and np.isfinite(log_above[-1]).all()):
        log_below, log_above = density.log_cdf(rows), density.log_sf(rows)
    return _statistics(below, log_below, log_above, None)


def _statistics(u: Floats, log_below: Floats, log_above: Floats, weights: Floats | None) -> dict[str, Floats]:
    """The statistics from the distribution function at rows in order, its logarithms, and the masses of the rows."""
    if weights is None:
        n = float(len(u))
        until = (np.arange(1.0, n + 1.0) / n)[:, None]
        before = until - 1.0 / n
    else:
        n = float(weights[:, 0].sum())
        until = np.cumsum(weights, axis=0) / n
        before = np.vstack([np.zeros(u.shape[1]), until[:-1]])
    left, right = u - before, u - until
    ks = np.maximum(np.max(-right, axis=0), np.max(left, axis=0))
    # n sum_i of int_{u_i}^{u_{i+1}} (W_i - v)^2 dv, whose cubes are those at both sides of every u_i
    left *= left * left
    right *= right * right
    cvm = n * np.sum(left - right, axis=0) / 3.0
    lower, upper = (until - before) * (until + before), (until - before) * (2.0 - until - before)
    if weights is None:
        ad = -n - n * (lower[:, 0] @ log_below + upper[:, 0] @ log_above)
    else:
        with np.errstate(invalid="ignore"):
            terms = np.where(lower > 0.0, lower * log_below, 0.0) + np.where(upper > 0.0, upper * log_above, 0.0)
        ad = -n - n * np.sum(terms, axis=0)
    return {"ks": ks, "cvm": cvm, "ad": ad}


def _logarithms(share: Floats, rest: Floats) -> Floats:
    """log(share), from the rest where that is the smaller one."""
    with np.errstate(divide="ignore"):
        return np.where(share <= 0.5, np.log(share), np.log1p(-np.minimum(rest, 0.5)))
