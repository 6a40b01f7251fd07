from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from typing_extensions import disjoint_base

_Floats = npt.NDArray[np.float64]
_Places = npt.NDArray[np.int32]

LONGEST: int

@disjoint_base
class Nodes:
    def __init__(
        self,
        shape: Sequence[int],
        low: Sequence[float],
        step: float,
        variance: float,
        length: int,
        taps: _Floats,
        n_threads: int,
    ) -> None: ...
    def spread(
        self,
        x: _Floats,
        first: _Places,
        weights: _Floats | None,
        edges: npt.NDArray[np.intp],
        begin: npt.NDArray[np.intp],
        end: npt.NDArray[np.intp],
    ) -> None: ...
    def convolve(self) -> None: ...
    def gather(self, x: _Floats, first: _Places, order: int) -> tuple[_Floats, _Floats | None]: ...
