"""Continuous univariate families against a general optimiser and numerical integration; their limits and their errors."""

from itertools import pairwise

import mpmath
import numpy as np
import pytest
from scipy import integrate, optimize, stats

from fastkl import DensityMLE, families
from fastkl.exceptions import DegenerateDataError, SupportError
from fastkl.families import closed_form
from fastkl.families.matrices import inverses
from tests.families.discovered import CLASSES, CONTINUOUS, ITERATIVE, LOCATED, UNIVARIATE


def textbook_log_likelihood(cls, X, w, params):
    """The weighted sum of the textbook's log-densities in plain doubles; -inf for parameters that the family refuses."""
    try:
        params = cls().check_parameters(params)
    except ValueError:
        return -np.inf
    numbers = {key: float(value[0]) for key, value in params.items()}
    if any(space.irregular for space in cls.parameters.values()):
        low, high = cls().quantile(np.array([[0.0], [1.0]]), params)[:, 0]
        if X.min() < low or X.max() > high:
            return -np.inf
    return sum(w * cls.textbook(mpmath.fp, float(x), **numbers) for x, w in zip(X[:, 0], w, strict=True))


@pytest.mark.parametrize("name", UNIVARIATE)
def test_maximum_against_a_general_optimiser(name):
    """Every set of free parameters: no simplex search over the textbook's likelihood from nearby gets any higher."""
    cls = families.by_name(name)
    truth = {key: value[0] for key, value in cls.example.items()}
    X = DensityMLE.from_parameters(name, **truth).sample(60, random_state=11)
    w = np.random.default_rng(0).uniform(0.2, 3.0, 60)
    free_fit = DensityMLE(name).fit(X, sample_weight=w)
    for held in [(), *((key,) for key in truth)]:
        # an end of the support can be held only where it leaves all rows inside: at its maximum
        fixed = {key: free_fit.params_[key] if cls.parameters[key].irregular else truth[key] for key in held}
        model = DensityMLE(cls(**fixed)).fit(X, sample_weight=w)
        np.testing.assert_allclose(
            textbook_log_likelihood(cls, X, w, model.params_), model.log_likelihood_, rtol=1e-11, atol=1e-9
        )
        free = [key for key in truth if key not in held and not cls.parameters[key].irregular]
        start = np.array([model.params_[key][0] for key in free])

        def loss(values, model=model, free=free):
            moved = {key: value[0] for key, value in model.params_.items()} | dict(zip(free, values, strict=False))
            return -textbook_log_likelihood(cls, X, w, moved)

        if len(free):
            simplex = start + np.vstack([np.zeros(len(free)), 0.3 * np.diag(np.maximum(np.abs(start), 0.1))])
            found = optimize.minimize(
                loss, start, method="Nelder-Mead", options={"initial_simplex": simplex, "xatol": 1e-7, "fatol": 1e-11}
            )
            assert -found.fun <= model.log_likelihood_ + 1e-9
            np.testing.assert_allclose(found.x, start, rtol=2e-4, atol=2e-4)


def same_pairs():
    return [name for name, other in closed_form.registered_pairs() if name == other and name in CONTINUOUS]


@pytest.mark.parametrize("name", same_pairs())
def test_closed_form_divergence_by_integration(name):
    family = families.by_name(name)
    p = {key: np.array([value[0]]) for key, value in family.example.items()}
    q = {key: np.array([0.6 * value[0] + 0.4 * value[1]]) for key, value in family.example.items()}
    if np.isinf(closed_form.kl(family(), p, family(), q)):
        p, q = q, p  # the support of one holds that of the other
    first, second = (DensityMLE.from_parameters(name, **distribution) for distribution in (p, q))

    def integrand(u):
        x = family().quantile(u[:, None], p)
        return first.score_samples(x) - second.score_samples(x)

    cuts = [0.0, 1e-9, 1e-6, 1e-3, 0.1, 0.5, 0.9, 1.0 - 1e-3, 1.0 - 1e-6, 1.0 - 1e-9]
    want = sum(integrate.fixed_quad(integrand, a, b, n=200)[0] for a, b in pairwise(cuts))
    got = closed_form.kl(family(), p, family(), q)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-7)
    assert closed_form.kl(family(), p, family(), p) == 0.0
    tiny = {key: value * (1.0 + 1e-9) for key, value in p.items()}
    assert closed_form.kl(family(), p, family(), tiny) >= 0.0


