"""Dask collections on the schedulers of this process: the same numbers as in memory, and messages that name the partition."""

import operator
import pickle

import numpy as np
import pandas as pd
import pytest

from fastkl import DensityMLE, SourceError, families
from fastkl._core.rows import Rows
from fastkl.rows import Block, open_source
from fastkl.rows.dask import tasks as dask_tasks
from fastkl.rows.dask.schedulers import threads_of_local_tasks
from fastkl.rows.dask.source import FAN_IN, DaskSource

da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")
dask = pytest.importorskip("dask")

N = 3000


@pytest.fixture(scope="module", name="X")
def rows():
    return np.random.default_rng(0).gamma(2.0, size=(N, 3)) * [1.0, 10.0, 0.1]


@pytest.fixture(scope="module")
def weights():
    return np.random.default_rng(1).integers(0, 4, N).astype(float)


def frame_of(X, **columns):
    return pd.DataFrame(X, columns=["a", "b", "c"]).assign(**columns)


def same(found, expected, rtol=1e-12):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=rtol)


# -- fits and scores -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheduler", ["sync", "threads"])
@pytest.mark.parametrize("family", ["gamma", "student_t", "multivariate_normal"])
def test_array_as_in_memory(X, weights, scheduler, family):
    expected = DensityMLE(family).fit(X, sample_weight=weights)
    x = da.from_array(X, chunks=(701, 2))  # columns are in two chunks
    with dask.config.set(scheduler=scheduler):
        model = DensityMLE(family).fit_batches(x, sample_weight=da.from_array(weights, chunks=500))
        score = model.score_batches(x, sample_weight=weights)
    same(model.params_, expected.params_)
    assert score == pytest.approx(expected.score(X, sample_weight=weights), rel=1e-12)
    assert score.n_samples == np.count_nonzero(weights)
    same(model.standard_errors_, expected.standard_errors_, rtol=1e-8)


def test_the_order_of_sums_does_not_depend_on_the_scheduler(X):
    x = da.from_array(X, chunks=(120, 3))  # more partitions than one task merges
    assert x.numblocks[0] > FAN_IN
    found = []
    for options in (
        {"scheduler": "sync"},
        {"scheduler": "threads", "num_workers": 1},
        {"scheduler": "threads", "num_workers": 7},
    ):
        with dask.config.set(**options):
            found.append(DensityMLE("student_t").fit_batches(x))
    for other in found[1:]:
        assert all(np.array_equal(found[0].params_[name], other.params_[name]) for name in ("df", "loc", "scale"))
        assert found[0].log_likelihood_ == other.log_likelihood_


def test_frame_with_names_and_a_column_of_weights(X, weights):
    frame = dd.from_pandas(frame_of(X, w=weights, label="x"), npartitions=5)
    model = DensityMLE("gamma").fit_batches(frame, columns=["c", "a"], sample_weight="w")
    expected = DensityMLE("gamma").fit(X[:, [2, 0]], sample_weight=weights)
    same(model.params_, expected.params_)
    assert list(model.feature_names_in_) == ["c", "a"]
    # scoring takes the columns of the fit by name, in whatever order they come
    assert model.score_batches(frame, sample_weight=frame["w"]) == pytest.approx(
        expected.score(X[:, [2, 0]], sample_weight=weights), rel=1e-12
    )


def test_integers_missing_types_and_labels():
    frame = pd.DataFrame({"n": pd.array([1, 2, 3, 4] * 50, dtype="Int32"), "x": np.arange(200, dtype="float32")})
    model = DensityMLE("normal").fit_batches(dd.from_pandas(frame, npartitions=3))
    same(model.params_, DensityMLE("normal").fit(frame.astype("float64")).params_)
    labels = pd.DataFrame({"a": ["x", "y", "y", "z"] * 20, "b": ["u", "v"] * 40})
    fitted = DensityMLE("categorical").fit_batches(dd.from_pandas(labels, npartitions=3))
    expected = DensityMLE("categorical").fit(labels)
    for column in range(2):
        np.testing.assert_array_equal(fitted.categories_[column], expected.categories_[column])
        np.testing.assert_allclose(fitted.params_["probabilities"][column], expected.params_["probabilities"][column])


