"""What an ascent of a mixture has reached so far."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from fastkl._core.array_types import Floats, Params
from fastkl.families.mixture.collapsed import CollapsedError


@dataclass
class Climb:
    """How far an ascent has come.

    Parameters
    ----------
    params : dict of arrays
        Of the mixture.
    log_likelihood : float
        There, without the priors.
    objective : float
        With them.
    n_maps : int
        Passes over the rows so far.
    gain : float
        What is left to gain, estimated by half the slope along the last quasi-Newton step.
    slope : float
        Largest derivative by a coordinate, per unit of weight.
    converged : bool
        Whether the gain is negligible.
    boundary : dict of str
        Parameters at a boundary, with a sentence each.
    collapsed : CollapsedError or None
        Why the ascent could not go on.
    sums : ndarray of shape (k,)
        Responsibilities summed over the rows.
    trace : list of float
        The objective at every place that was reached.
    proper : bool or None
        Whether no component sits on a few rows and narrows without end; None while nobody has asked.
    """

    params: Params
    log_likelihood: float = -np.inf
    objective: float = -np.inf
    n_maps: int = 0
    gain: float = np.inf
    slope: float = np.inf
    converged: bool = False
    boundary: dict[str, str] = field(default_factory=dict)
    collapsed: CollapsedError | None = None
    sums: Floats = field(default_factory=lambda: np.empty(0))
    trace: list[float] = field(default_factory=list)
    proper: bool | None = None

    def follow(self, ahead: Climb) -> None:
        """Go on to where another ascent has led from here, unless rounding is all that it gained."""
        self.n_maps += ahead.n_maps
        if ahead.objective >= self.objective:
            self.trace += [height for height in ahead.trace if height >= self.objective]
            self.params, self.sums = ahead.params, ahead.sums
            self.log_likelihood, self.objective, self.proper = ahead.log_likelihood, ahead.objective, None
