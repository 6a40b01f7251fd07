"""CSV files, read by Arrow and by Python alone: the same rows, and errors that name row, column and value."""

import gzip
import sys
import tracemalloc

import numpy as np
import pytest

from fastkl import SourceError
from fastkl.rows import open_source
from fastkl.rows.sources import csv as csv_module


@pytest.fixture(params=["arrow", "plain"])
def reader(request, monkeypatch):
    """Small parts, so that there are several."""
    monkeypatch.setattr(csv_module, "TEXT_BYTES", 64)
    monkeypatch.setattr(csv_module, "TEXT_ROWS", 7)
    if request.param == "plain":
        monkeypatch.setitem(sys.modules, "pyarrow", None)


def contents(source):
    blocks = [(block.X.copy(), block.first_row) for block in source.blocks()]
    assert [first for _, first in blocks] == np.r_[0, np.cumsum([len(X) for X, _ in blocks])[:-1]].tolist()
    return np.concatenate([X for X, _ in blocks])


@pytest.mark.parametrize(
    ("text", "names", "rows"),
    [
        ("a,b\n1,2.5\n3,4\n", ["a", "b"], [[1.0, 2.5], [3.0, 4.0]]),
        ("\n\na;b\n1;2\n\n3;4\n", ["a", "b"], [[1.0, 2.0], [3.0, 4.0]]),
        ('"x, y, z"; b\n1;NA\n', ["x, y, z", "b"], [[1.0, np.nan]]),
        ("1\t2\n3\t4\n", None, [[1.0, 2.0], [3.0, 4.0]]),
        ("\ufeffa, b\n1, 2e-3\n", ["a", "b"], [[1.0, 2e-3]]),
        ('"x\ny",b\r\n"1",2\r\n', ["x\ny", "b"], [[1.0, 2.0]]),
        (",a,a\n1,2,3", ["column.0", "a", "a.2"], [[1.0, 2.0, 3.0]]),
        ('a,b\n1,2\n3, "4"\n', ["a", "b"], [[1.0, 2.0], [3.0, 4.0]]),
        # the index as pandas writes it, as R does, and a column that only begins like one
        (",a\n0,5\n1,6\n2,7\n", ["a"], [[5.0], [6.0], [7.0]]),
        ('"","a"\n"1",5\n"2",6\n"3",7\n', ["a"], [[5.0], [6.0], [7.0]]),
        (",a\n0,5\n1,6\n3,7\n", ["column.0", "a"], [[0.0, 5.0], [1.0, 6.0], [3.0, 7.0]]),
    ],
)
def test_forms_of_csv(tmp_path, reader, text, names, rows):
    (tmp_path / "X.csv").write_bytes(text.encode())
    opened = open_source(tmp_path / "X.csv")
    assert opened.names == names
    np.testing.assert_array_equal(contents(opened), rows)


def test_an_index_is_read_where_it_is_chosen(tmp_path, reader):
    (tmp_path / "X.csv").write_text(",a\n0,5\n1,6\n2,7\n")
    for columns in ([0, 1], ["column.0", "a"]):
        np.testing.assert_array_equal(
            contents(open_source(tmp_path / "X.csv", columns)), [[0.0, 5.0], [1.0, 6.0], [2.0, 7.0]]
        )


def test_numbers_are_exact(tmp_path, reader):
    rng = np.random.default_rng(0)
    values = rng.normal(size=500) * 10.0 ** rng.integers(-300, 300, 500)
    with gzip.open(tmp_path / "X.csv.gz", "wt") as stream:
        stream.write("x\n" + "\n".join(map(repr, values.tolist())) + "\n")
    np.testing.assert_array_equal(contents(open_source(tmp_path / "X.csv.gz"))[:, 0], values)


def test_what_arrow_refuses_is_read_from_there_on(tmp_path, reader):
    """A space before a quote, far behind the first part."""
    lines = (
        [f"{i},{i * i},{i % 3}" for i in range(50)] + ['50, "2500",2'] + [f"{i},{i * i},{i % 3}" for i in range(51, 99)]
    )
    (tmp_path / "X.txt").write_text("a,b,w\n" + "\n".join(lines))
    opened = open_source(tmp_path / "X.txt", columns=["b", "a"], weights="w")
    np.testing.assert_array_equal(contents(opened), [[i * i, i] for i in range(99)])
    assert np.concatenate([block.weights for block in opened.blocks()]).tolist() == [i % 3 for i in range(99)]


