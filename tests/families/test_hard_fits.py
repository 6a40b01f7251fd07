"""Fits that are silently wrong where a formula is careless: rounding of a mean, large shapes, boundaries, extreme units.

Right values are mpmath's roots of the likelihood equations of the very same doubles, or closed forms.
"""

import mpmath as mp
import numpy as np
import pytest
from scipy import stats

from fastkl import DegenerateDataError, DensityMLE, FactorAnalysisMLE, MixtureMLE, families


def exact(column):
    """A column as numbers of mpmath."""
    return [mp.mpf(float(x)) for x in column]


@pytest.mark.parametrize("offset", [1e4, 1e6, 1e7, 1e8, 1e10, 1e13])
@pytest.mark.parametrize("weighted", [False, True])
def test_gamma_far_from_zero(offset, weighted):
    """The rounding of the mean is of first order in log(mean) - mean(log), which is of second order in the spread."""
    generator = np.random.default_rng(3)
    x = offset + generator.normal(size=400)
    w = generator.integers(1, 4, size=400).astype(float) if weighted else None
    model = DensityMLE("gamma").fit(x[:, None], sample_weight=w)
    with mp.workdps(70):
        values, weights = exact(x), exact(np.ones(400) if w is None else w)
        total = mp.fsum(weights)
        mean = mp.fsum(a * b for a, b in zip(weights, values, strict=True)) / total
        excess = mp.log(mean) - mp.fsum(a * mp.log(b) for a, b in zip(weights, values, strict=True)) / total
        shape = mp.findroot(lambda a: mp.log(a) - mp.psi(0, a) - excess, 1 / (2 * excess))
        expected = total * (shape * mp.log(shape / mean) - mp.loggamma(shape) - shape) - (shape - 1) * total * (
            excess - mp.log(mean)
        )
    np.testing.assert_allclose(model.params_["shape"], [float(shape)], rtol=1e-12)
    np.testing.assert_allclose(model.log_likelihood_, float(expected), rtol=1e-13)
    np.testing.assert_allclose(model.log_likelihood(x[:, None], sample_weight=w), model.log_likelihood_, rtol=1e-13)
    np.testing.assert_allclose(model.score(x[:, None], sample_weight=w) * float(total), float(expected), rtol=1e-9)


def test_gamma_of_many_blocks_far_from_zero():
    """Merging blocks keeps what each of them has."""
    x = 1e9 + np.random.default_rng(4).normal(size=10000)
    deviations = x - np.mean(x - 1e9) - 1e9
    # log(mean) - mean(log) is var / (2 mean^2) here, and the shape mean^2 / var, to 1e-18
    expected = (1e9 / np.sqrt(np.mean(deviations**2) - np.mean(deviations) ** 2)) ** 2
    np.testing.assert_allclose(DensityMLE("gamma").fit(x[:, None]).params_["shape"], expected, rtol=1e-8)


def beta_reference(x, start):
    with mp.workdps(70):
        values = exact(x)
        low = mp.fsum(mp.log(v) for v in values) / len(x)
        high = mp.fsum(mp.log1p(-v) for v in values) / len(x)

        def equations(log_n, log_ratio):
            n, ratio = mp.exp(log_n), mp.exp(log_ratio)
            a, b = n * ratio / (1 + ratio), n / (1 + ratio)
            by_a = mp.psi(0, n) - mp.psi(0, a) + low
            by_b = mp.psi(0, n) - mp.psi(0, b) + high
            return [a * by_a + b * by_b, by_a - by_b]

        log_n, log_ratio = mp.findroot(
            equations, (mp.log(start[0] + start[1]), mp.log(mp.mpf(start[0]) / start[1])), tol=1e-40, maxsteps=50
        )
        n, ratio = mp.exp(log_n), mp.exp(log_ratio)
        a, b = n * ratio / (1 + ratio), n / (1 + ratio)
        log_beta = mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(n)
        return float(a), float(b), float(len(x) * ((a - 1) * low + (b - 1) * high - log_beta))


