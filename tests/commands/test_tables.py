"""Files of rows as the commands read them: their formats, their types, and what is said of a bad one."""

import json
import pickle
import re
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats

from fastkl import DensityMLE, compare_tables
from fastkl.cli import main
from fastkl.commands.tables import read_table
from fastkl.rows import CsvPath, open_source
from tests.commands.files import run


@pytest.fixture(params=["arrow", "plain"])
def reader(request, monkeypatch):
    """CSV files are read with Arrow, and without it."""
    if request.param == "plain":
        monkeypatch.setitem(sys.modules, "pyarrow", None)


@pytest.mark.parametrize(
    ("text", "names", "rows"),
    [
        ("a,b\n1,2.5\n3,4\n", ["a", "b"], [[1.0, 2.5], [3.0, 4.0]]),
        ("a;b\n1;2\n\n3;4\n", ["a", "b"], [[1.0, 2.0], [3.0, 4.0]]),
        ("1\t2\n3\t4\n", ["0", "1"], [[1.0, 2.0], [3.0, 4.0]]),
        ("\ufeffa, b\n1, 2e-3\n", ["a", "b"], [[1.0, 2e-3]]),
        ('"x, y",b\n"1",2\n', ["x, y", "b"], [[1.0, 2.0]]),
        ("a,a\n1,2\n", ["a", "a.1"], [[1.0, 2.0]]),
        ("a\r\n1\r\n2\r\n", ["a"], [[1.0], [2.0]]),
        ("a,b\n1,2", ["a", "b"], [[1.0, 2.0]]),
        ("a;b\n1,5;2\n3;4,25\n", ["a", "b"], [[1.5, 2.0], [3.0, 4.25]]),
    ],
)
def test_csv(tmp_path, reader, text, names, rows):
    path = tmp_path / "rows.csv"
    path.write_bytes(text.encode())
    table = read_table(str(path))
    assert table.names == names
    np.testing.assert_array_equal(np.column_stack(table.columns), rows)


def test_csv_numbers_are_exact(tmp_path, reader):
    rng = np.random.default_rng(0)
    values = rng.normal(size=2000) * 10.0 ** rng.integers(-300, 300, 2000)
    path = tmp_path / "rows.csv"
    path.write_text("x\n" + "\n".join(map(repr, values.tolist())) + "\n")
    np.testing.assert_array_equal(read_table(str(path)).columns[0], values)


def test_blocks_whose_types_differ(capsys, tmp_path, reader):
    """Whole numbers first, decimals later, in blocks of three."""
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n" + "1,2\n" * 4 + "1.5,7\n" * 4)
    DensityMLE.from_parameters("normal", loc=[0.0, 0.0], scale=[1.0, 2.0]).save(tmp_path / "model")
    arguments = [tmp_path / "model", path, "--columns", "b,0", "--batch-rows", "3", "-o", tmp_path / "scores.npy"]
    run(capsys, "score", *arguments)
    expected = stats.norm.logpdf([[2.0, 1.0]] * 4 + [[7.0, 1.5]] * 4, scale=[1.0, 2.0]).sum(axis=1)
    np.testing.assert_allclose(np.load(tmp_path / "scores.npy"), expected, rtol=1e-14)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("a,b\n", "has no rows"),
        ("a,b\n1,2\n3,\n", "row 1, column 'b' is missing"),
        ("a,b\n1,2\n3,NA\n", "row 1, column 'b' is missing"),
        ("a,b\n1,2\n3,4\ninf,5\n", "row 2, column 'a' holds inf"),
        ("a,b\n1,2\n3,4\n3,x\n", "row 2, column 'b' holds 'x', which is not a number"),
        ("a,b\n1,2\n3,<0.5\n4,5\n", "holds '<0.5', a limit and not a value: .*censored"),
        ("sep=;\na;b\n1;2\n3;4\n", "begins with 'sep=;', .* remove that line"),
        ("a,b\n1,2\n3,x\n4,5\n", "not a number; correct it, or leave it empty"),
        ("a,b\n1,2\n3,4,5\n", "row 1 has 3 values for 2 columns: .* needs quotes"),
        ("a,b\n1,2,3\n3,4,5\n", "has 3 values|more values than the 2 columns"),
        ("a,b\n1,2\n3\n", "row 1 has 1 value for 2 columns: a missing value is nothing between two separators"),
        ("# of May\na,b\n1,2\n", "row 0 has 2 values for 1 column: .* lines above the names of the columns have to go"),
        ("a,b\n1,2\n", "there is one row"),
        ("a,b\n1,\n3,NA\n,5\n", "'a' 1, 'b' 2.*--drop-missing"),
        ("day\n" + "2020-01-01\n2020-01-02\n" * 3, "No column is left to rank: column 'day' looks like dates"),
        ("code\n" + "x1\nx2\nx3\nx4\nx5\nx6\nx7\nx8\nx9\nx10\n", "column 'code' looks like an identifier or free text"),
    ],
)
def test_csv_errors(capsys, tmp_path, reader, text, message):
    path = tmp_path / "rows.csv"
    path.write_text(text)
    assert re.search(message, run(capsys, "fit", path, status=2))


