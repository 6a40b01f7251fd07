"""Kernels shifted by the score of a pilot density: against the formula written out, and nearer to the truth."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm

import fastkl
from fastkl import KernelDensityMLE
from fastkl.density.kernel.mixture_pilot import MixturePilot
from tests.density.kernel.direct import log_densities

RNG = np.random.default_rng(6)


def shifted(X, h, weights):
    """x + h^2 / 2 times the slope of the log-density, first that of kernels at the rows, then that of the moved kernels."""
    moved = X
    for _ in range(2):
        apart = (moved[None] - X[:, None]) / h
        share = np.exp(-0.5 * np.sum(apart**2, axis=2)) * weights
        slope = np.einsum("ij,ijk->ik", share, apart) / share.sum(axis=1, keepdims=True) / h
        moved = X + 0.5 * h**2 * slope
    return moved


def test_the_formula(tmp_path):
    X, w, h = RNG.normal(size=(300, 2)), RNG.uniform(0.5, 2.0, 300), np.array([0.4, 0.7])
    model = KernelDensityMLE(h, bias_reduction="score").fit(X, sample_weight=w)
    moved = shifted(X, h, w)
    np.testing.assert_allclose(model.references_ + model.shifts_, moved, rtol=0, atol=1e-7)
    np.testing.assert_allclose(model.score_samples(X), log_densities(X, moved, h, weights=w), rtol=0, atol=1e-6)
    logs = -0.5 * np.sum(((X[:, None] - moved[None]) / h) ** 2, axis=2)
    np.fill_diagonal(logs, -np.inf)
    expected = logsumexp(logs, b=w, axis=1) - np.log(w.sum() - w) - np.log(h).sum() - np.log(2 * np.pi)
    np.testing.assert_allclose(model.leave_one_out(), expected, rtol=0, atol=1e-6)
    draws = model.sample(100_000, random_state=0)
    np.testing.assert_allclose(np.cov(draws.T), model.covariance(), atol=0.02)
    np.testing.assert_allclose(draws.mean(axis=0), model.mean(), atol=0.02)
    np.testing.assert_allclose(
        model.marginal(1).score_samples(X[:, 1:]), log_densities(X[:, 1:], moved[:, 1:], h[1], weights=w), atol=1e-6
    )
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(fastkl.load(tmp_path / "model").score_samples(X), model.score_samples(X))
    model.set_params(bias_reduction=None).fit(X)
    assert not hasattr(model, "shifts_")
    matrix = KernelDensityMLE(np.diag(h**2), bias_reduction="score").fit(X, sample_weight=w)
    np.testing.assert_allclose(matrix.references_ + matrix.shifts_, moved, rtol=0, atol=1e-7)


@pytest.mark.parametrize(("kind", "weighted"), [("normal", False), ("arcsine", True)])
def test_the_factor_of_a_rule_predicts_best(kind, weighted):
    """By four parts of the rows, each under the moved kernels of the others: log-likelihood, and squared error by quadrature.

    Of normal rows a mixture says more than the slopes of the estimate itself, of those from the arcsine distribution less.
    """
    rng = np.random.default_rng(6)
    X = rng.normal(size=(200, 1)) if kind == "normal" else rng.beta(0.5, 0.5, size=(200, 1))
    w = rng.uniform(0.5, 2.0, 200) if weighted else np.ones(200)
    given = w if weighted else None
    plain = KernelDensityMLE("silverman").fit(X, sample_weight=given)
    model = KernelDensityMLE("silverman", bias_reduction="score").fit(X, sample_weight=given)
    part = np.empty(200, dtype=int)
    part[np.argsort(X[:, 0])] = np.random.default_rng(0).permutation(200) % 4
    grid = np.linspace(-5.0, 5.0, 501)[:, None]

    def square(centres, h, weights):
        return np.trapezoid(np.exp(2.0 * log_densities(grid, centres, h, weights=weights)), grid[:, 0])

    level = square(X, plain.bandwidth_, w)
    pilot = MixturePilot.fitted(X, given, 1)
    parts = [pilot.refitted(X[part != k], w[part != k], 1) for k in range(4)]

    def loss(factor, own):
        h, total = factor * plain.bandwidth_, 0.0
        for k in range(4):
            out, others = part == k, part != k
            moved = shifted(X[others], h, w[others]) if own else X[others] + parts[k].moves(X[others], None, h)
            logs = log_densities(X[out], moved, h, weights=w[others])
            total += w[out] @ (logs + (2.0 * np.exp(logs) - square(moved, h, w[others])) / level)
        return -total

    options = {"bounds": (1.0, 4.0), "method": "bounded", "options": {"xatol": 1e-2}}
    best = {own: minimize_scalar(loss, args=(own,), **options) for own in (False, True)}
    own = best[True].fun < best[False].fun
    assert own == (kind == "arcsine")
    factor = float(model.bandwidth_[0] / plain.bandwidth_[0])
    assert loss(factor, own) <= best[own].fun + 0.02
    h = model.bandwidth_
    moved = shifted(X, h, w) if own else X + pilot.moves(X, None, h)
    np.testing.assert_allclose(model.references_ + model.shifts_, moved, rtol=0, atol=1e-6)
    chosen = KernelDensityMLE(bias_reduction="score").fit(X)
    assert chosen.loo_log_likelihood_ == pytest.approx(chosen.leave_one_out().sum(), rel=1e-12)


def test_a_mixture_moves_kernels_without_bias():
    """In one column along the only monotone way there is; and kernels there give the mixture again."""
    pilot = MixturePilot(np.array([0.3, 0.7]), np.array([[-1.0], [0.8]]), np.array([[[0.25]], [[0.09]]]))
    grid = np.linspace(-4.0, 4.0, 4001)

    def cdf(x, narrower):
        return norm.cdf(x[:, None], pilot.means[:, 0], np.sqrt(pilot.covariances[:, 0, 0] - narrower)) @ pilot.weights

    level = (np.arange(5000) + 0.5) / 5000
    rows = np.interp(level, cdf(grid, 0.0), grid)[:, None]
    h = np.array([0.25])
    moved = rows + pilot.moves(rows, None, h)
    np.testing.assert_allclose(moved[:, 0], np.interp(level, cdf(grid, h[0] ** 2), grid), rtol=0, atol=0.01)
    density = norm.pdf(grid[:, None], pilot.means[:, 0], np.sqrt(pilot.covariances[:, 0, 0])) @ pilot.weights
    found = np.exp(log_densities(grid[::10, None], moved, h))
    np.testing.assert_allclose(found, density[::10], rtol=0, atol=0.004 * density.max())


def test_a_mixture_moves_by_half_the_squared_bandwidth_times_its_slope():
    """To the first order, under any matrix of bandwidths; and exactly where there is one component."""
    pilot = MixturePilot(
        np.array([0.4, 0.6]),
        np.array([[0.0, 0.0], [1.0, -1.0]]),
        np.array([[[1.0, 0.5], [0.5, 2.0]], [[0.5, 0.0], [0.0, 0.7]]]),
    )
    X, H = RNG.normal(size=(50, 2)), np.array([[1e-6, 4e-7], [4e-7, 2e-6]])
    laws = [multivariate_normal(*each) for each in zip(pilot.means, pilot.covariances, strict=True)]
    share = np.stack([law.pdf(X) for law in laws], axis=1) * pilot.weights
    share /= share.sum(axis=1, keepdims=True)
    slopes = sum(share[:, [k]] * np.linalg.solve(pilot.covariances[k], (pilot.means[k] - X).T).T for k in range(2))
    np.testing.assert_allclose(pilot.moves(X, None, H), 0.5 * slopes @ H, rtol=1e-4, atol=1e-12)
    one = MixturePilot(np.ones(1), pilot.means[:1], pilot.covariances[:1])
    moved = X + one.moves(X, None, 4e5 * H)
    turned = np.linalg.lstsq(X, moved, rcond=None)[0].T  # the map is linear, and takes the covariance to that without H
    np.testing.assert_allclose(X @ turned.T, moved, rtol=0, atol=1e-12)
    left = turned @ one.covariances[0] @ turned.T
    np.testing.assert_allclose(left, one.covariances[0] - 4e5 * H, rtol=0, atol=0.01)


def test_few_rows():
    """Fewer than the parts that are predicted by each other."""
    for n in (2, 3, 5):
        X = np.arange(n)[:, None] ** 1.5
        model = KernelDensityMLE("silverman", bias_reduction="score").fit(X)
        assert np.isfinite(model.score_samples(X)).all()


def test_the_order_of_rows_does_not_matter():
    """Which part a row is in goes by its values."""
    rng = np.random.default_rng(2)
    X, w = np.round(rng.gamma(2.0, size=(150, 2)), 1), rng.uniform(0.5, 2.0, 150)
    order = rng.permutation(150)
    first, second = (
        KernelDensityMLE("silverman", bias_reduction="score").fit(X[rows], sample_weight=w[rows])
        for rows in (np.arange(150), order)
    )
    np.testing.assert_allclose(second.bandwidth_, first.bandwidth_, rtol=1e-9)
    np.testing.assert_allclose(second.score_samples(X), first.score_samples(X), rtol=0, atol=1e-6)


def test_units_and_places_do_not_matter():
    X = RNG.gamma(2.0, size=(300, 2))
    model = KernelDensityMLE(bias_reduction="score").fit(X)
    scale = np.array([1e-3, 1e4])
    other = KernelDensityMLE(bias_reduction="score").fit(X * scale + [0.0, 1e8])
    np.testing.assert_allclose(other.bandwidth_, model.bandwidth_ * scale, rtol=1e-4)
    there = other.score_samples(X[:20] * scale + [0.0, 1e8]) + np.log(scale).sum()
    np.testing.assert_allclose(there, model.score_samples(X[:20]), rtol=0, atol=1e-3)


def test_it_is_nearer_to_the_truth():
    """Integrated squared error for a sum of two normal distributions, mean of five samples: less than 0.7 of the plain one's."""
    grid = np.linspace(-4, 4, 801)[:, None]
    truth = 0.5 * norm.pdf(grid[:, 0], -1.5, 0.5) + 0.5 * norm.pdf(grid[:, 0], 1.5, 0.5)
    errors = {None: 0.0, "score": 0.0}
    for seed in range(5):
        rng = np.random.default_rng(seed)
        X = (rng.choice([-1.5, 1.5], 2000) + 0.5 * rng.normal(size=2000))[:, None]
        for reduction in errors:
            found = KernelDensityMLE(bias_reduction=reduction).fit(X).score_samples(grid)
            errors[reduction] += np.trapezoid((np.exp(found) - truth) ** 2, grid[:, 0])
    assert errors["score"] < 0.7 * errors[None]


def test_what_it_does_not_go_with():
    X = RNG.normal(size=(50, 1))
    for options in ({"kernel": "cosine"}, {"adaptive": True}):
        with pytest.raises(ValueError, match="takes kernel='gaussian' and adaptive=False"):
            KernelDensityMLE(0.5, bias_reduction="score", **options).fit(X)
    with pytest.raises(ValueError, match="bias_reduction is None or 'score'"):
        KernelDensityMLE(0.5, bias_reduction="scores").fit(X)
