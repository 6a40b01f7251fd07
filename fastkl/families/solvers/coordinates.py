"""Free parameters as one unconstrained vector, and back: what optimisers, differences and standard errors work on.

A scale becomes its logarithm, a probability its logit, a row of probabilities log-ratios to its largest entry, a
covariance matrix its scaled log-Cholesky factor, a direction a step in the tangent plane, a location a step in units of
its distribution's spread. Around the parameters it was made for, a step of one in any coordinate is of the order of one
row's information, whatever the unit of the data; every vector stands for parameters inside their range.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import null_space
from scipy.special import expit, logit

from fastkl._core.array_types import Floats, Params
from fastkl.families.base import Family

POSITIVE = frozenset(
    {"scale", "shape", "df", "concentration", "rate", "size", "sdlog", "covariance", "a", "b", "c", "d"}
)
UNIT = frozenset({"probability", "zero_probability"})


def domain(family: Family, name: str, value: Any) -> str:
    """``"real"``, ``"positive"``, ``"unit"``, ``"simplex"``, ``"matrix"`` or ``"direction"``: the range of a parameter."""
    if name in family.domains:
        return family.domains[name]
    if np.ndim(value) == 2 and name in ("covariance", "scale"):
        return "matrix"
    if name == "probabilities":
        return "simplex"
    if name == "direction":
        return "direction"
    if name in UNIT:
        return "unit"
    return "positive" if name in POSITIVE or name in getattr(family, "positive_parameters", ()) else "real"


def spread(params: Params, name: str) -> Any:
    """The unit in which steps of a location are counted: its distribution's own spread."""
    if name == "meanlog":
        return params["sdlog"]
    for other in ("covariance", "scale"):
        if other in params:
            value = np.asarray(params[other])
            root = np.sqrt(np.diag(value) if value.ndim == 2 else value)
            return root if value.ndim == 2 or other == "covariance" else value
    return 1.0 / np.sqrt(1.0 + params["concentration"]) if "concentration" in params else 1.0 + np.abs(params[name])


class Block(Protocol):
    """The coordinates of one parameter."""

    name: str
    size: int

    def entries(self) -> list[str]:
        """Names of the parameter's own entries, as in ``param_names_``."""
        ...

    def to(self, value: Any) -> Floats:
        """Coordinates of a value of the parameter."""
        ...

    def back(self, u: Floats) -> Any:
        """The value at coordinates."""
        ...

    def pull(self, value: Any, gradient: Any) -> Floats:
        """Derivatives by the coordinates, (..., size), from derivatives by the parameter, (..., *shape)."""
        ...

    def jacobian(self, value: Any) -> Floats:
        """Derivatives of the entries by the coordinates, (len(entries), size)."""
        ...

    def fill(self, entries: Floats) -> Any:
        """Figures for each entry, put in the parameter's shape; nan where there is no entry."""
        ...


