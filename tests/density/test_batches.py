"""Fits and scores of rows in batches: for every family what memory gives, whatever the batches, weights, types and threads."""

import itertools
import pickle
import re

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from fastkl import (
    DegenerateDataError,
    DensityMLE,
    KernelDensityMLE,
    ProductDensity,
    ShapeConstrainedMLE,
    SourceError,
    SupportError,
    TransformedDensity,
)
from fastkl._core.means import Mean
from fastkl.density.base import BaseDensity
from tests.families.discovered import density_of, examples, unfitted

N = 3000
CUTS = [0, 1, 2, 700, 701, 1900, 2999, N]  # uneven, and some of a single row


@pytest.fixture(params=examples())
def distribution(request):
    return density_of(request.param)


def cut(X, *more):
    parts = [tuple(a[i:j] for a in (X, *more)) for i, j in itertools.pairwise(CUTS)]
    return [part[0] if len(part) == 1 else part for part in parts]


def assert_same_fit(a, b, rtol=1e-10):
    assert list(a.params_) == list(b.params_)
    for name, value in a.params_.items():
        np.testing.assert_allclose(value, b.params_[name], rtol=rtol, atol=1e-12, err_msg=name)
    np.testing.assert_allclose(a.log_likelihood_, b.log_likelihood_, rtol=rtol)
    assert a.converged_ == b.converged_
    assert a.boundary_ == b.boundary_
    assert a.n_features_in_ == b.n_features_in_
    assert list(a.standard_errors_) == list(b.standard_errors_)
    for name, error in a.standard_errors_.items():
        # second derivatives by differences lose some digits
        np.testing.assert_allclose(error, b.standard_errors_[name], rtol=1e-6, err_msg=name)


# -- what holds for every family -----------------------------------------------------------------------------------------


def test_fit_is_that_in_memory(distribution):
    X = distribution.sample(N, random_state=0)
    assert_same_fit(unfitted(distribution).fit(X), unfitted(distribution).fit_batches(cut(X)))


def test_weighted_fit_is_that_in_memory(distribution):
    X = distribution.sample(N, random_state=1)
    w = np.random.default_rng(2).uniform(0.2, 3.0, N)
    w[:2] = w[705:1800] = 0.0  # whole batches without weight, and a part of one
    expected = unfitted(distribution).fit(X, sample_weight=w)
    assert_same_fit(expected, unfitted(distribution).fit_batches(cut(X, w)))
    assert_same_fit(expected, unfitted(distribution).fit_batches(cut(X), sample_weight=w))


def test_scores_are_those_in_memory(distribution):
    X = distribution.sample(N, random_state=3)
    w = np.random.default_rng(4).uniform(0.0, 3.0, N)
    rows = distribution.score_samples(X)
    for weights in (None, w):
        found = distribution.score_batches(cut(X), sample_weight=weights)
        np.testing.assert_allclose(found, distribution.score(X, sample_weight=weights), rtol=1e-12)
        mass = np.ones(N) if weights is None else w
        size = mass.sum() ** 2 / np.sum(mass**2)
        square = np.sum((mass * (rows - np.average(rows, weights=mass))) ** 2) / mass.sum() ** 2 * size / (size - 1.0)
        np.testing.assert_allclose(found.standard_error, np.sqrt(square), rtol=1e-9, atol=1e-12)
        assert found.n_samples == np.count_nonzero(mass)
    np.testing.assert_array_equal(
        distribution.score_samples_batches(cut(X)), np.concatenate([distribution.score_samples(x) for x in cut(X)])
    )


def test_result_does_not_depend_on_threads(distribution, tmp_path):
    if distribution.family_.labels:
        pytest.skip("labels come from tables; see below")
    np.save(tmp_path / "X.npy", distribution.sample(N, random_state=5))
    fits = []
    for n_jobs in (1, 4):
        model = unfitted(distribution).set_params(n_jobs=n_jobs)
        fits.append(model.fit_batches(tmp_path / "X.npy", batch_rows=331))
    for name, value in fits[0].params_.items():
        np.testing.assert_array_equal(value, fits[1].params_[name])
    first, second = (fit.score_batches(tmp_path / "X.npy", batch_rows=331) for fit in fits)
    assert (float(first), first.standard_error) == (float(second), second.standard_error)


