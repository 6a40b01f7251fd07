"""The commands and the README in an installation without pandas and pyarrow, which is what ``pip install .`` gives."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from tests.commands.files import DATA, FAITHFUL, ROOT

WITHOUT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("pandas", "pyarrow"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
"""
MAIN = "from fastkl.cli import main; raise SystemExit(main(sys.argv[1:]))"


def run(*arguments, code=MAIN):
    command = [sys.executable, "-W", "error", "-c", WITHOUT + code, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_saved_density_knows_its_columns_by_name(tmp_path):
    """The columns of another file are found by it in any order; by their place eruptions would be scored as waiting times."""
    other = tmp_path / "other.csv"
    FAITHFUL[["waiting", "eruptions"]].to_csv(other, index=False)
    run("fit", DATA / "old_faithful.csv", "--families", "multivariate_normal", "-o", tmp_path / "model")
    found = json.loads(run("show", tmp_path / "model", "--json"))
    assert found["columns"] == ["eruptions", "waiting"]
    centred = FAITHFUL.to_numpy() - FAITHFUL.to_numpy().mean(axis=0)
    covariance = centred.T @ centred / len(centred)
    # The mean squared distance is the number of columns.
    expected = -0.5 * np.linalg.slogdet(2.0 * np.pi * covariance)[1] - 1.0
    assert json.loads(run("score", tmp_path / "model", other, "--json"))["mean_log_density"] == pytest.approx(expected)


def test_columns_of_a_table_go_by_name(tmp_path):
    rng = np.random.default_rng(0)
    columns = rng.permutation(10_000)[:200], rng.normal(40.0, 9.0, 200).round(2), rng.choice(["Bern", "Basel"], 200)
    lines = [",".join(map(str, row)) for row in zip(*columns, strict=True)]
    (tmp_path / "rows.csv").write_text("\n".join(["customer_id,age,city", *lines]))
    out = run("fit", tmp_path / "rows.csv", "-o", tmp_path / "model")
    assert "Left out, column 'customer_id': looks like an identifier: by its name" in " ".join(out.split())
    shown = run("show", tmp_path / "model")
    assert "city__P(Basel)" in shown
    drawn = run("sample", tmp_path / "model", "-n", 3)
    assert drawn.splitlines()[0] == "age,city"


def test_examples_of_the_readme():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```\s*```text\n(.*?)```", text, re.DOTALL)
    assert run(code="\n".join(code for code, _ in blocks)) == "".join(printed for _, printed in blocks)