def test_the_type_of_labels_is_that_of_the_whole_column(tmp_path, reader):
    lines = [f"{i},{i},{i},{i % 2 == 0},x" for i in range(60)] + ["60,0.5,NA,True,"]
    (tmp_path / "X.csv").write_text("i,f,t,b,m\n" + "\n".join(lines))
    rows = contents(open_source(tmp_path / "X.csv", labels=True)).tolist()
    assert rows[1] == [1, 1.0, "1", False, "x"]
    assert rows[60] == [60, 0.5, "NA", True, None]
    assert [type(value) for value in rows[1]] == [int, float, str, bool, str]
    whole = contents(open_source(tmp_path / "X.csv", columns=["i"], labels=True))
    assert whole.dtype == np.int64


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1,late", "X.csv: row 40, column 'b' holds 'late', which is not a number"),
        ("1,1_000", "X.csv: row 40, column 'b' holds '1_000', which is not a number"),
        ("1", "X.csv: row 40 has 1 value for 2 columns"),
        ("1,2,3", "X.csv: row 40 has 3 values for 2 columns"),
        ("1,ü", "X.csv is not text in UTF-8"),
    ],
)
def test_errors_name_the_place(tmp_path, reader, line, message):
    lines = ["1,2.5"] * 40 + [line] + ["3,4"] * 20
    (tmp_path / "X.csv").write_bytes(("a,b\n" + "\n".join(lines)).encode("latin-1"))
    with pytest.raises(SourceError, match=message):
        contents(open_source(tmp_path / "X.csv"))


