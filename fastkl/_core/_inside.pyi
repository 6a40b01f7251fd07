import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.float64]

def values_inside(
    X: NDArray[np.float32] | NDArray[np.float64],
    weights: _Floats | None,
    columns: list[int],
    low: _Floats,
    high: _Floats,
    n_threads: int,
) -> list[tuple[float, float, _Floats, _Floats | None]]: ...
