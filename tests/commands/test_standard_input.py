"""``-`` in the place of a file: the same output as of the file, for every kind of rows and every command that reads rows."""

import gzip
import io
import json
import sys

import numpy as np
import pandas as pd
import pytest

import fastkl
from fastkl import DensityMLE
from tests.commands.files import DATA, FAITHFUL, read_scores, run

FILE = DATA / "old_faithful.csv"
FIT = ["--families", "normal,gamma", "--columns", "0,1"]


def given(monkeypatch, content):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def contents(ending):
    buffer = io.BytesIO()
    if ending == ".csv.gz":
        return gzip.compress(FILE.read_bytes())
    if ending == ".npy":
        np.save(buffer, FAITHFUL.to_numpy(dtype=float))
    elif ending == ".parquet":
        FAITHFUL.to_parquet(buffer)
    else:
        return FILE.read_bytes()
    return buffer.getvalue()


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".npy", ".parquet"])
def test_fit(capsys, monkeypatch, tmp_path, ending):
    content = contents(ending)
    (tmp_path / f"rows{ending}").write_bytes(content)
    wanted = run(capsys, "fit", tmp_path / f"rows{ending}", *FIT)
    given(monkeypatch, content)
    found = run(capsys, "fit", "-", *FIT)
    assert found.splitlines()[0].startswith("standard input: 272 rows")
    assert found.splitlines()[1:-1] == wanted.splitlines()[1:-1]
    assert found.splitlines()[-1].endswith("fastkl score FILE DATA")
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("fastkl-stdin")]


def test_score_and_kl(capsys, monkeypatch, tmp_path):
    density = DensityMLE("gamma").fit(FAITHFUL)
    density.save(tmp_path / "model")
    given(monkeypatch, FILE.read_bytes())
    out = run(capsys, "score", tmp_path / "model", "-", "-o", tmp_path / "scores.npy", "--json")
    found = json.loads(out)
    np.testing.assert_allclose(read_scores(tmp_path / "scores.npy"), density.score_samples(FAITHFUL), rtol=1e-14)
    assert found["data"] == "standard input"
    assert found["rows"] == 272
    assert found["mean_log_density"] == pytest.approx(density.score(FAITHFUL), rel=1e-12)
    assert found["cross_entropy"] == pytest.approx(float(density.cross_entropy(FAITHFUL)), rel=1e-12)
    assert found["standard_error_inside"] == pytest.approx(density.cross_entropy(FAITHFUL).standard_error, rel=1e-9)
    wanted = run(capsys, "kl", FILE, FILE, "--no-test")
    given(monkeypatch, FILE.read_bytes())
    assert run(capsys, "kl", FILE, "-", "--no-test") == wanted.replace(f"Q = {FILE}", "Q = standard input")


def test_rows_outside_the_support_in_json(capsys, monkeypatch, tmp_path):
    DensityMLE("gamma").fit(FAITHFUL[["waiting"]]).save(tmp_path / "model")
    given(monkeypatch, b"waiting\n50\n-1\n60\n")
    found = json.loads(run(capsys, "score", tmp_path / "model", "-", "--json"))
    assert (found["mean_log_density"], found["cross_entropy"]) == ("-inf", "inf")
    assert (found["rows_outside_support"], found["first_row_outside_support"]) == (1, 1)
    inside = fastkl.load(tmp_path / "model").score(pd.DataFrame({"waiting": [50.0, 60.0]}))
    assert found["mean_log_density_inside"] == pytest.approx(inside, rel=1e-12)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "standard input is empty"),
        (b"a,b\n1,\n2,3\n", "standard input: row 0, column 'b' is missing"),
        (b"a,b\n1,2\n3\n", "standard input"),
    ],
)
def test_messages_name_standard_input(capsys, monkeypatch, content, message):
    given(monkeypatch, content)
    found = run(capsys, "fit", "-", status=2)
    assert message in found
    assert "fastkl-stdin" not in found


def test_two_of_them(capsys):
    assert "as one of the files only" in run(capsys, "kl", "-", "-", status=2)


def test_show_and_info_in_json(capsys, tmp_path):
    density = DensityMLE("student_t").fit(FAITHFUL[["waiting"]])  # thin tails: the limit, without an error
    density.save(tmp_path / "model")
    found = json.loads(run(capsys, "show", tmp_path / "model", "--json"))
    assert (found["type"], found["family"], found["columns"]) == ("DensityMLE", "student_t", ["waiting"])
    np.testing.assert_allclose(found["params"]["loc"], density.params_["loc"], rtol=1e-15)
    np.testing.assert_allclose(found["standard_errors"]["loc"], density.standard_errors_["loc"], rtol=1e-15)
    assert found["params"]["df"] == ["inf"]
    assert list(found["boundary"]) == ["df"]
    fastkl.KernelDensityMLE(1.0).fit(FAITHFUL).save(tmp_path / "kernel")
    assert json.loads(run(capsys, "show", tmp_path / "kernel", "--json"))["params"] is None
    assert json.loads(run(capsys, "info", "--json"))["fastkl"] == fastkl.__version__
