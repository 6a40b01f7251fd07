"""Nearest-neighbour engine against its peers, side by side in one run.

    python benchmarks/peers_neighbors.py [--threads 2] [--repeats 5] [--only d8 ...] [--faiss] [--large]

Ours is end to end: both indexes, the search within P, the search of P in Q, and the sum (d / n) sum log nu_k / rho_k.
The peers are charged for their two searches alone, on trees built beforehand; the best of them counts. Beside it, as multiples
of ours: the searches of the common radius, and ``kl_divergence`` by "common_radius" and by "knn", with standard error, verdict
and checks. Runs are interleaved and medians are compared. ``--faiss`` adds faiss's exhaustive search (IndexFlatL2) in many
columns, with its divergence on shifted data; its graph indexes are approximate and no peers of exact searches. ``--large`` adds
one million rows: time per row against ten thousand rows, and the peak of memory of each call in a process of its own.
"""

import argparse
import multiprocessing
import re
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from pykdtree.kdtree import KDTree
from scipy.spatial import cKDTree
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from fastkl import DegenerateDataError, kl_divergence
from fastkl.divergence import kl_divergence_batches
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


def runs(call):
    """Whether a call has an answer: "knn" refuses rows that are repeated."""
    try:
        call()
    except DegenerateDataError:
        return False
    return True


def compare(name, repeats, n_threads):
    make, goal = CASES[name]
    P, Q = make()
    calls = {"ours": lambda: divergence(P, Q, n_threads), "counts": lambda: common_radius(P, Q, n_threads)}
    whole = {
        method: lambda method=method: kl_divergence(P, Q, method=method, n_jobs=n_threads)
        for method in ("common_radius", "knn")
    }
    calls |= {method: call for method, call in whole.items() if runs(call)}
    calls |= peers(P, Q, n_threads)
    times = {label: [timed(call)] for label, call in calls.items()}  # a warm-up, kept where one call takes long
    for _ in range(repeats if sum(t[0] for t in times.values()) < 6 else 1):
        for label, call in calls.items():
            times[label].append(timed(call))
    middle = {label: statistics.median(t[1:]) for label, t in times.items()}
    ours, counts = middle.pop("ours"), middle.pop("counts")
    calls_of_ours = ", ".join(f"{name} {middle.pop(name) / ours:.2f}" for name in whole if name in middle)
    best = min(middle, key=middle.get)
    print(
        f"{name:9}{P.shape!s:>14}  ours {1e3 * ours:9.2f} ms   {best:>13} {1e3 * middle[best]:9.1f} ms   "
        f"{middle[best] / ours:6.2f}x (goal {goal}x)   common radius {counts / ours:5.2f} of ours"
        f"   with error: {calls_of_ours}",
        flush=True,
    )


def faiss_divergence(faiss, P, Q):
    """The same estimate from faiss's exhaustive search, which keeps and computes in float32."""
    d = P.shape[1]
    P32, Q32 = P.astype(np.float32), Q.astype(np.float32)
    own, other = faiss.IndexFlatL2(d), faiss.IndexFlatL2(d)
    own.add(P32)
    other.add(Q32)
    # A row is its own first neighbour, at distance 0 or whatever the rounding makes of it.
    rho, nu = own.search(P32, K + 1)[0][:, K], other.search(P32, K)[0][:, K - 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return 0.5 * d * np.log(nu / rho).mean(dtype=np.float64) + np.log(len(Q) / (len(P) - 1))


def against_faiss(repeats, n_threads):
    try:
        import faiss
    except ImportError:
        print("faiss is not installed (pip install faiss-cpu): no comparison with it")
        return
    faiss.omp_set_num_threads(n_threads)
    for d in (16, 32, 64):
        P, Q = normal(20_000, d)
        ours, theirs = [], []
        for _ in range(repeats):
            ours.append(timed(lambda P=P, Q=Q: divergence(P, Q, n_threads)))
            theirs.append(timed(lambda P=P, Q=Q: faiss_divergence(faiss, P, Q)))
        mine, other = statistics.median(ours), statistics.median(theirs)
        print(
            f"d{d:<8}{P.shape!s:>14}  ours {1e3 * mine:9.2f} ms   faiss IndexFlatL2 {1e3 * other:9.1f} ms   "
            f"{other / mine:5.2f}x   values {divergence(P, Q, n_threads):.6f} and {faiss_divergence(faiss, P, Q):.6f}",
            flush=True,
        )
    P, Q = (X[:5000] for X in normal(20_000, 16))
    exact = divergence(P, Q, n_threads)
    for shift in (0.0, 1e4, 1e6):
        ours, theirs = divergence(P + shift, Q + shift, n_threads), faiss_divergence(faiss, P + shift, Q + shift)
        print(
            f"d = 16 shifted by {shift:7.0f}: error of ours {ours - exact:+.1e} nats, of faiss {theirs - exact:+.1e} nats"
        )


def status(entry):
    """Kilobytes of an entry of this process's status."""
    return int(re.search(rf"{entry}:\s+(\d+)", Path("/proc/self/status").read_text()).group(1))


def measured(name, n, d, n_threads):
    """Seconds and peak of memory of one call beyond what the process holds before it, relative to both samples."""
    P, Q = normal(n, d)
    size = P.nbytes + Q.nbytes
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(n_threads):
        if name == "batches":
            for label, X in (("p", P), ("q", Q)):
                np.save(f"{folder}/{label}.npy", X)
            P, Q = (np.load(f"{folder}/{label}.npy", mmap_mode="r") for label in "pq")
        calls = {
            "batches": lambda: kl_divergence_batches(P, Q, shard_rows=n // 4, n_jobs=n_threads),
            "searches": lambda: divergence(P, Q, n_threads),
        }
        call = calls.get(name, lambda: kl_divergence(P, Q, method=name, n_jobs=n_threads))
        kl_divergence(P[:3000], Q[:3000], n_jobs=n_threads)
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        before = status("VmRSS")
        seconds = timed(call)
        return seconds, (status("VmHWM") - before) * 1024 / size


def large(n_threads):
    seconds = {n: timed(lambda n=n: divergence(*normal(n, 3), n_threads)) for n in (10_000, 10_000, 100_000)}
    spawn = multiprocessing.get_context("spawn")
    cases = [
        ("searches", 1_000_000, 3),
        ("common_radius", 1_000_000, 3),
        ("knn", 1_000_000, 3),
        ("bias_reduced", 1_000_000, 3),
        ("common_radius", 1_000_000, 1),
        ("batches", 1_000_000, 3),
    ]
    for name, n, d in cases:
        with spawn.Pool(1) as pool:
            taken, peak = pool.apply(measured, (name, n, d, n_threads))
        print(
            f"{name:13} d = {d}, n = m = {n}: {taken:6.2f} s, memory beyond the samples {peak:.2f} of them (goal 3)",
            flush=True,
        )
        if name == "searches":
            growth = taken / n / (seconds[10_000] / 10_000)
            print(f"time per row x {growth:.2f} from 10^4 rows (log n: x 1.50)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=list(CASES))
    parser.add_argument("--faiss", action="store_true")
    parser.add_argument("--large", action="store_true")
    arguments = parser.parse_args()
    with threadpool_limits(arguments.threads):
        for case in arguments.only:
            compare(case, arguments.repeats, arguments.threads)
        if arguments.faiss:
            against_faiss(arguments.repeats, arguments.threads)
        if arguments.large:
            large(arguments.threads)
