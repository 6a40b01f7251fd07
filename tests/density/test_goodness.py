"""Goodness of fit: the statistics against scipy and the formulas of fitdistrplus, p-values against those of Stephens' tables."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.stats
from sklearn.compose import ColumnTransformer
from sklearn.neighbors import KernelDensity
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from fastkl import (
    DensityMLE,
    GoodnessOfFit,
    MixtureMLE,
    ProductDensity,
    ShapeConstrainedMLE,
    TransformedDensity,
    families,
)
from fastkl.exceptions import DegenerateDataError

RNG = np.random.default_rng(4)
X = np.column_stack([RNG.gamma(2.0, size=150), RNG.gamma(5.0, 3.0, size=150)])


def plain(u):
    """As fitdistrplus has them, from the distribution function at the sorted rows."""
    u, n = np.sort(u), len(u)
    i = np.arange(1.0, n + 1.0)
    ks = max(np.max(i / n - u), np.max(u - (i - 1.0) / n))
    cvm = 1.0 / (12.0 * n) + np.sum((u - (2.0 * i - 1.0) / (2.0 * n)) ** 2)
    ad = -n - np.mean((2.0 * i - 1.0) * (np.log(u) + np.log1p(-u[::-1])))
    return {"ks": ks, "cvm": cvm, "ad": ad}


@pytest.mark.parametrize("name", ["gamma", "lognormal", "normal", "weibull", "student_t"])
def test_statistics(name):
    model = DensityMLE(name).fit(X)
    report = model.goodness_of_fit(X, n_bootstrap=0)
    assert list(report) == ["ks", "cvm", "ad"]
    assert report.p_values == {}
    for j, law in enumerate(model.to_scipy()):
        for key, value in plain(law.cdf(X[:, j])).items():
            assert report[key][j] == pytest.approx(value, rel=1e-9)
        assert report["ks"][j] == pytest.approx(scipy.stats.kstest(X[:, j], law.cdf).statistic, rel=1e-9)
        assert report["cvm"][j] == pytest.approx(scipy.stats.cramervonmises(X[:, j], law.cdf).statistic, rel=1e-9)


def test_angles_are_counted_from_where_their_turn_begins():
    angles = np.random.default_rng(0).vonmises(1.0, 1.5, (300, 1))  # in (-pi, pi]: some are before loc - pi
    model = DensityMLE("von_mises").fit(angles)
    loc, concentration = model.params_["loc"], model.params_["concentration"]
    assert np.any(angles < loc - np.pi)
    turned = np.mod(angles - loc + np.pi, 2.0 * np.pi)[:, 0] - np.pi
    expected = plain(scipy.stats.vonmises(concentration[0]).cdf(turned))
    for rows in (angles, angles + 2.0 * np.pi, np.mod(angles, 2.0 * np.pi)):
        report = model.goodness_of_fit(rows, n_bootstrap=0)
        for key, value in expected.items():
            assert report[key][0] == pytest.approx(value, rel=1e-6)
    uniform = np.linspace(-np.pi, np.pi, 300, endpoint=False)[:, None]
    bimodal = np.concatenate([0.3 * uniform[::2] - 2.0, 0.3 * uniform[::2] + 1.5])  # two arcs
    assert (
        DensityMLE("von_mises").fit(bimodal).goodness_of_fit(bimodal, n_bootstrap=99, random_state=0).p_values["ad"]
        < 0.02
    )


def test_weights_are_masses():
    weights = RNG.integers(0, 4, len(X)).astype(float)
    model = DensityMLE("gamma").fit(X, sample_weight=weights)
    report = model.goodness_of_fit(X, weights, n_bootstrap=50, random_state=0)
    repeated = model.goodness_of_fit(np.repeat(X, weights.astype(int), axis=0), n_bootstrap=50, random_state=0)
    for key in report:
        np.testing.assert_allclose(report[key], repeated[key], rtol=1e-10)
        np.testing.assert_array_equal(report.p_values[key], repeated.p_values[key])
    halves = (
        DensityMLE("gamma")
        .fit(X, sample_weight=np.full(len(X), 0.5))
        .goodness_of_fit(X, np.full(len(X), 0.5), n_bootstrap=5)
    )
    np.testing.assert_allclose(
        halves["ks"], DensityMLE("gamma").fit(X).goodness_of_fit(X, n_bootstrap=0)["ks"], rtol=1e-10
    )


def test_far_tails_keep_the_statistic_finite():
    model = DensityMLE.from_parameters("normal", loc=0.0, scale=1.0)
    report = model.goodness_of_fit([[-60.0], [0.3], [50.0]], n_bootstrap=0)
    logs = [
        scipy.stats.norm.logcdf(x) + scipy.stats.norm.logsf(y) for x, y in ((-60.0, 50.0), (0.3, 0.3), (50.0, -60.0))
    ]
    assert report["ad"][0] == pytest.approx(-3.0 - np.mean(np.array([1.0, 3.0, 5.0]) * logs), rel=1e-12)


def test_p_values_of_an_estimated_normal_distribution():
    """Stephens' case 3: p = exp(1.2937 - 5.709 a + 0.0186 a^2) for a = A^2 (1 + 0.75 / n + 2.25 / n^2) from 0.6 to 13."""
    n = len(X)
    rows = np.column_stack([np.random.default_rng(seed).standard_t(4.0, size=n) for seed in range(8)])
    report = DensityMLE("normal").fit(rows).goodness_of_fit(rows, n_bootstrap=4000, random_state=0)
    a = report["ad"] * (1.0 + 0.75 / n + 2.25 / n**2)
    chosen = (a > 0.6) & (a < 1.5)
    assert chosen.sum() >= 2
    expected = np.exp(1.2937 - 5.709 * a + 0.0186 * a**2)[chosen]
    np.testing.assert_allclose(report.p_values["ad"][chosen], expected, atol=0.015)


