"""Two samples with what the routes to their divergence share: coordinates, masses, folds, neighbour estimates, draws.

Of more than 20,000 rows, fits and the choice between them learn from 10,000 of either sample, drawn at random: their error is
then small beside the bias that neighbours have, and their cost beside that of the searches. What they give is then taken at all
rows: moments, neighbour estimates, and the log-odds of a regression.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl._core._threads import effective_n_threads
from fastkl.divergence.arguments import FloatArray, Sample
from fastkl.divergence.assisted.ratio_regression import clipped
from fastkl.divergence.assisted.two_normals import near_two_normals
from fastkl.divergence.assisted.working_laws import Masses, NormalPair, WorkingPair, normal_pair
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.nearest.coordinates import (
    centre_and_spread,
    interpolated_scores,
    normal_scores,
    over_spread,
    scaled,
)
from fastkl.divergence.nearest.edges import ends
from fastkl.divergence.nearest.neighbors import SamplePair
from fastkl.divergence.nearest.samples import common_radius_value, sample_divergence
from fastkl.rows.in_order import in_order

FOLDS = 4
# All rows are learnt from up to so many of both samples, beyond it so many of either.
_ALL_LEARNT, _LEARNT = 20_000, 10_000
# Samples drawn from working distributions: as many as make so many numbers, but for a fewest and a most.
_NUMBERS_DRAWN, _FEWEST_DRAWN, _MOST_DRAWN = 48_000, 6, 24
# Where scores are no nearer to normal than that, by their log-loss, the columns as they are have less noise.
_AS_NEAR = 0.002
# When a log-loss is really lower, of so many rows of either sample; of more it is told better.
_LOWER, _ROWS_OF_LOWER = 0.005, 500.0
# Rows of both samples whose normal scores are those of their ranks.
_SORTED = 200_000
# Where not all rows are learnt from, and neighbours have little bias: up to so many rows of both samples, and one beyond.
_TWICE, _DRAWN_OF_MANY = 100_000, 2

Both = tuple[FloatArray, FloatArray]


class TwoSamples:
    """Two samples, the rows of them that fits learn from, and the neighbour estimate.

    Parameters
    ----------
    pair : SamplePair
        The samples.
    k : int
        Neighbours.
    standard_error : bool
        Whether the neighbour estimate has one.
    rng : Generator
        For the rows that are learnt from, folds and draws.
    usual : bool
        Whether a usual distribution may stand for either; not where there are atoms.

    Attributes
    ----------
    learnt : SamplePair
        The rows that fits learn from.
    n_threads : int
        Threads.
    all_learnt : bool
        Whether they are all.
    rows_of_p : ndarray of shape (n,) or slice
        Which rows of P they are.
    n, m : int
        Rows of P and of Q that are learnt from.
    masses : ndarray of shape (n + m,) or None
        Those of them, as `masses_of` gives them.
    fold : ndarray of shape (n + m,)
        Number of the fold of each of them.
    """

    def __init__(
        self, pair: SamplePair, k: int, standard_error: bool, rng: np.random.Generator, *, usual: bool
    ) -> None:
        self.pair, self.k, self.rng, self._usual = pair, k, rng, usual
        self.n_threads = effective_n_threads(pair.p.n_jobs)
        self.all_learnt = pair.p.n_rows + pair.q.n_rows <= _ALL_LEARNT
        # The variance of the neighbour estimate is that of several draws, or what it says itself.
        self._standard_error = standard_error or not self.all_learnt
        self.rows_of_p, self._rows_of_q = self._some(pair.p, _LEARNT), self._some(pair.q, _LEARNT)
        self.learnt = (
            pair if self.all_learnt else SamplePair(rows_at(pair.p, self.rows_of_p), rows_at(pair.q, self._rows_of_q))
        )
        self.masses = masses_of(self.learnt)
        self.n, self.m = self.learnt.p.n_rows, self.learnt.q.n_rows
        self.fold = np.concatenate([np.arange(self.n) % FOLDS, np.arange(self.m) % FOLDS])
        for part in (self.fold[: self.n], self.fold[self.n :]):
            rng.shuffle(part)

        X, Y = self.learnt.p.X, self.learnt.q.X
        # The rows that are learnt from, and all, in the coordinates in which samples are compared.
        scores = normal_scores(X, Y, self.masses)
        self.spaces = {"scaled": scaled(X, Y), "normal_scores": self._of_two_normals(scores, scores, self.learnt)}
        self._everywhere: dict[str, Both] = dict(self.spaces) if self.all_learnt else {}
        self._learnt_in: dict[str, SamplePair] = {}

    def _some(self, side: Sample, most: int) -> slice | NDArray[np.intp]:
        """At most so many rows of a sample, at random."""
        if self.all_learnt or side.n_rows <= most:
            return slice(None)
        return rows_at_random(side.n_rows, most, self.rng)

    @cached_property
    def normal_ratios(self) -> dict[str, FloatArray]:
        """log p/q at the rows that are learnt from by pairs of normal distributions, by coordinates."""
        return {space: self.held_out(both, normal_pair) for space, both in self.spaces.items()}

    @cached_property
    def nearest(self) -> tuple[str, FloatArray, float]:
        """The coordinates in which a pair of normal distributions tells P and Q apart best, its log-ratios, and their loss."""
        ratios = self.normal_ratios
        losses = {space: self.loss(ratio) for space, ratio in ratios.items()}
        space = min(losses, key=lambda name: losses[name] - (_AS_NEAR if name == "scaled" else 0.0))
        return space, ratios[space], losses[space]

    @cached_property
    def space(self) -> str:
        """The coordinates of the neighbour estimate: normal scores, or those that are nearest to normal in large samples."""
        return self.nearest[0] if self._usual and not self.all_learnt else "normal_scores"

    def everywhere(self, space: str) -> Both:
        """All rows of both samples in the coordinates."""
        if space not in self._everywhere:
            X, Y = self.pair.p.X, self.pair.q.X
            if space == "scaled":  # by the rows that are learnt from, as their working distributions are
                learnt = np.concatenate([self.learnt.p.X, self.learnt.q.X]).astype(np.float64)
                self._everywhere[space] = over_spread(X, Y, *centre_and_spread(learnt))
            else:
                pooled = self._pooled_scores(X, Y)
                learnt_from = pooled[0][self.rows_of_p], pooled[1][self._rows_of_q]
                self._everywhere[space] = self._of_two_normals(pooled, learnt_from, self.pair)
        return self._everywhere[space]

    def _pooled_scores(self, X: NDArray[Any], Y: NDArray[Any]) -> Both:
        """Normal scores of all rows."""
        if len(X) + len(Y) <= _SORTED:
            return normal_scores(X, Y, self.every_mass, self.pair.p.n_jobs)
        some, (first, second) = self.some_rows(_SORTED // 4)
        masses = None if first is None or second is None else np.concatenate([first, second])
        return interpolated_scores(X, Y, some, masses, self.pair.p.n_jobs)

    def _of_two_normals(self, pooled: Both, learnt_from: Both, pair: SamplePair) -> Both:
        """Normal scores of a pair in which both are near to normal, where a usual distribution may stand for either."""
        if not self._usual:
            return pooled
        n, m = pair.p.effective_size, pair.q.effective_size
        return near_two_normals(pooled, learnt_from, self.masses_where(), (n / (n + m), m / (n + m)))

    @cached_property
    def every_mass(self) -> FloatArray | None:
        """Masses of all rows of P and then of Q."""
        return self.masses if self.all_learnt else masses_of(self.pair)

    @cached_property
    def compared(self) -> SamplePair:
        """The pair that the neighbour estimate is of."""
        return self._all_in(self.space)

    def _all_in(self, space: str) -> SamplePair:
        """All rows of both samples in the coordinates, with their weights."""
        return self.learnt_in(space) if self.all_learnt else as_pair(self.everywhere(space), self.pair)

    def learnt_in(self, space: str) -> SamplePair:
        """The rows that are learnt from in the coordinates; one pair, whose trees are built once."""
        if space not in self._learnt_in:
            self._learnt_in[space] = as_pair(self.spaces[space], self.learnt)
        return self._learnt_in[space]

    @cached_property
    def plain(self) -> Estimate:
        """The neighbour estimate of all rows."""
        return sample_divergence(self.compared, "common_radius", self.k, self._standard_error).estimate

    @cached_property
    def error_of_plain(self) -> float:
        """Its standard error, asked for or not."""
        if self._standard_error:
            return self.plain.standard_error
        return sample_divergence(self.compared, "common_radius", self.k, True).estimate.standard_error

    @cached_property
    def lower(self) -> float:
        """By so much the log-loss of one log-ratio is really lower than that of another."""
        p, q = self.learnt.p.effective_size, self.learnt.q.effective_size
        return _LOWER * min(1.0, float(np.sqrt(_ROWS_OF_LOWER * (1.0 / p + 1.0 / q))))

    @cached_property
    def normals(self) -> NormalPair:
        """The pair of normal distributions of all rows in the coordinates of the neighbour estimate."""
        return normal_pair(*self.everywhere(self.space), self.masses_of_all())

    @cached_property
    def ends_of_p(self) -> Both:
        """Where the values of P end in each column, (d,) each."""
        return ends(self.learnt.p.X, self.pair.p.X)

    @cached_property
    def beyond_q(self) -> tuple[float, int]:
        """The part of P beyond all values of Q in a column, and the column where it is largest."""
        rows, every = self.learnt.p.X, self.pair.q.X
        outside = (rows < every.min(axis=0)) | (rows > every.max(axis=0))
        parts = np.average(outside, axis=0, weights=self.masses_where()[0])
        return float(parts.max()), int(parts.argmax())

    def by_neighbors(self, space: str) -> float:
        """The neighbour estimate in the coordinates."""
        return float(self.plain) if space == self.space else common_radius_value(self._all_in(space), self.k)

    def _of(self, both: Both, n_jobs: int | None = None) -> float:
        return common_radius_value(as_pair(both, self.pair, n_jobs), self.k)

    def _of_few(self, draws: Iterator[Both]) -> list[float]:
        """The neighbour estimate of each draw, in threads: of few rows searches are not shared out themselves."""
        if self.n_threads == 1 or self.pair.p.n_columns == 1:
            return [self._of(both) for both in draws]
        return list(in_order((partial(self._of, both, n_jobs=1) for both in draws), self.n_threads))

    def masses_where(self, kept: Any = slice(None)) -> Masses:
        """Masses of some rows of either sample that are learnt from, by a mask of both; of all by default."""
        if self.masses is None:
            return None, None
        first, second = (kept, kept) if isinstance(kept, slice) else (kept[: self.n], kept[self.n :])
        return self.masses[: self.n][first], self.masses[self.n :][second]

    def masses_of_all(self) -> Masses:
        """Masses of the rows of either sample."""
        if self.every_mass is None:
            return None, None
        return self.every_mass[: self.pair.p.n_rows], self.every_mass[self.pair.p.n_rows :]

    def some_rows(self, most: int, space: str | None = None) -> tuple[Both, Masses]:
        """At most so many rows of either sample, at random, in the coordinates or as they are, and their masses."""
        sides = (self.pair.p, self.pair.q)
        rows = [self._some(side, most) for side in sides]
        every = (self.pair.p.X, self.pair.q.X) if space is None else self.everywhere(space)
        X, Y = (of_all[some] for of_all, some in zip(every, rows, strict=True))
        masses = zip(self.masses_of_all(), rows, strict=True)
        first, second = (None if mass is None else mass[some] for mass, some in masses)
        return (X, Y), (first, second)

    def held_out(self, both: Both, fit: Callable[[FloatArray, FloatArray, Masses], WorkingPair[Any]]) -> FloatArray:
        """log p/q at the rows that are learnt from by working distributions that have not seen them."""
        rows, log_ratio = np.concatenate(both), np.empty(self.n + self.m)
        for f in range(FOLDS):
            learnt = self.fold != f
            found = fit(both[0][learnt[: self.n]], both[1][learnt[self.n :]], self.masses_where(learnt))
            log_ratio[~learnt] = found.log_ratio(rows[~learnt])
        return clipped(log_ratio)

    def loss(self, log_ratio: FloatArray) -> float:
        """Mean log-loss with equal weights of both samples; log 2 where the ratios say nothing."""
        of_p, of_q = np.logaddexp(0.0, -log_ratio[: self.n]), np.logaddexp(0.0, log_ratio[self.n :])
        return 0.5 * (self.learnt.p.mean(of_p).value + self.learnt.q.mean(of_q).value)

    def beyond(self, working: WorkingPair[Any], space: str, *, only_mean: bool = False) -> tuple[float, float]:
        """What the neighbour estimate gives beyond its mean on draws from the pair, and the variance on such draws.

        A few draws have no mean worth the name: what their rows of P have by chance beyond the divergence of the pair, the
        neighbours have too, and it is taken off.
        """
        n, m = self.pair.p.n_rows, self.pair.q.n_rows
        if self.all_learnt:
            drawn = int(np.clip(_NUMBERS_DRAWN // ((n + m) * self.pair.p.n_columns), _FEWEST_DRAWN, _MOST_DRAWN))
            drawn = drawn // 2 if only_mean else drawn  # a variance needs more
        else:
            drawn = _DRAWN_OF_MANY if n + m <= _TWICE else 1
        draws = (working.draw(n, m, self.rng) for _ in range(drawn))
        on_draws = self._of_few(draws) if self.all_learnt else [self._beyond_chance(working, both) for both in draws]
        with np.errstate(invalid="ignore"):  # draws of a point beside others may be infinitely far from them
            noise = float(np.var(on_draws, ddof=1)) if self.all_learnt else self.plain.standard_error**2
        return self.by_neighbors(space) - float(np.mean(on_draws)), noise

    def _beyond_chance(self, working: WorkingPair[Any], drawn: Both) -> float:
        by_chance = self.pair.p.mean(working.log_ratio(drawn[0], self.n_threads)).value - working.divergence
        return self._of(drawn) - by_chance


def masses_of(pair: SamplePair) -> FloatArray | None:
    """Masses of the rows of P and then of Q, each adding up to the effective number of rows; None where all are 1."""
    if not (pair.p.weighted or pair.q.weighted):
        return None
    return np.concatenate(
        [
            np.ones(side.n_rows) if side.weights is None else side.weights * (side.effective_size / side.weight_sum)
            for side in (pair.p, pair.q)
        ]
    )


def as_pair(both: Both, like: SamplePair, n_jobs: int | None = None) -> SamplePair:
    """Two matrices with the weights of two samples, and their threads or as many as given."""
    first, second = (Sample(X, s.weights, n_jobs or s.n_jobs) for X, s in zip(both, (like.p, like.q), strict=True))
    return SamplePair(first, second)


def rows_at_random(n: int, size: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Numbers of different rows out of n, without a permutation of all."""
    return np.asarray(rng.choice(n, size, replace=False, shuffle=False))


def rows_at(side: Sample, rows: slice | NDArray[np.intp]) -> Sample:
    """Some rows of a sample."""
    return Sample(side.X[rows], None if side.weights is None else side.weights[rows], side.n_jobs)


def in_order_of_values(pair: SamplePair) -> SamplePair:
    """The rows of both samples in the order of their values, so that folds and starts do not depend on the order they came in.

    Of more rows than are all learnt from, those that are learnt from are drawn by their numbers, and the order stays.
    """
    if pair.p.n_rows + pair.q.n_rows > _ALL_LEARNT:
        return pair
    return SamplePair(*(rows_at(side, _order(side)) for side in (pair.p, pair.q)))


def _order(side: Sample) -> NDArray[np.intp]:
    """The order of rows by their first column, and where that has ties by all columns and the weights."""
    order = np.argsort(side.X[:, 0])
    first = side.X[order, 0]
    if (first[1:] > first[:-1]).all():
        return order
    return np.lexsort((*([] if side.weights is None else [side.weights]), *side.X.T[::-1]))
