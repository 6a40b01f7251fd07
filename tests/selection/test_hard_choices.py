"""Choices between families that went wrong: equal distributions, rounded heights, a table of passengers, a header of numbers.

Each is a small case of a kind: likelihoods that differ by rounding alone, whole numbers that are no counts, and first lines of a
file that may be names.
"""

import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fastkl import DensityMLE, SourceError, compare_densities, make_product_density, rank_families, vuong_test
from tests.commands.files import run


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [("poisson", "negative_binomial"), ("multinomial", "dirichlet_multinomial"), ("normal", "student_t")],
)
def test_equal_distributions_are_not_told_apart(smaller, larger):
    """The larger family has ended at the smaller one: what is left of a difference is rounding."""
    generator = np.random.default_rng(0)
    X = {
        "poisson": generator.poisson(0.5, (891, 1)),
        "multinomial": np.tile([[4, 6, 10], [5, 5, 10], [3, 7, 10]], (50, 1)),
        "normal": stats.norm.ppf((np.arange(200) + 0.5) / 200)[:, None],
    }[smaller]
    first, second = DensityMLE(smaller).fit(X), DensityMLE(larger).fit(X)
    assert np.isnan(vuong_test(first, second, X).p_value)
    table = compare_densities({smaller: first, larger: second}, X)
    assert np.max(np.abs(table.kl_difference)) < 1e-12
    assert np.isnan(table.p_value).all()


@pytest.mark.parametrize(("centre", "spread"), [(170.0, 8.0), (70.0, 9.0), (1000.0, 40.0)])
def test_rounded_measurements_are_no_counts(centre, spread):
    X = np.random.default_rng(0).normal(centre, spread, (500, 1)).round()
    model = make_product_density(X).fit(X)
    assert [density.family for _, density, _ in model.groups] == ["normal"]
    expected = stats.norm(X.mean(), X.std()).logpdf(X).sum()
    np.testing.assert_allclose(model.log_likelihood(X), expected, rtol=1e-12)
    if centre == 170.0:
        np.testing.assert_allclose(expected, -1756.4, atol=0.05)


def test_a_table_of_passengers(tmp_path, capsys):
    """Zeros and ones, ages and fares: each column gets families of its own kind."""
    generator = np.random.default_rng(0)
    age = generator.gamma(4.0, 7.5, 700).round(1)
    fare = np.exp(generator.normal(3.0, 1.0, 700)).round(2)
    table = pd.DataFrame({"Survived": generator.integers(0, 2, 700), "Age": age, "Fare": fare})
    table.to_csv(tmp_path / "passengers.csv", index=False)
    out = run(capsys, "fit", tmp_path / "passengers.csv")
    chosen = dict(line.split(",")[0].split(": ") for line in out.splitlines() if line.startswith(tuple(table)))
    assert chosen["Survived"] == "bernoulli"
    assert chosen["Age"] == "gamma"
    assert chosen["Fare"] in ("lognormal", "inverse_gaussian", "loglogistic")


@pytest.mark.parametrize("d", [1, 2, 5])
def test_a_header_of_numbers_is_no_row(tmp_path, d):
    """What pandas writes for columns without names: never read in silence as a row."""
    path = tmp_path / "table.csv"
    pd.DataFrame(np.random.default_rng(0).normal(size=(50, d))).to_csv(path, index=False)
    with pytest.raises(SourceError, match="first line is 0"):
        DensityMLE("normal").fit_batches(path)


