import numpy as np
import numpy.typing as npt

_Floats = npt.NDArray[np.float64]

def nearest(
    x: _Floats, queries: _Floats, k: int, same: bool, first: int, only_last: bool, out: _Floats, n_threads: int
) -> None: ...
def ball(
    x: _Floats,
    queries: _Floats,
    radius: _Floats,
    same: bool,
    first: int,
    weights: _Floats | None,
    count: npt.NDArray[np.int64] | None,
    total: _Floats | None,
    n_threads: int,
) -> None: ...
