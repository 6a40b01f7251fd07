"""Rows that no mixture, or not every component, can be fitted to: each kind by name, with what is said of it."""

import numpy as np
import pytest
from sklearn.datasets import load_iris

from fastkl import DegenerateDataError, DensityMLE, MissingValueError, MixtureMLE, SourceError, SupportError, families

IRIS = load_iris().data
X = np.random.default_rng(0).normal(size=(60, 2))


def test_more_components_than_different_rows():
    with pytest.raises(DegenerateDataError, match=r"3 components for 2 different rows .*use fewer components"):
        MixtureMLE(3, family="poisson").fit([[1.0], [2.0], [1.0], [2.0]])
    with pytest.raises(DegenerateDataError, match="3 components for 2 different rows"):
        MixtureMLE(3, family="poisson").fit_batches([np.ones((5, 1)), np.full((5, 1), 2.0)])


def test_duplicates_only():
    for family in ("normal", "multivariate_normal", "gamma", "poisson"):
        with pytest.raises(DegenerateDataError, match="2 components for 1 different row "):
            MixtureMLE(2, family=family).fit(np.ones((9, 1)))


@pytest.mark.parametrize("family", ["multivariate_normal", "student_t", "gamma"])
def test_one_component_has_the_parameters_of_the_density_bit_for_bit(family):
    rows = np.abs(IRIS)
    mixture, density = MixtureMLE(1, family=family).fit(rows), DensityMLE(family).fit(rows)
    for name, value in density.params_.items():
        np.testing.assert_array_equal(mixture.params_[name][0], value)
    assert mixture.log_likelihood_ == density.log_likelihood_


def test_all_weights_zero():
    with pytest.raises(ValueError, match="zero in every row"):
        MixtureMLE(2, family="normal").fit(X, sample_weight=np.zeros(len(X)))
    with pytest.raises(ValueError, match="(?i)weight"):
        MixtureMLE(2, family="normal").fit_batches([(X, np.zeros(len(X)))])


def test_a_component_that_dies_is_named_with_the_reason_and_the_way_out():
    # nothing is left for one that is infinitely far away in its own units
    start = {"weights": [0.5, 0.5], "mean": [[0.0, 0.0], [1e9, 1e9]], "covariance": [np.eye(2), np.eye(2)]}
    with pytest.raises(
        DegenerateDataError, match=r"Component 1 .*no row is left for it\. Start elsewhere.*prior='default'"
    ):
        MixtureMLE(2, init=start).fit(X)
    # another closes in on equal rows
    rows = np.concatenate([X, np.full((5, 2), 3.0)])
    start = {"weights": [0.9, 0.1], "mean": [[0.0, 0.0], [3.0, 3.0]], "covariance": [np.eye(2), 1e-2 * np.eye(2)]}
    with pytest.raises(DegenerateDataError, match=r"Component 1 collapsed on the way from init: .*prior='default'"):
        MixtureMLE(2, init=start).fit(rows)


def test_values_outside_one_support_are_left_to_the_others():
    box = families.Uniform(low=0.0, high=1.0)
    rows = np.concatenate([np.linspace(0.01, 0.99, 50), [5.0, 6.0, 7.5, 9.0]])[:, None]
    model = MixtureMLE(2, family=[box, "normal"], random_state=0).fit(rows)
    np.testing.assert_array_equal(model.predict_proba(rows[50:]), np.tile([0.0, 1.0], (4, 1)))
    assert np.isfinite(model.score_samples(rows)).all()


