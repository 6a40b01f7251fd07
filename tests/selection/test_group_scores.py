"""Scores of other rows by the density of their group: those of a density fitted to the group alone."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from fastkl import DensityMLE, SourceError, fit_groups

RNG = np.random.default_rng(0)
LABELS = np.concatenate([RNG.permutation(np.repeat(["b", "a", "c"], 40)), ["few"]])
FRAME = pd.DataFrame({"site": LABELS, "a": RNG.gamma(2.0, size=121), "b": RNG.gamma(3.0, size=121)})
NEWER = pd.DataFrame(
    {"b": RNG.gamma(3.0, size=50), "site": RNG.choice(["a", "b"], 50), "more": "text", "a": RNG.gamma(2.0, size=50)}
)


@pytest.mark.parametrize("families", ["gamma", "student_t", ["lognormal", "gamma"]])
@pytest.mark.parametrize("table", [lambda frame: frame, pl.from_pandas, lambda frame: frame.sort_values("site")])
def test_scores_are_those_of_each_group_alone(families, table):
    found = fit_groups(FRAME, "site", families)
    scores = found.score(table(NEWER), "site")
    assert found.groups["site"].tolist() == ["a", "b", "c", "few"]
    for i, site in enumerate(["a", "b"]):
        for j, column in enumerate(["a", "b"]):
            alone = DensityMLE(found.families[i, j]).fit(FRAME.loc[FRAME.site == site, [column]].to_numpy())
            rows = NEWER.loc[NEWER.site == site, [column]].to_numpy()
            assert scores[i, j] == pytest.approx(alone.score(rows), rel=1e-7)
    assert np.isnan(scores[2:]).all()  # no rows, no fit


def test_the_rows_of_the_fit():
    found = fit_groups(FRAME, "site", "weibull")
    np.testing.assert_allclose(found.score(FRAME, "site"), found.mean_log_likelihood, rtol=1e-9)
    values = fit_groups(FRAME[["a", "b"]].to_numpy(), LABELS, "weibull")
    np.testing.assert_array_equal(values.score(FRAME[["a", "b"]].to_numpy(), LABELS), found.score(FRAME, "site"))


def test_several_keys():
    frame = FRAME.assign(year=np.arange(121) % 2)
    found = fit_groups(frame, ["site", "year"], "gamma", columns=["a"])
    np.testing.assert_allclose(found.score(frame, ["site", "year"]), found.mean_log_likelihood, rtol=1e-9)
    with pytest.raises(SourceError, match="in groups by 'site', 'year'; these rows have 'a' in groups by 'site'"):
        found.score(frame, "site")


def test_rows_outside_the_support():
    found = fit_groups(FRAME, "site", "gamma", columns=["a"])
    assert found.score(pd.DataFrame({"site": ["a"], "a": [-1.0]}), "site")[0, 0] == -np.inf


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (NEWER.assign(site="new"), "The group new was not there in the fit"),
        (NEWER[["site", "a"]], "The fit has the columns 'a', 'b' .* these rows have 'a'"),
        (NEWER.assign(a=np.nan), "Row 0 of column 'a' holds nan"),
    ],
)
def test_rows_that_will_not_do(rows, message):
    with pytest.raises(SourceError, match=message):
        fit_groups(FRAME, "site", "gamma").score(rows, "site")


@pytest.mark.parametrize("names", [[0, 1], ["a", 7], [1, 0]])
def test_columns_with_numbers_for_names(names):
    rng = np.random.default_rng(0)
    X, kind = rng.gamma(2.0, size=(60, 2)) * [1.0, 9.0], np.arange(60) % 2
    table = pd.DataFrame(X, columns=names)
    found = fit_groups(table, kind, "gamma")
    assert found.columns == [str(name) for name in names]
    np.testing.assert_allclose(found.score(table, kind), found.mean_log_likelihood, rtol=1e-10)
    np.testing.assert_allclose(found.score(table[names[::-1]], kind), found.mean_log_likelihood, rtol=1e-10)
    kept = fit_groups(table.assign(group=kind), "group", "gamma", columns=names[1:])
    np.testing.assert_allclose(kept.params["scale"][:, 0], found.params["scale"][:, 1], rtol=1e-12)
    np.testing.assert_allclose(kept.score(table.assign(group=kind), "group"), kept.mean_log_likelihood, rtol=1e-10)
    with pytest.raises(
        SourceError, match=f"The fit has the columns '{names[0]}', '{names[1]}'; these rows have 'p', 'q'"
    ):
        found.score(table.set_axis(["p", "q"], axis=1), kind)
