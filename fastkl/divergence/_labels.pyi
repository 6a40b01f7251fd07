import numpy as np
import numpy.typing as npt

LANES: int

def score_labels(
    labels: npt.NDArray[np.uint8], neighbors: npt.NDArray[np.int32], score: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]: ...
def draw_labels(seeds: npt.NDArray[np.uint64], n: int, n_p: int) -> npt.NDArray[np.uint8]: ...
