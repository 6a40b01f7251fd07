"""Mixtures beside scikit-learn's GaussianMixture: ``python benchmarks/peers_mixtures.py``; the same threads on both sides.

An EM map is compared at the same parameters, the way to a maximum at the same starts. Memory is that of the arrays of a map.
"""

import subprocess
import sys
import warnings
from collections.abc import Iterator

import numpy as np
from mixture_search import table
from side_by_side import Row, clock, compare, print_table
from sklearn.datasets import load_iris
from sklearn.mixture import GaussianMixture

from fastkl import DensityMLE, MixtureMLE, families
from fastkl._core._threads import effective_n_threads
from fastkl._core.rows import Rows
from fastkl.families.mixture.expectation import Components

N = 200_000


def rows_and_parameters(n: int, d: int, k: int, kind: str = "full") -> tuple[np.ndarray, MixtureMLE, GaussianMixture]:
    """Rows, and the same mixture in both libraries."""
    rng = np.random.default_rng(0)
    means = 3.0 * rng.normal(size=(k, d))
    X = means[rng.integers(k, size=n)] + rng.normal(size=(n, d))
    covariances = np.stack([np.eye(d) * (1.0 + j / k) for j in range(k)])
    if kind == "diag":
        covariances = np.ones((k, d)) * (1.0 + np.arange(k)[:, None] / k)
    weights = np.full(k, 1.0 / k)
    ours = MixtureMLE.from_parameters(
        families.MultivariateNormal(kind), weights=weights, mean=means, covariance=covariances
    )
    theirs = GaussianMixture(k, covariance_type=kind)
    theirs.weights_, theirs.means_, theirs.covariances_ = weights, means, covariances
    precisions = np.linalg.inv(covariances) if kind == "full" else 1.0 / covariances
    theirs.precisions_cholesky_ = np.linalg.cholesky(precisions) if kind == "full" else np.sqrt(precisions)
    return X, ours, theirs


def map_rows() -> Iterator[Row]:
    """One EM map, and log-densities of rows."""
    for kind, n, d, k in [("full", N, 2, 5), ("full", N, 8, 10), ("full", N, 32, 16), ("diag", 20_000, 10, 5)]:
        X, ours, theirs = rows_and_parameters(n, d, k, kind)
        components = Components(ours.family_.layout, ours.params_)
        rows = Rows(X, n_threads=effective_n_threads())
        found = components.expectation(rows)
        expected, log_shares = theirs._e_step(X)
        assert np.isclose(found.log_likelihood / n, expected, rtol=1e-10)

        def their_map(X: np.ndarray = X, theirs: GaussianMixture = theirs) -> None:
            theirs._m_step(X, theirs._e_step(X)[1])

        kept = [getattr(theirs, name).copy() for name in ("weights_", "means_", "covariances_", "precisions_cholesky_")]
        size = f"n = {n:,}, d = {d}, K = {k}, {kind}"
        yield compare(
            f"EM map, {size}",
            "GaussianMixture _e_step and _m_step",
            lambda components=components, rows=rows: components.expectation(rows),
            their_map,
        )
        theirs.weights_, theirs.means_, theirs.covariances_, theirs.precisions_cholesky_ = kept
        yield compare(
            f"score_samples, {size}",
            "GaussianMixture.score_samples",
            lambda ours=ours, X=X: ours.score_samples(X),
            lambda theirs=theirs, X=X: theirs.score_samples(X),
        )


def maximum_rows() -> Iterator[Row]:
    """From the same start to the maximum on small tables: a remaining gain of 1e-8 nats here, a gain of 1e-10 per map there."""
    X = load_iris().data
    for k in (2, 3):
        start = MixtureMLE(k, random_state=0, standard_errors=False).fit(X).params_
        rng = np.random.default_rng(0)
        start = {**start, "mean": start["mean"] + 0.3 * rng.normal(size=start["mean"].shape)}
        ours = MixtureMLE(k, init=start, standard_errors=False, tol=1e-10)
        theirs = GaussianMixture(
            k, weights_init=start["weights"], means_init=start["mean"], reg_covar=0.0, tol=1e-10 / 150, max_iter=10_000,
            precisions_init=np.linalg.inv(start["covariance"]),
        )  # fmt: skip
        gap = ours.fit(X).log_likelihood_ - 150.0 * theirs.fit(X).score(X)
        print(f"K = {k}: {ours.n_iter_} maps here, {theirs.n_iter_} there; log-likelihood here is higher by {gap:.2g}")
        yield compare(
            f"iris, K = {k}: from one start to the maximum",
            "GaussianMixture.fit",
            lambda ours=ours: ours.fit(X),
            lambda theirs=theirs: theirs.fit(X),
        )


def table_rows() -> Iterator[Row]:
    """From rows of small tables as means and the covariance of all, to the maximum: a gain of 1e-8 nats ends both."""
    tables = {
        "iris": (load_iris().data, (2, 3)),
        "faithful": (table("old_faithful.csv", "eruptions", "waiting"), (2,)),
        "galaxies": (table("galaxies.csv", "velocity") / 1000.0, (2, 3, 4, 6)),
    }
    for name, (X, numbers) in tables.items():
        for k in numbers:
            means = X[np.random.default_rng(0).choice(len(X), k, replace=False)]
            covariances = np.stack([np.cov(X.T, bias=True).reshape(X.shape[1], -1)] * k)
            start = {"weights": np.full(k, 1.0 / k), "mean": means, "covariance": covariances}
            ours = MixtureMLE(k, init=start, standard_errors=False, tol=1e-8)
            theirs = GaussianMixture(
                k, weights_init=start["weights"], means_init=means, precisions_init=np.linalg.inv(covariances),
                reg_covar=0.0, tol=1e-8 / len(X), max_iter=20_000,
            )  # fmt: skip
            gap = ours.fit(X).log_likelihood_ - len(X) * theirs.fit(X).score(X)
            print(f"{name}, K = {k}: {ours.n_iter_} maps here, {theirs.n_iter_} there; higher here by {gap:.2g}")
            yield compare(
                f"{name}, K = {k}: from rows as means to the maximum",
                "GaussianMixture.fit",
                lambda ours=ours, X=X: ours.fit(X),
                lambda theirs=theirs, X=X: theirs.fit(X),
            )