def test_float32_stays(X):
    source = DaskSource(da.from_array(X.astype(np.float32), chunks=(1000, 3)))
    assert source.sum(type_of, first) == np.float32


def type_of(block: Block):
    return block.X.dtype


def first(a, b):
    return a


def rows_in(block: Block):
    return len(block.X)


def longest(a, b):
    return max(a, b)


def places(block: Block):
    return [(block.first_row, len(block.X), block.number)]


def test_partitions_are_cut_into_blocks(X):
    source = DaskSource(da.from_array(X, chunks=(1200, 3)), block_rows=500)
    assert source.sum(rows_in, longest) == 500
    expected = [
        (0, 500, 0),
        (500, 500, 0),
        (1000, 200, 0),
        (1200, 500, 1),
        (1700, 500, 1),
        (2200, 200, 1),
        (2400, 500, 2),
        (2900, 100, 2),
    ]
    assert source.sum(places, operator.add) == expected
    blocks = list(source.blocks())
    assert [(block.first_row, len(block.X), block.number) for block in blocks] == expected
    np.testing.assert_array_equal(np.concatenate([block.X for block in blocks]), X)


def test_empty_partitions_and_unknown_lengths(X):
    x = da.from_array(X, chunks=(100, 3))
    large = x[x[:, 0] > 4.0]  # partitions of unknown length, some of them empty
    some = da.concatenate([large, x[x[:, 0] < 0.0]])
    kept = X[X[:, 0] > 4.0]
    same(DensityMLE("normal").fit_batches(some).params_, DensityMLE("normal").fit(kept).params_)
    source = DaskSource(some)
    assert source.n_rows is None
    assert source.sum(rows_in, operator.add) == len(kept) == source.n_rows


def test_no_rows(X):
    x = da.from_array(X, chunks=(100, 3))
    with pytest.raises(SourceError, match="holds no rows"):
        DensityMLE("normal").fit_batches(x[:0])
    with pytest.raises(SourceError, match="all its partitions are empty"):
        DensityMLE("normal").fit_batches(x[x[:, 0] < 0.0])


def test_sample_is_that_of_memory_and_has_its_weights(X, weights):
    x = da.from_array(X, chunks=(701, 3))
    sample = DaskSource(x).sample(300)
    np.testing.assert_array_equal(sample.index, Rows(X).sample(300).index)
    np.testing.assert_array_equal(sample.X, X[sample.index])
    positive = np.flatnonzero(weights)
    source = open_source(dd.from_pandas(frame_of(X, w=weights), npartitions=4), weights="w", block_rows=100)
    sample = source.sample(50)
    np.testing.assert_array_equal(sample.index, positive[Rows(X[positive]).sample(50).index])
    np.testing.assert_array_equal(sample.X, X[sample.index])
    np.testing.assert_array_equal(sample.weights, weights[sample.index])
    np.testing.assert_array_equal(DaskSource(x).sample(1000).X, X)


def test_progress_counts_rows(X):
    told = []
    DensityMLE("normal").fit_batches(
        da.from_array(X, chunks=(1000, 3)), progress=lambda done, total: told.append((done, total))
    )
    assert told[-1] == (N, N)
    assert {done for done, _ in told} == {1000, 2000, 3000}


def test_blocks_come_one_partition_at_a_time(X):
    read = []
    x = da.from_array(X, chunks=(1000, 3)).map_blocks(
        lambda chunk: read.append(1) or chunk, dtype=float, meta=np.empty((0, 0))
    )
    blocks = DaskSource(x).blocks()
    next(blocks)
    assert len(read) == 1
    assert sum(len(block.X) for block in blocks) == 2000


@pytest.mark.parametrize("name", families.names())
def test_merges_change_nothing_they_are_given(name, monkeypatch):
    """A task that is repeated, because a worker was lost, finds the partial results of others as they were."""
    merge_parts, merged = dask_tasks.merge_parts, []

    def checked(merge, parts):
        before = pickle.dumps(parts)
        whole = merge_parts(merge, parts)
        assert pickle.dumps(parts) == before
        merged.append(len(parts))
        return whole

    monkeypatch.setattr(dask_tasks, "merge_parts", checked)
    draws = DensityMLE.from_parameters(name, **families.by_name(name).example).sample(500, random_state=0)
    with dask.config.set(scheduler="sync"):
        DensityMLE(name).fit_batches(da.from_array(draws, chunks=(100, -1)))
    assert set(merged) == {5}


