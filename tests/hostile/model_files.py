"""Model files that somebody edited: any byte, any entry of the header, any array.

A good file is taken apart, something in it is changed, and it is put together again, so that the change is seen by what reads
densities and not by the checksums of the archive alone. ``load`` refuses it with a ``ModelFileError``, in bounded time and
memory; or what it gives is a density that ``from_parameters`` would have made too, which answers like any other.
"""

import io
import json
import math
import os
import time
import tracemalloc
import zipfile

import numpy as np
from sklearn.preprocessing import StandardScaler

from fastkl import (
    DensityMLE,
    FactorAnalysisMLE,
    KernelDensityMLE,
    MixtureMLE,
    ModelFileError,
    ProductDensity,
    ShapeConstrainedMLE,
    TransformedDensity,
    families,
    load,
)
from tests.hostile.promises import FOLDER, attempt, complain, made
from tests.hostile.values import KINDS, WILD

SECONDS, BYTES = 2.0, 100 * 2**20
HEADER = "fastkl.json"
ENTRIES = [
    None,
    -1,
    0,
    1,
    2,
    3,
    1e300,
    "abc",
    "gamma",
    "DensityMLE",
    True,
    [],
    {},
    10**30,
    {"array": "0.npy", "scalar": False},
]


def _models():
    """A fit of every family, known parameters, and what is composed of such."""
    for name in families.names():
        for family, params in families.by_name(name).examples():
            known = DensityMLE.from_parameters(family, **params)
            yield known
            yield DensityMLE(family).fit(known.sample(30, random_state=0))
    X = KINDS["positive"](np.random.default_rng(0), 40, 3)
    yield DensityMLE("gamma", prior="default", robust_errors=True).fit(X)
    yield MixtureMLE(2, family="normal", random_state=0, n_init=1, max_iter=50, tol=1e-3).fit(X)
    yield FactorAnalysisMLE(1).fit(X)
    yield ProductDensity([("a", DensityMLE("gamma"), [0]), ("b", DensityMLE("normal"), [1, 2])]).fit(X)
    parts = [("a", "gamma", [0]), ("b", "normal", [1, 2])]
    yield MixtureMLE(2, family=parts, random_state=0, n_init=1, max_iter=50, tol=1e-3).fit(X)
    for boundary in (None, "log", (0.0, None), {0: ("circular", 9.0)}):
        yield KernelDensityMLE("scott", boundary=boundary, adaptive=boundary is None).fit(X)
    yield MixtureMLE(2, family="normal", random_state=0, n_init=1, max_iter=50, tol=1e-3).partial_fit(
        np.tile(X, (15, 1))
    )
    yield MixtureMLE(2, random_state=0, n_init=1, max_iter=50, tol=1e-3).partial_fit(np.tile(X, (15, 1)))
    yield KernelDensityMLE(np.eye(3), kernel="epanechnikov").fit(X)
    yield KernelDensityMLE(0.5, bias_reduction="score").fit(X)
    yield KernelDensityMLE([0.5, 0.3, 0.3], column_types=["continuous", "categorical", "ordered"]).fit(
        np.c_[X[:, 0], X[:, 1:].round()]
    )
    yield ShapeConstrainedMLE("log_concave").fit(X[:, :1])
    yield ShapeConstrainedMLE("decreasing").fit(X[:, :1])
    yield TransformedDensity(StandardScaler(), DensityMLE("multivariate_normal")).fit(X)


def good_files():
    """The bytes of a file for each of the models."""
    path, files = os.path.join(FOLDER, "good"), []
    for model in _models():
        model.save(path)
        with open(path, "rb") as stream:
            files.append(stream.read())
    return files


def edited_file(rng):
    """A file is edited and loaded, and what was loaded is used."""
    if not hasattr(edited_file, "files"):
        edited_file.files = good_files()
    data = rng.choice(edited_file.files)
    data = _bytes_changed(rng, data) if rng.random() < 0.2 else _contents_changed(rng, data)
    path = os.path.join(FOLDER, "edited")
    with open(path, "wb") as stream:
        stream.write(data)
    made["load"] += 1
    measured = rng.random() < 0.05
    if measured:
        tracemalloc.start()
    begun, model = time.perf_counter(), None
    try:
        model = load(path)
    except ModelFileError:
        pass
    except Exception as error:
        complain(True, "load", f"it raised {type(error).__name__}: {error}", error)
    finally:
        used, peak = time.perf_counter() - begun, tracemalloc.get_traced_memory()[1] if measured else 0
        tracemalloc.stop()
    complain(used > (30 if measured else 10) * SECONDS, "load", f"it took {used:.1f} s on the wall")
    complain(peak > 20 * len(data) + BYTES, "load", f"it took {peak >> 20} MB for a file of {len(data)} bytes")
    if model is not None:
        _used(rng, model)