def test_known_parameters_are_not_estimated_again():
    """Then Kolmogorov's distribution holds."""
    rows = X[:, :1]
    model = DensityMLE.from_parameters("gamma", shape=2.2, scale=1.0)
    report = model.goodness_of_fit(rows, n_bootstrap=2000, random_state=0)
    exact = scipy.stats.kstest(rows[:, 0], scipy.stats.gamma(2.2).cdf)
    assert report["ks"][0] == pytest.approx(exact.statistic, rel=1e-9)
    assert report.p_values["ks"][0] == pytest.approx(exact.pvalue, abs=0.04)


def test_parameters_that_are_held_are_held_in_every_sample():
    """p-value against draws of the same shape, the scale of each of which is its mean over the shape."""

    def distance(x):
        return plain(scipy.stats.gamma.cdf(x, 2.2, scale=x.mean() / 2.2))["ks"]

    held = DensityMLE(families.Gamma(shape=2.2)).fit(X[:, :1])
    report = held.goodness_of_fit(X[:, :1], n_bootstrap=1000, random_state=0)
    draws = np.random.default_rng(1).gamma(2.2, size=(2000, len(X)))
    expected = np.mean([distance(x) >= distance(X[:, 0]) for x in draws])
    assert report.p_values["ks"][0] == pytest.approx(expected, abs=0.07)


def test_behind_a_transformer_and_in_a_product():
    logs = TransformedDensity(FunctionTransformer(np.log), DensityMLE("normal")).fit(X)
    plain_fit = DensityMLE("lognormal").fit(X)
    report = logs.goodness_of_fit(X, n_bootstrap=20, random_state=0)
    for key, value in plain_fit.goodness_of_fit(X, n_bootstrap=0).items():
        np.testing.assert_allclose(report[key], value, rtol=1e-9)
    assert report.n_bootstrap == 20
    product = ProductDensity([("a", DensityMLE("gamma"), [1]), ("b", DensityMLE("weibull"), [0])]).fit(X)
    found = product.goodness_of_fit(X, n_bootstrap=10, random_state=0)
    np.testing.assert_allclose(
        found["ad"][1], DensityMLE("gamma").fit(X[:, 1:]).goodness_of_fit(X[:, 1:], n_bootstrap=0)["ad"][0]
    )


def test_seeds_names_and_text():
    table = pd.DataFrame(X, columns=["hours", "days"])
    model = DensityMLE("gamma").fit(table)
    first, second = (model.goodness_of_fit(table, n_bootstrap=30, random_state=1) for _ in range(2))
    assert isinstance(first, GoodnessOfFit)
    for key in first:
        np.testing.assert_array_equal(first.p_values[key], second.p_values[key])
        assert np.all(first.p_values[key] >= 1.0 / 31.0)
    text = repr(first).splitlines()
    assert text[1].startswith("hours ")
    assert text[2].startswith("days ")
    assert text[-1].startswith("30 bootstrap samples")