def test_divergence_is_infinite_where_supports_do_not_fit():
    kl = closed_form.kl
    uniform, pareto = families.Uniform(), families.Pareto()
    a, b = {"low": np.array([0.0]), "high": np.array([1.0])}, {"low": np.array([0.1]), "high": np.array([1.0])}
    assert kl(uniform, a, uniform, b) == np.inf
    np.testing.assert_allclose(kl(uniform, b, uniform, a), -np.log(0.9), rtol=1e-15)
    a, b = ({"shape": np.array([2.0]), "scale": np.array([s])} for s in (1.0, 2.0))
    assert kl(pareto, a, pareto, b) == np.inf
    np.testing.assert_allclose(kl(pareto, b, pareto, a), 2.0 * np.log(2.0), rtol=1e-14)


def test_exponential_among_the_gammas():
    e, g = {"scale": np.array([2.0])}, {"shape": np.array([2.0]), "scale": np.array([1.0])}
    gamma, exponential = families.Gamma(), families.Exponential()
    np.testing.assert_allclose(closed_form.kl(gamma, g, exponential, e), 0.115932, atol=5e-7)
    want = integrate.quad(lambda x: np.exp(-x / 2) / 2 * (-x / 2 - np.log(2) - np.log(x) + x), 0, np.inf)[0]
    np.testing.assert_allclose(closed_form.kl(exponential, e, gamma, g), want, rtol=1e-8)


# -- far out ---------------------------------------------------------------------------------------------------------------


def test_angles_of_many_turns():
    x = np.array([[0.3 + 2.0 * np.pi * k] for k in (-3, 1, 1000, 10**5, 10**7)])
    with mpmath.workdps(60):
        loc, concentration = mpmath.mpf(0.25), mpmath.mpf(7.0)
        want = [float(families.VonMises.textbook(mpmath, mpmath.mpf(float(v)), loc, concentration)) for v in x[:, 0]]
    got = DensityMLE.from_parameters("von_mises", loc=0.25, concentration=7.0).score_samples(x)
    # x - loc is rounded: what it loses grows with x
    np.testing.assert_allclose(got, want, atol=1e-13 + 7.0 * np.abs(x[:, 0]).max() * 2e-16)
    np.testing.assert_allclose(got[:3], want[:3], rtol=1e-12)


# -- limits ----------------------------------------------------------------------------------------------------------------


def test_one_column_at_the_limit():
    rng = np.random.default_rng(3)
    X = np.stack([rng.standard_t(2.5, 800), rng.uniform(size=800)], axis=1)
    model = DensityMLE("student_t").fit(X)
    assert np.isfinite(model.params_["df"][0])
    assert np.isinf(model.params_["df"][1])
    assert "column 1" in model.boundary_["df"]
    assert np.isfinite(model.standard_errors_["df"][0])
    assert np.isnan(model.standard_errors_["df"][1])
    assert model.param_names_ == ["df[0]", "loc[0]", "loc[1]", "scale[0]", "scale[1]"]
    assert np.isfinite(model.covariance_of_params_).all()
    alone = DensityMLE("student_t").fit(X[:, :1])
    np.testing.assert_allclose(alone.params_["df"][0], model.params_["df"][0], rtol=1e-9)
    assert model.sample(5, random_state=0).shape == (5, 2)
    gradient = model.gradient(X)
    assert max(np.abs(value).max() for value in gradient.values()) < 1e-10


