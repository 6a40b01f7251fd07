"""One weight for each row: checked, or in step with the rows of a source, from memory or from a ``.npy`` file."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl._core.alignment import aligned
from fastkl._core.array_types import Floats
from fastkl.exceptions import SourceError
from fastkl.rows.indexes import refuse_other_rows
from fastkl.rows.npy_file import NpyFile
from fastkl.rows.reading import first_non_number, look

LARGEST = float(np.finfo(np.float64).max)


def read_weights(
    sample_weight: Any,
    n: int,
    name: str = "sample_weight",
    *,
    row: Callable[[int], str] = "row {}".format,
    all_zero: bool = False,
    beside: Any = None,
) -> Floats | None:
    """Weights as contiguous float64: finite, at least 0, one for each row.

    Parameters
    ----------
    sample_weight : array-like of shape (n,), number or None
        As a person gave them; a number stands for that weight in every row, None for none.
    n : int
        Number of rows.
    name : str
        What messages call them.
    row : callable
        A row in words, by its number here.
    all_zero : bool
        Whether all may be 0, as those of a block of rows may.
    beside : array-like or table
        The rows as they were given: of pandas, an index of the same labels in another order is an error.
    """
    if sample_weight is None:
        return None
    refuse_other_rows(beside, sample_weight, ("X", name))
    weights = _as_floats(look(sample_weight, name), n, name, row)
    if weights.ndim != 1:
        raise ValueError(f"{name} must be a 1D array or scalar; it has shape {weights.shape}.")
    if len(weights) != n:
        raise ValueError(f"{name} has shape {weights.shape} for {n} rows; expected one weight for each row.")
    # the minimum and the sum show that all is well, without a temporary array
    with np.errstate(over="ignore"):
        regular = weights.min(initial=0.0) >= 0.0 and np.isfinite(weights.sum())
    if not regular:
        bad = np.flatnonzero(~np.isfinite(weights) | (weights < 0.0))
        if len(bad):
            advice = " Logarithms of weights go in as numpy.exp(w - w.max())." if weights[bad[0]] < 0.0 else ""
            raise ValueError(
                f"{name} has to hold finite numbers of at least 0; {row(int(bad[0]))} has weight {weights[bad[0]]}.{advice}"
            )
        raise ValueError(
            f"{name} sums to more than the largest number, {LARGEST:.3g}: divide all weights by the largest of them, "
            f"{weights.max():.3g}."
        )
    if not all_zero and not weights.any():
        raise no_weight(name)
    return weights


def _as_floats(given: Any, n: int, name: str, row: Callable[[int], str]) -> Floats:
    """The numbers that were given, one for each row where it is one for all; an error names what is none."""
    if getattr(getattr(given, "dtype", None), "kind", "") == "c":
        raise ValueError(f"{name} holds complex numbers. Weights are real numbers of at least 0.")
    try:
        return aligned(np.ascontiguousarray(given, dtype=np.float64)) if np.ndim(given) else np.full(n, float(given))
    except OverflowError as error:
        raise ValueError(f"{name} is a number beyond the largest float, {LARGEST:.3g}.") from error
    except (TypeError, ValueError) as error:
        found = first_non_number(np.asarray(given, dtype=object).reshape(-1))
        if found is None:
            raise
        raise type(error)(
            f"{name} holds {found[1]!r} in {row(found[0])}, which is not a number. Weights are numbers of at least 0."
        ) from error


def joined_rows(parts: Sequence[tuple[NDArray[Any], NDArray[Any] | None]]) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Rows and their weights as one: a part without weights among others has weights of 1."""
    weights = None
    if any(own is not None for _, own in parts):
        weights = np.concatenate([np.ones(len(X)) if own is None else own for X, own in parts])
    return np.concatenate([X for X, _ in parts]), weights


def no_weight(name: str = "sample_weight") -> ValueError:
    """What to say where no row has any weight."""
    return ValueError(f"{name} is zero in every row, so that no row is left. At least one weight must be positive.")


class Weights:
    """Weights by row number.

    Parameters
    ----------
    weights : array-like of shape (n,)
        In memory.
    """

    def __init__(self, weights: Any):
        self._values = np.asarray(look(weights, "sample_weight"))
        if self._values.ndim != 1 or self._values.dtype.kind not in "fiub":
            raise SourceError(
                f"sample_weight has shape {self._values.shape} and type {self._values.dtype}; it takes one number for each "
                "row, or the path of a .npy file with them, or for tables the name of a column."
            )
        self.n_rows = len(self._values)

    def part(self, first: int, n_rows: int) -> NDArray[np.float64]:
        """The weights of so many rows."""
        if first + n_rows > self.n_rows:
            raise SourceError(f"sample_weight has {self.n_rows} entries, the source has more rows.")
        return np.ascontiguousarray(self._read(first, n_rows), dtype=np.float64)

    def _read(self, first: int, n_rows: int) -> NDArray[Any]:
        return self._values[first : first + n_rows]

    def check(self, n_rows: int) -> None:
        """SourceError if there are not just so many."""
        if n_rows != self.n_rows:
            raise SourceError(f"sample_weight has {self.n_rows} entries, the source has {n_rows} rows.")


class NpyWeights(Weights):
    """Weights in a ``.npy`` file."""

    def __init__(self, file: NpyFile):
        if file.dtype.kind not in "fiub":
            raise SourceError(f"{file.path} holds values of type {file.dtype}, not weights.")
        self._file, self.n_rows = file, file.shape[0]

    def _read(self, first: int, n_rows: int) -> NDArray[Any]:
        return self._file.open(mapped=False).read(first, np.empty(n_rows, dtype=self._file.dtype))
