import numpy as np
import numpy.typing as npt
from typing_extensions import disjoint_base

RELATIVE_SLACK: float

@disjoint_base
class Tree:
    X: npt.NDArray[np.floating]
    order: npt.NDArray[np.int32]
    def __init__(
        self, X: npt.NDArray[np.floating], leaf: int, preselect: bool, together: bool, n_jobs: int | None
    ) -> None: ...
    def nearest(
        self,
        queries: Tree,
        k: int,
        same: bool,
        only_last: bool,
        in_order: bool,
        scale: float,
        first: int,
        last: int,
        positions: npt.NDArray[np.int32] | None,
        out: npt.NDArray[np.float64],
    ) -> None: ...
    def listed(self, k: int, radius: npt.NDArray[np.float64], out: npt.NDArray[np.int32]) -> None: ...

def magnitudes(X: npt.NDArray[np.floating]) -> tuple[float, float]: ...
