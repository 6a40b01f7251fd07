"""KLDivergence as a scikit-learn estimator."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastkl.divergence import KLDivergence, kl_divergence
from fastkl.exceptions import DegenerateDataError, SharedRowsWarning


@parametrize_with_checks([KLDivergence(), KLDivergence("knn"), KLDivergence("bias_reduced", n_neighbors=2)])
def test_scikit_learn_contract(estimator, check):
    check(estimator)


@pytest.fixture
def samples():
    rng = np.random.default_rng(1)
    return rng.normal(0, 1, (300, 2)), rng.normal(0.5, 1.5, (400, 2))


@pytest.mark.parametrize("method", ["common_radius", "knn", "bias_reduced"])
def test_agrees_with_the_function(samples, method):
    x, y = samples
    fitted = KLDivergence(method, coordinates=None).fit(y)
    direct = kl_divergence(x, y, method=method)
    estimate = fitted.estimate(x)
    assert estimate == direct
    assert estimate.standard_error == direct.standard_error
    assert fitted.score(x) == pytest.approx(-direct, abs=1e-14)
    assert fitted.score_samples(x).mean() == pytest.approx(direct, abs=1e-14)


def test_weights_agree_with_the_function(samples):
    x, y = samples
    rng = np.random.default_rng(2)
    v, w = rng.uniform(0, 2, len(x)), rng.uniform(0, 2, len(y))
    fitted = KLDivergence(coordinates=None).fit(y, sample_weight=w)
    direct = kl_divergence(x, y, method="common_radius", sample_weight_p=v, sample_weight_q=w)
    assert fitted.estimate(x, sample_weight=v) == direct
    assert fitted.score(x, sample_weight=v) == pytest.approx(-direct, abs=1e-14)


def test_pickle_and_clone(samples):
    x, y = samples
    fitted = KLDivergence().fit(y)
    again = pickle.loads(pickle.dumps(fitted))
    assert again.estimate(x) == fitted.estimate(x)
    assert not hasattr(clone(fitted), "reference_")


@pytest.mark.parametrize("coordinates", ["auto", None])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["array", "strided", "pandas", "shared"])
def test_what_was_fitted_stays_though_the_sample_changes(samples, coordinates, weighted, kind):
    x, y = samples
    memory = np.repeat(y, 2, axis=0) if kind == "strided" else y.copy()
    Q = {"array": memory, "strided": memory[::2], "shared": memory[:], "pandas": pd.DataFrame(memory, copy=False)}[kind]
    weights = np.arange(1.0, len(y) + 1.0) if weighted else None
    fitted = KLDivergence(coordinates=coordinates).fit(Q, sample_weight=weights)
    wanted = KLDivergence(coordinates=coordinates).fit(y, sample_weight=weights).estimate(x)
    memory[:] = 7.0 + np.arange(len(memory))[:, np.newaxis]
    if weighted:
        weights[:] = 1.0
    assert not np.shares_memory(fitted.reference_, memory)
    np.testing.assert_array_equal(fitted.reference_, y)
    assert fitted.estimate(x) == wanted
    assert pickle.loads(pickle.dumps(fitted)).estimate(x) == wanted


def test_one_dimensional_and_labels_are_refused(samples):
    _, y = samples
    with pytest.raises(ValueError, match="2D array"):
        KLDivergence().fit(y[:, 0])
    with pytest.raises(ValueError, match="categorical_kl"):
        KLDivergence().fit(np.array([["a"], ["b"]]))
    with pytest.raises(ValueError, match="one of"):
        KLDivergence("nearest").fit(y)
    with pytest.raises(ValueError, match=r"n_neighbors=9.*4"):
        KLDivergence(n_neighbors=9).fit(y[:4])


def test_a_failed_fit_leaves_the_estimator_as_it_was(samples):
    x, y = samples
    fitted = KLDivergence().fit(y)
    before = fitted.estimate(x)
    with pytest.raises(ValueError, match="numbers of at least 0"):
        fitted.fit(y[:, :1], sample_weight=-np.ones(len(y)))
    with pytest.raises(ValueError, match="NaN"):
        fitted.fit(np.full((9, 3), np.nan))
    with pytest.raises(ValueError, match="Column 0 of Q holds values that overflow in units of its spread"):
        fitted.fit(np.outer([1.7e308, 0.0, 0.1, 0.05, 0.02], np.ones(3)), sample_weight=[1.0, 2.0, 1.0, 1.0, 1.0])
    assert fitted.reference_weight_ is None
    assert fitted.estimate(x) == before


def test_shared_rows_warn_and_zero_distances_raise(samples):
    _, y = samples
    with pytest.warns(SharedRowsWarning, match="shared"):
        KLDivergence().fit(y).estimate(y)
    with pytest.raises(DegenerateDataError, match="common_radius"):
        KLDivergence("knn", n_neighbors=1).fit(y).estimate(y)


def test_column_names_are_kept_and_checked(samples):
    pd = pytest.importorskip("pandas")
    x, y = (pd.DataFrame(s, columns=["a", "b"]) for s in samples)
    fitted = KLDivergence(coordinates=None).fit(y)
    assert list(fitted.feature_names_in_) == ["a", "b"]
    assert fitted.estimate(x) == kl_divergence(*samples, method="common_radius")
    with pytest.raises(ValueError, match="feature names"):
        fitted.estimate(x[["b", "a"]])


@pytest.mark.parametrize("method", ["common_radius", "knn", "bias_reduced"])
@pytest.mark.parametrize("d", [1, 2])
def test_local_terms_are_by_row(method, d):
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(60, d)), rng.normal(0.5, 2.0, (50, d))
    fitted = KLDivergence(method, coordinates=None).fit(y)
    terms, order = fitted.score_samples(x), rng.permutation(60)
    np.testing.assert_allclose(fitted.score_samples(x[order]), terms[order], rtol=1e-12)
    far = int(np.argmin(((x - 0.5) ** 2).sum(axis=1)))
    assert terms[far] > terms.mean() - 3 * terms.std()


def test_local_terms_are_infinite_where_the_divergence_is():
    P, Q = np.repeat([[1.0], [2.0]], [300, 100], axis=0), np.repeat([[0.0], [2.0]], [200, 200], axis=0)
    fitted = KLDivergence().fit(Q)
    assert fitted.estimate(P) == np.inf
    assert (np.isposinf(fitted.score_samples(P)) == (P[:, 0] == 1.0)).all()
    reached = fitted.score_samples(P[300:])
    assert reached.mean() == pytest.approx(float(fitted.estimate(P[300:])))