def test_files_that_will_not_do(tmp_path, reader):
    (tmp_path / "X.csv").write_text("\n \n")
    with pytest.raises(SourceError, match="is empty"):
        open_source(tmp_path / "X.csv")
    (tmp_path / "X.csv").write_text("a,b\n")
    assert list(open_source(tmp_path / "X.csv").blocks()) == []
    (tmp_path / "X.csv.gz").write_bytes(b"a,b\n1,2\n")
    with pytest.raises(SourceError, match="X.csv.gz can't be read"):
        open_source(tmp_path / "X.csv.gz")
    whole = gzip.compress(b"a,b\n" + b"".join(b"%d,%d\n" % (i, i * i) for i in range(40_000)))
    (tmp_path / "X.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match="X.csv.gz can't be read"):
        contents(open_source(tmp_path / "X.csv.gz"))


def test_damaged_gzip(tmp_path):
    """Every byte of the compressed file may be wrong: an error of ours, or the rows (where it is a byte that says nothing)."""
    content = bytearray(gzip.compress(b"a,b\n" + b"1,2\n" * 30))
    for place in range(len(content)):
        wrong = bytes(content[:place]) + bytes([content[place] ^ 0xFF]) + bytes(content[place + 1 :])
        (tmp_path / "x.csv.gz").write_bytes(wrong)
        try:
            found = contents(open_source(tmp_path / "x.csv.gz"))
        except SourceError as error:
            if "x.csv.gz" not in str(error):
                raise
        else:
            np.testing.assert_array_equal(found, np.tile([1.0, 2.0], (30, 1)))


def test_very_many_columns(tmp_path, monkeypatch):
    """More than Arrow has room for are read by Python, a few rows at a time: the memory follows the size of the file."""
    rng, d = np.random.default_rng(0), 30_000
    values = rng.integers(0, 100, (5, d)).astype(float)
    np.savetxt(tmp_path / "x.csv", values, "%g", ",", header=",".join(f"c{j}" for j in range(d)), comments="")
    monkeypatch.setattr(csv_module, "TEXT_VALUES", 2 * d)
    size = (tmp_path / "x.csv").stat().st_size
    tracemalloc.start()
    found = contents(open_source(tmp_path / "x.csv"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(found, values)
    assert peak < 100 * size


@pytest.mark.parametrize(
    ("text", "names", "rows"),
    [
        ("a;b\n1,5;2\n-,25;3e1\n", ["a", "b"], [[1.5, 2.0], [-0.25, 30.0]]),
        ("a\tb\n1,5\t2,75\n", ["a", "b"], [[1.5, 2.75]]),
        (
            "height, cm;weight, kg;age\n1,5;2,5;3\n1;2,25e-1;4\n",
            ["height, cm", "weight, kg", "age"],
            [[1.5, 2.5, 3.0], [1.0, 0.225, 4.0]],
        ),
        ("1,5;2,5\n3,25;4\n", None, [[1.5, 2.5], [3.25, 4.0]]),
        ("1,5\t2,5\t3,5\n", None, [[1.5, 2.5, 3.5]]),
        ("a;b\n0,5;1,234\nNA;\n", ["a", "b"], [[0.5, 1.234], [np.nan, np.nan]]),  # the mark is told by the other column
        ("a;b\n1.5;2\n", ["a", "b"], [[1.5, 2.0]]),
        ("id,tags per (a;b)\n1,2\n2,3\n", ["id", "tags per (a;b)"], [[1.0, 2.0], [2.0, 3.0]]),
    ],
)
def test_decimal_commas_and_what_stands_between_values(tmp_path, reader, text, names, rows):
    (tmp_path / "X.csv").write_text(text)
    opened = open_source(tmp_path / "X.csv")
    assert opened.names == names
    np.testing.assert_array_equal(contents(opened), rows)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a;b\n1,234;2\n", "row 0, column 'a' holds '1,234', which is not a number"),  # may be a thousand
        ("a;b\n1,5;2.5\n", "row 0, column 'a' holds '1,5', which is not a number"),
        (
            "a;b\n1,5;2\n1.5;3\n",
            "row 1, column 'a' holds '1.5', which is not a number .numbers of this file have a decimal comma",
        ),
        ("a;b\n1,5;2\n1,234,5;3\n", "row 1, column 'a' holds '1,234,5', which is not a number"),
        ("a;b\n" + "1;2\n" * 150 + "1,5;2\n", "row 150, column 'a' holds '1,5', which is not a number"),
    ],
)
def test_marks_that_may_mean_something_else_are_no_numbers(tmp_path, reader, text, said):
    (tmp_path / "X.csv").write_text(text)
    with pytest.raises(SourceError, match=said):
        contents(open_source(tmp_path / "X.csv"))


def test_labels_beside_decimal_commas(tmp_path, reader):
    (tmp_path / "X.csv").write_text("kind;size;n\nx;1,5;1\ny;2;3\n")
    rows = contents(open_source(tmp_path / "X.csv", labels=True)).tolist()
    assert rows == [["x", 1.5, 1], ["y", 2.0, 3]]


def generated_cell(rng):
    """How a file holds a text, and the text: with spaces before it, quotes, delimiters and line breaks in it."""
    text = "".join(rng.choice(list('ab1 ",\n'), rng.choice([0, 1, 3, 40], p=[0.1, 0.4, 0.4, 0.1])))
    if rng.random() < 0.3 or set(text) & set('",\n'):
        return " " * rng.integers(0, 3) + '"' + text.replace('"', '""') + '"', text
    return text, text


@pytest.mark.parametrize("seed", range(40))
def test_labels_are_the_same_whoever_reads_them(tmp_path, reader, seed):
    """Plain rows, then ones of every form, so that a space before a quote and a quoted line break come in any part."""
    rng = np.random.default_rng(seed)
    plain = [[("x", "x"), (" y", " y")]] * rng.integers(0, 60)
    cells = plain + [[generated_cell(rng) for _ in range(2)] for _ in range(rng.integers(1, 20))] + plain
    lines = [",".join(written for written, _ in row) for row in cells]
    (tmp_path / "X.csv").write_bytes(("a,b\n" + "\n".join(lines) + "\n").encode())
    expected = [[text.lstrip(" ") or None for _, text in row] for row in cells]
    assert contents(open_source(tmp_path / "X.csv", labels=True)).tolist() == expected


def test_decimal_commas_are_exact(tmp_path, reader):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(500, 2)) * 10.0 ** rng.integers(-300, 300, (500, 2))
    lines = [";".join(repr(value).replace(".", ",") for value in row) for row in values.tolist()]
    (tmp_path / "X.csv").write_text("x;y\n" + "\n".join(lines))
    np.testing.assert_array_equal(contents(open_source(tmp_path / "X.csv")), values)


def test_long_codes_stay_different_labels(tmp_path, reader):
    """Of 19 digits, which are numbers of eight bytes, and of more: as floating-point numbers they were one label."""
    for first, kind in ((2**60, int), (10**24, str)):
        path = tmp_path / "codes.csv"
        path.write_text("code\n" + "\n".join(str(first + i) for i in range(20)) + "\n")
        labels = [value for block in open_source(path, labels=True).blocks() for value in block.X[:, 0].tolist()]
        assert labels == [kind(first + i) for i in range(20)]
