"""Observed information of a multivariate t distribution in closed form, from one pass in whitened coordinates."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.special import polygamma

from fastkl._core._threads import BLOCK_ROWS
from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import AnyRows, Rows
from fastkl.exceptions import DegenerateDataError

Indices = NDArray[Any]


def units(params: Params) -> Floats:
    """What df, loc and the upper triangle of scale are measured in: 1, and roots of the scale's diagonal and their products."""
    root = np.sqrt(np.diag(params["scale"]))
    i, j = np.triu_indices(len(root))
    return np.concatenate([[1.0], root, root[i] * root[j]])


@dataclass(frozen=True)
class InformationSums:
    """Gram matrix of the slopes of s, their products with that of k, moments with weights u, and the entry of df."""

    gram: Floats
    cross: Floats
    weight: float
    first: Floats
    scatter: Floats
    by_df: float

    def __add__(self, other: InformationSums) -> InformationSums:
        """Those of both sets of rows together."""
        mine, theirs = ([getattr(side, part.name) for part in fields(self)] for side in (self, other))
        return InformationSums(*(first + second for first, second in zip(mine, theirs, strict=True)))


def observed_information(rows: AnyRows, params: Params, k: float) -> Floats:
    """Minus the second derivatives of the log-likelihood in (df, eta, upper triangle of E).

    With x = loc + L z, loc moved by L eta and scale by L E L', s = |z|^2, and u = (1 + k d) / (1 + k s), the second derivative of
    a row is -u s_ab / 2 + k u^2 s_a s_b / (2 (1 + k d)) and that of log det, where s_eta = -2 z and s_E = -z E z. The sums
    over the rows are therefore a Gram matrix of the vectors (z, z z'). For infinite df the row of df is 0.

    In these coordinates it is well conditioned however much the columns depend on each other: by the entries of loc and scale
    its condition is the square of that of the scale.
    """
    try:
        lower = np.linalg.cholesky(params["scale"])
    except np.linalg.LinAlgError as error:
        raise DegenerateDataError(
            "The scale matrix of the maximum is singular to the digits of doubles: columns are next to linear combinations of "
            "one another, or an outlier is far off in all of them. Leave a column out, or remove the outlier."
        ) from error
    sums = rows.total(information_sums, params["loc"], lower, k)
    information = whitened_information(sums, rows.total_weight)
    information[0, 0] = sums.by_df
    information[0, 1:] *= -k * k
    information[1:, 0] *= -k * k
    return 0.5 * (information + information.T)


def by_entries(params: Params) -> Floats:
    """Derivatives of (df, loc, upper triangle of scale), by their ``units``, by (df, eta, upper triangle of E)."""
    own = np.linalg.cholesky(params["scale"]) / np.sqrt(np.diag(params["scale"]))[:, None]
    d, (i, j) = len(own), np.triu_indices(len(own))
    transform = np.eye(1 + d + len(i))
    transform[1 : d + 1, 1 : d + 1] = own
    # dS = L E L' for the unit E of every entry of the upper triangle
    direct = own[np.ix_(i, i)] * own[np.ix_(j, j)]
    swapped = own[np.ix_(i, j)] * own[np.ix_(j, i)]
    transform[d + 1 :, d + 1 :] = direct + np.where(i == j, 0.0, 1.0) * swapped
    return transform


def whitened_information(sums: InformationSums, total_weight: float) -> Floats:
    """Minus the second derivatives in (k, eta, upper triangle of E), but for that by k twice, which is 0 here."""
    d = len(sums.first)
    i, j = np.triu_indices(d)
    size = 1 + d + len(i)
    information = np.zeros((size, size))
    information[0, 1:] = information[1:, 0] = sums.cross
    information[1:, 1:] = -sums.gram
    information[1 : d + 1, 1 : d + 1] += sums.weight * np.eye(d)
    mixed = _pair_matrix(sums.first, i, j)
    information[1 : d + 1, d + 1 :] += mixed
    information[d + 1 :, 1 : d + 1] += mixed.T
    information[d + 1 :, d + 1 :] += _product_matrix(sums.scatter, total_weight, i, j)
    return information


def information_sums(rows: Rows, loc: Floats, lower: Floats, k: float) -> InformationSums:
    """Those of a block of rows."""
    d = rows.n_columns
    i, j = np.triu_indices(d)
    twice = np.where(i == j, 1.0, 2.0)  # an entry off the diagonal moves two entries of the matrix
    gram, cross = np.zeros((d + len(i), d + len(i))), np.zeros(d + len(i))
    weight, by_df = 0.0, 0.0
    first, scatter = np.zeros(d), np.zeros((d, d))
    for start in range(0, len(rows.X), BLOCK_ROWS):
        stop = start + BLOCK_ROWS
        z = solve_triangular(lower, (rows.X[start:stop] - loc).T, lower=True).T
        own = np.ones(len(z)) if rows.weights is None else rows.weights[start:stop]
        s = np.einsum("ij,ij->i", z, z)
        u = (1.0 + k * d) / (1.0 + k * s)
        slopes = -np.hstack([2.0 * z, z[:, i] * z[:, j] * twice])
        weighted = slopes * (own * u * u)[:, None]
        gram += slopes.T @ weighted * (0.5 * k / (1.0 + k * d))
        # minus the derivative of -u / 2 by k
        cross += 0.5 * (slopes.T @ (own * ((d - s) / (1.0 + k * s)) / (1.0 + k * s)))
        weight += float(own @ u)
        first += z.T @ (own * u)
        scatter += z.T @ (z * (own * u)[:, None])
        by_df += float(own @ _df_curvature(s, k, d))
    return InformationSums(gram, cross, weight, first, scatter, by_df)


def _df_curvature(s: Floats, k: float, d: int) -> Floats:
    """Minus the second derivative of a row's log-density by df; 0 for the normal distribution."""
    if k == 0.0:
        return np.zeros_like(s)
    df = 1.0 / k
    constant = 0.25 * (polygamma(1, 0.5 * (df + d)) - polygamma(1, 0.5 * df)) + 0.5 * d / df**2
    share = s / (df * (df + s))
    # in ratios, since squares of squared distances overflow
    slope = 0.5 * (s / (df + s)) * ((df * (df + s) - (df + d) * (2.0 * df + s)) / (df + s)) / df**2
    return -(constant + 0.5 * share + slope)


def _pair_matrix(first: Floats, i: Indices, j: Indices) -> Floats:
    """Half the second derivative of s by eta_a and E_ij, summed with u: entries of E u z."""
    d, matrix = len(first), np.zeros((len(first), len(i)))
    for column, (a, b) in enumerate(zip(i, j, strict=True)):
        matrix[a, column] += first[b]
        if a != b:
            matrix[b, column] += first[a]
    return matrix.reshape(d, len(i))


def _product_matrix(scatter: Floats, weight: float, i: Indices, j: Indices) -> Floats:
    """tr(E E' M) summed for symmetric units E, E', with M = sum u z z' - W I / 2."""
    d = len(scatter)
    m = scatter - 0.5 * weight * np.eye(d)
    units = np.zeros((len(i), d, d))
    at = np.arange(len(i))
    units[at, i, j] = units[at, j, i] = 1.0
    # as products of matrices; a unit is its own transpose
    full: Floats = (units @ m).reshape(len(i), -1) @ units.reshape(len(i), -1).T
    return 0.5 * (full + full.T)
