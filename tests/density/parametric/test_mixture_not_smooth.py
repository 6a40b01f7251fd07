"""Mixtures whose likelihood is not smooth at the maximum, since the support of a component ends at a row."""

import warnings

import numpy as np
import pytest
from scipy import stats
from sklearn.exceptions import ConvergenceWarning

from fastkl import MixtureMLE


def fitted(X, **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        return MixtureMLE(2, family="generalized_pareto", random_state=0, **options).fit(X), [
            str(one.message) for one in caught
        ]


@pytest.mark.parametrize("seed", range(3, 7))
def test_parameters_beside_an_end_have_no_standard_error(seed):
    X = stats.genpareto.rvs(-0.4, size=(1000, 1), random_state=np.random.default_rng(seed))
    model, said = fitted(X)
    assert np.isfinite(model.log_likelihood_)
    errors = model.standard_errors_
    assert np.isnan(errors["scale"]).any()
    assert np.isfinite(errors["weights"]).all()
    np.testing.assert_array_equal(np.isnan(errors["scale"]), np.isnan(errors["shape"]))
    assert {"shape", "scale"} <= set(model.boundary_)
    # a maximum is not known without a slope
    known = not np.isnan([model.certificate_["gradient"], model.certificate_["remaining_gain"]]).any()
    assert model.converged_ == known
    assert not any("nan" in text for text in said)
    assert any("has no slope there" in text for text in said) is not known


def test_smooth_ones_keep_theirs():
    """Two components without an end inside the line have all of theirs."""
    rng = np.random.default_rng(0)
    X = np.r_[rng.exponential(1.0, 4000), 1e6 * rng.exponential(1.0, 4000)][:, None]
    model, _ = fitted(X, standard_errors=True)
    assert all(np.isfinite(value).all() for value in model.standard_errors_.values())