def test_float32(distribution):
    if distribution.family_.labels:
        pytest.skip("labels have no precision")
    X = distribution.sample(N, random_state=6).astype(np.float32)
    try:
        expected = unfitted(distribution).fit(X)
    except SupportError:  # unit vectors rounded, proportions that no longer add up
        with pytest.raises(SupportError):
            unfitted(distribution).fit_batches(cut(X))
        return
    assert_same_fit(expected, unfitted(distribution).fit_batches(cut(X)))


def test_a_value_that_is_not_finite_is_named(distribution):
    if distribution.family_.labels:
        pytest.skip("a missing label; see below")
    X = distribution.sample(N, random_state=7).astype(float)
    model = unfitted(distribution).fit(X)
    missing = distribution.family_.takes_missing  # then NaN is no error, and infinity still is
    X[1902, 1] = np.inf if missing else np.nan
    before = dict(vars(model))
    for call in (
        unfitted(distribution).fit_batches,
        model.fit_batches,
        model.score_batches,
        model.score_samples_batches,
    ):
        with pytest.raises(ValueError, match=r"contains (NaN|infinity): row 1902 \(batch 5\), column 1"):
            call(cut(X))
    assert {k: id(v) for k, v in vars(model).items()} == {k: id(v) for k, v in before.items()}


# -- what a fit leaves -----------------------------------------------------------------------------------------------------


def test_fit_from_a_table_learns_the_names():
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 2)), columns=["height", "width"])
    model = DensityMLE("normal").fit_batches([table[:20], table[20:]])
    assert model.feature_names_in_.tolist() == ["height", "width"]
    assert_same_fit(DensityMLE("normal").fit(table), model)
    with pytest.raises(SourceError, match="no column 'width'; its columns are 'height', 'depth'"):
        model.score_batches(table.rename(columns={"width": "depth"}))
    wider = table.assign(depth=1.0)[["depth", "width", "height"]]
    assert float(model.score_batches(wider)) == pytest.approx(model.score(table), rel=1e-13)
    model.fit_batches(table.to_numpy())
    assert not hasattr(model, "feature_names_in_")


def test_robust_errors_take_one_more_pass_of_the_fit(tmp_path):
    X = np.random.default_rng(1).gamma(2.0, size=(900, 2))
    w = np.random.default_rng(2).uniform(0.5, 2.0, 900)
    np.save(tmp_path / "X.npy", X)
    for family in ("gamma", "weibull"):
        expected = DensityMLE(family).fit(X, sample_weight=w)
        model = DensityMLE(family, robust_errors=True)
        model.fit_batches(tmp_path / "X.npy", sample_weight=w, batch_rows=100)
        np.testing.assert_allclose(model.robust_covariance_of_params_, expected.robust_covariance(X, w), rtol=1e-7)
        np.testing.assert_allclose(model.tic(X, w), expected.tic(X, w), rtol=1e-9)
    assert pickle.loads(pickle.dumps(model)).params_.keys() == model.params_.keys()
    with pytest.raises(SourceError, match="robust_errors=True the fit passes over the rows several times"):
        DensityMLE("gamma", robust_errors=True).fit_batches(iter([X]))


def test_prior():
    X = np.random.default_rng(3).gamma(2.0, size=(N, 2))
    for family in ("gamma", "weibull"):
        model = DensityMLE(family, prior="default")
        assert_same_fit(clone(model).fit(X), model.fit_batches(cut(X)), rtol=1e-8)


def test_labels(tmp_path):
    rng = np.random.default_rng(4)
    table = pd.DataFrame({"animal": rng.choice(["cat", "dog"], N), "size": rng.choice(["big", "small", "tiny"], N)})
    table.to_parquet(tmp_path / "labels.parquet")
    table.to_csv(tmp_path / "labels.csv", index=False)
    expected = DensityMLE("categorical").fit(table)
    sources = [table, tmp_path / "labels.parquet", tmp_path / "labels.csv", [table[:10], table[10:]]]
    for source in sources:
        model = DensityMLE("categorical").fit_batches(source, batch_rows=1000)
        assert [c.tolist() for c in model.categories_] == [c.tolist() for c in expected.categories_]
        assert_same_fit(expected, model)
        assert float(model.score_batches(source)) == pytest.approx(expected.score(table), rel=1e-13)
    table.loc[1234, "size"] = None
    table.to_parquet(tmp_path / "labels.parquet")
    with pytest.raises(ValueError, match=r"row 1234 \(batch 1\), column 1 \('size'\) holds None"):
        expected.fit_batches(tmp_path / "labels.parquet", batch_rows=1000)