def _used(rng, model):
    """What was loaded is a density like any other."""
    if type(model) is DensityMLE:
        DensityMLE.from_parameters(
            model.family_, **{k: v for k, v in model.params_.items() if k not in model.family_.fixed_parameters()}
        )
    rows = KINDS[rng.choice(["positive", "shares", "counts", "normal"])](
        np.random.default_rng(0), 6, model.n_features_in_
    )
    for name in ("score_samples", "score", "gradient", "partial_fit", "cdf", "predict_proba"):
        if rng.random() < 0.5 and hasattr(model, name):
            attempt(f"loaded {type(model).__name__}.{name}", getattr(model, name), rows, estimator=model)
    for name in ("standard_errors_", "covariance_of_params_", "summary", "n_parameters_"):
        if rng.random() < 0.3:
            attempt(f"loaded {type(model).__name__}.{name}", lambda name=name: _called(getattr(model, name)))
    attempt(f"loaded {type(model).__name__}.sample", model.sample, 3, random_state=0)


def _called(member):
    return member() if callable(member) else member


def _bytes_changed(rng, data):
    """Some bytes changed, cut or repeated."""
    data, which = bytearray(data), rng.randrange(3)
    if which == 0:
        for _ in range(rng.choice([1, 2, 8])):
            data[rng.randrange(len(data))] = rng.randrange(256)
    elif which == 1:
        del data[rng.randrange(len(data)) :]
    else:
        at = rng.randrange(len(data))
        data[at:at] = data[at : at + rng.choice([1, 16, 256])]
    return bytes(data)


def _contents_changed(rng, data):
    """The header or an array changed, in an archive that is whole."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    arrays = [name for name in members if name != HEADER]
    for _ in range(rng.choice([1, 1, 2])):
        if arrays and rng.random() < 0.6:
            name = rng.choice(arrays)
            members[name] = _array_changed(rng, members[name])
        else:
            header = json.loads(members[HEADER])
            _entry_changed(rng, header)
            members[HEADER] = json.dumps(header).encode()
    if rng.random() < 0.05:
        members.pop(rng.choice(list(members)))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", rng.choice([zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def _entry_changed(rng, header):
    """One entry of the header, at any depth, replaced, removed or renamed."""
    at, path = header, []
    while isinstance(at, dict | list) and at and (not path or rng.random() < 0.85):
        key = rng.choice(list(at)) if isinstance(at, dict) else rng.randrange(len(at))
        path.append((at, key))
        at = at[key]
    holder, key = path[-1]
    which = rng.randrange(4)
    if which == 0:
        del holder[key]
    elif which == 1 and isinstance(holder, dict):
        holder[rng.choice(["params_", "statistics_", "x_", "fit", "__class__", "array", "family"])] = holder.pop(key)
    elif which == 2 and isinstance(holder, list):
        holder.append(holder[key])
    else:
        holder[key] = rng.choice(ENTRIES)


def _lies(content):
    """Whether an array's header was changed before: NumPy would make room for what it says."""
    stream = io.BytesIO(content)
    try:
        np.lib.format.read_magic(stream)
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    except (ValueError, OverflowError):
        return True
    return math.prod(shape) * dtype.itemsize != len(content) - stream.tell()


def _array_changed(rng, content):
    """An array with another value, shape, length or type, or with a header that lies."""
    if _lies(content):
        return content
    array = np.load(io.BytesIO(content), allow_pickle=False)
    which = rng.randrange(8)
    if which < 3 and array.dtype.kind == "f" and array.size:
        array = array.copy()
        array.flat[rng.randrange(array.size)] = rng.choice([*WILD, np.nan, np.inf, -np.inf, 1.7, -2.0])
    elif which == 3:
        array = rng.choice([array[..., None], array.ravel(), array.reshape(-1)[:1], np.array(3.0), array.T.copy()])
    elif which == 4:
        array = (
            np.resize(array, rng.choice([(0,), (1,), (7,), (2, 2), (3, 3), (1000,), (100, 100)]))
            if array.size
            else np.zeros(9)
        )
    elif which == 5 and array.dtype.kind in "fiub":
        with np.errstate(all="ignore"):
            array = array.astype(rng.choice(["f4", ">f8", "i8", "c16", "S3", "bool"]))
    elif which == 6 and array.dtype.kind == "f":
        with np.errstate(all="ignore"):
            array = array * rng.choice([0.0, -1.0, 1e300, 1e-300, 2.0])
    out = io.BytesIO()
    with np.errstate(all="ignore"):
        np.lib.format.write_array(out, np.asarray(array), allow_pickle=False)
    changed = out.getvalue()
    if which == 7:
        lie = rng.choice([b"1000000000", b"-1", b"0", b"99999999999999999999"])
        return changed.replace(b"'shape': (", b"'shape': (" + lie + b", ", 1)
    return changed
