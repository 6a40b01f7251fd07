"""How often an interval of `entropy`, of `kl_divergence` of a sample and a model, or of its relatives holds the truth.

    python benchmarks/coverage.py [--part entropy models renyi jensen_shannon] [--runs 200] [--jobs 2]

``entropy``: the 95 % interval of the default entropy of 100 and of 1000 rows of 16 distributions whose entropy is known in
closed form, the share of runs with a flag, and that of runs that hold the truth or carry a flag.
``models``: a family is fitted to fifty times as many rows as are held out, so that 0 is the truth but for a fiftieth of what a
fit to so many rows would lose; coverage of 0 on the held-out rows, in 1 to 10 columns, for 200 to 20,000 rows. The standard error
of a share of 200 runs is .015 to .02; 20,000 rows are drawn in half as many runs.
``renyi``: two samples of each setting of the league whose log-ratio is known and that has at most 3000 rows, by order; the truth
is a mean over 10^6 draws, which orders beyond 1 of heavy ratios are known by to a few per cent.
``jensen_shannon``: the same settings; its truth is a mean over 10^6 draws of either distribution.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from scipy import stats

sys.path.insert(0, str(Path(__file__).parent))
from league_settings import SETTINGS, Setting

from fastkl import (
    DensityMLE,
    Estimate,
    MixtureMLE,
    ProductDensity,
    entropy,
    jensen_shannon,
    kl_divergence,
    renyi_divergence,
)

SEED, MORE_ROWS, MANY_ROWS = 20261129, 50, 20_000
Draw = Callable[[np.random.Generator, int], Any]


def columns(distribution: Any, d: int) -> tuple[Draw, float]:
    """Independent columns of one distribution, and their entropy."""
    return lambda rng, n: distribution.rvs((n, d), random_state=rng), d * float(distribution.entropy())


def correlated(d: int, correlation: float) -> tuple[Draw, float]:
    """Normal columns with one correlation, and their entropy."""
    distribution = stats.multivariate_normal(np.zeros(d), (1.0 - correlation) * np.eye(d) + correlation)
    return lambda rng, n: distribution.rvs(n, random_state=rng), float(distribution.entropy())


ENTROPIES: dict[str, tuple[Draw, float]] = {
    **{f"normal_d{d}": columns(stats.norm(), d) for d in (1, 2, 3, 5, 10)},
    "corr.9_d3": correlated(3, 0.9),
    **{f"exponential_d{d}": columns(stats.expon(), d) for d in (1, 3)},
    **{f"uniform_d{d}": columns(stats.uniform(), d) for d in (1, 3)},
    **{f"t3_d{d}": columns(stats.t(3), d) for d in (1, 3)},
    "lognormal_d1": columns(stats.lognorm(1.0), 1),
    "gamma.4_d3": columns(stats.gamma(0.4), 3),
    "beta.5_d1": columns(stats.beta(0.5, 0.5), 1),
    "laplace_d2": columns(stats.laplace(), 2),
}


def normal_rows(rng: np.random.Generator, n: int, d: int) -> Any:
    """Correlated normal columns of several units."""
    return rng.standard_normal((n, d)) @ (np.eye(d) + 0.5) * 10.0 ** (np.arange(d) % 4)


def clusters(rng: np.random.Generator, n: int, d: int) -> Any:
    """Two normal clusters, 4 standard deviations apart."""
    X = rng.standard_normal((n, d))
    X[:, 0] += np.where(rng.random(n) < 0.5, -2.0, 2.0)
    return X


def product(family: str, X: Any) -> ProductDensity:
    """Independent columns of one family."""
    groups = [(f"x{j}", DensityMLE(family), [j]) for j in range(X.shape[1])]
    return ProductDensity(groups).fit(X)


MODELS: dict[str, tuple[Callable[[np.random.Generator, int, int], Any], Callable[[Any], Any]]] = {
    "normal": (normal_rows, lambda X: DensityMLE("multivariate_normal").fit(X)),
    "lognormal": (lambda rng, n, d: rng.lognormal(size=(n, d)), lambda X: product("lognormal", X)),
    "gamma": (lambda rng, n, d: rng.gamma(2.0, size=(n, d)), lambda X: product("gamma", X)),
    "clusters": (clusters, lambda X: MixtureMLE(2, random_state=0).fit(X)),
}


def estimates(
    call: Callable[[np.random.Generator], Estimate], truth: float, runs: int, key: list[int], jobs: int
) -> Any:
    """Errors, whether the interval holds the truth, and flags: (runs, 3)."""

    def one(run: int) -> tuple[float, bool, bool]:
        estimate = call(np.random.default_rng([SEED, *key, run]))
        low, high = estimate.confidence_interval()
        return estimate - truth, low <= truth <= high, bool(estimate.diagnostics["bias_suspected"])

    return np.array(Parallel(n_jobs=jobs, prefer="threads")(delayed(one)(run) for run in range(runs)), dtype=float)


def entropies(runs: int, jobs: int) -> None:
    """One row for each distribution and number of rows."""
    print(f"{'distribution':16s}{'n':>6s}{'bias':>9s}{'error':>8s}{'covers':>8s}{'flag':>6s}{'either':>8s}")
    either = []
    for number, (name, (draw, truth)) in enumerate(ENTROPIES.items()):
        for n in (100, 1000):
            call = lambda rng, draw=draw, n=n: entropy(draw(rng, n), n_jobs=1)  # noqa: E731
            errors, covers, flags = estimates(call, truth, runs, [number, n], jobs).T
            either.append(np.mean((covers == 1.0) | (flags == 1.0)))
            print(
                f"{name:16s}{n:6d}{errors.mean():9.4f}{np.sqrt(np.mean(errors**2)):8.4f}{covers.mean():8.3f}"
                f"{flags.mean():6.2f}{either[-1]:8.3f}",
                flush=True,
            )
    print(
        f"truth within the interval, or a flag: at least .90 in {np.sum(np.array(either) >= 0.9)} of {len(either)} rows"
    )


def models(runs: int, jobs: int) -> None:
    """One row for each family, number of columns and number of rows."""
    print(f"{'family':12s}{'d':>4s}{'n':>8s}{'mean':>9s}{'error':>8s}{'covers 0':>10s}{'flag':>6s}")
    shares = []
    for number, (name, (draw, fit)) in enumerate(MODELS.items()):
        for d in (1, 2, 3, 4, 5, 7, 10):
            for n in (200, 1000, 5000, MANY_ROWS):

                def call(
                    rng: np.random.Generator, draw: Any = draw, fit: Any = fit, d: int = d, n: int = n
                ) -> Estimate:
                    return kl_divergence(draw(rng, n, d), fit(draw(rng, MORE_ROWS * n, d)), n_jobs=1)

                made = runs if n < MANY_ROWS else max(runs // 2, 1)
                errors, covers, flags = estimates(call, 0.0, made, [number, d, n], jobs).T
                shares.append(covers.mean())
                print(
                    f"{name:12s}{d:4d}{n:8,d}{errors.mean():9.4f}{np.sqrt(np.mean(errors**2)):8.4f}{shares[-1]:10.3f}"
                    f"{flags.mean():6.2f}",
                    flush=True,
                )
    print(
        f"mean {np.mean(shares):.3f}, at least .93 in {np.sum(np.array(shares) >= 0.93)} of {len(shares)}, "
        f"least {np.min(shares):.3f}"
    )


def renyi(runs: int, jobs: int) -> None:
    """One row for each order."""
    for order in (0.25, 0.5, 0.75, 0.9, 1.5, 2.0):

        def truth(setting: Setting, order: float = order) -> float:
            logs = (order - 1.0) * log_ratios(setting)[0]
            return float((np.log(np.mean(np.exp(logs - logs.max()))) + logs.max()) / (order - 1.0))

        def estimate(X: Any, Y: Any, order: float = order) -> Estimate:
            return renyi_divergence(X, Y, order, n_jobs=1)

        print_row(f"{order:g}", truth, estimate, runs, jobs)


def jensen_shannon_divergences(runs: int, jobs: int) -> None:
    """One row."""

    def truth(setting: Setting) -> float:
        of_p, of_q = log_ratios(setting)
        return float(np.log(2.0) - 0.5 * (np.mean(np.logaddexp(0.0, -of_p)) + np.mean(np.logaddexp(0.0, of_q))))

    print_row("JS", truth, lambda X, Y: jensen_shannon(X, Y, n_jobs=1), runs, jobs)


def log_ratios(setting: Setting) -> tuple[Any, Any]:
    """log p/q at many draws from either."""
    rng = np.random.default_rng(SEED)
    assert setting.log_ratio is not None
    with np.errstate(invalid="ignore", divide="ignore"):  # where q is beyond the ends of p
        draws = (draw(rng, 1_000_000).reshape(-1, setting.d) for draw in (setting.draw_p, setting.draw_q))
        of_p, of_q = (np.ravel(setting.log_ratio(rows)) for rows in draws)
    return of_p, of_q


def print_row(
    name: str, truth: Callable[[Setting], float], estimate: Callable[[Any, Any], Estimate], runs: int, jobs: int
) -> None:
    """Of all runs in the settings of the league, and by flag."""
    settings = [one for one in SETTINGS.values() if one.log_ratio is not None and max(one.n, one.m) <= 3000]
    found = []
    for setting in settings:

        def call(rng: np.random.Generator, setting: Setting = setting) -> Estimate:
            return estimate(setting.draw_p(rng, setting.n), setting.draw_q(rng, setting.m))

        found.append(estimates(call, truth(setting), runs, [setting.n, setting.m, setting.d], jobs))
    _, covers, flags = np.concatenate(found).T
    open_ = flags == 0.0
    print(
        f"{name}: {len(settings)} settings, covers {covers.mean():.3f}, unflagged bad {1.0 - covers[open_].mean():.3f}, "
        f"good unflagged {np.mean(open_[covers == 1.0]):.3f}",
        flush=True,
    )


PARTS = {"entropy": entropies, "models": models, "renyi": renyi, "jensen_shannon": jensen_shannon_divergences}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    for part in arguments.part:
        PARTS[part](arguments.runs, arguments.jobs)
