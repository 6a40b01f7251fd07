"""What no mixture is fitted to, and fits that did not get where they should: each says so."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn import datasets
from sklearn.exceptions import ConvergenceWarning

from fastkl import DegenerateDataError, MixtureMLE, families

IRIS = datasets.load_iris().data
DEATHS, COUNTS = np.genfromtxt(Path(__file__).parents[2] / "data/london_deaths.csv", delimiter=",", skip_header=1).T
DEATHS = DEATHS[:, None]
LONDON = {"weights": [0.5, 0.5], "rate": [1.0, 3.0]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_components": 0}, "whole number of at least 1"),
        ({"n_components": 2.5}, "whole number of at least 1"),
        ({"n_components": 10**12}, "at most 100,000"),
        (
            {"n_components": 3, "family": ["normal", "gamma"]},
            "names 2 components, n_components is 3: give MixtureMLE.2,",
        ),
        ({"family": ["normal", "poisson"]}, "all continuous, all discrete"),
        ({"family": families.MultivariateNormal(shrinkage="oas")}, "not by shrinkage"),
        ({"family": "gama"}, "Did you mean 'gamma'"),
        ({"weights": [0.5, 0.6]}, "sum to 1"),
        ({"weights": [0.5, 0.3, 0.2]}, "3 weights for 2 components"),
        ({"n_init": 0}, "at least 1"),
        ({"standard_errors": "yes"}, "standard_errors is True, False or 'auto'"),
        ({"init": {"weights": [0.5, 0.5]}}, "lacks mean, covariance"),
        (
            {"init": {"weights": [0.5, 0.5], "mean": np.zeros((3, 4)), "covariance": [np.eye(4)] * 3}},
            "each of 2 components",
        ),
        ({"init": {"weights": [0.5, 0.5], "mean": np.zeros((2, 3)), "covariance": [np.eye(3)] * 2}}, "the rows have 4"),
    ],
)
def test_what_a_mixture_is_not(options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        MixtureMLE(**options).fit(IRIS)


def test_a_fit_that_needs_more_maps_says_so():
    with pytest.warns(ConvergenceWarning, match="3 EM maps before it reached a maximum"):
        model = MixtureMLE(2, family="poisson", init=LONDON, max_iter=3).fit(DEATHS, sample_weight=COUNTS)
    assert not model.converged_
    assert model.certificate_["remaining_gain"] > 1e-3


def test_a_component_that_lost_all_rows_is_named():
    # an exponential distribution begins at 0, and these rows far from it: a normal one alone is better
    rows = 60.0 + np.random.default_rng(0).exponential(30.0, (3000, 1))
    with pytest.raises(
        DegenerateDataError, match=r"component 1 \(exponential\) collapsed: no row is left for it\. Use"
    ) as told:
        MixtureMLE(family=["normal", "exponential"], random_state=0).fit(rows[rows[:, 0] < 150.0])
    assert "covariance_type" not in str(told.value)


def test_errors_that_were_not_formed():
    model = MixtureMLE(2, random_state=0, standard_errors=False).fit(IRIS)
    with pytest.raises(AttributeError, match="standard_errors=True"):
        model.standard_errors_  # noqa: B018
    with pytest.raises(AttributeError, match="known parameters"):
        MixtureMLE.from_parameters("poisson", **LONDON).standard_errors_  # noqa: B018


@pytest.mark.parametrize(
    ("family", "params"),
    [
        ("multivariate_normal", {"mean": [[0.0], [1.0]], "covariance": [[[1.0]], [[1.0]]]}),
        ([("a", "gamma", [0])], {"a__shape": [[1.0], [2.0]], "a__scale": [[1.0], [1.0]]}),
    ],
)
def test_unknown_parameters_are_named(family, params):
    with pytest.raises(ValueError, match="foo"):
        MixtureMLE.from_parameters(family, weights=[0.5, 0.5], foo=3.0, **params)


def test_a_product_by_its_name_alone():
    with pytest.raises(ValueError, match="given by its groups"):
        MixtureMLE(2, family="product").fit([[1.0], [2.0]])


def test_two_families_on_few_rows():
    """Components of few rows are looked at for a collapse, each by its own family."""
    X = np.random.default_rng(0).gamma(2.0, size=(50, 2))
    model = MixtureMLE(2, family=["gamma", "normal"], n_init=1, random_state=0).fit(X)
    assert model.converged_


@pytest.mark.parametrize("family", ["multivariate_normal", "normal", "laplace"])
@pytest.mark.parametrize("n_ones", [40, 140])
def test_equal_components_are_no_maximum(family, n_ones):
    """Two repeated values: each collapses a component, and one density for both, twice, is a saddle of the likelihood."""
    X = np.r_[np.zeros(60), np.ones(n_ones)][:, None]
    with pytest.raises(DegenerateDataError, match="led to a mixture of 2 components with a maximum"):
        MixtureMLE(2, family=family, random_state=0).fit(X)


def test_values_near_the_largest_number_are_a_typed_error_or_a_fit():
    X = np.array([[1.7e308, 1.0], [-1.7e308, 2.0], [1.6e308, 4.0], [-1.5e308, 1.0], [3.0, 2.5], [1.0, 0.5]])
    try:
        MixtureMLE(2, random_state=0).fit(X)
    except ValueError as error:
        assert "column" in str(error) or "component" in str(error)  # noqa: PT017


def test_curvature_that_numbers_do_not_tell_is_nan():
    """Two values next to one another: shapes of 1e32, at which steps in the shape are below rounding."""
    below = np.nextafter(1.0, 0.0)
    X = np.array([below, 1.0, 1.0, 1.0, below, below, 1.0, 1.0, below])[:, None]
    with warnings.catch_warnings():  # whether the search sees that it is at the end depends on the last digit
        warnings.simplefilter("ignore", ConvergenceWarning)
        equal = {
            "weights": [0.5, 0.5],
            "shape": [[1e32]] * 2,
            "scale": [[1e-32]] * 2,
        }  # no start of the search stays at these
        model = MixtureMLE(family="gamma", max_iter=20, init=equal).fit(X)
    assert np.isnan(model.certificate_["smallest_eigenvalue"])
    assert np.isnan(model.standard_errors_["shape"]).all()
