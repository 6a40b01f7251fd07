"""Is a value missing? None, NaN, NaT, NA and a masked value are. An infinity is not, and neither is an empty text."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def is_missing(value: Any) -> bool:
    """Whether one value of a table is missing: it does not equal itself. (``pandas.NA == pandas.NA`` is NA again.)"""
    if value is None or value is np.ma.masked:
        return True
    same = value == value
    return not same if isinstance(same, bool | np.bool_) else same is value


def missing(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Which entries of an array of any type are missing."""
    masked = np.ma.getmaskarray(values) if isinstance(values, np.ma.MaskedArray) else False
    values = np.asarray(values)
    kind = values.dtype.kind
    if kind in "fc":
        found = np.isnan(values)
    elif kind in "mM":
        found = np.isnat(values)
    elif kind == "O":
        found = np.fromiter(map(is_missing, values.ravel().tolist()), dtype=bool, count=values.size)
        found = found.reshape(values.shape)
    else:
        found = np.zeros(values.shape, dtype=bool)
    return found | masked
