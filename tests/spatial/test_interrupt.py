"""Ctrl-C in the middle of a search: it stops there, and the tree is as it was."""

import gc
import signal
import threading

import numpy as np
import pytest

from fastkl.divergence._labels import LANES
from fastkl.divergence.significance.random_labels import neighbor_statistic, over_permutations
from fastkl.spatial._balls import ball
from fastkl.spatial._tree import Tree

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="timers of POSIX")

N, D, K = 150_000, 12, 5  # seconds of work


@pytest.fixture
def interrupt():
    """A SIGINT after 0.15 seconds, which is heeded also in a process that was started to ignore it (in the background)."""
    assert threading.current_thread() is threading.main_thread()
    heeded = signal.signal(signal.SIGINT, signal.default_int_handler)
    before = signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    gc.collect()  # a KeyboardInterrupt in the callback of a weak reference that dies would be ignored by Python
    signal.setitimer(signal.ITIMER_REAL, 0.15)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    signal.signal(signal.SIGALRM, before)
    signal.signal(signal.SIGINT, heeded)


@pytest.fixture(scope="module")
def tree():
    return Tree(np.random.default_rng(0).normal(size=(N, D)), 704, True, True, 1)


def test_neighbours(tree, interrupt):
    found = np.full(N, np.nan)
    with pytest.raises(KeyboardInterrupt):
        tree.nearest(tree, K, True, True, False, 1.0, 0, N, None, found)
    assert 0 < np.count_nonzero(np.isnan(found)) < N
    again = np.empty(300)
    tree.nearest(tree, K, True, True, True, 1.0, 0, 256, None, again)
    row = tree.order[:256]
    distances = np.sort(np.linalg.norm(tree.X[None, row[7]] - tree.X, axis=1))
    assert again[7] == pytest.approx(distances[K], rel=1e-12)


def test_balls(tree, interrupt):
    count = np.full(N, -1)
    with pytest.raises(KeyboardInterrupt):
        ball(tree, tree, np.full(N, 3.5), True, False, 1.0, 0, N, None, None, count, None)
    assert 0 < np.count_nonzero(count == -1) < N


def test_permutations(interrupt):
    """Groups of permutations that have not begun are not waited for."""
    reached = []

    def statistic(labels):
        reached.append(len(labels))
        return neighbor_statistic(labels, neighbors)[np.newaxis]

    rng = np.random.RandomState(1)
    neighbors = rng.randint(0, 20_000, (20_000, 10)).astype(np.int32)
    groups = 2000
    with pytest.raises(KeyboardInterrupt):
        over_permutations(statistic, (10_000, 10_000), groups * LANES, rng, 1)
    assert 0 < len(reached) < groups
