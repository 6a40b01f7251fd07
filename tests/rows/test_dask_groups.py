"""Which partitions share a task: every one once, none away from its worker, and none where nothing is gained or known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastkl import DensityMLE
from fastkl.rows.dask.groups import TASK_BYTES, grouped, groups_of
from fastkl.rows.dask.partitions import open_partitions

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")
da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")

MB = 1 << 20
pytestmark = [pytest.mark.filterwarnings("ignore::ResourceWarning")]


def numbers_in(groups):
    return sorted(number for group in groups for number in group)


def test_what_lies_together_is_one_task():
    places = ["a", "b", "a", "b", "a", "b"]
    assert grouped([{place} for place in places], [MB] * 6, {"a": 1, "b": 1}, 16) == [[0, 2, 4], [1, 3, 5]]


def test_every_thread_has_a_task():
    assert grouped([{"a"}] * 8, [MB] * 8, {"a": 4}, 16) == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert grouped([{"a"}] * 3, [MB] * 3, {"a": 8}, 16) == [[0], [1], [2]]


def test_large_partitions_stay_alone():
    assert grouped([{"a"}] * 3, [TASK_BYTES] * 3, {"a": 1}, 16) == [[0], [1], [2]]
    assert grouped([{"a"}] * 4, [TASK_BYTES // 2] * 4, {"a": 1}, 16) == [[0, 1], [2, 3]]
    assert grouped([{"a"}] * 4, [TASK_BYTES // 2] * 4, {"a": 2}, 16) == [[0], [1], [2], [3]]


def test_unknown_places_stay_alone():
    places = [{"a"}, set(), {"a"}, {"gone"}]
    assert grouped(places, [MB] * 4, {"a": 1}, 16) == [[0, 2], [1], [3]]


def test_copies_even_out_the_load():
    assert grouped([{"a", "b"}] * 4, [MB] * 4, {"a": 1, "b": 1}, 16) == [[0, 2], [1, 3]]


def test_partitions_without_bytes():
    assert numbers_in(grouped([{"a"}] * 3, [0, 0, 0], {"a": 1}, 16)) == [0, 1, 2]


@given(
    st.lists(st.tuples(st.sets(st.sampled_from("abc")), st.integers(0, TASK_BYTES)), min_size=1, max_size=60),
    st.integers(1, 4),
    st.integers(1, 16),
)
def test_laws_of_groups(partitions, threads, within):
    places, n_bytes = zip(*partitions, strict=True)
    groups = grouped(places, n_bytes, dict.fromkeys("abc", threads), within)
    assert numbers_in(groups) == list(range(len(places)))
    assert groups == sorted(groups)
    for group in groups:
        assert group == sorted(group)
        assert len({number // within for number in group}) == 1
        assert len(group) == 1 or set.intersection(*(places[number] for number in group))
        sizes = [n_bytes[number] for number in group]
        # the middles of the first and the last lie within the share of a thread
        assert len(group) == 1 or sum(sizes) <= TASK_BYTES / threads + max(sizes)


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None, protocol="inproc://"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def placed(client, X, chunk, start=0):
    """A persisted array whose partitions lie on the two workers in turn, from the first of them or the second."""
    workers = sorted(client.nthreads())[:: -1 if start else 1]
    name = f"rows-{np.random.default_rng().integers(1 << 60)}"
    starts = range(0, len(X), chunk)
    futures = {}
    for i, first in enumerate(starts):
        key = (name, i, *(0,) * (X.ndim - 1))
        futures[key] = client.submit(np.array, X[first : first + chunk], key=key, workers=[workers[i % 2]])
    distributed.wait(list(futures.values()))
    chunks = (tuple(len(X[first : first + chunk]) for first in starts), *((d,) for d in X.shape[1:]))
    return da.Array(futures, name, chunks=chunks, dtype=X.dtype)


def groups(collection, weights=None):
    return groups_of(open_partitions(collection, None, weights, False), 4)


def test_persisted_neighbours_share_a_task(client):
    X = np.random.default_rng(0).normal(size=(600, 2))
    x = placed(client, X, 100)
    assert groups(x) == [[0, 2], [1, 3], [4], [5]]
    assert groups(x, placed(client, np.ones(600), 100)) == [[0, 2], [1, 3], [4], [5]]
    elsewhere = placed(client, np.ones(600), 100, start=1)
    assert groups(x, elsewhere) == [[number] for number in range(6)]  # no worker holds both
    assert groups(x, np.ones(600)) == [[number] for number in range(6)]  # weights from here lie on no worker
    assert groups(x + 1.0) == [[number] for number in range(6)]
    with dask.config.set(scheduler="sync"):
        assert groups(x) == [[number] for number in range(6)]


def test_persisted_frames(client):
    import pandas as pd

    frame = dd.from_pandas(pd.DataFrame({"a": np.arange(100.0), "b": 1.0}), npartitions=8).persist()
    distributed.wait(frame)
    found = groups(frame)
    assert numbers_in(found) == list(range(8))
    assert len(found) < 8


def late(number, started):
    started.wait(30)
    return np.ones((10, 2))


def test_what_is_not_there_yet_stays_alone(client):
    started = distributed.Event()
    futures = {("late", i, 0): client.submit(late, i, started, key=("late", i, 0)) for i in range(3)}
    x = da.Array(futures, "late", chunks=((10,) * 3, (2,)), dtype=float)
    try:
        assert groups(x) == [[0], [1], [2]]
    finally:
        started.set()
    distributed.wait(list(futures.values()))
    assert numbers_in(groups(x)) == [0, 1, 2]


@pytest.mark.parametrize("family", ["normal", "student_t"])
def test_groups_change_no_bit(client, monkeypatch, family):
    X = np.random.default_rng(0).standard_t(5.0, size=(2000, 2))
    x = placed(client, X, 50)
    used = []
    monkeypatch.setattr("fastkl.rows.dask.source.groups_of", lambda *args: used.append(groups_of(*args)) or used[-1])
    model = DensityMLE(family).fit_batches(x)
    assert len(used[0]) < 10 < 40 == len(numbers_in(used[0]))
    with dask.config.set(scheduler="sync"):
        alone = DensityMLE(family).fit_batches(da.from_array(X, chunks=(50, 2)))
    for name, value in alone.params_.items():
        np.testing.assert_array_equal(model.params_[name], value)


def test_failures_in_a_group_name_their_partition(client):
    X = np.random.default_rng(0).gamma(2.0, size=(600, 2))
    X[[450, 250], 1] = np.nan
    with pytest.raises(ValueError, match=r"Partition 2 of the Dask collection: .*row 250 .*column 1"):
        DensityMLE("gamma").fit_batches(placed(client, X, 100))


def test_progress_counts_the_rows_of_a_group(client):
    X, told = np.random.default_rng(0).normal(size=(600, 2)), []
    DensityMLE("normal").fit_batches(placed(client, X, 100), progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (600, 600)
    assert all(done <= 600 for done, _ in told)
