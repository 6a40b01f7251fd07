"""Terms of rows whose means are compared between two samples, by what each kind of difference moves.

Means and squares, fourth powers and products of normal scores show how places, spreads, shapes and correlations differ; cosines
of the ranks, and their products over two columns, how densities differ at larger and smaller scale; the spread within clusters
of all rows, what happens in one group of them; indicators of values that repeat, and of labels, their shares. Each term is a
function of the rows of both samples together, whichever sample they belong to: what is known of the labels is in the means
alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.assisted.clusters import clusters
from fastkl.divergence.nearest.coordinates import centre_and_spread

# Products of columns are left out beyond so many, and blocks of cosines of more terms, or more numbers in all rows.
_PRODUCTS = 12
_TERMS, _NUMBERS = 120, 20_000_000
# Cosines of the ranks of one column, and those whose products over two are taken: the finest of them in few columns alone.
_COSINES, _COARSE, _FINE = 6, 3, 5
# A value that is this part of a column is an atom.
_ATOM = 0.05
# Clusters, the rows that they are sought in, and how far out (in quartile ranges) a row counts.
_CLUSTERS, _SOUGHT_IN, _FARTHEST = 4, 20_000, 6.0
_FEWEST_IN_CLUSTER = 8
# So many of the symbols of a column of labels are looked at, and so many products of symbols and numbers.
_SYMBOLS, _BY_LABEL = 50, 60

Blocks = dict[str, FloatArray]


def of_numbers(scores: FloatArray, rows: FloatArray) -> Blocks:
    """Terms of columns of numbers by kind, from the normal scores and the rows themselves, both (n, d)."""
    n, d = scores.shape
    blocks = {"means": scores, "white": _white(scores), "squares": scores**2, "shapes": scores**4 - 6.0 * scores**2}
    atoms = _atoms(rows)
    if atoms:
        blocks["atoms"] = np.column_stack(atoms)
    pairs = np.triu_indices(d, 1)
    if 1 < d <= _PRODUCTS:
        blocks["products"] = scores[:, pairs[0]] * scores[:, pairs[1]]
    ranks = ndtr(scores)
    if _COSINES * d <= _most_terms(n):
        blocks["cosines"] = np.concatenate([np.cos(np.pi * k * ranks) for k in range(1, _COSINES + 1)], axis=1)
    for name, most in (("coarse", _COARSE), ("fine", _FINE)):
        if d > 1 and most**2 * len(pairs[0]) <= _most_terms(n):
            blocks[name] = _products_of_cosines(ranks, pairs, most)
    return blocks | _of_clusters(rows)


def of_labels(symbols: list[FloatArray], scores: FloatArray) -> Blocks:
    """Indicators of the symbols of each column of labels, and their products with the scores of the numbers."""
    blocks = {f"labels {j}": indicators for j, indicators in enumerate(symbols)}
    every = np.concatenate(symbols, axis=1)
    if 0 < scores.shape[1] * every.shape[1] <= _BY_LABEL:
        centred = every - every.mean(axis=0)
        blocks["by label"] = (centred[:, :, np.newaxis] * scores[:, np.newaxis]).reshape(len(scores), -1)
    return blocks


def indicators(codes: NDArray[np.intp]) -> FloatArray:
    """Whether a row has each of the most frequent symbols, (n, symbols)."""
    counts = np.bincount(codes)
    kept = np.argsort(-counts, kind="stable")[: min(_SYMBOLS, len(counts))]
    return (codes[:, np.newaxis] == kept).astype(np.float64)


def _most_terms(n: int) -> int:
    return min(_TERMS, _NUMBERS // n)


def _white(scores: FloatArray) -> FloatArray:
    """Scores without correlation, in as many columns as they span."""
    centred = scores - scores.mean(axis=0)
    left, size, _ = np.linalg.svd(centred, full_matrices=False)
    kept = size > 1e-8 * size.max(initial=0.0)
    return np.asarray(left[:, kept] if kept.any() else centred)


def _atoms(rows: FloatArray) -> list[FloatArray]:
    """Indicators of the most frequent value of every column that has an atom."""
    found = []
    for column in rows.T:
        values, counts = np.unique(column, return_counts=True)
        if len(values) > 1 and counts.max() > max(_ATOM * len(column), 1.0):
            found.append((column == values[counts.argmax()]).astype(np.float64))
    return found


def _products_of_cosines(ranks: FloatArray, pairs: tuple[NDArray[np.intp], NDArray[np.intp]], most: int) -> FloatArray:
    """cos(pi j u) cos(pi k v) for the ranks u, v of every pair of columns, with j and k from 1."""
    waves = np.stack([np.cos(np.pi * k * ranks) for k in range(1, most + 1)])
    first, second = waves[:, :, pairs[0]], waves[:, :, pairs[1]]
    return np.ascontiguousarray(np.einsum("jnp,knp->njkp", first, second).reshape(len(ranks), -1))


def _of_clusters(rows: FloatArray) -> Blocks:
    """Which of a few clusters a row is in, and how far it is from the middle of that beside the others there."""
    middle, spread = centre_and_spread(rows)
    near = np.ascontiguousarray(np.clip((rows - middle) / spread, -_FARTHEST, _FARTHEST))
    codes = clusters(near, _CLUSTERS, _SOUGHT_IN)
    within = []
    for code in range(_CLUSTERS):
        inside = codes == code
        if inside.sum() < _FEWEST_IN_CLUSTER:
            continue
        z = near[inside] - near[inside].mean(axis=0)
        deviation = z.std(axis=0)
        term = np.zeros(len(rows))
        term[inside] = np.square(z / np.where(deviation > 0.0, deviation, np.inf)).sum(axis=1) - rows.shape[1]
        within.append(term)
    blocks = {"clusters": indicators(codes)}
    return blocks if not within else blocks | {"within clusters": np.column_stack(within)}
