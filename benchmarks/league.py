"""Can the numbers be trusted: 52 pairs of distributions with a known divergence, estimated from samples again and again.

    python benchmarks/league.py [--runs 12] [--method assisted] [setting ...]
    python benchmarks/league.py --lower-bound [--runs 12] [setting ...]
    python benchmarks/league.py --peers [--runs 12] [setting ...]
    python benchmarks/league.py --textbook [...]

For every setting: root-mean-square error and bias, coverage of the 95 % interval, and the verdict. Below: how many runs are off
by more than two standard errors, among those with and without a flag. About 5 minutes of CPU for 12 runs. With --lower-bound:
how often `kl_lower_bound` is right, and what part of the truth it gives. With --peers: the error beside that of nine reference
estimators, all of which see the same samples. With --textbook: the 112 settings of `textbook_settings.py` in place of the 52.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import gaussian_kde
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

sys.path.insert(0, str(Path(__file__).parent))
from league_settings import SETTINGS, Setting
from textbook_settings import settings as textbook_settings

from fastkl import DensityMLE, kl_divergence, kl_divergence_sweep, kl_lower_bound

MANY_ROWS = 5000


def runs_of(setting: Setting, runs: int, method: str) -> np.ndarray:
    """Errors, standard errors and flags, (runs, 3)."""
    found = []
    for run in range(runs if max(setting.n, setting.m) < MANY_ROWS else max(runs // 2, 3)):
        estimate = kl_divergence(*setting.draw(run), method=method)
        found.append((estimate - setting.truth, estimate.standard_error, estimate.diagnostics["bias_suspected"]))
    return np.array(found, dtype=float)


def lower_bounds(settings: list[Setting], runs: int) -> None:
    """Print how often the bound is right and how sharp it is, by setting."""
    right, shares = [], []
    print(f"{'setting':26s}{'truth':>7s}{'bound':>8s}{'share':>7s}{'right':>7s}")
    for setting in settings:
        name = setting.name
        bounds = np.array([kl_lower_bound(*setting.draw(run)) for run in range(runs)])
        right.append(float(np.mean(bounds <= setting.truth + 1e-12)))
        share = float(bounds.mean()) / setting.truth if setting.truth > 0.0 else float("nan")
        shares.append(share)
        print(f"{name:26s}{setting.truth:7.3f}{bounds.mean():8.3f}{share:7.2f}{right[-1]:7.3f}", flush=True)
    print(f"right {np.mean(right):.4f}, at least {np.min(right):.3f}; mean share of the truth {np.nanmean(shares):.2f}")


def _classifier(model: Any, folds: int) -> Callable[[Any, Any], float]:
    """Mean held-out log-odds at the rows of P, less those of the sample sizes."""

    def estimate(X: Any, Y: Any) -> float:
        Z, label = np.concatenate([X, Y]), np.r_[np.ones(len(X)), np.zeros(len(Y))]
        log_odds = np.empty(len(Z))
        for train, test in StratifiedKFold(folds, shuffle=True, random_state=0).split(Z, label):
            fitted, share = model.fit(Z[train], label[train]), label[train].mean()
            log_odds[test] = fitted.decision_function(Z[test]) - np.log(share / (1.0 - share))
        return float(log_odds[label == 1].mean())

    return estimate


def _kernel_densities(X: Any, Y: Any) -> float:
    """Mean of log p-hat without the row itself less log q-hat, Scott's bandwidth; one and two columns."""
    n, d = X.shape
    if d > 2:
        return float("nan")
    p, q = gaussian_kde(X.T), gaussian_kde(Y.T)
    own = np.exp(-0.5 * d * np.log(2.0 * np.pi) - 0.5 * np.linalg.slogdet(p.covariance)[1]) / n
    return float(np.mean(np.log(np.maximum((p(X.T) - own) * n / (n - 1), 1e-300)) - np.log(np.maximum(q(X.T), 1e-300))))


def _neighbors(method: str, k: int) -> Callable[[Any, Any], float]:
    return lambda X, Y: float(kl_divergence_sweep(X, Y, [k], method=method, coordinates=None, standard_error=False)[k])


def _two_normals(X: Any, Y: Any) -> float:
    return float(kl_divergence(*(DensityMLE("multivariate_normal").fit(Z) for Z in (X, Y))))


