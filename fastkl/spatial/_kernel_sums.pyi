import numpy as np
import numpy.typing as npt
from typing_extensions import disjoint_base

_Floats = npt.NDArray[np.float64]

PACKED: int
PROFILES: tuple[str, ...]

@disjoint_base
class Tiles:
    def __init__(
        self, points: _Floats, weights: _Floats | None, narrow: _Floats | None, order: npt.NDArray[np.intp]
    ) -> None: ...
    def sums(
        self,
        queries: _Floats,
        profile: int,
        moments: int,
        positions: npt.NDArray[np.intp] | None,
        error: float,
        n_threads: int,
    ) -> tuple[_Floats, _Floats | None]: ...
