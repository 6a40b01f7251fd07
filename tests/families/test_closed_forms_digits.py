"""Closed-form divergences at parameters where the textbook's formula loses every digit, against it in many digits."""

import itertools

import mpmath as mp
import numpy as np
import pytest
from scipy import stats

from fastkl import DensityMLE, families, kl_divergence
from fastkl.families import closed_form


def distribution(family, **parameters):
    return DensityMLE.from_parameters(family, **parameters)


def gamma_kl(a, s, b, t):
    with mp.workdps(80):
        a, s, b, t = map(mp.mpf, (a, s, b, t))
        return float((a - b) * mp.psi(0, a) - mp.loggamma(a) + mp.loggamma(b) + b * mp.log(t / s) + a * (s - t) / t)


def dirichlet_kl(a, b):
    with mp.workdps(80):
        a, b = ([mp.mpf(float(x)) for x in c] for c in (a, b))
        log_beta = [mp.fsum(map(mp.loggamma, c)) - mp.loggamma(mp.fsum(c)) for c in (a, b)]
        psi = mp.psi(0, mp.fsum(a))
        return float(
            log_beta[1] - log_beta[0] + mp.fsum((x - y) * (mp.psi(0, x) - psi) for x, y in zip(a, b, strict=True))
        )


SHAPES = [(k, k + np.sqrt(k)) for k in (1e8, 1e12, 1e14, 1e15)] + [
    (1e8, 1e8 + 1), (3.0, 3.0 * (1 + 1e-7)), (0.01, 0.012), (1e-5, 3.0), (2.0, 1e5), (0.3, 0.1), (1.0, 1.5), (1.0, 1.501),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b"), SHAPES)
@pytest.mark.parametrize("scales", [(1.0, 1.0), (2.0, 2.0 * (1 + 1e-9)), (1.0, 7.0)])
def test_gamma(a, b, scales):
    s, t = scales
    found = kl_divergence(distribution("gamma", shape=a, scale=s), distribution("gamma", shape=b, scale=t))
    assert found == pytest.approx(gamma_kl(a, s, b, t), rel=1e-9)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([1e12, 1e12, 1e12], [1e12 + 1e6, 1e12, 1e12]),
        ([1e12, 1e12, 1e12], [1e12 + 1e6, 1e12 + 1e6, 1e12 + 1e6]),
        ([0.1, 0.2, 3.0], [1.0, 2.0, 0.3]),
        ([2.0, 3.0], [2.0 + 1e-6, 3.0 - 1e-6]),
        ([1e-3, 5.0, 1e9], [2e-3, 5.0, 1e9]),
    ],
)
def test_dirichlet(a, b):
    found = kl_divergence(distribution("dirichlet", concentration=a), distribution("dirichlet", concentration=b))
    assert found == pytest.approx(dirichlet_kl(a, b), rel=1e-6)


def test_beyond_the_squares():
    def kl(family, *pairs):
        return kl_divergence(*(distribution(family, loc=loc, scale=scale) for loc, scale in pairs))

    assert kl("cauchy", (0.0, 1.0), (1e200, 1.0)) == pytest.approx(float(400 * mp.log(10) - mp.log(4)), rel=1e-14)
    assert kl("cauchy", (0.0, 1e-200), (0.0, 1e200)) == pytest.approx(float(400 * mp.log(10) - mp.log(4)), rel=1e-14)
    assert kl("cauchy", (0.0, 1.0), (1e-9, 1.0)) == pytest.approx(2.5e-19, rel=1e-12)
    assert kl("normal", (0.0, 1e300), (0.0, 1e-300)) == np.inf
    assert kl("normal", (0.0, 1e-300), (0.0, 1e300)) == pytest.approx(float(600 * mp.log(10)) - 0.5, rel=1e-14)
    assert kl("normal", (0.0, 1.0), (0.0, 1.0 + 1e-9)) == pytest.approx(1e-18, rel=1e-6)


def test_lognormal_is_as_good_as_normal():
    p, q = (distribution("lognormal", meanlog=0.0, sdlog=sdlog) for sdlog in (1.0, 1.0 + 1e-9))
    assert kl_divergence(p, q) == pytest.approx(1e-18, rel=1e-6)


@pytest.mark.parametrize("family", ["gamma", "normal", "cauchy"])
def test_nothing_is_between_equal_distributions(family):
    one = distribution(family, **{"gamma": {"shape": 2.3, "scale": 0.7}}.get(family, {"loc": 2.3, "scale": 0.7}))
    assert kl_divergence(one, one) == 0.0


