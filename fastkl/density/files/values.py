"""Values as JSON with arrays beside it, and back: what a file can hold, and nothing that could run code.

Numbers, text, containers and arrays; families and priors by their names among those of this library; densities by the registry;
transformers by a list of their own. Whatever could not be built again is a ``TypeError`` that says what to do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl import families
from fastkl.density.files.registry import KINDS, check_columns, kind_of
from fastkl.density.files.transformers import pack_transformer, unpack_transformer
from fastkl.exceptions import ModelFileError
from fastkl.families.base import Family
from fastkl.families.priors import PRIORS
from fastkl.families.product.fitting import ProductPrior

Arrays = dict[str, NDArray[Any]]
_PRIORS: list[Any] = [*PRIORS.values(), ProductPrior]
WAY_OUT = "Pickle the density if you need it as it is (joblib.dump, for files of your own)."


def pack_density(density: Any, arrays: Arrays) -> dict[str, Any]:
    """A density as JSON; TypeError for one of a class that is not registered."""
    kind = kind_of(density)
    if kind is None:
        name = type(density).__name__
        base = next((base.__name__ for base in type(density).__mro__ if base.__name__ in KINDS), None)
        hint = f" It is a subclass of {base}: save a {base} instead, if that scores alike." if base else ""
        raise TypeError(
            f"A density of type {name} can't be saved without pickle: load would not know it.{hint} {WAY_OUT}"
        )
    state = {name: value for name, value in vars(density).items() if name.endswith("_") and not name.startswith("_")}
    return {
        "estimator": type(density).__name__,
        "parameters": pack(kind.parameters(density), arrays),
        "state": pack(state, arrays),
    }


def unpack_density(packed: dict[str, Any], array: Callable[[str], NDArray[Any]]) -> Any:
    """The density that ``pack_density`` wrote; an error for another class, or arrays that do not fit."""
    kind = KINDS.get(packed["estimator"])
    if kind is None:
        raise ModelFileError(f"{packed['estimator']!r} is no density that a file can hold.")
    density = kind.type(**unpack(packed["parameters"], array))
    state = unpack(packed["state"], array)
    for name, value in state.items():
        if not name.endswith("_") or name.startswith("_") or hasattr(kind.type, name):
            raise ModelFileError(f"{name!r} is nothing that a {packed['estimator']} learns.")
        setattr(density, name, value)
    if state:  # the part that a composed density was made with has learnt nothing
        check_columns(density)
        kind.check(density)
    return density


def pack(value: Any, arrays: Arrays) -> Any:
    """A JSON form of the value; arrays go into ``arrays`` and leave their name."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, np.ndarray | np.generic):
        return _pack_array(np.asarray(value), isinstance(value, np.generic), arrays)
    if isinstance(value, dict):
        return _pack_dict(value, arrays)
    if type(value) in (list, tuple):
        return {type(value).__name__: [pack(item, arrays) for item in value]}
    if isinstance(value, slice):
        return {"slice": [pack(end, arrays) for end in (value.start, value.stop, value.step)]}
    if isinstance(value, Family):
        return _pack_family(value, arrays)
    if type(value) in _PRIORS:
        options: Any = value.get_params(deep=False)
        return {"prior": type(value).__name__, "options": pack(options, arrays)}
    if kind_of(value) is not None:
        return pack_density(value, arrays)
    packed = pack_transformer(value, lambda item: pack(item, arrays))
    if packed is None and hasattr(value, "score_samples"):
        return pack_density(value, arrays)  # which says why it can't
    if packed is None:
        raise TypeError(f"A value of type {type(value).__name__} can't be saved without pickle: {value!r}. {WAY_OUT}")
    return packed


def _pack_dict(value: dict[Any, Any], arrays: Arrays) -> Any:
    unnamed = [key for key in value if type(key) is not str]
    if not unnamed:
        return {"dict": {key: pack(item, arrays) for key, item in value.items()}}
    if not all(type(key) in (int, str) for key in value):
        raise TypeError(f"A dict with the key {unnamed[0]!r} can't be saved; keys have to be text. {WAY_OUT}")
    # numbers and names of columns
    return {"keys": [pack(key, arrays) for key in value], "items": [pack(item, arrays) for item in value.values()]}


def _pack_family(family: Family, arrays: Arrays) -> Any:
    known = family.composed or family.name in families.names()
    if not known or families.by_name(family.name) is not type(family):
        raise TypeError(
            f"The family {type(family).__name__} can't be saved without pickle: load builds the families that "
            f"fastkl.families.names() lists. {WAY_OUT}"
        )
    return {"family": family.name, "options": pack(family.get_params(deep=False), arrays)}


def _pack_array(array: NDArray[Any], scalar: bool, arrays: Arrays) -> Any:
    if array.dtype.kind == "O":
        return {"labels": [pack(item, arrays) for item in array.ravel().tolist()], "shape": list(array.shape)}
    if array.dtype.hasobject:
        raise TypeError(f"An array of dtype {array.dtype} can't be saved without pickle. {WAY_OUT}")
    name = f"{len(arrays)}.npy"
    arrays[name] = array
    return {"array": name, "scalar": scalar}


def unpack(packed: Any, array: Callable[[str], NDArray[Any]]) -> Any:
    """The value that ``pack`` wrote; ``array(name)`` reads an array."""
    if not isinstance(packed, dict):
        return packed
    for tag, build in _BUILDERS.items():
        if tag in packed:
            return build(packed, array)
    raise ModelFileError(f"The file holds something of no known kind: {', '.join(map(repr, packed))}.")


def _unpack_array(packed: dict[str, Any], array: Callable[[str], NDArray[Any]]) -> Any:
    values = array(packed["array"])
    return values[()] if packed["scalar"] else values


def _unpack_labels(packed: dict[str, Any], array: Callable[[str], NDArray[Any]]) -> Any:
    items = packed["labels"]
    labels = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):
        labels[i] = unpack(item, array)
    return labels.reshape(packed.get("shape", -1))


def _unpack_prior(packed: dict[str, Any], array: Callable[[str], NDArray[Any]]) -> Any:
    kind = next((kind for kind in _PRIORS if kind.__name__ == packed["prior"]), None)
    if kind is None:
        raise ModelFileError(f"There is no prior named {packed['prior']!r}.")
    return kind(**unpack(packed["options"], array))


_BUILDERS: dict[str, Callable[[dict[str, Any], Callable[[str], NDArray[Any]]], Any]] = {
    "array": _unpack_array,
    "dict": lambda packed, array: {key: unpack(item, array) for key, item in packed["dict"].items()},
    "keys": lambda packed, array: dict(
        zip(packed["keys"], (unpack(item, array) for item in packed["items"]), strict=True)
    ),
    "list": lambda packed, array: [unpack(item, array) for item in packed["list"]],
    "tuple": lambda packed, array: tuple(unpack(item, array) for item in packed["tuple"]),
    "slice": lambda packed, array: slice(*(unpack(end, array) for end in packed["slice"])),
    "labels": _unpack_labels,
    "family": lambda packed, array: families.by_name(packed["family"])(**unpack(packed["options"], array)),
    "prior": _unpack_prior,
    "estimator": unpack_density,
    "transformer": lambda packed, array: unpack_transformer(packed, lambda item: unpack(item, array)),
    "function": lambda packed, array: unpack_transformer(packed, lambda item: unpack(item, array)),
}
