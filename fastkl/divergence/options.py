"""How an estimate is to be made: the keywords that the calls of this room share, handed on as one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.utils import check_random_state


@dataclass(frozen=True)
class Options:
    """How to estimate: the keywords that the calls share.

    Parameters
    ----------
    method : str
        Estimator for samples.
    n_neighbors : int or None
        k, or the default of the method.
    standard_error : bool
        Whether to compute it.
    n_draws : int or None
        Draws from a model, or the default.
    route : {"auto", "density", "draws"}
        For a sample and a density.
    random_state : int, RandomState instance or None
        For draws.

    Attributes
    ----------
    rng : RandomState
        The generator of ``random_state``.
    """

    method: str = "common_radius"
    n_neighbors: int | None = None
    standard_error: bool = True
    n_draws: int | None = None
    route: str = "auto"
    random_state: Any = None
    rng: np.random.RandomState = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rng", check_random_state(self.random_state))
