"""Univariate families whose maximum needs passes over the rows: starts, ascent, and what the standard errors need.

The kernel of such a family sums log-likelihood, gradient and the upper triangle of the Hessian in coordinates without units
(``coordinates``, ``rates``); Newton's method climbs in them, for all columns at once. Large tables are first fitted on every k-th
row: the full table then needs two or three passes.
"""

from functools import reduce
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fastkl.exceptions import SupportError
from fastkl.families.base import Fit, Floats, Params, Rows, Statistics
from fastkl.families.newton import Evaluation, Maximum, maximise
from fastkl.families.univariate import UnivariateFamily, raise_if_constant

SAMPLE_ROWS = 16384


class IterativeFamily(UnivariateFamily):
    """A subclass gives ``constants``, ``rates``, ``starts``, and ``settle`` where its likelihood has limits.

    A step s of the coordinate of a parameter moves it to ``value + rate * s`` if it is in ``location_parameters``, else to
    ``value * exp(rate * s)``. A start too narrow for the data is widened by the parameter and factor in ``spread``. Where the
    parameters in ``degenerate`` are all free, a constant column has no maximum, for the reason given last.
    """

    has_statistics = False
    coordinates: ClassVar[tuple[str, ...]]
    location_parameters: ClassVar[tuple[str, ...]] = ("loc",)
    spread: ClassVar[tuple[str, float]] = ("scale", 4.0)
    degenerate: ClassVar[tuple[str, ...]] = ("loc", "scale", "scale goes to 0")

    def rates(self, params: Params) -> Params:
        """What a unit of every coordinate is worth."""
        raise NotImplementedError

    def starts(self, rows: Rows, fixed: Params) -> list[Params]:
        """Where to start from: complete parameters; the highest maximum reached counts."""
        raise NotImplementedError

    def given_up(self, start: Params, params: Params) -> NDArray[np.bool_]:
        """Columns on their way to a boundary that ``settle`` knows: they need not go on."""
        return np.zeros(len(params[self.parameter_names[0]]), dtype=bool)

    def settle(
        self, rows: Rows, fixed: Params, maximum: Maximum, tol: float, max_iter: int
    ) -> tuple[Maximum, dict[str, str]]:
        """The maximum where it lies at a limit of the family, with a sentence for each parameter; errors where there is none."""
        return maximum, {}

    # -- evaluation --------------------------------------------------------------------------------------------------------

    def evaluate(self, rows: Rows, params: Params) -> Evaluation:
        """Log-likelihood of every column with its derivatives by the coordinates; SupportError for a value outside."""
        constants = np.ascontiguousarray(np.stack(np.broadcast_arrays(*self.constants(params)), axis=1))
        sums, row, column = self.kernel().sums(rows.X, rows.weights, constants, self.support, rows.n_threads)
        self._check_inside(rows, row, column)
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
            new = old + change if name in self.location_parameters else old * np.exp(change)
            moved[name] = np.where(step[:, i] == 0.0, old, new)
        return moved

    def natural(self, params: Params, at: Evaluation) -> tuple[Params, Floats]:
        """Gradient and Hessian by the parameters themselves, the Hessian in the order of ``parameter_names``."""
        rates = self.rates(params)
        with np.errstate(all="ignore"):
            slopes = np.stack(
                [rates[n] * (1.0 if n in self.location_parameters else params[n]) for n in self.coordinates], axis=1
            )
            hessian = at.hessian / slopes[:, :, None] / slopes[:, None, :]
            for i, name in enumerate(self.coordinates):
                if name not in self.location_parameters:
                    hessian[:, i, i] -= at.gradient[:, i] / (rates[name] * params[name] ** 2)
        gradient = {name: at.gradient[:, i] / slopes[:, i] for i, name in enumerate(self.coordinates)}
        order = [self.coordinates.index(name) for name in self.parameter_names]
        return {name: gradient[name] for name in self.parameter_names}, hessian[:, order][:, :, order]

    def log_likelihood(self, rows: Rows, params: Params) -> float:
        constants = np.ascontiguousarray(np.stack(np.broadcast_arrays(*self.constants(params)), axis=1))
        sums, row, _ = self.kernel().sums(rows.X, rows.weights, constants, self.support, rows.n_threads)
        return -np.inf if row >= 0 else float(np.sum(sums[:, 0]))

    def gradient(self, rows: Rows, params: Params) -> Params:
        return self.log_likelihood_and_gradient(rows, params)[1]

    def log_likelihood_and_gradient(self, rows: Rows, params: Params) -> tuple[float, Params]:
        at = self.evaluate(rows, params)
        self._raise_if_overflow(rows, at.gradient)
        return float(np.sum(at.value)), self.natural(params, at)[0]

    # -- fit ---------------------------------------------------------------------------------------------------------------

    def fit(self, rows: Rows, tol: float, max_iter: int) -> tuple[Fit, Statistics]:
        with np.errstate(all="ignore"):
            fixed = self.fixed_columns(rows.X.shape[1])
            maximum = self._ascent(rows, fixed, tol, max_iter)
            self._raise_if_overflow(rows, maximum.at.value)
            maximum, boundary = self.settle(rows, fixed, maximum, tol, max_iter)
            information = -self.natural(maximum.params, maximum.at)[1]
        statistics = {"weight": np.full(len(information), rows.total_weight), "information": information}
        total = float(np.sum(maximum.at.value))
        converged = bool(maximum.converged.all())
        return Fit(maximum.params, maximum.n_iter, converged, boundary, total), statistics

    def _sample(self, rows: Rows) -> Rows:
        """Rows to start on: every k-th of many. DegenerateDataError for a constant column where that forbids a maximum."""
        sample = sample_of(rows)
        if not np.any(np.all(sample.X[0] == sample.X, axis=0)):
            return sample
        constant = np.all(rows.X[0] == rows.X, axis=0)
        if self.degenerate and set(self.degenerate[:-1]) <= set(self.free_names()):
            statistics = {"weight": np.float64(rows.total_weight), "value": rows.X[0]}
            raise_if_constant(constant, statistics, self.name, self.degenerate[-1])
        return rows

    def _ascent(self, rows: Rows, fixed: Params, tol: float, max_iter: int) -> Maximum:
        sample = self._sample(rows)
        starts = self.starts(sample, fixed)
        try:
            maximum = self._best(sample, starts, tol, max_iter)
        except SupportError:
            self.evaluate(rows, starts[0])  # names the first row outside, the sample holds a later one
            raise
        return maximum if sample is rows else self.climb(rows, maximum.params, tol, max_iter)

    def _best(self, rows: Rows, starts: list[Params], tol: float, max_iter: int) -> Maximum:
        """The highest of the maxima reached from the starts."""
        return reduce(lambda best, found: found.better(best), (self.climb(rows, s, tol, max_iter) for s in starts))

    def climb(self, rows: Rows, start: Params, tol: float, max_iter: int) -> Maximum:
        """The maximum reached from one start."""
        free = np.array([name in self.free_names() for name in self.coordinates])
        return maximise(
            lambda params: self.evaluate(rows, params), self.move, start, free, rows.total_weight, tol, max_iter,
            lambda params: self.given_up(start, params), self._widened,
        )  # fmt: skip

    def _widened(self, start: Params, narrow: NDArray[np.bool_]) -> Params:
        """A start wider in those columns: the likelihood has underflowed at the row farthest out."""
        name, factor = self.spread
        if name not in self.free_names():
            return start
        return {**start, name: np.where(narrow, factor * start[name], start[name])}


def sample_of(rows: Rows) -> Rows:
    """Every k-th row of a large table, or the rows themselves."""
    step = len(rows.X) // SAMPLE_ROWS
    if step < 4:
        return rows
    weights = None if rows.weights is None else np.ascontiguousarray(rows.weights[::step])
    return Rows(
        np.ascontiguousarray(rows.X[::step]), weights, rows.n_threads, rows.names, np.arange(0, len(rows.X), step)
    )


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