def test_labels_that_are_mostly_missing(capsys, tmp_path):
    """They are labels by the values that are there, however few: with the missing ones none was half of the rows."""
    path = tmp_path / "rows.csv"
    path.write_text("size,colour\n" + "1.5,\n2.5,\n3.5,red\n2.0,blue\n0.5,\n" * 8)
    out = run(capsys, "kl", path, path, "--drop-missing", "--no-test")
    assert re.search(r"^colour +-?0\.\d+", out, re.MULTILINE)
    assert "categorical, blue 0.5" in run(capsys, "fit", path, "--drop-missing")


def test_other_files_with_errors(capsys, tmp_path):
    def message(name, *arguments):
        return run(capsys, "fit", tmp_path / name, *arguments, status=2)

    assert "There is no file" in message("nowhere.csv")
    (tmp_path / "folder.csv").mkdir()
    assert "folder" in message("folder.csv")
    (tmp_path / "sheet.xlsx").write_text("x")
    assert "ends in none of .npy, .parquet" in message("sheet.xlsx")
    (tmp_path / "latin.csv").write_bytes("größe\n1\n".encode("latin-1"))
    assert "not text in UTF-8" in message("latin.csv")
    (tmp_path / "sheet.csv").write_bytes(b"PK\x03\x04" + bytes(range(256)))
    assert "sheet.csv is no text but a zip or Excel file" in message("sheet.csv")
    (tmp_path / "late.csv").write_bytes(b"a\n" + b"1\n" * 100 + "ü\n".encode("latin-1"))
    assert "late.csv" in message("late.csv")
    (tmp_path / "damaged.csv.gz").write_bytes(b"not gzip")
    assert "can't be read" in message("damaged.csv.gz")
    for name in ("damaged.npy", "damaged.parquet"):
        (tmp_path / name).write_text("junk" * 100)
        assert re.search(f"{name} is not a .* damaged", message(name))
    np.save(tmp_path / "cube.npy", np.zeros((2, 2, 2)))
    assert "shape (2, 2, 2)" in message("cube.npy")
    np.save(tmp_path / "objects.npy", np.array([[1, "a"]], dtype=object), allow_pickle=True)
    assert "objects.npy" in message("objects.npy")
    np.save(tmp_path / "hole.npy", np.array([[1.0, 2.0], [np.nan, 1.0]]))
    assert "row 1, column '0' is missing" in message("hole.npy")
    np.save(tmp_path / "ends.npy", np.array([1.0, np.inf, -np.inf]))
    assert "row 1, column '0' holds inf" in message("ends.npy")
    np.save(tmp_path / "none.npy", np.zeros((0, 2)))
    assert "none.npy" in message("none.npy")
    pq.write_table(pa.table({"a": pa.array([1, None, 3])}), tmp_path / "hole.parquet")
    assert "row 1, column 'a' is missing" in message("hole.parquet")


