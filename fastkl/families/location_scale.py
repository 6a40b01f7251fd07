"""What location-scale families share, distributions of (x - loc) / scale, and those of shape log(x / scale)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastkl._core.array_types import Floats, Params
from fastkl.families.solvers.iterative import IterativeFamily
from fastkl.families.spaces import Positive, Real
from fastkl.families.univariate import ABOVE_ZERO, BELOW_INFINITY


class LocationScaleFamily(IterativeFamily):
    """Parameters loc and scale > 0; the kernel takes steps of loc in units of the scale."""

    parameters = {"loc": Real(role="location", spread="scale"), "scale": Positive(role="scale")}
    coordinates = ("loc", "scale")

    def __init__(self, loc: ArrayLike | None = None, scale: ArrayLike | None = None):
        self.loc = loc
        self.scale = scale

    def rates(self, params: Params) -> Params:
        return {"loc": params["scale"], "scale": np.ones_like(params["scale"])}

    def constants(self, params: Params) -> tuple[Any, ...]:
        return params["loc"], 1.0 / params["scale"], -np.log(params["scale"])

    def mode(self, params: Params) -> Floats:
        return params["loc"]


class LogLocationScaleFamily(IterativeFamily):
    """Parameters shape and scale, on x > 0: log x has location log(scale) and scale 1 / shape, the kernel's coordinates."""

    parameters = {"shape": Positive(), "scale": Positive(role="scale")}
    coordinates = ("scale", "shape")
    spread = ("shape", 0.25)
    degenerate = ("shape", "scale", "shape goes to infinity")
    support = (ABOVE_ZERO, BELOW_INFINITY, False)
    support_text = "positive numbers"

    def __init__(self, shape: ArrayLike | None = None, scale: ArrayLike | None = None):
        self.shape = shape
        self.scale = scale

    def rates(self, params: Params) -> Params:
        return {"scale": 1.0 / params["shape"], "shape": np.full_like(params["shape"], -1.0)}

    def constants(self, params: Params) -> tuple[Any, ...]:
        scale, shape = params["scale"], params["shape"]
        return scale, 1.0 / scale, shape, np.log(shape) - np.log(scale)

    def at_open_ends(self, params: Params) -> dict[float, Floats]:
        return {0.0: np.where(params["shape"] == 1.0, -np.log(params["scale"]), -np.inf)}


def about_held(fixed: Params, mean: Floats, deviation: Floats) -> Floats:
    """The deviation from a ``loc`` that is held, which rows close to each other may be far from; else that from the mean."""
    return np.hypot(deviation, mean - fixed["loc"]) if "loc" in fixed else deviation
