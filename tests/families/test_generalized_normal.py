"""The generalized normal distribution: its maxima against searches of other kinds, its limit, and rows that have no maximum."""

import warnings

import mpmath
import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

from fastkl import DegenerateDataError, DensityMLE, SupportError
from fastkl._core.rows import Rows
from fastkl.families import GeneralizedNormal
from fastkl.families.solvers.nearest_powers import best_rows
from fastkl.families.solvers.power_profile import expected_information
from fastkl.families.solvers.roots import uphill


def draws(shape, n, seed=0):
    return stats.gennorm(shape, 3.0, 2.0).rvs(n, random_state=seed)[:, None]


def profile(x, shape, loc):
    """Log-likelihood at the best scale, by scipy's density."""
    scale = (shape * np.mean(np.abs(x - loc) ** shape)) ** (1.0 / shape)
    return float(np.sum(stats.gennorm.logpdf(x, shape, loc, scale)))


@pytest.mark.parametrize("shape", [1.3, 2.0, 5.0])
@pytest.mark.parametrize("seed", range(2))
def test_no_simplex_finds_more_where_the_likelihood_is_smooth(shape, seed):
    x = draws(shape, 120, seed)[:, 0]
    model = DensityMLE("generalized_normal").fit(x[:, None])
    found = [
        optimize.minimize(
            lambda at: -profile(x, np.exp(at[0]), at[1]), [np.log(start), centre], method="Nelder-Mead",
            options={"xatol": 1e-10, "fatol": 1e-11, "maxiter": 400},
        )
        for start in (0.9, shape) for centre in (np.mean(x), np.median(x))
    ]  # fmt: skip
    inside = [-one.fun for one in found if np.exp(one.x[0]) > 0.3]
    assert max(inside) <= model.log_likelihood_ + 1e-7
    assert max(inside) == pytest.approx(model.log_likelihood_, abs=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_at_a_cusp_no_other_row_is_better(seed):
    x = draws(0.6, 60, seed)[:, 0]
    model = DensityMLE("generalized_normal").fit(x[:, None])
    shape, loc = model.params_["shape"][0], model.params_["loc"][0]
    assert loc in x
    near = np.exp(np.linspace(np.log(shape) - 0.1, np.log(shape) + 0.1, 15))
    assert max(profile(x, b, centre) for b in near for centre in x) <= model.log_likelihood_ + 1e-9


def uneven_rows(seed):
    """Rows of which others are best at nearby shapes: skewed, heavy-tailed and rounded ones."""
    rng = np.random.default_rng(seed)
    n = int(rng.choice([10, 20, 40, 100]))
    kinds = (
        rng.gamma(0.5, size=n),
        rng.lognormal(size=n),
        rng.standard_t(1.5, size=n),
        np.round(rng.gamma(2.0, 4.0, n)),
    )
    return kinds[seed % 4]


CUSPED = [np.random.default_rng(43).lognormal(size=50), *(uneven_rows(seed) for seed in (1002102, *range(60)))]


@pytest.mark.parametrize("x", CUSPED)
def test_no_row_has_a_higher_maximum_by_shape(x):
    shapes = np.exp(np.arange(np.log(0.05), 0.1, 0.005))
    distances = np.abs(x[:, None] - np.unique(x))
    scores = []
    for b in shapes:
        scale = (b * np.mean(distances**b, axis=0)) ** (1.0 / b)
        scores.append(np.sum(stats.gennorm.logpdf(distances, b, 0.0, scale), axis=0).max())
    scores = np.array(scores)  # at the best row for each shape
    inner = (scores[1:-1] > scores[:-2]) & (scores[1:-1] > scores[2:]) & (shapes[1:-1] < 1.0)
    highest = np.max(scores[1:-1][inner], initial=-np.inf)
    try:
        found = DensityMLE("generalized_normal").fit(x[:, None]).log_likelihood_
    except DegenerateDataError:
        found = max(np.sum(law.logpdf(x, *law.fit(x))) for law in (stats.laplace, stats.norm))
    assert found >= highest - 1e-9 * abs(highest)


@pytest.mark.parametrize("n", [50, 2000, 40_000])
def test_the_best_row_is_that_of_all_sums(n):
    x = draws(0.5, n)[:, 0]
    w = np.random.default_rng(1).uniform(0.5, 2.0, n)
    rows = Rows(np.ascontiguousarray(x[:, None]), w)
    found = best_rows(rows, [0], np.array([np.median(x)]), np.array([0.5]), rows.sample(1000))[0]
    near = x[np.argsort(np.abs(x - found))[:200]]
    sums = [np.sum(w * np.abs(x - centre) ** 0.5) for centre in near]
    assert np.sum(w * np.abs(x - found) ** 0.5) <= min(sums) * (1.0 + 1e-13)


@pytest.mark.parametrize("start", [-40.0, 3.0, 60.0])
def test_the_best_row_is_found_from_afar(start):
    x = draws(0.7, 20_000)[:, 0]
    rows = Rows(np.ascontiguousarray(x[:, None]))
    found = best_rows(rows, [0], np.array([start]), np.array([0.7]), rows.sample(1000))[0]
    near = x[np.argsort(np.abs(x - np.median(x)))[:1000]]
    sums = [np.sum(np.abs(x - centre) ** 0.7) for centre in near]
    assert np.sum(np.abs(x - found) ** 0.7) <= min(sums) * (1.0 + 1e-13)


@pytest.mark.parametrize("unit", [1e-200, 1e-12, 1e12, 1e200])
def test_no_unit_is_too_small_or_too_large_for_rows_far_from_the_centre(unit):
    x = np.random.default_rng(5).gamma(0.5, size=(1500, 1))
    usual, other = (DensityMLE("generalized_normal").fit(c * x) for c in (1.0, unit))
    assert other.log_likelihood_ == pytest.approx(usual.log_likelihood_ - 1500 * np.log(unit), rel=1e-9)
    assert other.params_["shape"] == pytest.approx(usual.params_["shape"], rel=1e-7)


def test_uniform_rows_are_the_limit():
    X = np.random.default_rng(0).uniform(-1.0, 3.0, size=(500, 2)) * [1.0, 1e9]
    model = DensityMLE("generalized_normal").fit(X)
    assert np.all(np.isinf(model.params_["shape"]))
    uniform = DensityMLE("uniform").fit(X)
    assert model.log_likelihood_ == pytest.approx(uniform.log_likelihood_, rel=1e-13)
    assert model.score(X) == pytest.approx(uniform.score(X), rel=1e-13)
    assert "uniform distribution" in model.boundary_["shape"]
    assert not model.standard_errors_


def test_the_distribution_at_an_infinite_shape():
    model = DensityMLE.from_parameters("generalized_normal", shape=np.inf, loc=1.0, scale=2.0)
    reference = stats.uniform(-1.0, 4.0)
    x = np.array([-2.0, -1.0, 0.5, 1.0, 2.9, 3.0, 4.0])
    np.testing.assert_allclose(np.exp(model.score_samples(x[:, None])), reference.pdf(x), rtol=1e-14)
    np.testing.assert_allclose(model.cdf(x[:, None])[:, 0], reference.cdf(x), atol=1e-15)
    np.testing.assert_allclose(model.sf(x[:, None])[:, 0], reference.sf(x), atol=1e-15)
    p = np.array([0.0, 0.25, 0.5, 1.0])
    np.testing.assert_allclose(model.quantile(p)[:, 0], reference.ppf(p), rtol=1e-14)
    assert model.entropy() == pytest.approx(np.log(4.0))
    assert model.variance()[0] == pytest.approx(4.0 / 3.0)
    draws = model.sample(2000, random_state=0)
    assert draws.min() >= -1.0
    assert draws.max() <= 3.0
    with pytest.raises(ValueError, match="uniform"):
        model.to_scipy()


@pytest.mark.parametrize("shape", [0.3, 1.0, 3.7, 40.0, 1e5])
def test_draws_follow_it(shape):
    model = DensityMLE.from_parameters("generalized_normal", shape=shape, loc=1.0, scale=2.0)
    x = model.sample(20_000, random_state=1)
    assert stats.kstest(model.cdf(x)[:, 0], "uniform").pvalue > 1e-3


# counts of 0, 1, 2, ... whose searches end at the largest and at the least shape that is looked at: no maximum either
VISITS = [
    166,
    82,
    61,
    53,
    36,
    29,
    11,
    13,
    12,
    7,
    6,
    4,
    4,
    1,
    1,
    0,
    0,
    2,
    2,
    0,
    4,
    0,
    1,
    1,
    *[0] * 5,
    1,
    0,
    1,
    1,
    0,
    0,
    1,
]
GREYS = [238, 36, 36, 34, 32, 32, 17, 15, 19, 6, 7, 9, 7, 5, 3, 2, 2]


@pytest.mark.parametrize(
    ("x", "why"),
    [
        ([0.0] * 30 + list(range(40)), "equal"),
        ([0.0, 1.0, 1.1, 5.0], "few"),
        (np.repeat(np.arange(36.0), VISITS), "equal"),
        (np.repeat(np.arange(17.0), GREYS), "equal"),
    ],
)
def test_rows_without_a_maximum_are_refused(x, why):
    with pytest.raises(DegenerateDataError, match=why):
        DensityMLE("generalized_normal").fit(np.array(x, dtype=float)[:, None])
    with pytest.raises(DegenerateDataError) as named:
        DensityMLE("generalized_normal").fit(pd.DataFrame({"height": np.array(x, dtype=float)}))
    assert str(named.value).count("'height'") == 1
    held = DensityMLE(GeneralizedNormal(shape=1.5)).fit(np.array(x, dtype=float)[:, None])
    assert held.converged_


@pytest.mark.parametrize("df", [0.5, 3.0, 30.0])
def test_never_below_its_members(df):
    """There may be two maxima near shape 1, one with loc at a row; or only ones that are lower than a normal distribution."""
    n_fits = 0
    for seed in range(60):
        X = np.random.default_rng(seed).standard_t(df, size=40)[:, None]
        members = [DensityMLE(name).fit(X).log_likelihood_ for name in ("laplace", "normal", "uniform")]
        try:
            model = DensityMLE("generalized_normal").fit(X)
        except DegenerateDataError:
            continue
        assert model.log_likelihood_ >= max(members) - 1e-9
        n_fits += 1
    assert n_fits > 40 or df < 1.0  # whose tails mostly leave no maximum


def test_shapes_that_are_held():
    X = draws(1.0, 300)
    held = DensityMLE(GeneralizedNormal(shape=1.0)).fit(X)
    assert held.log_likelihood_ == pytest.approx(DensityMLE("laplace").fit(X).log_likelihood_, rel=1e-13)
    held = DensityMLE(GeneralizedNormal(shape=2.0)).fit(X)
    assert held.log_likelihood_ == pytest.approx(DensityMLE("normal").fit(X).log_likelihood_, rel=1e-13)
    held = DensityMLE(GeneralizedNormal(shape=np.inf)).fit(X)
    assert held.log_likelihood_ == pytest.approx(DensityMLE("uniform").fit(X).log_likelihood_, rel=1e-13)
    with pytest.raises(SupportError, match=r"half-length 1;.*column 0 goes from"):
        DensityMLE(GeneralizedNormal(shape=np.inf, scale=1.0)).fit(X)


@pytest.mark.parametrize("held", [{"scale": 2.0}, {"loc": 2.5}, {"loc": 2.5, "scale": 2.0}, {"shape": 0.7}])
def test_a_free_fit_is_not_below_one_with_parameters_held(held):
    X = draws(1.5, 400)
    free = DensityMLE("generalized_normal").fit(X)
    model = DensityMLE(GeneralizedNormal(**held)).fit(X)
    assert model.log_likelihood_ <= free.log_likelihood_ + 1e-9
    assert all(model.params_[name][0] == value for name, value in held.items())
    again = sum(model.score_samples(X))
    assert again == pytest.approx(model.log_likelihood_, rel=1e-12)


@pytest.mark.parametrize("shape", [0.7, 1.5, 2.0, 8.0])
def test_the_expected_information_is_the_covariance_of_the_scores(shape):
    mp = mpmath
    b = mp.mpf(shape)
    density = lambda z: mp.exp(-(abs(z) ** b)) / (2 * mp.gamma(1 + 1 / b))  # noqa: E731
    scores = [
        lambda z: mp.digamma(1 + 1 / b) / b - b * abs(z) ** b * mp.log(abs(z)),  # by log shape
        lambda z: b * mp.sign(z) * abs(z) ** (b - 1),  # by loc in units of the scale
        lambda z: b * abs(z) ** b - 1,  # by log scale
    ]
    ends = [0, mp.mpf(1) / 1000, 1, 3, mp.mpf(60) ** (1 / b) + 3]
    found = expected_information(np.array([shape]))[0]
    for i in range(3):
        for j in range(3):
            if (i == 1) != (j == 1):
                assert found[i, j] == 0.0  # odd against even
                continue
            value = 2 * mp.quad(lambda z, i=i, j=j: scores[i](z) * scores[j](z) * density(z), ends)
            assert found[i, j] == pytest.approx(float(value), rel=2e-4 if shape < 1 else 1e-7)


def test_weights_are_repetitions_and_float32_is_close():
    X = draws(0.8, 300)
    w = np.random.default_rng(0).integers(0, 3, 300)
    model = DensityMLE("generalized_normal").fit(X, sample_weight=w)
    repeated = DensityMLE("generalized_normal").fit(np.repeat(X, w, axis=0))
    for name, value in model.params_.items():
        np.testing.assert_allclose(repeated.params_[name], value, rtol=1e-9)
    single = DensityMLE("generalized_normal").fit(X.astype(np.float32))
    whole = DensityMLE("generalized_normal").fit(X)
    assert single.log_likelihood_ == pytest.approx(whole.log_likelihood_, rel=1e-5)


def test_batches_and_memory_agree():
    X = np.concatenate([draws(0.7, 25_000), draws(3.0, 25_000, 1)], axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole = DensityMLE("generalized_normal").fit(X)
        streamed = DensityMLE("generalized_normal").fit_batches([X[:20_000], X[20_000:]])
    for name, value in whole.params_.items():
        np.testing.assert_allclose(streamed.params_[name], value, rtol=1e-8)


def test_uphill_goes_to_a_jump_and_to_an_end():
    slope = lambda x: np.where(x < 0.3, 1.0, -2.0)  # noqa: E731
    start, step, resolution = np.array([0.9]), np.array([0.01]), np.array([1e-14])
    assert uphill(slope, start, step, np.array([-1.0]), np.array([1.0]), resolution)[0] == pytest.approx(0.3, abs=1e-13)
    up = uphill(lambda x: np.ones_like(x), start, step, np.array([-1.0]), np.array([1.0]), resolution)
    assert up[0] == 1.0
    cubic = uphill(lambda x: 8.0 - x**3, np.array([0.1, 5.0]), np.array([0.1, 0.1]), np.array([0.0, 0.0]),
                   np.array([9.0, 9.0]), np.array([1e-14, 1e-14]))  # fmt: skip
    np.testing.assert_allclose(cubic, 2.0, rtol=1e-13)


def test_rows_beyond_the_ends_of_infinite_shape_have_no_slope():
    density = DensityMLE.from_parameters("generalized_normal", shape=np.inf, loc=0.0, scale=2.0)
    value, gradient = density.score_and_gradient([[1.0], [3.0]])
    assert value == -np.inf
    assert {name: float(slope[0]) for name, slope in gradient.items()} == {"shape": 0.0, "loc": 0.0, "scale": -0.5}