def test_parquet_and_npy_types(tmp_path):
    frame = pd.DataFrame(
        {"i": [1, 2], "f": np.array([0.5, 1.5], dtype=np.float32), "t": ["x", "y"], "b": [True, False]}
    )
    frame.to_parquet(tmp_path / "rows.parquet")
    table = read_table(str(tmp_path / "rows.parquet"))
    assert [table.is_text(j) for j in range(4)] == [False, False, True, False]
    np.testing.assert_array_equal(np.column_stack([table.columns[j] for j in (0, 1, 3)]), [[1, 0.5, 1], [2, 1.5, 0]])
    np.save(tmp_path / "single.npy", np.array([[1, 2], [3, 4]], dtype=np.float32))
    (column,) = read_table(str(tmp_path / "single.npy"), "1").columns
    np.testing.assert_array_equal(column, [2.0, 4.0])
    frame.set_index(pd.Index([5, 9])).to_parquet(tmp_path / "index.parquet")
    assert read_table(str(tmp_path / "index.parquet")).names == list("iftb")


def test_decimal_commas_beside_text_and_missing_values(tmp_path, reader):
    path = tmp_path / "rows.csv"
    path.write_text("kind;size\nx;1,5\ny;NA\nz;4,25\n")
    table = read_table(str(path), drop_missing=True)
    assert [column.tolist() for column in table.columns] == [["x", "z"], [1.5, 4.25]]
    assert table.n_dropped == 1


def main_on(capsys, *arguments):
    """Status and both streams of a command."""
    status = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return status, out, err


def test_a_first_line_of_numbers_is_data_or_names_as_said(capsys, tmp_path):
    rng = np.random.default_rng(0)
    values = rng.normal(5.0, 1.0, (60, 3)).round(3)
    path, named = tmp_path / "years.csv", tmp_path / "named.csv"
    pd.DataFrame(values, columns=["2021", "2022", "2023"]).to_csv(path, index=False)
    pd.DataFrame(values, columns=["a", "b", "c"]).to_csv(named, index=False)
    options = ["--families", "multivariate_normal", "--json"]
    status, out, err = main_on(capsys, "fit", path, *options)
    assert (status, json.loads(out)["rows"]) == (0, 61)
    assert (
        err
        == f"fastkl: note: {path}: the first line, of numbers only, was taken as data; --header yes takes it as names\n"
    )
    status, out, err = main_on(capsys, "fit", path, *options, "--header", "yes")
    found = json.loads(out)
    assert (status, err, found["rows"], list(found["columns"])) == (0, "", 60, ["2021", "2022", "2023"])
    assert found["params"] == json.loads(main_on(capsys, "fit", named, *options)[1])["params"]
    assert main_on(capsys, "fit", path, *options, "--header", "no")[2] == ""


def test_a_first_line_with_a_number_is_names_or_data_as_said(capsys, tmp_path):
    path, model = tmp_path / "rows.csv", tmp_path / "model"
    path.write_text("-0.051,no\n" + "0.3,yes\n1.1,no\n-0.7,no\n0.2,yes\n" * 5)
    status, out, err = main_on(capsys, "fit", path, "--columns", "0", "--families", "normal", "-o", model, "--json")
    assert (status, json.loads(out)["rows"]) == (0, 20)
    assert err == (
        f"fastkl: note: {path}: the first line, with a number in it, was taken as names; --header no takes it as data\n"
    )
    arguments = ["fit", path, "--columns", "0", "--families", "normal", "-o", model, "--json", "--header", "no"]
    status, out, err = main_on(capsys, *arguments)
    assert (status, err, json.loads(out)["rows"]) == (0, "", 21)
    assert json.loads(out)["params"]["loc"] == [pytest.approx((-0.051 + 5 * 0.9) / 21, rel=1e-12)]
    status, out, err = main_on(capsys, "score", model, path, "--columns", "0", "--header", "no", "--json")
    assert (status, err, json.loads(out)["rows"]) == (0, "", 21)
    assert "--header no" in main_on(capsys, "score", model, path, "--columns", "0")[2]
    status, out, err = main_on(capsys, "kl", path, path, "--no-test", "--header", "no", "--json")
    assert (status, err, json.loads(out)["n_rows"]) == (0, "", [21, 21])
    assert main_on(capsys, "kl", path, path, "--no-test")[2].count("--header no") == 2


