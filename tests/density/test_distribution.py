"""What fitted densities answer: probabilities, quantiles, moments, mode, entropy, and the same distribution in scipy.

What a family says of one column is held to 50-digit arithmetic in ``tests/families``. Here every family is asked through the
public members, and compared with scipy's distribution of the same name, with draws, or with the other answers.
"""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from sklearn.preprocessing import (
    FunctionTransformer,
)

from fastkl import DensityMLE, MissingValueError, ProductDensity, TransformedDensity, families
from tests.families.discovered import CLASSES, UNIVARIATE

# further out ``tests/families/test_textbook.py`` knows what rounding the value, or the probability, costs
Q = np.array([0.01, 0.1, 0.3, 0.5, 0.9, 0.99])
ROWS = np.random.default_rng(5).gamma(3.0, size=(400, 2)) + 0.1
TAILS = ("cdf", "sf", "log_cdf", "log_sf")
JOINT = [name for name, cls in CLASSES.items() if cls.joint]


def example(name):
    family, params = CLASSES[name].examples()[-1]
    return DensityMLE.from_parameters(family, **params)


# -- every family ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", UNIVARIATE)
def test_probabilities_and_quantiles_belong_together(name):
    model = example(name)
    x, upper = model.quantile(Q), model.quantile(Q, upper=True)
    assert x.shape == upper.shape == (len(Q), 2)
    np.testing.assert_array_equal(model.quantile(0.3), model.quantile([0.3])[0])
    at = {which: getattr(model, which)(x) for which in TAILS}
    for which in TAILS:
        assert at[which].shape == x.shape
        np.testing.assert_allclose(getattr(model, which)(x[2:3]), at[which][2:3], rtol=1e-14)
    np.testing.assert_allclose(at["cdf"] + at["sf"], 1.0, rtol=1e-13)
    np.testing.assert_allclose(np.exp(at["log_cdf"]), at["cdf"], rtol=1e-12)
    np.testing.assert_allclose(np.exp(at["log_sf"]), at["sf"], rtol=1e-12, atol=1e-300)
    if model.family_.discrete:
        assert np.all(at["cdf"] >= Q[:, None] * (1.0 - 1e-12))
        assert np.all(model.cdf(x - 1.0)[1:] <= Q[1:, None])
        assert np.all(model.sf(upper) <= Q[:, None] * (1.0 + 1e-12))
    else:
        np.testing.assert_allclose(at["cdf"], np.broadcast_to(Q[:, None], x.shape), rtol=1e-11)
        np.testing.assert_allclose(model.sf(upper), np.broadcast_to(Q[:, None], x.shape), rtol=1e-11)


@pytest.mark.parametrize("name", [name for name in CLASSES if not CLASSES[name].labels])
def test_moments_are_those_of_draws(name):
    """Shapes, and means and covariances against 20,000 draws within five of their standard errors."""
    model = example(name)
    if name == "multinomial":
        model = DensityMLE.from_parameters("multinomial", probabilities=[0.2, 0.3, 0.5], n_trials=7)
    d = model.n_features_in_
    mean, variance, covariance = model.mean(), model.variance(), model.covariance()
    assert mean.shape == variance.shape == (d,)
    assert covariance.shape == (d, d)
    np.testing.assert_array_equal(np.diag(covariance), variance)
    draws = model.sample(20_000, random_state=0).astype(float)
    if model.family_.joint is False and getattr(model.family_, "periodic", False):
        draws = model.params_["loc"] + (draws - model.params_["loc"] + np.pi) % (2.0 * np.pi) - np.pi
    fine = np.isfinite(mean) & np.isfinite(variance)
    error = np.sqrt(variance[fine] / len(draws))
    assert np.all(np.abs(draws.mean(axis=0) - mean)[fine] < 5.0 * error)
    if name in JOINT:
        away = draws - mean
        products = away[:, :, None] * away[:, None, :]
        spread = products.std(axis=0) / np.sqrt(len(draws))
        assert np.all(np.abs(products.mean(axis=0) - covariance) < 5.0 * spread + 1e-12)
    else:
        np.testing.assert_array_equal(covariance, np.diag(variance))


