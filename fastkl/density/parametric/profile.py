"""Confidence intervals where the profile log-likelihood falls: each parameter is held at a value, and the others are fitted anew.

The columns of a univariate family are independent, so each has profiles of its own, along the coordinate of the parameter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import chdtri

from fastkl._core.array_types import Params
from fastkl._core.rows import Rows
from fastkl.exceptions import DegenerateDataError, first_sentence
from fastkl.families.base import Family
from fastkl.families.product.fitting import fit_rows
from fastkl.families.solvers.coordinates import Chart, chart_at, inside
from fastkl.families.spaces import Numbers
from fastkl.families.spaces.scales import IDENTITY
from fastkl.families.univariate import UnivariateFamily
from fastkl.rows.checks import require_finite

# Doublings of the first step, which is of the order of the interval: where these do not leave it, it has no end. Nor has it one
# where a logarithm or logit has moved by so much.
_DOUBLINGS, _FAR = 14, 30.0
_TOL, _MAX_ITER = 1e-12, 1000  # those of DensityMLE


def profile_intervals(family: Family, params: Params, errors: Params, rows: Rows, level: float) -> dict[str, Any]:
    """Pairs (low, high) of arrays for each parameter that was estimated.

    The end that a profile does not reach is that of the parameter's range, as infinite degrees of freedom.
    """
    if not isinstance(family, UnivariateFamily):
        raise ValueError(
            f"method='profile' is for families of single columns; {family.name} is none. Take 'wald' or 'bootstrap'."
        )
    spaces, d = family.spaces(), family.n_columns(params)
    names = [
        name
        for name, space in spaces.items()
        if isinstance(space, Numbers) and name not in family.fixed_parameters() and not space.irregular
    ]
    found: dict[str, Any] = {name: (np.empty(d), np.empty(d)) for name in names}
    for j in range(d):
        own, at = family.of_columns(params, [j])
        held = {
            name: spaces[name].taken(np.broadcast_to(value, d), [j])
            for name, value in family.fixed_parameters().items()
        }
        own.set_params(**held)
        column = replace(
            rows, X=np.ascontiguousarray(rows.X[:, [j]]), names=None if rows.names is None else [rows.names[j]]
        )
        with require_finite(column):
            _raise_if_others(own, at, column, family)
            for name in names:
                error = float(np.asarray(errors[name])[j]) if name in errors else np.nan
                ends = _ends(own, at, name, error, column, level)
                found[name][0][j], found[name][1][j] = ends
    return found


def _raise_if_others(family: Family, params: Params, rows: Rows, whole: Family) -> None:
    """ValueError unless the parameters are the maximum of the likelihood of the rows."""
    top, best = (
        family.log_likelihood(rows, at) for at in (params, fit_rows(family, None, rows, _TOL, _MAX_ITER)[0].params)
    )
    if not abs(best - top) <= 1e-6 * (1.0 + abs(top)):
        raise ValueError(
            f"The {whole.name} density is not at the maximum of the likelihood of {rows.column(0)}: X and sample_weight have to "
            "be those of the fit, and the fit converged."
        )


def _ends(family: Family, params: Params, name: str, error: float, rows: Rows, level: float) -> tuple[float, float]:
    """Low and high end for one parameter of one column."""
    top, least = family.log_likelihood(rows, params), 0.5 * float(chdtri(1.0, 1.0 - level))
    chart = chart_at(family, inside(family, params, rows.total_weight), [f"{name}[0]"])

    def fall(u: float) -> float:
        """By how much the profile has fallen beyond what is inside the interval."""
        held = type(family)(**{**family.get_params(deep=False), name: chart.back(np.array([u]))[name]})
        try:
            others = fit_rows(held, None, rows, _TOL, _MAX_ITER)[0].params
        except DegenerateDataError as error:
            raise DegenerateDataError(
                f"The profile likelihood of {name} ends before its interval does: with {name} held at "
                f"{_value(chart, name, u):.4g} that of the others has no maximum. {first_sentence(error)} Take intervals by "
                "method='wald', or hold a parameter fixed.",
                error.column,
            ) from error
        return top - held.log_likelihood(rows, others) - least

    begin, value = float(chart.to(chart.held)[0]), float(params[name][0])
    space: Any = family.spaces()[name]
    most = np.inf if space.scale is IDENTITY else _FAR
    slope = float(abs(chart.jacobian(chart.held)[0, 0]))
    step = np.sqrt(2.0 * least) * error / slope if error > 0.0 and slope > 0.0 else 1.0
    ends = [_value(chart, name, _crossing(fall, begin, side * step, most)) for side in (-1.0, 1.0)]
    return min(*ends, value), max(*ends, value)  # a value at a limit is an end itself


def _crossing(fall: Callable[[float], float], begin: float, step: float, most: float) -> float:
    """The coordinate where ``fall`` is 0, to the side that ``step`` goes; infinite where it is at none within ``most``."""
    near = begin
    for _ in range(_DOUBLINGS):
        far = begin + float(np.clip(step, -most, most))
        if fall(far) > 0.0:
            return float(brentq(fall, near, far, xtol=1e-12 * (1.0 + abs(far)), rtol=1e-13))
        if abs(step) >= most:
            break
        near, step = far, 2.0 * step
    return float(np.copysign(np.inf, step))


def _value(chart: Chart, name: str, u: float) -> float:
    """The parameter at a coordinate, which may be infinite."""
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.ravel(chart.back(np.array([u]))[name])[0])
