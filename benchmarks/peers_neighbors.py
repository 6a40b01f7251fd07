"""Nearest-neighbour engine against its peers, side by side in one run.

    python benchmarks/peers_neighbors.py [--threads 2] [--repeats 5] [--only d8 ...] [--large]

Ours is end to end: both indexes, the search within P, the search of P in Q, and the sum (d / n) sum log nu_k / rho_k.
The peers are charged for their two searches alone, on trees built beforehand; the best of them counts. Runs are
interleaved and medians are compared. ``--large`` adds one million rows: time per row against ten thousand rows, and the
peak of memory.
"""

import argparse
import resource
import statistics
import time

import numpy as np
from pykdtree.kdtree import KDTree
from scipy.spatial import cKDTree
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from fastkl.spatial import NeighborIndex

K = 5


def divergence(P, Q, n_threads):
    """KL(P || Q) from the k-th neighbours, in nats."""
    index_p, index_q = NeighborIndex(P, n_jobs=n_threads), NeighborIndex(Q, n_jobs=n_threads)
    rho, nu = index_p.kth_self(K, in_order=True), index_q.kth(index_p, K, in_order=True)
    return P.shape[1] * np.log(nu / rho).mean() + np.log(len(Q) / (len(P) - 1))


def common_radius(P, Q, n_threads):
    """The searches of the common-radius estimate: both k-th distances, then both counts at the greater one."""
    index_p, index_q = NeighborIndex(P, n_jobs=n_threads), NeighborIndex(Q, n_jobs=n_threads)
    radius = np.maximum(index_p.kth_self(K, in_order=True), index_q.kth(index_p, K, in_order=True))
    return index_p.count_self(radius, in_order=True), index_q.count(index_p, radius, in_order=True)


def peers(P, Q, n_threads):
    """The two searches of each peer that is not hopeless at this size."""
    d = P.shape[1]
    found = {}
    if d <= 5 or len(P) < 3000:
        own, other = cKDTree(P), cKDTree(Q)
        found["cKDTree"] = lambda: (own.query(P, K + 1, workers=n_threads), other.query(P, K, workers=n_threads))
    if d <= 10 or len(P) < 3000:
        own_p, other_p = KDTree(P), KDTree(Q)
        found["pykdtree"] = lambda: (own_p.query(P, K + 1), other_p.query(P, K))
    if d > 10:
        own_b, other_b = (NearestNeighbors(algorithm="brute", n_jobs=n_threads).fit(X) for X in (P, Q))
        found["sklearn brute"] = lambda: (own_b.kneighbors(P, K + 1), other_b.kneighbors(P, K))
    return found


def normal(n, d):
    rng = np.random.default_rng(d)
    return rng.standard_normal((n, d)), rng.standard_normal((n, d))


def digits():
    X = load_digits().data
    X = (X - X.mean(axis=0)) / np.where(X.std(axis=0) > 0, X.std(axis=0), 1.0)
    rows = np.random.default_rng(0).permutation(len(X))
    return X[rows[:898]], X[rows[898:]]


def clusters():
    rng = np.random.default_rng(0)
    centres = 10 * rng.standard_normal((50, 8))
    return tuple(centres[rng.integers(0, 50, 100_000)] + 0.1 * rng.standard_normal((100_000, 8)) for _ in range(2))


CASES = {
    f"d{d}": (lambda d=d: normal(100_000, d), goal)
    for d, goal in ((1, 10), (2, 2.5), (3, 2.5), (5, 3), (8, 5), (10, 5))
}
CASES |= {f"d{d}": (lambda d=d: normal(20_000, d), 3) for d in (16, 32, 64)}
CASES |= {"digits": (digits, 3), "clusters": (clusters, 4)}


def timed(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def compare(name, repeats, n_threads):
    make, goal = CASES[name]
    P, Q = make()
    calls = {"ours": lambda: divergence(P, Q, n_threads), "counts": lambda: common_radius(P, Q, n_threads)}
    calls |= peers(P, Q, n_threads)
    times = {label: [timed(call)] for label, call in calls.items()}  # a warm-up, kept where one call takes long
    for _ in range(repeats if sum(t[0] for t in times.values()) < 6 else 1):
        for label, call in calls.items():
            times[label].append(timed(call))
    middle = {label: statistics.median(t[1:]) for label, t in times.items()}
    ours, counts = middle.pop("ours"), middle.pop("counts")
    best = min(middle, key=middle.get)
    print(
        f"{name:9}{P.shape!s:>14}  ours {1e3 * ours:9.2f} ms   {best:>13} {1e3 * middle[best]:9.1f} ms   "
        f"{middle[best] / ours:6.2f}x (goal {goal}x)   common radius {counts / ours:5.2f} of ours",
        flush=True,
    )


def large(n_threads):
    seconds = {n: timed(lambda n=n: divergence(*normal(n, 3), n_threads)) for n in (10_000, 10_000, 100_000)}
    P, Q = normal(1_000_000, 3)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds[len(P)] = timed(lambda: divergence(P, Q, n_threads))
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    per_row = {n: s / n for n, s in seconds.items()}
    growth = per_row[len(P)] / per_row[10_000]
    print(f"d = 3, n = 10^6: {seconds[len(P)]:.2f} s; time per row x {growth:.2f} from 10^4 (log n: x 1.50)")
    print(f"memory beyond the samples: {peak / (P.nbytes + Q.nbytes):.2f} of the samples")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=list(CASES))
    parser.add_argument("--large", action="store_true")
    arguments = parser.parse_args()
    with threadpool_limits(arguments.threads):
        for case in arguments.only:
            compare(case, arguments.repeats, arguments.threads)
        if arguments.large:
            large(arguments.threads)
