"""Probabilities of components that are 0 or 1 at the maximum, which EM maps approach without ever being there."""

import warnings

import numpy as np
import pytest

from fastkl import DensityMLE, MixtureMLE, families
from fastkl._core.rows import Rows
from fastkl.density.parametric.mixture.fit import curvature_of

RNG = np.random.default_rng(0)
ANSWERS = np.r_[RNG.random((60, 4)) < 0.9, RNG.random((60, 4)) < 0.1].astype(float)
ANSWERS[:60, 0], ANSWERS[60:, 0] = 1.0, 0.0  # a question that tells the classes apart
COUNTS = np.r_[RNG.multinomial(20, [0.5, 0.5, 0.0], 100), RNG.multinomial(20, [0.0, 0.5, 0.5], 100)]


@pytest.mark.parametrize(
    ("family", "rows", "name", "half"),
    [
        ("bernoulli", ANSWERS, "probability", 60),
        (families.Categorical(categories=[[0, 1]] * 4), ANSWERS.astype(int), "probabilities", 60),
        ("multinomial", COUNTS, "probabilities", 100),
    ],
)
def test_limits_are_reported_as_such(family, rows, name, half):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = MixtureMLE(2, family=family, random_state=0).fit(rows)
    assert model.converged_
    assert "boundary" in model.boundary_[name]
    # the classes are told apart for certain: each component is the fit to its half
    halves = [DensityMLE(family).fit(part) for part in (rows[:half], rows[half:])]
    halves.sort(key=lambda one: np.ravel(one.params_[name])[0])
    for k, density in zip(np.argsort([np.ravel(own)[0] for own in model.params_[name]]), halves, strict=True):
        found, expected = model.params_[name][k], density.params_[name]
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        np.testing.assert_array_equal((found == 0.0) | (found == 1.0), (expected == 0.0) | (expected == 1.0))
        for errors in (model.standard_errors_[name][k], model.robust_standard_errors(rows)[name][k]):
            np.testing.assert_array_equal(np.isnan(errors), (expected == 0.0) | (expected == 1.0))
        np.testing.assert_allclose(model.standard_errors_[name][k], density.standard_errors_[name], rtol=1e-4)


def test_a_rate_of_zero():
    rows = np.r_[np.zeros((50, 1)), RNG.poisson(60.0, (50, 1))]
    model = MixtureMLE(2, family="poisson", random_state=0).fit(rows)
    assert model.params_["rate"][0, 0] == 0.0
    assert "All counts are 0" in model.boundary_["rate"]
    assert np.isnan(model.standard_errors_["rate"][0, 0])


def test_what_a_prior_keeps_inside_stays_there():
    model = MixtureMLE(2, family="bernoulli", prior="default", random_state=0).fit(ANSWERS)
    assert np.all((model.params_["probability"] > 0.0) & (model.params_["probability"] < 1.0))
    assert model.boundary_ == {}


@pytest.mark.parametrize("loc", [3.0, 30.0])
def test_a_component_that_is_held_and_holds_no_row(loc):
    """The weight, which maps bring towards 0 for ever, is 0 and said to be; it has no standard error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = MixtureMLE(2, family=["normal", families.Normal(loc=loc, scale=1.0)], random_state=0)
        model.fit(np.random.default_rng(0).normal(size=(200, 1)))
    np.testing.assert_array_equal(model.params_["weights"], [1.0, 0.0])
    assert model.boundary_["weights"].startswith("Component 1: The weight is 0")
    assert np.isnan(model.standard_errors_["weights"][1])
    assert model.converged_


def test_a_component_that_closes_in_on_a_plane_has_no_information():
    """Steps beside its covariance have no Cholesky factor; that is no reason for a fit to end in an error."""
    rng = np.random.default_rng(3)
    rows, spread = Rows(rng.normal(size=(60, 4))), 30.0 * rng.normal(size=(4, 3))
    narrow = spread @ spread.T + 1e-13 * np.eye(4)
    mixture = MixtureMLE.from_parameters(weights=[0.5, 0.5], mean=np.zeros((2, 4)), covariance=[narrow, np.eye(4)])
    assert np.isnan(curvature_of(mixture.family_, mixture.params_, rows, [None, None], True)).all()
