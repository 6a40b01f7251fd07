"""A sample against a model that is far from right: its own draws do not tell the bias that neighbours have on the data."""

import numpy as np
import pytest
from scipy import stats

from fastkl import (
    DegenerateDataError,
    DensityMLE,
    KernelDensityMLE,
    MixtureMLE,
    ProductDensity,
    jensen_shannon,
    kl_divergence,
    renyi_divergence,
)

PER_COLUMN = {  # entropy of a normal column of the same variance, less that of the column
    "uniform": 0.5 * np.log(2.0 * np.pi * np.e / 12.0),
    "exponential": 0.5 * np.log(2.0 * np.pi * np.e) - 1.0,
}


def columns(kind, n, d, rng):
    return rng.random((n, d)) if kind == "uniform" else rng.exponential(size=(n, d))


def normal_model(kind, d):
    mean, variance = (0.5, 1.0 / 12.0) if kind == "uniform" else (1.0, 1.0)
    return stats.multivariate_normal(np.full(d, mean), variance * np.eye(d))


@pytest.mark.parametrize(("kind", "d"), [("uniform", 2), ("uniform", 10), ("exponential", 5)])
def test_independent_columns_against_a_normal_model(kind, d):
    truth, model = d * PER_COLUMN[kind], normal_model(kind, d)
    for seed in range(3):
        found = kl_divergence(columns(kind, 500, d, np.random.default_rng(seed)), model)
        assert abs(found - truth) < 3.0 * found.standard_error
        assert found.standard_error < 0.1 + 0.05 * truth


def test_models_that_cannot_be_drawn_from():
    class Normal:
        def score_samples(self, X):
            return stats.multivariate_normal(np.full(4, 0.5), np.eye(4) / 12.0).logpdf(X)

    found = kl_divergence(columns("uniform", 500, 4, np.random.default_rng(0)), Normal())
    assert abs(found - 4 * PER_COLUMN["uniform"]) < 3.0 * found.standard_error < 0.5


def test_of_a_correct_model_the_draws_tell_the_bias():
    rng = np.random.default_rng(0)
    found = kl_divergence(rng.normal(size=(500, 5)), stats.multivariate_normal(np.zeros(5), np.eye(5)))
    assert found.diagnostics["share_of_second"] == 0.0
    assert abs(found) < 2.5 * found.standard_error < 0.15


def test_repeated_values_against_a_density_name_the_call_for_them():
    counts = np.random.default_rng(0).poisson(3.0, 400)
    with pytest.raises(DegenerateDataError, match="of p is repeated .* Compare counts with a discrete model"):
        kl_divergence(counts, stats.norm(3.0, 2.0))


class Scaled:
    """A normal density times exp(size), which nobody has normalised, with its draws."""

    def __init__(self, size, mean):
        self.size, self.mean = size, np.asarray(mean, dtype=float)

    def logpdf(self, X):
        rows = np.reshape(X, (-1, len(self.mean)))
        return self.size + stats.norm.logpdf(rows, self.mean).sum(axis=1)

    def sample(self, n, random_state=None):
        return random_state.normal(self.mean, 1.0, (n, len(self.mean)))


@pytest.mark.parametrize("size", [-3.0, -0.1, 0.1, 3.0])
@pytest.mark.parametrize("d", [1, 3])
def test_densities_that_are_not_normalised_are_said(size, d):
    """Of three columns, Jensen-Shannon divergences of -1.8 and Rényi divergences of -9 came without a word."""
    known, scaled = stats.multivariate_normal(np.zeros(d), np.eye(d)), Scaled(size, np.full(d, 0.5))
    calls = (jensen_shannon, lambda p, q, **more: renyi_divergence(p, q, 0.5, **more), kl_divergence)
    for call in (*calls, lambda p, q, **more: renyi_divergence(p, q, 2.0, **more)):
        for p, q in ((known, scaled), (scaled, known)):
            found = call(p, q, random_state=0)
            assert any("not normalised" in reason for reason in found.reasons), found


@pytest.mark.parametrize("d", [1, 3])
def test_normalised_densities_are_not_doubted(d):
    known, same = stats.multivariate_normal(np.zeros(d), np.eye(d)), Scaled(0.0, np.zeros(d))
    for other in (same, Scaled(0.0, np.full(d, 0.5)), Scaled(0.0, np.full(d, 3.0))):
        for p, q in ((known, other), (other, known)):
            assert not jensen_shannon(p, q, random_state=1).reasons
            assert not renyi_divergence(p, q, 0.5, random_state=1).reasons


def directions(concentration, n, rng):
    return stats.vonmises_fisher([0.0, 0.6, 0.8], concentration).rvs(n, random_state=rng)


def of_directions(concentration):
    return DensityMLE.from_parameters("von_mises_fisher", direction=[0.0, 0.6, 0.8], concentration=concentration)


def with_a_normal_column(concentration, rng):
    groups = [("way", DensityMLE("von_mises_fisher"), [0, 1, 2]), ("size", DensityMLE("normal"), [3])]
    return ProductDensity(groups).fit(np.c_[directions(concentration, 20_000, rng), rng.normal(size=20_000)])


SURFACES = {
    "sphere": lambda rng: (directions(20.0, 1000, rng), of_directions(5.0)),
    "scipy": lambda rng: (directions(20.0, 1000, rng), stats.vonmises_fisher([0.0, 0.6, 0.8], 5.0)),
    "kernel": lambda rng: (
        directions(20.0, 1000, rng),
        KernelDensityMLE(0.1, kernel="von_mises_fisher").fit(directions(5.0, 20_000, rng)),
    ),
    "mixture": lambda rng: (
        directions(20.0, 1000, rng),
        MixtureMLE.from_parameters(
            "von_mises_fisher", weights=[0.5, 0.5], direction=[[0.0, 0.6, 0.8]] * 2, concentration=[5.0, 5.0]
        ),
    ),
    "product": lambda rng: (
        np.c_[directions(20.0, 1000, rng), rng.normal(size=1000)],
        with_a_normal_column(5.0, rng),
    ),
}


@pytest.mark.parametrize("n_neighbors", [None, 5])
@pytest.mark.parametrize("name", SURFACES)
def test_directions_have_one_dimension_fewer_than_columns(name, n_neighbors):
    """Balls of the sphere are smaller than those of space; 1.6 came for .64, and with n_neighbors=5 3.9."""
    p, q = SURFACES[name](np.random.default_rng(0))
    truth = float(kl_divergence(of_directions(20.0), of_directions(5.0)))
    found = kl_divergence(p, q, n_neighbors=n_neighbors)
    assert abs(found - truth) < 3.0 * found.standard_error < 0.15


@pytest.mark.parametrize("a", [[2.0, 3.0, 4.0], [8.0, 12.0, 16.0], [1.0, 2.0, 3.0, 4.0, 5.0]])
def test_shares_have_one_dimension_fewer_than_columns(a):
    p = DensityMLE.from_parameters("dirichlet", concentration=a)
    q = DensityMLE.from_parameters("dirichlet", concentration=[3.0] * len(a))
    found = kl_divergence(p.sample(2000, random_state=0), q)
    assert abs(found - float(kl_divergence(p, q))) < 3.0 * found.standard_error < 0.2


def test_rows_on_a_surface_against_a_model_of_all_columns_are_said():
    p = directions(5.0, 500, np.random.default_rng(0))
    found = kl_divergence(p, stats.multivariate_normal(np.zeros(3), np.eye(3)))
    assert any("second degree" in reason and "infinite" in reason for reason in found.reasons)
