from typing import Any

from numpy.typing import ArrayLike, NDArray
from typing_extensions import disjoint_base

from fastkl._core.array_types import Floats

@disjoint_base
class DiagonalNormals:
    def __init__(self, constants: ArrayLike, means: ArrayLike, inverse: ArrayLike) -> None: ...
    def evidence(self, X: NDArray[Any], n_threads: int) -> Floats: ...
    def expectation(
        self, X: NDArray[Any], weights: Floats | None, centres: Floats, n_threads: int
    ) -> tuple[float, Floats]: ...
