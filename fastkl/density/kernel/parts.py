"""Marginals, conditionals and probabilities of a kernel density, which has a distribution at each reference.

The marginal of each is known where the kernel is a product over columns. Given some columns, each keeps its kernel of the others,
a Gaussian of a matrix about a shifted centre; its share goes by how well it explains what is given. Probabilities are sums of
normal ones, on a logarithmic scale in both tails, of the intervals (``intervals``) whose values an end brings back into the
support.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from scipy.special import logsumexp

from fastkl._core.array_types import Floats
from fastkl._core.rows import Rows
from fastkl.density.base import BaseDensity
from fastkl.density.kernel.columns.boundaries import Support
from fastkl.density.kernel.columns.column_types import ColumnTypes
from fastkl.density.kernel.columns.directional import DIRECTIONAL, support_of
from fastkl.density.kernel.columns.intervals import log_image_terms, log_tails
from fastkl.density.kernel.sums.kernels import KERNELS
from fastkl.density.kernel.sums.units import Units
from fastkl.rows.checks import raise_if_nan
from fastkl.rows.columns import listed
from fastkl.spatial.kernel_sums import KernelSums

PRODUCTS = ("gaussian", "von_mises")  # kernels whose factors are of one column each
OF_THE_FIT = ("loo_log_likelihood_", "converged_", "n_iter_", "shifts_")
PAIRS = 1 << 20  # of queries and references at a time
# bandwidths beyond which a kernel holds less than the smallest number, at most
FARTHEST, FARTHEST_EXPONENTIAL = 40.0, 800.0


class KernelParts(BaseDensity):
    """Members of a kernel density that a Gaussian kernel has in closed form."""

    kernel: str
    bandwidth: Any
    bandwidth_: Any
    boundary: Any
    column_types: Any
    dtypes_: list[str] | None
    references_: Floats
    reference_weights_: Floats | None
    _sums: Any

    @property
    def _support(self) -> Support:
        """Where rows lie."""
        ends, d = getattr(self, "ends_", None), self.references_.shape[1]
        return support_of(self.kernel, ends, d, self._column_names(), self._types)

    @property
    def _types(self) -> ColumnTypes:
        """The columns of labels and of whole numbers."""
        return ColumnTypes(getattr(self, "column_types_", {}), getattr(self, "categories_", {}))

    @property
    def _coordinates(self) -> Floats:
        """The references in coordinates that are smoothed."""
        return self._support.inner(self.references_)[0]

    @property
    def _centres(self) -> Floats:
        """Where the kernels stand: at the references, or shifted against the bias."""
        shifts = getattr(self, "shifts_", None)
        return self._coordinates if shifts is None else self.references_ + shifts

    def _read(self, X: Any, sample_weight: Any = None) -> Rows:
        raise NotImplementedError

    def _raise_unless_gaussian(self, what: str) -> None:
        if self.kernel != "gaussian":
            raise AttributeError(
                f"A kernel density has {what} in closed form for the gaussian kernel, not the {self.kernel}."
            )

    @property
    def _turn(self) -> tuple[float, float] | None:
        """Between which angles draws of a single circular column lie; None for other rows."""
        columns = self._support.columns
        if self.n_features_in_ != 1 or [column.kind for column in columns] != ["circular"]:
            return None
        back = 0.5 * columns[0].high if np.any(self.references_ < 0.0) else 0.0
        return -back, columns[0].high - back

    @property
    def _on_surface(self) -> bool:
        """Whether rows are unit vectors, which have one dimension fewer than columns."""
        return bool(self.kernel == "von_mises_fisher")

    def _raise_without_tails(self, what: str) -> None:
        """AttributeError unless probabilities are sums over references: a Gaussian kernel's, or another one's of one column."""
        if self._types.kinds:
            raise AttributeError(
                f"A kernel density with column_types has no {what}; ask marginal(columns) or conditional(given) of columns of "
                "numbers."
            )
        if self.n_features_in_ > 1 or self._support.folded:
            self._raise_unless_gaussian(what)
        if any(column.kind == "circular" for column in self._support.columns):
            raise AttributeError(f"A circular column has no {what}: a circle has no beginning.")

    def _raise_for_matrix(self, what: str) -> None:
        if np.ndim(self.bandwidth_) == 2:
            raise AttributeError(f"A kernel density with a bandwidth matrix has no {what} in closed form.")

    def _units_of(self, continuous: list[int]) -> Units:
        """Units of the bandwidths of the continuous columns."""
        own = np.asarray(self.bandwidth_)
        return Units(own[continuous] if self._types.kinds else own, np.zeros(len(continuous)))

    def _widths(self) -> Floats:
        """The bandwidths of the columns, the matrix of a single one as that."""
        own = np.asarray(self.bandwidth_, dtype=np.float64)
        return np.broadcast_to(np.sqrt(np.diag(own)) if own.ndim == 2 else own, self.n_features_in_)

    def _local(self) -> Floats:
        """Factors of the bandwidth at the references."""
        return getattr(self, "local_bandwidths_", np.ones(len(self.references_)))

    # -- densities of some of the columns ----------------------------------------------------------------------------------

    def _with(
        self, columns: list[int], centres: Floats, bandwidth: Any, weights: Floats | None, kept: Any = slice(None)
    ) -> Any:
        """A kernel density of the same kind of some columns, with kernels at other centres and other bandwidths."""
        part: Any = copy.copy(self)
        own = self._support.taken(columns)
        part.boundary = part.ends_ = None if self.kernel in DIRECTIONAL else own.part(list(range(len(columns))))
        part.n_features_in_, part.column_types = len(columns), own.types.entries()
        for name in (*OF_THE_FIT, "feature_names_in_", "column_types_", "categories_", "dtypes_"):
            vars(part).pop(name, None)
        if own.kernels:
            part.column_types_, part.categories_ = own.types.kinds, own.types.labels
            part.dtypes_ = None if self.dtypes_ is None else [self.dtypes_[j] for j in columns]
        references = own.outer(np.array(centres), self.references_[:, columns])
        part.bandwidth = part.bandwidth_ = bandwidth
        part.references_ = np.ascontiguousarray(references)
        part.reference_weights_, part._sums = weights, None
        if hasattr(self, "local_bandwidths_"):
            part.local_bandwidths_ = self.local_bandwidths_[kept]
        return part

    def _raise_unless_parted(self, columns: list[int], what: str) -> None:
        """AttributeError unless the kernel is a product of that of these columns and that of the others."""
        continuous = self._support.continuous
        inside = [j for j in columns if j in continuous]
        if self.kernel not in PRODUCTS and 0 < len(inside) < len(continuous):
            raise AttributeError(
                f"A kernel density has {what} in closed form for kernels that are products over columns, {listed(PRODUCTS)}, or "
                f"where all columns of numbers stay together; not the {self.kernel}, which depends on the distance in all of "
                "them."
            )

    def _part_of_bandwidth(self, columns: list[int]) -> Any:
        own = np.asarray(self.bandwidth_)
        return self.bandwidth_ if own.ndim == 0 else own[columns] if own.ndim == 1 else own[np.ix_(columns, columns)]

    def _marginal(self, columns: list[int]) -> Any:
        self._raise_unless_parted(columns, "marginals")
        return self._with(columns, self._centres[:, columns], self._part_of_bandwidth(columns), self.reference_weights_)

    def _conditional(self, kept: list[int], given: list[int], values: list[Any]) -> Any:
        self._raise_unless_parted(given, "conditional distributions")
        support = self._support
        of_given = support.taken(given)
        row = Rows(np.array([values], dtype=object if of_given.kernels else np.float64))
        at = of_given.inner(of_given.types.coded(row).X)[0][0]
        numbers = [i for i, j in enumerate(given) if j not in support.kernels]
        logs = self._log_labels(given, at)
        centres, bandwidth = self._centres[:, kept], self._part_of_bandwidth(kept)
        if numbers:
            of_numbers, shift, left = self._given_numbers([given[i] for i in numbers], at[numbers], kept)
            logs += of_numbers
            centres, bandwidth = centres - shift, bandwidth if np.ndim(self.bandwidth_) < 2 else left
        if self.reference_weights_ is not None:
            logs = logs + np.log(self.reference_weights_)
        weights = np.exp(logs - logs.max())
        rows = np.flatnonzero(weights)
        return self._with(kept, np.asarray(centres[rows], dtype=np.float64), bandwidth, weights[rows], rows)

    def _log_labels(self, given: list[int], at: Floats) -> Floats:
        """Logarithms of the kernels of labels that are given, about every reference."""
        logs = np.zeros(len(self.references_))
        for j, value in zip(given, at, strict=True):
            kernel = self._support.kernels.get(j)
            if kernel is not None:
                known, of_row = np.unique(self.references_[:, j], return_inverse=True)
                of_known = [kernel.logs(np.array([value]), float(y), float(self.bandwidth_[j]))[0] for y in known]
                logs += np.array(of_known)[of_row]
        return logs

    def _given_numbers(self, given: list[int], at: Floats, kept: list[int]) -> tuple[Floats, Any, Any]:
        """The same of columns of numbers, by how much centres of the others move, and the covariance that is left of them."""
        support, local = self._support, self._local()
        if self.kernel not in PRODUCTS:  # all columns of numbers together: nothing moves
            if support.folded:
                self._raise_unless_gaussian("conditional distributions at an end")
            apart = self._units_of(given).in_units(self._centres[:, given] - at) / local[:, np.newaxis]
            one = KernelSums(np.zeros((1, len(given))), None, self.kernel, error=0.0, n_threads=1)
            return one.log_sums(np.ascontiguousarray(apart)) - len(given) * np.log(local), 0.0, None
        if self.kernel == "von_mises":
            concentrations = self._widths()[given] ** -2.0
            return -2.0 * np.sin(0.5 * (self._centres[:, given] - at)) ** 2 @ concentrations, 0.0, None
        covariance = self._covariance()
        own = Units(covariance[np.ix_(given, given)], at)
        apart = own.of_queries(self._centres[:, given])
        logs = -0.5 * np.sum(apart**2, axis=1) / local**2 - len(given) * np.log(local)
        if support.folded:
            self._raise_for_matrix("conditional distributions")
            widths = np.sqrt(np.diag(covariance))
            logs = np.zeros(len(local))
            for j, value in zip(given, at, strict=True):
                logs += log_image_terms(support.columns[j], value, self._centres[:, j], widths[j] * local)
        across = np.linalg.solve(covariance[np.ix_(given, given)], covariance[np.ix_(given, kept)])
        left = covariance[np.ix_(kept, kept)] - covariance[np.ix_(kept, given)] @ across
        return logs, own.scaled(apart) @ across, 0.5 * (left + left.T)

    def _covariance(self) -> Floats:
        """The bandwidths as a matrix, of columns of numbers; those of labels depend on nothing."""
        d, continuous = self.n_features_in_, self._support.continuous
        covariance = np.eye(d)
        covariance[np.ix_(continuous, continuous)] = self._units_of(continuous).covariance
        return covariance

    # -- probabilities -----------------------------------------------------------------------------------------------------

    def _by_column(self) -> bool:
        try:
            self._raise_without_tails("distribution function")
        except AttributeError:
            return False
        return self.n_features_in_ == 1

    def _tail(self, which: str, X: Any) -> Floats:
        self._check_fitted()
        self._raise_without_tails(which)
        d = self.n_features_in_
        if d > 1:
            self._raise_for_matrix(which)
        if d > 1 and which.endswith("sf"):
            raise AttributeError(f"{which} is of one column; take that of marginal(column).")
        rows = self._read(X)
        raise_if_nan(rows)
        coordinates = self._support.clipped(rows.X.astype(np.float64))
        logs = self._log_tail(coordinates, upper=which.endswith("sf"))
        values: Floats = logs if which.startswith("log") else np.exp(logs)
        return values[:, np.newaxis] if d == 1 else values

    def _log_tail(self, rows: Floats, upper: bool) -> Floats:
        """Logarithm of P(X <= x) of every row of coordinates, or of P(X > x)."""
        weights = self.reference_weights_
        shares = np.full(len(self.references_), 1.0) if weights is None else weights
        widths = self._widths() * self._local()[:, np.newaxis]
        logs, step = np.empty(len(rows)), max(1, PAIRS // len(self.references_))
        centres, columns = self._centres.astype(np.float64), self._support.columns
        for first in range(0, len(rows), step):
            some = rows[first : first + step, np.newaxis]
            if self.kernel == "gaussian":
                of_pairs = sum(
                    log_tails(columns[j], some[..., j], centres[:, j], widths[:, j], upper) for j in range(len(columns))
                )
            else:
                apart = (some[..., 0] - centres[:, 0]) / widths[:, 0]
                of_pairs = KERNELS[self.kernel].log_cdf(-apart if upper else apart)
            logs[first : first + step] = logsumexp(of_pairs, b=shares, axis=1)
        return np.minimum(logs - np.log(np.sum(shares)), 0.0)

    def _quantile(self, q: Floats, upper: bool) -> Floats:
        self._raise_without_tails("quantiles")
        if self.n_features_in_ != 1:
            raise AttributeError("Quantiles are of one column; take those of marginal(column).")
        with np.errstate(divide="ignore"):
            # by the smaller tail, which has all digits
            by_upper = upper == (q <= 0.5)
            wanted = np.log(np.where(by_upper == upper, q, 1.0 - q))
        farthest = FARTHEST_EXPONENTIAL if self.kernel == "exponential" else FARTHEST
        reach = farthest * float(self._widths()[0] * np.max(self._local()))
        column, centres = self._support.columns[0], self._centres
        ends = (column.low, column.high) if column.kind == "reflect" else (-np.inf, np.inf)
        low = np.full(len(q), max(float(centres.min()) - reach, ends[0]))
        high = np.full(len(q), min(float(centres.max()) + reach, ends[1]))
        for _ in range(200):
            middle = 0.5 * low + 0.5 * high
            if np.all((middle <= low) | (middle >= high)):
                break
            logs = np.where(by_upper, self._log_tail(middle[:, None], True), self._log_tail(middle[:, None], False))
            below = np.where(by_upper, logs > wanted, logs < wanted)
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        ends = (column.high, column.low) if upper else (column.low, column.high)
        found = np.where(q == 0.0, ends[0], np.where(q == 1.0, ends[1], column.outer(high)))
        return found[:, np.newaxis]