@pytest.mark.parametrize(
    ("texts", "what"),
    [
        ([f"{i},{100 + i}" for i in range(1, 31)], "thousands separators or a decimal comma"),
        ([f"1,{100 + i},000.5" for i in range(30)], "thousands separators"),
        ([f"{i}.3%" for i in range(30)], "a % sign"),
        ([f"−{i}.5" for i in range(30)], r"a minus sign that is no hyphen \(U\+2212\)"),
        ([f"{i},5" for i in range(30)], "a decimal comma"),
        ([f"${i}.50" for i in range(30)], r"'\$' beside them"),
        ([f"{i},50 €" for i in range(30)], "'€' beside them and a decimal comma"),
        ([f"{i}.5 kg" for i in range(30)], "'kg' beside them"),
        ([f"{i}.{100 + i},5" for i in range(1, 31)], "thousands separators and a decimal comma"),
        ([f"{i}'{100 + i}.5" for i in range(1, 31)], "thousands separators"),
        ([f"{i}\u202f{100 + i}" for i in range(1, 31)], "thousands separators"),
        ([f"{i % 12}.5%" for i in range(240)], "a % sign"),  # values that repeat, as rounded ones do
        (
            [f"−{i},5 %" for i in range(30)],
            r"a % sign and a minus sign that is no hyphen \(U\+2212\) and a decimal comma",
        ),
    ],
)
def test_numbers_that_are_written_as_text_are_called_so(texts, what):
    with pytest.raises(
        ValueError, match=f"column 'x' looks like numbers with {what}, such as {re.escape(repr(texts[0]))}: write them"
    ):
        rank_families(pd.DataFrame({"x": texts}))
    reason = rank_families(pd.DataFrame({"x": texts, "y": np.random.default_rng(0).normal(size=len(texts))})).left_out[
        "x"
    ]
    assert re.match(f"looks like numbers with {what}", reason)


@pytest.mark.parametrize("text", ["{:02d}:{:02d}", "{}:{:02d}:07.5", "{}:{:02d} pm"])
def test_times_are_no_labels(text):
    """However often they are repeated."""
    times = [text.format(i % 12, i % 60) for i in range(300)]
    reason = rank_families(pd.DataFrame({"at": times, "y": np.random.default_rng(0).normal(size=300)})).left_out["at"]
    assert reason.startswith(f"looks like times of day or durations, such as '{times[0]}'")


def test_whole_numbers_that_floats_do_not_hold_are_no_numbers():
    accounts = 9_007_199_254_740_993 + np.arange(30) ** 2
    reason = rank_families(pd.DataFrame({"acct": accounts, "y": np.random.default_rng(0).normal(size=30)})).left_out[
        "acct"
    ]
    assert "16 digits" in reason


def test_few_labels_may_be_written_like_numbers():
    doses = np.random.default_rng(0).choice(["10 mg", "20 mg", "40 mg"], 60)
    assert "dose" in rank_families(pd.DataFrame({"dose": doses, "y": np.random.default_rng(1).normal(size=60)}))


def test_names_of_rows_are_not_called_numbers():
    for texts in (
        [f"x{i}" for i in range(30)],
        [f"{i}{chr(97 + i % 9)}" for i in range(30)],
        ["1", "2a", *[f"{i}x" for i in range(28)]],
        [f"{i}-{i}" for i in range(30)],
        [f"{i}:{i}%" for i in range(30)],
    ):
        with pytest.raises(ValueError, match="looks like an identifier or free text"):
            rank_families(pd.DataFrame({"x": texts}))


@pytest.mark.parametrize(("separator", "fits"), [("|", True), (" ", True), ("/", False)])
def test_one_column_that_is_several_names_its_separator(separator, fits):
    values = np.random.default_rng(0).normal(size=(30, 2)).round(3).astype(str)
    frame = pd.DataFrame({separator.join("ab"): [separator.join(row) for row in values]})
    said = f"the separator may be '{separator}'" if fits else "identifier or free text"
    with pytest.raises(ValueError, match=re.escape(said)):
        rank_families(frame)
    names = pd.DataFrame({"full name": [f"{chr(97 + i)} {chr(98 + i)}" for i in range(20)]})
    with pytest.raises(ValueError, match="identifier or free text"):
        rank_families(names)


def test_rows_of_weight_0_are_absent_from_a_proposal_whatever_they_hold():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"time": rng.gamma(2.0, size=200), "pet": rng.choice(["cat", "dog"], 200)})
    weights = np.r_[np.zeros(20), np.ones(180)]
    holed = table.copy()
    holed.loc[:19, "time"] = np.nan
    holed.loc[:19, "pet"] = None
    proposed = make_product_density(holed, sample_weight=weights)
    assert repr(proposed) == repr(make_product_density(table[20:]))
    holed.loc[150, "time"] = np.inf
    with pytest.raises(ValueError, match=r"Row 150, column 0 \('time'\) holds inf"):
        make_product_density(holed, sample_weight=weights)
