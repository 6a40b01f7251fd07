"""Scorers: the mean held-out log-density of any density, minus the KL divergence, inside the searches of scikit-learn."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy import stats
from sklearn.base import clone
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import PowerTransformer, StandardScaler

import fastkl
from fastkl import DegenerateDataError, DensityMLE, make_kl_scorer, neg_cross_entropy
from fastkl.selection import scorers

X = np.random.default_rng(3).gamma(2.0, size=(900, 2))
WEIGHTS = np.random.default_rng(4).uniform(0.2, 2.0, size=900)
FAMILIES = ["normal", "gamma", "lognormal", "weibull"]
FOLDS = KFold(4, shuffle=True, random_state=0)


def search(scoring, **options):
    return GridSearchCV(DensityMLE(), {"family": FAMILIES}, scoring=scoring, cv=FOLDS, **options)


def test_mean_log_density():
    reference = stats.norm(1.0, 2.0).logpdf(X[:, :1])
    model = DensityMLE.from_parameters("normal", loc=1.0, scale=2.0)
    assert neg_cross_entropy(model, X[:, :1]) == pytest.approx(reference.mean(), rel=1e-12)
    weighted = np.average(reference[:, 0], weights=WEIGHTS)
    assert neg_cross_entropy(model, X[:, :1], sample_weight=WEIGHTS) == pytest.approx(weighted, rel=1e-12)
    positive = DensityMLE.from_parameters("exponential", scale=1.0)
    assert neg_cross_entropy(positive, [[1.0], [-1.0]]) == -np.inf
    assert neg_cross_entropy(positive, [[1.0], [-1.0]], sample_weight=[1.0, 0.0]) == -1.0


@pytest.mark.parametrize("density", [KernelDensity(bandwidth=0.3), GaussianMixture(2, random_state=0)])
def test_means_the_same_for_other_densities(density):
    """The kernel density of scikit-learn scores by the total; here it is the mean."""
    fitted = density.fit(X[:600])
    values = fitted.score_samples(X[600:])
    assert neg_cross_entropy(fitted, X[600:]) == pytest.approx(values.mean(), rel=1e-12)
    weights = np.r_[0.0, WEIGHTS[601:]]
    expected = np.sum(weights * values) / weights.sum()
    assert neg_cross_entropy(fitted, X[600:], sample_weight=weights) == pytest.approx(expected, rel=1e-12)
    with pytest.raises(TypeError, match="score_samples"):
        neg_cross_entropy(StandardScaler().fit(X), X)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_both_pick_the_same_and_differ_by_a_constant_per_fold(weights):
    both = search({"kl": make_kl_scorer(), "likelihood": neg_cross_entropy}, refit="kl").fit(X, sample_weight=weights)
    results = both.cv_results_
    assert np.array_equal(results["rank_test_kl"], results["rank_test_likelihood"])
    assert both.best_params_ == search(neg_cross_entropy).fit(X, sample_weight=weights).best_params_
    for fold, (_, test) in enumerate(FOLDS.split(X)):
        gap = results[f"split{fold}_test_kl"] - results[f"split{fold}_test_likelihood"]
        assert np.ptp(gap) < 1e-12
        held_out = None if weights is None else weights[test]
        assert gap[0] == pytest.approx(float(fastkl.entropy(X[test], sample_weight_p=held_out)), abs=1e-12)


def test_scale_of_the_kl_score():
    """gamma(2, 1) rows: KL 0.188296 to N(2, 2), 0 to the distribution itself; by the closed forms of the entropies."""
    rows = np.random.default_rng(0).gamma(2.0, size=(20_000, 1))
    wrong = DensityMLE.from_parameters("normal", loc=2.0, scale=np.sqrt(2.0))
    right = DensityMLE.from_parameters("gamma", shape=2.0, scale=1.0)
    scorer = make_kl_scorer()
    error = np.sqrt(np.var(right.score_samples(rows)) / len(rows)) + 0.01
    assert abs(scorer(right, rows)) < error
    assert abs(scorer(wrong, rows) + 0.188296) < error
    assert scorer(DensityMLE.from_parameters("uniform", low=0.0, high=1.0), rows) == -np.inf


@pytest.mark.parametrize("method", ["knn", "weighted_knn", "marginal_split"])
def test_methods(method):
    model = DensityMLE("gamma").fit(X[:600])
    expected = model.score(X[600:]) + float(fastkl.entropy(X[600:], method=method, n_neighbors=7))
    assert make_kl_scorer(method=method, n_neighbors=7)(model, X[600:]) == pytest.approx(expected, abs=1e-12)


def test_entropy_is_estimated_once_for_each_test_set(monkeypatch):
    calls = []

    def counted(*arguments, **options):
        calls.append(1)
        return fastkl.entropy(*arguments, **options)

    monkeypatch.setattr(scorers, "entropy", counted)
    search(make_kl_scorer()).fit(X)
    assert len(calls) == FOLDS.get_n_splits()  # of 4 candidates
    scorer, model = make_kl_scorer(), DensityMLE("gamma").fit(X)
    first = scorer(model, X[:300])
    assert scorer(model, X[:300].copy()) == first
    count = len(calls)
    assert scorer(model, X[:300], sample_weight=WEIGHTS[:300]) != first
    assert scorer(model, X[:300].astype(np.float32)) == pytest.approx(first, abs=1e-5)
    assert scorer(model, X[:299]) != first
    assert len(calls) == count + 3
    for n in range(scorers._KEPT + 5):
        scorer(model, X[: 20 + n])
    assert len(scorer._known) == scorers._KEPT


def test_data_frames():
    frame = pd.DataFrame(X, columns=["a", "b"])
    model = DensityMLE("gamma").fit(frame)
    assert make_kl_scorer()(model, frame) == make_kl_scorer()(DensityMLE("gamma").fit(X), X)


def test_a_pipeline_is_scored_in_its_own_coordinates():
    """The divergence does not change under an invertible step, whatever its unit; the log-likelihood does."""
    train, test = X[:600] * [1.0, 1000.0], X[600:] * [1.0, 1000.0]
    scorer = make_kl_scorer()
    pipeline = Pipeline([("scale", StandardScaler()), ("density", DensityMLE())]).fit(train)
    rows = pipeline["scale"].transform(test)
    assert scorer(pipeline, test) == pytest.approx(
        pipeline["density"].score(rows) + float(fastkl.entropy(rows)), abs=1e-12
    )
    alone = make_kl_scorer(method="weighted_knn")(DensityMLE().fit(train), test)
    assert make_kl_scorer(method="weighted_knn")(pipeline, test) == pytest.approx(alone, abs=1e-9)
    grid = {"scale": [StandardScaler(), PowerTransformer(), "passthrough"]}
    found = GridSearchCV(pipeline, grid, scoring=make_kl_scorer(method="marginal_split"), cv=FOLDS).fit(train)
    assert isinstance(found.best_params_["scale"], PowerTransformer)
    assert scorer(found, test) == scorer(found.best_estimator_, test)


@pytest.mark.parametrize(
    ("family", "rows"),
    [
        ("poisson", np.random.default_rng(0).poisson(3.0, size=(60, 1)).astype(float)),
        ("categorical", np.array([["cat"], ["dog"]] * 30)),
    ],
)
def test_rows_without_a_differential_entropy(family, rows):
    model = DensityMLE(family).fit(rows)
    with pytest.raises((DegenerateDataError, ValueError), match="neg_cross_entropy"):
        make_kl_scorer()(model, rows)
    assert np.isfinite(neg_cross_entropy(model, rows))


def test_the_error_reaches_the_user_of_a_search():
    counts = np.random.default_rng(0).poisson(3.0, size=(60, 1)).astype(float)
    with pytest.raises(DegenerateDataError, match="neg_cross_entropy"):
        cross_val_score(DensityMLE("poisson"), counts, scoring=make_kl_scorer(), error_score="raise")


def test_unknown_method():
    with pytest.raises(ValueError, match="'knn', 'weighted_knn'"):
        make_kl_scorer(method="histogram")


@pytest.mark.parametrize("scorer", [neg_cross_entropy, make_kl_scorer(method="marginal_split", n_neighbors=6)])
def test_copies(scorer):
    model = DensityMLE("gamma").fit(X)
    value = scorer(model, X)
    again = pickle.loads(pickle.dumps(scorer))
    assert again(model, X) == value
    assert repr(again) == repr(scorer)
    assert clone(search(scorer)).scoring(model, X) == value
    assert search(scorer, n_jobs=2).fit(X).best_params_ == search(scorer).fit(X).best_params_


@pytest.mark.parametrize("make", [lambda: neg_cross_entropy, make_kl_scorer])
def test_metadata_routing(make):
    with sklearn.config_context(enable_metadata_routing=True):
        estimator = DensityMLE().set_fit_request(sample_weight=True)
        grid = {"family": FAMILIES}
        unsaid = GridSearchCV(estimator, grid, scoring=make(), cv=FOLDS)
        with pytest.raises(ValueError, match=r"set_score_request"):
            unsaid.fit(X, sample_weight=WEIGHTS)
        asking = make().set_score_request(sample_weight=True)
        weighted = GridSearchCV(estimator, grid, scoring=asking, cv=FOLDS).fit(X, sample_weight=WEIGHTS)
        renamed = make().set_score_request(sample_weight="mass")
        silent = make().set_score_request(sample_weight=False)
        both = {"mass": renamed, "none": silent}
        two = GridSearchCV(estimator, grid, scoring=both, refit="mass", cv=FOLDS).fit(
            X, sample_weight=WEIGHTS, mass=WEIGHTS
        )
    train, test = next(FOLDS.split(X))
    model = DensityMLE(FAMILIES[0]).fit(X[train], sample_weight=WEIGHTS[train])
    expected = make()(model, X[test], sample_weight=WEIGHTS[test])
    assert weighted.cv_results_["split0_test_score"][0] == pytest.approx(expected, abs=1e-12)
    assert two.cv_results_["split0_test_mass"][0] == pytest.approx(expected, abs=1e-12)
    assert two.cv_results_["split0_test_none"][0] == pytest.approx(make()(model, X[test]), abs=1e-12)
    assert neg_cross_entropy._sample_weight is None  # asking makes a copy
