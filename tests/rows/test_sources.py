"""Sources of every kind give the same rows; those in memory: their types, bad input, and the threads that read."""

import gzip
import operator
import re
import threading

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import dataset, parquet
from scipy import sparse

from fastkl import DensityMLE, SourceError, kl_divergence
from fastkl.rows import open_source
from fastkl.rows.source import default_rows
from fastkl.rows.sources.read_ahead import read_ahead
from fastkl.rows.streamed import StreamedRows
from tests.rows.known import NAMES, N, Refilled, W, X, contents, table

KINDS = (
    "npy fortran shards mixed parquet folder pattern csv tsv.gz array frame polars arrow dataset list frames function generator "
    "reader memmap rows lazy relation stream refilled unaligned"
)


class Exporter:
    """An object of which nothing is known but that it gives Arrow streams."""

    def __init__(self, table):
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


@pytest.fixture(params=KINDS.split())
def source(request, tmp_path):
    """The same rows from everywhere."""
    kind, path = request.param, tmp_path / f"X.{request.param}"
    if kind in ("npy", "fortran", "memmap"):
        path = tmp_path / "X.npy"
        np.save(path, X if kind != "fortran" else np.asfortranarray(X))
        return path if kind != "memmap" else np.load(path, mmap_mode="r")
    if kind == "unaligned":  # a header of an odd length
        header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {X.shape}}}\n".encode()
        path.write_bytes(b"\x93NUMPY\x01\x00" + np.uint16(len(header)).tobytes() + header + X.tobytes())
        return path.rename(tmp_path / "X.npy")
    if kind in ("shards", "mixed"):
        for i, order in enumerate("CFC"):
            np.save(tmp_path / f"{i}.npy", np.asarray(X[400 * i : 400 * i + 400], order=order))
        np.savetxt(tmp_path / "2.csv", X[800:], delimiter=",", fmt="%.17g")
        paths = [str(tmp_path / "0.npy"), tmp_path / "1.npy", tmp_path / "2.csv"]
        return str(tmp_path / "?.npy") if kind == "shards" else paths
    if kind == "parquet":
        table().to_parquet(path, row_group_size=300)
        return str(path)
    if kind in ("folder", "pattern"):
        path.mkdir()
        (path / "_metadata.parquet").write_bytes(b"not rows")
        for i in range(4):
            table()[250 * i : 250 * i + 250].to_parquet(path / f"part{i}.parquet")
        return path if kind == "folder" else str(path / "part*.parquet")
    if kind == "csv":
        table().to_csv(path, index=False)
        return path
    if kind == "tsv.gz":
        with gzip.open(path, "wt") as stream:
            np.savetxt(stream, X, delimiter="\t", fmt="%.17g")  # no line of names
        return path
    arrow_table = pa.Table.from_pandas(table())
    parts = [X[:1], X[1:400], X[400:]]
    if kind == "dataset":
        parquet.write_table(arrow_table, tmp_path / "X.parquet")
        return dataset.dataset(tmp_path / "X.parquet")
    return {
        "array": X, "frame": table(), "polars": pl.DataFrame(X, schema=NAMES), "arrow": arrow_table, "list": parts,
        "frames": [table()[:1], table()[1:]], "function": lambda: iter(parts), "generator": (part for part in parts),
        "reader": pa.RecordBatchReader.from_batches(arrow_table.schema, arrow_table.to_batches(max_chunksize=300)),
        "rows": X.tolist(), "lazy": pl.DataFrame(X, schema=NAMES).lazy(), "relation": duckdb.from_arrow(arrow_table),
        "stream": Exporter(arrow_table), "refilled": Refilled(X),
    }[kind]  # fmt: skip


# -- the same rows from everywhere ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("block_rows", [None, 77])
def test_rows_are_all_there(source, block_rows):
    opened = open_source(source, block_rows=block_rows)
    opened.learn_columns()
    assert opened.n_columns == 3
    assert opened.names in (None, NAMES)
    np.testing.assert_array_equal(contents(opened)[0], X)
    if opened.repeatable:
        np.testing.assert_array_equal(contents(opened)[0], X)
    else:
        with pytest.raises(SourceError, match="cannot be read again"):
            contents(opened)


