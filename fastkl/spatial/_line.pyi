import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

def nearest(x: Floats, queries: Floats, k: int, same: bool, only_last: bool, out: Floats, n_threads: int) -> None: ...
def ball(
    x: Floats,
    queries: Floats,
    radius: Floats,
    same: bool,
    weights: Floats | None,
    count: npt.NDArray[np.int64] | None,
    total: Floats | None,
    n_threads: int,
) -> None: ...
