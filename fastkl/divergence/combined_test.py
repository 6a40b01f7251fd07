"""Several two-sample statistics in one permutation test: each is good at what others miss, and their largest is the statistic.

All are taken on normal scores of the ranks in both samples together, so no unit matters: how far the means, the squares and the
products of columns differ between the samples, column by column and all together, the share of a value that repeats, and how
often the nearest neighbours of a row are of its own sample, for a few and for many neighbours; of labels the frequencies of
their symbols, and of labels beside numbers how the means of numbers differ by symbol. Each statistic is standardised by
its mean and standard deviation over the permutations (the observed labels among them), which treats all assignments of the
labels alike, so the largest of them has an exact p-value.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma

from fastkl._core.blas_threads import single_threaded_blas
from fastkl.divergence._labels import LANES, score_labels
from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.coordinates import normal_scores
from fastkl.spatial import NeighborIndex

# The few neighbours, beside the many of the caller.
_FEW = 5
# Products of columns are left out beyond so many.
_PRODUCTS = 12
# A value that is this part of a column is an atom.
_ATOM = 0.05
_SMALL = 1e-10
# So many of the symbols of a column of labels are looked at, and so many products of symbols and numbers.
_SYMBOLS, _BY_LABEL = 50, 60

Statistic = Callable[[FloatArray], FloatArray]


def combined_test(
    X: FloatArray,
    Y: FloatArray,
    k: int,
    n_permutations: int,
    rng: np.random.RandomState,
    n_jobs: int | None,
    n_threads: int,
    labels: tuple[NDArray[np.intp], NDArray[np.intp]] | None = None,
) -> tuple[float, float]:
    """p-value of the largest standardised statistic, and the statistic of ``k`` neighbours.

    ``labels`` are codes of columns of labels, (n, c) and (m, c), beside the numbers, of which there may be none.
    """
    n, total = len(X), len(X) + len(Y)
    order = rng.permutation(total)  # so that ties in distance are broken without regard to the label
    scores = np.concatenate(normal_scores(X, Y))[order]
    blocks, near = _blocks(scores, np.concatenate([X, Y])[order]) if scores.shape[1] else {}, scores
    if labels is not None:
        symbols = [_indicators(column) for column in np.concatenate(labels)[order].T]
        blocks |= _label_blocks(symbols, scores)
        near = np.concatenate([scores, *symbols], axis=1)
    terms, statistics = _terms(blocks, scores.shape[1])
    index = NeighborIndex(np.ascontiguousarray(near), n_jobs=n_jobs)
    terms = terms[index.order]
    neighbors = index.neighbors_self(k)
    few = np.ascontiguousarray(index.neighbors_self(_FEW)) if k > _FEW else None
    own = (order[index.order] < n).astype(np.uint8)
    graphs = [neighbors] if few is None else [neighbors, few]
    balance = terms.sum(axis=0)[:, np.newaxis]

    def of_labels(labels: NDArray[np.uint8]) -> FloatArray:
        sums = terms.T @ labels.astype(np.float64)
        differ = sums / n - (balance - sums) / (total - n)
        found = [statistic(differ) for statistic in statistics]
        for graph in graphs:
            in_p, in_q = score_labels(labels, graph, _neighbor_scores(graph.shape[1]))
            found.append(in_p / n + in_q / (total - n))
        return np.array(found)

    def of_group(seed: int) -> FloatArray:
        permuted = np.random.default_rng(seed).permuted(np.tile(own, (LANES, 1)), axis=1)
        return of_labels(np.ascontiguousarray(permuted.T))

    seeds = rng.randint(0, np.iinfo(np.int64).max, size=-(-n_permutations // LANES)).tolist()
    first = of_labels(np.repeat(own[:, np.newaxis], LANES, axis=1))[:, :1]
    with single_threaded_blas(), ThreadPoolExecutor(n_threads) as pool:
        try:
            permuted = np.concatenate(list(pool.map(of_group, seeds)), axis=1)
        except BaseException:  # Ctrl-C too: groups that have not begun are not waited for
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    every = np.concatenate([first, permuted], axis=1)
    spread = every.std(axis=1, keepdims=True)
    every = (every - every.mean(axis=1, keepdims=True)) / np.where(spread > _SMALL, spread, np.inf)
    largest = every.max(axis=0)[: n_permutations + 1]  # the last group may be drawn for the means and deviations alone
    p_value = float(np.mean(largest >= largest[0] - 1e-9))
    return p_value, float(first[len(statistics), 0])


def _neighbor_scores(k: int) -> FloatArray:
    count = np.arange(k + 1)
    return np.asarray(digamma(count + 1.0) - digamma(k - count + 1.0))


def _blocks(scores: FloatArray, rows: FloatArray) -> dict[str, FloatArray]:
    """Terms of columns of numbers, by what a statistic is made of."""
    d = scores.shape[1]
    blocks = {"means": np.column_stack([scores, *_atoms(rows)]), "white": _white(scores), "squares": scores**2}
    blocks["shapes"] = scores**4 - 6.0 * scores**2
    if 1 < d <= _PRODUCTS:
        first, second = np.triu_indices(d, 1)
        blocks["products"] = scores[:, first] * scores[:, second]
    return blocks


def _label_blocks(symbols: list[FloatArray], scores: FloatArray) -> dict[str, FloatArray]:
    """Indicators of the symbols of each column of labels, and their products with the scores of the numbers."""
    blocks = {f"labels {j}": indicators for j, indicators in enumerate(symbols)}
    every = np.concatenate(symbols, axis=1)
    if 0 < scores.shape[1] * every.shape[1] <= _BY_LABEL:
        blocks["by label"] = ((every - every.mean(axis=0))[:, :, np.newaxis] * scores[:, np.newaxis]).reshape(
            len(scores), -1
        )
    return blocks


def _indicators(codes: NDArray[np.intp]) -> FloatArray:
    """Whether a row has each of the most frequent symbols, (n, symbols)."""
    counts = np.bincount(codes)
    kept = np.argsort(-counts, kind="stable")[: min(_SYMBOLS, len(counts))]
    return (codes[:, np.newaxis] == kept).astype(np.float64)


def _terms(blocks: dict[str, FloatArray], d: int) -> tuple[FloatArray, list[Statistic]]:
    """Standardised terms whose means are compared, and statistics of the differences of their means, by lane."""
    where, columns, at = {}, [], 0
    for name, block in blocks.items():
        centred = block - block.mean(axis=0)
        deviation = centred.std(axis=0)
        columns.append(centred / np.where(deviation > _SMALL, deviation, np.inf))
        where[name] = slice(at, at + block.shape[1])
        at += block.shape[1]

    def largest(name: str) -> Statistic:
        return lambda differ: np.abs(differ[where[name]]).max(axis=0)

    def length(name: str) -> Statistic:
        return lambda differ: np.square(differ[where[name]]).sum(axis=0)

    def together(name: str) -> Statistic:
        return lambda differ: np.abs(differ[where[name]].sum(axis=0))

    found = [largest(name) for name in ("means", "squares", "shapes") if name in blocks]
    found += [length(name) for name in blocks if "label" in name]
    if d > 1:
        found += [length("white"), length("squares"), together("squares")]
    if "products" in blocks:
        found += [length("products")] + ([together("products")] if d > 2 else [])
    return np.ascontiguousarray(np.concatenate(columns, axis=1)), found


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