@pytest.mark.parametrize("spread", [1e-3, 1e-6, 1e-9])
@pytest.mark.parametrize("centre", [0.4, 1e-5, 0.75])
def test_beta_of_a_narrow_column(spread, centre):
    x = centre * (1.0 + spread * np.random.default_rng(5).normal(size=60))
    model = DensityMLE("beta").fit(x[:, None])
    a, b, expected = beta_reference(x, (model.params_["a"][0], model.params_["b"][0]))
    assert model.converged_
    np.testing.assert_allclose([model.params_["a"][0], model.params_["b"][0]], [a, b], rtol=1e-10)
    np.testing.assert_allclose(model.log_likelihood_, expected, rtol=1e-12)


@pytest.mark.parametrize("large", [1e7, 1e9, 1e12, 1e15])
@pytest.mark.parametrize("upper", [False, True])
def test_beta_of_one_large_shape(large, upper):
    """psi(b) - psi(a + b) is a / b: with b beyond 1e8 most of its digits cancel in the plain difference."""
    x = np.random.default_rng(0).beta(3.0, large, size=80)
    if upper and large < 1e10:
        x = 1.0 - x
    model = DensityMLE("beta").fit(x[:, None])
    found = model.params_["a"][0], model.params_["b"][0]
    a, b, expected = beta_reference(x, found)
    np.testing.assert_allclose(found, [a, b], rtol=1e-10)
    np.testing.assert_allclose(model.log_likelihood_, expected, rtol=1e-12)
    errors = [model.standard_errors_[name][0] for name in ("a", "b")]
    with mp.workdps(60):
        shapes = [mp.mpf(float(value)) for value in found]
        common = mp.psi(1, shapes[0] + shapes[1])
        inverse = mp.matrix([[mp.psi(1, shapes[0]) - common, -common], [-common, mp.psi(1, shapes[1]) - common]]) ** -1
        np.testing.assert_allclose(errors, [float(mp.sqrt(inverse[i, i] / len(x))) for i in (0, 1)], rtol=1e-9)


@pytest.mark.parametrize("total", [1.0, 1e4, 1e10, 1e14])
def test_dirichlet_of_any_concentration(total):
    """The likelihood knows the shares of the concentration a_0 times better than a_0: they must not share their rounding."""
    X = np.random.default_rng(1).dirichlet(np.array([0.2, 0.3, 0.5]) * total, size=50)
    X = np.maximum(X, 1e-12) / np.maximum(X, 1e-12).sum(axis=1, keepdims=True)
    model = DensityMLE("dirichlet").fit(X)
    a = model.params_["concentration"]
    with mp.workdps(70):
        logs = [mp.fsum(mp.log(v) for v in exact(X[:, j])) / len(X) for j in range(3)]
        found = mp.findroot(
            lambda *b: [mp.psi(0, mp.fsum(b)) - mp.psi(0, c) + g for c, g in zip(b, logs, strict=True)],
            [mp.mpf(float(value)) for value in a],
            tol=1e-50,
        )
        log_beta = mp.fsum(mp.loggamma(c) for c in found) - mp.loggamma(mp.fsum(found))
        expected = len(X) * (mp.fsum((c - 1) * g for c, g in zip(found, logs, strict=True)) - log_beta)
        information = mp.matrix(3, 3)
        for i in range(3):
            for j in range(3):
                information[i, j] = len(X) * ((mp.psi(1, found[i]) if i == j else 0) - mp.psi(1, mp.fsum(found)))
        inverse = information**-1
        errors = [float(mp.sqrt(inverse[i, i])) for i in range(3)]
    np.testing.assert_allclose(a, [float(c) for c in found], rtol=1e-11)
    np.testing.assert_allclose(model.log_likelihood_, float(expected), rtol=1e-12)
    np.testing.assert_allclose(model.standard_errors_["concentration"], errors, rtol=1e-9)
    np.testing.assert_allclose(model.score(X) * len(X), float(expected), rtol=1e-9)


