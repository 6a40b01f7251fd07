"""Fits and scores by map and reduce: the same bits however the rows are split, the numbers of fit, and what goes wrong."""

import gc
import pickle
import threading
import weakref

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import FunctionTransformer

from fastkl import (
    DegenerateDataError,
    DensityMLE,
    KernelDensityMLE,
    MixtureMLE,
    ProductDensity,
    ShapeConstrainedMLE,
    SourceError,
    SupportError,
    TransformedDensity,
    families,
)
from fastkl.rows.map_reduce import block_rows
from tests.rows.known import Refilled

RNG = np.random.default_rng(0)
N = 70_001  # some blocks of 32,768 rows, and a piece


def finished(job, batches, numbers=None, send=lambda part: part):
    """The result of a job; parts come in reverse order where batches have numbers."""
    while not job.done:
        if numbers is None:
            job.reduce([send(job.map(batch)) for batch in batches])
        else:
            job.reduce([send(job.map(batch, k)) for batch, k in reversed(list(zip(batches, numbers, strict=True)))])
    return job.finish()


def splits(X):
    n = len(X)
    at = np.sort(np.random.default_rng(1).integers(0, n, 5))
    return [[X], np.array_split(X, 3), np.split(X, at), [X[:1], X[1:1], X[1:]]]


def same(first, second):
    assert first.params_.keys() == second.params_.keys()
    for name, value in first.params_.items():
        np.testing.assert_array_equal(value, second.params_[name])
    assert first.log_likelihood_ == second.log_likelihood_


def rows_of(family, n):
    """Rows of the family, from a density with parameters that a fit to a few plain rows gives."""
    one = families.by_name(family)()
    if one.labels:
        return np.array(list("abcab"), dtype=object)[RNG.integers(0, 5, n)][:, None]
    if family in ("multivariate_normal", "multivariate_t"):
        return RNG.standard_t(5.0, size=(n, 2))
    if family == "von_mises_fisher":
        X = RNG.normal(size=(n, 3)) + 0.5
        return X / np.linalg.norm(X, axis=1, keepdims=True)
    if family == "dirichlet":
        return RNG.dirichlet([1.0, 2.0, 3.0], n)
    if family == "multinomial":
        return RNG.multinomial(7, [0.2, 0.3, 0.5], n).astype(float)
    if family in ("beta_binomial", "dirichlet_multinomial"):
        shares = RNG.dirichlet([2.0, 3.0], n)
        return np.array([RNG.multinomial(9, share) for share in shares]).astype(float)
    if family == "beta":
        return RNG.beta(2.0, 3.0, size=(n, 1))
    if family == "bernoulli":
        return RNG.integers(0, 2, size=(n, 1)).astype(float)
    if family == "zero_inflated_poisson":
        return (RNG.poisson(2.0, size=(n, 1)) * RNG.integers(0, 2, size=(n, 1))).astype(float)
    if one.discrete:
        return RNG.negative_binomial(3, 0.4, size=(n, 1)).astype(float) + (family == "geometric")
    if family == "pareto":
        return 1.0 + RNG.pareto(3.0, size=(n, 1))
    if family in ("normal", "student_t", "cauchy", "laplace", "logistic", "gumbel", "skew_normal", "von_mises"):
        return RNG.standard_t(8.0, size=(n, 1)) % (2 * np.pi) if family == "von_mises" else RNG.normal(size=(n, 1))
    return RNG.gamma(2.0, size=(n, 1))


@pytest.mark.parametrize("family", families.names())
def test_every_family_gives_the_same_bits_for_every_split_and_the_numbers_of_fit(family, monkeypatch):
    monkeypatch.setattr("fastkl.rows.map_reduce.MOST_ROWS", 256)
    X = rows_of(family, 2003)
    found = [finished(DensityMLE(family).start(), batches) for batches in splits(X)[:3]]
    for other in found[1:]:
        same(found[0], other)
    wanted = DensityMLE(family).fit(X)
    assert found[0].log_likelihood_ == pytest.approx(wanted.log_likelihood_, rel=1e-10)
    errors, expected = found[0].standard_errors_, wanted.standard_errors_
    for name, value in expected.items():
        np.testing.assert_allclose(errors[name], value, rtol=1e-4)


