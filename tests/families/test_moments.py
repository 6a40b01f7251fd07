"""Means, variances and modes of every family, against integrals of its quantiles and sums of its probabilities.

An expectation of f(X) is the integral of f(Q(p)) over p; with p = 1 / (1 + exp(-u)) the integrand falls exponentially on both
sides, and Gauss and Legendre's rule on pieces of u, which begin at the median, has all digits. Quantiles and log-densities are
themselves held to 50-digit arithmetic in ``test_textbook``.
"""

import itertools

import numpy as np
import pytest
from scipy import optimize, stats

from fastkl import DensityMLE, MixtureMLE, families
from fastkl._core.special.moments import gamma_spread, log_gamma_rise, tangent_excess
from tests.families.discovered import CLASSES, UNIVARIATE

REACH = 230
NODES, WEIGHTS = np.polynomial.legendre.leggauss(10)
ENDS = np.concatenate(
    [[0.0], 2.0 ** np.arange(-24.0, 0.0), np.arange(1.0, REACH + 1.0)]
)  # a narrow step may lie at the median
ENDS = np.concatenate([-ENDS[:0:-1], ENDS])
U = (ENDS[:-1, None] + 0.5 * np.diff(ENDS)[:, None] * (1.0 + NODES)).ravel()
STEP = (0.5 * np.diff(ENDS)[:, None] * WEIGHTS).ravel()
EPS = np.finfo(float).eps


def cases():
    found = {}
    for name in UNIVARIATE:
        cls = CLASSES[name]
        columns = [{key: value[j] for key, value in cls.example.items()} for j in range(2)]
        for params in [*columns, *cls.extreme]:
            found[f"{name}-{'-'.join(f'{value:g}' for value in params.values())}"] = (cls(), params)
    return found


CASES = cases()


@pytest.fixture(params=CASES)
def case(request):
    family, params = CASES[request.param]
    return family, {name: np.array([float(value)]) for name, value in params.items()}


def integrated(family, params):
    """Mean less the median, the median, and the variance."""
    low, high = 1.0 / (1.0 + np.exp(-U)), 1.0 / (1.0 + np.exp(U))
    weight = low * high * STEP
    x = np.where(
        U < 0.0, family.quantile(low[:, None], params)[:, 0], family.upper_quantile(high[:, None], params)[:, 0]
    )
    median = float(family.quantile(np.array([[0.5]]), params)[0, 0])
    away = x - median
    away[~np.isfinite(away)] = 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        shift, square = np.sum(weight * away), weight * (away - np.sum(weight * away)) ** 2
        # a tail that holds something beyond the last piece is not integrated
        whole = square[-1] < 1e-13 * np.sum(square)
    return float(shift), median, float(np.sum(square)) if whole else np.nan


def summed(family, params):
    """The same of counts, from their probabilities."""
    middle = float(family.quantile(np.array([[0.5]]), params)[0, 0])
    first, last = (float(family.quantile(np.array([[p]]), params)[0, 0]) for p in (1e-40, 0.5))
    last = max(last, float(family.upper_quantile(np.array([[1e-40]]), params)[0, 0])) + 1.0
    k = np.arange(max(first, family.support[0]), last + 1.0)
    density = DensityMLE.from_parameters(family, **params)
    p = np.exp(density.score_samples(k[:, None]))
    shift = float(np.sum(p * (k - middle)))
    return shift, middle, float(np.sum(p * (k - middle - shift) ** 2))


