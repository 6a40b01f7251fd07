"""The Jacobians of scikit-learn's one-to-one transformers, and the reasons why others have none.

Scalers and PCA are affine: their log abs det is one number. The others act on every column by itself, so that it is a sum of
log-derivatives over the columns, in closed form (``QuantileTransformer``: quantile.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import inv_boxcox1p
from sklearn.decomposition import NMF, PCA, FastICA, IncrementalPCA, TruncatedSVD
from sklearn.feature_selection import SelectorMixin
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
)

from fastkl._core.array_types import Floats
from fastkl._core.rows import Rows
from fastkl.density.bijections.base import NO_AFFINE_MAPS, AffineMaps, Bijection, of_columns, register, rising
from fastkl.density.bijections.functions import FUNCTIONS, Function
from fastkl.density.bijections.quantile import Quantile
from fastkl.exceptions import DegenerateDataError

ALL_LINEAR: AffineMaps = frozenset({"scale", "rotation", "size"})

# of every column, by the scalers of scikit-learn
LARGEST_LOG = 700.0  # of a number
_LEARNT_BY_SCALERS = (
    "mean_",
    "var_",
    "scale_",
    "min_",
    "data_min_",
    "data_max_",
    "data_range_",
    "max_abs_",
    "center_",
)


def columnwise(absorbed: AffineMaps, d: int, *, location: bool, scale: bool) -> tuple[int, AffineMaps]:
    """Free parameters of a map that shifts and stretches every column by what it learnt."""
    count = d if location and "location" not in absorbed else 0
    if scale and "scale" not in absorbed:
        count += d - ("size" in absorbed)
    after = absorbed | {"location"} if location else absorbed
    if scale:
        # Directions that were free stay free behind a new scale of each column only if all linear maps were.
        after = after | {"scale", "size"} if "scale" in absorbed else (after - {"rotation"}) | {"scale", "size"}
    return count, after


# -- affine ----------------------------------------------------------------------------------------------------------------


class Scaler(Bijection):
    """StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler: a shift and a factor for each column."""

    def __init__(self, transformer: Any) -> None:
        super().__init__(transformer)
        if getattr(transformer, "clip", False):
            raise self.lossy("with clip=True all values beyond the range of the fitted rows become its ends")

    def log_abs_det_jacobian(self, X: Floats) -> float:
        scale = self.transformer.scale_
        if scale is None:
            return 0.0
        total = float(np.sum(np.log(np.abs(scale))))
        return total if isinstance(self.transformer, MinMaxScaler) else -total

    @property
    def affine(self) -> bool:
        return True

    def monotone(self, d: int) -> tuple[NDArray[np.intp], Floats]:
        return rising(d)

    def taken(self, columns: list[int]) -> Any:
        return of_columns(self.transformer, columns, _LEARNT_BY_SCALERS)

    def free_parameters(self, absorbed: AffineMaps, d: int) -> tuple[int, AffineMaps]:
        options = self.transformer.get_params()
        location = not isinstance(self.transformer, MaxAbsScaler)
        location = location and options.get("with_mean", True) and options.get("with_centering", True)
        scale = options.get("with_std", True) and options.get("with_scaling", True)
        return columnwise(absorbed, d, location=location, scale=scale)


class Principal(Bijection):
    """PCA with all components: a rotation, with ``whiten`` followed by a factor for each component."""

    def fitted(self, rows: Rows) -> Self:
        model = super().fitted(rows)
        kept, d = model.transformer.components_.shape
        if kept < d:
            few = f" (there are only {len(rows.X)} rows)" if len(rows.X) < d else ""
            raise self.lossy(f"it keeps {kept} of {d} components{few}")
        if model.transformer.whiten:
            variance = model.transformer.explained_variance_
            if variance[-1] <= np.finfo(np.float64).eps * d * variance[0]:
                raise DegenerateDataError(
                    "The rows lie in a subspace, a column being a linear function of others: whitening divides by a "
                    "standard deviation of 0. Leave out the dependent columns."
                )
        return model

    def log_abs_det_jacobian(self, X: Floats) -> float:
        if not self.transformer.whiten:
            return 0.0
        return -0.5 * float(np.sum(np.log(self.transformer.explained_variance_)))

    @property
    def affine(self) -> bool:
        return True

    def free_parameters(self, absorbed: AffineMaps, d: int) -> tuple[int, AffineMaps]:
        count = 0 if "location" in absorbed else d
        if self.transformer.whiten and "scale" not in absorbed:
            count += d - ("size" in absorbed)
        stretched = self.transformer.whiten or "scale" in absorbed
        turned = "rotation" in absorbed and ("scale" in absorbed or not self.transformer.whiten)
        count += 0 if turned else d * (d - 1) // 2
        # In front of a rotation the scale of a column is only free where all linear maps are. Turned and stretched
        # normal distributions are all normal distributions; other distributions need both to be free.
        whole = absorbed >= ALL_LINEAR or (stretched and bool(absorbed & {"rotation", "normal"}))
        linear = ALL_LINEAR if whole else absorbed & {"rotation", "size"}
        return count, frozenset({"location"}) | linear | (absorbed & {"normal"})


class Independent(Bijection):
    """FastICA with all components: any linear map."""

    def fitted(self, rows: Rows) -> Self:
        model = super().fitted(rows)
        kept, d = model.transformer.components_.shape
        if kept < d:
            raise self.lossy(f"it keeps {kept} of {d} components")
        return model

    def log_abs_det_jacobian(self, X: Floats) -> float:
        return float(np.linalg.slogdet(self.transformer.components_)[1])

    @property
    def affine(self) -> bool:
        return True

    def free_parameters(self, absorbed: AffineMaps, d: int) -> tuple[int, AffineMaps]:
        count = d if self.transformer.whiten and "location" not in absorbed else 0
        if not absorbed >= ALL_LINEAR:
            # A normal distribution has d (d + 1) / 2 numbers in its covariance, whatever the matrix; others have all d^2.
            whole = d * (d + 1) // 2 if "normal" in absorbed else d * d
            own = d if "scale" in absorbed else int("size" in absorbed)
            rotations = d * (d - 1) // 2 if "rotation" in absorbed and "normal" not in absorbed else 0
            count += whole - own - rotations
        return count, frozenset({"location"}) | ALL_LINEAR | (absorbed & {"normal"})


# -- one column at a time --------------------------------------------------------------------------------------------------


class Power(Bijection):
    """PowerTransformer: Yeo-Johnson (1 + |x|)^(sign(x) (lambda - 1)), Box-Cox x^(lambda - 1), then a standardisation."""

    domain_text = "positive numbers"

    def outside(self, X: Floats) -> NDArray[np.bool_] | None:
        return X <= 0.0 if self.transformer.method == "box-cox" else None

    def without_image(self, X: Floats) -> NDArray[np.bool_]:
        outside = self.outside(X)
        return self._overflow(X) if outside is None else outside | self._overflow(X)

    def _overflow(self, X: Floats) -> NDArray[np.bool_]:
        """Values whose powers are beyond all numbers, which scikit-learn refuses as infinite."""
        powers = np.asarray(self.transformer.lambdas_, dtype=np.float64)
        with np.errstate(all="ignore"):  # values outside the domain are not looked at
            if self.transformer.method == "box-cox":
                return np.asarray(powers * np.log(X) > LARGEST_LOG)
            return np.asarray(np.where(X < 0.0, 2.0 - powers, powers) * np.log1p(np.abs(X)) > LARGEST_LOG)

    def log_abs_det_jacobian(self, X: Floats) -> Floats:
        powers = np.asarray(self.transformer.lambdas_, dtype=np.float64) - 1.0
        logs = np.log(X) if self.transformer.method == "box-cox" else np.sign(X) * np.log1p(np.abs(X))
        log_det: Floats = logs @ powers
        log_det[np.any(self._overflow(X), axis=1)] = -np.inf
        if self.transformer.standardize:
            log_det -= np.sum(np.log(self.transformer._scaler.scale_))
        return log_det

    def monotone(self, d: int) -> tuple[NDArray[np.intp], Floats]:
        return rising(d)

    def image_range(self, d: int) -> tuple[Floats, Floats]:
        # (x^p - 1) / p ends at -1 / p, on the side of the sign of -p; Yeo and Johnson's two branches have the powers p and 2 - p
        powers = np.asarray(self.transformer.lambdas_, dtype=np.float64)
        with np.errstate(divide="ignore"):
            if self.transformer.method == "box-cox":
                low, high = (
                    np.where(powers > 0.0, -1.0 / powers, -np.inf),
                    np.where(powers < 0.0, -1.0 / powers, np.inf),
                )
            else:
                low = np.where(powers > 2.0, 1.0 / (2.0 - powers), -np.inf)
                high = np.where(powers < 0.0, -1.0 / powers, np.inf)
        if not self.transformer.standardize:
            return low, high
        scaler = self.transformer._scaler
        return (low - scaler.mean_) / scaler.scale_, (high - scaler.mean_) / scaler.scale_

    def inverse(self, Z: Floats) -> Floats:
        low, high = self.image_range(Z.shape[1])
        inside = np.all((low < Z) & (high > Z), axis=1)
        out = np.full(Z.shape, np.nan)
        if inside.any():  # of the others scikit-learn warns at each call, and draws among them are made anew
            out[inside] = self._from_images(Z[inside])
        return out

    def _from_images(self, Z: Floats) -> Floats:
        if self.transformer.method == "box-cox":
            return super().inverse(Z)
        # scikit-learn takes 1 off a rounded power, which leaves 1e-16 of any value, and nothing of values of that size
        Y = self.transformer._scaler.inverse_transform(Z) if self.transformer.standardize else Z
        powers = np.asarray(self.transformer.lambdas_, dtype=np.float64)
        return np.copysign(inv_boxcox1p(np.abs(Y), np.where(Y < 0.0, 2.0 - powers, powers)), Y)

    def taken(self, columns: list[int]) -> Any:
        part = of_columns(self.transformer, columns, ("lambdas_",))
        if self.transformer.standardize:
            part._scaler = of_columns(self.transformer._scaler, columns, _LEARNT_BY_SCALERS)
        return part

    def free_parameters(self, absorbed: AffineMaps, d: int) -> tuple[int, AffineMaps]:
        affine = self.transformer.standardize
        count, absorbed = columnwise(absorbed, d, location=affine, scale=affine)
        # (c x)^lambda is an affine function of x^lambda
        scale_first = self.transformer.method == "box-cox" and {"location", "scale"} <= absorbed
        return count + d, frozenset({"scale", "size"}) if scale_first else NO_AFFINE_MAPS


class Known(Bijection):
    """FunctionTransformer with a function out of ``FUNCTIONS``; the inverse need not be given."""

    def __init__(self, transformer: Any) -> None:
        super().__init__(transformer)
        known = FUNCTIONS.get(transformer.func) if _is_hashable(transformer.func) else None
        if known is None or transformer.kw_args:
            names = ", ".join(sorted({f.__name__ for f in FUNCTIONS if f is not None}))
            raise TypeError(
                f"The derivative of {transformer!r} is not known. Known are the functions {names} (of numpy or scipy.special, "
                "without kw_args). For another one write a subclass of FunctionTransformer with a method "
                "log_abs_det_jacobian(X) that returns, for every row, the sum of log |f'| over its columns."
            )
        self.function: Function = known
        self.domain_text = known.text

    def outside(self, X: Floats) -> NDArray[np.bool_] | None:
        return None if self.function.inside is None else ~self.function.inside(X)

    def without_image(self, X: Floats) -> NDArray[np.bool_] | None:
        return None if self.function.pole else self.outside(X)

    def log_abs_det_jacobian(self, X: Floats) -> Floats:
        return self.function.log_derivative(X) @ np.ones(X.shape[1])

    def inverse(self, Z: Floats) -> Floats:
        if self.transformer.inverse_func is not None:
            return super().inverse(Z)
        return np.asarray(self.function.inverse(Z), dtype=np.float64)

    @property
    def affine(self) -> bool:
        return self.function.kind == "factor"

    def monotone(self, d: int) -> tuple[NDArray[np.intp], Floats] | None:
        return None if self.function.sign == 0.0 else (np.arange(d), np.full(d, self.function.sign))

    def image_range(self, d: int) -> tuple[Floats, Floats]:
        low, high = self.function.range
        return np.full(d, low), np.full(d, high)

    def taken(self, columns: list[int]) -> Any:
        return of_columns(self.transformer, columns, ())

    def free_parameters(self, absorbed: AffineMaps, d: int) -> tuple[int, AffineMaps]:
        if self.function.kind == "factor":
            return 0, absorbed
        scale_first = self.function.kind == "logarithm" and "location" in absorbed
        return 0, frozenset({"scale", "size"}) if scale_first else NO_AFFINE_MAPS


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


# -- the table -------------------------------------------------------------------------------------------------------------

REASONS: dict[type, str] = {
    SelectorMixin: "it selects columns and forgets the others",
    OneHotEncoder: "it encodes labels, which have no density",
    OrdinalEncoder: "it encodes labels, which have no density",
    KBinsDiscretizer: "it forgets where in its bin a value lies",
    Binarizer: "it only keeps on which side of the threshold a value lies",
    Normalizer: "it forgets the length of a row",
    PolynomialFeatures: "its images fill no volume: they lie on a surface in a space of more columns",
    SplineTransformer: "its images fill no volume: they lie on a surface in a space of more columns",
    TruncatedSVD: "it keeps fewer components than columns (PCA with all components is one-to-one)",
    NMF: "it keeps an approximation of the rows",
}


def _refuse(reason: str) -> Callable[[Any], Bijection]:
    def refuse(transformer: Any) -> Bijection:
        raise Bijection(transformer).lossy(reason)

    return refuse


for _types, _kind in (
    ((StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler), Scaler),
    ((PCA, IncrementalPCA), Principal),
    ((FastICA,), Independent),
    ((PowerTransformer,), Power),
    ((QuantileTransformer,), Quantile),
    ((FunctionTransformer,), Known),
):
    for _type in _types:
        register(_type)(_kind)
for _type, _reason in REASONS.items():
    register(_type)(_refuse(_reason))