def test_names_that_pandas_writes_for_columns_without_names(capsys, tmp_path):
    path = tmp_path / "rows.csv"
    pd.DataFrame(np.random.default_rng(0).normal(size=(30, 2))).to_csv(path, index=False)
    assert "--header yes" in run(capsys, "fit", path, status=2)
    found = json.loads(run(capsys, "fit", path, "--header", "yes", "--families", "normal", "--json"))
    assert (found["rows"], list(found["columns"])) == (30, ["0", "1"])
    assert json.loads(run(capsys, "fit", path, "--header", "no", "--families", "normal", "--json"))["rows"] == 31
    empty_corner = tmp_path / "index.csv"
    empty_corner.write_text(",x\n1,2.5\n2,3.5\n3,1.5\n4,2.0\n")
    # nothing on stderr
    assert run(capsys, "fit", empty_corner, "--columns", "x", "--families", "normal", "--folds", "2")


def test_csv_path_goes_where_paths_go(tmp_path, reader):
    path = tmp_path / "years.csv"
    path.write_text("2021,2022\n1.5,2.5\n2.5,4.5\n")
    read = {header: open_source(CsvPath(path, header)) for header in (None, True, False)}
    assert {header: source.names for header, source in read.items()} == {
        None: None,
        True: ["2021", "2022"],
        False: None,
    }
    assert [sum(len(block.X) for block in read[header].blocks()) for header in (None, True, False)] == [3, 2, 3]
    both = open_source([CsvPath(path, True), CsvPath(path, True)])
    assert (both.names, sum(len(block.X) for block in both.blocks())) == (["2021", "2022"], 4)
    assert sum(len(block.X) for block in open_source(CsvPath(tmp_path / "*.csv", True)).blocks()) == 2
    with pytest.raises(ValueError, match="one header for all"):
        open_source([CsvPath(path, True), str(path)])
    again = pickle.loads(pickle.dumps(CsvPath(path, True)))
    assert (again, again.header) == (str(path), True)


@pytest.mark.parametrize(
    ("text", "column", "code"),
    [
        ("zip,x\n" + "".join(f"{1000 + i:05d},{i % 7}.5\n" for i in range(40)), "zip", "01000"),
        (
            "acct,x\n" + "".join(f"{9007199254740993 + i * i},{i % 7}.5\n" for i in range(40)),
            "acct",
            "9007199254740993",
        ),
        ("".join(f"{40 + i},{5 * i % 100:02d}\n" for i in range(40)), "1", "00"),  # 40,05 by a decimal comma
    ],
)
def test_numbers_that_may_be_codes_are_said(capsys, tmp_path, text, column, code):
    """Leading zeros and long digits are lost where a column is read as numbers: never in silence."""
    path = tmp_path / "rows.csv"
    path.write_text(text)
    status = main(["fit", str(path)])
    said = " ".join(capsys.readouterr().err.split())
    assert (status, f"column {column!r} was taken for numbers, and holds {code!r}" in said) == (0, True)
    main(["kl", str(path), str(path), "--labels", column])
    assert "taken for numbers, and" not in capsys.readouterr().err


