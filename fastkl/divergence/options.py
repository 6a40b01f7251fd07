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
    random_state : int, RandomState, Generator or None
        For draws.
    coordinates : {"auto", "normal_scores", "scaled"} or None
        In which two samples are compared; "auto" alone for the method "assisted".

    Attributes
    ----------
    rng : RandomState
        The generator of ``random_state``.

    Raises
    ------
    ValueError
        Coordinates for the method "assisted".
    """

    method: str = "common_radius"
    n_neighbors: int | None = None
    standard_error: bool = True
    n_draws: int | None = None
    route: str = "auto"
    random_state: Any = None
    coordinates: str | None = "auto"
    rng: np.random.RandomState = field(init=False)

    def __post_init__(self) -> None:
        if self.method == "assisted" and self.coordinates != "auto":
            raise ValueError(
                f"coordinates={self.coordinates!r} is for methods that search neighbours in given coordinates; "
                "method='assisted' (the default) has coordinates of its own. Leave it out, or give method='common_radius' with "
                "it."
            )
        object.__setattr__(self, "rng", as_random_state(self.random_state))

    @property
    def steady_rng(self) -> np.random.RandomState:
        """The same generator, or where none was asked for one that is the same at each call."""
        return np.random.RandomState(0) if self.random_state is None else self.rng

    def refuse_those_of_models(self) -> None:
        """ValueError for keywords that say how a model is met, where there is none."""
        for name, given in (("route", self.route != "auto"), ("n_draws", self.n_draws is not None)):
            if given:
                raise ValueError(f"{name}= is for a sample and a model; p and q are both samples. Leave it out.")


def as_random_state(random_state: Any) -> np.random.RandomState:
    """The generator behind ``random_state``; a `numpy.random.Generator` gives its seed, and goes on with each call."""
    if isinstance(random_state, np.random.Generator):
        return np.random.RandomState(random_state.integers(2**32, dtype=np.uint64))
    return check_random_state(random_state)


def one_seed(random_state: Any, rng: Any, default: Any = None) -> Any:
    """``random_state`` or ``rng``, whichever was given; the latter as `numpy.random.default_rng` takes it (SPEC 7)."""
    if rng is None:
        return random_state
    if random_state is not default:
        raise TypeError("random_state and rng are two names of one thing; give one of them.")
    return np.random.default_rng(rng)
