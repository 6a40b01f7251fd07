"""Sources that are files (.npy, Parquet, CSV): what of them is read, and what is said where it cannot be."""

import decimal
import mmap
import operator
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from fastkl import DensityMLE, SourceError
from fastkl.rows import open_source
from fastkl.rows.npy_file import NpyFile
from tests.rows.known import N, X, contents, table

# -- types ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8", "f2", "i1", "<i8", ">i2", "u4", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_types(tmp_path, dtype, order):
    values = (X * 10).astype(dtype, order=order)
    np.save(tmp_path / "X.npy", values)
    found, _ = contents(open_source(tmp_path / "X.npy", block_rows=99))
    assert found.dtype == (np.float32 if dtype[1:] == "f4" else np.float64)
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, values.astype(found.dtype))


def test_npy_whose_values_are_not_aligned(tmp_path):
    """Other writers pad the header as they like."""
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {X.shape}}}\n".encode()
    path = tmp_path / "X.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + X.tobytes())
    assert (10 + len(header)) % 8 != 0
    for n_threads in (1, 3):
        opened = open_source(path, block_rows=99)
        opened.n_threads = n_threads
        np.testing.assert_array_equal(contents(opened)[0], X)
        assert opened.sum(lambda block: block.X.flags.aligned, operator.and_)


def test_files_where_the_system_has_fewer_calls(tmp_path, monkeypatch):
    """What Python offers on every system will do, for files in both orders, mapped and read by several threads at once."""
    for module, name in ((os, "preadv"), (os, "pread"), (os, "sysconf"), (mmap, "PROT_READ"), (mmap, "MAP_SHARED")):
        monkeypatch.delattr(module, name, raising=False)
    X = np.random.default_rng(0).normal(size=(5000, 3))
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "F.npy", np.asfortranarray(X))
    opened = NpyFile(tmp_path / "X.npy").open()
    np.testing.assert_array_equal(opened.view(100, 50), X[100:150])
    for name in ("X.npy", "F.npy"):
        with ThreadPoolExecutor(4) as pool:
            read = NpyFile(tmp_path / name).open(mapped=False).read
            parts = list(pool.map(read, range(0, 5000, 10), np.empty((500, 10, 3))))
        np.testing.assert_array_equal(np.concatenate(parts), X)
    density = DensityMLE("normal").fit_batches(tmp_path / "X.npy")
    np.testing.assert_array_equal(density.score_samples_batches(tmp_path / "F.npy"), density.score_samples(X))


def test_arrow_types(tmp_path):
    columns = {
        "double": pa.array([1.5, None, 3.0]),
        "float": pa.array([1.5, 2.5, None], pa.float32()),
        "int": pa.array([1, None, 3], pa.int64()),
        "byte": pa.array([1, 2, 3], pa.uint8()),
        "flag": pa.array([True, False, None]),
        "price": pa.array([decimal.Decimal("1.25"), None, decimal.Decimal("-3.5")], pa.decimal128(9, 2)),
        "code": pa.array([4.0, 5.0, 4.0]).dictionary_encode(),
        "missing": pa.nulls(3),
    }
    expected = np.array(
        [[1.5, 1.5, 1, 1, 1, 1.25, 4, np.nan], [np.nan, 2.5, np.nan, 2, 0, np.nan, 5, np.nan],
         [3, np.nan, 3, 3, np.nan, -3.5, 4, np.nan]]
    )  # fmt: skip
    made = pa.table(columns)
    parquet.write_table(made, tmp_path / "X.parquet")
    for source in (tmp_path / "X.parquet", made, [made]):
        np.testing.assert_array_equal(contents(open_source(source))[0], expected)
    floats, _ = contents(open_source(made, columns=["float", "byte"]))
    assert floats.dtype == np.float32
    for source in (tmp_path / "X.parquet", made):
        found, weights = contents(open_source(source, columns=["double"], weights="price"))
        np.testing.assert_array_equal(weights, expected[:, 5])
        assert found.shape == (3, 1)


