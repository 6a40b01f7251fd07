from typing import Any

from numpy.typing import NDArray

from fastkl._core.array_types import Floats

def row_excess(X: NDArray[Any], coefficients: Floats | None, n_threads: int) -> Floats: ...
def row_means(
    X: NDArray[Any], weights: Floats | None, parts: bool, allowed: float, n_threads: int
) -> tuple[float, Floats] | None: ...
def multinomial_statistics(
    X: NDArray[Any], weights: Floats | None, n_threads: int
) -> tuple[Floats, Floats, int, int]: ...
def multinomial_log_density(X: NDArray[Any], probabilities: Floats, n_threads: int) -> Floats: ...
