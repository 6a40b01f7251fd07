"""Which rows stand for all: one out of each stretch of equal length, at a place in it that only the stretch decides.

Every k-th row would see one phase of rows that follow a period. Here the place is that of a counter-based generator
(splitmix64 of the number of the stretch), so that it looks random and is the same for rows in memory, in blocks, and in parts
that do not know each other. Of two stretches that are made one, one row stays: a choice can be thinned without a new pass.
"""

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.intp]


def chosen_rows(length: int, first: int, stop: int) -> Numbers:
    """Numbers of the chosen rows from ``first`` up to ``stop``, one of each stretch of ``length``."""
    chosen = _rows_of(length, np.arange(first // length, -(-stop // length), dtype=np.uint64))
    return chosen[(chosen >= first) & (chosen < stop)]


def still_chosen(length: int, rows: Numbers) -> NDArray[np.bool_]:
    """Which of these rows are chosen from stretches of ``length``."""
    return _rows_of(length, (rows // length).astype(np.uint64)) == rows


def _rows_of(length: int, stretches: NDArray[np.uint64]) -> Numbers:
    """The row of each stretch: of its first or its second half as long as it has halves, then one of the odd rest."""
    halvings = (length & -length).bit_length() - 1
    for level in range(halvings, 0, -1):
        stretches = 2 * stretches + (_hashed(stretches, level) & np.uint64(1))
    odd = np.uint64(length >> halvings)
    return (stretches * odd + (_hashed(stretches, 0) >> np.uint64(1)) % odd).astype(np.intp)


def _hashed(numbers: NDArray[np.uint64], level: int) -> NDArray[np.uint64]:
    """Splitmix64 of the numbers (S. Vigna; G. Steele, D. Lea, C. Flood 2014), of another stream for each level."""
    with np.errstate(over="ignore"):  # arithmetic modulo 2^64
        z = (numbers * np.uint64(64) + np.uint64(level + 1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))
