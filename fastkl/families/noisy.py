"""Normal distributions of rows that were measured with noise of a known covariance, its own for every row or one for all.

A measured row is normal too, with the noise's covariance added. What a row says of the noise-free distribution are its
*expected* moments given what was measured: in the form of the moments of complete rows, so that whatever takes those, a
maximum or a gradient (by Fisher's identity), takes these (J. Bovy, D. W. Hogg, S. T. Roweis, "Extreme deconvolution", Annals
of Applied Statistics 5, 2011, doi:10.1214/10-AOAS439).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastkl._core.array_types import Floats, Statistics
from fastkl._core.rows import Rows
from fastkl._core.special.gamma_functions import HALF_LOG_2PI

CHUNK_NUMBERS = 1 << 19  # of the matrices of a block of rows: 4 MB, some four times of which are in use at once


def chunk_rows(rows: Rows, n_components: int) -> int:
    """Rows of a block."""
    d = rows.n_columns
    return max(64, CHUNK_NUMBERS // (n_components * d * (d + 1)))


class Measured(NamedTuple):
    """One component as a block of rows meets it: log-densities of the measured rows, and what solves their covariances."""

    log_density: Floats  # (n,)
    to_mean: Floats  # how far the expected noise-free row lies from the component's mean, (n, d)
    spread: Floats  # its covariance given the measured row, (n, d, d), or (1, d, d) where it is that of all rows


def measured(rows: Rows, mean: Floats, covariance: Floats) -> Measured:
    """A component of this mean and covariance at the rows; LinAlgError for a covariance that is none."""
    assert rows.noise is not None
    noise = rows.noise if rows.noise.ndim == 3 else _diagonal(rows.noise)
    shift = np.asarray(rows.X, dtype=np.float64) - mean
    unit = np.sqrt(np.diag(covariance))  # columns may be in any units
    total = (covariance + noise) / np.outer(unit, unit)
    lower = np.linalg.cholesky(total)
    halves = np.sum(np.log(np.diagonal(lower, axis1=1, axis2=2)), axis=1) + np.sum(np.log(unit))
    scaled = shift / unit
    if len(total) == 1:
        solved = np.linalg.solve(total[0], scaled.T).T
    else:
        solved = np.linalg.solve(total, scaled[:, :, None])[:, :, 0]
    logs = -0.5 * np.sum(scaled * solved, axis=1) - halves - len(mean) * HALF_LOG_2PI
    # covariance less what the measurement takes off, as a product without a difference
    ahead = np.linalg.solve(total, (covariance / unit[:, None])[None]) / unit[None, :, None]
    spread = noise @ ahead
    return Measured(logs, (solved / unit) @ covariance, 0.5 * (spread + spread.swapaxes(1, 2)))


def _diagonal(variances: Floats) -> Floats:
    found = np.zeros((*variances.shape, variances.shape[1]))
    columns = np.arange(variances.shape[1])
    found[:, columns, columns] = variances
    return found


def expected_statistics(found: Measured, mean: Floats, weights: Floats, full: bool) -> Statistics:
    """The statistics that a component expects of noise-free rows under weights (n,): of variances unless ``full``."""
    total = np.sum(weights)
    shift = weights @ found.to_mean / total if total > 0.0 else np.zeros_like(mean)
    apart = found.to_mean - shift
    spread = total * found.spread[0] if len(found.spread) == 1 else np.tensordot(weights, found.spread, axes=1)
    scatter = (weights[:, None] * apart).T @ apart + spread
    statistics: Statistics = {"weight": np.float64(total), "mean": mean + shift}
    if full:
        return statistics | {"scatter": 0.5 * (scatter + scatter.T), "n_rows": np.float64(len(weights) + len(mean))}
    return statistics | {"scatter": np.diag(scatter).copy()}
