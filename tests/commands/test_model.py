"""fastkl show and fastkl sample: the summary and the draws of the library."""

import contextlib

import numpy as np
import pandas as pd
import pytest

from fastkl import DensityMLE, make_product_density
from fastkl.cli import main
from tests.commands.files import FAITHFUL, read_numbers, run


@pytest.fixture
def model(tmp_path):
    density = DensityMLE("gamma").fit(FAITHFUL)
    density.save(tmp_path / "model")
    return density


def test_show(capsys, tmp_path, model):
    assert run(capsys, "show", tmp_path / "model").strip() == str(model.summary()).strip()


@pytest.mark.parametrize("ending", [None, ".csv", ".parquet", ".npy"])
def test_sample(capsys, tmp_path, model, ending):
    output = tmp_path / f"rows{ending}"
    more = [] if ending is None else ["-o", output]
    out = run(capsys, "sample", tmp_path / "model", "-n", 25, "--seed", 3, *more)
    if ending is None:
        output.write_text(out)
    read = {".parquet": pd.read_parquet, ".npy": lambda path: pd.DataFrame(np.load(path), columns=FAITHFUL.columns)}
    found = read.get(ending, read_numbers)(output)
    assert list(found.columns) == list(FAITHFUL.columns)
    np.testing.assert_array_equal(found, model.sample(25, random_state=3))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", output.name]


def test_rows_of_several_kinds(capsys, tmp_path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"size": rng.gamma(2.0, size=90), "n": rng.poisson(3, 90), "kind": rng.choice(["a", "b"], 90)})
    density = make_product_density(table).fit(table)
    density.save(tmp_path / "model")
    run(capsys, "sample", tmp_path / "model", "-n", 7, "--seed", 1, "-o", tmp_path / "rows.csv")
    drawn = density.sample(7, random_state=1)
    pd.testing.assert_frame_equal(
        pd.read_csv(tmp_path / "rows.csv"), pd.DataFrame(drawn, columns=table.columns), check_dtype=False
    )
    assert main(["sample", str(tmp_path / "model"), "-o", str(tmp_path / "rows.npy")]) == 2
    assert "labels are written as .csv or .parquet" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "rows.csv"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "nowhere"], "there is no file nowhere"),
        (["sample", "model", "-n", "0"], "-n: at least 1, not 0"),
        (["sample", "model", "-o", "rows.txt"], "ends in none of .csv, .parquet, .npy"),
        (["sample", "model", "--seed", "-1"], "a whole number"),
    ],
)
def test_bad_input(capsys, tmp_path, monkeypatch, model, arguments, message):
    monkeypatch.chdir(tmp_path)
    with contextlib.suppress(SystemExit):  # an argument that the parser refuses
        assert main(arguments) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
