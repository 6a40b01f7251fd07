"""Functions of one variable that a FunctionTransformer may have: their derivatives, inverses, domains and ranges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from fastkl._core.array_types import Floats

LOG_SQRT_2PI = 0.5 * np.log(2.0 * np.pi)


class Function(NamedTuple):
    """What is known of a function of one variable: log |f'|, its inverse, where it is defined, and what it does to scales."""

    log_derivative: Callable[[Floats], Floats]
    inverse: Callable[[Floats], Floats]
    inside: Callable[[Floats], NDArray[np.bool_]] | None = None
    text: str = ""
    kind: str = ""  # "logarithm" turns a scale into a location, "factor" is a constant factor
    sign: float = 1.0  # of the derivative; 0 where that of the function, which has a pole inside, is no order
    range: tuple[float, float] = (-np.inf, np.inf)
    pole: bool = False  # of the derivative alone: what is not inside has an image, between those of its neighbours


_POSITIVE = (lambda x: x > 0.0, "positive numbers")
_NONZERO = (lambda x: x != 0.0, "numbers other than 0")
_FRACTIONS = (lambda x: (x > 0.0) & (x < 1.0), "numbers between 0 and 1")


def _constant(log_factor: float) -> Callable[[Floats], Floats]:
    return lambda x: np.full(x.shape, log_factor)


def _log_cosh(x: Floats) -> Floats:
    return np.logaddexp(x, -x) - np.log(2.0)


def _log_normal_density(x: Floats) -> Floats:
    return -0.5 * x * x - LOG_SQRT_2PI


_DEGREE = float(np.log(np.pi / 180.0))
FUNCTIONS: dict[Any, Function] = {
    None: Function(_constant(0.0), np.positive, kind="factor"),
    np.positive: Function(_constant(0.0), np.positive, kind="factor"),
    np.negative: Function(_constant(0.0), np.negative, kind="factor", sign=-1.0),
    np.log: Function(lambda x: -np.log(x), np.exp, *_POSITIVE, "logarithm"),
    np.log2: Function(lambda x: -np.log(x) - np.log(np.log(2.0)), np.exp2, *_POSITIVE, "logarithm"),
    np.log10: Function(lambda x: -np.log(x) - np.log(np.log(10.0)), lambda z: 10.0**z, *_POSITIVE, "logarithm"),
    np.log1p: Function(lambda x: -np.log1p(x), np.expm1, lambda x: x > -1.0, "numbers above -1"),
    np.exp: Function(lambda x: x.copy(), np.log, range=(0.0, np.inf)),
    np.exp2: Function(lambda x: x * np.log(2.0) + np.log(np.log(2.0)), np.log2, range=(0.0, np.inf)),
    np.expm1: Function(lambda x: x.copy(), np.log1p, range=(-1.0, np.inf)),
    np.sqrt: Function(
        lambda x: -np.log(2.0) - 0.5 * np.log(x),
        lambda z: np.where(z > 0.0, z * z, np.nan),
        *_POSITIVE,
        range=(0.0, np.inf),
    ),
    np.cbrt: Function(lambda x: -np.log(3.0) - np.log(np.abs(x)) / 1.5, lambda z: z**3, *_NONZERO, pole=True),
    np.reciprocal: Function(lambda x: -2.0 * np.log(np.abs(x)), np.reciprocal, *_NONZERO, sign=0.0),
    np.sinh: Function(_log_cosh, np.arcsinh),
    np.arcsinh: Function(lambda x: -np.log(np.hypot(1.0, x)), np.sinh),
    np.tanh: Function(lambda x: -2.0 * _log_cosh(x), np.arctanh, range=(-1.0, 1.0)),
    np.arctanh: Function(
        lambda x: -np.log1p(-x) - np.log1p(x), np.tanh, lambda x: np.abs(x) < 1.0, "numbers between -1 and 1"
    ),
    np.arctan: Function(
        lambda x: -2.0 * np.log(np.hypot(1.0, x)),
        lambda z: np.where(np.abs(z) < np.pi / 2, np.tan(z), np.nan),
        range=(-np.pi / 2, np.pi / 2),
    ),
    np.deg2rad: Function(_constant(_DEGREE), np.rad2deg, kind="factor"),
    np.radians: Function(_constant(_DEGREE), np.degrees, kind="factor"),
    np.rad2deg: Function(_constant(-_DEGREE), np.deg2rad, kind="factor"),
    np.degrees: Function(_constant(-_DEGREE), np.radians, kind="factor"),
    special.logit: Function(lambda x: -np.log(x) - np.log1p(-x), special.expit, *_FRACTIONS),
    special.expit: Function(lambda x: special.log_expit(x) + special.log_expit(-x), special.logit, range=(0.0, 1.0)),
    special.ndtri: Function(lambda x: -_log_normal_density(special.ndtri(x)), special.ndtr, *_FRACTIONS),
    special.ndtr: Function(_log_normal_density, special.ndtri, range=(0.0, 1.0)),
}
