"""The laws of ``test_contract.py`` on hard samples: few rows, ties, scales far apart, units at the ends of the range."""

import numpy as np
import pytest
from sklearn.base import clone

from fastkl import DegenerateDataError, DensityMLE
from fastkl.exceptions import SupportError
from tests.families.discovered import density_of, examples

# Few angles, each times a number of its own, may look like degrees.
pytestmark = pytest.mark.filterwarnings("ignore:.*taken as radians")
SIZES = (3, 5, 8, 30)
SAMPLES = [(kind, n) for kind in ("few", "ties", "scales") for n in SIZES]


@pytest.fixture(params=examples())
def distribution(request):
    """A family, and a density of it to draw from."""
    family, _ = request.param
    return family, density_of(request.param)


def hard(distribution, kind, n):
    """Rows of a family, each multiplied by a number of its own where that leaves the family's support alone."""
    family, density = distribution
    X = density.sample(n, random_state=n)
    if kind == "ties":
        X = np.concatenate([X, X[: n // 2]])
    if kind == "scales" and not family.labels:
        generator = np.random.default_rng(n)
        factors = generator.integers(1, 30, size=n) if family.discrete else np.exp(3.0 * generator.normal(size=n))
        X = X * factors[:, None].astype(X.dtype)
    return X


def fitted(distribution, X, w=None, batches=None):
    """A fit; the class of the error where the family has no maximum on these rows, or has no such rows."""
    model = DensityMLE(clone(distribution[0]))
    try:
        return model.fit(X, sample_weight=w) if batches is None else model.fit_batches(batches)
    except (DegenerateDataError, SupportError) as error:
        return type(error)


def assert_same(found, expected, factor=1.0):
    """The same error, or the same maximum."""
    assert isinstance(found, DensityMLE) == isinstance(expected, DensityMLE), (found, expected)
    if not isinstance(found, DensityMLE):
        assert found is expected
        return
    np.testing.assert_allclose(found.log_likelihood_ / factor, expected.log_likelihood_, rtol=1e-9, atol=1e-9)
    assert found.converged_ == expected.converged_
    assert set(found.boundary_) == set(expected.boundary_)


@pytest.mark.parametrize(("kind", "n"), SAMPLES)
def test_maximum_is_one_of_numbers(distribution, kind, n):
    """What is not finite is said to be at a boundary; the likelihood is the sum of that of the rows."""
    X = hard(distribution, kind, n)
    model = fitted(distribution, X)
    if not isinstance(model, DensityMLE):
        return
    for name, value in model.params_.items():
        if np.asarray(value).dtype.kind == "f" and not np.isfinite(value).all():
            assert name in model.boundary_
            assert not np.isnan(value).any()
    np.testing.assert_allclose(model.score_samples(X).sum(), model.log_likelihood_, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("kind", "n"), SAMPLES)
def test_factor_on_the_weights(distribution, kind, n):
    X = hard(distribution, kind, n)
    plain = fitted(distribution, X)
    for factor in (1.0 / len(X), 2.0**-20, 2.0**-400, 2.0**200):
        assert_same(fitted(distribution, X, np.full(len(X), factor)), plain, factor)


@pytest.mark.parametrize(("kind", "n"), SAMPLES)
def test_order_batches_and_repetitions(distribution, kind, n):
    X = hard(distribution, kind, n)
    plain, generator = fitted(distribution, X), np.random.default_rng(0)
    assert_same(fitted(distribution, X[::-1]), plain)
    assert_same(fitted(distribution, generator.permutation(X)), plain)
    assert_same(fitted(distribution, X, batches=[X[:1], X[1:2], X[2:]]), plain)
    w = generator.integers(0, 4, len(X))
    w[0] = 1
    assert_same(fitted(distribution, X, w), fitted(distribution, np.repeat(X, w, axis=0)))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("exponent", [-1060, -1031, -1000, 1000])
def test_units_at_the_ends_of_the_range(distribution, exponent):
    """The same densities in another unit, or an error: no maximum that scores its own rows otherwise."""
    family, density = distribution
    if family.discrete or not family.equivariant:
        pytest.skip("not a distribution on a scale")
    X = density.sample(20, random_state=0)
    with np.errstate(all="ignore"):
        moved = np.ldexp(X, exponent)
    if not np.isfinite(moved).all():
        return
    found = fitted(distribution, moved)
    if isinstance(found, DensityMLE) and found.converged_:
        back = np.ldexp(moved, -exponent)  # with the digits that are left of them
        expected = DensityMLE(clone(family)).fit(back).score_samples(back) - X.shape[1] * exponent * np.log(2.0)
        np.testing.assert_allclose(found.score_samples(moved), expected, rtol=1e-6)
