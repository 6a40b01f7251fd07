from typing import Any

from numpy.typing import ArrayLike, NDArray
from typing_extensions import disjoint_base

from fastkl._core.array_types import Floats

@disjoint_base
class Moving:
    @property
    def components(self) -> int: ...
    def maps(
        self,
        X: NDArray[Any],
        weights: Floats | None,
        fixed: Floats | None,
        joint: bool,
        least: float,
        most: int,
        goal: float = 0.0,
    ) -> tuple[list[float], Floats, bool, tuple[Floats, ...] | None, float]: ...

@disjoint_base
class Normals(Moving):
    def __init__(
        self,
        constants: ArrayLike,
        means: ArrayLike,
        lowers: ArrayLike,
        ridge: ArrayLike | None = None,
        fewest: float = 0.0,
    ) -> None: ...
    def evidence(self, X: NDArray[Any], n_threads: int) -> Floats: ...
    def expectation(self, X: NDArray[Any], weights: Floats | None, n_threads: int) -> tuple[float, Floats]: ...

@disjoint_base
class DiagonalNormals(Moving):
    def __init__(self, constants: ArrayLike, means: ArrayLike, inverse: ArrayLike) -> None: ...
    def evidence(self, X: NDArray[Any], n_threads: int) -> Floats: ...
    def expectation(
        self, X: NDArray[Any], weights: Floats | None, centres: Floats, n_threads: int
    ) -> tuple[float, Floats]: ...
