"""Files of rows that somebody edited: NPY, CSV and Parquet, with bytes changed, cut or repeated.

They are refused by an error that is typed, or read as rows of finite numbers.
"""

import io
import os

import numpy as np
import pandas as pd

from fastkl import DensityMLE
from tests.hostile.promises import FOLDER, attempt, complain

X = np.random.default_rng(0).gamma(2.0, size=(30, 2))
TEXTS = [
    b"",
    b"nan",
    b"inf",
    b"1e999",
    b'"',
    b"a",
    b",",
    b"\n",
    b"\r",
    b"\x00",
    b"\xff\xfe",
    b"1_000",
    b"0x10",
    b"--",
    b"'",
    b";",
    b"\t",
]


def _contents():
    npy = io.BytesIO()
    np.save(npy, X)
    table = pd.DataFrame(X, columns=["a", "b"])
    parquet = io.BytesIO()
    table.to_parquet(parquet)
    return {".npy": npy.getvalue(), ".csv": table.to_csv(index=False).encode(), ".parquet": parquet.getvalue()}


def edited_rows(rng):
    """A file of rows is edited, fitted to, scored, and used as weights."""
    if not hasattr(edited_rows, "contents"):
        edited_rows.contents = _contents()
    ending = rng.choice(list(edited_rows.contents))
    path = os.path.join(FOLDER, f"rows{ending}")
    with open(path, "wb") as stream:
        stream.write(_changed(rng, edited_rows.contents[ending], ending))
    model = DensityMLE("normal")
    fit = attempt(
        f"fit_batches({ending})", model.fit_batches, path, estimator=model, batch_rows=rng.choice([None, 1, 7])
    )
    known = DensityMLE.from_parameters("normal", loc=[0.0, 0.0], scale=[1.0, 1.0])
    attempt(
        f"score_batches({ending})",
        known.score_batches,
        path,
        columns=rng.choice([None, [0, 1], ["a", "b"], [5], ["no"]]),
    )
    attempt(f"score_samples_batches({ending})", known.score_samples_batches, path)
    if ending == ".npy":
        attempt("weights of a file", known.score_batches, X, sample_weight=path)
    if fit is not None:
        finite = all(np.isfinite(value).all() for value in fit.params_.values())
        complain(not finite, f"fit_batches({ending})", f"its parameters are {fit.params_}")


def _changed(rng, data, ending):
    data, which = bytearray(data), rng.randrange(4)
    at = rng.randrange(len(data)) if rng.random() < 0.5 else rng.randrange(min(len(data), 128))
    if which == 0:
        for _ in range(rng.choice([1, 2, 8])):
            data[rng.randrange(len(data))] = rng.randrange(256)
    elif which == 1:
        del data[at:]
    elif which == 2:
        data[at : at + rng.choice([0, 1, 4])] = rng.choice(TEXTS)
    else:
        data[at:at] = data[at : at + rng.choice([1, 16, 256])]
    return bytes(data)
