"""The first half of an EM map: the responsibilities of components for rows, and the statistics of the rows under them.

Both are formed for a block of rows at a time and merged in the order of the blocks: memory does not grow with the
number of rows times that of components, and the same lines serve rows in memory, on disk and in other processes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fastkl._core._threads import BLOCK_ROWS
from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.rows import AnyRows, Rows
from fastkl._core.wording import capital
from fastkl.exceptions import SupportError
from fastkl.families._mixture import IncompleteNormals, log_sum_exp, weighted_sum
from fastkl.families.base import Family
from fastkl.families.gradient_sums import added
from fastkl.families.incomplete import expected_statistics, log_terms
from fastkl.families.mixture.layout import WEIGHTS, Group, Layout
from fastkl.families.mixture.normals import Moments, StackedNormals, merged_moments
from fastkl.families.noisy import Measured, chunk_rows, measured
from fastkl.families.noisy import expected_statistics as noisy_statistics

FAR = 1e70  # beyond, powers that log-densities are made of may overflow
BLOCK_NUMBERS = 1 << 19  # responsibilities of a block: 4 MB, some three times of which are in use at once


@dataclass(frozen=True)
class Expectation:
    """What a pass over the rows says of the components at some parameters.

    Parameters
    ----------
    log_likelihood : float
        Of the rows, at these parameters.
    weights : ndarray of shape (k,)
        Responsibilities summed over the rows.
    statistics : list of k statistics
        Of the rows under each component's responsibilities; None for families without.
    slopes : list of k gradients
        By the parameters of each component, for these families; None for the others.
    moments : Moments or None
        Of all components at once, where all are normal and of one kind.
    """

    log_likelihood: float
    weights: Floats
    statistics: list[Statistics | None]
    slopes: list[Params | None]
    moments: Moments | None = None


@dataclass(frozen=True)
class Components:
    """The components of a mixture at their parameters, as they meet a block of rows."""

    layout: Layout
    stacked: Params

    def __getstate__(self) -> dict[str, Any]:
        # without what follows: the form of the compiled pass stays in its process
        return {"layout": self.layout, "stacked": self.stacked}

    @property
    def weights(self) -> Floats:
        """The weights of the components."""
        found: Floats = self.stacked[WEIGHTS]
        return found

    @cached_property
    def params(self) -> list[Params]:
        """The parameters of each component."""
        return self.layout.split(self.stacked)

    @property
    def block_rows(self) -> int:
        """Rows of a block."""
        return max(BLOCK_ROWS, BLOCK_NUMBERS // self.layout.size)

    @cached_property
    def log_weights(self) -> Floats:
        with np.errstate(divide="ignore"):
            return np.log(self.weights)

    @cached_property
    def of_incomplete_rows(self) -> IncompleteNormals:
        """All components in the form of the compiled pass over rows of which some values are unknown; all are normal."""
        means, covariances = zip(*self._moments, strict=True)
        np.linalg.cholesky(np.stack(covariances))  # LinAlgError for one that is none
        return IncompleteNormals(self.log_weights, means, covariances)

    @cached_property
    def normals(self) -> StackedNormals | None:
        """All components at once, where they are normal and of one kind."""
        return StackedNormals.of(self.layout, self.stacked)

    def logs(self, rows: Rows) -> Floats:
        """log(weight) + log-density of every component at every row, (k, n)."""
        if rows.noise is not None:
            parts = [np.stack([one.log_density for one in self._measured(part)]) for part in self._noisy_parts(rows)]
            return np.concatenate(parts, axis=1) + self.log_weights[:, None]
        if rows.incomplete:
            return log_terms(self.of_incomplete_rows, rows)
        logs = np.empty((self.layout.size, len(rows.X)))
        for group in self.layout.groups:
            members = list(group.members)
            logs[members] = group.family.component_log_density(rows, [self.params[k] for k in members]).T
        logs += self.log_weights[:, None]
        return logs

    def responsibilities(self, rows: Rows) -> tuple[Floats, Floats]:
        """The log-density of every row, (n,), and the posterior probability of every component, (k, n)."""
        shares = self.logs(rows)
        return log_sum_exp(shares, True, rows.n_threads), shares

    def evidence(self, rows: Rows) -> Floats:
        """The log-density of every row under the mixture, (n,)."""
        if self.normals is not None and not rows.incomplete and rows.noise is None:
            return self.normals.evidence(rows)
        parts = [log_sum_exp(self.logs(part), False, rows.n_threads) for part in self.parts(rows)]
        return np.concatenate(parts)

    def parts(self, rows: Rows) -> Iterator[Rows]:
        """Rows in memory, cut so that what is formed for each of them stays small."""
        for first in range(0, len(rows.X), self.block_rows):
            yield rows if len(rows.X) <= self.block_rows else rows.part(first, first + self.block_rows)

    # -- over all rows -----------------------------------------------------------------------------------------------------

    def expectation(self, rows: AnyRows) -> Expectation:
        """One pass over the rows; SupportError for a row outside the support of every component."""
        if isinstance(rows, Rows) and rows.noise is not None:
            return rows.total(self._noisy_block, merge=self._merged, block_rows=self.block_rows)
        if rows.incomplete:
            return rows.total(self._incomplete_block, merge=self._merged)
        if self.normals is not None:
            return rows.total(self._normal_block, merge=self._merged)
        return rows.total(self._block, merge=self._merged, block_rows=self.block_rows)

    def _normal_block(self, rows: Rows) -> Expectation:
        assert self.normals is not None
        found = self.normals.moments(rows)
        if found.log_likelihood == -np.inf:
            raise_outside(rows, self.normals.evidence(rows))
        return self._of_moments(found)

    def _of_moments(self, found: Moments) -> Expectation:
        assert self.normals is not None
        statistics: list[Statistics | None] = list(self.normals.statistics(found))
        return Expectation(found.log_likelihood, found.weights, statistics, [None] * len(statistics), found)

    def _incomplete_block(self, rows: Rows) -> Expectation:
        if not rows.incomplete:  # a block of a source that holds all its values
            return self._block(rows) if self.normals is None else self._normal_block(rows)
        full = [family.covariance_type == "full" for family in self.layout.component_families]
        total, found = expected_statistics(self.of_incomplete_rows, rows, full)
        weights = np.array([own["weight"] for own in found])
        return Expectation(total, weights, list(found), [None] * len(found))

    @cached_property
    def _moments(self) -> list[tuple[Floats, Floats]]:
        """Mean and covariance of every component, all of which are normal."""
        return [family.moments(own) for family, own in zip(self.layout.component_families, self.params, strict=True)]

    def _noisy_parts(self, rows: Rows) -> Iterator[Rows]:
        step = chunk_rows(rows, self.layout.size)
        for first in range(0, len(rows.X), step):
            yield rows.part(first, first + step)

    def _measured(self, rows: Rows) -> list[Measured]:
        return [measured(rows, *moments) for moments in self._moments]

    def expected_rows(self, rows: Rows) -> Floats:
        """The expected noise-free row of every one that was measured with noise, (n, d)."""
        found = []
        for part in self._noisy_parts(rows):
            own = self._measured(part)
            shares = np.stack([one.log_density for one in own]) + self.log_weights[:, None]
            log_sum_exp(shares, True, rows.n_threads)
            means = [mean + one.to_mean for one, (mean, _) in zip(own, self._moments, strict=True)]
            found.append(np.einsum("kn,knd->nd", shares, np.stack(means)))
        return np.concatenate(found)

    def _noisy_block(self, rows: Rows) -> Expectation:
        """Of rows that were measured with noise: what they say of the noise-free distribution."""
        found: Expectation | None = None
        for part in self._noisy_parts(rows):
            own = self._measured(part)
            shares = np.stack([one.log_density for one in own]) + self.log_weights[:, None]
            evidence = log_sum_exp(shares, True, rows.n_threads)
            if part.weights is not None:
                shares = shares * part.weights
            statistics: list[Statistics | None] = [
                noisy_statistics(one, mean, share, family.covariance_type == "full")
                for family, one, (mean, _), share in zip(
                    self.layout.component_families, own, self._moments, shares, strict=True
                )
            ]
            total = weighted_sum(evidence, part.weights)
            more = Expectation(total, shares.sum(axis=1), statistics, [None] * len(own))
            found = more if found is None else self._merged(found, more)
        assert found is not None
        return found

    def _block(self, rows: Rows) -> Expectation:
        evidence, shares = self.responsibilities(rows)
        total = weighted_sum(evidence, rows.weights)
        if total == -np.inf:
            raise_outside(rows, evidence)
        weights = np.array([weighted_sum(own, rows.weights) for own in shares])
        statistics: list[Statistics | None] = [None] * self.layout.size
        slopes: list[Params | None] = [None] * self.layout.size
        for group in self.layout.groups:
            members = list(group.members)
            if group.family.has_statistics:
                sums = group.family.component_statistics(rows, shares[members].T)
                for k, own in zip(members, sums, strict=True):
                    statistics[k] = own
            else:
                for k, (_, slope) in zip(members, self._likelihoods(group, rows, shares), strict=True):
                    slopes[k] = slope
        return Expectation(total, weights, statistics, slopes)

    def _likelihoods(self, group: Group, rows: Rows, shares: Floats) -> list[tuple[float, Params]]:
        members = list(group.members)
        return group.family.component_likelihoods(rows, [self.params[k] for k in members], shares[members].T)

    def _merged(self, first: Expectation, second: Expectation) -> Expectation:
        if first.moments is not None and second.moments is not None:
            return self._of_moments(merged_moments(first.moments, second.moments))
        statistics, slopes = list(first.statistics), list(first.slopes)
        for group in self.layout.groups:
            for k in group.members:
                one, other = first.statistics[k], second.statistics[k]
                if one is not None and other is not None:
                    statistics[k] = group.family.merge_statistics(one, other)
                slope, further = first.slopes[k], second.slopes[k]
                if slope is not None and further is not None:
                    slopes[k] = added(slope, further)
        total = first.log_likelihood + second.log_likelihood
        return Expectation(total, first.weights + second.weights, statistics, slopes)

    def gradient(self, rows: Rows) -> tuple[float, Params]:
        """Log-likelihood of a block and its gradient by the mixture's parameters."""
        found = self._incomplete_block(rows) if rows.noise is None else self._noisy_block(rows)
        return found.log_likelihood, self.gradient_of(found)

    def weight_slopes(self, sums: Floats) -> Floats:
        """The gradient by the weights, along the simplex, from responsibilities summed over the rows."""
        slopes: Floats = sums / np.where(self.weights > 0.0, self.weights, np.inf) - np.sum(sums)
        return slopes

    def gradient_of(self, expectation: Expectation) -> Params:
        """The gradient of the log-likelihood at these parameters, from a pass over the rows there (Fisher's identity)."""
        if self.normals is not None and expectation.moments is not None:
            return {WEIGHTS: self.weight_slopes(expectation.weights), **self.normals.slopes(expectation.moments)}
        slopes: list[Params] = [{} for _ in range(self.layout.size)]
        for group in self.layout.groups:
            for k in group.members:
                statistics, slope = expectation.statistics[k], expectation.slopes[k]
                if statistics is not None:
                    slope = group.family.statistics_gradient(statistics, self.params[k])
                assert slope is not None
                slopes[k] = slope
        return self.layout.summed(slopes, self.weight_slopes(expectation.weights))