@pytest.mark.parametrize("family", ["gamma", "weibull"])
def test_weights_numbers_bytes_and_types(family):
    X, w = RNG.gamma(2.0, size=(N, 1)), RNG.integers(0, 3, N).astype(float)
    first = finished(DensityMLE(family).start(), [(X, w)])
    frame = pd.DataFrame({"x": X[:, 0], "w": w, "name": "a"})
    job = DensityMLE(family).start(columns=["x"], sample_weight="w")
    by_name = finished(job, [frame[:50_000], frame[50_000:]], [3, 8], bytes)
    same(first, by_name)
    assert list(by_name.feature_names_in_) == ["x"]
    wanted = DensityMLE(family).fit(X, sample_weight=w)
    np.testing.assert_allclose(first.params_["shape"], wanted.params_["shape"], rtol=1e-9)


def test_iterators_queries_and_paths(tmp_path):
    X = RNG.gamma(2.0, size=(N, 1))
    first = finished(DensityMLE("weibull").start(), [X])
    np.save(tmp_path / "a.npy", X[:40_000])
    np.save(tmp_path / "b.npy", X[40_000:])
    same(first, finished(DensityMLE("weibull").start(), [tmp_path / "a.npy", str(tmp_path / "b.npy")]))
    job = DensityMLE("weibull").start()
    lazy = pl.DataFrame({"x": X[:30_000, 0]}).lazy()
    while not job.done:
        chunks = (pl.DataFrame({"x": X[k : k + 7001, 0]}) for k in range(30_000, N, 7001))
        job.reduce([job.map(iter(()), 2), job.map(chunks, 1), job.map(lazy, 0)])
    same(first, job.finish())


def test_a_batch_that_is_an_object_which_fills_one_array_again_and_again():
    X = RNG.gamma(2.0, size=(20_000, 1))
    wanted = finished(DensityMLE("weibull").start(), [X])
    same(wanted, finished(DensityMLE("weibull").start(), [Refilled(X, batch_rows=3000)]))


def test_batches_that_hold_the_same():
    X = RNG.gamma(2.0, size=(20_000, 1))
    batches = [X, X[:0], X[:7], X, X[7:9000], X[:7]]
    found = finished(DensityMLE("weibull").start(), batches)
    same(found, finished(DensityMLE("weibull").start(), [np.concatenate(batches)]))


def test_scores():
    X, w = RNG.normal(size=(N, 2)), RNG.uniform(size=N)
    frame = pd.DataFrame(X, columns=["a", "b"])
    model = DensityMLE().fit(frame)
    scores = [finished(model.start_score(), batches) for batches in ([(X, w)], [(X[:9], w[:9]), (X[9:], w[9:])])]
    assert float(scores[0]) == float(scores[1])
    assert scores[0].standard_error == scores[1].standard_error
    assert float(scores[0]) == pytest.approx(model.score(frame, None, w), rel=1e-12)
    turned = pd.DataFrame({"c": 0.0, "b": X[:, 1], "a": X[:, 0]})
    assert float(finished(model.start_score(), [turned])) == pytest.approx(model.score(frame), rel=1e-12)


