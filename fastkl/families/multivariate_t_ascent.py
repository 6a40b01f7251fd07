"""The last steps to the maximum of a multivariate t likelihood: few passes over many rows, in memory or not.

The maximum on a sample of the rows is close to that on all of them, and so is the curvature there. From it the ascent takes
quasi-Newton steps in whitened coordinates; every pass sums log-likelihood and gradient at once, and corrects the curvature along
the step (BFGS). Where no such step rises, the sums of the last pass give a step of EM, which always does. Only sums over the rows
are kept, no number per row.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh, solve_triangular

from fastkl.exceptions import DegenerateDataError
from fastkl.families.base import AnyRows, Floats, Params
from fastkl.families.multivariate_t_degeneracy import raise_if_collapsed
from fastkl.families.multivariate_t_sums import StudentSums, student_sums
from fastkl.families.newton import NOISE
from fastkl.families.student_degrees import log_constant_slopes

SHORTEN = 0.25
MOST_SHORTENINGS = 2
NEGLIGIBLE = 1e-18  # gain per unit of weight at which steps that no longer shrink are rounding


@dataclass(frozen=True)
class Point:
    """A place in the coordinates, the parameters there, log-likelihood and gradient, and the sums they are from."""

    u: Floats
    k: float
    loc: Floats
    scale: Floats
    value: float
    slope: Floats
    sums: StudentSums


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
        About minus the second derivative of the log-likelihood there; None takes that of the complete data of EM.
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
        self.rows, self.weight, self.fixed, self.d = rows, rows.total_weight, fixed, len(loc)
        self.loc, self.scale, self.lower = loc, scale, np.linalg.cholesky(scale)
        self.i, self.j = np.triu_indices(self.d)
        groups = {"df": 1, "loc": self.d, "scale": len(self.i)}
        self.free = np.concatenate([np.full(size, name not in fixed) for name, size in groups.items()])
        self.start = np.zeros(len(self.free))
        self.start[0] = k
        self.covariance, self.information = covariance, information

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
        sums = self.rows.total(student_sums, loc, scale, k)
        value = sums.log_likelihood(self.weight, scale, k)
        by_loc, by_scale = sums.gradient(self.weight, loc, scale)
        inner = self.lower.T @ by_scale @ self.lower
        twice = np.where(self.i == self.j, 1.0, 2.0)  # an entry off the diagonal moves two entries of the matrix
        slope = np.concatenate(
            [[sums.slope(self.weight, k)], self.lower.T @ by_loc, twice * inner[self.i, self.j]]
        )  # fmt: skip
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

    def inverse_information(self, at: Point) -> Floats:
        """That of the start, by the free coordinates; positive definite also where the sample's is not."""
        free = np.flatnonzero(self.free)
        if self.information is None:
            own, twice = at.sums.moments[0], np.where(self.i == self.j, 0.5, 1.0)
            curvature = self.weight * log_constant_slopes(at.k, self.d)[1] + float(at.sums.rises[2])
            diagonal = np.concatenate([[abs(curvature) + 1e-300], np.full(self.d, own), self.weight * twice])
            return np.diag(1.0 / diagonal[free])
        values, vectors = eigh(self.information[np.ix_(free, free)])
        size = np.maximum(np.abs(values), 1e-12 * np.max(np.abs(values), initial=1e-300))
        inverse: Floats = (vectors / size) @ vectors.T
        return inverse

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
        inverse, wanted = self.inverse_information(at), max(1e-6 * np.sqrt(tol), 2e-14)
        before, stalled = np.inf, 0
        for n_iter in range(1, max_iter + 1):
            step, gain = self.step(at, inverse)
            size = float(np.max(np.abs(step[1:]), initial=abs(step[0]) / max(at.k, at.k + step[0], 1e-300)))
            stalled = stalled + 1 if size >= 0.5 * before else 0
            if size <= wanted or (stalled >= 2 and gain <= NEGLIGIBLE * self.weight):
                return at, n_iter, True
            new = self.advance(at, step)
            if new is None:
                return at, n_iter, gain <= tol * self.weight
            if self.covariance is not None:
                raise_if_collapsed(new.scale, self.covariance)
            self.correct(inverse, new.u - at.u, at.slope - new.slope)
            before, at = size, new
        return at, max_iter, False

    def at_limit(self, at: Point) -> bool:
        """Whether k stays at 0, since the likelihood falls from the normal law on."""
        return bool(self.free[0] and at.k == 0.0 and at.slope[0] <= 0.0)

    def step(self, at: Point, inverse: Floats) -> tuple[Floats, float]:
        """The next step, and about what it gains; k does not become negative."""
        if self.at_limit(at):
            # the maximum given that k stays: moments
            step = self.em_step(at)
            return step, 0.5 * float(step @ at.slope)
        step = np.zeros(len(at.u))
        step[self.free] = inverse @ at.slope[self.free]
        gain = 0.5 * float(step @ at.slope)
        step[0] = max(step[0], -at.k)
        return step, gain

    def advance(self, at: Point, step: Floats) -> Point | None:
        """The point a step away, a shorter one, or that of a step of EM: the first where the likelihood does not fall."""
        slack = NOISE * (abs(at.value) + self.weight)
        for shortening in range(MOST_SHORTENINGS + 1):
            new = self.point(at.u + SHORTEN**shortening * step)
            if new is not None and new.value >= at.value - slack:
                return new
        new = self.point(at.u + self.em_step(at))
        return new if new is not None and new.value > at.value else None

    def correct(self, inverse: Floats, step: Floats, fall: Floats) -> None:
        """Change the inverse information in place so that it explains by how much the gradient fell along the step."""
        s, y = step[self.free], fall[self.free]
        along = float(s @ y)
        if not along > 1e-8 * float(np.linalg.norm(s) * np.linalg.norm(y)):
            return
        image = inverse @ y
        inverse += ((1.0 + float(y @ image) / along) / along) * np.outer(s, s)
        inverse -= (np.outer(image, s) + np.outer(s, image)) / along