class Elementwise:
    """Numbers on the line, the half-line or the unit interval, each on its own; ``mask`` says which of them are free."""

    def __init__(self, name: str, value: Any, kind: str, unit: Any, entries: Collection[str] | None):
        self.name, self.kind, self.reference = name, kind, np.asarray(value, dtype=np.float64)
        shape = self.reference.shape
        indices = [",".join(map(str, index)) for index in np.ndindex(shape)]
        names = [f"{name}[{index}]" if index else name for index in indices]
        self.mask = np.array([entries is None or entry in entries for entry in names], dtype=bool).reshape(shape)
        self.size = int(self.mask.sum())
        self._names = [entry for entry, kept in zip(names, self.mask.ravel(), strict=True) if kept]
        self.unit = np.broadcast_to(unit, shape)[self.mask]

    def entries(self) -> list[str]:
        return self._names

    def to(self, value: Any) -> Floats:
        chosen = np.asarray(value, dtype=np.float64)[self.mask]
        u: Floats
        if self.kind == "real":
            u = np.asarray((chosen - self.reference[self.mask]) / self.unit)
        else:
            u = np.log(chosen) if self.kind == "positive" else logit(chosen)
        return u

    def back(self, u: Floats) -> Any:
        value = self.reference.copy()
        if self.kind == "real":
            value[self.mask] += self.unit * u
        else:
            value[self.mask] = np.exp(u) if self.kind == "positive" else expit(u)
        return value[()]

    def _slope(self, value: Any) -> Floats:
        chosen = np.asarray(value, dtype=np.float64)[self.mask]
        slope: Floats = chosen if self.kind == "positive" else chosen * (1.0 - chosen)
        return self.unit if self.kind == "real" else slope

    def pull(self, value: Any, gradient: Any) -> Floats:
        chosen: Floats = np.asarray(gradient, dtype=np.float64)[..., self.mask] * self._slope(value)
        return chosen

    def jacobian(self, value: Any) -> Floats:
        return np.diag(self._slope(value))

    def fill(self, entries: Floats) -> Any:
        filled = np.full(self.reference.shape, np.nan)
        filled[self.mask] = entries
        return filled[()]


class Simplex:
    """Rows of probabilities: log-ratios to the largest entry of the row. Entries of 0 stay 0 and have no coordinate."""

    def __init__(self, name: str, value: Any):
        self.name, self.reference = name, np.asarray(value, dtype=np.float64)
        self.shape = self.reference.shape
        self.table = np.atleast_2d(self.reference)
        self.pivot = self.table.argmax(axis=1)
        self.mask = self.table > 0.0
        self.mask[np.arange(len(self.table)), self.pivot] = False
        self.size = int(self.mask.sum())

    def entries(self) -> list[str]:
        return [f"{self.name}[{','.join(map(str, index))}]" for index in np.ndindex(self.shape)]

    def to(self, value: Any) -> Floats:
        table = np.atleast_2d(value)
        pivots = np.take_along_axis(table, self.pivot[:, None], axis=1)
        return np.asarray(np.log((table / pivots)[self.mask]))

    def back(self, u: Floats) -> Any:
        logits = np.full(self.table.shape, -np.inf)
        logits[np.arange(len(self.table)), self.pivot] = 0.0
        logits[self.mask] = u
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        return (weights / weights.sum(axis=1, keepdims=True)).reshape(self.shape)

    def pull(self, value: Any, gradient: Any) -> Floats:
        p = np.asarray(value).reshape(self.table.shape)
        slopes = np.asarray(gradient, dtype=np.float64)
        slopes = slopes.reshape(*slopes.shape[: slopes.ndim - len(self.shape)], *p.shape)
        slopes = np.where(p > 0.0, slopes, 0.0)  # no coordinate moves an entry of 0
        along: Floats = p * (slopes - np.sum(p * slopes, axis=-1, keepdims=True))
        return along[..., self.mask]

    def jacobian(self, value: Any) -> Floats:
        p: Floats = np.asarray(value, dtype=np.float64).reshape(self.table.shape)
        columns = [
            np.where(
                np.arange(len(p))[:, None] == row, p * ((np.arange(self.table.shape[1]) == k) - p[row, k]), 0.0
            ).ravel()
            for row, k in np.argwhere(self.mask)
        ]
        return np.stack(columns, axis=1) if columns else np.zeros((p.size, 0))

    def fill(self, entries: Floats) -> Any:
        return entries.reshape(self.shape)


