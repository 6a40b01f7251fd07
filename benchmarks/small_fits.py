"""Time of a fit of 100 x 2 rows, as in grid searches and fits by group: in fits of ``gamma``, and beside scipy's ``fit``.
Below it other calls on few rows, in the same unit.

OMP_NUM_THREADS=1 python benchmarks/small_fits.py

Processor time, the least of many, of one thread; scipy fits two columns in turn, with the location held where fastkl has none.
"""

import time
from collections.abc import Callable

import numpy as np
from scipy import stats

from fastkl import DensityMLE, discrete_kl, kl_divergence

# drawn from ``from_parameters``; scipy's distribution, and what is held in its fit
POSITIVE = {"floc": 0.0}
FAMILIES = {
    "gamma": ({"shape": 2.0, "scale": 1.0}, stats.gamma, POSITIVE),
    "normal": ({"loc": 0.0, "scale": 1.0}, stats.norm, {}),
    "exponential": ({"scale": 2.0}, stats.expon, POSITIVE),
    "multivariate_normal": ({"mean": [0.0, 0.0], "covariance": [[1.0, 0.3], [0.3, 1.0]]}, None, {}),
    "student_t": ({"df": 4.0, "loc": 0.0, "scale": 1.0}, stats.t, {}),
    "cauchy": ({"loc": 0.0, "scale": 1.0}, stats.cauchy, {}),
    "burr12": ({"c": 3.0, "d": 1.5, "scale": 2.0}, stats.burr12, POSITIVE),
    "lomax": ({"shape": 3.0, "scale": 2.0}, stats.lomax, POSITIVE),
    "weibull": ({"shape": 1.5, "scale": 2.0}, stats.weibull_min, POSITIVE),
    "loglogistic": ({"shape": 3.0, "scale": 2.0}, stats.fisk, POSITIVE),
    "gumbel": ({"loc": 0.0, "scale": 1.0}, stats.gumbel_r, {}),
    "logistic": ({"loc": 0.0, "scale": 1.0}, stats.logistic, {}),
    "inverse_gamma": ({"shape": 3.0, "scale": 2.0}, stats.invgamma, POSITIVE),
    "skew_normal": ({"shape": 4.0, "loc": 0.0, "scale": 1.0}, stats.skewnorm, {}),
    "generalized_pareto": ({"shape": 0.3, "scale": 1.0}, stats.genpareto, POSITIVE),
    "generalized_extreme_value": ({"shape": 0.2, "loc": 0.0, "scale": 1.0}, stats.genextreme, {}),
    "negative_binomial": ({"size": 2.0, "mean": 5.0}, None, {}),
    "dirichlet_multinomial": ({"probabilities": [0.4, 0.6], "concentration": 4.0, "n_trials": 20}, None, {}),
    "multivariate_t": ({"df": 4.0, "loc": [0.0, 0.0], "scale": [[1.0, 0.3], [0.3, 1.0]]}, None, {}),
}


def least(call: Callable[[], object], repeats: int) -> float:
    """The least processor time of several calls, in seconds."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


def other_calls() -> dict[str, Callable[[], object]]:
    """What else is called often on few rows: scores, divergences of what was fitted, densities of known parameters."""
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((100, 2)), rng.standard_normal((100, 2))
    p, q = np.full(4, 0.25), np.array([0.1, 0.2, 0.3, 0.4])
    calls: dict[str, Callable[[], object]] = {
        "discrete_kl": lambda: discrete_kl(p, q),
        "from_parameters": lambda: DensityMLE.from_parameters("normal", loc=0.0, scale=1.0),
    }
    for name in ("normal", "multivariate_normal"):
        one, other = DensityMLE(name, n_jobs=1).fit(X), DensityMLE(name, n_jobs=1).fit(Y)
        calls[f"{name} score"] = lambda one=one: one.score(X)
        calls[f"{name} score_samples"] = lambda one=one: one.score_samples(X)
        calls[f"{name} kl_divergence"] = lambda one=one, other=other: kl_divergence(one, other)
    return calls


def main() -> None:
    """Print a line for each family, and for each other call."""
    unit = 0.0
    for name, (parameters, law, held) in FAMILIES.items():
        distribution = DensityMLE.from_parameters(name, **parameters)
        X = distribution.sample(200, random_state=0).reshape(-1)[: 200 * distribution.n_features_in_]
        X = np.ascontiguousarray(X.reshape(100, -1)[:, :2])
        own = least(lambda name=name, X=X: DensityMLE(name, n_jobs=1).fit(X), 60)
        unit = unit or own
        line = f"{name:26s} {own * 1e6:8.0f} us = {own / unit:5.1f} gamma fits"
        if law is not None:
            other = least(lambda law=law, X=X, held=held: [law.fit(x, **held) for x in X.T], 3)
            line += f"   scipy {other * 1e6:9.0f} us, {other / own:5.1f} times as long"
        print(line)
    for name, call in other_calls().items():
        own = least(call, 200)
        print(f"{name:34s} {own * 1e6:8.0f} us = {own / unit:5.1f} gamma fits")


if __name__ == "__main__":
    main()
