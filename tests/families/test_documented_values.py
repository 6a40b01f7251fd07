"""The numbers in the examples of the families' docstrings, against closed forms, scipy's fits and scipy's densities.

Nothing here calls fastkl but for the text of its documentation: the examples themselves run as doctests.
"""

import doctest
import re

import numpy as np
import pytest
from scipy import optimize, special, stats
from sklearn.datasets import load_iris

from fastkl import families

NUMBER = re.compile(r"-?\d+\.\d*")
LOGS = [0.0, 1.0, 2.0]
MITES = np.repeat(np.arange(8), [70, 38, 17, 10, 9, 3, 2, 1])
COUNTS = np.repeat([0, 1, 2, 3, 4], [60, 10, 15, 10, 5])


def numbers_in_the_example(name):
    """Every decimal number that the docstring says the example prints."""
    parts = doctest.DocTestParser().parse(families.by_name(name).__doc__)
    return [float(v) for part in parts if isinstance(part, doctest.Example) for v in NUMBER.findall(part.want)]


def maximum(log_likelihood, start):
    """Parameters at the maximum, by a simplex over them; they have to be positive."""
    options = {"xatol": 1e-9, "fatol": 1e-10, "maxiter": 5000, "maxfev": 5000}
    found = optimize.minimize(
        lambda p: -log_likelihood(*p) if np.all(p > 0.0) else np.inf, start, method="Nelder-Mead", options=options
    )
    assert found.success
    return list(found.x)


def burr12():
    x = stats.burr12.rvs(2.0, 1.5, scale=3.0, size=(20000, 1), random_state=0)
    return maximum(lambda c, d, s: stats.burr12.logpdf(x, c, d, scale=s).sum(), [2.0, 1.5, 3.0])


def dirichlet():
    logs = np.log(np.random.default_rng(0).dirichlet([2.0, 3.0, 5.0], size=4000)).mean(axis=0)
    return optimize.root(lambda a: special.digamma(a) - special.digamma(a.sum()) - logs, [2.0, 3.0, 5.0]).x


def lomax():
    x = 2.0 * np.random.default_rng(0).pareto(3.0, size=5000)
    return maximum(lambda a, s: stats.lomax.logpdf(x, a, scale=s).sum(), [3.0, 2.0])


def multivariate_t():
    """For every df the location and the matrix by the fixed-point iteration; over df by Brent's method."""
    X = load_iris().data[:50]

    def highest(df):
        loc, scale = X.mean(axis=0), np.cov(X.T, bias=True)
        for _ in range(300):
            distance = np.einsum("ij,ij->i", X - loc, np.linalg.solve(scale, (X - loc).T).T)
            w = (df + 4.0) / (df + distance)
            loc = w @ X / w.sum()
            scale = (w[:, None] * (X - loc)).T @ (X - loc) / len(X)
        return stats.multivariate_t.logpdf(X, loc, scale, df).sum()

    found = optimize.minimize_scalar(
        lambda df: -highest(df), bounds=(3.0, 50.0), method="bounded", options={"xatol": 1e-6}
    )
    return [found.x, -found.fun]


def negative_binomial():
    mean = MITES.mean()
    size = maximum(lambda r: stats.nbinom.logpmf(MITES, r, r / (r + mean)).sum(), [1.0])[0]
    return [size, mean]


def student_t():
    x = np.random.default_rng(0).standard_t(3.0, size=5000)
    df = maximum(lambda v, m, s: stats.t.logpdf(x, v, m - 10.0, s).sum(), [3.0, 10.0, 1.0])[0]
    few = np.array([0.0, 1.0, 2.0, 50.0])
    return [df, maximum(lambda m, s: stats.t.logpdf(few, 4.0, m, s).sum(), [5.0, 10.0])[0]]


def zero_inflated_poisson():
    def log_likelihood(q, rate):
        return np.log(np.where(COUNTS == 0, q, 0.0) + (1.0 - q) * stats.poisson.pmf(COUNTS, rate)).sum()

    return maximum(log_likelihood, [0.5, 2.0])


def weibull():
    shape, _, scale = stats.weibull_min.fit([1.0, 2.0, 4.0], floc=0)
    return [shape, scale]


def mean_direction(length):
    return optimize.brentq(lambda k: special.i1e(k) / special.i0e(k) - length, 1e-3, 100.0)


# by family: the numbers in the order of the example's output, and to how many decimals it gives them
EXPECTED = {
    "bernoulli": (lambda: [0.6, 6 * np.log(0.6) + 4 * np.log(0.4)], 6),
    "beta": (lambda: stats.beta.fit(np.random.default_rng(0).beta(2.0, 5.0, size=5000), floc=0, fscale=1)[:2], 2),
    "burr12": (burr12, 1),
    "categorical": (lambda: [0.6, 0.4], 6),
    "cauchy": (lambda: [0.0, np.sqrt(4.0 / 3.0)], 6),
    "dirichlet": (dirichlet, 2),
    "exponential": (lambda: [1.5], 6),
    "gamma": (
        lambda: np.array(stats.gamma.fit(np.random.default_rng(0).gamma(3.0, 2.0, size=5000), floc=0))[[0, 2]],
        2,
    ),
    "geometric": (lambda: [3.0 / 8.0], 6),
    "gumbel": (lambda: stats.gumbel_r.fit([0.0, 1.0, 3.0]), 6),
    "half_normal": (lambda: [5.0], 6),
    "inverse_gaussian": (lambda: [7.0 / 3.0, 1.0 / (1.75 / 3.0 - 3.0 / 7.0)], 6),
    "laplace": (lambda: [2.0, 3.0], 6),
    "logistic": (lambda: maximum(lambda m, s: stats.logistic.logpdf(LOGS, m, s).sum(), [1.0, 0.5]), 6),
    "loglogistic": (
        lambda: [1.0 / maximum(lambda m, s: stats.logistic.logpdf(LOGS, m, s).sum(), [1.0, 0.5])[1], np.e],
        6,
    ),
    "lognormal": (lambda: [4.0 / 3.0, np.sqrt(14.0) / 3.0], 6),
    "lomax": (lomax, 2),
    "multinomial": (lambda: [0.5, 0.3, 0.2], 6),
    "multivariate_normal": (lambda: [2.0 / 3.0, 2.0], 4),
    "multivariate_t": (multivariate_t, 4),
    "negative_binomial": (negative_binomial, 4),
    "normal": (lambda: [4.0 / 3.0, np.sqrt(14.0) / 3.0], 6),
    "pareto": (lambda: [1.0, np.e], 6),
    "poisson": (lambda: [1.0 / 3.0, -1.0 - np.log(3.0)], 6),
    "rayleigh": (lambda: [np.sqrt(50.0)], 6),
    "student_t": (student_t, 2),
    "uniform": (lambda: [2.0, 5.0, -np.log(3.0)], 6),
    "von_mises": (lambda: [1.5, mean_direction((1.0 + 2.0 * np.cos(0.5)) / 3.0)], 4),
    "von_mises_fisher": (lambda: [1.0, 0.0, mean_direction(0.6)], 6),
    "weibull": (weibull, 4),
    "zero_inflated_poisson": (zero_inflated_poisson, 4),
}


def test_every_family_is_here():
    assert sorted(EXPECTED) == sorted(families.names())


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_documented_values(name):
    reference, decimals = EXPECTED[name]
    documented, expected = numbers_in_the_example(name), list(reference())
    assert len(documented) == len(expected)
    np.testing.assert_allclose(documented, expected, rtol=0.0, atol=0.51 * 10.0**-decimals + 1e-7)
