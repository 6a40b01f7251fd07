"""Continuous univariate families side by side with scipy.stats: ``python benchmarks/peers_families.py [name ...]``.

A million rows in float64; scipy's location is held at 0 where ours has none. scipy runs on one thread, which is all it uses here;
fastkl on the threads it may use. Ratios are scipy's time over ours.
"""

import sys
import warnings
from collections.abc import Callable, Iterator

import numpy as np
from scipy import stats
from side_by_side import Row, clock, compare, print_table

from fastkl import DensityMLE
from fastkl._core._threads import build_info

N = 1_000_000

# name: scipy's distribution with parameters, its fit with the same parameters held, and its logpdf arguments from our parameters
DISTRIBUTIONS: dict[str, tuple[object, Callable, Callable]] = {
    "normal": (stats.norm(1.0, 2.0), stats.norm.fit, lambda p: (stats.norm, (), p["loc"], p["scale"])),
    "exponential": (
        stats.expon(scale=2.0), lambda x: stats.expon.fit(x, floc=0), lambda p: (stats.expon, (), 0.0, p["scale"])
    ),
    "lognormal": (
        stats.lognorm(0.5, scale=2.0),
        lambda x: stats.lognorm.fit(x, floc=0),
        lambda p: (stats.lognorm, (p["sdlog"],), 0.0, np.exp(p["meanlog"])),
    ),
    "laplace": (stats.laplace(1.0, 2.0), stats.laplace.fit, lambda p: (stats.laplace, (), p["loc"], p["scale"])),
    "gamma": (
        stats.gamma(2.5, scale=2.0),
        lambda x: stats.gamma.fit(x, floc=0),
        lambda p: (stats.gamma, (p["shape"],), 0.0, p["scale"]),
    ),
    "beta": (
        stats.beta(2.0, 5.0),
        lambda x: stats.beta.fit(x, floc=0, fscale=1),
        lambda p: (stats.beta, (p["a"], p["b"]), 0.0, 1.0),
    ),
    "weibull": (
        stats.weibull_min(1.7, scale=2.0),
        lambda x: stats.weibull_min.fit(x, floc=0),
        lambda p: (stats.weibull_min, (p["shape"],), 0.0, p["scale"]),
    ),
    "student_t": (stats.t(4.0, 1.0, 2.0), stats.t.fit, lambda p: (stats.t, (p["df"],), p["loc"], p["scale"])),
    "logistic": (stats.logistic(1.0, 2.0), stats.logistic.fit, lambda p: (stats.logistic, (), p["loc"], p["scale"])),
    "generalized_normal": (
        stats.gennorm(0.7, 1.0, 2.0), stats.gennorm.fit, lambda p: (stats.gennorm, (p["shape"],), p["loc"], p["scale"])
    ),
    "cauchy": (stats.cauchy(1.0, 2.0), stats.cauchy.fit, lambda p: (stats.cauchy, (), p["loc"], p["scale"])),
    "gumbel": (stats.gumbel_r(1.0, 2.0), stats.gumbel_r.fit, lambda p: (stats.gumbel_r, (), p["loc"], p["scale"])),
    "loglogistic": (
        stats.fisk(3.0, scale=2.0),
        lambda x: stats.fisk.fit(x, floc=0),
        lambda p: (stats.fisk, (p["shape"],), 0.0, p["scale"]),
    ),
    "lomax": (
        stats.lomax(3.0, scale=2.0),
        lambda x: stats.lomax.fit(x, floc=0),
        lambda p: (stats.lomax, (p["shape"],), 0.0, p["scale"]),
    ),
    "burr12": (
        stats.burr12(2.0, 1.5, scale=3.0),
        lambda x: stats.burr12.fit(x, floc=0),
        lambda p: (stats.burr12, (p["c"], p["d"]), 0.0, p["scale"]),
    ),
    "rayleigh": (
        stats.rayleigh(scale=2.0),
        lambda x: stats.rayleigh.fit(x, floc=0),
        lambda p: (stats.rayleigh, (), 0.0, p["scale"]),
    ),
    "half_normal": (
        stats.halfnorm(scale=2.0),
        lambda x: stats.halfnorm.fit(x, floc=0),
        lambda p: (stats.halfnorm, (), 0.0, p["scale"]),
    ),
    "pareto": (
        stats.pareto(3.0, scale=2.0),
        lambda x: stats.pareto.fit(x, floc=0),
        lambda p: (stats.pareto, (p["shape"],), 0.0, p["scale"]),
    ),
    "uniform": (
        stats.uniform(1.0, 3.0),
        stats.uniform.fit,
        lambda p: (stats.uniform, (), p["low"], p["high"] - p["low"]),
    ),
    "inverse_gaussian": (
        stats.invgauss(0.7, scale=2.0),
        lambda x: stats.invgauss.fit(x, floc=0),
        lambda p: (stats.invgauss, (p["mean"] / p["shape"],), 0.0, p["shape"]),
    ),
    "von_mises": (
        stats.vonmises(2.0, loc=1.0),
        lambda x: stats.vonmises.fit(x, fscale=1),
        lambda p: (stats.vonmises, (p["concentration"],), p["loc"], 1.0),
    ),
}  # fmt: skip
SLOW = {"student_t", "weibull", "logistic", "cauchy", "gumbel", "loglogistic", "lomax", "burr12"}


