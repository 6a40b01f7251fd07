"""What a fitted kernel density answers: log-densities, their slopes, draws, moments, entropy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastkl._core._threads import effective_n_threads
from fastkl._core.array_types import Floats
from fastkl._core.means import Mean
from fastkl._core.rows import Rows
from fastkl._core.wording import did_you_mean
from fastkl.density.kernel.columns.directional import DIRECTIONAL, DirectionalSums, draw_directional
from fastkl.density.kernel.shards import ShardMembers
from fastkl.density.kernel.sums.folded import FoldedSums, weight_of_others
from fastkl.density.kernel.sums.kernels import KERNELS
from fastkl.density.kernel.sums.mixed import Groups, MixedSums
from fastkl.density.kernel.sums.units import Units, median_of
from fastkl.density.summary import Line
from fastkl.density.validation import read_rows
from fastkl.divergence import Estimate
from fastkl.families.drawing import AT_ONCE
from fastkl.rows.checks import raise_if_not_finite
from fastkl.rows.tables import rows_as

AnySums = FoldedSums | DirectionalSums | MixedSums


class FittedKernelDensity(ShardMembers):
    """A kernel density with known references and bandwidths. A subclass learns them."""

    bandwidth: Any
    kernel: str
    error: float
    n_jobs: int | None
    bandwidth_: Any
    references_: Floats
    reference_weights_: Floats | None
    adaptive: bool
    bias_reduction: str | None
    boundary: Any
    column_types: Any
    dtypes_: list[str] | None
    local_bandwidths_: Floats
    shifts_: Floats
    _sums: tuple[Any, AnySums] | None = None  # arranged once for the parameters that it depends on

    def _check_parameters(self) -> None:
        """ValueError or TypeError for parameters out of their range."""
        known = (*KERNELS, *DIRECTIONAL)
        if self.kernel not in known:
            meant = did_you_mean(self.kernel, known)
            raise ValueError(f"There is no kernel {self.kernel!r}.{meant} Kernels: {', '.join(known)}.")
        if isinstance(self.error, bool) or not isinstance(self.error, int | float | np.number):
            raise TypeError(f"error is a number of nats, not {self.error!r}.")
        if not 0.0 <= self.error < 1.0:
            raise ValueError(f"error is a number of nats from 0 up to 1, not {self.error!r}.")
        if not isinstance(self.adaptive, bool | np.bool_):
            raise TypeError(f"adaptive is True or False, not {self.adaptive!r}.")
        if self.bias_reduction not in (None, "score"):
            raise ValueError(f"bias_reduction is None or 'score', not {self.bias_reduction!r}.")
        self._check_together()

    def _check_together(self) -> None:
        """ValueError for parameters that do not go together."""
        directional = self.kernel in DIRECTIONAL
        if self.bias_reduction and (self.kernel != "gaussian" or self.adaptive):
            raise ValueError(
                "bias_reduction='score' takes kernel='gaussian' and adaptive=False: its shift is derived for these."
            )
        if directional and (self.adaptive or self.boundary is not None):
            raise ValueError(
                f"kernel={self.kernel!r} has a support of its own and one bandwidth for all rows: it takes boundary=None and "
                "adaptive=False. Angles beside other columns are boundary={column: ('circular', period)} of a Gaussian kernel."
            )
        if self.column_types is not None and (directional or self.bias_reduction):
            what = f"kernel={self.kernel!r}" if directional else f"bias_reduction={self.bias_reduction!r}"
            raise ValueError(f"{what} takes column_types=None: it is of columns of numbers alone.")
        if self.bias_reduction and self.boundary is not None:
            raise ValueError(
                "bias_reduction='score' takes boundary=None: its shift is derived for columns without an end."
            )

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())
        state.pop("_sums", None)  # is arranged anew
        return state

    def _all_threads(self) -> int:
        return effective_n_threads(self.n_jobs)

    # -- scoring -----------------------------------------------------------------------------------------------------------

    def _sums_of(self, n_threads: int) -> AnySums:
        """The references arranged in units of the bandwidth."""
        key = (self.kernel, float(self.error), n_threads)
        if self._sums is None or self._sums[0] != key:
            self._sums = (key, self._arranged(n_threads))
        return self._sums[1]

    def _arranged(self, n_threads: int) -> AnySums:
        options: dict[str, Any] = {"error": self.error, "n_threads": n_threads}
        weights, kernel, bandwidth = self.reference_weights_, self.kernel, self.bandwidth_
        if kernel in DIRECTIONAL:
            return DirectionalSums(self.references_, weights, kernel, bandwidth, **options)
        support, options["local"] = self._support, getattr(self, "local_bandwidths_", None)
        if support.kernels:
            points, continuous = self._coordinates, support.continuous
            centre = median_of(points[:, continuous])
            mirrors, groups = support.taken(continuous).mirrors(centre), Groups(points, support.kernels, n_threads)
            return MixedSums(groups, weights, kernel, bandwidth, centre, mirrors, **options)
        centre = median_of(self._coordinates)
        return FoldedSums.of(self._centres, weights, kernel, bandwidth, centre, support.mirrors(centre), **options)

    def _total_weight(self) -> float:
        weights = self.reference_weights_
        return float(len(self.references_)) if weights is None else float(weights.sum())

    def _log_density_of(self, rows: Rows) -> Floats:
        """Of rows as a source holds them."""
        if not self._types.kinds:
            return self._log_density_at(rows)
        return self._checked_log_density(self._types.coded(rows))

    def _log_density_at(self, rows: Rows) -> Floats:
        """Of rows of numbers."""
        sums, support = self._sums_of(rows.n_threads), self._support
        coordinates, outside = support.inner(rows.X)
        logs: Floats = sums.log_sums(coordinates) - (np.log(self._total_weight()) + sums.log_constant)
        if outside is not None:
            with np.errstate(invalid="ignore"):
                logs += support.log_slope(rows.X)
            logs[outside] = -np.inf
        return logs

    def _read(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> Rows:
        self._check_fitted()
        types = self._types
        rows = read_rows(self, X, sample_weight, labels=bool(types.kinds))
        return types.coded(rows) if types.kinds else rows

    def _takes_labels(self) -> bool:
        return self.column_types is not None

    def _is_discrete(self) -> bool:
        return bool(getattr(self, "column_types_", self.column_types))

    @property
    def discrete_(self) -> bool:
        """Whether all columns are of labels or whole numbers, so that log-densities are log-probabilities."""
        return len(self._types.kinds) == self.n_features_in_

    @property
    def discrete_columns_(self) -> frozenset[int]:
        """Numbers of the columns of labels and of whole numbers, whose log-densities are log-probabilities."""
        return frozenset(self._types.kinds)

    def _checked_log_density(self, rows: Rows) -> Floats:
        values = self._log_density_at(rows)
        if not np.isfinite(values.sum()):
            raise_if_not_finite(rows)
        return values

    def score_samples(self, X: ArrayLike) -> Floats:
        """Log-density of every row.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows.

        Returns
        -------
        ndarray of shape (n,)
            In nats. Finite however far out for the Gaussian and the exponential kernel, unless the squared distance in bandwidths
            leaves the range of numbers; -inf beyond the end of the others.
        """
        return self._checked_log_density(self._read(X))

    def _scored(self, X: ArrayLike, sample_weight: ArrayLike | None) -> tuple[float, float]:
        rows = self._read(X, sample_weight)
        return rows.weighted_sum(self._checked_log_density(rows)), rows.total_weight

    def score_gradient(self, X: ArrayLike) -> Floats:
        """Gradient of the log-density with respect to the row (the "score" of diffusion models).

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows.

        Returns
        -------
        ndarray of shape (n, d)
            In nats per unit of the columns; 0 where the density is 0, and where a kernel has no slope. NaN in columns of labels
            and whole numbers, between which there is none.

        Examples
        --------
        >>> from fastkl import KernelDensityMLE
        >>> KernelDensityMLE(bandwidth=2.0).fit([[0.0]]).score_gradient([[1.0], [-4.0]])
        array([[-0.25],
               [ 1.  ]])
        """
        rows = self._read(X)
        raise_if_not_finite(rows)
        coordinates, outside = self._support.inner(rows.X)
        slopes = self._support.slopes(rows.X, self._sums_of(rows.n_threads).slopes(coordinates)[1])
        if outside is not None:
            slopes[outside] = 0.0
        return slopes

    def leave_one_out(self) -> Floats:
        """Log-density of every fitted row under the density of the others.

        Returns
        -------
        ndarray of shape (m,)
            In nats, in the order of ``references_``; a row is left out with all of its weight.

        Raises
        ------
        ValueError
            If there is a single row.

        Examples
        --------
        >>> from fastkl import KernelDensityMLE
        >>> KernelDensityMLE(bandwidth=1.0).fit([[0.0], [1.0], [3.0]]).leave_one_out().round(3)
        array([-2.094, -1.911, -3.533])
        """
        self._check_fitted()
        if len(self.references_) < 2:
            raise ValueError("A single row has no others: leave_one_out needs at least 2 rows.")
        return self._leave_one_out(self._all_threads())

    def _leave_one_out(self, n_threads: int) -> Floats:
        sums = self._sums_of(n_threads)
        others = weight_of_others(self.reference_weights_, len(self.references_))
        places = self._coordinates if hasattr(self, "shifts_") else None
        logs: Floats = sums.leave_one_out(rows=places)[0] - np.log(others) - sums.log_constant
        return logs + self._support.log_slope(self.references_)

    # entropy of the others is that of the distribution; here its best estimate is at hand, from the rows themselves
    def entropy(self, *, leave_one_out: bool = True, **options: Any) -> Estimate:
        """Entropy: of the data distribution by leaving out each row in turn, or of the density itself by draws.

        Parameters
        ----------
        leave_one_out : bool, default=True
            Minus the mean leave-one-out log-density of the fitted rows, which errs upwards by the divergence of the estimate.
            False takes a mean over draws from the density itself, which is smoother than the data.
        **options
            Passed on to :func:`fastkl.entropy` for draws, such as ``random_state`` and ``n_draws``.

        Returns
        -------
        Estimate
            In nats, with its standard error.

        Raises
        ------
        TypeError
            If there are options of draws, and no draws.

        Examples
        --------
        >>> import numpy as np
        >>> from fastkl import KernelDensityMLE
        >>> X = np.random.default_rng(0).normal(size=(2000, 1))
        >>> KernelDensityMLE().fit(X).entropy()
        Estimate(1.42232 ± 0.0155 nats, method='leave one out', n_samples=2000)
        """
        self._check_fitted()
        if not leave_one_out:
            return super().entropy(**options)
        if options:
            raise TypeError(f"{', '.join(options)}: options of draws, which leave_one_out=False takes.")
        logs = self.leave_one_out()
        mean = Mean.of(-logs, self.reference_weights_)
        alone = np.flatnonzero(np.isneginf(logs))
        reasons = [
            f"No kernel of another row reaches row {row}, so that it has density 0 without its own: widen the bandwidth, take "
            "kernel='gaussian', or leave_one_out=False for the entropy of this density."
            for row in alone[:1]
        ]
        return Estimate(mean.value, mean.error, mean.n_rows, "leave one out", {"reasons": reasons})

    # -- the distribution --------------------------------------------------------------------------------------------------

    def _draw(self, n_samples: int, generator: np.random.Generator) -> Any:
        weights = self.reference_weights_
        shares = None if weights is None else weights / weights.sum()
        step = max(1, AT_ONCE // self.n_features_in_)
        drawn = self._drawn(min(step, n_samples), shares, generator)
        if n_samples > step:
            first, drawn = drawn, np.empty((n_samples, drawn.shape[1]), dtype=drawn.dtype)
            drawn[:step] = first
            for start in range(step, n_samples, step):
                drawn[start : start + step] = self._drawn(min(step, n_samples - start), shares, generator)
        if not self._support.kernels:
            return drawn
        return rows_as(self.dtypes_, self._types.values(drawn), self._column_names())

    def _drawn(self, n_samples: int, shares: Floats | None, rng: np.random.Generator) -> Floats:
        """Draws that are made at once, of the kernel around references at random; labels as numbers."""
        chosen = rng.choice(len(self.references_), size=n_samples, p=shares)
        if self.kernel in DIRECTIONAL:
            centres = self.references_[chosen].astype(np.float64)
            around = draw_directional(self.kernel, centres, self.bandwidth_, rng)
            return self._support.outer(around, self.references_)
        support, continuous = self._support, self._support.continuous
        drawn: Floats = self._centres[chosen].astype(np.float64)
        if continuous:
            noise = KERNELS[self.kernel].draw(rng, n_samples, len(continuous))
            if hasattr(self, "local_bandwidths_"):
                noise *= self.local_bandwidths_[chosen, np.newaxis]
            drawn[:, continuous] += self._units_of(continuous).scaled(noise)
        for j, kernel in support.kernels.items():
            drawn[:, j] = kernel.draw(drawn[:, j], float(self.bandwidth_[j]), rng)
        return support.outer(drawn, self.references_)

    def _moments(self) -> tuple[Floats, Floats]:
        if not self._support.plain or self.kernel in DIRECTIONAL:
            raise AttributeError(
                "A kernel density with a boundary, of directions or of columns of labels has no moments in closed form; take "
                "those of many draws, model.sample(100_000), or of a marginal."
            )
        rows = self._centres.astype(np.float64)
        centre, weights = np.median(rows, axis=0), self.reference_weights_
        mean = np.average(rows - centre, axis=0, weights=weights)
        spread = np.atleast_2d(np.cov((rows - centre).T, bias=True, aweights=weights))
        of_kernel = KERNELS[self.kernel].variance(self.n_features_in_)
        if hasattr(self, "local_bandwidths_"):
            of_kernel *= float(np.average(self.local_bandwidths_**2, weights=weights))
        return centre + mean, spread + of_kernel * Units(self.bandwidth_, centre).covariance

    # -- what it says of itself --------------------------------------------------------------------------------------------

    def _fitted_weight(self) -> float | None:
        return self._total_weight()

    def _summary_title(self) -> str:
        return f"{self.kernel} kernel density"

    def _summary_lines(self, names: Sequence[str], figures: Any) -> list[Line]:
        own = np.asarray(self.bandwidth_)
        widths = np.sqrt(np.diag(own)) if own.ndim == 2 else np.broadcast_to(own, len(names))
        return [Line(name, "bandwidth", float(width)) for name, width in zip(names, widths, strict=True)]