# -- scores of every row -------------------------------------------------------------------------------------------------------


def test_lazy_log_densities(X):
    computed = []
    x = da.from_array(X, chunks=(701, 3)).map_blocks(
        lambda chunk: computed.append(1) or chunk, dtype=float, meta=np.empty((0, 0))
    )
    model = DensityMLE("gamma").fit(X)
    scores = model.score_samples_batches(x)
    assert not computed
    assert scores.chunks == ((701, 701, 701, 701, 196),)
    np.testing.assert_allclose(scores.compute(), model.score_samples(X), rtol=1e-13)
    np.testing.assert_allclose((scores - scores.mean()).sum().compute(), 0.0, atol=1e-7)
    unknown = model.score_samples_batches(dd.from_pandas(frame_of(X), npartitions=3), columns=["a", "b", "c"])
    np.testing.assert_allclose(unknown.compute(), model.score_samples(X), rtol=1e-13)


@pytest.mark.parametrize("name", ["scores.npy", "scores.parquet", "scores"])
def test_log_densities_to_files(X, tmp_path, name):
    model = DensityMLE("gamma").fit(X)
    out = model.score_samples_batches(da.from_array(X, chunks=(701, 3)), tmp_path / name)
    assert out == tmp_path / name
    assert [path.name for path in tmp_path.iterdir()] == [name]
    found = np.load(out) if name.endswith("npy") else pd.read_parquet(out)["log_density"].to_numpy()
    np.testing.assert_allclose(found, model.score_samples(X), rtol=1e-13)


@pytest.mark.parametrize("name", ["scores.npy", "scores.parquet", "scores"])
def test_nothing_is_left_of_a_failed_file(X, tmp_path, name):
    bad = X.copy()
    bad[2000, 1] = np.nan
    with pytest.raises(ValueError, match=r"Partition 2 of the Dask collection.* row 2000 .*column 1"):
        DensityMLE("gamma").fit(X).score_samples_batches(da.from_array(bad, chunks=(701, 3)), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_not_overwritten(X, tmp_path):
    (tmp_path / "scores").mkdir()
    with pytest.raises(FileExistsError, match="scores"):
        DensityMLE("gamma").fit(X).score_samples_batches(da.from_array(X, chunks=(701, 3)), tmp_path / "scores")


def test_robust_errors_take_a_pass_of_their_own(X):
    model = DensityMLE("normal", robust_errors=True).fit_batches(da.from_array(X, chunks=(701, 3)))
    same(model.robust_standard_errors_, DensityMLE("normal").fit(X).robust_standard_errors(X), rtol=1e-9)


# -- threads -------------------------------------------------------------------------------------------------------------------


def threads_in(block: Block):
    return [block.n_threads]


def test_tasks_times_threads_is_what_is_allowed(X, monkeypatch):
    monkeypatch.setattr("fastkl.rows.dask.schedulers.effective_n_threads", lambda n_jobs: 8)
    for options, tasks, threads in [
        ({"scheduler": "sync"}, 5, 8),
        ({"scheduler": "threads", "num_workers": 4}, 5, 2),
        ({"scheduler": "threads", "num_workers": 4}, 2, 4),
        ({"scheduler": "threads", "num_workers": 16}, 100, 1),
        ({"scheduler": "processes"}, 5, 1),
    ]:
        with dask.config.set(**options):
            assert threads_of_local_tasks(tasks) == threads
    with dask.config.set(scheduler="sync"):
        assert DaskSource(da.from_array(X, chunks=(1500, 3))).sum(threads_in, operator.add) == [8, 8]


def test_blas_threads_are_as_before(X):
    from threadpoolctl import threadpool_info

    before = [(pool["filepath"], pool["num_threads"]) for pool in threadpool_info()]
    with dask.config.set(scheduler="threads", num_workers=4):
        DensityMLE().fit_batches(da.from_array(X, chunks=(100, 3)))
    assert [(pool["filepath"], pool["num_threads"]) for pool in threadpool_info()] == before
