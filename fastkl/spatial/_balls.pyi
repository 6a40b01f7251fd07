import numpy as np
import numpy.typing as npt

from fastkl.spatial._tree import Tree

def ball(
    tree: Tree,
    queries: Tree,
    radius: npt.NDArray[np.float64],
    same: bool,
    in_order: bool,
    scale: float,
    first: int,
    last: int,
    positions: npt.NDArray[np.int32] | None,
    weights: npt.NDArray[np.float64] | None,
    count: npt.NDArray[np.int64] | None,
    total: npt.NDArray[np.float64] | None,
) -> None: ...
def within(
    distances: npt.NDArray[np.float64],
    radius: npt.NDArray[np.float64],
    count: npt.NDArray[np.float64],
    asked: npt.NDArray[np.float64],
) -> int: ...
