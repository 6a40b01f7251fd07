"""Expected information of a multivariate t distribution, whose inverse is known in closed form: for many columns.

With x = loc + L z, L L' = scale, loc moved by L eta and scale by L E L' for a symmetric E, the information of a row is a |eta|^2,
a tr(E^2) / 2 - b tr(E)^2, h by df twice, and c tr(E) by df and E (Lange, Little and Taylor 1989, doi:10.2307/2290063). Only the
trace of E goes with df, so that nothing larger than two by two is inverted: the covariance of entries of scale is
v (S_ik S_jl + S_il S_jk) + g S_ij S_kl, that of df and an entry f S_ij. The observed information of d columns is a matrix of
d^2 / 2 rows, which takes d^4 products of every row, and d^6 to invert.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from scipy.special import polygamma

from fastkl._core.array_types import Floats, Params

# More columns than that have the expected information.
OBSERVED_COLUMNS = 40
# Half the degrees from which a series is exact for the trigamma function.
_FAR = 15.0


class ExpectedCovariance(NamedTuple):
    """The factors of the covariance.

    Parameters
    ----------
    v, g, f : float
        As above; v S is the covariance of loc.
    df : float
        Variance of df.
    """

    v: float
    g: float
    f: float
    df: float

    @classmethod
    def of(cls, k: float, d: int, weight: float, free: Collection[str]) -> ExpectedCovariance:
        """That of k = 1 / df and rows of this weight, where these parameters are estimated."""
        a, along = (1.0 + k * d) / (1.0 + k * (d + 2.0)), 0.5 / (1.0 + k * (d + 2.0))  # along I / sqrt(d)
        v = 1.0 / (weight * a)
        if "df" not in free:
            return cls(v, (1.0 / (weight * along) - 2.0 * v) / d, 0.0, 0.0)
        df = 1.0 / k
        h = _information_of_df(df, d)
        if "scale" not in free:
            return cls(v, 0.0, 0.0, 1.0 / (weight * h))
        cross = -np.sqrt(d) / ((df + d) * (df + d + 2.0))
        determinant = along * h - cross**2
        of_trace, mixed, of_df = np.array([h, -cross, along]) / (weight * determinant)
        return cls(v, (of_trace - 2.0 * v) / d, mixed / np.sqrt(d), of_df)

    def variances(self, correlation: Floats, free: Collection[str]) -> Floats:
        """Those of df, loc and the upper triangle of scale by their units, as far as they are estimated."""
        i, j = np.triu_indices(len(correlation))
        squares = correlation[i, j] ** 2
        parts = {
            "df": [self.df],
            "loc": np.full(len(correlation), self.v),
            "scale": self.v * (1.0 + squares) + self.g * squares,
        }
        return np.concatenate([part for name, part in parts.items() if name in free])

    def matrix(self, correlation: Floats, free: Collection[str]) -> Floats:
        """The covariance of these."""
        d, (i, j) = len(correlation), np.triu_indices(len(correlation))
        found, r = np.zeros((1 + d + len(i), 1 + d + len(i))), correlation[i, j]
        found[0, 0] = self.df
        found[0, 1 + d :] = found[1 + d :, 0] = self.f * r
        found[1 : 1 + d, 1 : 1 + d] = self.v * correlation
        of_scale = found[1 + d :, 1 + d :]
        of_scale += correlation[np.ix_(i, i)] * correlation[np.ix_(j, j)]
        of_scale += correlation[np.ix_(i, j)] * correlation[np.ix_(j, i)]
        of_scale *= self.v
        of_scale += self.g * np.outer(r, r)
        kept = np.repeat([name in free for name in ("df", "loc", "scale")], [1, d, len(i)])
        return found if kept.all() else found[np.ix_(kept, kept)]


def correlation_of(params: Params) -> Floats:
    """That of scale."""
    root = np.sqrt(np.diag(params["scale"]))
    found: Floats = params["scale"] / root[:, None] / root
    return found


def _information_of_df(df: float, d: int) -> float:
    """That of a row: what trigamma functions of df / 2 and (df + d) / 2 leave of terms that cancel where df is large."""
    near = d * (df * (d + 4.0) + d * (d + 2.0)) / (2.0 * df**2 * (df + d) ** 2 * (df + d + 2.0))
    return float(near + 0.25 * (_rest(0.5 * df) - _rest(0.5 * (df + d))))


def _rest(x: float) -> float:
    """The trigamma function without 1 / x + 1 / (2 x^2)."""
    if x < _FAR:
        return float(polygamma(1, x)) - 1.0 / x - 0.5 / x**2
    y = 1.0 / x**2
    return (1.0 / 6.0 - y * (1.0 / 30.0 - y * (1.0 / 42.0 - y * (1.0 / 30.0 - y * 5.0 / 66.0)))) / x**3