def test_csv_with_missing_values(tmp_path):
    path = tmp_path / "X.csv"
    path.write_text('\ufeffa,"b, c",w\n1,NA,2\n,2.5,0.5\n')
    opened = open_source(path, weights="w")
    assert opened.names == ["a", "b, c"]
    values, weights = contents(opened)
    np.testing.assert_array_equal(values, [[1.0, np.nan], [np.nan, 2.5]])
    np.testing.assert_array_equal(weights, [2.0, 0.5])


def test_csv_of_labels(tmp_path):
    path = tmp_path / "X.csv"
    path.write_text("country,n\nNA,1\nDE,2\n,3\n")
    values, _ = contents(open_source(path, labels=True))
    assert values.tolist() == [["NA", 1], ["DE", 2], [None, 3]]


def test_files_of_several_float_types(tmp_path):
    parquet.write_table(pa.table({"x": pa.array([1.0], pa.float32())}), tmp_path / "1.parquet")
    parquet.write_table(pa.table({"x": pa.array([0.1])}), tmp_path / "2.parquet")
    values, _ = contents(open_source(tmp_path))
    assert values.tolist() == [[1.0], [0.1]]


def test_only_the_chosen_columns_are_read(tmp_path):
    """A column that could not be read as numbers is no matter where others are asked for."""
    pd.DataFrame({"x": [1.0, 2.0], "name": ["one", "two"]}).to_parquet(tmp_path / "X.parquet")
    pd.DataFrame({"x": [1.0, 2.0], "name": ["one", "two"]}).to_csv(tmp_path / "X.csv", index=False)
    for name in ("X.parquet", "X.csv"):
        assert contents(open_source(tmp_path / name, columns="x"))[0].tolist() == [[1.0], [2.0]]


# -- bad input -----------------------------------------------------------------------------------------------------------


def test_missing_files(tmp_path):
    for name in ("X.npy", "X.parquet", "X.csv", "folder"):
        with pytest.raises(FileNotFoundError, match=f"There is no file .*{name}"):
            open_source(tmp_path / name)
    (tmp_path / "waiting.csv").write_text("x\n1\n")
    with pytest.raises(FileNotFoundError, match=r"There is no file .*waitng.csv. Did you mean 'waiting.csv'\?"):
        open_source(tmp_path / "waitng.csv")
    with pytest.raises(FileNotFoundError, match=r"waiting.cvs. Did you mean 'waiting.csv'\?"):
        open_source(tmp_path / "waiting.cvs")
    with pytest.raises(FileNotFoundError, match=r"other.csv\.$"):
        open_source(tmp_path / "other.csv")
    with pytest.raises(FileNotFoundError, match=r"waiting.csv\.$"):
        open_source(tmp_path / "no folder" / "waiting.csv")
    with pytest.raises(FileNotFoundError, match="fits the pattern"):
        open_source(str(tmp_path / "*.parquet"))
    with pytest.raises(SourceError, match="holds no Parquet files"):
        open_source(tmp_path)
    with pytest.raises(FileNotFoundError):
        open_source(X, weights=tmp_path / "weights.npy")


def test_npy_that_will_not_do(tmp_path):
    path = tmp_path / "X.npy"
    np.save(path, X)
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    with pytest.raises(SourceError, match=r"cut short: its header says 1000 rows of 24 bytes.* 998 complete rows"):
        open_source(path)
    path.write_bytes(whole[:40])
    with pytest.raises(SourceError, match="header is damaged"):
        open_source(path)
    path.write_bytes(b"PK\x03\x04 not this")
    with pytest.raises(SourceError, match="not a .npy file"):
        open_source(path)
    path.write_bytes(b"")
    with pytest.raises(SourceError, match="not a .npy file"):
        open_source(path)
    for values, message in [
        (X[:, 0], r"shape \(1000,\).*reshape\(-1, 1\)"),
        (X[None], r"shape \(1, 1000, 3\)"),
        (X + 1j, "type complex128, not real numbers"),
        (np.zeros(3, dtype=[("a", "f8"), ("b", "f8")]), "records with the fields a, b"),
    ]:
        np.save(path, values)
        with pytest.raises(SourceError, match=message):
            open_source(path)
    np.save(path, np.array([[1, "a"]], dtype=object), allow_pickle=True)
    with pytest.raises(SourceError, match="Python objects, which only unpickling could read"):
        open_source(path)
    np.save(path, np.empty((0, 3)))
    with pytest.raises(SourceError, match="no rows"):
        open_source(path).sum(len, operator.add)


