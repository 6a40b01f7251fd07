"""Time of ``rank_families`` over all families: a table of a million rows and ten columns, and one of many columns.

python benchmarks/ranking.py
"""

import time

import numpy as np

from fastkl import rank_families


def main() -> None:
    """Print a line for each table."""
    rng = np.random.default_rng(0)
    n = 1_000_000
    columns = [rng.gamma(2.0, size=n) for _ in range(4)]
    columns += [rng.lognormal(size=n) for _ in range(3)] + [rng.weibull(1.5, size=n) for _ in range(3)]
    tables = {
        "1,000,000 x 10, all families": (np.stack(columns, axis=1), "all"),
        "500 x 2,000, those that suit": (rng.gamma(2.0, size=(500, 2000)), None),
    }
    for name, (X, families) in tables.items():
        start = time.perf_counter()
        ranking = rank_families(X, families=families)
        taken = time.perf_counter() - start
        print(f"{name}: {taken:.1f} s, {ranking.n_ranked_rows:,} rows in {ranking.n_folds} folds, best {ranking.best}")


if __name__ == "__main__":
    main()
