"""Pipelines and column transformers as changes of variables: log abs dets of steps and of groups of columns add up."""

from __future__ import annotations

import copy
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

from fastkl._core.array_types import Floats
from fastkl._core.rows import Rows
from fastkl.density.bijections.base import AffineMaps, Bijection, Identity, register, registered_bijection, rising
from fastkl.rows.columns import column_numbers


class Steps(Bijection):
    """A Pipeline of one-to-one transformers; each step is fitted to the images of the one before, with the weights."""

    def __init__(self, transformer: Any) -> None:
        super().__init__(transformer)
        self.steps = [registered_bijection(step) for _, step in transformer.steps]

    def fitted(self, rows: Rows) -> Self:
        pipeline, learnt = clone(self.transformer), []
        for i, ((name, _), step) in enumerate(zip(pipeline.steps, self.steps, strict=True)):
            step = step.fitted(rows)
            learnt.append((name, step.transformer))
            if i + 1 < len(self.steps):
                images, _ = step.forward_all(rows)
                rows = Rows(images, rows.weights, n_threads=rows.n_threads, index=rows.index)
        pipeline.steps = learnt
        return type(self)(pipeline)

    def forward(self, X: Floats) -> tuple[Floats, Floats]:
        images, log_det, inside = X, np.zeros(len(X)), np.arange(len(X))
        for step in self.steps:
            if not len(inside):
                break
            images, more = step.forward(images)
            log_det[inside] += more
            kept = more != -np.inf
            images, inside = images[kept], inside[kept]
        out = np.full(X.shape, np.nan)
        if len(inside):
            out[inside] = images
        return out, log_det

    def inverse(self, Z: Floats) -> Floats:
        for step in reversed(self.steps):
            Z = inverse_where_finite(step, Z)
        return Z

    @property
    def learns(self) -> bool:
        return any(step.learns for step in self.steps)

    @property
    def invertible(self) -> bool:
        return all(step.invertible for step in self.steps)

    @property
    def affine(self) -> bool:
        return all(step.affine for step in self.steps)

    def monotone(self, d: int) -> tuple[NDArray[np.intp], Floats] | None:
        order, signs = rising(d)
        for step in self.steps:
            found = step.monotone(d)
            if found is None:
                return None
            signs, order = signs * found[1][order], found[0][order]
        return order, signs

    def taken(self, columns: list[int]) -> Any:
        parts = [step.taken(columns) for step in self.steps]
        if any(part is None for part in parts):
            return None
        pipeline = copy.copy(self.transformer)
        pipeline.steps = [(name, part) for (name, _), part in zip(self.transformer.steps, parts, strict=True)]
        return pipeline

    def extended_images(self, X: Floats) -> Floats:
        for step in self.steps:
            X = step.extended_images(X)
        return X

    def image_range(self, d: int) -> tuple[Floats, Floats]:
        ends = np.array([np.full(d, -np.inf), np.full(d, np.inf)])
        for step in self.steps:
            own = step.image_range(d)
            ends = np.sort(step.extended_images(ends), axis=0)
            ends = np.array([np.maximum(ends[0], own[0]), np.minimum(ends[1], own[1])])
        return ends[0], ends[1]

    def free_parameters(self, absorbed: AffineMaps, d: int) -> tuple[int, AffineMaps]:
        total = 0
        for step in reversed(self.steps):
            count, absorbed = step.free_parameters(absorbed, d)
            total += count
        return total, absorbed


def inverse_where_finite(step: Bijection, Z: Floats) -> Floats:
    """The inverse of rows without NaN; the others stay NaN."""
    finite = np.isfinite(Z).all(axis=1)
    out = np.full(Z.shape, np.nan)
    if finite.any():
        with np.errstate(all="ignore"):
            out[finite] = step.inverse(Z[finite])
    return out