def test_what_has_no_such_statistics():
    counts = np.rint(X)
    with pytest.raises(ValueError, match="poisson is discrete"):
        DensityMLE("poisson").fit(counts).goodness_of_fit(counts, statistic=["ks", "energy"])
    with pytest.raises(AttributeError, match=r"describes the row as a whole.*'energy' and 'kl'"):
        DensityMLE().fit(X).goodness_of_fit(X, statistic="ks")
    with pytest.raises(ValueError, match="one or more of ks, cvm, ad, energy, kl, not 'watson'"):
        DensityMLE().fit(X).goodness_of_fit(X, statistic="watson")
    mixed = ProductDensity([("a", DensityMLE("gamma"), [0]), ("b", DensityMLE("poisson"), [1])])
    with pytest.raises(ValueError, match="a group of this product is discrete"):
        mixed.fit(np.column_stack([X[:, 0], counts[:, 1]])).goodness_of_fit(counts)
    with pytest.raises(ValueError, match="at least 0, not -1"):
        DensityMLE("gamma").fit(X).goodness_of_fit(X, n_bootstrap=-1)
    with pytest.raises(ValueError, match="row 2, column 0"):
        DensityMLE("gamma").fit(X).goodness_of_fit([[1.0, 2.0], [1.0, 1.0], [np.nan, 1.0]])


def test_samples_without_a_maximum_are_left_out():
    """Draws that are rounded are now and then all equal, and no scale is the best."""
    model = DensityMLE("gumbel").fit([[1.0], [2.0], [2.5]])
    plain_sample = type(model.family_).sample

    def rounded(self, params, n_samples, generator):
        return np.rint(plain_sample(self, params, n_samples, generator))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(model.family_), "sample", rounded)
        with pytest.warns(UserWarning, match="bootstrap samples of 3 rows had no maximum of the likelihood"):
            report = model.goodness_of_fit([[1.0], [2.0], [2.5]], n_bootstrap=200, random_state=0)
    assert report.n_failed > 10
    assert report.n_bootstrap + report.n_failed == 200
    assert f"{report.n_failed} without a maximum left out" in repr(report)


def test_samples_without_a_maximum_are_not_tried_for_ever():
    X = np.random.default_rng(0).normal(size=(3, 1))
    with pytest.warns(UserWarning, match="p-values are of these alone"):
        report = DensityMLE("student_t").fit(X).goodness_of_fit(X, random_state=0)
    assert report.n_failed >= 8
    assert 0 < report.n_bootstrap < 999
    assert 0.0 < report.p_values["ks"][0] <= 1.0


def test_a_few_samples_without_a_maximum_stop_nothing_in_many_columns():
    """One or two of 100 draws are all equal; the others of their columns are tried all the same."""
    X = np.random.default_rng(0).gumbel(size=(8, 60))
    model = DensityMLE("gumbel").fit(X)
    plain_sample = type(model.family_).sample

    def sometimes_equal(self, params, n_samples, generator):
        drawn = plain_sample(self, params, n_samples, generator)
        drawn[-8:] = 1.0  # the last sample, which is the first that is tried alone
        return drawn

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(model.family_), "sample", sometimes_equal)
        report = model.goodness_of_fit(X, n_bootstrap=100, random_state=0)
    assert (report.n_bootstrap, report.n_failed) == (99, 1)


# -- refits --------------------------------------------------------------------------------------------------------------------

TABLE = pd.DataFrame(X, columns=["a", "b"])


def by(first, second):
    """Densities whose parts go by these columns."""
    inner = ProductDensity([("x", DensityMLE("gamma"), first)])
    return {
        "product": ProductDensity([("x", DensityMLE("gamma"), first), ("y", DensityMLE("lognormal"), second)]),
        "nested": ProductDensity([("x", inner, first), ("y", DensityMLE("lognormal"), second)]),
        "transformed": TransformedDensity(
            ColumnTransformer([("s", StandardScaler(), [*first, *second])]), DensityMLE("normal")
        ),
    }


def tables():
    yield "pandas", TABLE
    yield "polars", pl.DataFrame({"a": X[:, 0], "b": X[:, 1]})
    yield "pyarrow", pa.table({"a": X[:, 0], "b": X[:, 1]})