def test_moments(case):
    family, params = case
    found = family.moments(params)
    if found is None:
        return
    mean, variance = (float(value[0]) for value in found)
    if not np.isfinite(mean):
        assert not np.isfinite(variance)
        return
    if family.discrete and family.quantile(np.array([[1.0 - 1e-9]]), params)[0, 0] > 3e6:
        pytest.skip("too many counts to sum")
    shift, median, square = (summed if family.discrete else integrated)(family, params)
    if np.isnan(square):
        pytest.skip("too heavy a tail to integrate")
    spread = np.sqrt(square)
    assert mean - median == pytest.approx(shift, rel=1e-10, abs=1e-10 * spread + 4.0 * EPS * abs(median))
    if np.isfinite(variance):
        # a quantile is rounded to its own size, however narrow the distribution
        rounding = 8.0 * EPS * abs(median) / spread if spread > 0.0 else 0.0
        assert variance == pytest.approx(square, rel=1e-10 + rounding)


@pytest.mark.parametrize(
    ("family", "mean", "variance"),
    [
        (families.StudentT(df=1.0, loc=0.0, scale=1.0), np.nan, np.nan),
        (families.StudentT(df=2.0, loc=0.0, scale=1.0), 0.0, np.inf),
        (families.StudentT(df=np.inf, loc=3.0, scale=2.0), 3.0, 4.0),
        (families.Cauchy(loc=0.0, scale=1.0), np.nan, np.nan),
        (families.Pareto(shape=1.0, scale=2.0), np.inf, np.inf),
        (families.Pareto(shape=2.0, scale=2.0), 4.0, np.inf),
        (families.Lomax(shape=np.inf, scale=2.0), 2.0, 4.0),
        (families.Loglogistic(shape=2.0, scale=1.0), np.pi / 2.0, np.inf),
        (families.Burr12(c=2.0, d=1.0, scale=1.0), np.pi / 2.0, np.inf),
        (families.Burr12(c=1.0, d=np.inf, scale=2.0), 2.0, 4.0),
        (families.NegativeBinomial(size=np.inf, mean=3.0), 3.0, 3.0),
        (families.VonMises(loc=1.0, concentration=0.0), 1.0, np.pi**2 / 3.0),
    ],
    ids=repr,
)
def test_limits(family, mean, variance):
    params = family.check_parameters({})
    found = [float(value[0]) for value in family.moments(params)]
    np.testing.assert_allclose(found, [mean, variance], rtol=1e-14)


def test_modes(case):
    """No place of a dense grid, and none beside it, has a higher density."""
    family, params = case
    known = family.mode(params)
    if known is None or np.isnan(known[0]):
        return
    mode = float(known[0])
    p = np.linspace(0.001, 0.999, 999)[:, None]
    grid = family.quantile(p, params)[:, 0]
    spread = float(np.subtract(*family.quantile(np.array([[0.75], [0.25]]), params)[:, 0]))
    beside = mode + np.outer([-1.0, 1.0], [1e-3, 1e-2]).ravel() * spread
    if family.discrete:
        beside = mode + np.array([-1.0, 1.0])
    density = DensityMLE.from_parameters(family, **params)
    first, last, _ = family.support
    # an end of the support that does not belong to it: the value next to it
    here = density.score_samples(np.array([[np.clip(mode, first, last)]]))[0]
    others = np.concatenate([grid, beside])
    scores = density.score_samples(others[np.isfinite(others), None])
    assert scores.max() <= here + 1e-9 * max(1.0, abs(here))
    if family.discrete:
        assert density.score_samples([[mode - 1.0]])[0] < here - 1e-15


def test_a_second_difference_of_log_gamma_keeps_its_digits():
    mp = pytest.importorskip("mpmath")
    with mp.workdps(60):
        for z in (0.01, 0.7, 1.0, 3.3, 250.0, 1e6):
            for share in (1e-9, 1e-4, 0.05, 0.0999, 0.1001, 0.5, 0.999):
                h = z * share
                exact = mp.loggamma(mp.mpf(z) + h) - 2 * mp.loggamma(mp.mpf(z)) + mp.loggamma(mp.mpf(z) - h)
                tolerance = 1e-12 if share < 0.1 or z < 300.0 else 1e-9
                assert float(gamma_spread(z, h)) == pytest.approx(float(exact), rel=tolerance)
                rise = mp.loggamma(mp.mpf(z) + h) - mp.loggamma(mp.mpf(z))
                assert float(log_gamma_rise(z, h)) == pytest.approx(float(rise), rel=tolerance)
        for t in (1e-8, 1e-3, 0.1499, 0.1501, 1.0, 1.57):
            assert float(tangent_excess(t)) == pytest.approx(float(mp.tan(mp.mpf(t)) - mp.mpf(t)), rel=1e-12)


