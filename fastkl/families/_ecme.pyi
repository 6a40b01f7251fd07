from typing import Any

from numpy.typing import NDArray

from fastkl._core.array_types import Floats

def ecme(
    X: NDArray[Any],
    weights: Floats | None,
    weight: float,
    loc: Floats,
    scale: Floats,
    k: float,
    free: tuple[bool, bool, bool],
    least: float,
    wanted: float,
    max_iter: int,
) -> tuple[Floats, Floats, float, float, int, bool] | None: ...