def test_far_from_zero():
    """Sums about the mean: rows at 1e8 with a spread of 1, in batches whose means differ."""
    X = 1e8 + np.sort(np.random.default_rng(5).normal(size=(N, 2)), axis=0)
    model = DensityMLE().fit_batches(cut(X))
    # the rounding of a mean near 1e8
    np.testing.assert_allclose(model.params_["covariance"], np.cov(X.T, bias=True), rtol=5e-8)
    values = np.sort(1e6 + np.random.default_rng(6).normal(size=N))
    parts = [Mean.of(part.copy()) for part in cut(values)]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    assert total.value == pytest.approx(values.mean(), rel=1e-15)
    assert total.variance(np.inf) == pytest.approx(values.var(), rel=1e-9)


# -- scores ----------------------------------------------------------------------------------------------------------------


def test_outside_the_support():
    model = DensityMLE.from_parameters("uniform", low=[0.0], high=[1.0])
    found = model.score_batches([np.full((3, 1), 0.5), np.array([[0.5], [2.0]])])
    assert float(found) == -np.inf
    assert np.isnan(found.standard_error)
    assert model.score_samples_batches([np.array([[0.5], [2.0]])]).tolist() == [0.0, -np.inf]


def test_rows_too_far_out_for_a_variance():
    distribution = DensityMLE.from_parameters("normal", loc=[0.0], scale=[1.0])
    for weights in (None, np.array([1.0, 2.0])):
        found = distribution.score_batches(np.array([[0.0], [1e100]]), sample_weight=weights)
        assert float(found) == pytest.approx(distribution.score([[0.0], [1e100]], sample_weight=weights), rel=1e-12)
        assert found.standard_error == np.inf


def test_one_row_has_no_standard_error():
    model = DensityMLE.from_parameters("normal", loc=[0.0], scale=[1.0])
    found = model.score_batches([[0.0]])
    assert float(found) == pytest.approx(-0.9189385332046727, rel=1e-15)
    assert np.isnan(found.standard_error)


def test_moments_of_nothing_but_weight_zero():
    model = DensityMLE.from_parameters("normal", loc=[0.0], scale=[1.0])
    with pytest.raises(ValueError, match="zero in every row"):
        model.score_batches([(np.zeros((3, 1)), np.zeros(3)), (np.ones((2, 1)), np.zeros(2))])
    with pytest.raises(ValueError, match="zero in every row"):
        DensityMLE("normal").fit_batches(np.zeros((3, 1)), sample_weight=np.zeros(3))
    with pytest.raises(ValueError, match="zero in every row"):
        DensityMLE("weibull").fit_batches(np.zeros((3, 1)), sample_weight=np.zeros(3))


class Shifted(BaseDensity):
    """A density that is no family: it learns a mean by ``partial_fit`` and scores by ``score_samples``."""

    def partial_fit(self, X, y=None, sample_weight=None):
        w = np.ones(len(X)) if sample_weight is None else sample_weight
        self.total_ = getattr(self, "total_", 0.0) + w @ X
        self.weight_ = getattr(self, "weight_", 0.0) + w.sum()
        self.n_features_in_ = X.shape[1]
        return self

    def score_samples(self, X):
        return -np.sum((np.asarray(X) - self.total_ / self.weight_) ** 2, axis=1)


class Fixed(BaseDensity):
    """One that cannot learn from blocks."""


def test_other_densities():
    X = np.random.default_rng(7).normal(size=(N, 2))
    w = np.random.default_rng(8).uniform(0.5, 2.0, N)
    model = Shifted().fit_batches(cut(X, w))
    np.testing.assert_allclose(model.total_ / model.weight_, np.average(X, axis=0, weights=w), rtol=1e-12)
    model.fit_batches(cut(X))  # from nothing, not on top of what was there
    assert model.weight_ == N
    expected = model.score_samples(X)
    assert float(model.score_batches(cut(X))) == pytest.approx(expected.mean(), rel=1e-13)
    np.testing.assert_array_equal(model.score_samples_batches(cut(X)), expected)
    assert not hasattr(Fixed(), "fit_batches")
    assert hasattr(DensityMLE("weibull"), "fit_batches")


