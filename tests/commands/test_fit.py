"""fastkl fit: its ranking, the model it saves and its figures, against the library and independent routes."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy import stats
from sklearn.model_selection import KFold

import fastkl
from fastkl import DensityMLE
from fastkl.cli import main
from fastkl.selection.candidates import COUNTS, FRACTIONS, JOINT, NOT_NEGATIVE, POSITIVE, REAL, candidates
from tests.commands.files import DATA, FAITHFUL, read_scores, run


def ranking(out):
    """The table of fit: name to (log-likelihood, its error, behind, its error, parameters)."""
    found = {}
    for line in out.splitlines():
        match = re.match(r"(\w+) +(-?[\d.]+) +([\d.]+) +(best|[\d.e-]+) +([\d.e-]*) +(\d+)$", line)
        if match:
            name, *figures = match.groups()
            found[name] = [0.0 if cell in ("best", "") else float(cell) for cell in figures]
    return found


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
    assert "Within two standard errors of the best: multivariate_t." in out
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
    arguments = ["--columns", "animal,site", "--families", "categorical", "-o", tmp_path / "model"]
    out = run(capsys, "fit", tmp_path / "rows.csv", *arguments)
    assert "animal: cat 0.6000, dog 0.4000" in out
    run(capsys, "score", tmp_path / "model", tmp_path / "rows.csv", "-o", tmp_path / "scores.npy", "--batch-rows", "3")
    expected = np.log(0.5 * np.where(table["animal"] == "cat", 0.6, 0.4))
    np.testing.assert_allclose(np.load(tmp_path / "scores.npy"), expected, rtol=1e-12)
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


def mixed_table(n=400):
    rng = np.random.default_rng(8)
    return pd.DataFrame(
        {
            "customer_id": rng.permutation(n) + 1000,
            "change": rng.normal(1.0, 8.0, n).round(3),
            "income": rng.lognormal(size=n).round(6),
            "children": rng.poisson(1.2, n),
            "smoker": (rng.random(n) < 0.3).astype(int),
            "city": rng.choice(["Bern", "Basel", "Genf"], n, p=[0.5, 0.3, 0.2]),
            "day": pd.date_range("2024-01-01", periods=n).astype(str),
        }
    )


def test_a_table_of_mixed_type(capsys, tmp_path):
    """Every column by families of its kind; what is no measurement is named and left out; the saved product scores the file."""
    table = mixed_table()
    table.to_csv(tmp_path / "rows.csv", index=False)
    arguments = [tmp_path / "rows.csv", "-o", tmp_path / "model", "--figure", tmp_path / "figure.png"]
    out = run(capsys, "fit", *arguments)
    words = " ".join(out.split())
    assert "Left out, column 'customer_id': looks like an identifier" in words
    assert "Left out, column 'day': looks like dates: '2024-01-01'." in words
    assert "\nproduct " in out
    assert "multivariate_normal x product" in out
    shares = table["city"].value_counts(normalize=True)
    assert f"city: categorical, Basel {shares['Basel']:.4f}, Bern {shares['Bern']:.4f}" in out
    assert f"children: poisson, rate {table['children'].mean():.4f} ±" in out
    assert (tmp_path / "figure.png").stat().st_size > 5000
    run(capsys, "score", tmp_path / "model", tmp_path / "rows.csv", "-o", tmp_path / "scores.npy")
    expected = stats.norm.logpdf(table["change"], table["change"].mean(), table["change"].std(ddof=0))
    logs = np.log(table["income"])
    expected += stats.norm.logpdf(logs, logs.mean(), logs.std(ddof=0)) - logs
    expected += stats.poisson.logpmf(table["children"], table["children"].mean())
    smokers = table["smoker"].mean()
    expected += np.log(np.where(table["smoker"] == 1, smokers, 1.0 - smokers)) + np.log(
        shares[table["city"]].to_numpy()
    )
    np.testing.assert_allclose(np.load(tmp_path / "scores.npy"), expected, rtol=1e-11)
    again = run(capsys, "fit", tmp_path / "rows.csv", "--columns", "income,city", "--families", "lognormal,categorical")
    assert "lognormal" in again


def test_rows_with_missing_values_are_left_out_when_asked(capsys, tmp_path):
    table = pd.DataFrame({"x": np.random.default_rng(1).gamma(2.0, size=60), "w": np.tile([1.0, 2.0], 30)})
    table.drop(index=[3, 8]).to_csv(tmp_path / "complete.csv", index=False)
    table.loc[3, "x"] = np.nan
    table.loc[8, "w"] = np.nan
    table.to_csv(tmp_path / "rows.csv", index=False)
    message = run(capsys, "fit", tmp_path / "rows.csv", "--weights", "w", status=2)
    assert "'x' 1, 'w' 1" in message
    out = run(capsys, "fit", tmp_path / "rows.csv", "--weights", "w", "--drop-missing")
    assert "2 rows with missing values left out" in out
    complete = run(capsys, "fit", tmp_path / "complete.csv", "--weights", "w")
    assert out.splitlines()[2:-1] == complete.splitlines()[1:-1]


def test_json(capsys, tmp_path):
    table = mixed_table()
    table.to_csv(tmp_path / "rows.csv", index=False)
    found = json.loads(run(capsys, "fit", tmp_path / "rows.csv", "--json", "--folds", "4"))
    assert (found["rows"], found["folds"], found["best"]) == (400, 4, "product")
    assert list(found["left_out"]) == ["customer_id", "day"]
    assert found["params"]["children"]["rate"] == [pytest.approx(table["children"].mean(), rel=1e-12)]
    assert found["columns"]["city"]["ranked"][0]["family"] == "categorical"
    assert found["joint"]["ranked"][0]["mean_log_likelihood"] > found["joint"]["ranked"][1]["mean_log_likelihood"]
    single = json.loads(run(capsys, "fit", DATA / "old_faithful.csv", "--json", "--families", "normal,uniform"))
    assert "density 0" in single["joint"]["refused"]["uniform"]
    assert single["params"]["loc"] == pytest.approx(FAITHFUL.mean().tolist())


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
    known = DensityMLE.from_parameters("von_mises_fisher", direction=[0.6, 0.0, 0.8], concentration=5.0)
    pd.DataFrame(known.sample(60, random_state=0), columns=["x", "y", "z"]).to_csv(tmp_path / "rows.csv", index=False)
    arguments = ["--families", "von_mises_fisher", "--figure", tmp_path / "figure.png"]
    message = run(capsys, "fit", tmp_path / "rows.csv", *arguments, status=2)
    assert "von_mises_fisher density of 3 columns can't be drawn" in message
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
    """Under-dispersed counts: the negative binomial sits at its limit, the Poisson distribution."""
    pd.DataFrame({"n": [2, 3, 2, 3, 1, 0] * 10}).to_csv(tmp_path / "rows.csv", index=False)
    out = run(capsys, "fit", tmp_path / "rows.csv", "--families", "negative_binomial")
    assert re.search(r"^n +inf +- ", out, re.MULTILINE)
    assert re.search(r"^size: .*Poisson", out, re.MULTILINE | re.DOTALL)


def test_no_column_left_names_the_file_and_the_option(capsys, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a|b\n" + "".join(f"{i}.5|{i}\n" for i in range(20)))
    message = run(capsys, "fit", path, status=2)
    assert message.startswith(f"fastkl: {path}: No column is left to rank: column 'a|b' looks like several columns: ")
    assert "the separator may be '|'" in message
    assert message.endswith("(--columns on the command line).")
    assert run(capsys, "plot", path, "-o", tmp_path / "x.png", status=2).startswith(
        f"fastkl: {path}: No column is left"
    )
    assert main(["kl", str(path), str(path), "--no-test"]) == 0
    assert "the separator may be '|'" in capsys.readouterr().err


def test_families_that_are_far_from_any_name(capsys):
    message = run(capsys, "fit", DATA / "ball_bearings.csv", "--families", "bogus", status=2)
    assert "There is no family named 'bogus'. The families are: " in message
    assert "Did you mean 'gamma'" in run(capsys, "fit", DATA / "ball_bearings.csv", "--families", "gama", status=2)


@pytest.mark.parametrize("name", ["rows.csv", "rows.npy", "rows.csv.gz"])
def test_the_rows_are_not_overwritten_by_the_density(capsys, tmp_path, name):
    X = pd.DataFrame({"a": np.random.default_rng(0).gamma(2.0, size=20)})
    path = tmp_path / name
    if path.suffix == ".npy":
        np.save(path, X.to_numpy())
    else:
        X.to_csv(path, index=False)
    before = path.read_bytes()
    assert "leave the ending out" in run(capsys, "fit", path, "-o", path, status=2)
    assert path.read_bytes() == before


def test_a_column_of_frequencies_is_asked_about(capsys, tmp_path):
    """It is fitted like any other, which is seldom meant; repeated rows and other names draw no question."""
    table = pd.DataFrame({"value": [0, 1, 2, 4, 3], "count": [109, 65, 22, 3, 1]})
    path, asked = tmp_path / "rows.csv", "add --weights count."

    def said(frame, *options):
        frame.to_csv(path, index=False)
        return " ".join(run(capsys, "fit", path, "--folds", "2", *options).split())

    assert asked in said(table)
    assert asked not in said(table, "--weights", "count")
    assert asked not in said(table.rename(columns={"count": "age"}))
    assert asked not in said(table.assign(value=[0, 0, 2, 4, 3]))
    assert asked not in said(table.assign(count=[0.5, 0.25, 1.0, 3.0, 1.0]))


def test_names_of_digits_are_names(capsys, tmp_path):
    """Years, say: another file has them in another order, in which their places would be the wrong columns."""
    for name, columns in (("rows", ["eruptions", "waiting"]), ("turned", ["waiting", "eruptions"])):
        table = FAITHFUL[columns].rename(columns={"eruptions": "2019", "waiting": "2020"})
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    model = tmp_path / "model"
    run(
        capsys, "fit", tmp_path / "rows.csv", "--header", "yes", "--families", "multivariate_normal,normal", "-o", model
    )
    assert list(fastkl.load(model).feature_names_in_) == ["2019", "2020"]
    found = [
        json.loads(run(capsys, "score", model, tmp_path / f"{name}.csv", "--header", "yes", "--json"))
        for name in ("rows", "turned")
    ]
    assert found[0]["mean_log_density"] == pytest.approx(found[1]["mean_log_density"], rel=1e-12)


def test_an_empty_name_of_weights_is_no_column(capsys):
    assert "--weights: " in run(capsys, "fit", DATA / "old_faithful.csv", "--weights", "", status=2)


def test_a_column_without_any_value_is_left_out(capsys, tmp_path):
    """Commas at the ends of lines, as spreadsheets write them, are a column of nothing: no row has to go for it."""
    x = np.random.default_rng(0).gamma(2.0, size=60)
    path = tmp_path / "rows.csv"
    path.write_text("x,\n" + "".join(f"{value},\n" for value in x))
    main(["fit", str(path), "--families", "gamma,normal"])
    out, said = capsys.readouterr()
    assert "60 rows, 1 column (x)" in out
    assert "'column.1' left out, where no row has a value" in said
    assert "row 0, column 'column.1' is missing" in run(capsys, "fit", path, "--columns", "0,1", status=2)
