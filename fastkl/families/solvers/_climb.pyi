from typing import Any

from numpy.typing import NDArray

from fastkl._core._columns import ColumnKernel
from fastkl._core.array_types import Floats

def can_climb(kernel: ColumnKernel) -> bool: ...
def climb_columns(
    kernel: ColumnKernel,
    columns: Floats,
    weights: Floats | None,
    weight: float,
    starts: Floats,
    bounds: Floats,
    free: NDArray[Any],
    spread: int,
    factor: float,
    tol: float,
    max_iter: int,
) -> tuple[Floats, Floats, int, NDArray[Any]]: ...
