"""How many threads a call takes, and that a forked child neither hangs nor differs."""

import multiprocessing
import os
import subprocess
import sys

import joblib
import numpy as np
import pytest
import threadpoolctl

from fastkl import DensityMLE
from fastkl._core._threads import build_info, effective_n_threads

X = np.random.default_rng(0).normal(size=(60000, 3))


def test_numbers():
    most = effective_n_threads(None)
    assert 1 <= most <= joblib.cpu_count()
    assert effective_n_threads(1) == 1
    assert effective_n_threads(-1) == most
    assert effective_n_threads(-1000) == effective_n_threads(-(10**12)) == 1
    assert effective_n_threads(10**6) == (1024 if build_info()["openmp"] else 1)
    if build_info()["openmp"]:
        assert effective_n_threads(3) == 3


@pytest.mark.parametrize(
    ("bad", "error"), [(0, ValueError), (10**12, ValueError), (1.5, TypeError), ("2", TypeError), (True, TypeError)]
)
def test_bad_numbers(bad, error):
    with pytest.raises(error, match="n_jobs"):
        effective_n_threads(bad)


def test_environment_and_threadpoolctl():
    script = "from fastkl._core._threads import effective_n_threads as f; print(f())"
    out = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert out.stdout.strip() == "1"
    with threadpoolctl.threadpool_limits(1, user_api="openmp"):
        assert effective_n_threads() == 1


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_one_thread_inside_a_joblib_worker(backend):
    counts = joblib.Parallel(n_jobs=2, backend=backend)(joblib.delayed(effective_n_threads)() for _ in range(4))
    assert counts == [1, 1, 1, 1]


def _fit_in_child(queue):
    queue.put((effective_n_threads(), DensityMLE(n_jobs=2).fit(X).log_likelihood_))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning")
def test_fit_in_parent_then_fork_then_fit_in_child():
    expected = DensityMLE(n_jobs=2).fit(X).log_likelihood_
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_fit_in_child, args=(queue,))
    child.start()
    try:
        threads, found = queue.get(timeout=60)
    finally:
        child.terminate()
        child.join()
    assert threads == 1
    assert found == expected
    assert DensityMLE(n_jobs=2).fit(X).log_likelihood_ == expected


def test_build_info():
    info = build_info()
    assert set(info) == {"openmp", "instruction_set", "runtime_dispatch", "threads", "block_rows"}
    assert info["block_rows"] == 4096


FORKED = """
import multiprocessing
import numpy as np
from fastkl import KLDivergence, KernelDensityMLE
from fastkl.spatial import NeighborIndex

rng = np.random.default_rng(0)
found = {}
for d in (1, 3):
    P, Q = rng.normal(size=(6000, d)), rng.normal(0.5, 1.0, size=(8000, d))
    fitted, index = KLDivergence(n_jobs=2).fit(Q), NeighborIndex(Q, n_jobs=2)
    kernels = KernelDensityMLE(bandwidth=0.3, n_jobs=2).fit(Q)
    calls = {
        "estimate": lambda: float(fitted.estimate(P)),
        "query": lambda: index.query(P, 3).sum(),
        "count": lambda: int(index.count_self(np.full(len(Q), 0.1)).sum()),
        "kernels": lambda: float(kernels.score(P)),
    }
    for name, call in calls.items():
        expected, queue = call(), multiprocessing.get_context("fork").SimpleQueue()
        child = multiprocessing.get_context("fork").Process(target=lambda: queue.put(call()))
        child.start()
        child.join(20)
        if child.is_alive():
            child.kill()
            print(name, d, "hangs")
        else:
            assert queue.get() == expected == call(), (name, d)
print("done")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_what_was_fitted_in_the_parent_answers_in_a_forked_child():
    """Threads are asked for by every search, for those of the parent are not there."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED],
        env={**os.environ, "OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    assert done.stdout.split() == ["done"], done.stdout