_QUADRATIC = make_pipeline(
    StandardScaler(), PolynomialFeatures(2, include_bias=False), StandardScaler(), LogisticRegression(max_iter=300)
)
_BOOSTING = HistGradientBoostingClassifier(max_iter=60, learning_rate=0.1, max_leaf_nodes=15, random_state=0)
# The neighbours of infomeasure are those of "knn" with k = 4, but for its counting of rows.
PEERS = {
    "cr5": _neighbors("common_radius", 5),
    "knn1": _neighbors("knn", 1),
    "knn5": _neighbors("knn", 5),
    "knn4": _neighbors("knn", 4),
    "adaptive": _neighbors("bias_reduced", 1),
    "normals": _two_normals,
    "logistic": _classifier(_QUADRATIC, 5),
    "boosting": _classifier(_BOOSTING, 3),
    "kernels": _kernel_densities,
}


def _root_mean_square(estimator: Callable[[Any, Any], float], setting: Setting, runs: int) -> float:
    errors = []
    for run in range(runs):
        try:
            errors.append(float(estimator(*setting.draw(run))) - setting.truth)
        except ValueError:  # distances of 0, a singular matrix: an estimator that refuses is no peer here
            return float("nan")
    return float(np.sqrt(np.mean(np.square(errors))))


def peers(settings: list[Setting], runs: int) -> None:
    """Print the root-mean-square error of the default beside those of the reference estimators, and how many it is near to."""
    print(f"{'setting':26s}{'default':>9s}" + "".join(f"{name:>9s}" for name in PEERS) + f"{'ratio':>7s}")
    ratios = []
    for setting in settings:
        name = setting.name
        own = _root_mean_square(kl_divergence, setting, runs)
        others = [_root_mean_square(estimator, setting, runs) for estimator in PEERS.values()]
        ratios.append(max(own, 0.01) / max(np.nanmin(others), 0.01))
        print(f"{name:26s}" + "".join(f"{value:9.3f}" for value in (own, *others)) + f"{ratios[-1]:7.2f}", flush=True)
    within = [int(np.sum(np.array(ratios) <= limit)) for limit in (1.15, 2.0)]
    print(
        f"within 15 % of the best of {len(PEERS)} in {within[0]} of {len(ratios)}, within 2x in {within[1]}; worst "
        f"{max(ratios):.1f}x, geometric mean {np.exp(np.mean(np.log(ratios))):.2f}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", nargs="*")
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--method", default="assisted")
    parser.add_argument("--lower-bound", action="store_true")
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--textbook", action="store_true")
    options = parser.parse_args()
    named = textbook_settings() if options.textbook else SETTINGS
    settings = [named[name] for name in options.settings or named]
    if options.lower_bound or options.peers:
        warnings.simplefilter("ignore")
        table = lower_bounds if options.lower_bound else peers
        table(settings, options.runs)
        return
    every, coverage, start = [], [], time.process_time()
    print(f"{'setting':26s}{'truth':>7s}{'RMSE':>8s}{'bias':>8s}{'covers':>8s}{'flag':>6s}")
    for setting in settings:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            error, standard_error, flag = runs_of(setting, options.runs, options.method).T
        covers = float(np.mean(np.abs(error) < 1.96 * standard_error))
        rmse = float(np.sqrt(np.mean(error**2)))
        print(
            f"{setting.name:26s}{setting.truth:7.3f}{rmse:8.3f}{error.mean():+8.3f}{covers:8.2f}{flag.mean():6.2f}",
            flush=True,
        )
        coverage.append(covers)
        every.append(np.stack([np.abs(error) > 2.0 * standard_error, flag > 0.0], axis=1))
    bad, flag = np.concatenate(every).T
    print(
        f"coverage {np.mean(coverage):.3f}, at least .9 in {np.sum(np.array(coverage) >= 0.9)} of {len(coverage)} settings"
    )
    print(
        f"off by more than 2 standard errors: {bad.mean():.3f} of all, {bad[~flag].mean():.3f} of those without a flag"
    )
    print(f"without a flag among the others: {np.mean(~flag[~bad]):.3f}; {time.process_time() - start:.0f} s")


if __name__ == "__main__":
    main()
