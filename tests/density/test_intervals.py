"""Intervals against closed forms and the bootstrap, their coverage, criteria, and projections."""

import numpy as np
import pytest
from scipy import optimize, special, stats
from sklearn.preprocessing import FunctionTransformer

from fastkl import DegenerateDataError, DensityMLE, MixtureMLE, ProductDensity, TransformedDensity, families

RNG = np.random.default_rng(21)
SKEWED = RNG.exponential(size=(4000, 1))


# -- intervals -------------------------------------------------------------------------------------------------------------


def test_wald_intervals():
    X = SKEWED[:30]
    z = special.ndtri(0.95)
    model = DensityMLE("exponential").fit(X)
    low, high = model.confidence_intervals(0.9)["scale"]
    np.testing.assert_allclose([low[0], high[0]], X.mean() * np.exp(np.array([-z, z]) / np.sqrt(30)), rtol=1e-12)
    binary = (X > 1.0).astype(float)
    model = DensityMLE("bernoulli").fit(binary)
    p = binary.mean()
    half = z / np.sqrt(30 * p * (1 - p))
    low, high = model.confidence_intervals(0.9)["probability"]
    np.testing.assert_allclose([low[0], high[0]], special.expit(special.logit(p) + np.array([-half, half])), rtol=1e-12)
    model = DensityMLE("normal").fit(np.c_[X, 2.0 * X])
    low, high = model.confidence_intervals(0.9)["loc"]
    np.testing.assert_allclose(high - low, 2 * z * model.standard_errors_["loc"], rtol=1e-12)
    assert low.shape == (2,)
    rows = np.c_[X, 2.0 * X]
    robust = model.confidence_intervals(0.9, robust=True, X=rows)
    np.testing.assert_allclose(
        robust["loc"][1] - robust["loc"][0], 2 * z * model.robust_standard_errors(rows)["loc"], rtol=1e-12
    )
    covariance = DensityMLE().fit(np.c_[X, X**2]).confidence_intervals()["covariance"]
    assert np.all(np.diag(covariance[0]) > 0.0)
    np.testing.assert_array_equal(covariance[0], covariance[0].T)
    for level in (0.0, 1.0):
        with pytest.raises(ValueError, match="between 0 and 1"):
            model.confidence_intervals(level)
    with pytest.raises(ValueError, match="wald"):
        model.confidence_intervals(method="likelihood")


def test_intervals_of_frequencies():
    labels = np.array([["a"]] * 5 + [["b"]] * 3)
    model = DensityMLE(families.Categorical(categories=["a", "b", "c"])).fit(labels)
    low, high = model.confidence_intervals()["probabilities"]
    assert np.all((low[0, :2] > 0.0) & (high[0, :2] < 1.0))
    assert np.isnan([low[0, 2], high[0, 2]]).all()


def test_bootstrap():
    """The spread of the refits is the robust standard error, their quantiles are the interval; seeds repeat."""
    X = SKEWED[:300]
    model = DensityMLE("normal").fit(X)
    draws = model.bootstrap(X, n_resamples=1000, random_state=0)
    assert draws["scale"].shape == (1000, 1)
    for name, error in model.robust_standard_errors(X).items():
        np.testing.assert_allclose(draws[name].std(axis=0), error, rtol=0.12)
    interval = model.confidence_intervals(0.8, "bootstrap", X=X, n_resamples=1000, random_state=0)
    below = np.mean(draws["loc"] < model.params_["loc"])
    rank = stats.norm.cdf(2 * stats.norm.ppf(below) + stats.norm.ppf(0.9))
    np.testing.assert_allclose(np.mean(draws["loc"] <= interval["loc"][1]), rank, atol=2e-3)
    assert interval["loc"][0] < model.params_["loc"] < interval["loc"][1]
    again = model.bootstrap(X, n_resamples=5, random_state=0)
    np.testing.assert_array_equal(again["loc"], draws["loc"][:5])
    labels = [["a"], ["b"], ["b"]]
    categories = DensityMLE("categorical").fit(labels).bootstrap(labels, n_resamples=3, random_state=1)
    np.testing.assert_allclose(categories["probabilities"].sum(axis=-1), 1.0)
    assert categories["probabilities"].shape == (3, 1, 2)
    known = DensityMLE(families.Gamma(shape=1.0), prior="default").fit(X).bootstrap(X, n_resamples=2, random_state=1)
    assert list(known) == ["scale"]
    with pytest.raises(ValueError, match="at least 1"):
        model.bootstrap(X, n_resamples=0)