@pytest.mark.parametrize("in_batches", [False, True])
@pytest.mark.parametrize("positive", ["gamma", "lognormal", "exponential", "beta"])
def test_free_components_with_narrower_supports(positive, in_batches):
    """Where the supports tell the rows apart all but for certain, each component is the fit to its own."""
    rng = np.random.default_rng(0)
    above, below = rng.beta(2.0, 3.0, (100, 1)), rng.normal(-9.0, 1.0, (100, 1))
    rows = np.r_[above, below]
    model = MixtureMLE(2, family=[positive, "normal"], random_state=0)
    model = model.fit_batches([rows[:70], rows[70:]]) if in_batches else model.fit(rows)
    apart = DensityMLE(positive).fit(above).log_likelihood_ + DensityMLE("normal").fit(below).log_likelihood_
    assert model.log_likelihood_ == pytest.approx(apart + 200.0 * np.log(0.5), abs=1e-6)
    np.testing.assert_array_equal(model.predict_proba(below)[:, 0], 0.0)


def test_values_outside_every_support():
    model = MixtureMLE(2, family=[families.Uniform(low=0.0, high=1.0), families.Uniform(low=2.0, high=3.0)])
    with pytest.raises(SupportError, match=r"Row 2 \(1.5\)"):
        model.fit([[0.5], [2.5], [1.5]])
    model.fit([[0.5], [2.5], [2.6]])
    np.testing.assert_allclose(model.params_["weights"], [1 / 3, 2 / 3])
    assert model.score_samples([[1.5]])[0] == -np.inf
    with pytest.raises(SupportError, match="Row 1 lies outside"):
        model.predict([[0.5], [1.5]])
    with pytest.raises(SupportError, match="positive numbers"):
        MixtureMLE(2, family="gamma").fit([[1.0], [2.0], [-1.0], [4.0]])


def test_missing_values_of_a_family_that_takes_none():
    rows = np.abs(X)
    rows[7, 1] = np.nan
    for family in ("gamma", "student_t", ["normal", "gamma"]):
        with pytest.raises(MissingValueError, match="row 7, column 1"):
            MixtureMLE(2, family=family).fit(rows)


def test_a_row_without_any_value_is_counted_and_left_out():
    rows = X.copy()
    rows[[3, 9]] = np.nan
    with pytest.warns(UserWarning, match="2 rows hold no value at all"):
        model = MixtureMLE(2, random_state=0, prior="default").fit(rows)
    without = MixtureMLE(2, random_state=0, prior="default").fit(np.delete(X, [3, 9], axis=0))
    assert model.log_likelihood_ == pytest.approx(without.log_likelihood_, abs=1e-8)
    with pytest.raises(MissingValueError, match="Every value of every row is missing"):
        MixtureMLE(2).fit(np.full((9, 2), np.nan))


def test_a_generator_that_can_be_read_once():
    with pytest.raises(SourceError, match=r"passes over the rows several times.*function that makes the iterator"):
        MixtureMLE(2, random_state=0).fit_batches(part for part in (X[:30], X[30:]))
    assert (
        MixtureMLE(2, random_state=0, n_init=1).fit_batches(lambda: (p for p in (X[:30], X[30:]))).n_features_in_ == 2
    )


def test_labels_in_a_numeric_family():
    with pytest.raises(ValueError, match="(?i)(categorical|numbers|could not convert)"):
        MixtureMLE(2, family="normal").fit([["a"], ["b"], ["a"], ["c"]])
    with pytest.raises(ValueError, match="(?i)(categorical|numbers|could not convert)"):
        MixtureMLE(2, family="normal").fit_batches([np.array([["a"], ["b"]], dtype=object)])


def test_parameters_of_fewer_or_more_components():
    """Whatever the number, the parameter is named with what it holds."""
    for k in (1, 2, 4):
        known = {"mean": np.zeros((k, 1)), "covariance": np.ones((k, 1, 1))}
        message = rf"mean has to hold one value for each of 3 components .* has shape \({k}, 1\)"
        with pytest.raises(ValueError, match=message):
            MixtureMLE.from_parameters(weights=[0.2, 0.3, 0.5], **known)
        with pytest.raises(ValueError, match=message):
            MixtureMLE(3, init={"weights": [0.2, 0.3, 0.5], **known}).fit(X[:, :1])
    mixed = {"normal_loc": [[0.0]], "normal_scale": [[1.0], [1.0]], "uniform_low": [[0.0]], "uniform_high": [[1.0]]}
    with pytest.raises(ValueError, match="normal_loc has to hold one value for each of 2 components"):
        MixtureMLE.from_parameters(["normal", "uniform", "normal"], weights=[0.2, 0.3, 0.5], **mixed)