@pytest.mark.parametrize("seed", range(12))
def test_the_mode_of_normal_mixtures_is_the_highest(seed):
    """No search of scipy from the means and from draws ends higher; components of several columns may cross."""
    rng = np.random.default_rng(seed)
    d, k = 1 + seed % 3, 2 + seed % 4
    roots = rng.normal(size=(k, d, d))
    mean, covariance = 1.5 * rng.normal(size=(k, d)), roots @ roots.transpose(0, 2, 1) + 0.05 * np.eye(d)
    weights = rng.dirichlet(np.ones(k))
    mixture = MixtureMLE.from_parameters(weights=weights, mean=mean, covariance=covariance)

    def lost(x):
        parts = [w * stats.multivariate_normal(m, c).pdf(x) for w, m, c in zip(weights, mean, covariance, strict=True)]
        return -np.log(np.sum(parts))

    options = {"xatol": 1e-8, "fatol": 1e-11}
    starts = np.concatenate([mean, mixture.sample(6, random_state=seed)])
    best = min(optimize.minimize(lost, start, method="Nelder-Mead", options=options).fun for start in starts)
    assert lost(mixture.mode()) <= best + 1e-10


def test_the_mode_where_two_long_components_cross():
    """Near neither mean, but where both are as high and (x + 1) / 4 + x / 0.01 = 0; units of columns move it along."""
    mean, long, wide = np.array([[-1.0, 0.0], [0.0, 1.0]]), np.diag([4.0, 0.01]), np.diag([0.01, 4.0])
    for unit in (np.array([1.0, 1.0]), np.array([1e7, 1e-6])):
        covariance = np.array([long, wide]) * np.outer(unit, unit)
        mixture = MixtureMLE.from_parameters(weights=[0.5, 0.5], mean=mean * unit, covariance=covariance)
        np.testing.assert_allclose(mixture.mode() / unit, [-0.25 / 100.25, 0.25 / 100.25], rtol=1e-6)
    with pytest.raises(AttributeError, match="mode of the mixture family is not known"):
        MixtureMLE.from_parameters("gamma", weights=[0.5, 0.5], shape=[[2.0], [3.0]], scale=[[1.0], [1.0]]).mode()


def test_modes_of_multinomial_rows_are_the_most_probable_ones():
    rng = np.random.default_rng(0)
    for _ in range(60):
        d, n = int(rng.integers(2, 4)), int(rng.integers(1, 9))
        shares = np.arange(1.0, d + 1.0) if rng.random() < 0.3 else rng.dirichlet(np.ones(d))
        shares /= shares.sum()
        law = stats.multinomial(n, shares)
        best = max(law.logpmf(row) for row in itertools.product(range(n + 1), repeat=d) if sum(row) == n)
        mode = DensityMLE.from_parameters("multinomial", probabilities=shares, n_trials=n).mode()
        assert law.logpmf(mode) == pytest.approx(best, abs=1e-12)
    many = DensityMLE.from_parameters("multinomial", probabilities=[0.5, 0.25, 0.25], n_trials=10**15).mode()
    assert many.sum() == 10.0**15
    for family in ("multinomial", "dirichlet_multinomial"):
        params = {} if family == "multinomial" else {"concentration": 2.0, "n_trials": 3}
        with pytest.raises(AttributeError, match="known"):
            DensityMLE.from_parameters(family, probabilities=[0.5, 0.5], **params).mode()