def test_gamma_against_an_integral():
    p, q = stats.gamma(2.0), stats.gamma(3.0, scale=2.0)
    by_integral = p.expect(lambda x: p.logpdf(x) - q.logpdf(x))
    found = kl_divergence(distribution("gamma", shape=2.0, scale=1.0), distribution("gamma", shape=3.0, scale=2.0))
    assert found == pytest.approx(by_integral, rel=1e-8)


def test_divergences_beyond_the_range_of_numbers():
    """Of geometric distributions of 1e-310 and 1/2 it is 6.9e309, of multinomial rows with other totals it is infinite."""
    geometric, multinomial = families.Geometric(), families.Multinomial
    tiny, half = ({"probability": np.array([p])} for p in (1e-310, 0.5))
    assert closed_form.kl(geometric, tiny, geometric, half) == np.inf
    even = {"probabilities": np.array([0.5, 0.5])}
    uneven = {"probabilities": np.array([0.3, 0.7])}
    assert closed_form.kl(multinomial(n_trials=4), even, multinomial(n_trials=2), even) == np.inf
    assert closed_form.kl(multinomial(n_trials=0), even, multinomial(n_trials=0), uneven) == 0.0
    exponential = families.Exponential()
    wide, narrow = {"scale": np.array([1e300])}, {"scale": np.array([1e-300])}
    assert closed_form.kl(exponential, wide, exponential, narrow) == np.inf


SIZES = (1e-300, 1e-8, 1.0, 1e8, 1e300)


@pytest.mark.parametrize(
    "name", ["exponential", "gamma", "inverse_gamma", "weibull", "pareto", "lognormal", "rayleigh"]
)
def test_no_closed_form_is_nan(name):
    """At any sizes: what a form does not know it leaves to other routes."""
    family = families.by_name(name)()
    laws = [
        {key: np.array([value]) for key, value in zip(family.parameter_names, values, strict=True)}
        for values in itertools.product(SIZES, repeat=len(family.parameter_names))
    ]
    for p, q in itertools.product(laws, laws):
        value = closed_form.kl(family, p, family, q)
        assert value is None or value >= 0.0


@pytest.mark.parametrize("unit", [1.0, 1e-30])
def test_ratios_of_scales_below_the_range_of_numbers(unit):
    """KL with r = 1e-320 or 0: what is left of r - 1 - log r and its kin is their logarithm, which is an ordinary number."""
    least, most = 1e-180 * unit, 1e160
    log_r = float(mp.log(mp.mpf(most)) - mp.log(mp.mpf(least)))
    for family, fixed, truth in (
        ("exponential", {}, log_r - 1.0),
        ("half_normal", {}, log_r - 0.5),
        ("rayleigh", {}, 2.0 * log_r - 1.0),
        ("laplace", {"loc": 0.0}, log_r - 1.0),
        ("gumbel", {"loc": 0.0}, log_r - np.euler_gamma),
        ("weibull", {"shape": 2.0}, 2.0 * log_r - 1.0),
    ):
        p, q = (distribution(family, **fixed, scale=scale) for scale in (least, most))
        assert kl_divergence(p, q) == pytest.approx(truth, rel=1e-12), family
    p, q = (distribution("poisson", rate=rate) for rate in (1e200, 1e-200))
    assert kl_divergence(p, q) == pytest.approx(1e200 * (float(400 * mp.log(10)) - 1.0), rel=1e-12)


@pytest.mark.parametrize(
    ("size", "mean", "other"),
    [
        (1e-5, 2e7, 2.1e7),
        (2e-4, 8e4, 1e3),
        (0.4, 0.1, 9e7),
        (1e30, 1e14, 2e14),
        (3.0, 2.0, 2.0 * (1 + 1e-9)),
        (2.0, 0.0, 3.0),
    ],
)
def test_negative_binomial_of_equal_sizes(size, mean, other):
    with mp.workdps(80):
        r, m, n = map(mp.mpf, (size, mean, other))
        truth = (m * mp.log(m / n) if m else 0) + (r + m) * (mp.log(r + n) - mp.log(r + m))
    p, q = (distribution("negative_binomial", size=size, mean=one) for one in (mean, other))
    assert kl_divergence(p, q) == pytest.approx(float(truth), rel=1e-9)
