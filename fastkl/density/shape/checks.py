"""What a file has to hold to be a fitted density of a shape: increasing knots, heights that fit them, and a mass of 1."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastkl.density.shape.pieces import Pieces


def check_shapes(density: Any) -> None:
    """ValueError unless there are pieces of a density for each column."""
    density._check_parameters()
    d = density.n_features_in_
    density._lower_ends(d)
    if len(density.knots_) != d or len(density.log_heights_) != d:
        raise ValueError(f"knots_ and log_heights_ are not those of {d} columns")
    for knots, heights in zip(density.knots_, density.log_heights_, strict=True):
        right = all(isinstance(values, np.ndarray) and values.dtype == np.float64 for values in (knots, heights))
        if not right or knots.ndim != 1 or len(knots) < 2 or heights.shape != (len(knots) - 1, 2):
            raise ValueError("knots_ and log_heights_ are no arrays that fit each other")
        if not np.isfinite(knots).all() or not np.isfinite(heights).all() or not np.all(np.diff(knots) > 0.0):
            raise ValueError("knots_ do not increase, or log_heights_ are not finite")
        if abs(np.logaddexp.reduce(Pieces(knots, heights).log_masses)) > 1e-9:
            raise ValueError("log_heights_ are not those of a density: its integral is not 1")