def test_products_transformed_densities_and_mixtures():
    X = np.column_stack([RNG.gamma(2.0, size=N), RNG.poisson(3.0, size=N)])
    product = ProductDensity([("wait", DensityMLE("gamma"), [0]), ("visits", DensityMLE("poisson"), [1])])
    found = [finished(product.start(), batches) for batches in splits(X)[:3]]
    assert len({one.log_likelihood_ for one in found}) == 1
    assert found[0].log_likelihood_ == pytest.approx(product.fit(X).log_likelihood_, rel=1e-12)
    log = FunctionTransformer(np.log, np.exp)
    behind = TransformedDensity(log, DensityMLE("normal"))
    ends = [finished(behind.start(), batches) for batches in splits(X[:, :1])[:3]]
    assert len({one.log_likelihood_ for one in ends}) == 1
    assert ends[0].log_likelihood_ == pytest.approx(behind.fit(X[:, :1]).log_likelihood_, rel=1e-10)
    Y = np.concatenate([RNG.normal(size=(3000, 1)), RNG.normal(6.0, size=(2000, 1))])
    RNG.shuffle(Y)
    mixture = MixtureMLE(2, family="normal", random_state=0)
    ends = [finished(mixture.start(), batches) for batches in ([Y], np.array_split(Y, 4))]
    same(*ends)
    assert ends[0].log_likelihood_ == pytest.approx(mixture.fit(Y).log_likelihood_, rel=1e-10)


def test_missing_values():
    X = RNG.normal(size=(9000, 2))
    X[::7, 0] = np.nan
    found = [finished(DensityMLE().start(), batches) for batches in ([X], np.array_split(X, 4))]
    same(*found)
    np.testing.assert_allclose(found[0].params_["covariance"], DensityMLE().fit(X).params_["covariance"], rtol=1e-8)


def test_only_sums_travel_after_the_rows_between_batches_have():
    X = RNG.weibull(1.5, size=(400_000, 1))
    job, sizes = DensityMLE("weibull").start(), []
    while not job.done:
        parts = [bytes(job.map(batch)) for batch in np.array_split(X, 4)]
        sizes.append(max(map(len, parts)))
        assert len(pickle.dumps(job.map)) < 4000
        job.reduce(parts)
    counted, sampled, edges = sizes[:3]
    assert counted < 500
    assert sampled < 8 * 65_536
    assert edges < 2 * 8 * block_rows(1) + 4000
    assert max(sizes[3:]) < 4000


def test_a_map_is_pure_and_travels_under_the_name_it_has():
    X = RNG.gamma(2.0, size=(100, 1))
    job = DensityMLE("gamma").start()
    sent = pickle.loads(pickle.dumps(job))
    assert bytes(job.map(X)) == bytes(job.map(X)) == bytes(sent.map(X))


def test_the_estimator_stays_and_an_abandoned_job_ends():
    model = DensityMLE("gamma").fit(RNG.gamma(2.0, size=(100, 1)))
    before = dict(model.params_)
    job = model.start()
    threads = [thread for thread in threading.enumerate() if thread.name == "fastkl job"]
    assert threads
    gone = weakref.ref(job)
    del job
    gc.collect()
    assert gone() is None
    for thread in threads:
        thread.join(10.0)
        assert not thread.is_alive()
    assert model.params_ == before


def test_warnings_come_out():
    job = DensityMLE("weibull", max_iter=1).start()
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        finished(job, [RNG.weibull(1.5, size=(90_000, 1)) ** 2])


@pytest.mark.parametrize(
    ("batches", "error", "text"),
    [
        ([[[1.0]], [[-1.0]]], SupportError, "row 1, column 0"),
        ([[[1.0]], [[np.nan]]], ValueError, "row 1"),
        ([[[1.0]], [[1.0]]], DegenerateDataError, "maximum"),
        ([[[1.0]], [[1.0, 2.0]]], SourceError, "Batch 1 has 2 columns"),
        ([pd.DataFrame({"a": [1.0]}), pd.DataFrame({"b": [2.0]})], SourceError, "Batch 1 has the columns"),
        ([iter([[1.0]])], SourceError, r"job.map\(batch, number\)"),
        ([np.empty((0, 2))], SourceError, "no rows"),
        ([3.5], TypeError, "A source is"),
    ],
)
def test_bad_batches(batches, error, text):
    job = DensityMLE("gamma").start()
    with pytest.raises(error, match=text):
        finished(job, batches)
    assert job.done
    with pytest.raises(RuntimeError, match="ended with an error"):
        job.finish()


