"""Kernel densities side by side with scikit-learn, scipy and, where it is installed, statsmodels.

    python benchmarks/peers_kde.py            # all of it
    python benchmarks/peers_kde.py million    # a million references and a million queries in one to three columns
    python benchmarks/peers_kde.py peers      # 20,000 x 20,000 against scikit-learn and scipy, many columns
    python benchmarks/peers_kde.py likelihood # bandwidths by leave-one-out likelihood, against statsmodels
    python benchmarks/peers_kde.py truth      # the densities of Marron and Wand: integrated squared error, kernels shifted or not

Every run checks what it times: log-densities against direct sums at random queries and at the most extreme ones.
"""

import sys
import time

import numpy as np
from scipy.special import logsumexp
from scipy.stats import gaussian_kde, norm
from sklearn.neighbors import KernelDensity

from fastkl import KernelDensityMLE
from fastkl._core import _vector_math
from fastkl.density.kernel.bandwidths.leave_one_out import LeaveOneOut


def timed(function, *args):
    began = time.perf_counter()
    result = function(*args)
    return result, time.perf_counter() - began


def worst(model, X, queries, scores, chosen):
    """Largest difference from the direct sum at the chosen queries."""
    h = np.broadcast_to(model.bandwidth_, X.shape[1])
    constant = np.log(len(X)) + np.log(h).sum() + 0.5 * X.shape[1] * np.log(2.0 * np.pi)
    direct = [logsumexp(-0.5 * np.sum(((X - queries[i]) / h) ** 2, axis=1)) - constant for i in chosen]
    return float(np.max(np.abs(scores[chosen] - direct)))


def million(n=1_000_000):
    print(f"{n:,} references, {n:,} queries, Silverman's rule, error=1e-6")
    rng = np.random.default_rng(0)
    for d in (1, 2, 3):
        X, queries = rng.normal(size=(n, d)), rng.normal(size=(n, d))
        model = KernelDensityMLE("silverman", error=1e-6).fit(X)
        scores, seconds = timed(model.score_samples, queries)
        chosen = np.concatenate([rng.choice(n, 200), np.argsort(scores)[:100]])
        off = worst(model, X, queries, scores, chosen)
        few = 200 if d < 3 else 100
        _, peer = timed(gaussian_kde(X[:100_000].T).logpdf, queries[:few].T)
        pairs = peer / (few * 100_000.0) * float(n) ** 2
        print(
            f"  d={d}  {seconds:7.2f} s   largest error {off:.1e}   gaussian_kde by pair count {pairs / seconds:,.0f} times"
        )