def test_rows_too_far_out_for_a_density():
    """The square of 1e155 is no number: the support is the whole line all the same."""
    model = MixtureMLE.from_parameters("normal", weights=[0.5, 0.5], loc=[[0.0], [1.0]], scale=[[1.0], [2.0]])
    with pytest.raises(
        SupportError, match="Row 1 lies .* or so far from all of them that its density is 0 to rounding"
    ):
        model.predict([[0.0], [1e155]])
    beside = MixtureMLE.from_parameters("uniform", weights=[0.5, 0.5], low=[[0.0], [1.0]], high=[[1.0], [2.0]])
    with pytest.raises(SupportError, match="Row 0 lies outside the support of every component: it can't be assigned"):
        beside.predict([[3.0]])


def test_divergence_of_posteriors_that_underflow():
    """Two components 40 standard deviations apart: the log-odds at the first mean are 40² / 2 = 800."""
    model = MixtureMLE.from_parameters("normal", weights=[0.5, 0.5], loc=[[0.0], [40.0]], scale=[[1.0], [1.0]])
    row, shares = [[0.0]], [[0.5, 0.5]]
    divergence = model.posterior_divergence(row, shares)
    assert divergence == pytest.approx(np.log(0.5) + 400.0, rel=1e-14)  # the posterior is (1, e^-800)
    assert model.elbo(row, shares) + divergence == pytest.approx(model.log_likelihood(row), abs=1e-12)
    assert model.posterior_divergence(row, [[1.0, 0.0]]) == pytest.approx(0.0, abs=1e-300)
    beside = MixtureMLE.from_parameters("uniform", weights=[0.5, 0.5], low=[[0.0], [1.0]], high=[[1.0], [2.0]])
    assert beside.posterior_divergence([[0.5]], shares) == np.inf  # of a component that can't have the row
    assert beside.posterior_divergence([[0.5]], [[1.0, 0.0]]) == 0.0


@pytest.mark.parametrize(
    "family", ["multivariate_normal", "normal", "uniform", [("a", "normal", [0, 1]), ("b", "normal", [2])]]
)
@pytest.mark.parametrize("n", [60, 9000])
def test_a_constant_column_is_named(family, n):
    rng = np.random.default_rng(0)
    rows = np.c_[rng.normal(size=(n, 2)), np.full(n, 7.0)]
    with pytest.raises(DegenerateDataError, match=rf"Column 2 is constant: 7 in every row \(n_samples={n}\)"):
        MixtureMLE(2, family=family, random_state=0).fit(rows)
    with pytest.raises(DegenerateDataError, match="Column 2 is constant: 7 in every row"):
        MixtureMLE(2, family=family, random_state=0).fit_batches([rows[: n // 2], rows[n // 2 :]])


def test_units_beyond_numbers_are_told():
    with pytest.raises(DegenerateDataError, match=r"The sums of column 0 overflow: it holds values up to .*e\+300"):
        MixtureMLE(2, random_state=0).fit(X * 1e300)
    with pytest.raises(
        DegenerateDataError, match="Column 0 .*e-20.* rescale columns so small that their squares underflow"
    ):
        MixtureMLE(2, random_state=0).fit(X * 1e-200)
    with pytest.raises(DegenerateDataError, match="column 2 is a linear combination of the columns before it"):
        MixtureMLE(2, random_state=0).fit(np.c_[X, X.sum(axis=1)])


@pytest.mark.parametrize("n_components", [1, 2])
def test_a_start_that_is_no_mapping_of_parameters(n_components):
    X = np.random.default_rng(0).normal(size=(20, 1))
    with pytest.raises(TypeError, match="init is a mapping of starting parameters, .* not 'kmeans'"):
        MixtureMLE(n_components, init="kmeans").fit(X)
