"""Mixtures whose likelihood is not smooth at the maximum, since the support of a component ends at a row."""

import warnings

import numpy as np
import pytest
from scipy import stats
from sklearn.exceptions import ConvergenceWarning

from fastkl import DensityMLE, MixtureMLE


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


def two_laplace(generator, n=1000):
    return np.r_[generator.laplace(0.0, 1.0, (3 * n, 1)), generator.laplace(40.0, 2.0, (n, 1))]


@pytest.mark.parametrize("options", [{}, {"prior": "default"}], ids=str)
def test_errors_of_components_with_a_kink_at_every_row(options):
    """The information about a Laplace location is n / scale^2; second derivatives count the rows that are within a step of it."""
    for seed in range(2):
        X = two_laplace(np.random.default_rng(seed))
        model = MixtureMLE(2, family="laplace", random_state=0, **options).fit(X)
        scale, weight = model.params_["scale"], model.params_["weights"][:, None]
        expected = scale / np.sqrt(weight * len(X))
        for errors in (model.standard_errors_, model.robust_standard_errors(X)):
            np.testing.assert_allclose(errors["loc"], expected, rtol=0.02)
            np.testing.assert_allclose(errors["scale"], expected, rtol=0.15)


def test_errors_of_kinks_under_weights_are_those_of_repeated_rows():
    X = two_laplace(np.random.default_rng(0), 100)
    w = np.random.default_rng(1).integers(0, 4, len(X))
    start = {"weights": [0.7, 0.3], "loc": [[0.0], [40.0]], "scale": [[1.0], [2.0]]}
    weighted = MixtureMLE(2, family="laplace", init=start).fit(X, sample_weight=w).standard_errors_
    repeated = MixtureMLE(2, family="laplace", init=start).fit(np.repeat(X, w, axis=0)).standard_errors_
    for name, error in repeated.items():
        np.testing.assert_allclose(weighted[name], error, rtol=1e-8)


def test_one_component_with_kinks_has_the_errors_of_its_family():
    X = np.random.default_rng(0).laplace(size=(400, 2))
    single, model = DensityMLE("laplace").fit(X), MixtureMLE(1, family="laplace").fit(X)
    np.testing.assert_allclose(model.standard_errors_["loc"][0], single.standard_errors_["loc"], rtol=0.01)
    np.testing.assert_allclose(model.standard_errors_["scale"][0], single.standard_errors_["scale"], rtol=0.2)


@pytest.mark.parametrize("shape", [0.7, 0.9, 1.3])
def test_errors_of_a_maximum_with_a_prior_beside_kinks(shape):
    """A weak prior hardly changes the maximum, nor how sure it is."""
    X = stats.gennorm.rvs(shape, size=(2000, 1), random_state=np.random.default_rng(3))
    plain = DensityMLE("generalized_normal").fit(X)
    with_prior = DensityMLE("generalized_normal", prior="default").fit(X)
    pairs = [
        (with_prior.standard_errors_, plain.standard_errors_),
        (with_prior.robust_standard_errors(X), plain.robust_standard_errors(X)),
    ]
    for errors, without in pairs:
        for name, error in without.items():
            np.testing.assert_allclose(errors[name], error, rtol=0.15, err_msg=name)


def test_robust_errors_where_rows_lie_outside_a_component():
    """A row beyond the end of a component has no share in it, and no slope; its score is that of the others."""
    X = stats.genpareto.rvs(-0.2, size=(2000, 1), random_state=np.random.default_rng(0))
    X = np.r_[X, 10.0 + stats.norm.rvs(size=(2000, 1), random_state=np.random.default_rng(1))]
    start = {"weights": [0.5, 0.5], "generalized_pareto_shape": [[-0.2]], "generalized_pareto_scale": [[1.0]]}
    start |= {"normal_loc": [[10.0]], "normal_scale": [[1.0]]}
    model = MixtureMLE(family=["generalized_pareto", "normal"], init=start).fit(X)
    end = -model.params_["generalized_pareto_scale"] / model.params_["generalized_pareto_shape"]
    assert end < X.max()
    robust = model.robust_standard_errors(X)
    for name, error in model.standard_errors_.items():
        np.testing.assert_allclose(robust[name], error, rtol=0.2, err_msg=name)
