"""Multivariate t distributions of many columns: the expected information in closed form, and searches without large matrices."""

import mpmath as mp
import numpy as np
import pytest
from scipy import integrate, stats

from fastkl import DensityMLE, families, load
from fastkl._core.rows import Rows
from fastkl.families.multivariate_t import ascent, expected, fit
from fastkl.families.multivariate_t.information import units

NAMES = ("df", "loc", "scale")


def draws(n, d, df=3.0, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) / np.sqrt(rng.chisquare(df, n) / df)[:, None] + rng.normal(size=d)


@pytest.mark.parametrize("df", [0.3, 3.0, 29.0, 31.0, 1e3, 1e6])
@pytest.mark.parametrize("d", [1, 5, 100])
def test_information_of_df(df, d):
    with mp.workdps(60):
        x = mp.mpf(df)
        gammas = (mp.psi(1, x / 2) - mp.psi(1, (x + d) / 2)) / 4
        truth = float(gammas - d * (x + d + 4) / (2 * x * (x + d) * (x + d + 2)))
    assert expected._information_of_df(df, d) == pytest.approx(truth, rel=1e-11)


@pytest.mark.parametrize("df", [0.7, 5.0, 40.0])
def test_expected_covariance_of_one_column_by_quadrature(df):
    """The information is the mean product of scores, here of df, loc and scale = S (a variance, not its root)."""

    def scores(x):
        h = 1e-4
        law = lambda df, loc, size: stats.t.logpdf(x, df, loc, np.sqrt(size))  # noqa: E731
        step = lambda ahead, behind: (ahead - behind) / (2.0 * h)  # noqa: E731
        return np.array(
            [
                step(law(df + h, 0.0, 1.0), law(df - h, 0.0, 1.0)),
                step(law(df, h, 1.0), law(df, -h, 1.0)),
                step(law(df, 0.0, 1.0 + h), law(df, 0.0, 1.0 - h)),
            ]
        )

    information = np.zeros((3, 3))
    for i, j in ((0, 0), (1, 1), (2, 2), (0, 2)):
        product = lambda u, i=i, j=j: scores(stats.t.ppf(u, df))[[i, j]].prod()  # noqa: E731
        information[i, j] = information[j, i] = 2.0 * integrate.quad(product, 1e-12, 0.5, limit=200)[0]
    factors = expected.ExpectedCovariance.of(1.0 / df, 1, 1.0, NAMES)
    np.testing.assert_allclose(factors.matrix(np.ones((1, 1)), NAMES), np.linalg.inv(information), rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("free", [NAMES, ("loc", "scale"), ("df", "loc"), ("df", "scale"), ("df",)])
def test_expected_covariance_is_that_of_many_rows(free):
    """The observed information, of another route, is the expected one but for chance."""
    rng, d, n = np.random.default_rng(1), 3, 200_000
    root = rng.normal(size=(d, d))
    truth = {"df": 5.0, "loc": np.array([0.0, 1e3, -2.0]), "scale": root @ root.T + np.eye(d)}
    family = families.MultivariateT(**{name: truth[name] for name in NAMES if name not in free})
    model = DensityMLE(family).fit(families.MultivariateT().sample(truth, n, rng))
    params, kept = model.params_, np.repeat([name in free for name in NAMES], [1, d, d * (d + 1) // 2])
    factors = expected.ExpectedCovariance.of(1.0 / float(params["df"]), d, float(n), free)
    unit, correlation = units(params)[kept], expected.correlation_of(params)
    found = factors.matrix(correlation, free) * np.outer(unit, unit)
    np.testing.assert_allclose(np.diag(found), factors.variances(correlation, free) * unit**2, rtol=1e-12)
    observed = model.inference_.covariance()
    errors = np.sqrt(np.diag(observed))
    np.testing.assert_allclose(
        found / np.outer(errors, errors), observed / np.outer(errors, errors), atol=6.0 / np.sqrt(n)
    )


@pytest.mark.parametrize("n", [400, 70_000])  # by ECME, and by the ascent
def test_fit_of_many_columns(n, tmp_path):
    d = expected.OBSERVED_COLUMNS + 5
    X = draws(n, d)
    model = DensityMLE("multivariate_t").fit(X)
    assert model.converged_
    slopes = model.family_.log_likelihood_and_gradient(Rows(X), model.params_)[1]
    for slope in slopes.values():
        assert np.abs(slope).max() < 1e-6 * n
    assert abs(float(model.params_["df"]) - 3.0) < 5.0 * float(model.standard_errors_["df"])
    blocks = DensityMLE("multivariate_t").fit_batches(np.array_split(X, 7))
    for name, value in model.params_.items():
        np.testing.assert_allclose(blocks.params_[name], value, atol=1e-8)
    model.save(tmp_path / "model")
    for name, error in load(tmp_path / "model").standard_errors_.items():
        np.testing.assert_array_equal(error, model.standard_errors_[name])


def test_expected_errors_are_near_the_observed_ones(monkeypatch):
    X = draws(4000, expected.OBSERVED_COLUMNS + 1)
    many = DensityMLE("multivariate_t").fit(X).standard_errors_
    monkeypatch.setattr(families.MultivariateT, "observed_columns", np.inf)
    for name, error in DensityMLE("multivariate_t").fit(X).standard_errors_.items():
        np.testing.assert_allclose(many[name], error, rtol=0.1)


def test_both_searches_of_many_rows_reach_one_maximum(monkeypatch):
    X = draws(70_000, 6)
    by_observed = DensityMLE("multivariate_t").fit(X)
    for module in (fit, ascent):
        monkeypatch.setattr(module, "OBSERVED_COLUMNS", 5)
    by_expected = DensityMLE("multivariate_t").fit(X)
    assert by_expected.converged_
    for name, value in by_observed.params_.items():
        np.testing.assert_allclose(by_expected.params_[name], value, rtol=1e-8, atol=1e-9)


def test_posterior_of_many_coordinates_reaches_its_maximum():
    """Beyond 200 coordinates the search ended at 2e-8 where rounding stops line searches, and said that it was none."""
    model = DensityMLE("multivariate_t", prior="default").fit(draws(3000, 20))
    assert model.converged_
