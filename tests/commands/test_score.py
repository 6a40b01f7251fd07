"""fastkl score: what it prints and writes, against the library; a failed call leaves what was there."""

import os
import re
import sys

import numpy as np
import pytest
from scipy import stats

import fastkl
from fastkl import DensityMLE, MixtureMLE
from fastkl.cli import main
from fastkl.commands.score import Tally
from tests.commands.files import DATA, FAITHFUL, read_scores, run


@pytest.fixture
def model(tmp_path):
    density = DensityMLE().fit(FAITHFUL)
    density.save(tmp_path / "model")
    return density


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".npy"])
@pytest.mark.parametrize("batch", [1, 100, 100_000])
def test_score_writes_what_the_library_gives(capsys, tmp_path, model, ending, batch):
    output = tmp_path / f"scores{ending}"
    out = run(capsys, "score", tmp_path / "model", DATA / "old_faithful.csv", "-o", output, "--batch-rows", batch)
    expected = model.score_samples(FAITHFUL)
    np.testing.assert_array_equal(read_scores(output), expected)
    assert re.search(r"rows +272$", out, re.MULTILINE)
    assert f"mean log-density  {expected.mean():.4f} ± {stats.sem(expected):.4f} nats per row" in out
    assert f"cross-entropy     {-expected.mean():.4f} ±" in out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", output.name]
    assert output.stat().st_mode & 0o777 == 0o666 & ~umask()


def umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet", ".npy", ".csv.gz"])
def test_score_reads_every_format(capsys, tmp_path, model, ending):
    data = tmp_path / f"data{ending}"
    if ending == ".npy":
        np.save(data, FAITHFUL.to_numpy())
    elif ending == ".parquet":
        FAITHFUL.to_parquet(data)
    else:
        FAITHFUL.to_csv(data, index=False, sep="\t" if ending == ".tsv" else ",")
    named = ["--columns", "0,1"] if ending == ".npy" else []
    run(capsys, "score", tmp_path / "model", data, "-o", tmp_path / "scores.npy", *named)
    np.testing.assert_array_equal(np.load(tmp_path / "scores.npy"), model.score_samples(FAITHFUL))


def test_score_finds_columns_by_name(capsys, tmp_path, model):
    FAITHFUL.assign(year=2000)[["year", "waiting", "eruptions"]].to_csv(tmp_path / "data.csv", index=False)
    run(capsys, "score", tmp_path / "model", tmp_path / "data.csv", "-o", tmp_path / "scores.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "scores.npy"), model.score_samples(FAITHFUL))
    message = run(capsys, "score", tmp_path / "model", DATA / "stackloss.csv", status=2)
    assert "lacks eruptions, waiting" in message
    message = run(capsys, "score", tmp_path / "model", DATA / "stackloss.csv", "--columns", "0", status=2)
    assert "2 columns" in message


def test_score_counts_rows_outside_the_support(capsys, tmp_path):
    DensityMLE("gamma").fit([[1.0], [2.0], [4.0]]).save(tmp_path / "model")
    np.save(tmp_path / "data.npy", np.array([1.0, 2.0, -1.0, 3.0, -5.0]))
    out = run(capsys, "score", tmp_path / "model", tmp_path / "data.npy", "--batch-rows", "2")
    assert "-inf: 2 rows outside the support of gamma" in out
    assert "first row 2" in out
    expected = fastkl.load(tmp_path / "model").score_samples([[1.0], [2.0], [3.0]])
    assert f"of the others     {expected.mean():.4f} ± {stats.sem(expected):.4f}" in out
    assert re.search(r"cross-entropy +inf", out)


def test_failed_scores_leave_what_was_there(capsys, tmp_path, model):
    rows = FAITHFUL.astype(object)
    rows.loc[200, "waiting"] = "late"
    rows.to_csv(tmp_path / "data.csv", index=False)
    (tmp_path / "scores.csv").write_text("before")
    arguments = ["score", tmp_path / "model", tmp_path / "data.csv", "--batch-rows", "50"]
    message = run(capsys, *arguments, "-o", tmp_path / "scores.csv", status=2)
    assert "row 200, column 'waiting' holds 'late'" in message
    assert (tmp_path / "scores.csv").read_text() == "before"
    message = run(capsys, *arguments, "-o", tmp_path / "scores.txt", status=2)
    assert "--output: out ends in .npy, .parquet or .csv, not in '.txt'" in message
    message = run(capsys, *arguments, "-o", tmp_path / "data.csv", status=2)
    assert "--output: out is the source itself" in message
    assert "There is no folder" in run(capsys, *arguments, "-o", tmp_path / "away" / "scores.csv", status=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.csv", "model", "scores.csv"]


def test_missing_values_are_named_with_their_file(capsys, tmp_path, model):
    rows = FAITHFUL.astype(float)
    rows.loc[100, "eruptions"] = np.nan
    rows.to_parquet(tmp_path / "data.parquet")
    arguments = [tmp_path / "model", tmp_path / "data.parquet", "--batch-rows", "30", "-o", tmp_path / "scores.npy"]
    message = run(capsys, "score", *arguments, status=2)
    assert re.search(
        r"data.parquet: .*NaN: row 100 \(batch 3\), column 0 \('eruptions'\)\. Fill such values in, or remove their rows\.$",
        message,
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.parquet", "model"]
    mixture = MixtureMLE(2, random_state=0, n_init=1, standard_errors=False).fit(FAITHFUL.astype(float))
    mixture.save(tmp_path / "mixture")
    assert "row 100" in run(capsys, "score", tmp_path / "mixture", tmp_path / "data.parquet", status=2)
    FAITHFUL.iloc[:0].to_parquet(tmp_path / "none.parquet")
    assert "none.parquet: there are no rows" in run(
        capsys, "score", tmp_path / "model", tmp_path / "none.parquet", status=2
    )


def test_files_by_pattern_are_one_table(capsys, tmp_path, model):
    FAITHFUL.iloc[:100].to_csv(tmp_path / "1.csv", index=False)
    FAITHFUL.iloc[100:].to_csv(tmp_path / "2.csv", index=False)
    run(capsys, "score", tmp_path / "model", tmp_path / "?.csv", "-o", tmp_path / "scores.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "scores.npy"), model.score_samples(FAITHFUL))


def test_progress_on_a_terminal(capsys, tmp_path, monkeypatch, model):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert main(["score", str(tmp_path / "model"), str(DATA / "old_faithful.csv"), "--batch-rows", "200"]) == 0
    assert re.search("200 rows.*272 rows", capsys.readouterr().err)


def test_running_mean_of_shifted_numbers():
    """Blocks of numbers near 1e9: no cancellation."""
    values = 1e9 + np.random.default_rng(0).normal(size=1000)
    found = Tally()
    for start in range(0, 1000, 17):
        found.write(start, values[start : start + 17])
    assert found.mean.value == pytest.approx(values.mean(), rel=1e-15)
    assert found.mean.error == pytest.approx(stats.sem(values), rel=1e-9)
