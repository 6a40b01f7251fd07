"""The last steps to the maximum of a multivariate t likelihood: few passes over many rows, in memory or not.

The maximum on a sample of the rows is close to that on all of them, and so is the curvature there. From it the ascent takes
quasi-Newton steps in whitened coordinates; every pass sums log-likelihood and gradient at once, and corrects the curvature along
the step (BFGS). Where no such step rises, the sums of the last pass give a step of EM, which always does, and the curvature is
summed over all rows, or in many columns expected. Only sums over the rows are kept, no number per row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh, solve_triangular

from fastkl._core.array_types import Floats, Params
from fastkl._core.iterations import report
from fastkl._core.rows import AnyRows
from fastkl._core.special.student_degrees import log_constant_slopes
from fastkl.exceptions import DegenerateDataError
from fastkl.families.multivariate_t.degeneracy import raise_if_collapsed
from fastkl.families.multivariate_t.expected import OBSERVED_COLUMNS, ExpectedCovariance
from fastkl.families.multivariate_t.information import information_sums, whitened_information
from fastkl.families.multivariate_t.sums import StudentSums, student_sums
from fastkl.families.solvers.newton import NOISE, weight_unit

SHORTEN = 0.25
MOST_SHORTENINGS = 2
LONGEST_STEP = 2.5  # in units of the scale; likewise for k
FIRST_K = 0.05
NEGLIGIBLE = 1e-23  # gain per unit of weight at which steps that no longer shrink are rounding
TRUSTED = 10  # steps, or one for each column, after which the curvature is summed anew over all rows


@dataclass(frozen=True)
class Point:
    """A place in the coordinates, the parameters there, log-likelihood and gradient, and the sums they are from.

    The log-likelihood and the gradient are those of weights in the ascent's unit.
    """

    u: Floats
    k: float
    loc: Floats
    scale: Floats
    value: float
    slope: Floats
    sums: StudentSums


class InverseInformation:
    """A positive definite matrix that vectors are multiplied by, corrected along the steps taken since (BFGS).

    The corrections are kept as pairs of vectors and applied one after the other (Nocedal 1980, doi:10.2307/2006193): of many
    columns the matrix itself would be too large.
    """

    def __init__(self, first: Callable[[Floats], Floats]):
        self._first = first
        self._pairs: list[tuple[Floats, Floats, float]] = []

    def correct(self, step: Floats, fall: Floats) -> None:
        """Explain by how much the gradient fell along a step."""
        along = float(step @ fall)
        if along > 1e-8 * float(np.linalg.norm(step) * np.linalg.norm(fall)):
            self._pairs.append((step, fall, along))

    def times(self, vector: Floats) -> Floats:
        """The product."""
        left, shares = vector.copy(), []
        for step, fall, along in reversed(self._pairs):
            shares.append(float(step @ left) / along)
            left -= shares[-1] * fall
        found = np.array(self._first(left))
        for (step, fall, along), share in zip(self._pairs, reversed(shares), strict=True):
            found += (share - float(fall @ found) / along) * step
        return found


def parameters(fixed: Params, k: float, loc: Floats, scale: Floats) -> Params:
    """By the family's names; k = 0 is an infinite df."""
    return {"df": fixed.get("df", np.float64(np.inf if k == 0.0 else 1.0 / k)), "loc": loc, "scale": scale}