@pytest.mark.parametrize("prior", [None, "default"])
@pytest.mark.parametrize("family", ["laplace", families.GeneralizedNormal(shape=1.0)])
def test_robust_errors_of_a_median(family, prior):
    """Rows that are no Laplace draws: 1 / (2 f(0) sqrt n) for the median with the density f; by the family it is 36 % less."""
    n = 4000
    X = stats.norm.ppf((np.arange(n) + 0.5) / n)[:, None] * [1.0, 5.0] + [0.0, 100.0]
    model = DensityMLE(family, prior=prior, robust_errors=True).fit(X)
    truth = np.sqrt(np.pi / 2.0 / n) * np.array([1.0, 5.0])
    np.testing.assert_allclose(model.robust_standard_errors_["loc"], truth, rtol=0.02)
    np.testing.assert_allclose(model.robust_standard_errors(X)["loc"], truth, rtol=0.02)
    np.testing.assert_allclose(model.robust_standard_errors(X, np.full(n, 0.3))["loc"], truth, rtol=0.02)
    # by column, the trace of A^-1 B is 1 / (2 f(0) b) for loc and Var |x| / b^2 for scale
    trace = 0.5 * (model.tic(X) + 2.0 * model.log_likelihood(X))
    assert trace == pytest.approx(2 * (np.pi / 2 + np.pi / 2 - 1), rel=0.03)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "options"),
    [("wald", {}), ("wald", {"robust": True}), ("profile", {}), ("bootstrap", {"n_resamples": 300})],
)
def test_coverage(method, options):
    """Intervals cover the truth about as often as they say; 600 samples of 80 rows, gamma(2, 1)."""
    generator, hits = np.random.default_rng(7), np.zeros(2)
    for _ in range(600):
        X = generator.gamma(2.0, size=(80, 1))
        model = DensityMLE("gamma", n_jobs=1).fit(X)
        interval = model.confidence_intervals(0.9, method, X=X, random_state=generator.integers(2**31), **options)
        hits += [
            interval[name][0][0] < truth < interval[name][1][0] for name, truth in (("shape", 2.0), ("scale", 1.0))
        ]
    assert np.all(np.abs(hits / 600 - 0.9) < 0.05)


# -- criteria and projections --------------------------------------------------------------------------------------------


def test_takeuchi():
    """For the normal the trace is (1 + kurtosis) / 2 exactly, with the sample's kurtosis; Akaike's 2 for normal data."""
    x = SKEWED[:500]
    model = DensityMLE("normal").fit(x)
    trace = 0.5 * (1.0 + stats.kurtosis(x[:, 0], fisher=False))
    assert model.tic(x) == pytest.approx(2.0 * trace - 2.0 * model.log_likelihood_, rel=1e-12)
    exponential = DensityMLE("exponential").fit(x)
    trace = x.var() / x.mean() ** 2
    assert exponential.tic(x) == pytest.approx(2.0 * trace - 2.0 * exponential.log_likelihood_, rel=1e-12)
    categorical = DensityMLE("categorical").fit([["a"], ["b"], ["b"], ["c"]])
    assert categorical.tic([["a"], ["b"], ["b"], ["c"]]) == pytest.approx(categorical.aic([["a"], ["b"], ["b"], ["c"]]))


def test_overfitting():
    """Normal, n = 50: training less fresh mean log-likelihood is 2 / 47 = 0.04255; half of AIC and TIC per row remove it."""
    generator, n, repeats = np.random.default_rng(8), 50, 4000
    X = generator.standard_normal((n, repeats))
    model = DensityMLE("normal").fit(X)  # one column per sample: one call fits them all
    mean, variance = model.params_["loc"], model.params_["scale"] ** 2
    fresh = -0.5 * np.log(2 * np.pi * variance) - 0.5 * (1.0 + mean**2) / variance  # over the true distribution
    train = np.array([DensityMLE("normal", n_jobs=1).fit(X[:, [j]]).log_likelihood_ / n for j in range(200)])
    np.testing.assert_allclose(train, -0.5 * np.log(2 * np.pi * variance[:200]) - 0.5, rtol=1e-10)
    gap = -0.5 * np.log(2 * np.pi * variance) - 0.5 - fresh
    assert gap.mean() == pytest.approx(2 / 47, abs=4 * gap.std() / np.sqrt(repeats))
    assert 2 / n == pytest.approx(2 / 47, abs=0.003)  # what AIC takes off


