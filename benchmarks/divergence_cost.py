"""What the default estimate of KL costs beside the two searches and the common radius that it corrects, side by side in one run.

    python benchmarks/divergence_cost.py [--threads 2] [--repeats 5] [--rows 1000 100000 1000000] [--errors]

Normal samples, lognormal ones (compared in normal scores), clusters and heavy tails, for which mixtures are tried, and a fifth
of zeros in every column, for which the regression is the estimate. The searches are those of five neighbours, on indexes built
within the measure; runs are interleaved, and medians are compared. ``--errors`` adds the root mean square error of the default
beside that of the common radius over 8 samples, where the truth is known.
"""

import argparse
import statistics
import time

import numpy as np

from fastkl import kl_divergence
from fastkl.spatial import NeighborIndex

K = 5


def normal(rng, n, d):
    return rng.normal(size=(n, d)), rng.normal(0.3, 1.2, size=(n, d))


def lognormal(rng, n, d):
    return tuple(np.exp(X) for X in normal(rng, n, d))


def clusters(rng, n, d):
    X, Y = normal(rng, n, d)
    X[:, 0] += np.where(rng.random(n) < 0.5, -3.0, 3.0)
    Y[:, 0] += np.where(rng.random(n) < 0.3, -3.0, 3.0)
    return X, Y


def zeros(rng, n, d):
    return tuple(X * (rng.random(X.shape) < 0.8) for X in normal(rng, n, d))


def heavy_tails(rng, n, d):
    return rng.standard_t(3, size=(n, d)), rng.normal(0.3, 1.2, size=(n, d))


KINDS = {"normal": normal, "lognormal": lognormal, "clusters": clusters, "heavy tails": heavy_tails, "zeros": zeros}
# KL of N(0, 1) from N(.3, 1.2^2), in each column; log is a bijection
TRUTH = np.log(1.2) + (1.0 + 0.09) / (2.0 * 1.44) - 0.5


def seconds(call):
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def searches(X, Y, threads):
    p, q = NeighborIndex(X, n_jobs=threads), NeighborIndex(Y, n_jobs=threads)
    return p.kth_self(K), q.kth(p, K)


def cost(kind, n, d, threads, repeats):
    X, Y = KINDS[kind](np.random.default_rng(0), n, d)
    calls = [
        lambda: searches(X, Y, threads),
        lambda: kl_divergence(X, Y, method="common_radius", n_jobs=threads),
        lambda: kl_divergence(X, Y, n_jobs=threads),
    ]
    for call in calls:
        call()
    times = [[seconds(call) for call in calls] for _ in range(repeats)]
    two, common, default = (statistics.median(column) for column in zip(*times, strict=True))
    print(
        f"{kind:12s} n = m = {n:<9,d} d = {d}: searches {1e3 * two:8.1f} ms, common radius {1e3 * common:8.1f} ms, "
        f"default {1e3 * default:8.1f} ms; default / searches {default / two:5.1f}, default / common radius "
        f"{default / common:5.1f}, common radius / searches {common / two:4.1f}",
        flush=True,
    )


def errors(n, d, threads):
    for kind in ("normal", "lognormal"):
        found = []
        for seed in range(8):
            X, Y = KINDS[kind](np.random.default_rng([n, d, seed]), n, d)
            both = [kl_divergence(X, Y, method=method, n_jobs=threads) for method in ("assisted", "common_radius")]
            found.append([float(estimate) - d * TRUTH for estimate in both])
        ours, plain = np.sqrt(np.mean(np.square(found), axis=0))
        print(f"{kind:12s} n = m = {n:<9,d} d = {d}: error {ours:.4f}, of common radius {plain:.4f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 100_000, 1_000_000])
    parser.add_argument("--errors", action="store_true")
    arguments = parser.parse_args()
    for rows in arguments.rows:
        for columns in (1, 3, 5) if rows <= 1000 else (3,):
            for name in KINDS:
                cost(name, rows, columns, arguments.threads, arguments.repeats)
            if arguments.errors:
                errors(rows, columns, arguments.threads)