def test_von_mises_between_its_two_formulas():
    """Around concentrations of 30 to 600 the steps fell to rounding, not to 0, and the fit was reported as not converged."""
    for seed in range(30):
        for concentration in (5.0, 31.0, 33.0, 150.0, 400.0):
            model = DensityMLE("von_mises").fit(np.random.default_rng(seed).vonmises(0.3, concentration, (150, 1)))
            assert model.converged_
            assert model.n_iter_ < 20
    x = np.random.default_rng(0).vonmises(0.3, 400.0, 150)
    fitted = DensityMLE("von_mises").fit(x[:, None]).params_["concentration"][0]
    with mp.workdps(40):
        values = exact(x)
        length = mp.hypot(mp.fsum(map(mp.cos, values)), mp.fsum(map(mp.sin, values))) / len(x)
        expected = mp.findroot(lambda k: mp.besseli(1, k) / mp.besseli(0, k) - length, 400)
    np.testing.assert_allclose(fitted, float(expected), rtol=1e-11)


def test_von_mises_without_a_direction():
    """Opposite angles cancel to rounding: uniform, and not a concentration of 1e-16 with errors of 1e15."""
    for angles in (np.arange(4) * np.pi / 2, np.arange(3) * 2 * np.pi / 3 + 0.1, np.arange(12) * np.pi / 6 + 2.0):
        model = DensityMLE("von_mises").fit(angles[:, None])
        assert model.params_["concentration"][0] == 0.0
        assert "concentration" in model.boundary_
        assert model.standard_errors_ == {}


@pytest.mark.parametrize("d", [2, 3, 7])
@pytest.mark.parametrize("concentration", [1e4, 1e10, 1e14])
def test_von_mises_fisher_of_a_high_concentration(d, concentration):
    direction = np.full(d, 1.0 / np.sqrt(d))
    model = DensityMLE.from_parameters("von_mises_fisher", direction=direction, concentration=concentration)
    with mp.workdps(40):
        k, v = mp.mpf(concentration), mp.mpf(d) / 2 - 1
        # Hankel's expansion of exp(-k) I_v(k): three terms leave 1e-12 at k = 1e4
        m = 4 * v * v
        series = 1 - (m - 1) / (8 * k) + (m - 1) * (m - 9) / (2 * (8 * k) ** 2)
        series -= (m - 1) * (m - 9) * (m - 25) / (6 * (8 * k) ** 3)
        expected = v * mp.log(k) - (v + 1) * mp.log(2 * mp.pi) - mp.log(series / mp.sqrt(2 * mp.pi * k))
        expected += k * (mp.fsum(c * c for c in exact(direction)) - 1)  # the direction's own rounding counts
    np.testing.assert_allclose(model.score_samples(direction[None]), [float(expected)], rtol=1e-9)
    X = model.sample(200, random_state=0)
    fitted = DensityMLE("von_mises_fisher").fit(X)
    assert 0.7 < fitted.params_["concentration"] / concentration < 1.4
    assert np.isfinite(fitted.score(X))


def test_full_covariance_takes_more_rows_than_columns():
    """The last pivots of a scatter of d rows in d columns are rounding, of either sign."""
    for seed in range(60):
        for n, d in ((3, 3), (2, 3), (5, 5)):
            X = np.random.default_rng(seed).normal(size=(n, d))
            for name in ("multivariate_normal", "multivariate_t"):
                with pytest.raises(DegenerateDataError, match="no more rows than columns"):
                    DensityMLE(name).fit(X)
    X = np.random.default_rng(1).normal(size=(6, 3))
    with pytest.raises(DegenerateDataError, match="no more rows than columns"):
        DensityMLE("multivariate_normal").fit(X, sample_weight=[1.0, 2.0, 1.0, 0.0, 0.0, 0.0])
    chunks = DensityMLE("multivariate_normal").partial_fit(X[:2]).partial_fit(X[2:3])
    assert not hasattr(chunks, "params_")
    assert hasattr(chunks.partial_fit(X[3:]), "params_")


SCALE_FAMILIES = (
    "normal", "laplace", "logistic", "cauchy", "gumbel", "student_t", "gamma", "weibull", "loglogistic", "lognormal",
    "exponential", "rayleigh", "half_normal", "inverse_gaussian", "pareto",
)  # fmt: skip


