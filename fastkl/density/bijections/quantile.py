"""The Jacobian of scikit-learn's QuantileTransformer: a piecewise linear map has the slope of its segment.

A column in which quantiles coincide, or which is so narrow that all of it is taken for its ends, is refused in ``fit``.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import special

from fastkl._core.array_types import Floats
from fastkl._core.rows import Rows
from fastkl.density.bijections.base import AffineMaps, Bijection, of_columns, rising
from fastkl.density.bijections.functions import LOG_SQRT_2PI
from fastkl.exceptions import DegenerateDataError

_COLUMNWISE: AffineMaps = frozenset({"location", "scale", "size"})

# scikit-learn sends what is closer than this to an end of a column's range to that end (QuantileTransformer, normal output).
_SNAPPED = 1e-7

# ... which is let pass where it is less than this part of the range.
_SNAPPED_PART = 1e-3


class Quantile(Bijection):
    """QuantileTransformer: the piecewise linear distribution function F of the fitted rows, then perhaps the normal quantile.

    At a knot the derivative is the mean of the slopes on its two sides. Outside the range of the fitted rows F is constant.
    With ``output_distribution="normal"`` scikit-learn clips the image to +-5.2, which costs a standard normal density 2e-7 of its
    mass.
    """

    # a constant of the class elsewhere; here it depends on the transformer
    @property
    def domain_text(self) -> str:  # type: ignore[override]
        """The domain in words."""
        return f"values in the range that it learnt, from at most subsample={self.transformer.subsample} rows (None takes all)"

    def fitted(self, rows: Rows) -> Self:
        model = super().fitted(rows)
        quantiles = model.transformer.quantiles_
        for j in range(quantiles.shape[1]):
            steps = np.diff(quantiles[:, j])
            if len(steps) == 0 or not np.all(steps > 0.0):
                value = quantiles[:-1, j][steps <= 0.0][0] if len(steps) else quantiles[0, j]
                raise DegenerateDataError(
                    f"QuantileTransformer finds the value {value!s} so often in {rows.column(j)} that quantiles coincide: "
                    "the column has an atom there, which has no density. Use fewer n_quantiles or another transformer.",
                    j,
                )
            span = quantiles[-1, j] - quantiles[0, j]
            if self.transformer.output_distribution == "normal" and _SNAPPED_PART * span < _SNAPPED:
                raise DegenerateDataError(
                    f"The values of {rows.column(j)} span {span:.3g}, and QuantileTransformer takes all within "
                    f"{_SNAPPED:g} of an end for that end. Put a StandardScaler before it.",
                    j,
                )
        return model

    def outside(self, X: Floats) -> NDArray[np.bool_] | None:
        quantiles = getattr(self.transformer, "quantiles_", None)
        return None if quantiles is None else (quantiles[0] > X) | (quantiles[-1] < X)

    def log_abs_det_jacobian(self, X: Floats) -> Floats:
        return self._forward_inside(X)[1]

    def _forward_inside(self, X: Floats) -> tuple[Floats, Floats]:
        images, log_det = self._images(X), np.zeros(len(X))
        for j, x in enumerate(X.T):
            knots = self.transformer.quantiles_[:, j]
            slopes = np.log(np.diff(self.transformer.references_) / np.diff(knots))
            after = np.searchsorted(knots, x)
            segment = np.maximum(after - 1, 0)
            log_slope = slopes[segment]
            at_knot = (knots[after] == x) & (after > 0) & (after < len(slopes))
            pair = after[at_knot]
            log_slope[at_knot] = np.logaddexp(slopes[pair - 1], slopes[pair]) - np.log(2.0)
            log_det += log_slope
        if self.transformer.output_distribution == "normal":
            log_det += X.shape[1] * LOG_SQRT_2PI + 0.5 * np.einsum("ij,ij->i", images, images)
        return images, log_det

    def inverse(self, Z: Floats) -> Floats:
        low, high = 0.0, 1.0
        if self.transformer.output_distribution == "normal":
            low, high = special.ndtri(_SNAPPED), special.ndtri(1.0 - _SNAPPED)
        return np.where((low > Z) | (high < Z), np.nan, super().inverse(Z))

    def monotone(self, d: int) -> tuple[NDArray[np.intp], Floats]:
        return rising(d)

    def inner_point(self, d: int) -> Floats:
        knots: Floats = self.transformer.quantiles_
        return 0.5 * knots[0] + 0.5 * knots[-1]

    def image_range(self, d: int) -> tuple[Floats, Floats]:
        normal = self.transformer.output_distribution == "normal"
        end = -special.ndtri(_SNAPPED - np.spacing(1.0)) if normal else 1.0
        return np.full(d, -end if normal else 0.0), np.full(d, end)

    def taken(self, columns: list[int]) -> Any:
        return of_columns(self.transformer, columns, ("quantiles_",))

    def free_parameters(self, absorbed: AffineMaps, d: int) -> tuple[int, AffineMaps]:
        return self.transformer.quantiles_.size, _COLUMNWISE