class Groups(Bijection):
    """A ColumnTransformer that sends every column through exactly one one-to-one transformer."""

    def __init__(self, transformer: Any) -> None:
        super().__init__(transformer)
        if transformer.transformer_weights is not None:
            raise TypeError(
                "A ColumnTransformer with transformer_weights has no known Jacobian; put a scaler into its groups."
            )
        self._groups: list[tuple[Bijection, list[int], slice]] = []
        if hasattr(transformer, "output_indices_"):
            names, d = getattr(transformer, "feature_names_in_", None), transformer.n_features_in_
            for name, step, columns in transformer.transformers_:
                numbers = column_numbers(columns, None, names, d)
                if numbers:
                    self._groups.append((registered_bijection(step), numbers, transformer.output_indices_[name]))

    def fitted(self, rows: Rows) -> Self:
        d = rows.X.shape[1]
        parts = self._parts(d)
        learnt = {}
        for name, step, numbers in parts:
            X = np.ascontiguousarray(rows.X[:, numbers])
            names = None if rows.names is None else [rows.names[j] for j in numbers]
            some = Rows(X, rows.weights, n_threads=rows.n_threads, names=names, index=rows.index, numbers=numbers)
            learnt[name] = step.fitted(some)
            learnt[name].forward(X[:1])
        transformer = clone(self.transformer)
        transformer.fit(rows.X)
        # The groups that scikit-learn fitted know no weights.
        transformer.transformers_ = [
            (
                name,
                step if isinstance(learnt.get(name, Identity(None)), Identity) else learnt[name].transformer,
                numbers,
            )
            for name, step, numbers in transformer.transformers_
        ]
        return type(self)(transformer)

    def _parts(self, d: int) -> list[tuple[str, Bijection, list[int]]]:
        """Name, transformer and columns of each group; an error unless every column is in exactly one."""
        listed = [(name, step, column_numbers(key, None, None, d)) for name, step, key in self.transformer.transformers]
        taken = [j for _, _, numbers in listed for j in numbers]
        rest = [j for j in range(d) if j not in taken]
        if rest:
            listed.append(("remainder", self.transformer.remainder, rest))
        for name, step, numbers in listed:
            if isinstance(step, str) and step == "drop" and numbers:
                raise self.lossy(f"its group {name!r} drops column{'s' * (len(numbers) > 1)} {str(numbers)[1:-1]}")
        twice = [j for j in range(d) if taken.count(j) > 1]
        if twice:
            raise self.lossy(
                f"it sends column {twice[0]} through more than one transformer, so that its images fill no volume"
            )
        return [(name, registered_bijection(step), numbers) for name, step, numbers in listed if numbers]

    def forward(self, X: Floats) -> tuple[Floats, Floats]:
        images, log_det = np.empty(X.shape), np.zeros(len(X))
        for step, numbers, place in self._groups:
            images[:, place], more = step.forward(np.ascontiguousarray(X[:, numbers]))
            log_det += more
        return images, log_det

    def inverse(self, Z: Floats) -> Floats:
        out = np.empty(Z.shape)
        for step, numbers, place in self._groups:
            out[:, numbers] = inverse_where_finite(step, np.ascontiguousarray(Z[:, place]))
        return out

    @property
    def learns(self) -> bool:
        return True

    @property
    def invertible(self) -> bool:
        return all(step.invertible for step, _, _ in self._groups)

    @property
    def affine(self) -> bool:
        return all(step.affine for step, _, _ in self._groups)

    def monotone(self, d: int) -> tuple[NDArray[np.intp], Floats] | None:
        order, signs = rising(d)
        for step, numbers, place in self._groups:
            found = step.monotone(len(numbers))
            if found is None:
                return None
            order[numbers], signs[numbers] = np.arange(d)[place][found[0]], found[1]
        return order, signs

    def extended_images(self, X: Floats) -> Floats:
        images = np.empty(X.shape)
        for step, numbers, place in self._groups:
            images[:, place] = step.extended_images(np.ascontiguousarray(X[:, numbers]))
        return images

    def image_range(self, d: int) -> tuple[Floats, Floats]:
        ends = np.empty((2, d))
        for step, numbers, place in self._groups:
            ends[0, place], ends[1, place] = step.image_range(len(numbers))
        return ends[0], ends[1]

    def free_parameters(self, absorbed: AffineMaps, d: int) -> tuple[int, AffineMaps]:
        total = 0
        shared: AffineMaps | None = None
        for step, numbers, _ in self._groups:
            count, kinds = step.free_parameters(absorbed - {"size"}, len(numbers))
            total += count
            shared = kinds if shared is None else shared & kinds
        return total, (shared or frozenset()) - {"rotation", "size"}


def with_numbered_columns(transformer: Any, X: Any, names: NDArray[Any] | None, d: int) -> Any:
    """The transformer with the columns of a ColumnTransformer as numbers, since it is handed plain arrays.

    Column names and callables only have a meaning for the table itself, so only a ColumnTransformer that comes first is changed.
    """
    if (
        isinstance(transformer, Pipeline)
        and transformer.steps
        and isinstance(transformer.steps[0][1], ColumnTransformer)
    ):
        copy = clone(transformer)
        name, first = transformer.steps[0]
        copy.steps[0] = (name, with_numbered_columns(first, X, names, d))
        return copy
    if not isinstance(transformer, ColumnTransformer):
        return transformer
    copy = clone(transformer)
    copy.transformers = [(name, step, column_numbers(key, X, names, d)) for name, step, key in transformer.transformers]
    return copy


register(Pipeline)(Steps)
register(ColumnTransformer)(Groups)
