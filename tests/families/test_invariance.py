"""A fit does not depend on the order of rows, on n_jobs, on a common factor of the weights or on the unit: on hard data too."""

import numpy as np
import pytest

from fastkl import DegenerateDataError, DensityMLE, families

LINE = ("normal", "student_t", "cauchy", "laplace", "logistic", "gumbel")
POSITIVE = (
    "gamma",
    "weibull",
    "loglogistic",
    "lomax",
    "burr12",
    "lognormal",
    "inverse_gaussian",
    "exponential",
    "pareto",
)
COUNTS = ("poisson", "negative_binomial", "zero_inflated_poisson")
PLANE = ("multivariate_normal", "multivariate_t")


def two_groups(generator):
    return np.r_[generator.normal(size=(60, 1)), 40.0 + 0.5 * generator.normal(size=(59, 1))]


def half_tied(generator):
    return np.r_[generator.normal(size=(62, 1)), np.full((57, 1), 0.25)]


def rows_of(name, kind):
    generator = np.random.default_rng(7)
    x = {"two groups": two_groups, "half tied": half_tied}[kind](generator)
    if name in POSITIVE:
        x = np.exp(0.1 * x)
    if name in COUNTS:
        x = np.round(np.abs(x))
    if name in PLANE:
        x = np.c_[x, 0.3 * x + generator.normal(size=x.shape)]
    return x


def fitted(name, X, w=None, n_jobs=1):
    try:
        model = DensityMLE(name, n_jobs=n_jobs).fit(X, sample_weight=w)
    except DegenerateDataError:
        return None
    return model


def same(first, second, per_unit=0.0, factor=1.0, rtol=1e-7):
    """The same log-likelihood, up to a factor of the weights and the change of unit, and the same parameters."""
    assert (first is None) == (second is None)
    if first is None:
        return
    np.testing.assert_allclose(second.log_likelihood_ / factor, first.log_likelihood_ + per_unit, rtol=1e-9, atol=1e-9)
    assert first.converged_ == second.converged_
    assert set(first.boundary_) == set(second.boundary_)
    for name, value in first.params_.items():
        if per_unit == 0.0:
            np.testing.assert_allclose(second.params_[name], value, rtol=rtol, atol=1e-9)


@pytest.mark.parametrize("kind", ["two groups", "half tied"])
@pytest.mark.parametrize("name", [*LINE, *POSITIVE, *COUNTS, *PLANE])
def test_order_threads_and_weights(name, kind):
    X = rows_of(name, kind)
    base = fitted(name, X)
    generator = np.random.default_rng(0)
    for _ in range(2):
        same(base, fitted(name, generator.permutation(X)))
    same(base, fitted(name, X[::-1], n_jobs=2))
    w = generator.integers(1, 4, len(X)).astype(float)
    weighted = fitted(name, X, w)
    for factor in (1e-300, 1e-162, 1e100, 1e300):
        same(weighted, fitted(name, X, w * factor), factor=factor)


@pytest.mark.parametrize("kind", ["two groups", "half tied"])
@pytest.mark.parametrize("name", [*LINE, *POSITIVE, *PLANE])
def test_units(name, kind):
    X = rows_of(name, kind)
    base, d = fitted(name, X), X.shape[1]
    for factor in (1e-100, 1e-3, 1e100):
        moved = fitted(name, X * factor)
        same(base, moved, per_unit=-len(X) * d * np.log(factor))
        if base is not None and families.by_name(name)().spaces().get("df") is not None:
            np.testing.assert_allclose(moved.params_["df"], base.params_["df"], rtol=1e-6)
        if base is not None and "loc" in base.standard_errors_:
            expected = np.multiply(base.standard_errors_["loc"], factor)
            np.testing.assert_allclose(moved.standard_errors_["loc"], expected, rtol=1e-5)