@pytest.mark.parametrize("statistic", [None, "kl"])
@pytest.mark.parametrize("name", ["product", "nested", "transformed"])
def test_parts_that_go_by_names_are_fitted_to_draws_as_those_that_go_by_numbers(name, statistic):
    numbered = by([0], [1])["product" if name == "nested" else name].fit(X)
    expected = numbered.goodness_of_fit(X, statistic=statistic, n_bootstrap=19, random_state=0)
    models = {kind: (by(["a"], ["b"])[name].fit(table), table) for kind, table in tables()}
    if name == "product":  # the others have no fit_batches, or none by names
        models["batches"] = by(["a"], ["b"])[name].fit_batches([TABLE[:70], TABLE[70:]]), TABLE
    for model, table in models.values():
        report = model.goodness_of_fit(table, statistic=statistic, n_bootstrap=19, random_state=0)
        assert (report.n_bootstrap, report.n_failed) == (19, 0)
        assert "19 bootstrap samples, parameters estimated anew in each, 0 without a maximum left out" in repr(report)
        for key, value in expected.p_values.items():
            np.testing.assert_array_equal(report.p_values[key], value)


class Failing(DensityMLE):
    """A density that can be fitted once."""

    error = DegenerateDataError("Nothing to see.")

    def fit(self, X, y=None, sample_weight=None):
        if len(X) == 7:
            return super().fit(X, sample_weight=sample_weight)
        raise self.error


class FailingOtherwise(Failing):
    error = ValueError("A mistake.")


@pytest.mark.parametrize("statistic", ["ks", "energy"])
def test_p_values_without_a_refit_are_an_error(statistic):
    """They were 1."""
    model = TransformedDensity(None, Failing("normal")).fit(X[:7])
    weights = np.r_[2.0, np.ones(6)]  # samples of eight rows
    with pytest.raises(DegenerateDataError, match=r"None of the bootstrap samples of 8 rows could be fitted \(5 were"):
        model.goodness_of_fit(X[:7], weights, statistic=statistic, n_bootstrap=5, random_state=0)
    assert model.goodness_of_fit(X[:7], statistic=statistic, n_bootstrap=0).p_values == {}


@pytest.mark.parametrize("statistic", ["ks", "energy"])
def test_errors_that_are_not_about_the_rows_are_raised(statistic):
    model = TransformedDensity(None, FailingOtherwise("normal")).fit(X[:7])
    with pytest.raises(ValueError, match="A mistake"):
        model.goodness_of_fit(X[:7], np.r_[2.0, np.ones(6)], statistic=statistic, n_bootstrap=5, random_state=0)


def test_known_parameters_behind_a_transformer_are_not_estimated_again():
    logs = TransformedDensity.from_fitted(
        FunctionTransformer(np.log), DensityMLE.from_parameters("normal", loc=0.6, scale=0.7)
    )
    report = logs.goodness_of_fit(X[:, :1], n_bootstrap=999, random_state=0)
    exact = scipy.stats.kstest(np.log(X[:, 0]), scipy.stats.norm(0.6, 0.7).cdf)
    assert report["ks"][0] == pytest.approx(exact.statistic, rel=1e-9)
    assert report.p_values["ks"][0] == pytest.approx(exact.pvalue, abs=0.06)


def test_mixtures_of_univariate_families_have_them_where_they_are_named():
    rows = np.concatenate([X[:, :1], X[:, :1] + 9.0])
    model = MixtureMLE(2, family="gamma", random_state=0).fit(rows)
    assert list(model.goodness_of_fit(rows, n_bootstrap=0)) == ["ks", "cvm", "ad"]
    pairs = np.hstack([rows, rows[::-1]])  # which depend on each other
    assert list(MixtureMLE(2, family="gamma", random_state=0).fit(pairs).goodness_of_fit(pairs, n_bootstrap=0)) == [
        "energy",
        "kl",
    ]
    minutes = np.ceil(
        rows
    )  # repeated values have no divergence from a density, and a distribution function all the same
    assert (
        MixtureMLE(2, family="gamma", random_state=0).fit(minutes).goodness_of_fit(minutes, n_bootstrap=0)["ks"][0]
        < 0.5
    )
    report = model.goodness_of_fit(rows, statistic=["ks", "ad"], n_bootstrap=9, random_state=0)
    u = model.cdf(rows)[:, 0]
    assert report["ks"][0] == pytest.approx(plain(u)["ks"], rel=1e-9)
    assert report["ad"][0] == pytest.approx(plain(u)["ad"], rel=1e-9)
    assert report.n_bootstrap == 9