def nodes():
    """Quadrature of the gamma(2, 1) distribution as rows and masses: Gauss-Laguerre with the weight x exp(-x)."""
    return special.roots_genlaguerre(120, 1.0)


def test_projection_of_a_distribution():
    """A distribution as data: quadrature nodes as rows, masses as weights. gamma(2, 1) to exponential, normal, gamma."""
    x, w = nodes()
    keep = w > 0.0
    X, masses = x[keep, None], w[keep]
    np.testing.assert_allclose(DensityMLE("exponential").fit(X, sample_weight=masses).params_["scale"], 2.0, rtol=1e-10)
    normal = DensityMLE("normal").fit(X, sample_weight=masses)
    np.testing.assert_allclose([normal.params_["loc"][0], normal.params_["scale"][0] ** 2], [2.0, 2.0], rtol=1e-10)
    np.testing.assert_allclose(DensityMLE().fit(X, sample_weight=masses).params_["covariance"], [[2.0]], rtol=1e-10)
    gamma = DensityMLE("gamma").fit(X, sample_weight=masses)  # the distribution itself, up to the quadrature of log x
    np.testing.assert_allclose([gamma.params_["shape"][0], gamma.params_["scale"][0]], [2.0, 1.0], rtol=1e-3)
    entropy = stats.gamma.entropy(2.0)
    for name, left in (("exponential", 0.115932), ("normal", 0.188296)):  # what remains
        model = DensityMLE(name).fit(X, sample_weight=masses)
        assert -model.score(X, sample_weight=masses) - entropy == pytest.approx(left, abs=1e-6)


def test_the_bootstrap_takes_a_generator():
    x = np.random.default_rng(0).normal(size=(50, 1))
    model = DensityMLE("normal").fit(x)
    first, second = (model.bootstrap(x, n_resamples=20, random_state=np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first["loc"], second["loc"])
    assert not np.array_equal(
        first["loc"], model.bootstrap(x, n_resamples=20, random_state=np.random.default_rng(4))["loc"]
    )


@pytest.mark.parametrize("wrap", [lambda density: density, lambda density: ProductDensity([("all", density, [0])])])
def test_a_resample_without_a_maximum_says_so(wrap):
    """Two of five equal rows have a fit, but no Cauchy distribution is right for them when they have half of the weight."""
    X = np.array([[0.0], [0.0], [1.0], [2.0], [5.0]])
    model = wrap(DensityMLE("cauchy")).fit(X)
    for call in (model.bootstrap, lambda X, **options: model.confidence_intervals(0.9, "bootstrap", X=X, **options)):
        with pytest.raises(DegenerateDataError, match=r"weights of resample \d+ of 50 its likelihood"):
            call(X, n_resamples=50, random_state=0)


# -- profiles ----------------------------------------------------------------------------------------------------------------


def fallen(family, rows, held, best):
    """By how much scipy's log-likelihood falls where a parameter is held, the others searched for anew by scipy."""
    free = [name for name in best if name not in held]
    start = np.log([best[name] for name in free])

    def lost(u):
        return -np.sum(family(**held, **dict(zip(free, np.exp(u), strict=True))).logpdf(rows))

    found = optimize.minimize(lost, start, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-13})
    return found.fun - lost_at(family, rows, best)


def lost_at(family, rows, params):
    return -np.sum(family(**params).logpdf(rows))


@pytest.mark.parametrize(
    ("name", "law"),
    [
        ("gamma", lambda shape, scale: stats.gamma(shape, scale=scale)),
        ("weibull", lambda shape, scale: stats.weibull_min(shape, scale=scale)),
        ("inverse_gaussian", lambda mean, shape: stats.invgauss(mean / shape, scale=shape)),
        ("loglogistic", lambda shape, scale: stats.fisk(shape, scale=scale)),
    ],
)
@pytest.mark.parametrize("level", [0.8, 0.99])
def test_profiles_fall_by_half_a_quantile_of_chi_squared(name, law, level):
    X = np.random.default_rng(1).gamma(3.0, size=(30, 2))
    model = DensityMLE(name).fit(X)
    intervals = model.confidence_intervals(level, "profile", X=X)
    assert list(intervals) == list(model.params_)
    for parameter, ends in intervals.items():
        for j, value in np.ndenumerate([end[1] for end in ends]):
            if np.isfinite(value):
                best = {key: values[1] for key, values in model.params_.items()}
                half = 0.5 * stats.chi2.isf(1.0 - level, 1)
                assert fallen(law, X[:, 1], {parameter: value}, best) == pytest.approx(half, rel=1e-5), (parameter, j)
        assert ends[0][1] < model.params_[parameter][1] < ends[1][1]


