"""Time of ``goodness_of_fit``: 1,000 bootstrap draws, 1,000 rows, gamma; beside ``scipy.stats.goodness_of_fit``.

OMP_NUM_THREADS=1 python benchmarks/goodness.py

Processor time of one thread, the median of three. scipy is called as it stands, where it estimates the location as well by a
general search, and with the location held at 0, where it has a formula for the gamma distribution and its time, like ours, is
that of a million draws and distribution functions. Ours gives the three statistics at once, scipy the one it is asked for.
"""

import time
from collections.abc import Callable
from functools import partial
from statistics import median

import numpy as np
from scipy import stats

from fastkl import DensityMLE

DRAWS = 1000


def taken(call: Callable[[], object], repeats: int = 3) -> float:
    """The median processor time of some calls, in seconds."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return median(times)


def main() -> None:
    """Print a line for each statistic."""
    x = np.random.default_rng(0).gamma(2.5, 1.3, 1000)
    density = DensityMLE("gamma").fit(x[:, None])
    for statistic in ("ks", "cvm", "ad"):
        ours = taken(
            partial(density.goodness_of_fit, x[:, None], statistic=statistic, n_bootstrap=DRAWS, random_state=0)
        )
        print(f"{statistic}: fastkl {ours:.3f} s", end="", flush=True)
        for label, known, share in (("as it stands", {}, 10), ("location held", {"loc": 0.0}, 1)):
            of_scipy = partial(
                stats.goodness_of_fit,
                stats.gamma,
                x,
                known_params=known,
                statistic=statistic,
                n_mc_samples=DRAWS // share,
                rng=0,
            )
            scipys = share * taken(of_scipy)
            print(f"; scipy {label} {scipys:.2f} s ({scipys / ours:.1f} times)", end="", flush=True)
        print()


if __name__ == "__main__":
    main()