def diagonal_rows() -> Iterator[Row]:
    """From rows of the table as means to the maximum, and labels; a gain of 1e-10 nats a row ends both."""
    n, d, k = 20_000, 10, 5
    rng = np.random.default_rng(1)
    X = rng.normal(size=(k, d))[rng.integers(k, size=n)] + rng.normal(size=(n, d))
    means, variances = X[rng.choice(n, k, replace=False)], np.ones((k, d)) * X.var(axis=0)
    start = {"weights": np.full(k, 1.0 / k), "mean": means, "covariance": variances}
    ours = MixtureMLE(k, family=families.MultivariateNormal("diag"), init=start, standard_errors=False, tol=1e-10)
    theirs = GaussianMixture(
        k, covariance_type="diag", weights_init=start["weights"], means_init=means, precisions_init=1.0 / variances,
        reg_covar=0.0, tol=1e-10, max_iter=10_000,
    )  # fmt: skip
    gap = ours.fit(X).log_likelihood_ - n * theirs.fit(X).score(X)
    print(f"diagonal: {ours.n_iter_} maps here, {theirs.n_iter_} there; log-likelihood here is higher by {gap:.2g}")
    yield compare(
        f"diagonal, {n:,} × {d}, K = {k}: from one start to the maximum, and labels",
        "GaussianMixture.fit, predict",
        lambda: ours.fit(X).predict(X),
        lambda: theirs.fit(X).predict(X),
    )


def plain_em(X: np.ndarray, wanted: float) -> int:
    """EM for a normal distribution with missing values, in numpy by groups of rows with the same gaps; how many maps it takes."""
    n, d = X.shape
    patterns, which = np.unique(np.isnan(X), axis=0, return_inverse=True)
    groups = [X[which.ravel() == i] for i in range(len(patterns))]
    mean, covariance, maps, reached = np.nanmean(X, axis=0), np.diag(np.nanvar(X, axis=0)), 0, -np.inf
    while reached < wanted:
        first, second, reached = np.zeros(d), np.zeros((d, d)), 0.0
        for gaps, own in zip(patterns, groups, strict=True):
            known, lost = np.flatnonzero(~gaps), np.flatnonzero(gaps)
            among = covariance[np.ix_(known, known)]
            inverse, filled = np.linalg.inv(among), own - mean
            there = filled[:, known]
            reached -= 0.5 * np.einsum("ij,ij->", there @ inverse, there)
            reached -= 0.5 * len(own) * (np.linalg.slogdet(among)[1] + len(known) * np.log(2.0 * np.pi))
            slope = inverse @ covariance[np.ix_(known, lost)]
            filled[:, lost] = there @ slope
            first += filled.sum(axis=0)
            second += filled.T @ filled
            second[np.ix_(lost, lost)] += len(own) * (
                covariance[np.ix_(lost, lost)] - covariance[np.ix_(lost, known)] @ slope
            )
        shift, maps = first / n, maps + 1
        mean, covariance = mean + shift, second / n - np.outer(shift, shift)
    return maps


def missing_rows() -> Iterator[Row]:
    """A fifth of the values missing: to within 1e-6 nats of the maximum there."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100_000, 10)) @ rng.normal(size=(10, 10))
    X[rng.random(X.shape) < 0.2] = np.nan
    model = DensityMLE("multivariate_normal").fit(X)
    wanted = model.log_likelihood_ - 1e-6
    print(f"missing values: {model.n_iter_} maps here, {plain_em(X, wanted)} there")
    ours = [clock(lambda: model.fit(X)) for _ in range(7)]
    theirs = [clock(lambda: plain_em(X, wanted)) for _ in range(3)]  # half a minute each
    mine, other = float(np.median(ours)), float(np.median(theirs))
    yield Row(
        "multivariate normal, 100,000 × 10, 20 % missing: fit", "EM in numpy, by patterns", mine, other, other / mine
    )


MEMORY = """
import sys, tracemalloc
sys.path.insert(0, "benchmarks")
from peers_mixtures import rows_and_parameters, Components, Rows
X, ours, theirs = rows_and_parameters(1_000_000, 8, 50)
components = Components(ours.family_.layout, ours.params_)
tracemalloc.start()
if sys.argv[1] == "ours":
    components.expectation(Rows(X, n_threads=2))
else:
    theirs._m_step(X, theirs._e_step(X)[1])
print(tracemalloc.get_traced_memory()[1] / 2**20)
"""


def print_memory() -> None:
    """Peak memory of the arrays that a map makes, in a process of its own."""
    for side in ("ours", "theirs"):
        done = subprocess.run([sys.executable, "-c", MEMORY, side], capture_output=True, text=True, check=True)
        print(f"memory of an EM map, n = 10⁶, d = 8, K = 50, {side}: {float(done.stdout):.0f} MB")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(f"threads: {effective_n_threads()}")
    print_table(map_rows())
    print_table(maximum_rows())
    print_table(table_rows())
    print_table(diagonal_rows())
    print_table(missing_rows())
    print_memory()