def test_whole_numbers_of_parquet_beyond_exact_ones_are_said(capsys, tmp_path):
    x = [i % 7 + 0.5 for i in range(40)]
    days = pa.array([8 * 10**17 + i for i in range(40)], pa.timestamp("ns"))  # large too, and no numbers
    ids = [2**53 + 2 * i for i in range(40)]
    pq.write_table(pa.table({"acct": ids, "day": days, "x": x}), tmp_path / "rows.parquet")
    status = main(["fit", str(tmp_path / "rows.parquet"), "--columns", "acct,x"])
    said = " ".join(capsys.readouterr().err.split())
    assert (status, "column 'acct' was taken for numbers, and holds '9007199254741070'" in said) == (0, True)
    assert list(open_source(str(tmp_path / "rows.parquet"), ["acct", "x"]).codes) == ["acct"]


def test_parquet_with_dates(capsys, tmp_path):
    """Columns of dates are left out of fits and compared as days, as in text files; they were refused, chosen or not."""
    paths = [str(tmp_path / f"{name}.parquet") for name in "pq"]
    tables = []
    for path, shift in zip(paths, (0, 20), strict=True):
        rng = np.random.default_rng(shift)
        days = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 90, 60) + shift, unit="D")
        table = pd.DataFrame(
            {"day": days, "zoned": days.tz_localize("UTC"), "date": days.date, "x": rng.normal(size=60)}
        )
        table["span"] = pd.to_timedelta(rng.random(60), unit="D")
        table.to_parquet(path)
        tables.append(table)
    assert main(["fit", paths[0], "--columns", "x", "-o", str(tmp_path / "model")]) == 0
    assert main(["score", str(tmp_path / "model"), paths[1]]) == 0
    assert main(["fit", paths[0]]) == 0
    found = capsys.readouterr().out
    for name in ("day", "zoned", "date"):
        assert f"Left out, column '{name}': looks like dates" in found
    assert main(["kl", *paths, "--no-test", "--json"]) == 0
    lines = {line["name"]: line for line in json.loads(capsys.readouterr().out)["columns"]}
    wanted = compare_tables(*tables, test=False)
    for name in ("day", "zoned", "date", "span", "x"):
        assert lines[name]["kl"]["value"] == pytest.approx(wanted[name].kl, rel=1e-9)
    table["parts"] = [[1, 2]] * 60
    table.to_parquet(paths[1])
    assert main(["kl", *paths, "--columns", "day,x", "--no-test"]) == 0
    assert main(["fit", paths[1]]) == 2
    assert re.search(r"q.parquet: Batch 0: Column 'parts' holds lists", capsys.readouterr().err)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_labels_keep_every_digit(capsys, tmp_path, ending):
    """Even and odd identifiers were the same labels where floating-point numbers are even."""
    paths = [str(tmp_path / f"{name}.{ending}") for name in "pq"]
    for path, first in zip(paths, (2**53, 2**53 + 1), strict=True):
        table = pd.DataFrame({"acct": np.repeat(first + 2 * np.arange(4), 10), "x": np.arange(40) % 7 + 0.5})
        table.to_csv(path, index=False) if ending == "csv" else table.to_parquet(path)
    main(["kl", *paths, "--labels", "acct", "--no-test", "--json"])
    out, err = capsys.readouterr()
    assert "taken for numbers" not in err
    assert json.loads(out)["columns"][0]["jensen_shannon"]["value"] == pytest.approx(np.log(2.0))


@pytest.mark.parametrize(
    "text", ["month,x\n" + "05,1.5\n06,2.5\n07,0.5\n" * 10, "a,b\n" + "0,1.05\n10,2.5\n200,0.5\n" * 10]
)
def test_ordinary_numbers_are_no_codes(capsys, tmp_path, text):
    path = tmp_path / "rows.csv"
    path.write_text(text)
    main(["fit", str(path)])
    assert "taken for numbers, and" not in capsys.readouterr().err
