"""Dask on worker processes: every family as in memory, no rows on the way, and a worker that is killed changes nothing."""

import os
import signal

import numpy as np
import pandas as pd
import pytest

from fastkl import DensityMLE, SourceError, families
from fastkl.rows import Block
from fastkl.rows.dask.source import DaskSource

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")
da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")

# Tornado closes its sockets when the loop comes to it, and a killed worker closes nothing.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

N = 2000


@pytest.fixture(scope="module")
def client():
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("OMP_NUM_THREADS", raising=False)  # Dask then sets it for its workers
        yield from client_of_two_workers()


def client_of_two_workers():
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address="127.0.0.1:0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def drawn(name, n=N):
    cls = families.by_name(name)
    return np.ascontiguousarray(DensityMLE.from_parameters(name, **cls.example).sample(n, random_state=0))


@pytest.mark.parametrize("name", families.names())
def test_every_family_as_in_memory(client, name):
    X = drawn(name)
    weights = np.random.default_rng(1).integers(0, 3, N).astype(float)
    expected = DensityMLE(name).fit(X, sample_weight=weights)
    columns = [f"x{j}" for j in range(X.shape[1])]
    frame = pd.DataFrame(X, columns=columns).assign(w=weights)
    rows = dd.from_pandas(frame, npartitions=3).persist()
    model = DensityMLE(name).fit_batches(rows, sample_weight="w")
    assert list(model.feature_names_in_) == columns
    for key, value in expected.params_.items():
        found = model.params_[key]
        if isinstance(value, list):
            found, value = np.concatenate(found), np.concatenate(value)
        np.testing.assert_allclose(found, value, rtol=1e-10, atol=1e-10 * np.abs(value).max())
    score = model.score_batches(rows, sample_weight="w")
    np.testing.assert_allclose(score, expected.score(X, sample_weight=weights), rtol=1e-10)


def test_workers_give_the_same_bits_as_one_thread(client):
    X = np.random.default_rng(0).standard_t(4.0, size=(70000, 2))  # enough for a start on a sample
    x = da.from_array(X, chunks=(4000, 2))
    found = DensityMLE("student_t").fit_batches(x.persist())
    with dask.config.set(scheduler="sync"):
        alone = DensityMLE("student_t").fit_batches(x)
    memory = DensityMLE("student_t").fit(X)
    for name, value in memory.params_.items():
        np.testing.assert_array_equal(found.params_[name], alone.params_[name])
        np.testing.assert_allclose(found.params_[name], value, rtol=1e-10)


def count_bytes(dask_worker):
    """Have this worker count all that it sends: to other workers, to the scheduler, to the client."""
    from distributed.comm.tcp import TCP

    dask_worker.sent, write = 0, TCP.write

    async def counted(self, *args, **options):
        n_bytes = await write(self, *args, **options)
        dask_worker.sent += n_bytes
        return n_bytes

    TCP.write = counted


def test_only_partial_results_travel(client):
    x = da.random.default_rng(0).normal(size=(80000, 8), chunks=(5000, 8)).persist()
    distributed.wait(x)
    client.run(count_bytes)
    model = DensityMLE().fit_batches(x)
    score = model.score_batches(x)
    DensityMLE.from_parameters("student_t", df=[5.0] * 8, loc=[0.0] * 8, scale=[1.0] * 8).score_batches(x)
    lazy = model.score_samples_batches(x).persist()
    distributed.wait(lazy)
    np.testing.assert_allclose(lazy.mean().compute(), score, rtol=1e-12)
    sent = sum(client.run(lambda dask_worker: dask_worker.sent).values())
    assert x.nbytes == 5120000
    assert 0 < sent < 200000  # mostly what workers say about the state of their tasks
    x.sum(axis=0).compute()
    client.gather(client.compute(x[:5000]))
    assert sum(client.run(lambda dask_worker: dask_worker.sent).values()) > sent + 5000 * 64  # the count does see rows


def test_failures_on_workers_name_their_place(client, tmp_path):
    X = drawn("gamma")
    X[[1700, 1900], 1] = np.nan
    x = da.from_array(X, chunks=(500, 2)).persist()
    with pytest.raises(ValueError, match=r"Partition 3 of the Dask collection: .* NaN: row 1700 .*column 1"):
        DensityMLE("gamma").fit_batches(x)
    good = da.from_array(drawn("gamma"), chunks=(500, 2)).persist()
    model = DensityMLE("gamma").fit_batches(good)
    with pytest.raises(ValueError, match="Partition 3 .* row 1700"):
        model.score_samples_batches(x, tmp_path / "scores")
    assert list(tmp_path.iterdir()) == []
    model.score_samples_batches(good, tmp_path / "scores")
    assert len(list((tmp_path / "scores").iterdir())) == 4
    expected = model.score_samples(drawn("gamma"))
    np.testing.assert_allclose(pd.read_parquet(tmp_path / "scores")["log_density"], expected, rtol=1e-13)
    np.testing.assert_allclose(
        np.load(model.score_samples_batches(good, tmp_path / "scores.npy")), expected, rtol=1e-13
    )


def threads_in(block: Block):
    return {block.n_threads}


def test_a_task_has_the_threads_of_its_worker(client):
    x = da.from_array(drawn("gamma"), chunks=(500, 2))
    assert DaskSource(x).sum(threads_in, set.union) == {1}


def test_parameters_too_large_to_go_with_every_task(client):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 60))
    x = da.from_array(X, chunks=(500, 60)).persist()
    model = DensityMLE().fit(X)  # a covariance of 28,800 bytes
    np.testing.assert_allclose(model.score_batches(x), model.score(X), rtol=1e-12)


class KillOneWorker:
    """Progress that kills a worker when the rows of a pass are partly done, once."""

    def __init__(self, client, in_pass):
        self.client, self.passes, self.in_pass, self.killed = client, 0, in_pass, None

    def __call__(self, done, total):
        self.passes += done == total
        if self.passes == self.in_pass and self.killed is None:
            pids = self.client.run(os.getpid)
            address = sorted(pids)[0]
            self.killed = pids[address]
            os.kill(self.killed, signal.SIGKILL)


def test_a_killed_worker_changes_nothing(client):
    X = np.random.default_rng(0).standard_t(4.0, size=(30000, 2))
    x = (da.from_array(X, chunks=(1500, 2)) + 0.0).persist()  # half of it goes with the worker, and is computed anew
    distributed.wait(x)
    kill = KillOneWorker(client, in_pass=2)
    model = DensityMLE("student_t").fit_batches(x, progress=kill)
    assert kill.killed is not None
    assert kill.passes > 3  # there were passes to do after it
    client.wait_for_workers(2, timeout=30)
    assert kill.killed not in client.run(os.getpid).values()
    for name, value in DensityMLE("student_t").fit(X).params_.items():
        np.testing.assert_allclose(model.params_[name], value, rtol=1e-10)


def test_no_workers():
    with (
        dask.config.set({"fastkl.no-workers-timeout": "0.2s"}),
        distributed.LocalCluster(
            n_workers=0, processes=False, protocol="tcp://", host="127.0.0.1", dashboard_address="127.0.0.1:0"
        ) as cluster,
        distributed.Client(cluster),
        pytest.raises(SourceError, match=r"no workers for 0.2 seconds.*cluster\.scale"),
    ):
        DensityMLE("normal").fit_batches(da.from_array(drawn("normal"), chunks=(500, 2)))
