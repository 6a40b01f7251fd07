"""Transformers as changes of variables: the image of every row, and the logarithm of the volume it is stretched by.

If Z = T(X) has the density q, then X has the density q(T(x)) |det J_T(x)|, provided that T is one-to-one: what a transformer
forgets can't be put back. The class that knows the Jacobian of a transformer is found by its type, with a
``functools.singledispatch`` function, so that further types can be registered. Those of scikit-learn are in ``scikit`` and
``composed``; ``lookup`` sees to it that they are there.

A row outside the domain of the transformer (the logarithm of a negative number) has the density 0: its log abs det is -inf and
it has no image. All sums are done in float64.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import singledispatch
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter

from fastkl._core.array_types import Floats
from fastkl._core.rows import Rows
from fastkl.exceptions import LossyTransformerError, SupportError

AffineMaps = frozenset[str]

# What one more affine map in front of a density may change without giving a distribution that the density can't give by
# itself: the location and the scale of every column, all scales by one factor ("size"), the directions of the axes
# ("rotation"). "normal" marks normal distributions, for which a rotation and a scale are already all linear maps.
NO_AFFINE_MAPS: AffineMaps = frozenset()


class Bijection:
    """A transformer with its Jacobian. A subclass gives ``log_abs_det_jacobian`` and what else differs from the usual.

    Parameters
    ----------
    transformer : object
        The transformer, fitted or not.
    """

    domain_text = "its domain"

    def __init__(self, transformer: Any) -> None:
        self.transformer = transformer

    # -- learning ----------------------------------------------------------------------------------------------------------

    def fitted(self, rows: Rows) -> Self:
        """The same for a copy of the transformer that is fitted to the rows; weights go along where it takes them."""
        self._raise_if_outside(rows)
        transformer = clone(self.transformer)
        X = self._copied_if_overwritten(rows.X)
        if rows.weights is not None and has_fit_parameter(transformer, "sample_weight"):
            transformer.fit(X, sample_weight=rows.weights)
        else:
            transformer.fit(X)
        return type(self)(transformer)

    def _raise_if_outside(self, rows: Rows) -> None:
        outside = self.outside(rows.X)
        if outside is not None and outside.any():
            row, column = (int(i) for i in np.argwhere(outside)[0])
            raise SupportError(
                f"{self.transformer!r} needs {self.domain_text}; {rows.place(row, column)} holds {rows.X[row, column]!s}. "
                "Remove or shift the value, or choose another transformer."
            )

    def _copied_if_overwritten(self, X: NDArray[Any]) -> NDArray[Any]:
        """The rows, copied for a transformer that writes over its input."""
        return X if getattr(self.transformer, "copy", True) else X.copy()

    # -- the map -----------------------------------------------------------------------------------------------------------

    def outside(self, X: Floats) -> NDArray[np.bool_] | None:
        """Which values (n, d) lie outside the domain; None where all real numbers are inside."""
        return None

    def without_image(self, X: Floats) -> NDArray[np.bool_] | None:
        """Which values the map is not defined at; None for none. At others outside only its derivative is infinite."""
        return self.outside(X)

    def log_abs_det_jacobian(self, X: Floats) -> Floats | float:
        """``log |det J_T|`` at every row, or a number if it is the same everywhere; all rows are inside the domain."""
        raise NotImplementedError

    def transform(self, X: Floats) -> Any:
        """Images of rows inside the domain."""
        return self.transformer.transform(self._copied_if_overwritten(X))

    def inverse(self, Z: Floats) -> Floats:
        """Rows with the images Z; NaN in a row that no row is mapped to."""
        return np.asarray(self.transformer.inverse_transform(Z.copy()), dtype=np.float64)

    @property
    def learns(self) -> bool:
        """Whether the map depends on the rows it was fitted to."""
        return bool(get_tags(self.transformer).requires_fit)

    @property
    def invertible(self) -> bool:
        """Whether ``inverse`` can be called."""
        return callable(getattr(self.transformer, "inverse_transform", None))

    def forward(self, X: Floats) -> tuple[Floats, Floats]:
        """Images (n, d) and ``log |det J_T|`` (n,) of all rows; outside the domain NaN and -inf."""
        outside = self.outside(X)
        if outside is None or not outside.any():
            return self._forward_inside(X)
        inside: NDArray[np.bool_] = np.logical_not(outside.any(axis=1))
        return scattered(inside, X, self._forward_inside)

    def forward_all(self, rows: Rows) -> tuple[Floats, Floats]:
        """The same for rows that have to be inside; SupportError for one that is not."""
        self._raise_if_outside(rows)
        images, log_det = self.forward(rows.X)
        if (log_det == -np.inf).any():
            row = int(np.argmax(log_det == -np.inf))
            raise SupportError(
                f"Row {row if rows.index is None else int(rows.index[row])}, {rows.X[row].tolist()}, lies outside the domain of "
                f"{self.transformer!r}. Remove or shift it, or choose another transformer."
            )
        return images, log_det

    def _forward_inside(self, X: Floats) -> tuple[Floats, Floats]:
        log_det = np.asarray(self.log_abs_det_jacobian(X), dtype=np.float64)
        log_det = np.broadcast_to(log_det, len(X))
        inside: NDArray[np.bool_] = np.not_equal(log_det, -np.inf)
        if inside.all():
            return self._images(X), log_det
        return scattered(inside, X, lambda rows: (self._images(rows), log_det[inside]))

    def _images(self, X: Floats) -> Floats:
        images = np.ascontiguousarray(self.transform(X), dtype=np.float64)
        if images.shape != X.shape:
            raise self.lossy(
                f"it turns rows of {X.shape[1]} columns into rows of {np.prod(images.shape[1:], dtype=int)}"
            )
        return images

    def raise_if_overflown(self, rows: Rows, images: Floats) -> None:
        """ValueError for a finite row with an image that is not."""
        # One sum is cheaper than a mask; it may overflow although all are finite.
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(images.sum()) or np.isfinite(images).all():
                return
        row, column = (int(i) for i in np.argwhere(~np.isfinite(images))[0])
        raise ValueError(
            f"{self.transformer!r} turns row {row if rows.index is None else int(rows.index[row])}, {rows.X[row].tolist()}, into "
            f"{images[row, column]} in column {column}, where different values are equal. Rescale the column before."
        )

    # -- for distribution functions ----------------------------------------------------------------------------------------

    @property
    def affine(self) -> bool:
        """Whether the image is a linear function of the row plus a constant."""
        return False

    def monotone(self, d: int) -> tuple[NDArray[np.intp], Floats] | None:
        """The image column of every column, and 1 or -1 as the image rises or falls; None if columns are mixed, or one turns."""
        return None

    def inner_point(self, d: int) -> Floats:
        """A value of every column inside the domain."""
        return np.full(d, 0.5)

    def image_range(self, d: int) -> tuple[Floats, Floats]:
        """Between which ends the image columns lie."""
        return np.full(d, -np.inf), np.full(d, np.inf)

    def extended_images(self, X: Floats) -> Floats:
        """Images by a monotone map of all real numbers and infinities: -inf or inf for what lies beyond the domain."""
        d = X.shape[1]
        found, inner = self.monotone(d), self.inner_point(d)
        assert found is not None
        order, signs = found
        outside, beyond = ~np.isfinite(X), self.without_image(X)
        if beyond is not None:
            outside |= beyond
        with np.errstate(over="ignore"):
            images = np.array(self.transform(np.ascontiguousarray(np.where(outside, inner, X))), dtype=np.float64)
        images[:, order] = np.where(outside, signs * np.where(inner < X, np.inf, -np.inf), images[:, order])
        return images

    def taken(self, columns: list[int]) -> Any:
        """The fitted transformer of some of the columns, where each is mapped by itself; None where that is not known."""
        return None

    # -- what it costs -----------------------------------------------------------------------------------------------------

    def free_parameters(self, absorbed: AffineMaps, d: int) -> tuple[int, AffineMaps]:
        """How many numbers the transformer took from the data, without those that the density behind it absorbs.

        With it, what a transformer in front of this one may learn at no cost. ``n_parameters_`` says how many those are.
        """
        return int(getattr(self.transformer, "n_parameters_", 0)), NO_AFFINE_MAPS

    def lossy(self, reason: str) -> LossyTransformerError:
        """The error that says why there is no density of the original variable."""
        return LossyTransformerError(
            f"{self.transformer!r} can't be part of a TransformedDensity: {reason}. Different rows then have the same image, so "
            "that the density of the original variable does not follow from that of the image. Use a one-to-one transformer "
            "(scalers, PowerTransformer, PCA with all components, ...), or fit the density to the transformed rows and give "
            "up comparing it with densities of the original ones."
        )


def scattered(inside: NDArray[np.bool_], X: Floats, function: Any) -> tuple[Floats, Floats]:
    """``function`` of the rows inside, put back among rows with the image NaN and log abs det -inf."""
    images, log_det = np.full(X.shape, np.nan), np.full(len(X), -np.inf)
    if inside.any():
        images[inside], log_det[inside] = function(np.ascontiguousarray(X[inside]))
    return images, log_det


def rising(d: int) -> tuple[NDArray[np.intp], Floats]:
    """Every column is the image of its own, and rises."""
    return np.arange(d), np.ones(d)


def of_columns(transformer: Any, columns: list[int], learnt: Sequence[str]) -> Any:
    """A copy of a fitted transformer for some of the columns, which what it learnt has along its last axis."""
    part = copy.copy(transformer)
    part.n_features_in_ = len(columns)
    vars(part).pop("feature_names_in_", None)
    for name in learnt:
        value = getattr(transformer, name, None)
        if value is not None:
            setattr(part, name, np.asarray(value)[..., columns])
    return part


class Identity(Bijection):
    """No transformer: None or "passthrough"."""

    def fitted(self, rows: Rows) -> Self:
        return self

    def log_abs_det_jacobian(self, X: Floats) -> float:
        return 0.0

    def transform(self, X: Floats) -> Floats:
        return X

    def inverse(self, Z: Floats) -> Floats:
        return Z

    @property
    def learns(self) -> bool:
        return False

    @property
    def invertible(self) -> bool:
        return True

    @property
    def affine(self) -> bool:
        return True

    def monotone(self, d: int) -> tuple[NDArray[np.intp], Floats]:
        return rising(d)

    def taken(self, columns: list[int]) -> str:
        return "passthrough"

    def free_parameters(self, absorbed: AffineMaps, d: int) -> tuple[int, AffineMaps]:
        return 0, absorbed


class OwnJacobian(Bijection):
    """A transformer that knows its Jacobian: it has a method ``log_abs_det_jacobian(X)``."""

    def log_abs_det_jacobian(self, X: Floats) -> Floats:
        values = np.asarray(self.transformer.log_abs_det_jacobian(X), dtype=np.float64)
        if values.shape not in ((), (len(X),)) or np.isnan(values).any() or (values == np.inf).any():
            raise ValueError(
                f"log_abs_det_jacobian of {self.transformer!r} has to give a finite number for each of the {len(X)} rows, or "
                f"-inf outside the domain; it gave shape {values.shape}"
                + (", with NaN or inf." if values.shape == (len(X),) else ".")
            )
        return values


@singledispatch
def _registered(transformer: Any) -> Bijection:
    if not hasattr(transformer, "transform") or isinstance(transformer, type):
        raise TypeError(
            f"transformer is a transformer such as StandardScaler() or FunctionTransformer(numpy.log), a Pipeline of them, "
            f"None or 'passthrough', not {transformer!r}."
        )
    raise TypeError(
        f"The Jacobian of {transformer!r} is not known. If it is one-to-one, give it a method log_abs_det_jacobian(X) that "
        "returns log |det J| of every row (-inf outside its domain), or register its type with "
        "fastkl.density.bijection.register."
    )


@_registered.register(type(None))
def _(transformer: None) -> Bijection:
    return Identity(transformer)


@_registered.register(str)
def _(transformer: str) -> Bijection:
    if transformer != "passthrough":
        raise TypeError(
            f"transformer is an object such as FunctionTransformer(numpy.log), None or 'passthrough', not {transformer!r}."
        )
    return Identity(transformer)


def registered_bijection(transformer: Any) -> Bijection:
    """The transformer as a change of variables, by its own method or by what is registered so far."""
    if callable(getattr(transformer, "log_abs_det_jacobian", None)) and not isinstance(transformer, type):
        return OwnJacobian(transformer)
    return _registered(transformer)


register: Any = _registered.register  # mypy has no type for the decorator that it returns