def against(task: str, peer: str, ours: Callable, theirs: Callable, slow: bool) -> Row:
    """As ``compare``; where the peer takes many seconds, it runs once between runs of ours."""
    if not slow:
        return compare(task, peer, ours, theirs, seconds=2.0)
    ours()
    times = [clock(ours) for _ in range(3)]
    theirs_time = clock(theirs)
    times += [clock(ours) for _ in range(3)]
    middle = float(np.median(times))
    return Row(task, peer, middle, theirs_time, theirs_time / middle)


def family_rows(names: list[str]) -> Iterator[Row]:
    """Fit, and log-likelihood with its gradient.

    Ours is ``score_and_gradient``, validation included; scipy's logpdf does its argument checks and gives no gradient.
    """
    for name in names:
        distribution, peer_fit, peer_of = DISTRIBUTIONS[name]
        x = distribution.rvs(size=N, random_state=1)
        X = x[:, None]
        model = DensityMLE(name).fit(X)
        yield against(
            f"{name} fit", f"{peer_of(model.params_)[0].name}.fit", lambda X=X, name=name: DensityMLE(name).fit(X),
            lambda x=x, peer_fit=peer_fit: peer_fit(x), name in SLOW,
        )  # fmt: skip
        family, shapes, loc, scale = peer_of({key: float(value[0]) for key, value in model.params_.items()})
        assert np.isclose(family.logpdf(x[:1000], *shapes, loc, scale).sum(), model.log_likelihood(X[:1000]))
        yield compare(
            f"{name} log-likelihood and gradient", f"{family.name}.logpdf(x).sum()",
            lambda model=model, X=X: model.score_and_gradient(X),
            lambda f=family, x=x, s=shapes, a=loc, b=scale: f.logpdf(x, *s, a, b).sum(), seconds=1.0,
        )  # fmt: skip


def joint_rows() -> Iterator[Row]:
    """Log-likelihood with its gradient of the joint continuous families, three columns."""
    generator = np.random.default_rng(0)
    centre, unit, pole = np.zeros(3), np.eye(3), np.array([0.0, 0.0, 1.0])
    on_sphere = stats.vonmises_fisher(pole, 5.0).rvs(N, random_state=1)
    cases = {
        "multivariate_normal": (
            generator.normal(size=(N, 3)),
            lambda x: stats.multivariate_normal.logpdf(x, centre, unit),
        ),
        "multivariate_t": (
            generator.standard_t(5.0, size=(N, 3)),
            lambda x: stats.multivariate_t.logpdf(x, centre, unit, df=5.0),
        ),
        "dirichlet": (
            generator.dirichlet([1.0, 2.0, 3.0], size=N),
            lambda x: stats.dirichlet.logpdf(x.T, [1.0, 2.0, 3.0]),
        ),
        "von_mises_fisher": (on_sphere, lambda x: stats.vonmises_fisher.logpdf(x, pole, 5.0)),
    }
    for name, (X, peer) in cases.items():
        model = DensityMLE(name).fit(X)
        yield compare(
            f"{name} log-likelihood and gradient, d = 3", "logpdf(x).sum()",
            lambda model=model, X=X: model.score_and_gradient(X), lambda X=X, peer=peer: peer(X).sum(), seconds=1.0,
        )  # fmt: skip


def many_gamma_fits() -> Iterator[Row]:
    """10,000 columns of 1,000 rows in one call; scipy fits 100 of them, one by one."""
    X = np.random.default_rng(0).gamma(2.5, 2.0, size=(1000, 10000))
    ours = [clock(lambda: DensityMLE("gamma").fit(X)) for _ in range(4)][1:]
    theirs = clock(lambda: [stats.gamma.fit(X[:, j], floc=0) for j in range(100)]) * 100.0
    middle = float(np.median(ours))
    yield Row(
        "gamma, 10,000 columns of 1,000 rows", "a loop over gamma.fit (from 100)", middle, theirs, theirs / middle
    )


if __name__ == "__main__":
    print(build_info())
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        chosen = sys.argv[1:] or list(DISTRIBUTIONS)
        print_table(family_rows(chosen))
        if not sys.argv[1:]:
            print_table(joint_rows())
            print_table(many_gamma_fits())
