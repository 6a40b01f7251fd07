import numpy as np
from numpy.typing import NDArray

_Rows = NDArray[np.float32] | NDArray[np.float64]
_Floats = NDArray[np.float64]

def whitened_squares(
    X: _Rows, mean: _Floats, lower: _Floats, n_threads: int, factor: float = 1.0, constant: float = 0.0
) -> _Floats: ...
def moments(X: _Rows, weights: _Floats | None, n_threads: int) -> tuple[float, _Floats, _Floats]: ...
def component_moments(X: _Rows, weights: _Floats | None, n_threads: int) -> list[tuple[float, _Floats, _Floats]]: ...
def merge_moments(
    weight: float, mean: _Floats, scatter: _Floats, other_weight: float, other_mean: _Floats, other_scatter: _Floats
) -> tuple[float, _Floats, _Floats]: ...
