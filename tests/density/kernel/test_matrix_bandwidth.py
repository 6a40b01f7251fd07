"""A bandwidth matrix of maximum leave-one-out likelihood: slopes against direct sums, laws of linear maps, what has none."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

import fastkl
from fastkl import DegenerateDataError, KernelDensityMLE, RepeatedValuesWarning
from fastkl.density.kernel.bandwidths.matrix_bandwidth import MatrixLeaveOneOut, tournament
from tests.density.kernel.direct import log_densities

RNG = np.random.default_rng(12)
RIDGE = RNG.normal(size=(250, 1)) * [1.0, 2.0, -1.0] + 0.2 * RNG.normal(size=(250, 3))
WEIGHTS = RNG.uniform(0.5, 2.0, 250)


def direct(X, matrix, weights, kernel="gaussian"):
    """Mean leave-one-out log-density by all pairs."""
    whiten = np.linalg.inv(np.linalg.cholesky(matrix))
    points = X @ whiten.T
    logs = log_densities(points, points, 1.0, kernel, weights, leave_one_out=True) + np.linalg.slogdet(whiten)[1]
    return np.average(logs, weights=weights)


@pytest.mark.parametrize("d", range(1, 8))
def test_each_column_meets_each_once(d):
    rounds = tournament(d)
    met = [tuple(sorted(pair)) for pairs in rounds for pair in pairs]
    assert sorted(met) == [(s, t) for s in range(d) for t in range(s + 1, d)]
    assert all(len({j for pair in pairs for j in pair}) == 2 * len(pairs) for pairs in rounds)


@pytest.mark.parametrize("kernel", ["gaussian", "exponential"])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_value_and_slopes_against_direct_sums(kernel, d):
    X = RIDGE[:, :d]
    likelihood = MatrixLeaveOneOut(X, WEIGHTS, kernel, 1)
    theta = 0.3 * RNG.normal(size=likelihood.n_slopes)

    def value(theta):
        root = np.linalg.inv(likelihood.step(theta))
        return direct(X, root @ root.T, WEIGHTS, kernel)

    mean, slopes = likelihood.mean(theta)
    assert mean == pytest.approx(value(theta), abs=1e-10)
    for k, e in enumerate(np.eye(len(theta))):
        assert slopes[k] == pytest.approx((value(theta + 1e-5 * e) - value(theta - 1e-5 * e)) / 2e-5, abs=1e-7)


@pytest.mark.parametrize("kernel", ["gaussian", "exponential", "epanechnikov"])
def test_the_maximum(kernel):
    model = KernelDensityMLE("likelihood_matrix", kernel=kernel).fit(RIDGE, sample_weight=WEIGHTS)
    found = direct(RIDGE, model.bandwidth_, WEIGHTS, kernel)
    assert model.loo_log_likelihood_ == pytest.approx(found * WEIGHTS.sum(), rel=1e-10)
    assert model.leave_one_out() @ WEIGHTS == pytest.approx(model.loo_log_likelihood_, rel=1e-7)
    columns = KernelDensityMLE(kernel=kernel).fit(RIDGE, sample_weight=WEIGHTS)
    assert model.loo_log_likelihood_ > columns.loo_log_likelihood_ + 20.0
    assert model.converged_ or kernel == "epanechnikov"  # which has a kink wherever a pair comes within reach
    for _ in range(10):
        near = RNG.normal(size=(3, 3)) * 0.02
        moved = (np.eye(3) + near) @ model.bandwidth_ @ (np.eye(3) + near).T
        assert direct(RIDGE, moved, WEIGHTS, kernel) <= found + 1e-9


def test_one_column_is_that_of_the_plain_rule():
    plain = KernelDensityMLE().fit(RIDGE[:, :1])
    matrix = KernelDensityMLE("likelihood_matrix").fit(RIDGE[:, :1])
    assert matrix.bandwidth_[0, 0] == pytest.approx(plain.bandwidth_[0] ** 2, rel=1e-8)
    assert matrix.loo_log_likelihood_ == pytest.approx(plain.loo_log_likelihood_, rel=1e-12)


def test_linear_maps_change_nothing_but_the_units():
    """Scales and turns alike: the matrix follows, log-densities change by the logarithm of the determinant."""
    plain = KernelDensityMLE("likelihood_matrix").fit(RIDGE)
    scores = plain.score_samples(RIDGE)
    for change in (1e-3 * np.eye(3), np.diag([1.0, 1e6, 1e-6]), RNG.normal(size=(3, 3))):
        moved = RIDGE @ change.T
        model = KernelDensityMLE("likelihood_matrix").fit(moved)
        expected = change @ plain.bandwidth_ @ change.T
        np.testing.assert_allclose(model.bandwidth_ / expected, 1.0, rtol=1e-7)
        shift = np.linalg.slogdet(change)[1]
        np.testing.assert_allclose(model.score_samples(moved), scores - shift, rtol=0, atol=1e-7)


def test_many_rows_begin_on_a_part_of_them(tmp_path):
    X = np.repeat(RIDGE, 12, axis=0)[:, :2] + 0.1 * RNG.normal(size=(3000, 2))
    model = KernelDensityMLE("likelihood_matrix").fit(X)
    assert model.converged_
    root = np.linalg.inv(np.linalg.cholesky(model.bandwidth_))
    _, slopes = MatrixLeaveOneOut(X @ root.T, None, "gaussian", 2).mean(np.zeros(3))
    assert np.max(np.abs(slopes)) <= 1e-6
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(fastkl.load(tmp_path / "model").score_samples(X[:9]), model.score_samples(X[:9]))
    assert model.conditional({0: 1.0}).mean()[0] == pytest.approx(2.0, abs=0.5)


def test_what_has_no_matrix():
    with pytest.raises(DegenerateDataError, match="depend on each other linearly"):
        KernelDensityMLE("likelihood_matrix").fit(RIDGE[:, [0, 0]])
    with pytest.raises(DegenerateDataError, match="Column 1 is constant"):
        KernelDensityMLE("likelihood_matrix").fit(RIDGE[:, :2] * [1.0, 0.0])
    with pytest.raises(ValueError, match="no reflected and no circular columns"):
        KernelDensityMLE("likelihood_matrix", boundary={0: (-10.0, None)}).fit(RIDGE)
    with pytest.raises(ValueError, match="needs a kernel with a slope"):
        KernelDensityMLE("likelihood_matrix", kernel="tophat").fit(RIDGE)
    twins = np.repeat(RIDGE[:60, :2], 2, axis=0)
    with pytest.warns(RepeatedValuesWarning, match="left out together"):
        model = KernelDensityMLE("likelihood_matrix").fit(twins)
    assert np.linalg.eigvalsh(model.bandwidth_)[0] > 1e-4
    on_lines = RIDGE[:, :2] @ np.diag([1.0, 0.0]) + np.outer(RNG.integers(0, 4, 250), [0.5, 1.0])
    with pytest.warns(RepeatedValuesWarning, match="4 different values"):
        KernelDensityMLE("likelihood_matrix").fit(on_lines)
    with pytest.warns(ConvergenceWarning, match="on parallel lines"):
        model = KernelDensityMLE("likelihood_matrix").fit(on_lines @ np.array([[1.0, 0.3], [0.2, 1.0]]))
    assert not model.converged_


def test_weights_of_next_to_nothing_have_no_most_likely_matrix():
    X = np.random.default_rng(0).normal(size=(3, 2))
    with pytest.raises(DegenerateDataError):
        KernelDensityMLE("likelihood_matrix").fit(X, sample_weight=[0.0, 1e16, 1e-308])


@pytest.mark.parametrize("unit", [1e-290, 1e-200, 1e-160, 1e160, 1e200, 1e290])
def test_units_whose_squares_are_no_numbers(unit):
    """1e-320 has four digits, and 1e-400 none: neither is an outlier."""
    X = np.random.default_rng(0).normal(size=(40, 2)) * [1.0, unit]
    with pytest.raises(DegenerateDataError, match="squares, and that of column 1.*Rescale the column"):
        KernelDensityMLE("likelihood_matrix").fit(X)


@pytest.mark.parametrize("unit", [1e-150, 1e-100, 1e100, 1e150])
def test_units_whose_squares_are_numbers(unit):
    X = np.random.default_rng(0).normal(size=(40, 1))
    plain, moved = (KernelDensityMLE("likelihood_matrix").fit(rows).bandwidth_ for rows in (X, X * unit))
    np.testing.assert_allclose(moved / unit / unit, plain, rtol=1e-7)
