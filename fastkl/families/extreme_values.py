"""What the generalized Pareto and the generalized extreme-value distribution share: an end of the support that moves.

At a shape below 0 the support ends at loc - scale / shape. Down to -1/2 the likelihood is regular; between -1 and -1/2 it has a
maximum, about which it is not (R. L. Smith 1985, doi:10.1093/biomet/72.1.67); below -1 the density is infinite at the end, and
the likelihood without bound: such distributions are left out, and -1 is the boundary, whose maximum has a closed form.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fastkl._core._columns import ColumnKernel
from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import AnyRows, Rows
from fastkl._core.special.extreme_values import NO_SHAPE, support_end
from fastkl.families._kernels import column_kernel
from fastkl.families.column_sums import ALL_NUMBERS
from fastkl.families.solvers.column_lists import listed_columns
from fastkl.families.solvers.iterative import IterativeFamily
from fastkl.families.solvers.newton import Evaluation, Maximum

IRREGULAR = -0.5
EDGE = -1.0
ROOM = 1.05  # times the least scale that has all rows inside: what a start has


class ExtremeValueFamily(IterativeFamily):
    """A subclass says which distribution is at the edge, shape -1, and gives the parameters of its maximum there."""

    edge_text: ClassVar[str]

    def edge_params(self, rows: AnyRows, fixed: Params) -> Params:
        """The maximum among the distributions of shape -1."""
        raise NotImplementedError

    def widened_to(self, start: Params, low: Floats, high: Floats) -> Params:
        """The start with both values inside the support: by a larger scale, else by another loc, else by a smaller shape.

        Inside, z is at most -1 / shape below shape 0, and at least that above.
        """
        shape, loc, scale = start["shape"], start.get("loc", np.zeros_like(low)), start["scale"]
        far = np.where(shape < 0.0, high - loc, loc - low)
        needed = ROOM * np.abs(shape) * far
        free = self.free_names()
        if "scale" in free:
            return {**start, "scale": np.maximum(scale, needed)}
        short = needed > scale
        with np.errstate(divide="ignore", invalid="ignore"):
            if "loc" in free:
                inward = np.sign(shape) * (far - scale / (ROOM * np.abs(shape)))
                return {**start, "loc": np.where(short, loc - inward, loc)}
            if "shape" in free:
                return {**start, "shape": np.where(short, shape * (scale / needed), shape)}
        return start

    def climb(self, rows: AnyRows, start: Params, tol: float, max_iter: int) -> Maximum:
        if "scale" not in self.free_names():
            # a start from some of the rows may leave others out, which a larger scale cannot mend
            _, low, high = rows.total(column_extremes, merge=merged_extremes).T
            start = self.widened_to(start, low, high)
        return super().climb(rows, start, tol, max_iter)

    def raise_if_impossible(self, rows: AnyRows, params: Params, value: Floats) -> None:
        if np.any(value == -np.inf):
            rows.total(self._raise_if_beyond_end, params, merge=_nothing)
        super().raise_if_impossible(rows, params, value)

    def _raise_if_beyond_end(self, rows: Rows, params: Params) -> None:
        """SupportError for the first row that is beyond the end of the support."""
        shape = np.where(np.abs(params["shape"]) < NO_SHAPE, 0.0, params["shape"])
        end, rest = support_end(shape, params.get("loc", np.zeros_like(shape)), params["scale"])
        beyond = np.sign(shape) * ((end - rows.X) + rest)
        beyond = np.where((shape == 0.0) | (shape == EDGE), beyond > 0.0, beyond >= 0.0)
        if beyond.any():
            row = int(np.argmax(beyond.any(axis=1)))
            self._check_inside(rows, row, int(np.argmax(beyond[row])))

    def regular(self, params: Params) -> NDArray[np.bool_]:
        return super().regular(params) & (params["shape"] > IRREGULAR)

    def settle(
        self, rows: AnyRows, fixed: Params, maximum: Maximum, tol: float, max_iter: int
    ) -> tuple[Maximum, dict[str, str]]:
        shape = maximum.params["shape"]
        edge = self.edge_params(rows, fixed)
        value = self.evaluate(rows, edge).value
        nothing = np.full_like(maximum.at.hessian, np.nan)
        limit = Maximum(edge, Evaluation(value, nothing[:, 0], nothing), 1, np.isfinite(value))
        if "shape" in fixed:
            at_edge = shape == EDGE
        else:
            # an ascent that went below the edge is on its way to an infinite likelihood
            at_edge = (value >= maximum.at.value) | (~maximum.converged & (shape <= EDGE))
        maximum = limit.where(at_edge, maximum)
        return maximum, self._sentences(fixed, maximum.params["shape"])

    def _sentences(self, fixed: Params, shape: Floats) -> dict[str, str]:
        said = []
        if "shape" not in fixed and np.any(shape == EDGE):
            said.append(
                f"shape is -1 in column {listed_columns(shape == EDGE)}, the boundary: the fit is {self.edge_text}. Below -1 the "
                "density is infinite at the end of the support, and the likelihood has no maximum."
            )
        if np.any(irregular := (shape > EDGE) & (shape <= IRREGULAR)):
            said.append(
                f"shape is between -1 and -1/2 in column {listed_columns(irregular)}: the support ends so abruptly that the "
                "likelihood is not regular, and the parameters have no standard errors."
            )
        return {self.free_names()[0]: " ".join(said)} if said and self.free_names() else {}

    def _likelihood(self, rows: Rows, params: Params, at: Evaluation) -> tuple[float, Params]:
        self.raise_if_impossible(rows, params, at.value)
        edge = params["shape"] == EDGE
        self._raise_if_overflow(rows, np.where(edge[:, None], 0.0, at.gradient))
        # at the edge a row at the end of the support has no slope
        at = Evaluation(at.value, np.where(edge[:, None], np.nan, at.gradient), at.hessian)
        return float(np.sum(at.value)), self.natural_gradient(params, at)


def _nothing(first: None, second: None) -> None:
    """What was raised for no block."""


def extreme_constants(shape: Floats, loc: Floats, scale: Floats) -> tuple[Any, ...]:
    """What the kernels of ``fk_extremes.h`` read."""
    end, rest = support_end(shape, loc, scale)
    with np.errstate(divide="ignore", over="ignore"):
        inverse = np.where(np.abs(shape) < NO_SHAPE, 0.0, 1.0 / shape)
    return shape, inverse, loc, 1.0 / scale, end, rest, -np.log(scale)


def kernel_of_extremes() -> ColumnKernel:
    """The kernel whose record is the weight, the least and the largest value of a column."""
    return column_kernel("uniform")


def column_extremes(rows: Rows) -> Floats:
    """Weight, least and largest value of every column, (d, 3)."""
    return kernel_of_extremes().statistics(rows.X, rows.weights, ALL_NUMBERS, rows.n_threads)[0]


def merged_extremes(first: Floats, second: Floats) -> Floats:
    """Those of both sets of rows together."""
    return kernel_of_extremes().merge(first, second)