@pytest.mark.parametrize("name", [name for name in CLASSES if CLASSES[name].scipy_name])
def test_scipy_has_the_same_distribution(name):
    model = example(name)
    if name == "multinomial":
        model = DensityMLE.from_parameters("multinomial", probabilities=[0.2, 0.3, 0.5], n_trials=7)
    laws = model.to_scipy()
    X = model.sample(40, random_state=1)
    if name in JOINT:
        # scipy's betabinom counts the successes alone
        values = {"dirichlet": X.T, "beta_binomial": X[:, 0]}.get(name, X)
        logs = laws.logpmf(values) if hasattr(laws, "logpmf") else laws.logpdf(values)
    else:
        assert [law.dist.name for law in laws] == [model.family_.scipy_name] * 2
        columns = [law.logpmf(X[:, j]) if model.family_.discrete else law.logpdf(X[:, j]) for j, law in enumerate(laws)]
        logs = np.sum(columns, axis=0)
        if name != "von_mises":
            mine, theirs = model.cdf(X), np.stack([law.cdf(X[:, j]) for j, law in enumerate(laws)], axis=1)
            np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-15)
            np.testing.assert_allclose(model.mean(), [law.mean() for law in laws], rtol=1e-9)
            fine = np.isfinite(model.variance())
            np.testing.assert_allclose(model.variance()[fine], np.array([law.var() for law in laws])[fine], rtol=1e-8)
    np.testing.assert_allclose(model.score_samples(X), logs, rtol=1e-9, atol=1e-10)
    back = DensityMLE.from_scipy(laws)
    assert back.family_.name == name
    for key, value in model.params_.items():
        if key == "covariance":  # scipy has the whole matrix
            value = model.covariance()
        np.testing.assert_allclose(back.params_[key], value, rtol=1e-14)
    np.testing.assert_allclose(back.score_samples(X), model.score_samples(X), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", JOINT)
def test_what_a_joint_family_cannot_say(name):
    model, cls = example(name), CLASSES[name]
    X = model.sample(3, random_state=0)
    for which in TAILS:
        if not hasattr(cls, which):
            with pytest.raises(AttributeError, match=f"{name} family has no {which}: it describes the row as a whole"):
                getattr(model, which)(X)
    with pytest.raises(AttributeError, match="has no quantiles"):
        model.quantile(0.5)


def test_joint_families_of_one_column():
    """Marginals and conditionals of one column are normal and t distributions like any other."""
    mean, spread = [1.0, -2.0], [[4.0, 1.2], [1.2, 0.5]]
    normal = DensityMLE.from_parameters("multivariate_normal", mean=mean, covariance=spread)
    t = DensityMLE.from_parameters("multivariate_t", df=3.0, loc=mean, scale=spread)
    away = 1.0 + 2.0  # of the second column from its mean
    slope, left = 1.2 / 0.5, 4.0 - 1.2**2 / 0.5
    stretch = (3.0 + away**2 / 0.5) / 4.0  # of the scale, with one more degree of freedom
    pairs = [
        (normal.marginal([0]), scipy.stats.norm(1.0, 2.0)),
        (normal.conditional({1: 1.0}), scipy.stats.norm(1.0 + slope * away, np.sqrt(left))),
        (t.marginal([1]), scipy.stats.t(3.0, -2.0, np.sqrt(0.5))),
        (t.conditional({1: 1.0}), scipy.stats.t(4.0, 1.0 + slope * away, np.sqrt(stretch * left))),
    ]
    for model, law in pairs:
        x = model.quantile(Q)
        np.testing.assert_allclose(x[:, 0], law.ppf(Q), rtol=1e-10)
        np.testing.assert_allclose(model.quantile(1e-20, upper=True), law.isf(1e-20), rtol=1e-8)
        for which, own in zip(TAILS, (law.cdf, law.sf, law.logcdf, law.logsf), strict=True):
            np.testing.assert_allclose(getattr(model, which)(x), own(x[:, 0]), rtol=1e-8, atol=1e-12)
        assert model.log_sf([[1e9]])[0] == pytest.approx(law.logsf(1e9), rel=1e-6)


def test_labels():
    model = DensityMLE("categorical").fit(pd.DataFrame({"pet": ["cat", "dog", "dog"], "size": ["s", "l", "s"]}))
    np.testing.assert_array_equal(model.mode(), ["dog", "s"])
    with pytest.raises(AttributeError, match="labels have no order"):
        model.cdf(pd.DataFrame({"pet": ["cat"], "size": ["s"]}))
    with pytest.raises(AttributeError, match="labels are no numbers"):
        model.mean()
    assert float(model.entropy()) == pytest.approx(2.0 * (np.log(3.0) - 2.0 / 3.0 * np.log(2.0)), rel=1e-12)


# -- joint distribution functions ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("covariance", [[[2.0, 0.6], [0.6, 0.5]], [[1.0, -0.9], [-0.9, 1.0]]])
def test_the_joint_distribution_function_of_a_normal_pair(covariance):
    """P(X <= x, Y <= y) is the integral over X of its density times the conditional probability of Y."""
    model = DensityMLE.from_parameters(mean=[1.0, -1.0], covariance=covariance)
    (vx, c), (_, vy) = covariance
    nodes, weights = np.polynomial.legendre.leggauss(200)
    for x, y in [(1.0, -1.0), (2.5, 0.0), (-1.0, -2.0)]:
        low = 1.0 - 12.0 * np.sqrt(vx)
        t = low + 0.5 * (x - low) * (1.0 + nodes)
        inner = scipy.stats.norm.cdf(y, -1.0 + c / vx * (t - 1.0), np.sqrt(vy - c * c / vx))
        exact = np.sum(0.5 * (x - low) * weights * scipy.stats.norm.pdf(t, 1.0, np.sqrt(vx)) * inner)
        assert model.cdf([[x, y]])[0] == pytest.approx(exact, rel=1e-11, abs=1e-15)
        assert np.exp(model.log_cdf([[x, y]])[0]) == pytest.approx(exact, rel=1e-11, abs=1e-15)
    ends = [[np.inf, np.inf], [-np.inf, np.inf], [np.inf, -1.0]]
    np.testing.assert_allclose(model.cdf(ends), [1.0, 0.0, 0.5], atol=1e-14)


def test_joint_distribution_functions_of_other_shapes():
    X = np.array([[0.3, -0.2, 1.0], [-1.0, 2.0, 0.0]])
    one = DensityMLE.from_parameters(mean=[0.5], covariance=[[4.0]])
    np.testing.assert_allclose(one.cdf([[2.5], [-40.0]]), scipy.stats.norm.cdf([1.0, -20.25]), rtol=1e-12)
    for family, spread in (
        (families.MultivariateNormal("diag"), [1.0, 4.0, 9.0]),
        (families.MultivariateNormal("spherical"), 4.0),
    ):
        model = DensityMLE.from_parameters(family, mean=[0.0, 1.0, 2.0], covariance=spread)
        exact = np.prod(scipy.stats.norm.cdf(X, [0.0, 1.0, 2.0], np.sqrt(spread)), axis=1)
        np.testing.assert_allclose(model.cdf(X), exact, rtol=1e-13)
        far = model.log_cdf([[-200.0, 0.0, 0.0]])[0]
        assert far == pytest.approx(
            np.sum(scipy.stats.norm.logcdf([-200.0, 0.0, 0.0], [0.0, 1.0, 2.0], np.sqrt(spread)))
        )
    equal = 0.5 * np.eye(3) + 0.5  # at correlation 1/2 the orthant of d columns has probability 1 / (d + 1)
    normal = DensityMLE.from_parameters(mean=np.zeros(3), covariance=equal)
    assert normal.cdf(np.zeros((1, 3)))[0] == pytest.approx(0.25, abs=2e-5)
    t = DensityMLE.from_parameters("multivariate_t", df=3.0, loc=np.zeros(3), scale=equal)
    assert t.cdf(np.zeros((1, 3)))[0] == pytest.approx(0.25, abs=1e-3)  # the same for every elliptical distribution
    np.testing.assert_array_equal(t.cdf(X), t.cdf(X))
    single = DensityMLE.from_parameters("multivariate_t", df=3.0, loc=[1.0], scale=[[4.0]])
    np.testing.assert_allclose(single.cdf([[-5.0]]), scipy.stats.t.cdf(-3.0, 3.0), rtol=1e-12)


@pytest.mark.parametrize("units", [[1e-9, 1.0, 1e12], [1e-100, 1.0, 1e120]])
def test_a_joint_distribution_function_has_no_unit(units):
    X, equal = np.array([[0.3, -0.2, 1.0]]), 0.5 * np.eye(3) + 0.5
    scaled = equal * units * np.transpose([units])
    for family, known in (
        ("multivariate_normal", {"mean": np.zeros(3)}),
        ("multivariate_t", {"df": 3.0, "loc": np.zeros(3)}),
    ):
        name = "covariance" if "mean" in known else "scale"
        plain = DensityMLE.from_parameters(family, **known, **{name: equal})
        other = DensityMLE.from_parameters(family, **known, **{name: scaled})
        np.testing.assert_allclose(other.cdf(X * units), plain.cdf(X), rtol=1e-10)
        line = DensityMLE.from_parameters(family, **known, **{name: np.full((3, 3), 1.0 - 1e-11) + 1e-11 * np.eye(3)})
        with pytest.raises(ValueError, match="linear functions of each other"):
            line.cdf(X)


# -- products --------------------------------------------------------------------------------------------------------------


def product():
    groups = [
        ("counts", DensityMLE.from_parameters("poisson", rate=4.0), [2]),
        ("sizes", DensityMLE.from_parameters("gamma", shape=[2.0, 3.0], scale=[1.0, 0.5]), [3, 0]),
        ("shift", DensityMLE.from_parameters("normal", loc=1.0, scale=2.0), [1]),
    ]
    model = ProductDensity(groups)
    model.groups_, model.n_features_in_, model.dtypes_ = groups, 4, None
    return model


def test_a_product_answers_column_by_column():
    model = product()
    X = np.array([[1.0, 0.0, 3.0, 2.0], [0.2, 5.0, 9.0, 1.0]])
    for which in TAILS:
        expected = np.empty(X.shape)
        for _, density, numbers in model.groups_:
            expected[:, numbers] = getattr(density, which)(X[:, numbers])
        np.testing.assert_array_equal(getattr(model, which)(X), expected)
    assert model.quantile([0.1, 0.2], upper=True).shape == (2, 4)
    np.testing.assert_allclose(model.mean(), [1.5, 1.0, 4.0, 2.0])
    np.testing.assert_allclose(model.covariance(), np.diag([0.75, 4.0, 4.0, 2.0]))
    np.testing.assert_allclose(model.mode(), [1.0, 1.0, 3.0, 1.0])
    names = [law.dist.name for law in model.to_scipy()]
    assert names == ["gamma", "norm", "poisson", "gamma"]
    assert float(model.entropy()) == pytest.approx(
        sum(float(density.entropy()) for _, density, _ in model.groups_), rel=1e-12
    )


def test_a_product_names_the_group_that_has_no_answer():
    table = pd.DataFrame({"pet": ["cat", "dog", "dog"] * 5, "x": np.arange(15.0), "y": np.arange(15.0) ** 2})
    model = ProductDensity([("pets", DensityMLE("categorical"), ["pet"]), ("pair", DensityMLE(), ["x", "y"])]).fit(
        table
    )
    assert list(model.mode()) == ["dog", *model.densities_["pair"].params_["mean"]]
    with pytest.raises(AttributeError, match="Group 'pets': The categorical family has no mean"):
        model.mean()
    with pytest.raises(AttributeError, match="Group 'pets': The categorical family has no cdf: labels have no order"):
        model.cdf(table)
    pair = ProductDensity([("pair", DensityMLE(), ["x", "y"])]).fit(table[["x", "y"]])
    with pytest.raises(AttributeError, match="Group 'pair' describes 2 columns jointly"):
        pair.cdf(table[["x", "y"]])


# -- arguments -------------------------------------------------------------------------------------------------------------


def test_rows_of_every_form():
    X = ROWS[:50]
    model = DensityMLE("gamma").fit(pd.DataFrame(X, columns=["a", "b"]))
    expected = model.cdf(pd.DataFrame(X, columns=["a", "b"]))
    model = DensityMLE("gamma").fit(X)
    frozen = X.copy()
    frozen.setflags(write=False)
    np.testing.assert_array_equal(model.cdf(frozen), expected)
    single = X.astype(np.float32)
    np.testing.assert_array_equal(model.cdf(single), model.cdf(single.astype(float)))
    bad = X.copy()
    bad[3, 1] = np.nan
    with pytest.raises(ValueError, match="row 3, column 1"):
        model.sf(bad)
    np.testing.assert_array_equal(model.cdf([[-np.inf, np.inf], [-1.0, 0.0]]), [[0.0, 1.0], [0.0, 0.0]])
    many = np.tile(X, (1400, 1))  # more than a block of rows
    np.testing.assert_array_equal(model.log_sf(many), np.tile(model.log_sf(X), (1400, 1)))


def test_bad_probabilities():
    model = DensityMLE.from_parameters("normal", loc=0.0, scale=1.0)
    for bad in (1.5, [0.5, -0.1], np.nan, [[0.5]]):
        with pytest.raises(ValueError, match="q "):
            model.quantile(bad)


def test_before_a_fit():
    for density in (DensityMLE("gamma"), ProductDensity([("a", DensityMLE(), [0])])):
        for name, given in {"cdf": [ROWS], "quantile": [0.5], "mean": [], "entropy": [], "to_scipy": []}.items():
            with pytest.raises(Exception, match="not fitted yet"):
                getattr(density, name)(*given)


@pytest.mark.parametrize("method", ["cdf", "sf", "log_cdf"])
def test_probabilities_of_nan_are_refused_as_numbers_are(method):
    plain = DensityMLE("normal").fit([[1.0], [2.0]])
    behind = TransformedDensity(FunctionTransformer(np.exp), DensityMLE("gamma")).fit([[1.0], [2.0], [4.0]])
    for model in (plain, behind):
        with pytest.raises(MissingValueError, match=r"contains NaN: row 1, column 0\. .* impute") as told:
            getattr(model, method)([[0.0], [np.nan], [np.inf]])
        assert "label" not in str(told.value)
        assert np.all(np.isfinite(getattr(model, method)([[np.inf]]))) or method.startswith("log")


def test_complex_numbers_are_refused_without_a_print_of_the_rows():
    for call in (DensityMLE("normal").fit, DensityMLE("categorical").fit, DensityMLE("normal").fit([[1.0], [2.0]]).cdf):
        with pytest.raises(ValueError, match=r"Complex data not supported: .* as columns of their own") as told:
            call(np.ones((3, 1), dtype=complex))
        assert "\n" not in str(told.value)