def gradient_block(rows: Rows, layout: Layout, params: Params) -> tuple[float, Params]:
    """Log-likelihood and gradient of a block."""
    return Components(layout, params).gradient(rows)


def raise_outside(rows: Rows, evidence: Floats) -> None:
    """SupportError that names the first row of density zero."""
    absent: Any = 0.0 if rows.weights is None else rows.weights == 0.0
    row = int(np.argmax((evidence == -np.inf) & ~np.asarray(absent, dtype=bool)))
    values = ", ".join(map(str, rows.X[row][:5].tolist()))
    raise SupportError(
        f"{capital(rows.row(row))} ({values}{', ...' if rows.n_columns > 5 else ''}) {where_outside(rows.X[row])}. Remove or "
        "transform the row, or add a component whose support holds it."
    )


def where_outside(row: Any) -> str:
    """Where a row of density zero is: a square of a number far out is more than numbers hold, whatever the support."""
    if row.dtype.kind == "f" and np.max(np.abs(row)) > FAR:
        return (
            "lies outside the support of every component, or so far from all of them that its density is 0 to rounding"
        )
    return "lies outside the support of every component"


def shared_scores(family: Family, rows: Rows, params: Params, shares: Floats) -> Params | None:
    """The scores of the rows under a component, times its share in them; None where the family leaves them to differences.

    A row outside the component's support has no slope there, and no share.
    """
    inside = shares > 0.0
    part = rows if inside.all() else Rows(rows.X[inside], incomplete=rows.incomplete)
    own = family.score_rows(part, params)
    if own is None:
        return None
    found: Params = {name: np.zeros((len(shares), *np.shape(value))) for name, value in params.items()}
    for name, value in own.items():
        found[name][inside] = shares[inside].reshape(-1, *[1] * (value.ndim - 1)) * value
    return found
