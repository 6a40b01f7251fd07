"""Univariate families: one law for each column, all columns in one call of a compiled kernel."""

from functools import cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fastkl._core._columns import ColumnKernel
from fastkl.exceptions import DegenerateDataError, SupportError
from fastkl.families._kernels import column_kernel
from fastkl.families.base import Family, Floats, Params, Rows, Statistics

ABOVE_ZERO = float(np.nextafter(0.0, 1.0))
BELOW_INFINITY = float(np.finfo(np.float64).max)


class UnivariateFamily(Family):
    """Parameters are arrays of shape (d,), one entry per column; the columns of a row are independent.

    A subclass names its statistics in the kernel's order, and gives ``constants`` (what the kernel reads), ``solve``,
    the log-likelihood, gradient and observed information per column, and a sampler.
    """

    statistic_names: ClassVar[tuple[str, ...]]
    support: ClassVar[tuple[float, float, bool]] = (-np.inf, np.inf, False)
    support_text: ClassVar[str] = "finite numbers"
    positive_parameters: ClassVar[tuple[str, ...]] = ()

    @classmethod
    @cache
    def kernel(cls) -> ColumnKernel:
        """The compiled kernel of the same name."""
        return column_kernel(cls.name)

    def statistics(self, rows: Rows) -> Statistics:
        records, row, column = self.kernel().statistics(rows.X, rows.weights, self.support, rows.n_threads)
        self._check_inside(rows, row, column)
        statistics = dict(zip(self.statistic_names, records.T.copy(), strict=True))
        if not np.isfinite(records).all():
            column = int(np.flatnonzero(~np.isfinite(records).all(axis=1))[0])
            raise DegenerateDataError(
                f"The sums of {rows.column(column)} overflow: it holds values up to {np.abs(rows.X[:, column]).max():.3g}. "
                "Rescale the column, for instance to unit size, or remove the outlier.",
                column,
            )
        return statistics

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

    def log_density(self, rows: Rows, params: Params) -> Floats:
        constants = np.ascontiguousarray(np.stack(np.broadcast_arrays(*self.constants(params)), axis=1))
        return self.kernel().log_density(rows.X, constants, self.support, rows.n_threads)

    def score_rows(self, rows: Rows, params: Params) -> Params:
        """The gradient of one row that has every value as a column of its own."""
        n, d = rows.X.shape
        scores = {name: np.empty((n, d)) for name in self.parameter_names}
        for j in range(d):
            single = Rows(np.ascontiguousarray(rows.X[:, j]).reshape(1, n), None, rows.n_threads)
            repeated = {name: np.full(n, value[j]) for name, value in params.items()}
            for name, values in self.gradient(single, repeated).items():
                scores[name][:, j] = values
        return scores

    def constants(self, params: Params) -> tuple[Any, ...]:
        """What the kernel reads, in its order: arrays of shape (d,)."""
        raise NotImplementedError

    def statistics_log_likelihood(self, statistics: Statistics, params: Params) -> float:
        return float(np.sum(self.column_log_likelihood(statistics, params)))

    def column_log_likelihood(self, statistics: Statistics, params: Params) -> Floats:
        """Total log-likelihood per column, (d,)."""
        raise NotImplementedError

    def information(self, statistics: Statistics, params: Params) -> Floats:
        """Observed information per column, (d, p, p), in the order of ``parameter_names``."""
        information: Floats = statistics["information"]
        return information

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
            bad = ~np.isfinite(value) | ((value <= 0.0) if name in self.positive_parameters else False)
            if np.any(bad):
                wanted = "positive and finite" if name in self.positive_parameters else "finite"
                raise ValueError(f"{self.name}: {name} has to be {wanted}, not {np.asarray(value)[bad][0]}.")

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

    def free_names(self) -> list[str]:
        """Parameters that a fit estimates."""
        fixed = self.fixed_parameters()
        return [name for name in self.parameter_names if name not in fixed]

    def n_columns(self, params: Params) -> int:
        return len(params[self.parameter_names[0]])

    def n_parameters(self, params: Params) -> int:
        return len(self.free_names()) * self.n_columns(params)

    def _column_covariances(self, statistics: Statistics, params: Params) -> tuple[list[str], Floats]:
        free = self.free_names()
        keep = [self.parameter_names.index(name) for name in free]
        information = self.information(statistics, params)[:, keep][:, :, keep]
        covariances: Floats = np.asarray(np.linalg.inv(information), dtype=np.float64)
        return free, covariances

    def standard_errors(self, statistics: Statistics, params: Params) -> Params:
        free, covariances = self._column_covariances(statistics, params)
        return {name: np.sqrt(covariances[:, i, i]) for i, name in enumerate(free)}

    def covariance_of_params(self, statistics: Statistics, params: Params) -> tuple[list[str], Floats]:
        free, covariances = self._column_covariances(statistics, params)
        d = len(covariances)
        full = np.zeros((len(free), d, len(free), d))
        for j in range(d):
            full[:, j, :, j] = covariances[j]
        return [f"{name}[{j}]" for name in free for j in range(d)], full.reshape(len(free) * d, len(free) * d)


def raise_if_constant(constant: NDArray[np.bool_], statistics: Statistics, family: str, grows: str) -> None:
    """DegenerateDataError naming the first constant column, for a family whose likelihood then has no maximum."""
    if np.any(constant):
        column = int(np.flatnonzero(constant)[0])
        raise DegenerateDataError(
            f"Column {column} is constant: {statistics['mean'][column]:.6g} in every row (n_samples="
            f"{statistics['weight'][column]:g}). The {family} likelihood has no maximum, since it grows without bound as "
            f"{grows}. Leave the column out, or hold that parameter fixed.",
            column,
        )