@pytest.mark.parametrize("name", SCALE_FAMILIES)
@pytest.mark.parametrize("factor", [1e-290, 1e-170, 1e170, 1e290])
def test_standard_errors_in_any_unit(name, factor):
    """A unit of 1e170 squared is beyond double precision; an information in units of the parameters is not."""
    X = np.random.default_rng(0).gamma(2.0, size=(60, 1))
    near, far = DensityMLE(name).fit(X), DensityMLE(name).fit(factor * X)
    for parameter, error in near.standard_errors_.items():
        space = near.family_.spaces()[parameter]
        unit = factor if space.role in ("scale", "location") else 1.0
        np.testing.assert_allclose(far.standard_errors_[parameter] / unit, error, rtol=1e-6)


def test_standard_errors_of_a_column_with_one_huge_value():
    X = np.random.default_rng(0).normal(size=(300, 1))
    X[0] = 1e300
    model = DensityMLE("normal").fit(X)
    deviation = float(mp.sqrt(mp.mpf(10) ** 600 * (mp.mpf(1) / 300 - mp.mpf(1) / 90000)))
    np.testing.assert_allclose(model.standard_errors_["loc"], [deviation / np.sqrt(300)], rtol=1e-9)
    np.testing.assert_allclose(model.standard_errors_["scale"], [deviation / np.sqrt(600)], rtol=1e-9)


@pytest.mark.parametrize("mean", [1e3, 1e8, 1e14, 1e15])
def test_standard_error_of_a_large_negative_binomial_mean(mean):
    generator = np.random.default_rng(2)
    X = generator.poisson(mean * generator.gamma(3.0, 1.0 / 3.0, size=(400, 1))).astype(float)
    model = DensityMLE("negative_binomial").fit(X)
    m, size = model.params_["mean"], model.params_["size"]
    np.testing.assert_allclose(model.standard_errors_["mean"], np.sqrt(m * (1.0 + m / size) / 400), rtol=1e-10)


def test_share_of_zero_is_a_boundary():
    model = DensityMLE("multinomial").fit([[3, 0, 1], [5, 0, 2]])
    assert "Column 1 holds zeros alone" in model.boundary_["probabilities"]
    errors = model.standard_errors_["probabilities"]
    np.testing.assert_array_equal(np.isnan(errors), [False, True, False])
    assert DensityMLE("multinomial").fit([[3, 0], [5, 0]]).standard_errors_ == {}


@pytest.mark.parametrize("huge", [1e200, 1e300, 1e303])
def test_gamma_with_one_huge_value(huge):
    X = np.random.default_rng(0).gamma(2.0, size=(300, 1))
    X[0] = huge
    model = DensityMLE("gamma").fit(X)
    assert np.isfinite(model.params_["scale"]).all()
    np.testing.assert_allclose(model.score(X) * 300, model.log_likelihood_, rtol=1e-10)


@pytest.mark.parametrize("huge", [3e307, 1e308])
def test_gamma_with_a_value_whose_sums_overflow(huge):
    X = np.random.default_rng(0).gamma(2.0, size=(300, 1))
    X[0] = huge
    with pytest.raises(DegenerateDataError, match="sums of column 0 overflow"):
        DensityMLE("gamma").fit(X)


