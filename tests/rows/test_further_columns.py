"""A model finds the columns of its fit by name in every source, whatever the others hold."""

import dask.dataframe as dd
import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import dataset, parquet

from fastkl import DensityMLE

RNG = np.random.default_rng(0)
FRAME = pd.DataFrame({"a": RNG.gamma(2.0, size=60), "b": RNG.gamma(3.0, size=60)})
WIDER = pd.DataFrame(
    {
        "text": "x",
        "b": FRAME.b,
        "day": pd.Timestamp("2024-01-01"),
        "a": FRAME.a,
        "w": np.arange(60) % 3,
        "deep": [[1]] * 60,
    }
)
TABLE = pa.Table.from_pandas(WIDER)
MODEL = DensityMLE("gamma").fit(FRAME)


class Stream:
    def __arrow_c_stream__(self, requested_schema=None):
        return TABLE.__arrow_c_stream__(requested_schema)


def written(folder, name):
    if name.endswith("csv"):
        WIDER.drop(columns="deep").to_csv(folder / name, index=False)
    else:
        for k, part in enumerate((TABLE.slice(0, 20), TABLE.slice(20))):
            parquet.write_table(part, folder / f"{k}{name}")
    return folder / name if name.endswith("csv") else folder


SOURCES = {
    "frame": lambda _: WIDER,
    "frames": lambda _: [WIDER[:25], WIDER[25:]],
    "function": lambda _: lambda: iter([WIDER[:25], WIDER[25:]]),
    "polars": lambda _: pl.from_arrow(TABLE),
    "lazy": lambda _: pl.from_arrow(TABLE).lazy(),
    "arrow": lambda _: TABLE,
    "batches": lambda _: TABLE.to_batches(max_chunksize=7),
    "stream": lambda _: Stream(),
    "dataset": lambda _: dataset.dataset(TABLE),
    "duckdb": lambda _: duckdb.connect().from_arrow(TABLE),
    "parquet": lambda folder: written(folder, ".parquet"),
    "csv": lambda folder: written(folder, "rows.csv"),
    "dask": lambda _: dd.from_pandas(WIDER.drop(columns="deep"), npartitions=2),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_scores(kind, tmp_path):
    make = SOURCES[kind]
    found = MODEL.score_samples_batches(make(tmp_path))
    np.testing.assert_allclose(np.asarray(found), MODEL.score_samples(FRAME), rtol=1e-6)
    weighted = MODEL.score_batches(make(tmp_path), sample_weight="w")
    assert float(weighted) == pytest.approx(MODEL.score(FRAME, sample_weight=WIDER.w), rel=1e-7)


@pytest.mark.parametrize("kind", ["frame", "arrow", "lazy", "parquet"])
def test_scores_by_map_and_reduce(kind, tmp_path):
    job = MODEL.start_score(sample_weight="w")
    while not job.done:
        job.reduce([job.map(SOURCES[kind](tmp_path), 0)])
    assert float(job.finish()) == pytest.approx(MODEL.score(FRAME, sample_weight=WIDER.w), rel=1e-7)


@pytest.mark.parametrize("kind", ["frame", "frames", "arrow", "lazy", "parquet", "duckdb"])
def test_what_is_not_there_and_what_is_chosen(kind, tmp_path):
    source = SOURCES[kind](tmp_path)
    with pytest.raises(ValueError, match="'c'"):
        DensityMLE("gamma").fit(FRAME.rename(columns={"b": "c"})).score_batches(source)
    swapped = MODEL.score_batches(SOURCES[kind](tmp_path), columns=["b", "a"])
    assert float(swapped) == pytest.approx(MODEL.score(FRAME[["b", "a"]].set_axis(["a", "b"], axis=1)), rel=1e-7)
