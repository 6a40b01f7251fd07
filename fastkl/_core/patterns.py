"""Which values of a row are known: rows with the same columns known are one group, and go together."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray


def pattern_keys(X: NDArray[Any]) -> NDArray[Any]:
    """A number for each row that says which columns are unknown, 0 for none; more than 64 columns take several, (n, m)."""
    bits = np.packbits(np.isnan(X), axis=1)
    size = next((size for size in (1, 2, 4, 8) if size >= bits.shape[1]), -(-bits.shape[1] // 8) * 8)
    padded = np.zeros((len(bits), size), dtype=np.uint8)
    padded[:, : bits.shape[1]] = bits
    keys = padded.view(np.dtype(f"u{min(size, 8)}"))
    return keys[:, 0] if keys.shape[1] == 1 else keys


def pattern_order(X: NDArray[Any]) -> NDArray[np.intp] | None:
    """An order in which rows with the same columns known follow each other; None where they do."""
    keys = pattern_keys(X)
    if keys.ndim == 1:
        return None if np.all(keys[1:] >= keys[:-1]) else np.argsort(keys, kind="stable")
    return np.lexsort(keys.T)


def group_stops(X: NDArray[Any]) -> NDArray[np.intp]:
    """Where groups end: the number of the row after each run of rows with the same columns known."""
    keys = pattern_keys(X).reshape(len(X), -1)
    return np.append(np.flatnonzero(np.any(keys[1:] != keys[:-1], axis=1)) + 1, len(X))


def patterns(X: NDArray[Any]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Numbers of the rows with the same columns known, and of these columns, for one group after another."""
    order = pattern_order(X)
    order = np.arange(len(X)) if order is None else order
    for rows in np.split(order, group_stops(X[order])[:-1]):
        yield rows, np.flatnonzero(~np.isnan(X[rows[0]]))
