from typing import Any

from numpy.typing import NDArray

from fastkl.families.base import Floats

def row_excess(X: NDArray[Any], coefficients: Floats | None, n_threads: int) -> Floats: ...
def multinomial_statistics(
    X: NDArray[Any], weights: Floats | None, n_threads: int
) -> tuple[Floats, Floats, int, int]: ...
def multinomial_log_density(X: NDArray[Any], probabilities: Floats, n_threads: int) -> Floats: ...
