"""Can the numbers be trusted: 52 pairs of distributions with a known divergence, estimated from samples again and again.

    python benchmarks/league.py [--runs 12] [--method assisted] [setting ...]
    python benchmarks/league.py --lower-bound [--runs 12] [setting ...]

For every setting: root-mean-square error and bias, coverage of the 95 % interval, and the verdict. Below: how many runs are off
by more than two standard errors, among those with and without a flag. About 5 minutes of CPU for 12 runs. With --lower-bound:
how often `kl_lower_bound` is right, and what part of the truth it gives.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from league_settings import SETTINGS, Setting

from fastkl import kl_divergence, kl_lower_bound

MANY_ROWS = 5000


def runs_of(setting: Setting, runs: int, method: str) -> np.ndarray:
    """Errors, standard errors and flags, (runs, 3)."""
    found = []
    for run in range(runs if max(setting.n, setting.m) < MANY_ROWS else max(runs // 2, 3)):
        estimate = kl_divergence(*setting.draw(run), method=method)
        found.append((estimate - setting.truth, estimate.standard_error, estimate.diagnostics["bias_suspected"]))
    return np.array(found, dtype=float)


def lower_bounds(names: list[str], runs: int) -> None:
    """Print how often the bound is right and how sharp it is, by setting."""
    right, shares = [], []
    print(f"{'setting':26s}{'truth':>7s}{'bound':>8s}{'share':>7s}{'right':>7s}")
    for name in names:
        setting = SETTINGS[name]
        bounds = np.array([kl_lower_bound(*setting.draw(run)) for run in range(runs)])
        right.append(float(np.mean(bounds <= setting.truth + 1e-12)))
        share = float(bounds.mean()) / setting.truth if setting.truth > 0.0 else float("nan")
        shares.append(share)
        print(f"{name:26s}{setting.truth:7.3f}{bounds.mean():8.3f}{share:7.2f}{right[-1]:7.3f}", flush=True)
    print(f"right {np.mean(right):.4f}, at least {np.min(right):.3f}; mean share of the truth {np.nanmean(shares):.2f}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", nargs="*")
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--method", default="assisted")
    parser.add_argument("--lower-bound", action="store_true")
    options = parser.parse_args()
    if options.lower_bound:
        lower_bounds(options.settings or list(SETTINGS), options.runs)
        return
    every, coverage, start = [], [], time.process_time()
    print(f"{'setting':26s}{'truth':>7s}{'RMSE':>8s}{'bias':>8s}{'covers':>8s}{'flag':>6s}")
    for name in options.settings or SETTINGS:
        setting = SETTINGS[name]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            error, standard_error, flag = runs_of(setting, options.runs, options.method).T
        covers = float(np.mean(np.abs(error) < 1.96 * standard_error))
        rmse = float(np.sqrt(np.mean(error**2)))
        print(
            f"{name:26s}{setting.truth:7.3f}{rmse:8.3f}{error.mean():+8.3f}{covers:8.2f}{flag.mean():6.2f}", flush=True
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
