from typing import Any

from numpy.typing import ArrayLike, NDArray
from typing_extensions import disjoint_base

from fastkl._core.array_types import Floats

def climbed(
    components: Any,
    X: NDArray[Any],
    weights: Floats | None,
    fixed: Floats | None,
    joint: bool,
    least: float,
    most: int,
    goal: float = 0.0,
) -> tuple[list[float], Floats, bool, tuple[Floats, ...] | None, float]: ...

@disjoint_base
class Normals:
    @property
    def components(self) -> int: ...
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
    def maps(
        self,
        X: NDArray[Any],
        weights: Floats | None,
        fixed: Floats | None,
        tied: bool,
        least: float,
        most: int,
        goal: float = 0.0,
    ) -> tuple[list[float], Floats, bool, tuple[Floats, ...] | None, float]: ...
    def sums(self, X: NDArray[Any], weights: Floats | None) -> tuple[float, Floats]: ...
    def move(self, records: Floats, fixed: Floats | None, tied: bool) -> tuple[Floats, ...] | None: ...

@disjoint_base
class DiagonalNormals:
    @property
    def components(self) -> int: ...
    def __init__(self, constants: ArrayLike, means: ArrayLike, inverse: ArrayLike) -> None: ...
    def evidence(self, X: NDArray[Any], n_threads: int) -> Floats: ...
    def expectation(
        self, X: NDArray[Any], weights: Floats | None, centres: Floats, n_threads: int
    ) -> tuple[float, Floats]: ...
    def maps(
        self,
        X: NDArray[Any],
        weights: Floats | None,
        fixed: Floats | None,
        spherical: bool,
        least: float,
        most: int,
        goal: float = 0.0,
    ) -> tuple[list[float], Floats, bool, tuple[Floats, ...] | None, float]: ...
    def sums(self, X: NDArray[Any], weights: Floats | None) -> tuple[float, Floats]: ...
    def move(self, records: Floats, fixed: Floats | None, spherical: bool) -> tuple[Floats, ...] | None: ...