@pytest.mark.parametrize("block_rows", [None, 77])
def test_rows_that_are_kept_outlive_their_blocks(source, block_rows):
    """A block's memory is its own while it is worked on alone."""
    opened = open_source(source, block_rows=block_rows)
    opened.learn_columns()
    np.testing.assert_array_equal(StreamedRows(opened, 3, None, 2).in_memory().X, X)
    if opened.lasting:
        np.testing.assert_array_equal(np.concatenate([block.X for block in list(opened.blocks())]), X)


def test_weights_that_are_kept_outlive_their_blocks():
    opened = open_source(Refilled(X, W))
    opened.learn_columns()
    found = StreamedRows(opened, 3, None, 1).in_memory()
    np.testing.assert_array_equal(found.X, X)
    np.testing.assert_array_equal(found.weights, W)


def test_columns_and_weights(source, tmp_path):
    opened = open_source(source, columns=[2, 0], weights=W)
    values, weights = contents(opened)
    np.testing.assert_array_equal(values, X[:, [2, 0]])
    np.testing.assert_array_equal(weights, W)


def test_columns_by_name(source):
    named = open_source(source)
    named.learn_columns()
    if named.names is None:
        with pytest.raises(SourceError, match="without names"):
            contents(open_source([X] if hasattr(source, "__next__") else source, columns=["c", "a"]))
        return
    opened = named if hasattr(source, "__next__") or not named.repeatable else open_source(source)
    opened.select(["c", "a"])
    np.testing.assert_array_equal(contents(opened)[0], X[:, [2, 0]])
    assert opened.names == ["c", "a"]
    if opened.repeatable:
        np.testing.assert_array_equal(contents(open_source(source, columns=["c", "a"]))[0], X[:, [2, 0]])


def test_weights_of_another_length(source, tmp_path):
    np.save(tmp_path / "weights.npy", W[:-1])
    for weights in (np.append(W, 1.0), W[:-1], tmp_path / "weights.npy"):
        with pytest.raises(SourceError, match=r"sample_weight has (999|1001) entries, the source has"):
            contents(open_source(source, weights=weights))
        if hasattr(source, "__next__"):
            return  # it is used up


