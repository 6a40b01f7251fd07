"""Fits of rows far from 0, whose location has few digits left: the maximum of the same rows about 0, in as many steps."""

import numpy as np
import pytest

from fastkl import DensityMLE
from fastkl.families.solvers.newton import Evaluation, Landscape, maximise


@pytest.mark.parametrize("offset", [1e9, 1e11, -1e12])
@pytest.mark.parametrize("size", [200, 40_000])  # compiled ascents, and passes
@pytest.mark.parametrize("name", ["logistic", "gumbel", "student_t", "cauchy", "gev", "skew_normal"])
def test_an_offset_changes_no_fit(name, size, offset):
    for seed in range(6 if size == 200 else 1):
        x = np.round(np.random.default_rng(seed).standard_t(6.0, size=(size, 1)) * 64.0) / 64.0
        moved = x + offset
        near = DensityMLE(name, max_iter=500).fit(moved - offset)
        far = DensityMLE(name, max_iter=500).fit(moved)
        assert far.converged_
        assert far.n_iter_ <= near.n_iter_ + 10
        # loc is off by a half of the distance of the numbers there at most, and the others follow it
        off = 0.5 * np.spacing(abs(offset)) / near.params_["scale"][0]
        assert far.log_likelihood_ == pytest.approx(near.log_likelihood_, rel=1e-11, abs=10.0 * size * off * off)


def test_sides_of_a_normal_distribution_are_looked_at_far_from_zero():
    x = np.round(np.random.default_rng(5).normal(size=(200, 1)) * 64.0) * 1e-2 * 2.0**-6 + 1e9
    near, far = (DensityMLE("skew_normal").fit(rows) for rows in (x - 1e9, x))
    assert far.log_likelihood_ == pytest.approx(near.log_likelihood_, abs=1e-6)


def test_a_parameter_whose_steps_are_lost_is_held():
    """Of a paraboloid whose top lies between two numbers, for a start at the wrong one of them."""
    top = 1e12 + np.spacing(1e12) / 3.0

    def evaluate(params):
        loc, other = (params["loc"] - 1e12) - (top - 1e12), params["other"] - 2.0
        value = -0.5 * (loc * loc + 1.8 * loc * other + other * other) * 1e9
        gradient = -np.stack([loc + 0.9 * other, 0.9 * loc + other], axis=1) * 1e9
        return Evaluation(value, gradient, -1e9 * np.array([[[1.0, 0.9], [0.9, 1.0]]]))

    def move(params, step):
        return {"loc": params["loc"] + step[:, 0], "other": params["other"] + step[:, 1]}

    start = {"loc": np.array([1e12 + 3.0]), "other": np.array([0.0])}
    landscape = Landscape(evaluate, move, np.array([True, True]), 1e9, names=("loc", "other"))
    found = maximise(landscape, start, 1e-9, 100)
    assert found.converged.all()
    assert found.n_iter <= 12
    assert abs(found.params["loc"][0] - 1e12) <= np.spacing(1e12)


@pytest.mark.parametrize("covariance", [[[1.0, 0.5], [0.5, 1.0]], [1.0, 2.0]])
@pytest.mark.filterwarnings("error")
def test_rows_so_far_away_that_their_squares_overflow_have_no_likelihood(covariance):
    """As by the row: the sum of log-densities that are -inf, and not an error or NaN of the sums behind it."""
    kind = {"covariance_type": "full" if np.ndim(covariance) == 2 else "diag"}
    model = DensityMLE.from_parameters("multivariate_normal", mean=[1e200, 1e200], covariance=covariance, **kind)
    X = np.array([[0.0, 0.0], [1.0, 2.0]])
    assert model.score_samples(X).tolist() == [-np.inf, -np.inf]
    assert model.score(X) == -np.inf
