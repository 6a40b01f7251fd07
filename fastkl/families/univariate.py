"""Univariate families: one distribution for each column, all columns in one call of a compiled kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fastkl._core._columns import ColumnKernel
from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.rows import AnyRows, Rows
from fastkl.exceptions import DegenerateDataError, SupportError
from fastkl.families._kernels import column_kernel
from fastkl.families.base import Family
from fastkl.families.matrices import inverses
from fastkl.families.quantiles import continuous_quantile, count_quantile
from fastkl.families.spaces import Numbers

ABOVE_ZERO = float(np.nextafter(0.0, 1.0))
BELOW_ONE = float(np.nextafter(1.0, 0.0))
BELOW_INFINITY = float(np.finfo(np.float64).max)
# what a probability at a quantile may differ from the one that was asked for, relative
CONFIRMED = 2.0**-43
UNSEEN = 1e-20  # of the smallest value beside it
# the number next to an end that does not belong to the support, and that end
OPEN_ENDS = {ABOVE_ZERO: 0.0, BELOW_ONE: 1.0, BELOW_INFINITY: np.inf}


class UnivariateFamily(Family):
    """Parameters are arrays of shape (d,), one entry per column; the columns of a row are independent.

    A subclass names its statistics in the kernel's order, and gives ``constants`` (what the kernel reads), ``solve``,
    the log-likelihood, gradient and observed information per column, and a sampler.
    """

    statistic_names: ClassVar[tuple[str, ...]]
    support: ClassVar[tuple[float, float, bool]] = (-np.inf, np.inf, False)
    support_text: ClassVar[str] = "finite numbers"
    periodic: ClassVar[bool] = False  # whether x and x + 2 pi are the same value

    @classmethod
    @cache
    def kernel(cls) -> ColumnKernel:
        """The compiled kernel of the same name."""
        return column_kernel(cls.name)

    def statistics(self, rows: Rows) -> Statistics:
        rows = self.lifted(rows)
        records, row, column = self.kernel().statistics(rows.X, rows.weights, self.support, rows.n_threads)
        self._check_inside(rows, row, column)
        statistics = dict(zip(self.statistic_names, records.T.copy(), strict=True))
        self._raise_if_overflow(rows, records)
        return statistics

    def component_statistics(self, rows: Rows, weights: Floats) -> list[Statistics]:
        of_components, rows = rows.component_weights(weights), self.lifted(rows)
        records, row, column = self.kernel().component_statistics(rows.X, of_components, self.support, rows.n_threads)
        self._check_inside(rows, row, column)
        for one in records:
            self._raise_if_overflow(rows, one)
        return [dict(zip(self.statistic_names, one.T.copy(), strict=True)) for one in records]

    def _raise_if_overflow(self, rows: AnyRows, sums: Floats) -> None:
        """DegenerateDataError for the first column with sums, (d,) or (d, k), that are not finite."""
        finite = np.isfinite(sums)
        if not finite.all():
            column = int(np.argmin(finite.reshape(len(sums), -1).all(axis=1)))
            size = rows.total(largest, column, merge=max)
            raise DegenerateDataError(
                f"The sums of {rows.column(column)} overflow: it holds values up to {size:.3g}. "
                "Rescale the column, for instance to unit size, or remove the outlier.",
                column,
            )

    def merge_statistics(self, first: Statistics, second: Statistics) -> Statistics:
        merged = self.kernel().merge(self._records(first), self._records(second))
        return dict(zip(self.statistic_names, merged.T.copy(), strict=True))

    def _records(self, statistics: Statistics) -> Floats:
        return np.stack([statistics[name] for name in self.statistic_names], axis=1)

    def _check_inside(self, rows: Rows, row: int, column: int) -> None:
        if row >= 0:
            raise SupportError(
                f"The {self.name} family lives on {self.support_text}; {rows.place(row, column)} holds "
                f"{rows.X[row, column]!s}. Remove or transform the value, or choose a family with a wider support."
            )

    def at_open_ends(self, params: Params) -> dict[float, Floats]:
        """Limits of the log-density at ends that the support leaves out, by end and column; -inf where not finite."""
        return {}

    def lifted(self, rows: Rows) -> Rows:
        """The rows with values at an end where a parameter held fixed gives a limit moved inside, by less than can be seen."""
        held = self.fixed_parameters()
        if not held or type(self).at_open_ends is UnivariateFamily.at_open_ends:
            return rows
        fixed = self.fixed_columns(rows.n_columns)
        ends = self._ends({name: fixed.get(name, np.full(rows.n_columns, 2.0)) for name in self.parameter_names})
        X = rows.X
        for end, limits in ends.items():
            at_end = (end == X) & (limits > -np.inf)
            if at_end.any():
                X = X.astype(np.float64, copy=False)
                step = UNSEEN * np.min(np.where(X > 0.0, X, BELOW_INFINITY), axis=0) if end == 0.0 else BELOW_ONE
                X = np.where(at_end, np.maximum(np.where(step < 1e200, step, 0.0), ABOVE_ZERO), X)
        return rows if X is rows.X else replace(rows, X=np.ascontiguousarray(X))

    def log_density(self, rows: Rows, params: Params) -> Floats:
        total = self.kernel().log_density(rows.X, self._constants(params), self.support, rows.n_threads)
        return self._with_ends(rows, params, total)

    def component_log_density(self, rows: Rows, params: Sequence[Params]) -> Floats:
        constants = np.stack([self._constants(at) for at in params])
        totals = self.kernel().component_log_density(rows.X, constants, self.support, rows.n_threads).T
        for k, at in enumerate(params):
            totals[:, k] = self._with_ends(rows, at, totals[:, k])
        return totals

    def _with_ends(self, rows: Rows, params: Params, total: Floats) -> Floats:
        """The log-densities with rows that hold an end, where a column has a limit, looked at column by column."""
        ends = self._ends(params)
        if not ends:
            return total
        touched = np.zeros(len(rows.X), dtype=bool)
        for end in ends:
            touched |= np.any(end == rows.X, axis=1)
        if touched.any():
            total[touched] = self.value_log_density(Rows(np.ascontiguousarray(rows.X[touched])), params).sum(axis=1)
        return total

    def _ends(self, params: Params) -> dict[float, Floats]:
        """Ends that the support leaves out, and at which some column has a limit."""
        return {end: limits for end, limits in self.at_open_ends(params).items() if (limits > -np.inf).any()}

    def value_log_density(self, rows: Rows, params: Params) -> Floats:
        """Log-density of every value, (n, d): the terms of ``log_density``, which is a sum over columns."""
        constants, ends = self._constants(params), self._ends(params)
        found = np.empty(rows.X.shape[::-1])
        for j in range(rows.n_columns):
            column = np.ascontiguousarray(rows.X[:, j : j + 1])
            own = self.kernel().log_density(column, constants[j : j + 1], self.support, rows.n_threads)
            for end, limits in ends.items():
                own = np.where(column[:, 0] == end, limits[j], own)
            found[j] = own
        return found.T

    def _constants(self, params: Params) -> Floats:
        """What the kernel reads, (d, n_constants)."""
        constants = self.constants(params)
        # np.stack takes longer than the kernel on few rows
        read = np.empty((max(map(np.size, constants)), len(constants)))
        for i, values in enumerate(constants):
            read[:, i] = values
        return read

    def score_rows(self, rows: Rows, params: Params) -> Params:
        """The gradient of one row that has every value as a column of its own."""
        n, d = rows.X.shape
        scores = {name: np.empty((n, d)) for name in self.parameter_names}
        for j in range(d):
            single = Rows(np.ascontiguousarray(rows.X[:, j]).reshape(1, n), n_threads=rows.n_threads)
            repeated = {name: np.full(n, value[j]) for name, value in params.items()}
            for name, values in self.gradient(single, repeated).items():
                scores[name][:, j] = values
        return scores

    def constants(self, params: Params) -> tuple[Any, ...]:
        """What the kernel reads, in its order: arrays of shape (d,)."""
        raise NotImplementedError

    def statistics_log_likelihood(self, statistics: Statistics, params: Params) -> float:
        return float(self.column_log_likelihood(statistics, params).sum())

    def column_log_likelihood(self, statistics: Statistics, params: Params) -> Floats:
        """Total log-likelihood per column, (d,)."""
        raise NotImplementedError

    def information(self, statistics: Statistics, params: Params) -> Floats:
        """Observed information per column, (d, p, p), in the order of ``parameter_names``, by the parameters in their units."""
        return statistics["information"]

    def units(self, params: Params) -> Params:
        """What a step of each parameter is measured in: near what it takes to be seen, whatever the unit of the rows.

        A positive number's unit is itself, a location's its spread: an information in them neither overflows nor underflows.
        """
        units = {}
        for name, space in self.parameters.items():
            value = params[name]
            unit = space.scale.slope(value) if isinstance(space, Numbers) else np.ones_like(value)
            if space.spread is not None:
                unit = unit * self.parameters[space.spread].unit_of_location(params[space.spread])
            units[name] = np.where((unit > 0.0) & np.isfinite(unit), unit, 1.0)
        return units

    # -- parameters --------------------------------------------------------------------------------------------------------

    def fixed_columns(self, d: int) -> Params:
        """Fixed parameters as arrays of shape (d,), range-checked."""
        fixed = {}
        for name, value in self.fixed_parameters().items():
            array = np.asarray(value, dtype=np.float64)
            if array.ndim > 1 or (array.ndim == 1 and len(array) not in (1, d)):
                raise ValueError(
                    f"{self.name}: {name} is held fixed with shape {array.shape}; a number or {d} numbers fit."
                )
            fixed[name] = np.array(np.broadcast_to(array, (d,)))
        self._check_range(fixed)
        return fixed

    def _check_range(self, params: Params) -> None:
        for name, value in params.items():
            self.parameters[name].check(value, f"{self.name}: {name}")

    def shaped_parameters(self, params: Params) -> Params:
        for name, value in params.items():
            if value.ndim > 1:
                raise ValueError(
                    f"{self.name}: {name} is a number or one number for each column, not shape {value.shape}."
                )
        arrays = np.broadcast_arrays(*(np.atleast_1d(params[name]) for name in self.parameter_names))
        shaped = dict(zip(self.parameter_names, (np.array(a) for a in arrays), strict=True))
        self._check_range(shaped)
        return shaped

    def regular(self, params: Params) -> NDArray[np.bool_]:
        """(p, d): where a parameter was estimated and lies inside its range, so that it has a standard error."""
        free = self.free_names()
        inside = []
        for name, space in self.parameters.items():
            inside.append(~space.at_edge(params[name]) & (name in free and not space.irregular))
        return np.array(inside)

    def estimated_entries(self, params: Params) -> list[str]:
        regular = dict(zip(self.parameter_names, self.regular(params), strict=True))
        return [f"{name}[{j}]" for name, inside in regular.items() for j in np.flatnonzero(inside)]

    def _column_covariances(self, statistics: Statistics, params: Params) -> tuple[NDArray[np.bool_], Floats]:
        """The mask of ``regular`` and the covariances (d, p, p) by the units, NaN outside the mask and where there is none."""
        regular = self.regular(params)
        information = self.information(statistics, params)
        covariances = np.full(information.shape, np.nan)
        for pattern in np.unique(regular, axis=1).T:
            columns, kept = np.flatnonzero(np.all(pattern == regular.T, axis=1)), np.flatnonzero(pattern)
            block = np.ix_(columns, kept, kept)
            covariances[block] = inverses(information[block])
        return regular, covariances

    def standard_errors(self, statistics: Statistics, params: Params) -> Params:
        """NaN in a column where the parameter is at its boundary; no entry where it does in all of them, or is fixed.

        Likewise where the likelihood is flat in some direction: what is not determined has no standard error.
        """
        units, (regular, covariances) = self.units(params), self._column_covariances(statistics, params)
        errors = {name: units[name] * np.sqrt(covariances[:, i, i]) for i, name in enumerate(self.parameter_names)}
        kept = np.any(regular, axis=1) & ~np.all(np.isnan(covariances.diagonal(axis1=1, axis2=2)), axis=0)
        return {name: errors[name] for i, name in enumerate(self.parameter_names) if kept[i]}

    def covariance_of_params(self, statistics: Statistics, params: Params) -> tuple[list[str], Floats]:
        regular, covariances = self._column_covariances(statistics, params)
        unit = np.stack(list(self.units(params).values()), axis=1)
        with np.errstate(over="ignore", under="ignore"):
            covariances = covariances * unit[:, :, None] * unit[:, None, :]
        p, d = regular.shape
        full = np.zeros((p, d, p, d))
        for j in range(d):
            full[:, j, :, j] = covariances[j]
        keep = np.flatnonzero(regular)
        return self.estimated_entries(params), full.reshape(p * d, p * d)[np.ix_(keep, keep)]

    # -- the distribution of one column: x, p and q below are (n, d), or anything that broadcasts against the parameters' (d,);
    # the result has the broadcast shape. NaN gives NaN ----------------------------------------------------------------------

    def log_cdf(self, x: Floats, params: Params) -> Floats:
        """log P(X <= x), to 1e-12 relative however far out: finite in the far lower tail, -P(X > x) in the far upper one."""
        return self.log_tails(x, params)[0]

    def log_sf(self, x: Floats, params: Params) -> Floats:
        """log P(X > x), to 1e-12 relative likewise."""
        return self.log_tails(x, params)[1]

    def log_tails(self, x: Floats, params: Params) -> tuple[Floats, Floats]:
        """Both of them, where one calculation gives both; a family gives this, or the two above."""
        raise NotImplementedError

    def cdf(self, x: Floats, params: Params) -> Floats:
        """The distribution function P(X <= x)."""
        return self._tail(x, params, upper=False)

    def sf(self, x: Floats, params: Params) -> Floats:
        """The survival function P(X > x)."""
        return self._tail(x, params, upper=True)

    def plain_tail(self, x: Floats, params: Params, upper: bool) -> Floats | None:
        """Either of them by a function of scipy where that is right to 5e-13, NaN where not; None if there is none.

        These functions are several times faster than logarithms that hold everywhere.
        """
        return None

    def _tail(self, x: Floats, params: Params, upper: bool) -> Floats:
        logs = self.log_sf if upper else self.log_cdf
        found = self.plain_tail(x, params, upper)
        if found is None:
            return np.asarray(np.exp(logs(x, params)))
        rest = np.isnan(found)
        if rest.any():
            given = {name: np.broadcast_to(value, found.shape)[rest] for name, value in params.items()}
            found[rest] = np.exp(logs(np.broadcast_to(x, found.shape)[rest], given))
        return found

    def quantile(self, p: Floats, params: Params) -> Floats:
        """The x with P(X <= x) = p, for discrete families the smallest one with P(X <= x) >= p; NaN for p outside [0, 1]."""
        return self._solved_quantile(p, params, upper=False)

    def upper_quantile(self, q: Floats, params: Params) -> Floats:
        """The x with P(X > x) = q, for discrete families the smallest one with P(X > x) <= q; NaN for q outside [0, 1].

        It is ``quantile(1 - q)`` with all digits of a small q.
        """
        return self._solved_quantile(q, params, upper=True)

    def quantile_guess(self, p: Floats, params: Params, upper: bool) -> Floats | None:
        """Where the search for a quantile may start, with the shape of the result: any function that is mostly right."""
        return None

    def _solved_quantile(self, p: Floats, params: Params, upper: bool) -> Floats:
        """Either of them by a search; a family whose support has ends among its parameters has to give its own."""
        low, high, _ = self.support
        if not self.discrete:
            ends = (OPEN_ENDS.get(low, low), OPEN_ENDS.get(high, high))
            guess = self.quantile_guess(p, params, upper)
            if guess is None or self.plain_tail(guess, params, upper) is None:
                return continuous_quantile(self.log_cdf, self.log_sf, p, params, upper, ends, guess)
            return self._confirmed_quantile(p, params, upper, ends, guess)
        p = np.asarray(p, dtype=np.float64)
        shape = np.broadcast_shapes(p.shape, *(np.shape(value) for value in params.values()))
        p = np.broadcast_to(p, shape)
        result = np.full(shape, np.nan)
        result[p == (0.0 if upper else 1.0)] = np.inf if high == BELOW_INFINITY else high
        open_ = (p >= 0.0) & (p < 1.0) if not upper else (p > 0.0) & (p <= 1.0)
        share = p[open_]
        given = {name: np.broadcast_to(value, shape)[open_] for name, value in params.items()}
        guess = self.quantile_guess(p, params, upper)

        def enough(k: Floats, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
            own = {name: value[rows] for name, value in given.items()}
            return (self.sf(k, own) <= share[rows]) if upper else (self.cdf(k, own) >= share[rows])

        result[open_] = count_quantile(enough, np.full(len(share), np.nan) if guess is None else guess[open_], low)
        return result

    def _confirmed_quantile(
        self, p: Floats, params: Params, upper: bool, ends: tuple[float, float], guess: Floats
    ) -> Floats:
        """The guess where the plain tails confirm it, the smaller of both by its relative error; a search for the others."""
        result = np.array(guess, dtype=np.float64)
        p = np.broadcast_to(np.asarray(p, dtype=np.float64), result.shape)
        with np.errstate(invalid="ignore", divide="ignore"):
            own, other = (self.plain_tail(result, params, side) for side in (upper, not upper))
            assert own is not None
            assert other is not None
            off = np.where(p <= 0.5, own / p, other / (1.0 - p)) - 1.0
        open_ = ~(np.abs(off) <= CONFIRMED)
        if open_.any():
            given = {name: np.broadcast_to(value, result.shape)[open_] for name, value in params.items()}
            result[open_] = continuous_quantile(self.log_cdf, self.log_sf, p[open_], given, upper, ends, result[open_])
        return result


def largest(rows: Rows, column: int) -> float:
    """The largest absolute value of a column."""
    return float(np.abs(rows.X[:, column]).max())


def raise_if_constant(constant: NDArray[np.bool_], statistics: Statistics, family: str, grows: str) -> None:
    """DegenerateDataError naming the first constant column, for a family whose likelihood then has no maximum.

    The value is that of the statistic ``"mean"``, or ``"value"`` where the family has no mean.
    """
    if constant.any():
        column = int(np.flatnonzero(constant)[0])
        value = statistics["mean" if "mean" in statistics else "value"][column]
        weight = np.broadcast_to(statistics["weight"], np.shape(constant))[column]
        raise DegenerateDataError(
            f"Column {column} is constant: {value:.6g} in every row (n_samples={weight:g}). "
            f"The {family} likelihood has no maximum, since it grows without bound as {grows}. "
            "Leave the column out, or hold that parameter fixed.",
            column,
        )