def test_passes_that_do_not_belong_together():
    X = RNG.gamma(2.0, size=(100, 1))

    def second_pass(first, second):
        job = DensityMLE("gamma").start()
        job.reduce([job.map(*batch) for batch in first])
        job.reduce([job.map(*batch) for batch in second])

    with pytest.raises(SourceError, match="not there in the first pass"):
        second_pass([(X,)], [(X + 1.0,)])
    with pytest.raises(SourceError, match="had 100 rows in the first pass and has 50"):
        second_pass([(X, 0)], [(X[:50], 0)])
    with pytest.raises(SourceError, match="number 1 has 0 parts"):
        second_pass([(X, 0), (X, 1)], [(X, 0)])
    with pytest.raises(SourceError, match="number 0 has 2 parts"):
        second_pass([(X, 0), (X, 1)], [(X, 0), (X, 1), (X, 0)])
    with pytest.raises(SourceError, match="A batch has 2 columns"):
        second_pass([(X, 0)], [(np.hstack([X, X]), 0)])
    with pytest.raises(SourceError, match="others have none"):
        second_pass([(X, 0), (X,)], [])
    with pytest.raises(SourceError, match="Several batches have the number 0"):
        second_pass([(X, 0), (X, 0)], [])
    with pytest.raises(ValueError, match="whole number"):
        second_pass([(X, 0.5)], [])


def test_calls_out_of_turn():
    job = DensityMLE("gamma").start()
    with pytest.raises(RuntimeError, match="further pass"):
        job.finish()
    with pytest.raises(TypeError, match="what map gave"):
        job.reduce([3])
    for unreadable in (b"x", bytes(4), pickle.dumps(3)):
        with pytest.raises(TypeError, match="what map gave"):
            job.reduce([unreadable])
    X = RNG.gamma(2.0, size=(100, 1))
    finished(job, [X])
    with pytest.raises(RuntimeError, match="no further pass"):
        job.map(X)
    with pytest.raises(RuntimeError, match="no further pass"):
        job.reduce([])
    with pytest.raises(ValueError, match="no family named"):
        finished(DensityMLE("no such family").start(), [X])
    with pytest.raises(TypeError, match="name of a column"):
        DensityMLE("gamma").start(sample_weight=np.ones(100))
    for keeps_rows in (KernelDensityMLE(), ShapeConstrainedMLE(), ShapeConstrainedMLE("decreasing", lower=-1.0)):
        with pytest.raises(SourceError, match="use fit_batches"):
            finished(keeps_rows.start(), [X])


@pytest.mark.parametrize("send", [lambda part: part, bytes])
def test_parts_of_another_pass_or_job(send):
    """Those of two jobs over batches of one length fit each other: the numbers of the other rows came out."""
    X = RNG.gamma(2.0, size=(9000, 1))
    ours, theirs = DensityMLE("student_t").start(), DensityMLE("student_t").start()

    def parts(job, scale):
        return [send(job.map(scale * batch, k)) for k, batch in enumerate(np.array_split(X, 3))]

    for job, scale in ((ours, 1.0), (theirs, 2.0)):
        counted = parts(job, scale)
        job.reduce(counted)
    with pytest.raises(SourceError, match="Part 0 is of an earlier pass of this job"):
        theirs.reduce(counted)
    with pytest.raises(SourceError, match="Part 2 is of another job"):
        ours.reduce(parts(ours, 1.0)[:2] + parts(theirs, 2.0)[2:])
    while not ours.done:  # the right ones may still be given
        ours.reduce(parts(ours, 1.0))
    same(ours.finish(), finished(DensityMLE("student_t").start(), [X]))


@pytest.mark.parametrize("given", [None, 3, b"part", lambda job, X: job.map(X), lambda job, X: bytes(job.map(X))])
def test_parts_that_are_no_list(given):
    job, X = DensityMLE("gamma").start(), RNG.gamma(2.0, size=(100, 1))
    with pytest.raises(TypeError, match="a list of what map gave, one part for each batch, not"):
        job.reduce(given(job, X) if callable(given) else given)
    finished(job, [X])
