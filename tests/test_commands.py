"""The command line: what it prints and writes, against the library and independent routes; and that errors are one line."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from matplotlib.figure import Figure
from scipy import stats
from sklearn.model_selection import KFold

import fastkl
from fastkl import DensityMLE
from fastkl.cli import main, parser
from fastkl.commands import fit as fit_command
from fastkl.commands.candidates import COUNTS, FRACTIONS, JOINT, NOT_NEGATIVE, POSITIVE, REAL, candidates
from fastkl.commands.kl import label_test
from fastkl.commands.layout import figure
from fastkl.commands.score import Tally
from fastkl.commands.tables import read_table

ROOT = Path(__file__).parents[1]
DATA = ROOT / "tests" / "data"
FAITHFUL = pd.read_csv(DATA / "old_faithful.csv")


def run(capsys, *arguments, status=0):
    """Standard output of a command; on an error its one line."""
    assert main([str(argument) for argument in arguments]) == status
    out, err = capsys.readouterr()
    if status == 0:
        assert err == ""
        return out
    lines = err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("fastkl: ")
    return lines[0]


def ranking(out):
    """The table of fit: name to (log-likelihood, its error, behind, its error, parameters)."""
    found = {}
    for line in out.splitlines():
        match = re.match(r"(\w+) +(-?[\d.]+) +([\d.]+) +(best|[\d.e-]+) +([\d.e-]*) +(\d+)$", line)
        if match:
            name, *figures = match.groups()
            found[name] = [0.0 if cell in ("best", "") else float(cell) for cell in figures]
    return found


# -- fit -----------------------------------------------------------------------------------------------------------------------


def test_fit_ranks_by_held_out_log_likelihood(capsys, tmp_path):
    out = run(capsys, "fit", DATA / "ball_bearings.csv", "--families", "gamma,normal", "-o", tmp_path / "model")
    X = pd.read_csv(DATA / "ball_bearings.csv").to_numpy()
    held_out = {"gamma": np.empty(23), "normal": np.empty(23)}
    for train, test in KFold(5, shuffle=True, random_state=0).split(X):
        shape, _, scale = stats.gamma.fit(X[train], floc=0.0)
        held_out["gamma"][test] = stats.gamma(shape, scale=scale).logpdf(X[test, 0])
        held_out["normal"][test] = stats.norm(X[train].mean(), X[train].std()).logpdf(X[test, 0])
    gap = held_out["gamma"] - held_out["normal"]
    found = ranking(out)
    assert list(found) == ["gamma", "normal"]
    for name, rows in held_out.items():
        assert found[name][0] == pytest.approx(rows.mean(), abs=1e-4)
        assert found[name][1] == pytest.approx(stats.sem(rows), abs=1e-4)
    assert found["normal"][2] == pytest.approx(gap.mean(), abs=1e-4)
    assert found["normal"][3] == pytest.approx(stats.sem(gap), abs=1e-4)
    assert [row[4] for row in found.values()] == [2, 2]
    model = fastkl.load(tmp_path / "model")
    assert model.params_["shape"][0] == pytest.approx(DensityMLE("gamma").fit(X).params_["shape"][0], rel=1e-12)
    assert list(model.feature_names_in_) == ["value"]
    assert "23 rows, 1 column (value), positive numbers" in out


def test_fit_of_several_columns(capsys):
    out = run(capsys, "fit", DATA / "old_faithful.csv")
    found = ranking(out)
    assert next(iter(found)) == "multivariate_normal"
    assert found["normal"][4] == 4
    assert "not told apart from the best: multivariate_t." in out
    covariance = FAITHFUL.cov(ddof=0).to_numpy()
    assert f"{covariance[0, 1]:.4f}" in out
    assert f"{covariance[1, 1]:.4f}" in out


def test_fit_of_columns_with_families_of_their_own(capsys, tmp_path):
    """Independent columns, one with heavy tails: the product of the best of each, chosen anew for every fold."""
    rng = np.random.default_rng(5)
    table = pd.DataFrame({"a": rng.normal(size=400), "b": rng.gumbel(size=400)})
    table.to_csv(tmp_path / "rows.csv", index=False)
    arguments = [tmp_path / "rows.csv", "-o", tmp_path / "model", "--figure", tmp_path / "figure.png"]
    out = run(capsys, "fit", *arguments)
    found = ranking(out)
    assert next(iter(found)) == "product"
    assert found["product"][4] == 4
    scores = np.empty(400)
    for train, test in KFold(5, shuffle=True, random_state=0).split(table):
        normal, gumbel = table["a"].iloc[train], stats.gumbel_r(*stats.gumbel_r.fit(table["b"].iloc[train]))
        scores[test] = stats.norm.logpdf(table["a"].iloc[test], normal.mean(), normal.std(ddof=0))
        scores[test] += gumbel.logpdf(table["b"].iloc[test])
    assert found["product"][0] == pytest.approx(scores.mean(), abs=1e-4)
    assert f"a: normal, loc {table['a'].mean():.4f} ±" in out
    assert "b: gumbel, loc" in out
    assert (tmp_path / "figure.png").stat().st_size > 5000
    model = fastkl.load(tmp_path / "model")
    run(capsys, "score", tmp_path / "model", tmp_path / "rows.csv", "-o", tmp_path / "scores.npy")
    np.testing.assert_allclose(np.load(tmp_path / "scores.npy"), model.score_samples(table), rtol=1e-12)
    table.rename(columns={"a": "c"})[["b", "c"]].to_csv(tmp_path / "other.csv", index=False)
    arguments = [tmp_path / "model", tmp_path / "other.csv", "--columns", "c,b", "-o", tmp_path / "again.npy"]
    run(capsys, "score", *arguments)
    np.testing.assert_array_equal(np.load(tmp_path / "again.npy"), np.load(tmp_path / "scores.npy"))


def test_fit_is_the_same_every_time_and_with_another_seed_is_not(capsys):
    arguments = ["fit", DATA / "galaxies.csv", "--families", "normal,laplace", "--folds", "3"]
    first = run(capsys, *arguments)
    assert run(capsys, *arguments) == first
    assert run(capsys, *arguments, "--seed", "1") != first


def test_whole_weights_are_repeated_rows(capsys, tmp_path):
    table = pd.read_csv(DATA / "school_absences.csv")
    table.loc[np.repeat(table.index, table["count"]), ["value"]].to_csv(tmp_path / "rows.csv", index=False)
    weighted = run(capsys, "fit", DATA / "school_absences.csv", "--weights", "count")
    repeated = run(capsys, "fit", tmp_path / "rows.csv")
    assert weighted.splitlines()[2:-1] == repeated.splitlines()[2:-1]
    assert "146 rows (by the repeats in column 'count'), 1 column (value)" in weighted
    assert next(iter(ranking(weighted))) == "negative_binomial"


def test_real_weights(capsys, tmp_path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"x": rng.gamma(3.0, size=200), "w": rng.uniform(size=200)})
    table.loc[:4, "w"] = 0.0
    table.to_csv(tmp_path / "rows.csv", index=False)
    out = run(capsys, "fit", tmp_path / "rows.csv", "--weights", "w", "--families", "gamma", "-o", tmp_path / "model")
    expected = DensityMLE("gamma").fit(table[["x"]], sample_weight=table["w"])
    np.testing.assert_allclose(fastkl.load(tmp_path / "model").params_["shape"], expected.params_["shape"], rtol=1e-12)
    used = table[table["w"] > 0.0].to_numpy()
    scores = np.empty(195)
    for train, test in KFold(5, shuffle=True, random_state=0).split(used):
        fitted = DensityMLE("gamma").fit(used[train, :1], sample_weight=used[train, 1])
        scores[test] = fitted.score_samples(used[test, :1])
    assert ranking(out)["gamma"][0] == pytest.approx(np.average(scores, weights=used[:, 1]), abs=1e-4)


def test_excluded_families_are_shown_with_their_reason(capsys, tmp_path):
    rows = np.r_[np.random.default_rng(0).gamma(2.0, size=50), 0.0]
    pd.DataFrame({"time": rows}).to_csv(tmp_path / "rows.csv", index=False)
    out = run(capsys, "fit", tmp_path / "rows.csv", "--families", "gamma,exponential,uniform")
    assert list(ranking(out)) == ["exponential"]
    assert "row 50, column 0 ('time') holds 0.0" in " ".join(out.split())
    assert re.search(r"uniform +gives density 0 to \d+ held-out rows?", out)
    message = run(capsys, "fit", tmp_path / "rows.csv", "--families", "gamma", status=2)
    assert "none of the families fits" in message


def test_labels(capsys, tmp_path):
    table = pd.DataFrame({"animal": ["cat"] * 6 + ["dog"] * 4, "age": range(10), "site": ["a", "b"] * 5})
    table.to_csv(tmp_path / "rows.csv", index=False)
    message = run(capsys, "fit", tmp_path / "rows.csv", status=2)
    assert "columns animal, site hold text" in message
    assert "--columns age" in message
    arguments = ["--columns", "animal,site", "--families", "categorical", "-o", tmp_path / "model"]
    out = run(capsys, "fit", tmp_path / "rows.csv", *arguments)
    assert "animal: cat 0.6000, dog 0.4000" in out
    run(capsys, "score", tmp_path / "model", tmp_path / "rows.csv", "-o", tmp_path / "scores.npy", "--batch-rows", "3")
    expected = np.log(0.5 * np.where(table["animal"] == "cat", 0.6, 0.4))
    np.testing.assert_allclose(np.load(tmp_path / "scores.npy"), expected, rtol=1e-12)
    message = run(capsys, "fit", tmp_path / "rows.csv", "--families", "categorical,poisson", status=2)
    assert "categorical alone" in message
    figures = tmp_path / "labels.png"
    run(
        capsys,
        "fit",
        tmp_path / "rows.csv",
        "--columns",
        "animal,age",
        "--families",
        "categorical",
        "--figure",
        figures,
    )
    assert figures.stat().st_size > 5000


@pytest.mark.parametrize(
    ("name", "panels", "arguments"),
    [
        ("galaxies.csv", 2, []),
        ("old_faithful.csv", 2, ["--families", "normal,multivariate_normal"]),
        ("stackloss.csv", 4, ["--families", "normal"]),
        ("diabetes_reaven_miller.csv", 4, ["--families", "multivariate_t,normal"]),
        ("school_absences.csv", 2, ["--weights", "count"]),
    ],
)
def test_figure_of_a_fit(capsys, tmp_path, monkeypatch, name, panels, arguments):
    drawn = []
    savefig = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: drawn.append(self) or savefig(self, *a, **k))
    run(capsys, "fit", DATA / name, *arguments, "--figure", tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 5000
    assert len(drawn[0].axes) == panels


def test_figures_that_cannot_be_drawn(capsys, tmp_path):
    message = run(capsys, "fit", DATA / "ducklings.csv", "--figure", tmp_path / "figure.png", status=2)
    assert "dirichlet density of 3 columns can't be drawn" in message
    arguments = ["--families", "normal", "--figure", tmp_path / "figure.doc"]
    assert "doc" in run(capsys, "fit", DATA / "galaxies.csv", *arguments, status=2)


def test_one_family_is_fitted_whatever_it_gives_to_rows_held_out(capsys, tmp_path):
    """A label that occurs once has density 0 under the fit to the others."""
    pd.DataFrame({"code": [1, 1, 2, 2, 3]}).to_csv(tmp_path / "rows.csv", index=False)
    arguments = ["--families", "categorical", "--folds", "2", "-o", tmp_path / "model"]
    out = run(capsys, "fit", tmp_path / "rows.csv", *arguments)
    assert re.search(r"Not ranked:\n  categorical  gives density 0 to \d held-out row", out)
    run(capsys, "score", tmp_path / "model", tmp_path / "rows.csv", "-o", tmp_path / "scores.csv")
    np.testing.assert_allclose(read_scores(tmp_path / "scores.csv"), np.log([0.4, 0.4, 0.4, 0.4, 0.2]))


@pytest.mark.parametrize(
    ("X", "names"),
    [
        ([[0.0], [1.0], [1.0]], ("bernoulli",)),
        ([[0.0], [3.0], [7.0]], COUNTS),
        ([[70.0], [72.0], [91.0]], POSITIVE),
        ([[1.0], [40.0], [80.0], [120.0]], POSITIVE),
        ([[1.0], [40.0]] * 5, COUNTS),
        ([[0.2], [0.7]], FRACTIONS),
        ([[0.5], [7.0]], POSITIVE),
        ([[0.0], [7.5]], NOT_NEGATIVE),
        ([[-1.0], [7.0]], REAL),
        ([[0.5, 2.0], [7.0, 3.0]], (*JOINT, *POSITIVE)),
        ([[0.25, 0.75], [0.5, 0.5]], ("dirichlet",)),
    ],
)
def test_default_families(X, names):
    found = candidates(np.array(X))
    assert found.names == names
    assert set(names) <= set(fastkl.families.names())


def test_limits_are_shown(capsys, tmp_path):
    """Under-dispersed counts: the negative binomial sits at its limit, the Poisson law."""
    pd.DataFrame({"n": [2, 3, 2, 3, 1, 0] * 10}).to_csv(tmp_path / "rows.csv", index=False)
    out = run(capsys, "fit", tmp_path / "rows.csv", "--families", "negative_binomial")
    assert re.search(r"^n +inf +- ", out, re.MULTILINE)
    assert re.search(r"^size: .*Poisson", out, re.MULTILINE | re.DOTALL)


# -- score ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def model(tmp_path):
    density = DensityMLE().fit(FAITHFUL)
    density.save(tmp_path / "model")
    return density


def read_scores(path):
    if path.suffix == ".npy":
        return np.load(path)
    frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    assert list(frame.columns) == ["log_density"]
    return frame["log_density"].to_numpy()


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
    assert "not a folder" in run(capsys, *arguments, "-o", tmp_path / "away" / "scores.csv", status=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.csv", "model", "scores.csv"]


def test_missing_values_are_named_with_their_file(capsys, tmp_path, model):
    rows = FAITHFUL.astype(float)
    rows.loc[100, "eruptions"] = np.nan
    rows.to_parquet(tmp_path / "data.parquet")
    arguments = [tmp_path / "model", tmp_path / "data.parquet", "--batch-rows", "30", "-o", tmp_path / "scores.npy"]
    message = run(capsys, "score", *arguments, status=2)
    assert re.search(r"data.parquet: .*NaN: row 100 \(batch 3\), column 0 \('eruptions'\)\.$", message)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.parquet", "model"]
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
    assert found.mean.standard_error == pytest.approx(stats.sem(values), rel=1e-9)


# -- kl ------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def halves(tmp_path):
    rng = np.random.default_rng(0)
    p = pd.DataFrame(
        {"x": rng.normal(size=150), "y": rng.normal(size=150) * 100.0, "kind": rng.choice(["a", "b"], 150)}
    )
    q = pd.DataFrame(
        {"x": rng.normal(1.0, 1.0, 90), "y": rng.normal(size=90) * 100.0, "kind": rng.choice(["a", "b"], 90)}
    )
    p.to_csv(tmp_path / "p.csv", index=False)
    q[["kind", "y", "x"]].to_parquet(tmp_path / "q.parquet")
    return p, q, tmp_path / "p.csv", tmp_path / "q.parquet"


def test_kl_by_column_and_joint(capsys, halves):
    p, q, *paths = halves
    out = run(capsys, "kl", *paths, "--seed", "3", "--neighbors", "4")
    lines = {line[:17].strip(): line for line in out.splitlines()}
    for name in ("x", "y"):
        there, back = (
            fastkl.kl_divergence(a[name].to_numpy(), b[name].to_numpy(), n_neighbors=4) for a, b in ((p, q), (q, p))
        )
        low, high = there.confidence_interval()
        assert f"{there.value:.4f}" in lines[name]
        assert f"[{low:.4f}, {high:.4f}]" in lines[name]
        assert f"{back.value:.4f}" in lines[name]
        rng = np.random.RandomState(3)
        test = fastkl.permutation_test(p[name].to_numpy(), q[name].to_numpy(), n_permutations=999, random_state=rng)
        assert lines[name].endswith(f"{test.p_value:.4f}")
    kind = fastkl.categorical_kl(p["kind"], q["kind"])
    assert f"{kind.value:.4f}" in lines["kind"]
    scale = pd.concat([p, q])[["x", "y"]].std(ddof=0)
    joint = fastkl.kl_divergence((p[["x", "y"]] / scale).to_numpy(), (q[["x", "y"]] / scale).to_numpy(), n_neighbors=4)
    assert f"{joint.value:.4f}" in lines["joint (2 columns)"]
    assert float(lines["x"].split()[-1]) < 0.01
    assert "150 rows" in out
    assert "90 rows" in out


def test_kl_options(capsys, halves):
    *_, p, q = halves
    assert run(capsys, "kl", p, q) == run(capsys, "kl", p, q)
    out = run(capsys, "kl", p, q, "--no-test", "--columns", "y")
    assert "p-value" not in out
    assert "joint" not in out
    assert [line.split()[0] for line in out.splitlines()[4:5]] == ["y"]


def test_kl_of_several_labels_and_unseen_ones(capsys, tmp_path):
    pd.DataFrame({"a": list("xxyyz"), "b": list("uvuvu")}).to_csv(tmp_path / "p.csv", index=False)
    pd.DataFrame({"a": list("xxyyy"), "b": list("uvuvu")}).to_csv(tmp_path / "q.csv", index=False)
    out = run(capsys, "kl", tmp_path / "p.csv", tmp_path / "q.csv")
    assert re.search(r"^a +inf\* +- ", out, re.MULTILINE)
    assert "joint (2 labels)" in out
    assert "* a, KL(P || Q): P has 1 symbol without a count in Q ('z')" in out


def test_kl_of_different_columns(capsys):
    message = run(capsys, "kl", DATA / "old_faithful.csv", DATA / "stackloss.csv", status=2)
    assert "differ in their columns" in message
    message = run(capsys, "kl", DATA / "old_faithful.csv", DATA / "stackloss.csv", "--columns", "waiting", status=2)
    assert "stackloss.csv has no column 'waiting'" in message


def test_kl_of_many_rows_tests_some_of_them(capsys, tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "p.npy", rng.normal(size=6000))
    np.save(tmp_path / "q.npy", rng.normal(1.0, 1.0, size=700))
    out = run(capsys, "kl", tmp_path / "p.npy", tmp_path / "q.npy")
    assert "on 5,000 random rows of a file at most" in " ".join(out.split())
    assert re.search(r"^0 .*0\.0010$", out, re.MULTILINE)


def test_kl_of_the_same_rows_says_so(capsys):
    out = run(capsys, "kl", DATA / "diabetes_reaven_miller.csv", DATA / "diabetes_reaven_miller.csv", "--no-test")
    assert "share rows" in " ".join(out.split())


@pytest.mark.parametrize(("n", "m", "k"), [(30, 40, 12), (25, 25, 13)])
def test_label_test_against_the_exact_law(n, m, k):
    """Two labels: given the margins the count is hypergeometric, and the p-value a sum over its tail."""
    P = np.array(["a"] * k + ["b"] * (n - k), dtype=object)
    Q = np.array(["a"] * 20 + ["b"] * (m - 20), dtype=object)
    law = stats.hypergeom(n + m, k + 20, n)
    counts = np.arange(max(0, k + 20 - m), min(n, k + 20) + 1)

    def statistic(x):
        cells = np.array([x, n - x, k + 20 - x, m - k - 20 + x], dtype=float)
        return np.sum(cells * np.log(np.maximum(cells, 1.0)))

    values = np.array([statistic(x) for x in counts])
    exact = law.pmf(counts)[values >= statistic(k) - 1e-9].sum()
    assert abs(label_test(P, Q, 0) - exact) < 5.0 * np.sqrt(exact * (1.0 - exact) / 999) + 2e-3


# -- files of rows -------------------------------------------------------------------------------------------------------------


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
        ("a,b\n1,2\n3,4,5\n", "rows.csv"),
        ("a,b\n1,2,3\n3,4,5\n", "has 3 values|more values than the 2 columns"),
        ("name,b\nann,2\nbob,3\n", "column name holds text, not numbers: choose others with --columns b"),
        ("day\n2020-01-01\n2020-01-02\n", "column day holds text"),
    ],
)
def test_csv_errors(capsys, tmp_path, reader, text, message):
    path = tmp_path / "rows.csv"
    path.write_text(text)
    assert re.search(message, run(capsys, "fit", path, status=2))


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


# -- the command itself --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", DATA / "old_faithful.csv", "--columns", "eruption"], "did you mean 'eruptions'?"),
        (["fit", DATA / "old_faithful.csv", "--columns", "waiting,1"], "twice"),
        (["fit", DATA / "old_faithful.csv", "--families", "gama"], "Did you mean 'gamma'"),
        (["fit", DATA / "old_faithful.csv", "--families", "gamma,poisson"], "can't be compared"),
        (["fit", DATA / "old_faithful.csv", "--families", ","], "names no family"),
        (["fit", DATA / "old_faithful.csv", "--folds", "1"], "--folds"),
        (["fit", DATA / "old_faithful.csv", "--folds", "1000"], "--folds"),
        (["fit", DATA / "old_faithful.csv", "--weights", "mass"], "--weights"),
        (["fit", DATA / "newcomb_light.csv", "--weights", "value"], "numbers of at least 0|no column left"),
        (["score", DATA / "old_faithful.csv", DATA / "old_faithful.csv"], "not a fastkl density"),
        (["score", "nowhere", DATA / "old_faithful.csv"], "no file nowhere"),
        (["score", "nowhere", DATA / "old_faithful.csv", "--batch-rows", "0"], "--batch-rows"),
        (["kl", DATA / "old_faithful.csv", DATA / "old_faithful.csv", "--neighbors", "0"], "n_neighbors"),
        (["demo", "--rows", "0"], "--rows"),
    ],
)
def test_errors_are_one_line(capsys, arguments, message):
    assert re.search(message, run(capsys, *arguments, status=2))


@pytest.mark.parametrize(
    "arguments", [["fit"], ["fit", "a.csv", "--seed", "-1"], ["fly"], [], ["fit", "a.csv", "--speed", "3"]]
)
def test_wrong_arguments_are_one_line(capsys, arguments):
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith("fastkl: ")
    assert err.count("\n") == 1
    assert "--help" in err


@pytest.mark.parametrize("command", ["fit", "score", "kl", "demo", "info"])
def test_help_has_an_example(capsys, command):
    with pytest.raises(SystemExit) as left:
        parser().parse_args([command, "--help"])
    assert left.value.code == 0
    assert f"Example:\n  fastkl {command}" in capsys.readouterr().out


def test_interrupt(capsys, monkeypatch):
    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(fit_command, "run", interrupted)
    assert run(capsys, "fit", "data.csv", status=130) == "fastkl: interrupted"


def test_in_a_process_of_its_own(tmp_path):
    """As a user calls it, with every warning an error; a reader that has seen enough is no error."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    fastkl_command = f"{sys.executable} -W error -m fastkl"
    data = DATA / "old_faithful.csv"
    script = (
        f"{fastkl_command} fit {data} --families normal,multivariate_normal -o model | head -1"
        f" && {fastkl_command} score model {data} --columns waiting"
    )
    done = subprocess.run(script, shell=True, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert done.stdout.count("\n") == 1
    assert fastkl.load(tmp_path / "model").family == "multivariate_normal"


def test_info_is_light():
    script = (
        "import sys; import sklearn.base; before = set(sys.modules); from fastkl.cli import main; main(['info'])\n"
        "new = {name for name in set(sys.modules) - before}\n"
        "assert not {n.split('.')[0] for n in new} & {'matplotlib', 'pandas', 'pyarrow'}, new\n"
        "assert not any(n.startswith(('sklearn.model_selection', 'fastkl.commands', 'fastkl.plotting')) for n in new), new"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.5000"),
        (-1.23456, "-1.2346"),
        (0.0, "0.0000"),
        (1.2e-7, "1.2e-07"),
        (3e8, "3e+08"),
        (np.inf, "inf"),
        (np.nan, "-"),
    ],
)
def test_figures(value, text):
    assert figure(value) == text
