"""Marginals, conditionals and probabilities of a Gaussian kernel density: a normal distribution at each reference.

The marginal of each is known, and given some of its columns the others are normal too, about a shifted centre; its share goes by
how well it explains what is given. Probabilities are sums of normal ones, on a logarithmic scale in both tails, of the intervals
(``intervals``) whose values an end brings back into the support.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from scipy.special import logsumexp

from fastkl._core.array_types import Floats
from fastkl._core.rows import Rows
from fastkl.density.base import BaseDensity
from fastkl.density.kernel.boundaries import Support
from fastkl.density.kernel.directional import support_of
from fastkl.density.kernel.intervals import log_image_terms, log_tails
from fastkl.density.kernel.kernels import KERNELS
from fastkl.density.kernel.units import Units

OF_THE_FIT = ("loo_log_likelihood_", "converged_", "n_iter_", "shifts_")
PAIRS = 1 << 20  # of queries and references at a time


class KernelParts(BaseDensity):
    """Members of a kernel density that a Gaussian kernel has in closed form."""

    kernel: str
    bandwidth: Any
    bandwidth_: Any
    references_: Floats
    reference_weights_: Floats | None
    _sums: Any

    @property
    def _support(self) -> Support:
        """Where rows lie."""
        ends, d = getattr(self, "ends_", None), self.references_.shape[1]
        return support_of(self.kernel, ends, d, self._column_names())

    @property
    def _coordinates(self) -> Floats:
        """The references in coordinates that are smoothed."""
        coordinates: Floats = self._support.inner(self.references_)[0]
        return coordinates

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

    def _raise_without_tails(self, what: str) -> None:
        """AttributeError unless probabilities are sums over references: a Gaussian kernel's, or another one's of one column."""
        if self.n_features_in_ > 1 or self._support.folded:
            self._raise_unless_gaussian(what)
        self._raise_for_circles(what)

    def _raise_for_matrix(self, what: str) -> None:
        if np.ndim(self.bandwidth_) == 2:
            raise AttributeError(f"A kernel density with a bandwidth matrix has no {what} in closed form.")

    def _raise_for_circles(self, what: str) -> None:
        if any(column.kind == "circular" for column in self._support.columns):
            raise AttributeError(f"A circular column has no {what}: a circle has no beginning.")

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
        part.boundary = part.ends_ = self._support.part(columns)
        part.n_features_in_ = len(columns)
        vars(part).pop("feature_names_in_", None)
        own = Support([self._support.columns[j] for j in columns])
        references = centres if own.plain else own.outer(np.array(centres), self.references_[:, columns])
        for name in OF_THE_FIT:
            vars(part).pop(name, None)
        part.bandwidth = part.bandwidth_ = bandwidth
        part.references_ = np.ascontiguousarray(references)
        part.reference_weights_, part._sums = weights, None
        if hasattr(self, "local_bandwidths_"):
            part.local_bandwidths_ = self.local_bandwidths_[kept]
        return part

    def _marginal(self, columns: list[int]) -> Any:
        self._raise_unless_gaussian("marginals")
        own = np.asarray(self.bandwidth_)
        bandwidth = (
            self.bandwidth_ if own.ndim == 0 else own[columns] if own.ndim == 1 else own[np.ix_(columns, columns)]
        )
        return self._with(columns, self._centres[:, columns], bandwidth, self.reference_weights_)

    def _conditional(self, kept: list[int], given: list[int], values: list[Any]) -> Any:
        self._raise_unless_gaussian("conditional distributions")
        support, local = self._support, self._local()
        given_support = Support([support.columns[j] for j in given])
        at = given_support.inner(np.asarray([values], dtype=np.float64))[0][0]
        covariance = Units(self.bandwidth_, np.zeros(self.n_features_in_)).covariance
        of_given = Units(covariance[np.ix_(given, given)], at)
        apart = of_given.of_queries(self._centres[:, given])
        logs = -0.5 * np.sum(apart**2, axis=1) / local**2 - len(given) * np.log(local)
        if support.folded:
            self._raise_for_matrix("conditional distributions")
            widths = np.sqrt(np.diag(covariance))
            logs = np.zeros(len(local))
            for j, value in zip(given, at, strict=True):
                logs += log_image_terms(support.columns[j], value, self._centres[:, j], widths[j] * local)
        if self.reference_weights_ is not None:
            logs = logs + np.log(self.reference_weights_)
        weights = np.exp(logs - logs.max())
        rows = np.flatnonzero(weights)
        across = np.linalg.solve(covariance[np.ix_(given, given)], covariance[np.ix_(given, kept)])
        centres = self._centres[:, kept] - of_given.scaled(apart) @ across
        left = covariance[np.ix_(kept, kept)] - covariance[np.ix_(kept, given)] @ across
        own = np.asarray(self.bandwidth_)
        bandwidth = self.bandwidth_ if own.ndim == 0 else own[kept] if own.ndim == 1 else 0.5 * (left + left.T)
        return self._with(kept, np.asarray(centres[rows], dtype=np.float64), bandwidth, weights[rows], rows)

    # -- probabilities -----------------------------------------------------------------------------------------------------

    def _tail(self, which: str, X: Any) -> Floats:
        self._check_fitted()
        self._raise_without_tails(which)
        d = self.n_features_in_
        if d > 1:
            self._raise_for_matrix(which)
        if d > 1 and which.endswith("sf"):
            raise AttributeError(f"{which} is of one column; take that of marginal(column).")
        rows = self._read(X).X.astype(np.float64)
        if np.isnan(rows).any():
            row, column = np.argwhere(np.isnan(rows))[0]
            raise ValueError(f"Input X contains NaN: row {row}, column {column}.")
        coordinates = self._support.clipped(rows)
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
        widest = float(self._widths()[0] * np.max(self._local()))
        column, centres = self._support.columns[0], self._centres
        ends = (column.low, column.high) if column.kind == "reflect" else (-np.inf, np.inf)
        low = np.full(len(q), max(float(centres.min()) - 40.0 * widest, ends[0]))
        high = np.full(len(q), min(float(centres.max()) + 40.0 * widest, ends[1]))
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
