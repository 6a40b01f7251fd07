"""Conditional distributions of mixtures against Bayes' theorem."""

import numpy as np
import pytest

from fastkl import MixtureMLE


@pytest.mark.parametrize("family", ["multivariate_normal", "multivariate_t", "normal"])
def test_conditional_is_joint_over_marginal(family):
    means, spread = [[0.0, -2.0, 1.0], [1.0, 2.0, 0.0]], np.eye(3) + 0.4
    params = {
        "multivariate_normal": {"mean": means, "covariance": [spread, np.diag([1.0, 2.0, 3.0])]},
        "multivariate_t": {"df": [4.0, 7.0], "loc": means, "scale": [spread, np.diag([1.0, 2.0, 3.0])]},
        "normal": {"loc": means, "scale": [[1.0, 2.0, 1.0], [0.5, 1.0, 2.0]]},
    }[family]
    model = MixtureMLE.from_parameters(family, weights=[0.3, 0.7], **params)
    given, rest = model.conditional({1: 0.5}), np.array([[0.3, -0.2], [2.0, 1.0]])
    rows = np.insert(rest, 1, 0.5, axis=1)
    expected = model.score_samples(rows) - model.marginal([1]).score_samples(rows[:, [1]])
    np.testing.assert_allclose(given.score_samples(rest), expected, rtol=1e-11)


def test_conditional_outside_every_support():
    model = MixtureMLE.from_parameters("uniform", weights=[0.5, 0.5], low=[[0, 0], [2, 2]], high=[[1, 1], [3, 3]])
    np.testing.assert_allclose(model.conditional({0: 2.5}).params_["weights"], [0.0, 1.0])
    with pytest.raises(ValueError, match="outside the support"):
        model.conditional({0: 1.5})
