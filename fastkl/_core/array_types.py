"""Names for the types of arrays and of the dicts that hold them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Params = dict[str, Any]
Statistics = dict[str, Any]
