"""``fit_groups``: each group's numbers are those of a fit to its rows alone, and what can't be fitted says why."""

import re

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import stats

from fastkl import DensityMLE, SourceError, families, fit_groups

RNG = np.random.default_rng(0)
SIZES = RNG.integers(12, 40, 60)
LABELS = RNG.permutation(np.repeat([f"g{i:02d}" for i in range(60)], SIZES))
VALUES = RNG.gamma(2.0, 3.0, size=(len(LABELS), 2))
FRAME = pd.DataFrame({"site": LABELS, "a": VALUES[:, 0], "b": VALUES[:, 1]})


@pytest.mark.parametrize(
    "family", ["normal", "gamma", "weibull", "student_t", families.Gamma(shape=2.0), "exponential"]
)
def test_each_group_alone(family):
    found = fit_groups(FRAME, "site", family)
    assert found.columns == ["a", "b"]
    assert found.groups["site"].tolist() == sorted(set(LABELS))
    for i in range(0, 60, 7):
        rows = FRAME.loc[FRAME.site == found.groups["site"][i], ["a", "b"]].to_numpy()
        alone = DensityMLE(family).fit(rows)
        assert found.n_rows[i] == len(rows)
        for name, values in alone.params_.items():
            np.testing.assert_allclose(found.params[name][i], values, rtol=1e-8)
        for name, values in alone.standard_errors_.items():
            np.testing.assert_allclose(found.standard_errors[name][i], values, rtol=1e-6)
        np.testing.assert_allclose(found.mean_log_likelihood[i].sum(), alone.score(rows), rtol=1e-9)


def test_against_scipy():
    found = fit_groups(VALUES[:, 0], LABELS, "lognormal")
    logs = np.log(VALUES[LABELS == "g05", 0])
    i = found.number_of(["g05"])
    np.testing.assert_allclose(found.params["meanlog"][i], logs.mean(), rtol=1e-12)
    np.testing.assert_allclose(found.params["sdlog"][i], logs.std(), rtol=1e-12)
    score = stats.lognorm(logs.std(), scale=np.exp(logs.mean())).logpdf(VALUES[LABELS == "g05", 0]).mean()
    np.testing.assert_allclose(found.mean_log_likelihood[i], score, rtol=1e-12)


@pytest.mark.parametrize("make", [pl.from_pandas, pa.Table.from_pandas, lambda frame: frame.sort_values("site")])
def test_the_same_from_every_table(make):
    found, wanted = fit_groups(make(FRAME), "site", "gamma"), fit_groups(FRAME, "site", "gamma")
    assert found.groups["site"].tolist() == wanted.groups["site"].tolist()
    for name, values in wanted.params.items():
        np.testing.assert_allclose(found.params[name], values, rtol=1e-9)


def test_groups_of_several_columns():
    frame = FRAME.assign(year=RNG.integers(2000, 2003, len(FRAME)))
    found = fit_groups(frame, ["site", "year"], "normal", columns=["b"])
    means = frame.groupby(["site", "year"])["b"].mean()
    pairs = list(zip(found.groups["site"], found.groups["year"], strict=True))
    assert pairs == list(means.index)
    fitted = found.families[:, 0] == "normal"
    assert fitted.mean() > 0.9
    np.testing.assert_allclose(found.params["loc"][fitted, 0], means[fitted], rtol=1e-12)
    table = found.to_frame()
    assert list(table.columns[:5]) == ["site", "year", "column", "n_rows", "family"]
    assert table.n_rows.sum() == len(frame)


def test_a_family_for_each_group():
    x = np.concatenate([RNG.normal(50.0, 1.0, 400), RNG.exponential(1.0, 400)])
    found = fit_groups(x, np.repeat([3, 1], 400), ["normal", "gamma", "exponential"])
    assert dict(zip(found.groups["group"].tolist(), found.families[:, 0], strict=True)) == {
        1: "exponential",
        3: "normal",
    }
    assert np.isnan(found.params["loc"][0, 0])
    assert found.density(3).score(x[:400, None]) == pytest.approx(found.mean_log_likelihood[1, 0], rel=1e-12)
    by_aic = fit_groups(x, np.repeat([3, 1], 400), ["exponential", "gamma"], criterion="aic")
    gamma, exponential = (DensityMLE(name).fit(x[400:, None]) for name in ("gamma", "exponential"))
    better = "gamma" if gamma.aic(x[400:, None]) < exponential.aic(x[400:, None]) else "exponential"
    assert by_aic.families[0, 0] == better


