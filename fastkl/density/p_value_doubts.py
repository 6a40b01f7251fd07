"""What makes p-values of ``goodness_of_fit`` doubtful: samples that have no maximum of the likelihood, and rounded values."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastkl._core.array_types import Floats
from fastkl._core.warned import names_compared, warn
from fastkl.exceptions import DegenerateDataError

# Where a larger share of the samples cannot be fitted, p-values are those of samples of a kind, and it is said.
MOST_FAILED = 0.05
# A rejection is one of rounding if the p-value between the values is so many times as large; where more than half of the values
# are different there is none to speak of.
_REJECTED, _TIMES, _DIFFERENT = 0.05, 3.0, 0.5
_ROUNDING = 1e-9  # of a distribution function


def raise_or_warn_of_failed(fitted: int, failed: int, n_rows: int) -> None:
    """DegenerateDataError where no bootstrap sample could be fitted, a warning where many could not."""
    if not fitted:
        raise DegenerateDataError(
            f"None of the bootstrap samples of {n_rows} rows could be fitted ({failed} were tried), so there are no p-values: "
            "draws of the fitted density have no maximum of its likelihood. Take n_bootstrap=0 for the statistics alone."
        )
    if failed > MOST_FAILED * (fitted + failed):
        warn(
            f"{failed} bootstrap samples of {n_rows} rows had no maximum of the likelihood, and {fitted} had one: p-values are "
            "of these alone, and so few rows say little about this density. Fit one with fewer parameters, or hold some fixed.",
            UserWarning,
        )


def ks_of_rounded(density: Any, rows: Floats) -> Floats:
    """Kolmogorov-Smirnov statistics (d,) halfway between values, where rounding them has moved no row past; infinite of many
    different values, of which few can be rounded, and of angles on both sides of where their turn begins.
    """
    n, ordered = len(rows), np.sort(rows, axis=0)
    step = ordered[1:] > ordered[:-1]
    with names_compared():
        between = density.cdf(0.5 * (ordered[1:] + ordered[:-1]))
    apart = np.max(np.abs(np.arange(1.0, n)[:, None] / n - between), axis=0, initial=0.0, where=step)
    # a row of its own is at most half a step from either side
    told = (step.sum(axis=0) < _DIFFERENT * n) & np.all(between[1:] >= between[:-1] - _ROUNDING, axis=0)
    return np.where(told, apart + 0.5 / n, np.inf)


def warn_of_rounding(of_values: Floats, between: Floats, columns: list[str]) -> None:
    """Warn of columns that are rejected for the steps of rounded values."""
    rejected = (of_values <= _REJECTED) & (between >= _TIMES * of_values)
    for j in np.flatnonzero(rejected):
        warn(
            f"{columns[j]}: the values are rounded, and a density has no such steps, which alone makes p-values small: halfway "
            f"between the values, where rounding does not matter, the p-value of ks is {between[j]:.2g}. Add uniform noise as "
            "wide as the rounding, and fit and test these rows.",
            UserWarning,
        )