@pytest.mark.parametrize(
    ("density", "why"),
    [
        (ProductDensity([("h", DensityMLE("logistic"), [0])]), "of group 'h', DensityMLE.*has none. Take fit"),
        (ProductDensity([("k", KernelDensityMLE(), [0])]), "of group 'k', KernelDensityMLE.*has none. Take fit"),
        (TransformedDensity(StandardScaler(), DensityMLE("normal")), "StandardScaler.* learns from all rows"),
        (TransformedDensity(FunctionTransformer(np.log), DensityMLE("logistic")), "DensityMLE.* has no partial_fit"),
    ],
)
@pytest.mark.parametrize("method", ["fit_batches", "start", "partial_fit"])
def test_what_does_not_learn_from_blocks_says_why(density, why, method):
    with pytest.raises(AttributeError) as told:
        getattr(density, method)
    assert re.search(why, f"{told.value} {told.value.__cause__}")


@pytest.mark.parametrize("method", ["partial_fit", "merge"])
def test_a_family_that_iterates_says_why_rows_cannot_be_added(method):
    with pytest.raises(AttributeError) as told:
        getattr(DensityMLE("student_t"), method)
    assert "no sufficient statistics" in f"{told.value} {told.value.__cause__}"


# -- what goes wrong -------------------------------------------------------------------------------------------------------


def test_iterator_is_refused_before_it_is_read():
    taken = []

    def batches():
        for i in range(3):
            taken.append(i)
            yield np.random.default_rng(i).weibull(2.0, size=(100, 1))

    with pytest.raises(SourceError, match="no sufficient statistics.*read once"):
        DensityMLE("weibull").fit_batches(batches())
    assert taken == []
    whole = np.concatenate(list(batches()))
    assert_same_fit(DensityMLE("weibull").fit(whole), DensityMLE("weibull").fit_batches(batches))
    assert_same_fit(DensityMLE("gamma").fit(whole), DensityMLE("gamma").fit_batches(batches()))


def test_errors_of_families_name_the_row_in_the_source():
    X = np.random.default_rng(9).gamma(2.0, size=(N, 2))
    X[1950, 0] = -1.0
    for family in ("gamma", "weibull"):
        with pytest.raises(SupportError, match=r"row 1950 \(batch 5\), column 0"):
            DensityMLE(family).fit_batches(cut(X))
    constant = pd.DataFrame({"a": np.arange(10.0), "b": np.ones(10)})
    with pytest.raises(DegenerateDataError, match=r"olumn 1 \('b'\)"):
        DensityMLE("normal").fit_batches([constant[:5], constant[5:]])


def test_columns_other_than_those_of_the_fit():
    model = DensityMLE("normal").fit(np.random.default_rng(10).normal(size=(20, 3)))
    with pytest.raises(SourceError, match="has 2 columns, DensityMLE was fitted to 3"):
        model.score_batches(np.zeros((5, 2)))
    assert np.isfinite(model.score_batches(np.zeros((5, 4)), columns=[0, 2, -1]))


def test_failure_in_a_later_pass_leaves_the_estimator():
    X = np.random.default_rng(11).weibull(2.0, size=(N, 1))
    model = DensityMLE("weibull").fit(X)
    before = dict(vars(model))
    passes = []

    def batches():
        passes.append(1)
        yield X[:1500]
        if len(passes) == 3:
            raise RuntimeError("the connection was lost")
        yield X[1500:]

    with pytest.raises(RuntimeError, match="connection"):
        model.fit_batches(batches)
    assert vars(model) == before
    passes.clear()

    def shrinking():
        passes.append(1)
        yield X[: N - len(passes)]

    with pytest.raises(SourceError, match="does not start anew"):
        model.fit_batches(shrinking)
    assert vars(model) == before


@pytest.mark.parametrize("density", [DensityMLE("normal"), KernelDensityMLE("scott"), ShapeConstrainedMLE()])
def test_a_source_without_rows_is_not_one_without_weight(density):
    with pytest.raises(SourceError, match="holds no rows"):
        clone(density).fit_batches([np.empty((0, 2)), np.empty((0, 2))])
    with pytest.raises(ValueError, match="zero in every row"):
        clone(density).fit_batches([np.ones((4, 2))], sample_weight=np.zeros(4))