def peers():
    print("20,000 references, 20,000 queries (100,000 references in 16 columns), h = 0.3, default settings")
    rng = np.random.default_rng(0)
    values = -30.0 * rng.random(1_000_000)
    rate = len(values) / min(timed(_vector_math.exp, values)[1] for _ in range(5))
    for d, m in ((1, 20_000), (2, 20_000), (5, 20_000), (10, 20_000), (16, 100_000)):
        n = 20_000
        X, queries = rng.normal(size=(m, d)), rng.normal(size=(n, d))
        model = KernelDensityMLE(0.3).fit(X)
        scores, seconds = timed(model.score_samples, queries)
        off = worst(model, X, queries, scores, np.arange(50))
        few = n // 20
        _, tree = timed(KernelDensity(bandwidth=0.3).fit(X).score_samples, queries[:few])
        _, scipys = timed(gaussian_kde(X.T).logpdf, queries[: few // 4].T)
        print(
            f"  d={d:<2}  {seconds:7.2f} s   largest error {off:.1e}   scikit-learn {20.0 * tree / seconds:7.1f} times   "
            f"gaussian_kde {80.0 * scipys / seconds:7.1f} times   bare exp on one thread {m * n / rate / seconds:.2f} of it"
        )


def likelihood():
    print("bandwidths by leave-one-out likelihood, one for each column")
    rng = np.random.default_rng(0)
    for n, d in ((2_000, 4), (100_000, 2)):
        X = rng.normal(size=(n, d))
        model, seconds = timed(KernelDensityMLE().fit, X)
        _, slopes = LeaveOneOut(X, None, "gaussian", 1).mean(np.log(model.bandwidth_))
        print(
            f"  n={n:,} d={d}  {seconds:7.2f} s   {model.bandwidth_.round(5)}   largest slope {np.abs(slopes).max():.1e} a row"
        )
    try:
        from statsmodels.nonparametric.kernel_density import KDEMultivariate
    except ImportError:
        print("  statsmodels is not installed")
        return
    X = rng.normal(size=(2000, 4))
    model, seconds = timed(KernelDensityMLE().fit, X)
    other, peer = timed(lambda: KDEMultivariate(X, "cccc", bw="cv_ml"))
    at_theirs = KernelDensityMLE(other.bw).fit(X).leave_one_out().sum()
    print(
        f"  n=2,000 d=4: statsmodels {peer / seconds:.0f} times as long, {other.bw.round(4)}, here {model.bandwidth_.round(4)}, "
        f"log-likelihood {at_theirs:.4f}, here {model.loo_log_likelihood_:.4f}"
    )


# J. S. Marron and M. P. Wand, Annals of Statistics 20, 1992, table 1: weights, means, standard deviations
MARRON_WAND = {
    "normal": ([1], [0], [1]),
    "skewed unimodal": ([1 / 5, 1 / 5, 3 / 5], [0, 1 / 2, 13 / 12], [1, 2 / 3, 5 / 9]),
    "strongly skewed": ([1 / 8] * 8, [3 * ((2 / 3) ** k - 1) for k in range(8)], [(2 / 3) ** k for k in range(8)]),
    "kurtotic unimodal": ([2 / 3, 1 / 3], [0, 0], [1, 1 / 10]),
    "outlier": ([1 / 10, 9 / 10], [0, 0], [1, 1 / 10]),
    "bimodal": ([1 / 2] * 2, [-1, 1], [2 / 3] * 2),
    "separated bimodal": ([1 / 2] * 2, [-3 / 2, 3 / 2], [1 / 2] * 2),
    "skewed bimodal": ([3 / 4, 1 / 4], [0, 3 / 2], [1, 1 / 3]),
    "trimodal": ([9 / 20, 9 / 20, 1 / 10], [-6 / 5, 6 / 5, 0], [3 / 5, 3 / 5, 1 / 4]),
    "claw": ([1 / 2] + [1 / 10] * 5, [0] + [k / 2 - 1 for k in range(5)], [1] + [1 / 10] * 5),
    "double claw": (
        [49 / 100] * 2 + [1 / 350] * 7,
        [-1, 1] + [(k - 3) / 2 for k in range(7)],
        [2 / 3] * 2 + [1 / 100] * 7,
    ),
    "asymmetric claw": (
        [1 / 2] + [2 ** (1 - k) / 31 for k in range(-2, 3)],
        [0] + [k + 1 / 2 for k in range(-2, 3)],
        [1] + [2**-k / 10 for k in range(-2, 3)],
    ),
    "asymmetric double claw": (
        [46 / 100] * 2 + [1 / 300] * 3 + [7 / 300] * 3,
        [-1, 1] + [-k / 2 for k in range(1, 4)] + [k / 2 for k in range(1, 4)],
        [2 / 3] * 2 + [1 / 100] * 3 + [7 / 100] * 3,
    ),
    "smooth comb": (
        [2 ** (5 - k) / 63 for k in range(6)],
        [(65 - 96 * 2**-k) / 21 for k in range(6)],
        [32 / 63 * 2**-k for k in range(6)],
    ),
    "discrete comb": (
        [2 / 7] * 3 + [1 / 21] * 3,
        [(12 * k - 15) / 7 for k in range(3)] + [2 * k / 7 for k in range(8, 11)],
        [2 / 7] * 3 + [1 / 21] * 3,
    ),
}


def truth(n=10_000, seeds=20):
    print(f"{n:,} rows of the densities of Marron and Wand, {seeds} samples: mean integrated squared error of")
    grid = np.linspace(-5.0, 5.0, 4001)
    halved = 0
    for name, parts in MARRON_WAND.items():
        shares, means, scales = (np.array(part, dtype=float) for part in parts)
        density = norm.pdf(grid[:, None], means, scales) @ shares
        errors = {None: 0.0, "score": 0.0}
        for seed in range(seeds):
            rng = np.random.default_rng(seed)
            of_part = rng.choice(len(shares), n, p=shares / shares.sum())
            X = rng.normal(means[of_part], scales[of_part])[:, None]
            for reduction in errors:
                found = KernelDensityMLE(bias_reduction=reduction).fit(X).score_samples(grid[:, None])
                errors[reduction] += float(np.trapezoid((np.exp(found) - density) ** 2, grid)) / seeds
        share = errors["score"] / errors[None]
        halved += share <= 0.5
        print(
            f"  {name:23s} kernels at the rows {errors[None]:.2e}, shifted {errors['score']:.2e}: {share:.2f} of it",
            flush=True,
        )
    print(f"  at most half of it for {halved} of {len(MARRON_WAND)}")


if __name__ == "__main__":
    for name in sys.argv[1:] or ["million", "peers", "likelihood", "truth"]:
        {"million": million, "peers": peers, "likelihood": likelihood, "truth": truth}[name]()
