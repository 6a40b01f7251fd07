"""Univariate families whose maximum needs passes over the rows: starts, ascent, and what the standard errors need.

The kernel of such a family sums log-likelihood, gradient and the upper triangle of the Hessian in coordinates without units
(``coordinates``, ``rates``); Newton's method climbs in them, for all columns at once. Large tables are first fitted on one of
every k rows: the full table, in memory or not, then needs a few passes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.iterations import is_heard, report, told
from fastkl._core.rows import AnyRows, Rows
from fastkl.exceptions import SupportError
from fastkl.families.base import Fit
from fastkl.families.matrices import inverses
from fastkl.families.solvers._climb import can_climb, climb_columns
from fastkl.families.solvers.column_lists import listed_columns
from fastkl.families.solvers.newton import Evaluation, Landscape, Maximum, maximise
from fastkl.families.spaces import Numbers
from fastkl.families.spaces.scales import IDENTITY
from fastkl.families.univariate import UnivariateFamily, raise_if_constant
from fastkl.families.weightless import rows_of_weight

SAMPLE_ROWS = 16384
SHOWN_ONE_BY_ONE = 32  # iterations of such ascents
MOST_AT_ONCE = 2 * SAMPLE_ROWS  # rows whose columns are climbed on one after the other, in compiled loops


class IterativeFamily(UnivariateFamily):
    """A subclass gives ``constants``, ``rates``, ``starts``, and ``settle`` where its likelihood has limits.

    A step s of the coordinate of a parameter moves it to ``value + rate * s`` if its scale is the identity, else to
    ``value * exp(rate * s)``. A start too narrow for the data is widened by the parameter and factor in ``spread``. Where the
    parameters in ``degenerate`` are all free, a constant column has no maximum, for the reason given last.
    """

    has_statistics = False
    coordinates: ClassVar[tuple[str, ...]]
    spread: ClassVar[tuple[str, float]] = ("scale", 4.0)
    degenerate: ClassVar[tuple[str, ...]] = ("loc", "scale", "scale goes to 0")

    def rates(self, params: Params) -> Params:
        """What a unit of every coordinate is worth."""
        raise NotImplementedError

    def starts(self, rows: Rows, fixed: Params) -> list[list[Params]]:
        """Where to start from, given rows in memory: complete parameters in groups.

        Of a group the start with the highest likelihood is climbed from, in every column; the highest maximum reached counts.
        """
        raise NotImplementedError

    def bounds(self, start: Params) -> dict[str, tuple[Floats | float, Floats | float]]:
        """Between what the free parameters of an ascent stay: beyond, it runs into a boundary that ``settle`` knows."""
        return {}

    def settle(
        self, rows: AnyRows, fixed: Params, maximum: Maximum, tol: float, max_iter: int
    ) -> tuple[Maximum, dict[str, str]]:
        """The maximum where it lies at a limit of the family, with a sentence for each parameter; errors where there is none."""
        return maximum, {}

    def raise_if_impossible(self, rows: AnyRows, params: Params, value: Floats) -> None:
        """Errors where the likelihood at these parameters is no number above 0."""
        self._raise_if_overflow(rows, value)

    def raise_if_degenerate(self, rows: AnyRows, constant: NDArray[np.bool_], values: Floats) -> None:
        """DegenerateDataError where constant columns, which hold these values, forbid a maximum."""
        needed, held = set(self.degenerate[:-1]), self.fixed_parameters().get("loc")
        if "loc" in needed and held is not None:
            constant, needed = constant & (values == np.asarray(held)), needed - {"loc"}  # rows at it are no better
        if needed and needed <= set(self.free_names()):
            at = {"weight": np.float64(rows.total_weight), "value": values}
            raise_if_constant(constant, at, self.name, self.degenerate[-1])

    # -- evaluation --------------------------------------------------------------------------------------------------------

    def evaluate(self, rows: AnyRows, params: Params) -> Evaluation:
        """Log-likelihood of every column with its derivatives by the coordinates; SupportError for a value outside."""
        return rows.total(self._evaluate_block, params)

    def _evaluate_block(self, rows: Rows, params: Params) -> Evaluation:
        rows = self.lifted(rows)
        sums, row, column = self.kernel().sums(
            rows.X, rows.weights, self._constants(params), self.support, rows.n_threads
        )
        self._check_inside(rows, row, column)
        return self._evaluation(sums)

    def component_evaluate(
        self, rows: Rows, params: Sequence[Params], weights: Floats | None = None
    ) -> list[Evaluation]:
        """``evaluate`` on a block at each of k sets of parameters, each with a column of weights (n, k) where there are some."""
        constants = np.stack([self._constants(at) for at in params])
        of_components = None if rows.weights is None else rows.weights[None]
        if weights is not None:
            of_components = rows.component_weights(weights)
        rows = self.lifted(rows)
        sums, row, column = self.kernel().component_sums(rows.X, of_components, constants, self.support, rows.n_threads)
        self._check_inside(rows, row, column)
        return [self._evaluation(own) for own in sums]

    def _evaluation(self, sums: Floats) -> Evaluation:
        """What the kernel has summed, (d, n_sums)."""
        p = len(self.coordinates)
        hessian = np.empty((len(sums), p, p))
        above = np.triu_indices(p)
        hessian[:, above[0], above[1]] = hessian[:, above[1], above[0]] = sums[:, 1 + p :]
        return Evaluation(sums[:, 0], sums[:, 1 : 1 + p], hessian)

    def move(self, params: Params, step: Floats) -> Params:
        """The parameters a step (d, p) away; what does not move stays exactly what it was."""
        moved, rates = dict(params), self.rates(params)
        for i, name in enumerate(self.coordinates):
            change = rates[name] * step[:, i]
            old = params[name]
            new = old + change if self._is_additive(name) else old * np.exp(change)
            moved[name] = np.where(step[:, i] == 0.0, old, new)
        return moved

    def _is_additive(self, name: str) -> bool:
        """Whether steps are added to a parameter, not to its logarithm."""
        space = self.parameters[name]
        return isinstance(space, Numbers) and space.scale is IDENTITY

    def natural_gradient(self, params: Params, at: Evaluation) -> Params:
        """Gradient by the parameters themselves."""
        rates, gradient = self.rates(params), {}
        with np.errstate(all="ignore"):
            for i, name in enumerate(self.coordinates):
                slope = at.gradient[:, i] / rates[name]
                gradient[name] = slope if self._is_additive(name) else slope / params[name]
        return {name: gradient[name] for name in self.parameter_names}

    def observed_information(self, params: Params, at: Evaluation) -> Floats:
        """Minus the Hessian by the parameters in their ``units``, in the order of ``parameter_names``."""
        rates, units = self.rates(params), self.units(params)
        with np.errstate(all="ignore"):
            steps = np.stack([rates[n] / (units[n] if self._is_additive(n) else 1.0) for n in self.coordinates], axis=1)
            hessian = at.hessian / steps[:, :, None] / steps[:, None, :]
            for i, name in enumerate(self.coordinates):
                if not self._is_additive(name):
                    hessian[:, i, i] -= at.gradient[:, i] / rates[name]
        order = [self.coordinates.index(name) for name in self.parameter_names]
        return -hessian[:, order][:, :, order]

    def log_likelihood(self, rows: Rows, params: Params) -> float:
        rows = self.lifted(rows)
        sums, row, _ = self.kernel().sums(rows.X, rows.weights, self._constants(params), self.support, rows.n_threads)
        return -np.inf if row >= 0 else float(np.sum(sums[:, 0]))

    def log_likelihood_and_gradient(self, rows: Rows, params: Params) -> tuple[float, Params]:
        return self._likelihood(rows, params, self._evaluate_block(rows, params))

    def component_likelihoods(
        self, rows: Rows, params: Sequence[Params], weights: Floats | None = None
    ) -> list[tuple[float, Params]]:
        found = self.component_evaluate(rows, params, weights)
        return [self._likelihood(rows, at, own) for at, own in zip(params, found, strict=True)]

    def _likelihood(self, rows: Rows, params: Params, at: Evaluation) -> tuple[float, Params]:
        self._raise_if_overflow(rows, at.gradient)
        return float(np.sum(at.value)), self.natural_gradient(params, at)

    # -- fit ---------------------------------------------------------------------------------------------------------------

    def fit(self, rows: AnyRows, tol: float, max_iter: int, start: Params | None = None) -> tuple[Fit, Statistics]:
        rows = rows_of_weight(rows)
        with np.errstate(all="ignore"):
            fixed = self.fixed_columns(rows.n_columns)
            if start is None:
                maximum = self._ascent(rows, fixed, tol, max_iter)
            else:
                self._is_fair(rows, rows.sample(SAMPLE_ROWS))
                maximum = self.climb(rows, self.start_at(start, rows.n_columns), tol, max_iter)
            self.raise_if_impossible(rows, maximum.params, maximum.at.value)
            with told(None):  # a limit is a family of its own
                maximum, boundary = self.settle(rows, fixed, maximum, tol, max_iter)
            information = self.observed_information(maximum.params, maximum.at)
            boundary = {**self._ridges(maximum, information), **boundary}
        statistics = {"weight": np.full(len(information), rows.total_weight), "information": information}
        total = float(np.sum(maximum.at.value))
        converged = bool(maximum.converged.all())
        return Fit(maximum.params, maximum.n_iter, converged, boundary, total), statistics

    def _ridges(self, maximum: Maximum, information: Floats) -> dict[str, str]:
        """A sentence for the parameters that the rows do not determine, since the likelihood is flat in some direction."""
        regular = self.regular(maximum.params).T
        several = maximum.converged & (regular.sum(axis=1) > 1)
        if not several.any():
            return {}
        free = regular[:, :, None] & regular[:, None, :]
        flat = several & np.isnan(inverses(np.where(free, information, np.eye(regular.shape[1]))).sum(axis=(1, 2)))
        if not flat.any():
            return {}
        names = [name for i, name in enumerate(self.parameter_names) if regular[flat, i].any()]
        sentence = (
            f"The likelihood is flat along a ridge in column {listed_columns(flat)}: the rows do not "
            f"determine {in_words(names)}, and these are values among others with the same likelihood."
        )
        return dict.fromkeys(names, sentence)

    def _ascent(self, rows: AnyRows, fixed: Params, tol: float, max_iter: int) -> Maximum:
        """The maximum on one of every k rows, or on others where these are alike, and from there that on all of them."""
        sample = rows.sample(SAMPLE_ROWS)
        trusted = self._is_fair(rows, sample)
        if not trusted:
            sample = rows if isinstance(rows, Rows) else scattered(rows, SAMPLE_ROWS)
            trusted = sample is rows or self._is_fair(rows, sample)
        with told(None):
            groups = self.starts(self.lifted(sample), fixed)
        try:
            maximum = self._best(sample if trusted else rows, groups, tol, max_iter)
        except SupportError:
            self.evaluate(rows, groups[0][0])  # names the first row outside, the sample holds a later one
            raise
        return maximum if sample is rows or not trusted else self.climb(rows, maximum.params, tol, max_iter)

    def _is_fair(self, rows: AnyRows, sample: Rows) -> bool:
        """Whether columns that are constant in the sample are so in all rows; DegenerateDataError if that forbids a maximum."""
        alike = constant_columns(sample)[0]
        if not alike.any():
            return True
        constant, values = rows.total(constant_columns, merge=_merged_constants)
        self.raise_if_degenerate(rows, constant, values)
        return bool(np.all(constant[alike]))

    def _best(self, rows: AnyRows, groups: list[list[Params]], tol: float, max_iter: int) -> Maximum:
        """The highest of the maxima reached from the best start of every group."""
        if isinstance(rows, Rows) and len(rows.X) <= MOST_AT_ONCE and can_climb(self.kernel()):
            return self._best_of_columns(rows, groups, tol, max_iter)
        starts = (self._best_start(rows, group) for group in groups)
        return reduce(lambda best, found: found.better(best), (self.climb(rows, s, tol, max_iter) for s in starts))

    def _best_start(self, rows: AnyRows, group: list[Params]) -> Params:
        """The highest start of a group, in every column."""
        if len(group) == 1:
            return group[0]
        values = np.stack([self.evaluate(rows, start).value for start in group])
        best = np.argmax(np.where(np.isnan(values), -np.inf, values), axis=0)
        return {
            name: np.take_along_axis(np.stack([start[name] for start in group]), best[None], axis=0)[0]
            for name in self.parameter_names
        }

    def _best_of_columns(self, rows: Rows, groups: list[list[Params]], tol: float, max_iter: int) -> Maximum:
        """The same for few rows, in compiled loops over the columns."""
        columns = np.ascontiguousarray(self.lifted(rows).X.T, dtype=np.float64)
        low, high, _ = self.support
        if low > -np.inf and np.any(outside := (columns < low) | (columns > high)):
            row = int(np.argmax(outside.any(axis=0)))
            self._check_inside(rows, row, int(np.argmax(outside[:, row])))
        most, d, p = max(map(len, groups)), len(columns), len(self.coordinates)
        starts = np.empty((d, len(groups), most, p))
        bounds = np.empty((2, d, len(groups), p))
        bounds[0], bounds[1] = -np.inf, np.inf
        for g, group in enumerate(groups):
            for v in range(most):
                start = group[min(v, len(group) - 1)]
                for i, name in enumerate(self.coordinates):
                    starts[:, g, v, i] = start[name]
            for name, ends in self.bounds(group[0]).items():
                bounds[0, :, g, self.coordinates.index(name)], bounds[1, :, g, self.coordinates.index(name)] = ends
        free = np.array([name in self.free_names() for name in self.coordinates], dtype=np.intc)
        spread, factor = self.spread
        weights = None if rows.weights is None else np.ascontiguousarray(rows.weights, dtype=np.float64)

        def climbed(most: int) -> Maximum:
            found, sums, n_iter, converged = climb_columns(
                self.kernel(), columns, weights, rows.total_weight, starts, bounds, free, self.coordinates.index(spread),
                factor, tol, most,
            )  # fmt: skip
            params = {name: found[:, self.coordinates.index(name)].copy() for name in self.parameter_names}
            return Maximum(params, self._evaluation(sums), n_iter, converged)

        return _told_of(climbed, max_iter) if is_heard() else climbed(max_iter)

    def climb(self, rows: AnyRows, start: Params, tol: float, max_iter: int) -> Maximum:
        """The maximum reached from one start."""
        if isinstance(rows, Rows) and len(rows.X) <= MOST_AT_ONCE and can_climb(self.kernel()):
            return self._best_of_columns(rows, [[start]], tol, max_iter)
        free = np.array([name in self.free_names() for name in self.coordinates])
        bounds = {name: ends for name, ends in self.bounds(start).items() if name in self.free_names()}

        def given_up(params: Params) -> NDArray[np.bool_]:
            beyond = np.zeros(len(start[self.coordinates[0]]), dtype=bool)
            for name, (low, high) in bounds.items():
                beyond |= ~((params[name] >= low) & (params[name] <= high))
            return beyond

        landscape = Landscape(
            evaluate=lambda params: self.evaluate(rows, params),
            move=self.move,
            free=free,
            weight=rows.total_weight,
            given_up=given_up,
            widen=self._widened,
            reached=lambda params: report(lambda: params),
            names=self.coordinates,
        )
        return maximise(landscape, start, tol, max_iter)

    def _widened(self, start: Params, narrow: NDArray[np.bool_]) -> Params:
        """A start wider in those columns: the likelihood has underflowed at the row farthest out."""
        name, factor = self.spread
        if name not in self.free_names():
            return start
        return {**start, name: np.where(narrow, factor * start[name], start[name])}


def _told_of(climbed: Callable[[int], Maximum], max_iter: int) -> Maximum:
    """The end of an ascent in compiled loops, whose places are had by ascents that stop there: each, later one in four.

    The end comes first: of several ascents a place is that of the highest so far, which says nothing of those that still climb.
    """
    end, most = climbed(max_iter), 1
    while most <= min(end.n_iter + 1, max_iter - 1):
        place = climbed(most)
        if report(lambda params=place.params: params):  # type: ignore[misc]  # bound now
            return place
        most += 1 + (most // 4 if most >= SHOWN_ONE_BY_ONE else 0)
    return end


def constant_columns(rows: Rows) -> tuple[NDArray[np.bool_], Floats]:
    """Columns with the same value in every row, and the values of the first row."""
    # one further row settles it for most tables
    differ = np.any(rows.X[:2] != rows.X[0], axis=0)
    return (~differ if differ.all() else np.all(rows.X[0] == rows.X, axis=0)), rows.X[0]


def _merged_constants(
    first: tuple[NDArray[np.bool_], Floats], second: tuple[NDArray[np.bool_], Floats]
) -> tuple[NDArray[np.bool_], Floats]:
    return first[0] & second[0] & (first[1] == second[1]), first[1]


def scattered(rows: AnyRows, size: int) -> Rows:
    """About ``size`` rows at random, the same in every call: for rows that change with their number. Two passes."""
    X, weights = rows.total(_scattered, min(1.0, size / rows.total(n_rows)), merge=_joined)
    return Rows(X, weights, n_threads=rows.n_threads, names=rows.names)


def _scattered(rows: Rows, share: float) -> tuple[NDArray[Any], Floats | None]:
    chosen = np.random.default_rng(rows.first_row).random(len(rows.X)) < share
    chosen[0] |= rows.first_row == 0  # at least one row
    return rows.X[chosen], None if rows.weights is None else rows.weights[chosen]


def _joined(
    first: tuple[NDArray[Any], Floats | None], second: tuple[NDArray[Any], Floats | None]
) -> tuple[NDArray[Any], Floats | None]:
    weights = None if first[1] is None or second[1] is None else np.append(first[1], second[1])
    return np.append(first[0], second[0], axis=0), weights


def n_rows(rows: Rows) -> int:
    """Number of rows of a block."""
    return len(rows.X)


def weighted_sum(values: Floats, weights: Floats | None) -> Floats:
    """Sum over the rows of every column, (d,)."""
    return np.sum(values, axis=0) if weights is None else weights @ values


def weighted_moments(rows: Rows, transform: np.ufunc | None = None) -> tuple[Floats, Floats]:
    """Mean and standard deviation of every column, (d,) each, after the transform."""
    values = rows.X.astype(np.float64)
    if transform is not None:
        values = transform(values)
    mean = np.average(values, axis=0, weights=rows.weights)
    # in units of the largest, so that no square overflows or underflows
    largest = np.maximum(np.max(np.abs(values - mean), axis=0), 1e-300)
    deviation = largest * np.sqrt(np.average(((values - mean) / largest) ** 2, axis=0, weights=rows.weights))
    return mean, np.where(deviation > 0.0, deviation, np.maximum(1e-3 * np.abs(mean), 1e-300))


def log_mean_exp(values: Floats, weights: Floats | None) -> Floats:
    """Logarithm of the mean of exp(values) over the rows, (d,), whatever their size."""
    largest = np.max(values, axis=0)
    return np.log(np.average(np.exp(values - largest), axis=0, weights=weights)) + largest


def in_words(names: Sequence[str]) -> str:
    """``"scale"``, ``"shape and scale"``: names in a sentence."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