def test_lomax_ends_at_the_exponential_law():
    X = np.random.default_rng(0).uniform(size=(300, 1))
    model, limit = DensityMLE("lomax").fit(X), DensityMLE("exponential").fit(X)
    assert np.isinf(model.params_["shape"]).all()
    assert list(model.boundary_) == ["shape"]
    assert list(model.standard_errors_) == ["scale"]
    np.testing.assert_allclose(model.params_["scale"], limit.params_["scale"], rtol=1e-14)
    np.testing.assert_allclose(model.log_likelihood_, limit.log_likelihood_, rtol=1e-14)
    np.testing.assert_allclose(model.score_samples(X), limit.score_samples(X), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(model.standard_errors_["scale"], limit.standard_errors_["scale"], rtol=1e-12)
    np.testing.assert_allclose(model.family_.entropy(model.params_), limit.family_.entropy(limit.params_))


def test_burr_ends_at_the_weibull_law():
    X = np.random.default_rng(1).uniform(size=(300, 1))
    model, limit = DensityMLE("burr12").fit(X), DensityMLE("weibull").fit(X)
    assert np.isinf(model.params_["d"]).all()
    assert list(model.boundary_) == ["d"]
    np.testing.assert_allclose(model.log_likelihood_, limit.log_likelihood_, rtol=1e-13)
    np.testing.assert_allclose(model.score_samples(X), limit.score_samples(X), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(model.standard_errors_["c"], limit.standard_errors_["shape"], rtol=1e-8)
    np.testing.assert_allclose(model.family_.entropy(model.params_), limit.family_.entropy(limit.params_))
    np.testing.assert_allclose(model.family_.cdf(X, model.params_), limit.family_.cdf(X, limit.params_), rtol=1e-10)


def test_large_degrees_of_freedom_inside():
    """Tails a hair heavier than normal ones: the maximum is inside, far out."""
    rng = np.random.default_rng(5)
    X = rng.standard_t(60.0, size=(40000, 1))
    model = DensityMLE("student_t").fit(X)
    assert 20.0 < model.params_["df"][0] < 1000.0
    assert model.converged_
    assert not model.boundary_
    assert np.abs(model.gradient(X)["df"][0] * model.params_["df"][0]) < 1e-10


def test_scattered_angles_have_no_direction():
    X = np.array([[0.0], [np.pi]])
    model = DensityMLE("von_mises").fit(X, sample_weight=[1.0, 1.0])
    assert model.params_["concentration"][0] < 1e-8
    np.testing.assert_allclose(model.score_samples(X), -np.log(2.0 * np.pi), rtol=1e-8)
    backwards = DensityMLE(families.VonMises(loc=0.0)).fit([[3.0], [-3.0]])
    assert backwards.params_["concentration"] == 0.0
    assert "concentration" in backwards.boundary_
    assert backwards.standard_errors_ == {}


def test_concentrated_angles():
    """Angles within 1e-6 of each other: the resultant length is 1 to twelve digits, the concentration has all of its own."""
    d = 1e-6 * np.random.default_rng(0).normal(size=1000)
    model = DensityMLE("von_mises").fit((1.0 + d)[:, None])
    d = (1.0 + d) - 1.0
    np.testing.assert_allclose(1.0 / model.params_["concentration"], np.var(d), rtol=1e-6)


# -- large tables, many starts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in ITERATIVE if name in UNIVARIATE])
def test_large_tables_start_from_a_sample(name):
    """Sorted rows, weights and all: the maximum is that of all the rows, and the weights count as repetitions."""
    family = families.by_name(name)
    X = np.sort(DensityMLE.from_parameters(name, **family.example).sample(100_000, random_state=2), axis=0)
    w = np.random.default_rng(0).integers(0, 3, len(X))
    model = DensityMLE(name).fit(X, sample_weight=w)
    assert model.converged_
    if family.smooth:
        assert (
            max(
                np.abs(g * p).max() for g, p in zip(model.gradient(X, w).values(), model.params_.values(), strict=False)
            )
            < 1e-10
        )
    repeated = DensityMLE(name).fit(np.repeat(X, w, axis=0))
    for key, value in model.params_.items():
        np.testing.assert_allclose(repeated.params_[key], value, rtol=1e-10)


def test_the_first_row_outside_is_named_in_a_large_table():
    X = np.random.default_rng(0).weibull(2.0, size=(100_000, 1))
    X[70_001] = X[3] = X[50_003] = -1.0
    with pytest.raises(SupportError, match="row 3, column 0"):
        DensityMLE("weibull").fit(X)
    X[3] = 1.0
    X[6 * 6] = -1.0
    with pytest.raises(SupportError, match="row 36, column 0"):
        DensityMLE("weibull").fit(X)


@pytest.mark.parametrize("n", [1, 2, 5, 1000, 65537, 100_000])
def test_weighted_median(n):
    rng = np.random.default_rng(n)
    x = np.round(rng.normal(size=n), 4)
    assert DensityMLE(families.Laplace(scale=1.0)).fit(x[:, None]).params_["loc"][0] == pytest.approx(
        np.median(x), abs=1e-15
    )
    w = rng.integers(1, 4, n)
    weighted = DensityMLE(families.Laplace(scale=1.0)).fit(x[:, None], sample_weight=w).params_["loc"][0]
    assert weighted == pytest.approx(np.median(np.repeat(x, w)), abs=1e-15)


def test_location_with_scale_fixed_is_the_global_maximum():
    """Three clusters and a small fixed scale: nothing on a fine grid is higher."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(-50.0, 3.0, 30), rng.normal(10.0, 0.05, 12), rng.normal(60.0, 3.0, 20)])
    model = DensityMLE(families.Cauchy(scale=0.1)).fit(x[:, None])
    grid = np.linspace(-80.0, 80.0, 20001)
    heights = [stats.cauchy.logpdf(x, loc, 0.1).sum() for loc in grid[::10]]
    assert model.log_likelihood_ >= max(heights) - 1e-9


# -- what has no maximum ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CONTINUOUS)
@pytest.mark.parametrize("value", [0.3, 0.1])
def test_constant_columns(name, value):
    """There is no maximum, which is said with the column's number, or there is one and it is found."""
    X = np.full((50, 2), value)
    X[:, 0] = DensityMLE.from_parameters(name, **families.by_name(name).example).sample(50, random_state=0)[:, 0]
    model, refusal = None, None
    try:
        model = DensityMLE(name).fit(X)
    except DegenerateDataError as error:
        refusal = error
    if model is None:
        assert "Column 1 is constant" in str(refusal)
        assert refusal.column == 1
        return
    assert model.converged_
    assert np.isfinite(model.log_likelihood_)
    gradient = model.gradient(X)
    for key, error in model.standard_errors_.items():
        inside = np.isfinite(error)
        assert np.abs(gradient[key][inside] * model.params_[key][inside]).max(initial=0.0) < 1e-9


@pytest.mark.parametrize("name", [name for name in CONTINUOUS if CLASSES[name].support[0] == 0.0])
def test_columns_of_zeros(name):
    X = np.zeros((10, 1))
    with pytest.raises(DegenerateDataError, match="Column 0 is 0 in every row"):
        DensityMLE(name).fit(X)


def test_too_many_equal_rows():
    X = np.array([[0.0]] * 30 + [[1.0], [2.0], [-3.0], [0.5]])
    for family in ("cauchy", "student_t", families.StudentT(df=2.0)):
        with pytest.raises(DegenerateDataError, match="too many rows with the same value"):
            DensityMLE(family).fit(X)


def test_fixed_ends_that_miss_the_data():
    with pytest.raises(SupportError, match=r"column 0 holds values from 1 to 5"):
        DensityMLE(families.Uniform(high=4.0)).fit([[1.0], [5.0]])
    with pytest.raises(SupportError, match="column 0 holds"):
        DensityMLE(families.Pareto(scale=2.0)).fit([[1.0], [5.0]])
    with pytest.raises(ValueError, match="low has to be below high"):
        DensityMLE.from_parameters("uniform", low=2.0, high=1.0)


@pytest.mark.parametrize(("name", "factor"), [("rayleigh", 0.5), ("half_normal", 1.0)])
def test_sizes_beyond_the_range_of_squares(name, factor):
    """The squares of 1e300 and of 1e-300 are no numbers, their root mean square is."""
    for X, mean_square, unit in (
        ([1.0, 2.0, 3.0, 1e300], 0.25, 1e300),
        ([1e-300, 2e-300, 3e-300, 1e-300], 3.75, 1e-300),
    ):
        model = DensityMLE(name).fit(np.array(X)[:, None])
        np.testing.assert_allclose(model.params_["scale"], np.sqrt(factor * mean_square) * unit, rtol=1e-14)


def test_outliers_that_heavy_tails_take():
    X = np.concatenate([np.random.default_rng(0).standard_cauchy((200, 1)), [[1e300]]])
    for name in ("logistic", "gumbel"):
        assert np.isfinite(DensityMLE(name).fit(X).log_likelihood_)
    for name in ("cauchy", "student_t"):
        model = DensityMLE(name).fit(X)
        assert model.converged_
        assert abs(model.params_["loc"][0]) < 1.0


@pytest.mark.parametrize("name", LOCATED)
def test_offsets(name):
    """Data about 1e8 fit as well as data about 0; multiples of 2^-10 keep all their digits there."""
    X = (
        np.round(DensityMLE.from_parameters(name, **families.by_name(name).example).sample(500, random_state=0) * 1024)
        / 1024
    )
    model, far = DensityMLE(name).fit(X), DensityMLE(name).fit(X + 1e8)
    assert far.converged_
    np.testing.assert_allclose(far.params_["scale"], model.params_["scale"], rtol=1e-6)
    np.testing.assert_allclose(far.params_["loc"] - 1e8, model.params_["loc"], atol=1e-7)
    np.testing.assert_allclose(far.log_likelihood_, model.log_likelihood_, rtol=1e-10)


@pytest.mark.filterwarnings("error")
def test_inverses_of_what_is_no_information_are_nan():
    matrices = np.array([[[2.0, 1.0], [1.0, 2.0]], [[1e-300, 1e300], [1e300, 1e-300]], [[1.0, np.nan], [np.nan, 1.0]]])
    matrices = np.concatenate([matrices, [[[1e-310, 0.0], [0.0, 1.0]]]])  # of a variance beyond the largest number
    found = inverses(matrices)
    np.testing.assert_allclose(found[0], np.array([[2.0, -1.0], [-1.0, 2.0]]) / 3.0, rtol=1e-15)
    assert np.isnan(found[1:]).all()