def test_groups_that_can_not_be_fitted():
    """One bad group among hundreds costs nobody else the fit."""
    x = RNG.gamma(2.0, size=(300, 10))
    x[17], x[200, 4] = 2.5, -1.0
    labels = np.append(np.repeat(np.arange(300), 10), 999)
    found = fit_groups(np.append(x, 1.0), labels, "gamma")
    assert np.flatnonzero(found.families[:, 0] == "").tolist() == [17, 200, 300]
    assert found.verdicts[17, 0].startswith("the column is constant: 2.5 in every row")
    assert "lives on positive numbers" in found.verdicts[200, 0]
    assert found.verdicts[300, 0] == "1 row, fewer than min_rows=2"
    assert repr(found) == "GroupFits(301 groups, 1 column: 298 gamma, 3 without a fit)"
    with pytest.raises(SourceError, match="no density: the column is constant"):
        found.density(17)
    both = fit_groups(np.append(x, 1.0), labels, ["gamma", "normal"])
    assert both.families[200, 0] == "normal"
    assert both.verdicts[200, 0] == ""


def test_boundaries_are_said():
    counts = np.concatenate(
        [stats.poisson.rvs(4.0, size=200, random_state=3), stats.nbinom.rvs(2, 0.3, size=200, random_state=1)]
    )
    counts[:200] = np.arange(200) % 3 + 3  # they vary less than Poisson counts
    found = fit_groups(counts.astype(float), np.repeat(["even", "wild"], 200), "negative_binomial")
    assert found.verdicts[:, 0].tolist() == ["size is at its boundary, inf", ""]
    assert np.isnan(found.standard_errors["size"][0, 0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((FRAME, "place"), "no column 'place' for the groups"),
        ((FRAME.assign(site=FRAME.site.where(FRAME.index != 5)), "site"), "group 'site' is missing in row 5"),
        ((FRAME.assign(a=FRAME.a.where(FRAME.index != 7)), "site"), "Row 7 of column 'a' holds nan"),
        ((VALUES, LABELS[:-1]), f"{len(LABELS) - 1} labels for {len(LABELS)} rows"),
        ((VALUES, LABELS, "multivariate_normal"), "univariate families of numbers"),
        ((VALUES, LABELS, []), "names no family"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        fit_groups(*arguments)


def test_bad_options_and_groups():
    with pytest.raises(ValueError, match="criterion is one of bic, aic"):
        fit_groups(VALUES, LABELS, criterion="best")
    with pytest.raises(ValueError, match="min_rows"):
        fit_groups(VALUES, LABELS, min_rows=0)
    found = fit_groups(FRAME, "site")
    with pytest.raises(KeyError, match="There is no group g99"):
        found.density("g99", column="a")
    with pytest.raises(KeyError, match="name one by column="):
        found.density("g05")
    assert found.density("g05", column="b").params_["loc"] == pytest.approx(VALUES[LABELS == "g05", 1].mean())


@pytest.mark.parametrize("arranged", [lambda frame: frame, lambda frame: frame.sort_values("site")])
@pytest.mark.parametrize("cells", [1 << 18, 1 << 6])
def test_threads_change_no_bit(monkeypatch, arranged, cells):
    monkeypatch.setattr("fastkl.selection.groups._CELLS", cells)
    one, three = (fit_groups(arranged(FRAME), "site", ["gamma", "student_t"], n_jobs=n) for n in (1, 3))
    for name, values in one.params.items():
        np.testing.assert_array_equal(three.params[name], values)
        np.testing.assert_array_equal(three.standard_errors[name], one.standard_errors[name])
    np.testing.assert_array_equal(three.mean_log_likelihood, one.mean_log_likelihood)
    assert three.families.tolist() == one.families.tolist()


def test_labels_in_order_are_read_in_pieces(monkeypatch):
    sizes = [3, 1, 5, 8, 2, 13]
    keys = np.repeat(np.arange(6) * 2 - 3, sizes)
    values = np.random.default_rng(1).normal(size=len(keys))
    whole = fit_groups(values, keys)
    monkeypatch.setattr("fastkl.selection.group_keys._PIECE", 4)
    pieces = fit_groups(values, keys)
    assert pieces.n_rows.tolist() == whole.n_rows.tolist() == sizes
    assert pieces.groups["group"].tolist() == [-3, -1, 1, 3, 5, 7]
    np.testing.assert_array_equal(pieces.params["loc"], whole.params["loc"])
    back = fit_groups(values[::-1], keys[::-1])
    assert back.groups["group"].tolist() == [-3, -1, 1, 3, 5, 7]
    np.testing.assert_allclose(back.params["loc"], whole.params["loc"], rtol=1e-12)


def test_a_value_out_of_all_numbers_in_a_sum_is_finite_still():
    found = fit_groups(np.array([1e308, 1.2e308, 1.7e308, 1.0, 2.0, 3.0]), [0, 0, 0, 1, 1, 1], "uniform")
    np.testing.assert_array_equal(found.params["high"][:, 0], [1.7e308, 3.0])
    with pytest.raises(SourceError, match=r"Row 4 .* holds inf"):
        fit_groups(np.array([1e308, 1.2e308, 1.7e308, 1.0, np.inf, 3.0]), [0, 0, 0, 1, 1, 1], "uniform")


@pytest.mark.parametrize("name", ["family", "column", "n_rows", "shape", "scale_error", "verdict"])
def test_groups_by_a_name_that_the_table_has_itself(name):
    """The labels were overwritten."""
    frame = pd.DataFrame({name: LABELS, "x": VALUES[:, 0]})
    table = fit_groups(frame, name, "gamma").to_frame()
    assert table[f"{name}_group"].tolist() == sorted(set(LABELS))
    plain = fit_groups(frame.rename(columns={name: "site"}), "site", "gamma").to_frame()
    pd.testing.assert_frame_equal(table.drop(columns=f"{name}_group"), plain.drop(columns="site"))


def test_one_column_by_its_name():
    """A text was read as the names that its letters are."""
    frame = FRAME.assign(ab=VALUES[:, 0])
    for columns in ("ab", ["ab"], 3):
        found = fit_groups(frame, "site", "gamma", columns=columns, min_rows=np.int64(2))
        assert found.columns == ["ab"]
        np.testing.assert_array_equal(
            found.params["shape"], fit_groups(FRAME, "site", "gamma", columns=["a"]).params["shape"]
        )


def pictured(html):
    """Places of the dots of a notebook's table, line by line."""
    return [re.findall(r'cx="([-.0-9]+)"', line) for line in html.split("<tr>")[2:]]


def test_a_notebook_shows_the_groups():
    frame = FRAME.assign(site="<" + FRAME.site)
    found = fit_groups(frame, "site", "gamma", columns="a")
    html = found._repr_html_()
    assert html.count("<tr>") == 21
    assert "<div>and 40 more: to_frame() has them all</div>" in html
    assert "<td>&lt;g00</td>" in html
    assert f"<td>{found.n_rows[3]}</td><td>gamma</td><td>shape {found.params['shape'][3, 0]:.4g} ± " in html
    assert "<th>shape, 95 % interval</th>" in html
    dots = [float(place) for (place,) in pictured(html)]  # on one axis: as far apart as the shapes
    shapes = found.params["shape"][:20, 0]
    np.testing.assert_allclose(np.corrcoef(dots, shapes)[0, 1], 1.0, atol=1e-3)


def test_a_notebook_shows_what_has_no_fit_and_several_families_and_columns():
    frame = pd.DataFrame({"k": [1] * 30 + [2] * 30 + [3], "a": np.append(VALUES[:60, 0], 1.0), "b": 2.5, "w": 2.0})
    html = fit_groups(frame, "k", ["gamma", "normal"], sample_weight="w")._repr_html_()
    assert html.count("<tr>") == 7
    assert "<svg" not in html  # no parameter that all groups have
    assert (
        "<td>1</td><td>b</td><td>30</td><td>60</td><td></td><td></td><td></td><td>the column is constant: 2.5" in html
    )
    assert html.count("1 row, fewer than min_rows=2") == 2
    assert "more: to_frame()" not in html
    bare = fit_groups(frame, "k", "gamma", columns="b")._repr_html_()
    assert bare.count("<tr>") == 4
    assert "<svg" not in bare
