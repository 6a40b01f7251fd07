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
from fastkl.families.solvers.iterative import IterativeFamily
from fastkl.families.solvers.newton import Evaluation, Maximum

IRREGULAR = -0.5
EDGE = -1.0


class ExtremeValueFamily(IterativeFamily):
    """A subclass says which distribution is at the edge, shape -1, and gives the parameters of its maximum there."""

    edge_text: ClassVar[str]

    def edge_params(self, rows: AnyRows, fixed: Params) -> Params:
        """The maximum among the distributions of shape -1."""
        raise NotImplementedError

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
                f"shape is -1 in column {columns_of(shape == EDGE)}, the boundary: the fit is {self.edge_text}. Below -1 the "
                "density is infinite at the end of the support, and the likelihood has no maximum."
            )
        if np.any(irregular := (shape > EDGE) & (shape <= IRREGULAR)):
            said.append(
                f"shape is between -1 and -1/2 in column {columns_of(irregular)}: the support ends so abruptly that the "
                "likelihood is not regular, and the parameters have no standard errors."
            )
        return {self.free_names()[0]: " ".join(said)} if said and self.free_names() else {}

    def _likelihood(self, rows: Rows, params: Params, at: Evaluation) -> tuple[float, Params]:
        if np.any(at.value == -np.inf):
            for j in np.flatnonzero(at.value == -np.inf):
                one = Rows(np.ascontiguousarray(rows.X[:, j : j + 1]), n_threads=rows.n_threads)
                scores = self.log_density(one, {name: value[j : j + 1] for name, value in params.items()})
                self._check_inside(rows, int(np.argmin(scores)), int(j))
        edge = params["shape"] == EDGE
        self._raise_if_overflow(rows, np.where(edge[:, None], 0.0, at.gradient))
        # at the edge a row at the end of the support has no slope
        at = Evaluation(at.value, np.where(edge[:, None], np.nan, at.gradient), at.hessian)
        return float(np.sum(at.value)), self.natural_gradient(params, at)


def extreme_constants(shape: Floats, loc: Floats, scale: Floats) -> tuple[Any, ...]:
    """What the kernels of ``fk_extremes.h`` read."""
    end, rest = support_end(shape, loc, scale)
    with np.errstate(divide="ignore", over="ignore"):
        inverse = np.where(np.abs(shape) < NO_SHAPE, 0.0, 1.0 / shape)
    return shape, inverse, loc, 1.0 / scale, end, rest, -np.log(scale)


def columns_of(mask: NDArray[np.bool_]) -> str:
    """``"0, 2"``: the columns of a mask."""
    return ", ".join(map(str, np.flatnonzero(mask)))


def kernel_of_extremes() -> ColumnKernel:
    """The kernel whose record is the weight, the least and the largest value of a column."""
    return column_kernel("uniform")


def column_extremes(rows: Rows) -> Floats:
    """Weight, least and largest value of every column, (d, 3)."""
    return kernel_of_extremes().statistics(rows.X, rows.weights, ALL_NUMBERS, rows.n_threads)[0]


def merged_extremes(first: Floats, second: Floats) -> Floats:
    """Those of both sets of rows together."""
    return kernel_of_extremes().merge(first, second)