class Matrix:
    """A covariance matrix: its Cholesky factor in units of the reference's standard deviations, with a log diagonal."""

    def __init__(self, name: str, value: Any):
        self.name, self.d = name, len(value)
        self.root = np.sqrt(np.diag(value))
        self.rows, self.columns = np.tril_indices(self.d)
        self.diagonal = self.rows == self.columns
        self.size = len(self.rows)

    def entries(self) -> list[str]:
        return [f"{self.name}[{i},{j}]" for i, j in zip(*np.triu_indices(self.d), strict=True)]

    def to(self, value: Any) -> Floats:
        u = (np.linalg.cholesky(value) / self.root[:, None])[self.rows, self.columns]
        u[self.diagonal] = np.log(u[self.diagonal])
        return np.asarray(u)

    def back(self, u: Floats) -> Any:
        factor = self._factor(u)
        return factor @ factor.T

    def _factor(self, u: Floats) -> Floats:
        factor = np.zeros((self.d, self.d))
        factor[self.rows, self.columns] = np.where(self.diagonal, np.exp(np.where(self.diagonal, u, 0.0)), u)
        return factor * self.root[:, None]

    def _weights(self, factor: Floats) -> Floats:
        """Derivative of each entry of the factor by its coordinate."""
        return np.where(self.diagonal, factor[self.rows, self.columns], self.root[self.rows])

    def pull(self, value: Any, gradient: Any) -> Floats:
        factor = np.linalg.cholesky(value)
        slopes = 2.0 * np.asarray(gradient) @ factor
        return np.asarray(slopes[..., self.rows, self.columns] * self._weights(factor))

    def jacobian(self, value: Any) -> Floats:
        factor = np.linalg.cholesky(value)
        upper = np.triu_indices(self.d)
        columns = []
        for i, j, weight in zip(self.rows, self.columns, self._weights(factor), strict=True):
            step = np.zeros((self.d, self.d))
            step[i] = weight * factor[:, j]
            columns.append((step + step.T)[upper])
        return np.stack(columns, axis=1)

    def fill(self, entries: Floats) -> Any:
        filled = np.zeros((self.d, self.d))
        filled[np.triu_indices(self.d)] = entries
        return filled + np.triu(filled, 1).T


class Direction:
    """A unit vector: a step in the plane that touches the sphere at the reference."""

    def __init__(self, name: str, value: Any):
        self.name, self.reference = name, np.asarray(value, dtype=np.float64)
        self.plane = null_space(self.reference[None, :])
        self.size = self.plane.shape[1]

    def entries(self) -> list[str]:
        return [f"{self.name}[{j}]" for j in range(len(self.reference))]

    def to(self, value: Any) -> Floats:
        return np.asarray(self.plane.T @ value / (self.reference @ value))

    def back(self, u: Floats) -> Any:
        vector = self.reference + self.plane @ u
        return vector / np.linalg.norm(vector)

    def pull(self, value: Any, gradient: Any) -> Floats:
        return np.asarray(np.asarray(gradient) @ self.jacobian(value))

    def jacobian(self, value: Any) -> Floats:
        along = self.plane - np.outer(value, value @ self.plane)
        return np.asarray(along * (self.reference @ value))

    def fill(self, entries: Floats) -> Any:
        return entries


