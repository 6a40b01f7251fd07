"""Fitted transformers of scikit-learn as JSON and arrays: the name of a class out of a list, its options, and what it learnt.

Only the classes and functions listed here are ever built from a file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastkl.exceptions import ModelFileError

CLASSES = {
    "sklearn.preprocessing": (
        "StandardScaler",
        "MinMaxScaler",
        "MaxAbsScaler",
        "RobustScaler",
        "PowerTransformer",
        "QuantileTransformer",
        "FunctionTransformer",
    ),
    "sklearn.decomposition": ("PCA", "IncrementalPCA", "FastICA"),
    "sklearn.pipeline": ("Pipeline",),
    "sklearn.compose": ("ColumnTransformer",),
}


def pack_transformer(value: Any, pack: Callable[[Any], Any]) -> Any:
    """A JSON form of a transformer or of a function inside one; None for anything else."""
    module, name = type(value).__module__, type(value).__name__
    if any(f"{module}.".startswith(f"{package}.") and name in listed for package, listed in CLASSES.items()):
        options = value.get_params(deep=False)
        state = {key: item for key, item in vars(value).items() if key not in options}
        return {"transformer": name, "options": pack(options), "state": pack(state)}
    if callable(value):
        found = next((key for key, function in _functions().items() if function is value), None)
        return None if found is None else {"function": found}
    return None


def unpack_transformer(packed: dict[str, Any], unpack: Callable[[Any], Any]) -> Any:
    """The transformer or function that ``pack_transformer`` wrote."""
    if "function" in packed:
        return _functions()[packed["function"]]
    import importlib

    name = packed["transformer"]
    package = next((package for package, listed in CLASSES.items() if name in listed), None)
    if package is None:
        raise ModelFileError(f"The file names a transformer {name!r}, which is not one that can be stored.")
    transformer = getattr(importlib.import_module(package), name)(**unpack(packed["options"]))
    vars(transformer).update(unpack(packed["state"]))
    return transformer


def _functions() -> dict[str, Any]:
    from fastkl.density.bijections.functions import FUNCTIONS

    return {function.__name__: function for function in FUNCTIONS if function is not None}
