"""Several two-sample statistics in one permutation test: each is good at what others miss.

All are free of units: how far the means of terms (`contrasts`) differ between the samples, and how often the nearest neighbours
of a row are of its own sample, for few and for many neighbours. Every statistic has a p-value of its own, by a gamma
distribution with the mean, variance and skewness that it has over the permutations (the observed labels among them); the
statistic of the test is the weighted sum of their inverses (the weighted harmonic mean of Wilson 2019,
doi:10.1073/pnas.1814092116), and its p-value is that among the permutations. All of this treats the assignments of the labels
alike, so the p-value is exact, whatever the weights. The weights are fixed but for the number of rows: few rows show
differences of means or nothing, many show those of densities.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincc

from fastkl._core.blas_threads import single_threaded_blas
from fastkl.divergence._labels import LANES
from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.nearest.coordinates import normal_scores
from fastkl.divergence.significance import contrasts
from fastkl.divergence.significance.random_labels import neighbor_statistic, over_permutations
from fastkl.spatial import NeighborIndex

# Numbers of neighbours beside the many of the caller.
_NEIGHBORS = (5, 20)
_SMALL = 1e-10
# Rows whose labels are numbers at a time: of all rows they would take most of the memory.
_BLOCK = 4096
# Skewness of the gamma distributions, and the least p-value that is told from 0.
_LEAST_SKEW, _LARGEST_SKEW, _LEAST = 0.05, 4.0, 1e-12
# Of more rows of labels alone, most of them equal, neighbours take long to find and tell what frequencies tell.
_TIED_ROWS = 10_000
# Shares of the three kinds of statistics for few rows of both samples together, and for many.
_FEW_ROWS, _MANY_ROWS = 400, 1000
_FEW_SHARES, _MANY_SHARES = (0.80, 0.13, 0.07), (0.20, 0.08, 0.72)

Statistic = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True)
class Part:
    """A statistic of the test, as the sum of some standardised ones.

    Attributes
    ----------
    kind : int
        0 for means, 1 for spreads and correlations, 2 for densities.
    weight : float
        Among those of its kind.
    terms : tuple of str
        Each a block of terms and how it is measured: "largest", "length" or "together".
    """

    kind: int
    weight: float
    terms: tuple[tuple[str, str], ...]


# Measured on the alternatives of benchmarks/power.py; "neighbors" stands for their statistics.
_PARTS = (
    Part(0, 0.46, (("means", "length"), ("white", "length"))),
    Part(0, 0.46, (("atoms", "length"),)),
    Part(0, 0.04, (("means", "largest"),)),
    Part(0, 0.92, (("labels", "length"),)),
    Part(1, 0.30, (("squares", "largest"),)),
    Part(1, 0.30, (("squares", "together"),)),
    Part(1, 0.10, (("shapes", "largest"),)),
    Part(1, 0.20, (("products", "length"),)),
    Part(1, 0.10, (("products", "together"),)),
    Part(1, 0.30, (("by label", "length"),)),
    Part(2, 0.75, (("neighbors", ""), ("coarse", "length"), ("fine", "length"))),
    Part(2, 0.17, (("cosines", "length"), ("clusters", "length"))),
    Part(2, 0.08, (("within clusters", "length"), ("within clusters", "largest"))),
)
_MEASURES: dict[str, Statistic] = {
    "largest": lambda differ: np.square(differ).max(axis=0),
    "length": lambda differ: np.square(differ).sum(axis=0),
    "together": lambda differ: np.square(differ.sum(axis=0)),
}


def combined_test(
    X: FloatArray,
    Y: FloatArray,
    k: int,
    n_permutations: int,
    rng: np.random.RandomState,
    n_jobs: int | None,
    labels: tuple[NDArray[np.intp], NDArray[np.intp]] | None = None,
) -> tuple[float, float]:
    """p-value of all statistics together, and the statistic of ``k`` neighbours (0 of many rows of labels alone).

    ``labels`` are codes of columns of labels, (n, c) and (m, c), beside the numbers, of which there may be none.
    """
    n, total = len(X), len(X) + len(Y)
    order = rng.permutation(total)  # so that neither ties in distance nor clusters know the labels
    scores = np.concatenate(normal_scores(X, Y))[order]
    with single_threaded_blas():
        blocks = contrasts.of_numbers(scores, np.concatenate([X, Y])[order]) if scores.shape[1] else {}
    near = scores
    if labels is not None:
        symbols = [contrasts.indicators(column) for column in np.concatenate(labels)[order].T]
        blocks |= contrasts.of_labels(symbols, scores)
        near = np.concatenate([scores, *symbols], axis=1)
    names, terms, statistics = _terms(blocks)
    graphs: list[NDArray[np.int32]] = []
    if scores.shape[1] or total <= _TIED_ROWS:
        index = NeighborIndex(np.ascontiguousarray(near), n_jobs=n_jobs)
        graphs = [
            np.ascontiguousarray(index.neighbors_self(few)) for few in sorted({k, *(s for s in _NEIGHBORS if s < k)})
        ]
        terms, order = terms[index.order], order[index.order]
    names += [("neighbors", "")] * len(graphs)
    own = (order < n).astype(np.uint8)
    balance = terms.sum(axis=0)[:, np.newaxis]

    def of_labels(labels: NDArray[np.uint8]) -> FloatArray:
        sums = sum(terms[i : i + _BLOCK].T @ labels[i : i + _BLOCK].astype(np.float64) for i in range(0, total, _BLOCK))
        differ = sums / n - (balance - sums) / (total - n)
        found = [statistic(differ) for statistic in statistics]
        return np.array(found + [neighbor_statistic(labels, graph) for graph in graphs])

    with single_threaded_blas():
        first = of_labels(np.repeat(own[:, np.newaxis], LANES, axis=1))[:, :1]
    permuted = over_permutations(of_labels, (n, total - n), n_permutations, rng, n_jobs)
    together = _together(names, np.concatenate([first, permuted], axis=1), total)
    if not np.ptp(near, axis=0).any():
        together[:] = 0.0  # all rows are alike: neighbours are a matter of chance
    some = together[: n_permutations + 1]  # the last group may be drawn for means and deviations alone
    return float(np.mean(some >= some[0] * (1.0 - 1e-9))), float(first[-1, 0]) if graphs else 0.0


def _terms(blocks: contrasts.Blocks) -> tuple[list[tuple[str, str]], FloatArray, list[Statistic]]:
    """Standardised terms, and statistics of the differences of their means, by lane, with their names.

    The blocks are used up, for they are as large as the terms.
    """
    rows, at = len(next(iter(blocks.values()))), 0
    terms, where = np.empty((rows, sum(block.shape[1] for block in blocks.values()))), {}
    for name in list(blocks):
        block = blocks.pop(name)
        centred = block - block.mean(axis=0)
        deviation = centred.std(axis=0)
        where[name] = slice(at, at + block.shape[1])
        np.divide(centred, np.where(deviation > _SMALL, deviation, np.inf), out=terms[:, where[name]])
        at += block.shape[1]

    def statistic(block: str, measure: Statistic) -> Statistic:
        return lambda differ: measure(differ[where[block]])

    asked = dict.fromkeys(term for part in _PARTS for term in part.terms if term[0] != "neighbors")
    names, statistics = [], []
    for kind, measure in asked:
        for name in where:
            if name == kind or (kind == "labels" and name.startswith("labels ")):
                names.append((kind, measure))
                statistics.append(statistic(name, _MEASURES[measure]))
    return names, terms, statistics


def _together(names: list[tuple[str, str]], found: FloatArray, rows: int) -> FloatArray:
    """Weighted sum of the inverse p-values of the parts, for every assignment of the labels; ``found`` is (statistics, B + 1)."""
    standard = _standardised(found)
    parts, sums = [], []
    for part in _PARTS:
        its = [i for i, name in enumerate(names) if name in part.terms]
        if its:
            parts.append(part)
            sums.append(standard[its].sum(axis=0))
    p_values = _p_values(np.array(sums))
    at = np.clip(np.log(rows / _FEW_ROWS) / np.log(_MANY_ROWS / _FEW_ROWS), 0.0, 1.0)
    shares = (1.0 - at) * np.array(_FEW_SHARES) + at * np.array(_MANY_SHARES)
    of_kind = np.zeros(len(shares))
    for part in parts:
        of_kind[part.kind] += part.weight
    weights = np.array([shares[part.kind] * part.weight / of_kind[part.kind] for part in parts])
    return weights @ (1.0 / p_values)


def _standardised(values: FloatArray) -> FloatArray:
    """By their mean and standard deviation over the assignments; 0 for what none changes."""
    centred = values - values.mean(axis=1, keepdims=True)
    spread = centred.std(axis=1, keepdims=True)
    return np.asarray(centred / np.where(spread > _SMALL * np.abs(values).max(axis=1, keepdims=True), spread, np.inf))


def _p_values(values: FloatArray) -> FloatArray:
    """Upper tails of gamma distributions with the moments of each row of values."""
    z = _standardised(values)
    skew = np.clip((z**3).mean(axis=1, keepdims=True), _LEAST_SKEW, _LARGEST_SKEW)
    shape = 4.0 / skew**2
    return np.maximum(gammaincc(shape, np.maximum(shape + z * np.sqrt(shape), 0.0)), _LEAST)