@dataclass(frozen=True)
class Chart:
    """All free parameters of a distribution together; ``held`` are the others."""

    blocks: tuple[Block, ...]
    held: Params

    @property
    def size(self) -> int:
        """Number of coordinates."""
        return sum(block.size for block in self.blocks)

    @property
    def columns(self) -> int | None:
        """Number of columns if every parameter has one coordinate for each, else None."""
        sizes = {block.size if isinstance(block, Elementwise) and block.mask.ndim == 1 else 0 for block in self.blocks}
        sizes |= {len(block.entries()) for block in self.blocks} if 0 not in sizes else set()
        return sizes.pop() if len(sizes) == 1 and 0 not in sizes else None

    @property
    def held_names(self) -> list[str]:
        """Parameters that stay."""
        moved = [block.name for block in self.blocks]
        return [name for name in self.held if name not in moved]

    @property
    def names(self) -> list[str]:
        """Names of the entries of the free parameters, in order."""
        return [entry for block in self.blocks for entry in block.entries()]

    def _pieces(self, counts: list[int]) -> Iterator[slice]:
        at = 0
        for count in counts:
            yield slice(at, at + count)
            at += count

    def to(self, params: Params) -> Floats:
        """Coordinates of parameters."""
        return np.concatenate([np.zeros(0), *(block.to(params[block.name]).ravel() for block in self.blocks)])

    def back(self, u: Floats) -> Params:
        """Complete parameters at coordinates."""
        pieces = self._pieces([block.size for block in self.blocks])
        moved = {block.name: block.back(u[piece]) for block, piece in zip(self.blocks, pieces, strict=True)}
        return {name: moved.get(name, value) for name, value in self.held.items()}

    def pull(self, params: Params, gradient: Params) -> Floats:
        """Derivatives by the coordinates, (..., size), from a dict of derivatives by the parameters (missing ones are 0)."""
        lead = next((np.shape(g)[: np.ndim(g) - np.ndim(params[name])] for name, g in gradient.items()), ())
        parts = [
            block.pull(params[block.name], gradient[block.name])
            if block.name in gradient
            else np.zeros((*lead, block.size))
            for block in self.blocks
        ]
        return np.concatenate([np.zeros((*lead, 0)), *parts], axis=-1)

    def jacobian(self, params: Params) -> Floats:
        """Derivatives of all entries by all coordinates, (len(names), size)."""
        full = np.zeros((len(self.names), self.size))
        rows = self._pieces([len(block.entries()) for block in self.blocks])
        columns = self._pieces([block.size for block in self.blocks])
        for block, row, column in zip(self.blocks, rows, columns, strict=True):
            full[row, column] = block.jacobian(params[block.name])
        return full

    def fill(self, entries: Floats) -> Params:
        """Figures for each entry as a dict shaped like the free parameters."""
        pieces = self._pieces([len(block.entries()) for block in self.blocks])
        return {block.name: block.fill(entries[piece]) for block, piece in zip(self.blocks, pieces, strict=True)}


def chart_at(family: Family, params: Params, entries: Collection[str] | None = None) -> Chart:
    """Coordinates around parameters, of those that a fit estimates; ``entries`` narrows them down by name (``"df[0]"``).

    Parameters on which the support depends stay: their likelihood has its maximum where it is not smooth.
    """
    held = {*family.fixed_parameters(), *family.irregular_parameters}
    known = None if entries is None else {entry.split("[")[0] for entry in entries}
    blocks: list[Block] = []
    for name, value in params.items():
        if name in held or (known is not None and name not in known):
            continue
        kind = domain(family, name, value)
        if kind == "matrix":
            blocks.append(Matrix(name, value))
        elif kind == "simplex":
            blocks.append(Simplex(name, value))
        elif kind == "direction":
            blocks.append(Direction(name, value))
        else:
            unit: Any = spread(params, name) if kind == "real" else 1.0
            blocks.append(Elementwise(name, value, kind, unit, entries))
    return Chart(tuple(blocks), dict(params))


def inside(family: Family, params: Params, weight: float) -> Params:
    """The parameters with those at an edge of their range (0, 1, infinity) moved inside it, so that coordinates exist."""
    edge = 0.5 / (weight + 1.0)
    moved = {}
    for name, value in params.items():
        kind = domain(family, name, value)
        array: NDArray[Any] = np.asarray(value, dtype=np.float64)
        if kind == "positive":
            array = np.where(array <= 0.0, edge, np.where(np.isinf(array), 1.0 / edge, array))
        elif kind == "unit":
            array = np.clip(array, edge, 1.0 - edge)
        elif kind == "simplex":
            used = np.ones(array.shape, dtype=bool)
            for j, labels in enumerate(family.labels_of(params) if hasattr(family, "labels_of") else []):
                used[j, len(labels) :] = False
            array = np.where(used, np.maximum(array, edge / array.shape[-1]), 0.0)
            array = array / array.sum(axis=-1, keepdims=True)
        moved[name] = array[()]
    return moved
