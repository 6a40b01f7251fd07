"""Minus the log-density of one continuous column at its values, from gaps between order statistics on the scale that suits them.

A gap tells the density at a value as far as this is constant within the gap. At an edge where the density has a pole (gamma
with a shape below 1, beta with both below 1) and in a long tail it is not; the logarithm of the distance from that edge, the
difference of the logarithms of the distances from both, or the inverse hyperbolic sine of the distance from the middle makes it
nearly so. Which scale does is seen in the data: on the right one the estimate hardly moves when the gaps are made twice as long.
The scales are monotone and their derivatives known, so that any choice is an estimate of the same entropy.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.entropy_estimators.spacings import spacing_terms
from fastkl.exceptions import DegenerateDataError

# Gaps twice as long have four to eight times the bias where it grows with the square or the cube of their length: of the step
# between them this part, or less, is what is left.
OF_A_STEP = 1.0 / 3.0


class Margin(NamedTuple):
    """Local terms of a column's entropy.

    Attributes
    ----------
    terms : ndarray of shape (n,)
        Minus the log-density at each value.
    change : ndarray of shape (n,)
        What they change by when gaps are twice as long; 0 in samples too small for that.
    logged : bool
        Whether they were found on one of the logarithmic scales.
    """

    terms: FloatArray
    change: FloatArray
    logged: bool


def margin(column: FloatArray, shares: FloatArray, window: int, name: str) -> Margin:
    """Local terms of a column, in the order of its values, on the scale on which they move least as gaps are made twice as long.

    Arguments are those of `spacing_terms`. DegenerateDataError for a value that is repeated more often than the window bridges.
    """
    order = np.argsort(column, kind="stable")
    ordered, mass = column[order], shares[order]
    best = _on_scale(ordered, None, mass, window, name)
    if 4 * window < len(column):
        for values, log_slope in _scales(ordered):
            if not (np.isfinite(values).all() and np.isfinite(log_slope).all()):
                continue  # distances beyond the range of numbers
            try:
                found = _on_scale(values, log_slope, mass, window, name)
            except DegenerateDataError:  # distances from an edge that are equal but for rounding
                continue
            if abs(mass @ found.change) < abs(mass @ best.change):
                best = found
    terms, change = np.empty_like(ordered), np.empty_like(ordered)
    terms[order], change[order] = best.terms, best.change
    return Margin(terms, change, best.logged)


def _on_scale(values: FloatArray, log_slope: FloatArray | None, mass: FloatArray, window: int, name: str) -> Margin:
    """Local terms of sorted values of a monotone function; ``log_slope`` is minus the logarithm of its derivative."""
    terms = spacing_terms(values, mass, window, name)
    change = np.zeros(len(values))
    if 4 * window < len(values):
        change = spacing_terms(values, mass, 2 * window, name) - terms
    return Margin(terms, change, False) if log_slope is None else Margin(terms + log_slope, change, True)


def _scales(ordered: FloatArray) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Increasing values of monotone functions of sorted values, and minus the logarithms of their derivatives.

    The logarithms of the distances from the lower edge, the upper edge, and both, where an edge of the distribution is taken to
    be as far beyond the last value as that is from the next one; and the inverse hyperbolic sine of the distances from the
    median, over half of that between the quartiles.
    """
    first, last = ordered[0], ordered[-1]
    above, below = ordered[ordered > first][0] - first, last - ordered[ordered < last][-1]
    with np.errstate(over="ignore"):
        lower, upper = np.log(ordered - first + above), np.log(last - ordered + below)
        both = np.log(last - first + above + below)
        quarter, median, three_quarters = np.quantile(ordered, [0.25, 0.5, 0.75])
        half = 0.5 * (three_quarters - quarter)
        away = (ordered - median) / (half or 1.0)
    yield lower, lower
    yield -upper, upper
    yield lower - upper, lower + upper - both
    if half > 0.0:
        yield np.arcsinh(away), np.log(half) + np.log(np.hypot(1.0, away))