def test_npy_that_becomes_shorter(tmp_path):
    np.save(tmp_path / "X.npy", X)
    for n_threads in (1, 2):
        np.save(tmp_path / "X.npy", X)
        opened = open_source(tmp_path / "X.npy", block_rows=10)
        opened.n_threads = n_threads
        (tmp_path / "X.npy").write_bytes((tmp_path / "X.npy").read_bytes()[:2000])
        with pytest.raises(SourceError, match="became shorter"):
            opened.sum(lambda block: block.X.sum(), operator.add)


@pytest.mark.parametrize("kind", ["npy", "parquet"])
def test_texts_of_digits_are_numbers_as_in_memory(tmp_path, kind):
    """What ``fit`` reads as numbers is read as the same from a file and an Arrow table; what is none is named by its row."""
    texts = np.array([f"{value:.17g}" for value in X[:, 0]])
    path = tmp_path / f"X.{kind}"

    def written(values):
        if kind == "npy":
            np.save(path, values[:, np.newaxis])
        else:
            pd.DataFrame({"a": values}).to_parquet(path)
        return open_source(path, block_rows=100)

    np.testing.assert_array_equal(contents(written(texts))[0], X[:, :1])
    texts[234] = "many"
    with pytest.raises(
        SourceError, match=f"X.{kind}, column ('a'|0) .* holds 'many' in row 234, which is not a number"
    ):
        contents(written(texts))
    arrow = pa.table(
        {"a": pa.array(texts[:100]).dictionary_encode(), "b": pa.array(["1", None] * 50, pa.large_string())}
    )
    found = contents(open_source([arrow]))[0]
    np.testing.assert_array_equal(found, np.column_stack([X[:100, 0], [1.0, np.nan] * 50]))


def test_tables_that_will_not_do(tmp_path):
    path = tmp_path / "X.parquet"
    frame = table().assign(name="x", day=pd.Timestamp("2020-01-01"))
    frame.to_parquet(path)
    with pytest.raises(
        SourceError, match=r"X.parquet, column 'name' .* holds 'x' in row 0, which is not a number.*columns="
    ):
        contents(open_source(path, columns=["a", "b", "c", "name"]))
    with pytest.raises(SourceError, match="column 'day' has type timestamp"):
        open_source(path, columns=["day"])
    with pytest.raises(SourceError, match="no column 'd'; its columns are 'a', 'b', 'c', 'name', 'day'"):
        open_source(path, columns=["a", "d"])
    with pytest.raises(SourceError, match="no column 'weight'"):
        open_source(path, columns=["a"], weights="weight")
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(SourceError, match="not a Parquet file, or it is damaged"):
        open_source(path)
    frame[:500].drop(columns=["name", "day"]).to_parquet(path)
    frame[500:].to_parquet(tmp_path / "Y.parquet")
    with pytest.raises(SourceError, match="Y.parquet has columns that .*X.parquet has not: name, day"):
        open_source(tmp_path)
    with pytest.raises(SourceError, match="column 'name' \\(type (object|str)\\) holds 'x' in row 0"):
        contents(open_source(frame.drop(columns="day")))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (10, 2", "header is damaged"),  # the bracket stays open
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 2), }", r"its shape is \(-1, 2\)"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (10, 0), }", "no values to read"),
        ("{'descr': '|S0', 'fortran_order': False, 'shape': (10, 2), }", "no values to read"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (0, 2), }", "holds no rows"),
        ("{'descr': '<q9', 'fortran_order': False, 'shape': (10, 2), }", "header is damaged"),
    ],
)
@pytest.mark.parametrize("family", ["normal", "categorical"])
def test_headers_of_nothing(family, header, message, tmp_path):
    line = header.encode() + b" " * (117 - len(header)) + b"\n"
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(line).to_bytes(2, "little") + line + bytes(160))
    with pytest.raises(SourceError, match=message):
        DensityMLE(family).fit_batches(tmp_path / "x.npy")