class Ascent:
    """Coordinates k = 1 / df, eta, E: loc is moved by L eta, and scale by L E L' for the upper triangle E, with L L' = scale.

    Parameters
    ----------
    rows : AnyRows
        All rows.
    fixed : dict
        Parameters held fixed.
    loc, scale, k : arrays, float
        Where to start.
    covariance : ndarray of shape (d, d) or None
        That of all rows, where scale is free.
    information : ndarray of shape (p, p) or None
        About minus the second derivative of the log-likelihood there; None asks for a pass that sums it, in few columns.
    """

    def __init__(
        self,
        rows: AnyRows,
        fixed: Params,
        loc: Floats,
        scale: Floats,
        k: float,
        covariance: Floats | None,
        information: Floats | None = None,
    ):
        self.rows, self.total, self.fixed, self.d = rows, rows.total_weight, fixed, len(loc)
        self.unit = weight_unit(self.total)
        self.weight = self.total / self.unit
        self.loc, self.scale, self.lower = loc, scale, np.linalg.cholesky(scale)
        self.i, self.j = np.triu_indices(self.d)
        groups = {"df": 1, "loc": self.d, "scale": len(self.i)}
        self.free = np.concatenate([np.full(size, name not in fixed) for name, size in groups.items()])
        self.start = np.zeros(len(self.free))
        self.start[0] = k
        self.covariance, self.information = covariance, None if information is None else information / self.unit

    # -- coordinates -------------------------------------------------------------------------------------------------------

    def point(self, u: Floats) -> Point | None:
        """One pass; None where scale is not positive definite or the likelihood is not finite."""
        k, eta, moved = float(u[0]), u[1 : 1 + self.d], np.eye(self.d)
        moved[self.i, self.j] += u[1 + self.d :]
        moved[self.j, self.i] = moved[self.i, self.j]
        loc, scale = self.fixed.get("loc"), self.fixed.get("scale")
        if loc is None:
            loc = self.loc + self.lower @ eta
        if scale is None:
            scale = self.lower @ moved @ self.lower.T
            scale = 0.5 * (scale + scale.T)
        try:
            np.linalg.cholesky(scale)
        except np.linalg.LinAlgError:
            return None
        return self.at(u, k, loc, scale, self.rows.total(student_sums, loc, scale, k))

    def at(self, u: Floats, k: float, loc: Floats, scale: Floats, sums: StudentSums) -> Point | None:
        """The point from what a pass has summed."""
        value = sums.log_likelihood(self.total, scale, k) / self.unit
        by_loc, by_scale = sums.gradient(self.total, loc, scale)
        inner = self.lower.T @ by_scale @ self.lower
        twice = np.where(self.i == self.j, 1.0, 2.0)  # an entry off the diagonal moves two entries of the matrix
        by_k = sums.slope(self.total, k)
        slope = np.concatenate([[by_k], self.lower.T @ by_loc, twice * inner[self.i, self.j]]) / self.unit
        if not np.isfinite(value) or not np.isfinite(slope).all():
            return None
        return Point(u, k, loc, scale, value, slope, sums)

    def em_step(self, at: Point) -> Floats:
        """The step of EM from the sums of the last pass; k stays."""
        own, mean, _ = at.sums.moments
        step = np.zeros(len(at.u))
        loc = at.loc
        if "loc" not in self.fixed:
            step[1 : 1 + self.d] = solve_triangular(self.lower, mean - at.loc, lower=True)
            loc = mean
        if "scale" not in self.fixed:
            half = solve_triangular(self.lower, at.sums.scatter_about(loc) / own - at.scale, lower=True)
            inner = solve_triangular(self.lower, half.T, lower=True)
            step[1 + self.d :] = inner[self.i, self.j]
        return step

    def k_step(self, at: Point) -> float:
        """A Newton step on k at the present distances, at most to ten times or a tenth of it."""
        if not self.free[0] or self.at_limit(at):
            return 0.0
        if at.k == 0.0:
            return FIRST_K
        move = at.slope[0] / max(abs(self.k_curvature(at)), 1e-300)
        return float(np.clip(move, -0.9 * at.k, 9.0 * at.k))

    def k_curvature(self, at: Point) -> float:
        """Second derivative of the log-likelihood by k at the present distances."""
        return float(self.total * log_constant_slopes(at.k, self.d)[1] + at.sums.rises[2]) / self.unit

    def inverse_information(self, information: Floats) -> InverseInformation:
        """By the free coordinates; positive definite also where the information is not."""
        free = np.flatnonzero(self.free)
        values, vectors = eigh(information[np.ix_(free, free)])
        size = np.maximum(np.abs(values), 1e-12 * np.max(np.abs(values), initial=1e-300))
        return InverseInformation(((vectors / size) @ vectors.T).__matmul__)

    def expected_inverse(self, at: Point) -> InverseInformation:
        """That of a t distribution, without its entries of k with those of scale."""
        expected = ExpectedCovariance.of(at.k, self.d, self.weight, ("loc", "scale"))
        of_k, diagonal = 1.0 / max(abs(self.k_curvature(at)), 1e-300), np.flatnonzero(self.i == self.j)

        def times(slope: Floats) -> Floats:
            full = np.zeros(len(self.free))
            full[self.free] = slope
            of_scale = full[1 + self.d :]
            along = expected.g * of_scale[diagonal].sum()
            full[0] *= of_k
            full[1:] *= expected.v
            of_scale[diagonal] += of_scale[diagonal] + along
            return full[self.free]

        return InverseInformation(times)

    def rebased(self, at: Point) -> tuple[Point, InverseInformation]:
        """Coordinates from this point on: the point in them, and the inverse information there, from one pass."""
        self.loc, self.scale, self.lower = at.loc, at.scale, np.linalg.cholesky(at.scale)
        u = np.zeros(len(at.u))
        u[0] = at.k
        new = self.at(u, at.k, at.loc, at.scale, at.sums)
        if self.d > OBSERVED_COLUMNS:
            return (at if new is None else new), self.expected_inverse(at)
        sums = self.rows.total(information_sums, at.loc, self.lower, at.k)
        information = whitened_information(sums, self.total) / self.unit
        information[0, 0] = -self.k_curvature(at)
        return (at if new is None else new), self.inverse_information(information)

    # -- ascent ------------------------------------------------------------------------------------------------------------

    def climb(self, tol: float, max_iter: int) -> tuple[Point, int, bool]:
        """The last point, the passes it took, and whether it is the maximum."""
        at = self.point(self.start)
        if at is None:
            raise DegenerateDataError(
                "The multivariate t likelihood is not finite where the search for its maximum starts."
            )
        if not self.free.any():
            return at, 1, True
        wanted, before, stalled, since = max(1e-6 * np.sqrt(tol), 2e-14), np.inf, 0, 0
        inverse = None if self.information is None else self.inverse_information(self.information)
        for n_iter in range(1, max_iter + 1):
            if inverse is None or since >= max(TRUSTED, self.d):
                (at, inverse), since = self.rebased(at), 0
            step, gain = self.step(at, inverse)
            size = float(np.max(np.abs(step[1:]), initial=abs(step[0]) / max(at.k, at.k + step[0], 1e-300)))
            stalled = stalled + 1 if size >= 0.5 * before else 0
            if size <= wanted or (stalled >= 2 and gain <= NEGLIGIBLE * self.weight):
                return at, n_iter, True
            new = self.advance(at, step)
            if new is None:
                # the curvature is not that of these rows
                new, inverse = self.advance_by_em(at), None
                if new is None:
                    return at, n_iter, gain <= NEGLIGIBLE * self.weight
            else:
                inverse.correct((new.u - at.u)[self.free], (at.slope - new.slope)[self.free])
            if self.covariance is not None:
                raise_if_collapsed(new.scale, self.covariance)
            before, at, since = size, new, since + 1
            if report(self.params_of(at)):
                return at, n_iter, False
        return at, max_iter, False

    def params_of(self, at: Point) -> Callable[[], Params]:
        """What makes the parameters of a point."""
        return lambda: parameters(self.fixed, at.k, at.loc, at.scale)

    def at_limit(self, at: Point) -> bool:
        """Whether k stays at 0, since the likelihood falls from the normal distribution on."""
        return bool(self.free[0] and at.k == 0.0 and at.slope[0] <= 0.0)

    def step(self, at: Point, inverse: InverseInformation) -> tuple[Floats, float]:
        """The next step, and about what it gains; k does not become negative."""
        if self.at_limit(at):
            # the maximum given that k stays: moments
            step = self.em_step(at)
            return step, 0.5 * float(step @ at.slope)
        step = np.zeros(len(at.u))
        step[self.free] = inverse.times(at.slope[self.free])
        gain = 0.5 * float(step @ at.slope)
        longest = float(np.max(np.abs(step[1:]), initial=abs(step[0]) / max(at.k, FIRST_K)))
        step *= min(1.0, LONGEST_STEP / max(longest, 1e-300))
        step[0] = max(step[0], -at.k)
        return step, gain

    def advance(self, at: Point, step: Floats) -> Point | None:
        """The point a step away, or a shorter one where the likelihood would fall."""
        for shortening in range(MOST_SHORTENINGS + 1):
            new = self.point(at.u + SHORTEN**shortening * step)
            if new is not None and new.value >= at.value - NOISE * (abs(at.value) + self.weight):
                return new
        return None

    def advance_by_em(self, at: Point) -> Point | None:
        """The point a step of EM away, with k moved along if that does not make the likelihood fall."""
        step = self.em_step(at)
        for k_step in (self.k_step(at), 0.25 * self.k_step(at), 0.0):
            step[0] = k_step
            new = self.point(at.u + step)
            if new is not None and new.value > at.value:
                return new
        return None
