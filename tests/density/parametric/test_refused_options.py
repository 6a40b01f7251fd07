"""Options and rows with which no fit makes sense: an error that says so, and an estimator that stays as it was."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from fastkl import DegenerateDataError, DensityMLE, MixtureMLE, SourceError, families

X = np.random.default_rng(0).gamma(2.0, size=(30, 2))


@pytest.mark.parametrize("estimator", [DensityMLE("student_t"), MixtureMLE(2, family="gamma")], ids=["one", "mixture"])
@pytest.mark.parametrize("tol", [0.0, -1.0, np.nan, np.inf, 1e-30])
def test_a_tolerance_that_no_search_reaches(estimator, tol):
    with pytest.raises(ValueError, match="tol is what a fit may still gain"):
        estimator.set_params(tol=tol).fit(X)
    estimator.set_params(tol=1e-12)


def test_a_word_for_yes_or_no():
    with pytest.raises(TypeError, match="robust_errors is True or False, not 'no'"):
        DensityMLE("gamma", robust_errors="no").fit(X)


@pytest.mark.parametrize("name", ["dirichlet", "von_mises_fisher"])
@pytest.mark.parametrize("learn", ["fit", "partial_fit"])
@pytest.mark.filterwarnings("error")
def test_a_joint_family_needs_two_columns(name, learn):
    model = DensityMLE(name)
    with pytest.raises(ValueError, match=f"{name} needs rows of at least 2 columns; here n_features = 1"):
        getattr(model, learn)([[1.0], [1.0], [0.9999999999999999]])
    assert not hasattr(model, "n_features_in_")


def test_options_of_a_family_are_looked_at_in_a_fit():
    with pytest.raises(ValueError, match="n_trials is a whole number of at least 0, not -1"):
        DensityMLE(families.Multinomial(n_trials=-1)).fit(np.ones((3, 2)))


@pytest.mark.parametrize("name", ["multinomial", "dirichlet_multinomial"])
def test_trials_that_cannot_be_drawn(name):
    family = families.by_name(name)(n_trials=2e200)
    params = {} if name == "multinomial" else {"concentration": 2.0}
    model = DensityMLE.from_parameters(family, probabilities=[0.5, 0.5], **params)
    with pytest.raises(ValueError, match=r"rows of 2e\+200 trials can't be drawn"):
        model.sample(1)


@pytest.mark.parametrize(
    ("categories", "message"),
    [
        (["a", "b", "c"], "column 0 has 3 categories and 2 probabilities"),
        (["a"], "column 0 has 1 categories and 2 probabilities"),
        (["a", "a"], "names 'a' twice"),
        ([], "names 0 columns"),
        ([[]], "names none"),
    ],
)
def test_categories_that_do_not_fit_the_probabilities(categories, message):
    with pytest.raises(ValueError, match=message):
        DensityMLE.from_parameters("categorical", probabilities=[0.5, 0.5], categories=categories)


@pytest.mark.parametrize("first", ["normal", "exponential", "gamma", "beta", "poisson", "categorical"])
def test_sums_of_another_family_are_not_added_to(first):
    rows = np.array([[0.25, 0.5], [0.5, 0.75], [0.75, 0.125]])
    if families.by_name(first).discrete:
        rows = np.round(4 * rows)
    for second in families.names():
        if second == first or not families.by_name(second).has_statistics:
            continue
        model = DensityMLE(first).partial_fit(rows)
        before = repr(vars(model))
        with pytest.raises(ValueError, match="rows seen so far were summed for"):
            model.set_params(family=second).partial_fit(rows)
        assert repr(vars(model.set_params(family=first))) == before
        assert model.partial_fit(rows).n_features_in_ == 2


def test_nor_those_of_other_options():
    model = DensityMLE(families.Normal(loc=[0.0, 1.0])).partial_fit(X)
    model.set_params(family=families.Normal(loc=[0.0, 1.0])).partial_fit(X)
    with pytest.raises(ValueError, match="rows seen so far were summed for"):
        model.set_params(family=families.Normal(loc=[0.0, 2.0])).partial_fit(X)
    waiting = DensityMLE("normal").partial_fit(X[:1])
    with pytest.raises(ValueError, match="rows seen so far were summed for"):
        waiting.set_params(family="lognormal").partial_fit(X)
    for call in (lambda m: m.score(X), lambda m: m.score_batches([X]), lambda m: m.score_samples_batches([X])):
        with pytest.raises(NotFittedError, match="no maximum of the likelihood"):
            call(DensityMLE("normal").partial_fit(X[:1]))


def test_weights_that_are_no_weights():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for weights, message in (
            (np.full(30, 1.7e308), "sums to more than the largest number"),
            (np.full(30, 1 + 1j), "complex numbers"),
            ([1 + 1j] * 30, "complex numbers"),
        ):
            for model in (DensityMLE("normal"), DensityMLE("categorical")):
                with pytest.raises(ValueError, match=message):
                    model.fit(X, sample_weight=weights)


def test_a_column_name_twice():
    frame = pd.DataFrame(X, columns=["a", "a"])
    with pytest.raises(SourceError, match="X has two columns named 'a', columns 0 and 1"):
        DensityMLE("normal").fit(frame)


@pytest.mark.parametrize("name", ["normal", "multivariate_normal", "student_t", "gamma"])
def test_rows_that_are_not_aligned(name):
    """A matrix at an odd address is read as it is elsewhere; kernels get one that is aligned."""
    memory = np.zeros(X.nbytes + 1, dtype=np.uint8)
    odd = np.ndarray(X.shape, dtype=np.float64, buffer=memory, offset=1)
    odd[...] = X
    assert not odd.flags.aligned
    ours, plain = DensityMLE(name).fit(odd), DensityMLE(name).fit(X)
    for key, value in plain.params_.items():
        np.testing.assert_array_equal(ours.params_[key], value)
    np.testing.assert_array_equal(plain.score_samples(odd), plain.score_samples(X))


@pytest.mark.filterwarnings("error")
def test_inverse_gaussian_score_of_huge_values():
    model = DensityMLE.from_parameters("inverse_gaussian", mean=1.0, shape=1.0)
    for value in (1e155, 1e200, 1e300, 1e-200):
        rows = np.full((4, 1), value)
        assert model.score(rows) == pytest.approx(model.score_samples(rows).mean(), rel=1e-13)


@pytest.mark.filterwarnings("error")
def test_complex_parameters():
    for value in (np.array(1.0 + 2.0j), np.array([1.0 + 0.0j])):
        with pytest.raises(ValueError, match="normal: loc is complex; parameters are real numbers"):
            DensityMLE.from_parameters("normal", loc=value, scale=1.0)


def test_sandwich_of_rows_on_a_line():
    """The curvature of two rows has directions whose variance is 0 to rounding, and may come out below it."""
    rows = np.array([[0.75867665, 0.91261064], [0.82323565, 0.91810255]])
    errors = DensityMLE("multivariate_normal", prior="default").fit(rows).robust_standard_errors(rows)
    assert all((np.asarray(value) >= 0.0).all() for value in errors.values())


def test_counts_beyond_all_squares():
    with pytest.raises(DegenerateDataError, match="The sums of column 0 overflow"):
        DensityMLE("negative_binomial").fit([[1e200], [2e200], [5e200], [0.0]])
