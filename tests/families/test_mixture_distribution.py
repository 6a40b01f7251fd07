"""Distribution functions, quantiles and conditionals of mixtures, against mpmath, scipy and Bayes' theorem."""

import mpmath as mp
import numpy as np
import pytest
from scipy import stats

from fastkl import MixtureMLE, families

TWO = MixtureMLE.from_parameters("normal", weights=[0.3, 0.7], loc=[[0.0], [5.0]], scale=[[1.0], [0.5]])


def exact_cdf(x):
    return mp.mpf("0.3") * mp.ncdf(x) + mp.mpf("0.7") * mp.ncdf((mp.mpf(x) - 5) / mp.mpf("0.5"))


def crossing(is_above):
    low, high = mp.mpf(-50), mp.mpf(50)
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (low, middle) if is_above(middle) else (middle, high)
    return high


@pytest.mark.parametrize("p", ["1e-250", "1e-12", "0.05", "0.3", "0.62", "0.999"])
def test_quantiles_in_both_tails(p):
    with mp.workdps(300):
        low = crossing(lambda x: exact_cdf(x) >= mp.mpf(p))
        high = crossing(lambda x: 1 - exact_cdf(x) <= mp.mpf(p))
    assert TWO.quantile(float(p))[0] == pytest.approx(float(low), rel=1e-12)
    assert TWO.quantile(float(p), upper=True)[0] == pytest.approx(float(high), rel=1e-12)


def test_distribution_functions():
    x = np.array([[-30.0], [-1.0], [3.0], [5.5], [9.0]])
    with mp.workdps(300):
        expected = [float(mp.log(exact_cdf(v))) for v in x.ravel()]
        above = [float(mp.log(1 - exact_cdf(v))) for v in x.ravel()]
    np.testing.assert_allclose(TWO.log_cdf(x), expected, rtol=1e-13)
    np.testing.assert_allclose(TWO.log_sf(x), above, rtol=1e-13)
    np.testing.assert_allclose(TWO.cdf(x), np.exp(expected), rtol=1e-12)


def test_a_normal_vector_of_one_column_is_a_normal_distribution():
    same = MixtureMLE.from_parameters(weights=[0.3, 0.7], mean=[[0.0], [5.0]], covariance=[[[1.0]], [[0.25]]])
    q = [1e-9, 0.2, 0.9]
    assert np.array_equal(same.quantile(q), TWO.quantile(q))
    assert np.array_equal(same.sf([[1.0]]), TWO.sf([[1.0]]))


def test_counts():
    model = MixtureMLE.from_parameters("poisson", weights=[0.3, 0.7], rate=[[1.0], [9.0]])
    x = np.arange(40.0)
    cdf = 0.3 * stats.poisson.cdf(x, 1.0) + 0.7 * stats.poisson.cdf(x, 9.0)
    np.testing.assert_allclose(model.cdf(x[:, None]), cdf, rtol=1e-12)
    for p in (0.01, 0.2, 0.5, 0.95, 0.9999):
        assert model.quantile(p)[0] == np.argmax(cdf >= p)
        assert model.quantile(p, upper=True)[0] == np.argmax(1.0 - cdf <= p)
    assert model.quantile(float(cdf[4]))[0] == 4.0


def test_a_background_and_the_ends():
    model = MixtureMLE.from_parameters(
        ["normal", families.Uniform(low=0.0, high=10.0)], weights=[0.5, 0.5], normal_loc=[[2.0]], normal_scale=[[0.1]],
        uniform_low=[[0.0]], uniform_high=[[10.0]],
    )  # fmt: skip
    x = model.quantile([0.1, 0.5, 0.9]).ravel()
    np.testing.assert_allclose(0.5 * stats.norm.cdf(x, 2.0, 0.1) + 0.05 * x, [0.1, 0.5, 0.9], rtol=1e-12)
    assert model.quantile([0.0, 1.0]).ravel().tolist() == [-np.inf, np.inf]


def test_several_columns_are_joint():
    model = MixtureMLE.from_parameters("normal", weights=[0.4, 0.6], loc=[[0, 1], [2, 3]], scale=[[1, 2], [1, 1]])
    x = np.array([[0.5, 2.0]])
    first = stats.norm.cdf(0.5, 0, 1) * stats.norm.cdf(2.0, 1, 2)
    assert model.cdf(x)[0] == pytest.approx(0.4 * first + 0.6 * stats.norm.cdf(-1.5) * stats.norm.cdf(-1.0), rel=1e-13)
    for call in (model.sf, model.log_sf, lambda _: model.quantile(0.5)):
        with pytest.raises(AttributeError, match="2 columns"):
            call(x)
    angles = MixtureMLE.from_parameters("von_mises", weights=[0.5, 0.5], loc=[[0], [1]], concentration=[[1], [2]])
    with pytest.raises(AttributeError, match="von_mises"):
        angles.cdf([[0.5]])


@pytest.mark.parametrize("family", ["multivariate_normal", "multivariate_t", "normal"])
def test_conditional_is_joint_over_marginal(family):
    means, spread = [[0.0, -2.0, 1.0], [1.0, 2.0, 0.0]], np.eye(3) + 0.4
    params = {
        "multivariate_normal": {"mean": means, "covariance": [spread, np.diag([1.0, 2.0, 3.0])]},
        "multivariate_t": {"df": [4.0, 7.0], "loc": means, "scale": [spread, np.diag([1.0, 2.0, 3.0])]},
        "normal": {"loc": means, "scale": [[1.0, 2.0, 1.0], [0.5, 1.0, 2.0]]},
    }[family]
    model = MixtureMLE.from_parameters(family, weights=[0.3, 0.7], **params)
    given, rest = model.conditional({1: 0.5}), np.array([[0.3, -0.2], [2.0, 1.0]])
    rows = np.insert(rest, 1, 0.5, axis=1)
    expected = model.score_samples(rows) - model.marginal([1]).score_samples(rows[:, [1]])
    np.testing.assert_allclose(given.score_samples(rest), expected, rtol=1e-11)


def test_conditional_outside_every_support():
    model = MixtureMLE.from_parameters("uniform", weights=[0.5, 0.5], low=[[0, 0], [2, 2]], high=[[1, 1], [3, 3]])
    np.testing.assert_allclose(model.conditional({0: 2.5}).params_["weights"], [0.0, 1.0])
    with pytest.raises(ValueError, match="outside the support"):
        model.conditional({0: 1.5})