@pytest.mark.parametrize("n_threads", [1, 3])
def test_sum_map_and_sample(source, n_threads):
    opened = open_source(source, block_rows=64)
    opened.n_threads = n_threads
    if not opened.repeatable:
        sample = opened.sample(20)
        assert opened.n_rows == N
    else:
        total = opened.sum(lambda block: block.X.sum(axis=0), operator.add)
        np.testing.assert_allclose(total, X.sum(axis=0), rtol=1e-12)
        firsts = []
        opened.map(lambda block: block.X[:, 0].copy(), lambda block, values: firsts.append((block.first_row, values)))
        assert [row for row, _ in firsts] == sorted(row for row, _ in firsts)
        np.testing.assert_array_equal(np.concatenate([values for _, values in firsts]), X[:, 0])
        sample = opened.sample(20)
    assert 20 <= len(sample.X) <= 80
    np.testing.assert_array_equal(sample.X, X[sample.index])
    lengths = [N // 20, 16, 32]  # where the number of rows is not known before, stretches double
    assert any(np.array_equal(sample.index // length, np.arange(len(sample.index))) for length in lengths)


def test_sample_of_weighted_rows():
    weights = np.where(np.arange(N) < 900, 0.0, 1.0)
    sample = open_source(X, weights=weights, block_rows=70).sample(20)
    assert 20 <= len(sample.X) <= 80
    assert sample.index.min() >= 900
    np.testing.assert_array_equal(sample.weights, np.ones(len(sample.X)))
    few = open_source(X[:50], block_rows=7).sample(20)
    np.testing.assert_array_equal(few.X, X[:50])


class OnDisk:
    """What a data set of an HDF5 or zarr file looks like: rows are there when they are sliced."""

    ndim, shape, dtype = 2, X.shape, X.dtype

    def __len__(self):
        return N

    def __getitem__(self, rows):
        assert isinstance(rows, slice)
        assert rows.stop is None or rows.stop - (rows.start or 0) <= 100
        return X[rows]


def test_sliced_data_sets():
    np.testing.assert_array_equal(contents(open_source(OnDisk(), block_rows=100))[0], X)


def test_default_blocks_are_bounded():
    for columns in (1, 8, 1000, 100_000, 10_000_000):
        size = default_rows(8 * columns)
        assert size == 1 or size * columns * 8 <= 32 << 20
        assert size >= min(2048, max(1, (32 << 20) // (8 * columns)))


# -- types ---------------------------------------------------------------------------------------------------------------


def test_frames_with_missing_values_and_weights():
    frame = pd.DataFrame({"x": pd.array([1, None, 3], dtype="Int64"), "w": [1.0, 2.0, 3.0], "y": [1.0, None, 2.0]})
    values, weights = contents(open_source(frame, weights="w"))
    np.testing.assert_array_equal(values, [[1.0, 1.0], [np.nan, np.nan], [3.0, 2.0]])
    np.testing.assert_array_equal(weights, [1.0, 2.0, 3.0])
    narrow = pl.DataFrame({"x": [1.0, 2.0]}, schema={"x": pl.Float32})
    assert contents(open_source(narrow))[0].dtype == np.float32


def test_pairs_bring_weights():
    values, weights = contents(open_source([(X[:10], W[:10]), (X[10:], W[10:])]))
    np.testing.assert_array_equal(values, X)
    np.testing.assert_array_equal(weights, W)
    with pytest.raises(SourceError, match="weights of its own"):
        contents(open_source([(X, W)], weights=W))
    with pytest.raises(SourceError, match=r"Batch 1 has 3 rows and weights of shape \(2,\)"):
        contents(open_source([(X[:3], W[:3]), (X[:3], W[:2])]))


# -- bad input -----------------------------------------------------------------------------------------------------------


def test_masked_weights_are_refused():
    masked = np.ma.array(W, mask=np.arange(N) == 5)
    for source, weights in ((X, masked), ([(X, masked)], None)):
        with pytest.raises(SourceError, match=r"masked values, the first in row 5"):
            contents(open_source(source, weights=weights))


def test_batches_that_do_not_agree():
    with pytest.raises(SourceError, match="Batch 1 has 2 columns, the batches before have 3"):
        contents(open_source([X[:5], X[:5, :2]]))
    with pytest.raises(
        SourceError, match="Batch 1 has the columns 'c', 'b', 'a', the batches before have the columns 'a'"
    ):
        contents(open_source([table(), table()[["c", "b", "a"]]]))
    values, _ = contents(open_source([table(), table()[["c", "b", "a"]]], columns=["a", "b"]))
    np.testing.assert_array_equal(values, np.tile(X[:, :2], (2, 1)))
    with pytest.raises(SourceError, match="Batch 1 has columns without names, the batches before have the columns"):
        contents(open_source([table(), X]))


def test_batches_that_will_not_do():
    for batch, message in [
        (X[0], r"Batch 0 has shape \(3,\).*reshape"),
        (X + 1j, "Batch 0 has values of type complex128"),
        (np.array([["1", "x"]]), r"Batch 0, column 1 \(type <U1\) holds 'x' in row 0"),
        (np.array([[1.0, "x"]], dtype=object), r"Batch 0, column 1 \(type object\) holds 'x' in row 0"),
        (pd.DataFrame({"a": ["x"]}), "Batch 0, column 'a'"),
        (pd.DataFrame({"a": [1.0 + 2.0j]}), r"Batch 0, column 'a' \(type complex128\) holds \(1\+2j\) in row 0"),
    ]:
        with pytest.raises(SourceError, match=message):
            contents(open_source([batch]))
    with pytest.raises(SourceError, match="no batches"):
        contents(open_source([]))
    with pytest.raises(SourceError, match="no rows"):
        open_source([X[:0]]).sum(len, operator.add)
    for source in ({"a": 1}, 3, None, b"X.npy"):
        with pytest.raises(TypeError, match="A source is the path of"):
            open_source(source)
    with pytest.raises(SourceError, match="sparse"):
        open_source(sparse.csr_matrix(X))


def test_arguments(tmp_path):
    for block_rows in (0, -1, 2.5, True):
        with pytest.raises(ValueError, match="batch_rows is a number of rows"):
            open_source(X, block_rows=block_rows)
    np.save(tmp_path / "X.npy", X)
    with pytest.raises(SourceError, match="3 columns, so that there is no column 3"):
        open_source(tmp_path / "X.npy", columns=[3])
    with pytest.raises(SourceError, match="'w' names no weights"):
        open_source(tmp_path / "X.npy", weights="w")
    opened = open_source(tmp_path / "X.npy")
    assert open_source(opened) is opened
    with pytest.raises(ValueError, match="given where a source is opened"):
        open_source(opened, columns=[0])
    (tmp_path / "X.xlsx").write_text("1 2")
    with pytest.raises(ValueError, match="ends in none of .npy, .parquet"):
        open_source(tmp_path / "X.xlsx")
    with pytest.raises(SourceError, match=r"sample_weight has shape \(2, 2\)"):
        open_source(X, weights=[[1, 2], [3, 4]])


# -- threads -------------------------------------------------------------------------------------------------------------


def test_read_ahead_ends_with_its_reader():
    made = []

    def items():
        try:
            for i in range(100):
                made.append(i)
                yield i
        finally:
            made.append("closed")

    ahead = read_ahead(items())
    assert [next(ahead), next(ahead)] == [0, 1]
    ahead.close()
    assert made[-1] == "closed"
    assert len(made) < 8
    assert not [thread for thread in threading.enumerate() if "fastkl" in thread.name]

    def broken():
        yield 1
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        list(read_ahead(broken()))


def test_overflow_is_handled_as_the_caller_says():
    opened = open_source(X, block_rows=50)
    opened.n_threads = 3
    with np.errstate(divide="ignore"):
        assert opened.sum(lambda block: float(np.min(np.log(block.X[:, 0] * 0.0))), min) == -np.inf
    with pytest.raises(RuntimeWarning, match="divide by zero"):
        opened.sum(lambda block: float(np.min(np.log(block.X[:, 0] * 0.0))), min)


@pytest.mark.parametrize("n_threads", [1, 3])
def test_the_first_error_is_the_one_raised(tmp_path, n_threads):
    np.save(tmp_path / "X.npy", X)
    opened = open_source(tmp_path / "X.npy", block_rows=50)
    opened.n_threads = n_threads

    def refuse(block):
        if block.number in (7, 3, 12):
            raise ValueError(f"block {block.number}")
        return 0

    for _ in range(3):
        with pytest.raises(ValueError, match="block 3"):
            opened.sum(refuse, operator.add)
    assert not [thread for thread in threading.enumerate() if "fastkl" in thread.name]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_rows_and_weights_that_are_not_aligned(dtype):
    """Arrays at odd addresses, as in packed records, are read as they are elsewhere."""
    rng = np.random.default_rng(0)
    plain, weights = rng.gamma(2.0, size=(50, 2)).astype(dtype), rng.uniform(0.1, 1.0, 50)

    def odd(array):
        moved = np.ndarray(array.shape, array.dtype, buffer=bytearray(array.nbytes + 1), offset=1)
        moved[...] = array
        assert not moved.flags.aligned
        return moved

    model = DensityMLE("gamma").fit(plain, sample_weight=weights)
    moved = DensityMLE("gamma").fit_batches([(odd(plain), odd(weights))])
    np.testing.assert_allclose(moved.params_["shape"], model.params_["shape"], rtol=1e-13)
    assert float(model.score_batches(odd(plain), sample_weight=odd(weights))) == pytest.approx(
        model.score(plain, sample_weight=weights), rel=1e-13
    )
    other = plain + dtype(0.5)
    assert float(kl_divergence(odd(plain), odd(other), sample_weight_p=odd(weights))) == float(
        kl_divergence(plain, other, sample_weight_p=weights)
    )


@pytest.mark.parametrize(
    ("source", "shape", "hint"),
    [
        (np.ones(1000), "(1000,)", "x.reshape(-1, 1)"),
        (np.array(["a", "b"]), "(2,)", "x.reshape(-1, 1)"),
        ([1.0, 2.0, 3.0], "(3,)", "numpy.reshape(x, (-1, 1))"),
        (range(4), "(4,)", "numpy.reshape(x, (-1, 1))"),
        (pd.Series(np.ones(7)), "(7,)", "x.to_frame()"),
        (pl.Series([1.0, 2.0]), "(2,)", "x.to_frame()"),
        (np.ones((4, 3, 2)), "(4, 3, 2)", ""),
        (np.array(3.0), "()", ""),
    ],
)
def test_what_is_no_matrix_is_said_with_its_shape(source, shape, hint):
    with pytest.raises(SourceError, match=re.escape(f"The source has shape {shape}; rows of shape (n, d)")) as caught:
        DensityMLE("normal").fit_batches(source)
    assert ("If it is one column x" in str(caught.value)) == bool(hint)
    assert hint in str(caught.value)
