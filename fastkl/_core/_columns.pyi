import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

_Rows = NDArray[np.float32] | NDArray[np.float64]
_Floats = NDArray[np.float64]
_Support = tuple[float, float, bool]

@disjoint_base
class ColumnKernel:
    def statistics(
        self, X: _Rows, weights: _Floats | None, support: _Support, n_threads: int
    ) -> tuple[_Floats, int, int]: ...
    def component_statistics(
        self, X: _Rows, weights: _Floats | None, support: _Support, n_threads: int
    ) -> tuple[_Floats, int, int]: ...
    def sums(
        self, X: _Rows, weights: _Floats | None, constants: _Floats, support: _Support, n_threads: int
    ) -> tuple[_Floats, int, int]: ...
    def component_sums(
        self, X: _Rows, weights: _Floats | None, constants: _Floats, support: _Support, n_threads: int
    ) -> tuple[_Floats, int, int]: ...
    def merge(self, first: _Floats, second: _Floats) -> _Floats: ...
    def log_density(self, X: _Rows, constants: _Floats, support: _Support, n_threads: int) -> _Floats: ...
    def component_log_density(self, X: _Rows, constants: _Floats, support: _Support, n_threads: int) -> _Floats: ...