def test_profiles_of_a_normal_distribution_are_in_closed_form():
    """For loc mean ± s sqrt(exp(c / n) - 1); for scale the roots of log r + (1 / r^2 - 1) / 2 = c / (2 n)."""
    X, weights = SKEWED[:12], np.arange(12.0) % 4.0
    n, c = weights.sum(), stats.chi2.isf(0.05, 1)
    model = DensityMLE("normal").fit(X, sample_weight=weights)
    found = model.confidence_intervals(method="profile", X=X, sample_weight=weights)
    half = model.params_["scale"] * np.sqrt(np.expm1(c / n))
    np.testing.assert_allclose(found["loc"], [model.params_["loc"] - half, model.params_["loc"] + half], rtol=1e-9)
    fall = lambda r: np.log(r) + 0.5 / r**2 - 0.5 - 0.5 * c / n  # noqa: E731
    roots = [optimize.brentq(fall, *span) for span in ((0.1, 1.0), (1.0, 9.0))]
    np.testing.assert_allclose(found["scale"], np.outer(roots, model.params_["scale"]), rtol=1e-9)


def test_profiles_of_parameters_at_a_limit_have_their_one_end():
    """Ten rows without a success: (1 - p)^10 falls by c / 2; infinite degrees of freedom go on to infinity."""
    c = stats.chi2.isf(0.05, 1)
    none = DensityMLE("bernoulli").fit(np.zeros((10, 1)))
    low, high = none.confidence_intervals(method="profile", X=np.zeros((10, 1)))["probability"]
    assert low == 0.0
    assert high == pytest.approx(-np.expm1(-0.05 * c), rel=1e-9)
    X = np.random.default_rng(5).uniform(size=(30, 1))
    model = DensityMLE("student_t").fit(X)
    assert model.params_["df"] == np.inf
    assert "df" not in model.confidence_intervals()
    low, high = model.confidence_intervals(method="profile", X=X)["df"]
    assert 1.0 < low < 10.0
    assert high == np.inf


def test_profiles_of_products_transforms_and_fixed_parameters():
    X = SKEWED[:40]
    held = DensityMLE(families.Gamma(shape=[2.0]))
    alone = held.fit(X).confidence_intervals(method="profile", X=X)
    assert list(alone) == ["scale"]
    product = ProductDensity([("x", held, [1]), ("y", DensityMLE("poisson"), [0])]).fit(np.hstack([np.round(X), X]))
    within = product.confidence_intervals(method="profile", X=np.hstack([np.round(X), X]))
    np.testing.assert_array_equal(within["x"]["scale"], alone["scale"])
    behind = TransformedDensity(FunctionTransformer(np.log), DensityMLE("normal")).fit(X)
    images = np.log(X)
    of_images = DensityMLE("normal").fit(images).confidence_intervals(method="profile", X=images)
    np.testing.assert_array_equal(behind.confidence_intervals(method="profile", X=X)["loc"], of_images["loc"])


@pytest.mark.parametrize(
    ("density", "message"),
    [
        (DensityMLE(), "families of single columns; multivariate_normal is none"),
        (DensityMLE("gamma", prior="default"), "this fit has a prior"),
        (MixtureMLE(2, random_state=0), "families of single columns; mixture is none"),
    ],
)
def test_what_has_no_profiles(density, message):
    X = SKEWED[:60]
    density = density.fit(X)
    with pytest.raises(ValueError, match=message):
        density.confidence_intervals(method="profile", X=X)
    with pytest.raises(ValueError, match="method='profile' refits the rows"):
        density.confidence_intervals(method="profile")


def test_profiles_are_of_the_rows_of_the_fit():
    model = DensityMLE("gamma").fit(SKEWED[:60])
    with pytest.raises(ValueError, match="not at the maximum of the likelihood of column 0: X and sample_weight"):
        model.confidence_intervals(method="profile", X=SKEWED[:30])


def test_a_profile_that_ends_says_which_and_what_else_there_is():
    rows = stats.genextreme(-0.1, loc=30.0, scale=6.0).rvs(12, random_state=np.random.default_rng(5))[:, np.newaxis]
    model = DensityMLE("generalized_extreme_value").fit(rows)
    with pytest.raises(
        DegenerateDataError, match=r"(?s)profile likelihood of scale ends.*held at 0\.19.*method='wald'"
    ):
        model.confidence_intervals(method="profile", X=rows)