@pytest.mark.parametrize(
    ("name", "x", "params", "reference"),
    [
        ("gamma", 0.0, {"shape": 1.0, "scale": 2.0}, stats.gamma(1.0, scale=2.0)),
        ("weibull", 0.0, {"shape": 1.0, "scale": 2.0}, stats.weibull_min(1.0, scale=2.0)),
        ("loglogistic", 0.0, {"shape": 1.0, "scale": 2.0}, stats.fisk(1.0, scale=2.0)),
        ("burr12", 0.0, {"c": 1.0, "d": 3.0, "scale": 2.0}, stats.burr12(1.0, 3.0, scale=2.0)),
        ("beta", 0.0, {"a": 1.0, "b": 3.0}, stats.beta(1.0, 3.0)),
        ("beta", 1.0, {"a": 3.0, "b": 1.0}, stats.beta(3.0, 1.0)),
    ],
)
def test_density_at_an_end_of_the_support(name, x, params, reference):
    """Where the density tends to a finite limit it has that value there, in one column of several too."""
    model = DensityMLE.from_parameters(name, **params)
    expected = float(reference.logpdf(x))
    assert np.isfinite(expected)
    inside = 0.25
    np.testing.assert_allclose(model.score_samples([[x], [inside]]), [expected, reference.logpdf(inside)], rtol=1e-12)
    both = DensityMLE.from_parameters(name, **{key: [value, value + 0.5] for key, value in params.items()})
    alone = DensityMLE.from_parameters(name, **{key: value + 0.5 for key, value in params.items()})
    found = both.score_samples([[x, inside], [inside, x]])
    np.testing.assert_allclose(found[0], expected + alone.score_samples([[inside]])[0], rtol=1e-12)
    assert found[1] == -np.inf
    higher = DensityMLE.from_parameters(name, **{key: value + 0.5 for key, value in params.items()})
    assert higher.score_samples([[x]])[0] == -np.inf


def test_dirichlet_density_of_an_absent_part():
    model = DensityMLE.from_parameters("dirichlet", concentration=[1.0, 2.5, 1.0])
    for row in ([0.0, 0.4, 0.6], [0.0, 1.0, 0.0]):
        expected = mp.loggamma(4.5) - mp.loggamma(2.5) + 1.5 * mp.log(row[1])
        np.testing.assert_allclose(model.score_samples([row]), [float(expected)], rtol=1e-12, atol=1e-12)
    assert model.score_samples([[0.4, 0.0, 0.6]])[0] == -np.inf


@pytest.mark.parametrize("name", ["gamma", "student_t", "multivariate_t", "normal", "lomax"])
def test_max_iter_below_one_is_an_error(name):
    model = DensityMLE(name, max_iter=0)
    with pytest.raises(ValueError, match="max_iter has to be a whole number of at least 1"):
        model.fit(np.random.default_rng(0).gamma(2.0, size=(30, 2)))
    assert not hasattr(model, "params_")


@pytest.mark.parametrize("name", ["gamma", "beta"])
def test_score_of_rows_far_below_the_mean(name):
    """The score of a few rows of 1e-17 is the mean of theirs, and not -inf for want of digits near -1."""
    model = DensityMLE(name).fit(np.random.default_rng(0).beta(2.0, 3.0, size=(100, 1)))
    for X in ([[1e-17]], [[1e-17], [1e-17]], [[1e-17], [1e-300]], [[1e-17], [0.5]]):
        np.testing.assert_allclose(model.score(X), model.score_samples(X).mean(), rtol=1e-12)


@pytest.mark.parametrize("inflated", [False, True])
def test_zero_inflated_poisson_of_large_counts(inflated):
    """exp(-800) is 0 in doubles: without zeros among the rows, or with extra ones, the errors are those of the formulas."""
    X = np.random.default_rng(0).poisson(800.0, size=(500, 1)).astype(float)
    if inflated:
        X[:100] = 0.0
    model = DensityMLE("zero_inflated_poisson").fit(X)
    n = 400 if inflated else 500
    np.testing.assert_allclose(model.standard_errors_["rate"], np.sqrt(model.params_["rate"] / n), rtol=1e-10)
    if inflated:
        np.testing.assert_allclose(model.standard_errors_["zero_probability"], [np.sqrt(0.2 * 0.8 / 500)], rtol=1e-10)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize(
    "density",
    [
        DensityMLE("multivariate_normal"),
        DensityMLE(families.MultivariateNormal("diag")),
        DensityMLE("multivariate_t"),
        FactorAnalysisMLE(),
        FactorAnalysisMLE(noise="isotropic"),
        MixtureMLE(1),
    ],
    ids=str,
)
def test_variances_beyond_the_largest_number_are_named(density):
    """Of rows of 1e200 with weights of 1e-300 the sums are numbers, the variances are not."""
    X = np.random.default_rng(0).normal(size=(9, 3)) * 1e200
    with pytest.raises(DegenerateDataError, match="column 0 .*Rescale"):
        density.fit(X, sample_weight=np.full(9, 1e-300))
