"""Densities as files: a JSON header and plain arrays in one zip archive. Reading such a file runs no code of its own.

The header holds the estimator's name, its parameters and attributes; arrays are stored beside it in NumPy's own format without
pickling. The file is written under a temporary name in the same folder and renamed when it is complete.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastkl import families
from fastkl.density.files.transformers import pack_transformer, unpack_transformer
from fastkl.exceptions import ModelFileError
from fastkl.families.base import Family
from fastkl.families.priors import PRIORS

if TYPE_CHECKING:
    from fastkl.density.base import BaseDensity

FORMAT, VERSION, HEADER = "fastkl density", 1, "fastkl.json"


def _estimators() -> dict[str, type[BaseDensity]]:
    """The densities that can be stored, by name."""
    # These modules know this one, which is read first.
    from fastkl.density.composed.product import ProductDensity
    from fastkl.density.composed.transformed import TransformedDensity
    from fastkl.density.parametric.mle import DensityMLE

    return {kind.__name__: kind for kind in (DensityMLE, ProductDensity, TransformedDensity)}


def save_density(density: BaseDensity, path: Any) -> None:
    """Write a fitted density."""
    arrays: dict[str, NDArray[Any]] = {}
    header = {"format": FORMAT, "version": VERSION, **_pack_density(density, arrays)}
    target = Path(path)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=target.name, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(HEADER, json.dumps(header, indent=1))
            for name, array in arrays.items():
                buffer = io.BytesIO()
                np.lib.format.write_array(buffer, array, allow_pickle=False)
                archive.writestr(name, buffer.getvalue())
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise


def load(path: Any) -> Any:
    """Read a density that ``save`` wrote.

    Parameters
    ----------
    path : str or path-like
        The path given to ``save``.

    Returns
    -------
    density
        The density that was saved, with all that it had learnt.

    Raises
    ------
    ModelFileError
        If the file is damaged, foreign, or of a later format. Nothing in a file can make this function run code.
    FileNotFoundError
        If there is no such file.

    Examples
    --------
    >>> import os, tempfile
    >>> import fastkl
    >>> path = os.path.join(tempfile.mkdtemp(), "model")
    >>> fastkl.DensityMLE.from_parameters("normal", loc=0.0, scale=1.0).save(path)
    >>> fastkl.load(path).params_
    {'loc': array([0.]), 'scale': array([1.])}
    """
    try:
        with zipfile.ZipFile(path) as archive:
            header = json.loads(archive.read(HEADER))
            if header["format"] != FORMAT or header["estimator"] not in _estimators():
                raise ModelFileError(f"{path} is not a fastkl density.")
            if header["version"] > VERSION:
                raise ModelFileError(
                    f"{path} was written by a later fastkl (format {header['version']}); this one reads {VERSION}."
                )
            density = _unpack_density(header, archive)
        # scoring a row of the density's own exercises every part that a damaged file could lack
        with warnings.catch_warnings():
            # what is drawn is an array, also of a density that was fitted to columns with names
            warnings.filterwarnings("ignore", message="X does not have valid feature names")
            density.score_samples(density.sample(1, random_state=0))
    except (OSError, ModelFileError):
        raise
    except Exception as error:
        raise ModelFileError(f"{path} is damaged or not a fastkl density ({type(error).__name__}: {error}).") from error
    return density


def _pack_density(density: Any, arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    own = getattr(density, "_parameters_to_store", None)
    return {
        "estimator": type(density).__name__,
        "parameters": _pack(density.get_params(deep=False) if own is None else own(), arrays),
        "state": _pack({name: value for name, value in vars(density).items() if name.endswith("_")}, arrays),
    }


def _unpack_density(packed: dict[str, Any], archive: zipfile.ZipFile) -> Any:
    density = _estimators()[packed["estimator"]](**_unpack(packed["parameters"], archive))
    density.__dict__.update(_unpack(packed["state"], archive))
    return density


def _pack(value: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    """A JSON form of the value; arrays go into ``arrays`` and leave their name."""
    if isinstance(value, Family):
        return {"family": value.name, "options": _pack(value.get_params(deep=False), arrays)}
    if type(value) in PRIORS.values():
        return {"prior": type(value).__name__, "options": _pack(value.get_params(deep=False), arrays)}
    if isinstance(value, dict):
        return {"dict": {key: _pack(item, arrays) for key, item in value.items()}}
    if isinstance(value, list | tuple):
        return {type(value).__name__: [_pack(item, arrays) for item in value]}
    if isinstance(value, slice):
        return {"slice": [_pack(end, arrays) for end in (value.start, value.stop, value.step)]}
    if type(value) in _estimators().values():
        return _pack_density(value, arrays)
    if isinstance(value, np.ndarray) and value.dtype.kind == "O":
        return {"labels": [_pack(item, arrays) for item in value.tolist()]}
    if isinstance(value, np.ndarray | np.generic):
        name = f"{len(arrays)}.npy"
        arrays[name] = np.asarray(value)
        return {"array": name, "scalar": isinstance(value, np.generic)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    packed = pack_transformer(value, lambda item: _pack(item, arrays))
    if packed is None:
        raise TypeError(f"A value of type {type(value).__name__} can't be saved without pickle: {value!r}.")
    return packed


def _unpack(packed: Any, archive: zipfile.ZipFile) -> Any:
    if not isinstance(packed, dict):
        return packed
    if "family" in packed:
        return families.by_name(packed["family"])(**_unpack(packed["options"], archive))
    if "prior" in packed:
        kind = next(kind for kind in PRIORS.values() if kind.__name__ == packed["prior"])
        return kind(**_unpack(packed["options"], archive))
    if "dict" in packed:
        return {key: _unpack(item, archive) for key, item in packed["dict"].items()}
    if "list" in packed:
        return [_unpack(item, archive) for item in packed["list"]]
    if "tuple" in packed:
        return tuple(_unpack(item, archive) for item in packed["tuple"])
    if "slice" in packed:
        return slice(*(_unpack(end, archive) for end in packed["slice"]))
    if "estimator" in packed:
        return _unpack_density(packed, archive)
    if "transformer" in packed or "function" in packed:
        return unpack_transformer(packed, lambda item: _unpack(item, archive))
    if "labels" in packed:
        return np.array([_unpack(item, archive) for item in packed["labels"]], dtype=object)
    array = np.lib.format.read_array(io.BytesIO(archive.read(packed["array"])), allow_pickle=False)
    return array[()] if packed["scalar"] else array