@pytest.mark.parametrize("family", ["laplace", "student_t", "gamma", "categorical"])
def test_batches_without_columns(family):
    with pytest.raises(SourceError, match=r"Batch 0 has no columns to read"):
        DensityMLE(family).fit_batches([np.empty((5, 0))])


def test_parquet_damaged_inside(tmp_path):
    path = tmp_path / "X.parquet"
    parquet.write_table(pa.table({"x": X.ravel()}), path, row_group_size=500, use_dictionary=False, compression="none")
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 400] = b"\xff" * 400  # over the header of a page
    content[4:40] = b"\xff" * 36
    path.write_bytes(content)
    with pytest.raises(SourceError, match="damaged after row"):
        contents(open_source(path))


def test_files_that_do_not_agree(tmp_path):
    np.save(tmp_path / "a.npy", X)
    np.save(tmp_path / "b.npy", X[:, :2])
    with pytest.raises(SourceError, match="b.npy has 2 columns, .*a.npy has 3"):
        open_source([tmp_path / "a.npy", tmp_path / "b.npy"])
    assert contents(open_source(str(tmp_path / "?.npy"), columns=[1, 0]))[0].shape == (2 * N, 2)
    table().to_csv(tmp_path / "c.csv", index=False)
    with pytest.raises(SourceError, match="c.csv has the columns 'a', 'b', 'c', .*a.npy has '\\(without names\\)'"):
        open_source([tmp_path / "a.npy", tmp_path / "c.csv"])
    with pytest.raises(FileNotFoundError, match="d.npy"):
        open_source([tmp_path / "a.npy", tmp_path / "d.npy"])


def test_csv_that_will_not_do(tmp_path):
    path = tmp_path / "X.csv"
    path.write_text("")
    with pytest.raises(SourceError, match="is empty"):
        open_source(path)
    path.write_text("a,b\n1,2\n3,four\n")
    with pytest.raises(SourceError, match="X.csv: row 1, column 'b' holds 'four', which is not a number"):
        contents(open_source(path))
    path.write_text("a,b\n1,2\n3,4,5\n")
    with pytest.raises(SourceError, match="row 1 has 3 values for 2 columns"):
        contents(open_source(path))
    path.write_text("a,b\n")
    with pytest.raises(SourceError, match="no rows"):
        open_source(path).sum(len, operator.add)
    path.write_text("1,2\n3,4\n")
    with pytest.raises(SourceError, match="row of numbers in place of names"):
        open_source(path, weights="w")


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("0,1\n5,6\n", None),
        ("0,1,2,3,4,5\n0.5,1,2,3,4,5\n", None),
        ("0\n1.5\n2.5\n", None),
        ("0\n3\n1\n", [[0.0], [3.0], [1.0]]),
        ("0,1.0\n5,6\n", [[0.0, 1.0], [5.0, 6.0]]),
        ("1,0\n5,6\n", [[1.0, 0.0], [5.0, 6.0]]),
    ],
)
def test_numbers_of_columns_are_neither_names_nor_a_row_in_silence(tmp_path, text, rows):
    """What pandas writes above columns without names."""
    path = tmp_path / "rows.csv"
    path.write_text(text)
    if rows is None:
        with pytest.raises(SourceError, match=r"first line is 0.* names, which pandas writes .* or a row of numbers"):
            open_source(path)
    else:
        np.testing.assert_array_equal(np.vstack([block.X for block in open_source(path).blocks()]), rows)
    pd.DataFrame(np.ones((3, 2))).to_csv(path, index=False)
    with pytest.raises(SourceError, match="names, which pandas writes"):
        open_source(path)


def test_pyarrow_is_asked_for_by_name(tmp_path, monkeypatch):
    table().to_parquet(tmp_path / "X.parquet")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"Reading Parquet needs pyarrow: pip install 'fastkl\[files\]'"):
        open_source(tmp_path / "X.parquet")


@pytest.mark.parametrize("empty", ["", [""], ["a.npy", ""]])
def test_an_empty_path_is_no_folder(empty, tmp_path, monkeypatch):
    """It would be the working directory, with whatever Parquet files are below it."""
    np.save(tmp_path / "a.npy", np.ones((3, 1)))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="path of the source is empty"):
        open_source(empty)
