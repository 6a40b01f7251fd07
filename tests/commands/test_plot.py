"""fastkl plot: what is drawn for a model, rows, both, or two files of rows; and what is refused."""

import contextlib

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fastkl import DensityMLE, ProductDensity
from fastkl.cli import main
from tests.commands.files import FAITHFUL, run

mpl.use("Agg")


@pytest.fixture
def folder(tmp_path):
    FAITHFUL.to_csv(tmp_path / "rows.csv", index=False)
    groups = [(name, DensityMLE("gamma"), [name]) for name in FAITHFUL.columns]
    ProductDensity(groups).fit(FAITHFUL).save(tmp_path / "model")
    return tmp_path


def drawn(path, wide=400):
    """The picture is there, and more than a white page."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("L"))
    assert pixels.shape[1] > wide
    assert 0.001 < np.mean(pixels < 128) < 0.5


def test_a_model_alone(capsys, folder):
    out = run(capsys, "plot", folder / "model", "-o", folder / "a.png")
    assert out == f"ProductDensity, over 10,000 draws from it\nDrawn to {folder / 'a.png'}\n"
    drawn(folder / "a.png")


@pytest.mark.parametrize("kind", ["density", "qq", "pp", "cdf"])
def test_a_model_over_rows(capsys, folder, kind):
    out = run(capsys, "plot", folder / "model", folder / "rows.csv", "-o", folder / "a.png", "--kind", kind)
    assert out.startswith(f"ProductDensity, over 272 rows of {folder / 'rows.csv'}\n")
    drawn(folder / "a.png")


def test_columns_that_stand_for_those_of_the_fit(capsys, folder):
    other = FAITHFUL.rename(columns={"eruptions": "minutes"}).assign(note="x")
    other.iloc[3, 0] = np.nan
    other.to_csv(folder / "other.csv", index=False)
    more = ["-o", folder / "a.png", "--columns", "minutes,waiting"]
    message = run(capsys, "plot", folder / "model", folder / "other.csv", *more, status=2)
    assert "missing values by column, of 272 rows: 'minutes' 1" in message
    out = run(capsys, "plot", folder / "model", folder / "other.csv", *more, "--drop-missing")
    assert "271 rows" in out
    assert "without 1 row with missing values" in out
    assert "lacks eruptions" in run(capsys, "plot", folder / "model", folder / "other.csv", *more[:2], status=2)


def test_rows_with_the_best_family(capsys, folder):
    out = run(capsys, "plot", folder / "rows.csv", "-o", folder / "a.svg", "--columns", "waiting")
    assert out.endswith(f", fitted to 272 rows of {folder / 'rows.csv'}\nDrawn to {folder / 'a.svg'}\n")
    assert (folder / "a.svg").read_text().count("<svg") == 1


def test_two_files_of_rows(capsys, folder):
    later = FAITHFUL.assign(waiting=FAITHFUL["waiting"] + 20.0)
    later.to_parquet(folder / "later.parquet")
    out = run(capsys, "plot", folder / "rows.csv", folder / "later.parquet", "-o", folder / "a.png")
    assert out.startswith(f"rows: 272 rows of {folder / 'rows.csv'}; later: 272 rows of")
    drawn(folder / "a.png")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model", "-o", "a.doc"], "--output: a.doc ends in none of "),
        (["nowhere", "-o", "a.png"], "no file"),
        (["model", "-o", "a.png", "--kind", "qq"], "name a file of rows after the model"),
        (["rows.csv", "rows.csv", "-o", "a.png", "--kind", "pp"], "not about two files"),
        (["model", "model", "-o", "a.png"], "ends in none of"),
        (["rows.csv"], "required: -o"),
    ],
)
def test_bad_input(capsys, folder, monkeypatch, arguments, message):
    monkeypatch.chdir(folder)
    with contextlib.suppress(SystemExit):  # what the parser refuses
        assert main(["plot", *arguments]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert sorted(path.name for path in folder.iterdir()) == ["model", "rows.csv"]


def test_labels_among_the_columns(capsys, tmp_path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"size": rng.gamma(2.0, size=90), "kind": rng.choice(["a", "b"], 90)})
    table.to_csv(tmp_path / "rows.csv", index=False)
    run(capsys, "plot", tmp_path / "rows.csv", "-o", tmp_path / "a.png")
    drawn(tmp_path / "a.png")


def test_few_rows_are_divided_into_few_parts(capsys, folder):
    FAITHFUL[:3].to_csv(folder / "few.csv", index=False)
    assert "3 rows of" in run(capsys, "plot", folder / "few.csv", "-o", folder / "a.png")
    FAITHFUL[:1].to_csv(folder / "one.csv", index=False)
    assert "there is one row" in run(capsys, "plot", folder / "one.csv", "-o", folder / "a.png", status=2)


def test_quantiles_of_a_joint_density_are_drawn_by_column(capsys, folder):
    DensityMLE("multivariate_normal").fit(FAITHFUL).save(folder / "joint")
    arguments = [folder / "joint", folder / "rows.csv", "-o", folder / "a.png", "--kind", "qq"]
    assert "multivariate_normal, over 272 rows" in run(capsys, "plot", *arguments)
    drawn(folder / "a.png")
    assert "over 10,000 draws" in run(capsys, "plot", folder / "joint", "-o", folder / "a.png")