@pytest.mark.parametrize("model", [DensityMLE("uniform"), ShapeConstrainedMLE()], ids=repr)
def test_a_statistic_that_is_infinite_in_every_sample_has_no_p_value(model):
    """The density ends at the first and the last row, where F (1 - F) is 0; p was 1."""
    report = model.fit(X[:40]).goodness_of_fit(X[:40], n_bootstrap=9, random_state=0)
    assert np.all(report["ad"] == np.inf)
    assert np.isnan(report.p_values["ad"]).all()
    for name in ("ks", "cvm"):
        assert np.all((report.p_values[name] > 0.0) & (report.p_values[name] <= 1.0))


class Counted(KernelDensity):
    """A density from elsewhere that counts its fits."""

    fits = 0

    def fit(self, X, y=None, sample_weight=None):
        type(self).fits += 1
        return super().fit(X, sample_weight=sample_weight)


@pytest.mark.parametrize(
    "model",
    [TransformedDensity(None, Counted()), ProductDensity([("a", Counted(), [0]), ("b", DensityMLE("gamma"), [1])])],
    ids=["transformed", "product"],
)
def test_parts_from_elsewhere_are_fitted_again(model):
    model.fit(X)
    Counted.fits = 0
    assert model.goodness_of_fit(X, statistic="energy", n_bootstrap=4, random_state=0).n_bootstrap == 4
    assert Counted.fits == 4


def test_a_notebook_shows_the_numbers_of_the_text():
    rows = pd.DataFrame({"a < b": RNG.gamma(2.0, size=60), "c": RNG.gamma(2.0, size=60)})
    report = DensityMLE("gamma").fit(rows).goodness_of_fit(rows, n_bootstrap=19, random_state=0)
    text = report._repr_html_()
    assert "<td>a &lt; b</td>" in text
    assert text.count("<tr>") == 3
    for name in ("ks", "cvm", "ad"):
        assert f"<td>{report[name][1]:.4g}</td><td>{report.p_values[name][1]:.4f}</td>" in text
    assert "<div>19 bootstrap samples, parameters estimated anew in each, 0 without a maximum left out</div>" in text


@pytest.mark.parametrize("grid", [2.0, 5.0])
@pytest.mark.parametrize("statistic", [None, "ad"])
def test_rounded_rows_of_the_family_are_rejected_for_their_steps_alone(grid, statistic):
    """Heights in steps: normal before they were rounded, and rejected by any test for densities."""
    exact = np.random.default_rng(0).normal(170.0, 9.0, size=(1000, 1))
    rows = pd.DataFrame(np.round(exact / grid) * grid, columns=["height"])
    model = DensityMLE("normal").fit(rows)
    with pytest.warns(UserWarning, match="height: the values are rounded"):
        report = model.goodness_of_fit(rows, statistic=statistic, n_bootstrap=199, random_state=0)
    assert set(report.p_values) == set(report)
    assert report.p_values["ad"][0] < 0.01
    spread = rows + np.random.default_rng(1).uniform(-grid / 2.0, grid / 2.0, size=rows.shape)
    again = DensityMLE("normal").fit(spread).goodness_of_fit(spread, n_bootstrap=199, random_state=0)
    assert again.p_values["ks"][0] > 0.01


def test_rounded_rows_of_another_family_are_rejected_without_a_doubt(recwarn):
    """Rounded whole numbers of gamma are not normal, and rows that hardly repeat have no steps."""
    rng = np.random.default_rng(0)
    for rows in (np.round(rng.gamma(2.0, 3.0, size=(1000, 1))), rng.exponential(size=(200, 1)).round(3)):
        report = DensityMLE("normal").fit(rows).goodness_of_fit(rows, n_bootstrap=199, random_state=0)
        assert report.p_values["ks"][0] < 0.01
    assert not recwarn.list


def test_a_data_frame_has_the_numbers_too():
    """A row for each column and statistic; those of the rows as a whole go by no column."""
    X = pd.DataFrame(np.random.default_rng(0).gamma(2.0, size=(60, 2)), columns=["a", "b"])
    report = DensityMLE("gamma").fit(X).goodness_of_fit(X, n_bootstrap=19, random_state=0)
    frame = report.to_frame().set_index(["column", "statistic"])
    assert len(frame) == 6
    assert frame.loc[("b", "cvm")].tolist() == [report["cvm"][1], report.p_values["cvm"][1]]
    whole = DensityMLE().fit(X).goodness_of_fit(X, n_bootstrap=0).to_frame()
    assert set(whole.column) == {""}
    assert whole.p_value.isna().all()
