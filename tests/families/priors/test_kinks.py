"""Laplace distributions with a prior: the maximum may lie at a row, where the likelihood has a kink."""

import warnings

import numpy as np
import pytest
from scipy import optimize
from sklearn.exceptions import ConvergenceWarning

from fastkl import DensityMLE


class Pull:
    """Normal in loc, and in log(scale)."""

    def __init__(self, centre, spread):
        self.centre, self.spread = centre, spread

    def log_density(self, params):
        z = (params["loc"] - self.centre) / self.spread
        return float(np.sum(-0.5 * z * z - np.log(params["scale"]) ** 2))

    def gradient(self, params):
        return {
            "loc": -(params["loc"] - self.centre) / self.spread**2,
            "scale": -2.0 * np.log(params["scale"]) / params["scale"],
        }


@pytest.mark.parametrize("seed", [0, 2, 4, 8, 9, 19, 20, 21, 25, 26, 27, 32, 39, 43, 47, 58, 59])
def test_the_maximum_is_the_highest_of_all_places(seed):
    generator = np.random.default_rng(seed)
    n = int(generator.choice([2, 3, 5, 8, 20, 51]))
    X = generator.laplace(size=(n, 1)) * generator.choice([0.1, 1, 30])
    X = np.round(X) if seed % 3 == 0 else X
    prior = Pull(3.0 * generator.normal(), 10.0 ** generator.uniform(-2.0, 1.0))
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        model = DensityMLE("laplace", prior=prior).fit(X)

    def value(loc, scale):
        at = {"loc": np.array([loc]), "scale": np.array([scale])}
        return -np.sum(np.abs(X - loc)) / scale - n * np.log(2.0 * scale) + prior.log_density(at)

    places = [*X[:, 0], *np.linspace(min(X.min(), prior.centre), max(X.max(), prior.centre), 100)]
    best = max(
        -optimize.minimize_scalar(lambda u, loc=loc: -value(loc, np.exp(u)), bracket=(-1.0, 1.0)).fun for loc in places
    )
    assert model.converged_
    assert value(model.params_["loc"][0], model.params_["scale"][0]) >= best - 1e-8


def test_several_columns_weights_and_batches():
    generator = np.random.default_rng(1)
    X, w = generator.laplace(size=(40, 3)) * [1.0, 5.0, 0.2], generator.integers(1, 4, 40).astype(float)
    prior = Pull(np.array([0.7, 2.0, -0.1]), np.array([0.1, 0.3, 0.02]))
    model = DensityMLE("laplace", prior=prior).fit(X, sample_weight=w)
    assert model.converged_
    repeated = DensityMLE("laplace", prior=prior).fit(np.repeat(X, w.astype(int), axis=0))
    for name, value in model.params_.items():
        np.testing.assert_allclose(repeated.params_[name], value, rtol=1e-9)
