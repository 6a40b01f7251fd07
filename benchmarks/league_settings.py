"""The league: 52 pairs (P, Q) with a known KL(P || Q), in nats.

Each `Setting` draws seeded samples and knows its truth: closed form where there is one, else numerical integration
(`scipy.integrate.quad` to 1e-9) or a finite sum. `python league_settings.py` prints the table and checks every truth by
Monte Carlo of an independently written log-density (where one is given).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import integrate, stats
from scipy.special import betaln, digamma, gammaln

SEED = 20261128


@dataclass(frozen=True)
class Setting:
    name: str
    kind: str
    d: int
    n: int
    m: int
    draw_p: Callable
    draw_q: Callable
    truth: float
    log_ratio: Callable | None = None  # log p/q at rows of P, for the Monte-Carlo check of the truth
    atoms: bool = False

    def rng(self, rep: int) -> np.random.Generator:
        return np.random.default_rng([SEED, zlib.crc32(self.name.encode()), rep])

    def draw(self, rep: int):
        rng = self.rng(rep)
        return self.draw_p(rng, self.n), self.draw_q(rng, self.m)

    @property
    def reps(self) -> int:
        big = max(self.n, self.m) >= 5000
        return 15 if big and self.d >= 8 else 25 if big else 40


# ---------------------------------------------------------------- truths
def kl_mvn(mp, Sp, mq, Sq):
    mp, mq = np.atleast_1d(mp), np.atleast_1d(mq)
    Sp, Sq = np.atleast_2d(Sp), np.atleast_2d(Sq)
    d = len(mp)
    inv = np.linalg.inv(Sq)
    return 0.5 * (
        np.trace(inv @ Sp) + (mq - mp) @ inv @ (mq - mp) - d + np.linalg.slogdet(Sq)[1] - np.linalg.slogdet(Sp)[1]
    )


def kl_quad(p, q, low, high, points=None):
    """Integral of p log(p/q) for two frozen scipy distributions on a line."""

    def f(x):
        return p.pdf(x) * (p.logpdf(x) - q.logpdf(x)) if p.pdf(x) > 0 else 0.0

    return integrate.quad(f, low, high, points=points, limit=500, epsabs=1e-10, epsrel=1e-10)[0]


def kl_gamma(a, s, b, u):
    """Gamma(shape a, scale s) against Gamma(b, u)."""
    return (a - b) * digamma(a) - gammaln(a) + gammaln(b) + b * np.log(u / s) + a * (s - u) / u


def equi(d, rho):
    return (1 - rho) * np.eye(d) + rho * np.ones((d, d))


# ---------------------------------------------------------------- samplers
def normal(mean, cov):
    mean = np.atleast_1d(np.asarray(mean, float))
    L = np.linalg.cholesky(np.atleast_2d(cov))
    return lambda rng, n: mean + rng.standard_normal((n, len(mean))) @ L.T


def mvn_log(mean, cov):
    law = stats.multivariate_normal(np.atleast_1d(mean), np.atleast_2d(cov))
    return lambda X: np.atleast_1d(law.logpdf(X if X.shape[1] > 1 else X[:, 0]))


def columns(law, d):
    return lambda rng, n: law.rvs(size=(n, d), random_state=rng)


def rotation(d, seed=5):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))[0]


S: list[Setting] = []


def add(name, kind, d, n, m, dp, dq, truth, log_ratio=None, atoms=False):
    S.append(Setting(name, kind, d, n, m, dp, dq, float(truth), log_ratio, atoms))


def add_normal(name, kind, n, m, mp, Sp, mq, Sq):
    mp, mq = np.atleast_1d(mp).astype(float), np.atleast_1d(mq).astype(float)
    lp, lq = mvn_log(mp, Sp), mvn_log(mq, Sq)
    add(name, kind, len(mp), n, m, normal(mp, Sp), normal(mq, Sq), kl_mvn(mp, Sp, mq, Sq), lambda X: lp(X) - lq(X))


def add_product(name, kind, d, n, m, p, q, low, high, points=None, truth=None):
    t = kl_quad(p, q, low, high, points) if truth is None else truth
    add(name, kind, d, n, m, columns(p, d), columns(q, d), d * t, lambda X: (p.logpdf(X) - q.logpdf(X)).sum(1))


def unit(d, length):
    return np.full(d, length / np.sqrt(d))


Z = np.zeros
EYE = np.eye
# null
add_normal("null_d1", "null", 1000, 1000, Z(1), EYE(1), Z(1), EYE(1))
add_normal("null_d3", "null", 1000, 1000, Z(3), EYE(3), Z(3), EYE(3))
add_normal("null_d10", "null", 1000, 1000, Z(10), EYE(10), Z(10), EYE(10))
add_normal("null_d20", "null", 1000, 1000, Z(20), EYE(20), Z(20), EYE(20))
add_normal("null_d5_200v5000", "null", 200, 5000, Z(5), EYE(5), Z(5), EYE(5))
add_product("null_t3_d2_5000v200", "null", 2, 5000, 200, stats.t(3), stats.t(3), -np.inf, np.inf, truth=0.0)
# shift
add_normal("shift.3_d1", "shift", 1000, 1000, [0], EYE(1), [0.3], EYE(1))
add_normal("shift2_d1", "shift", 1000, 1000, [0], EYE(1), [2], EYE(1))
add_normal("shift1_d3_n200", "shift", 200, 200, Z(3), EYE(3), unit(3, 1), EYE(3))
add_normal("shift2_d5", "shift", 1000, 1000, Z(5), EYE(5), unit(5, 2), EYE(5))
add_normal("shift1_d10", "shift", 1000, 1000, Z(10), EYE(10), unit(10, 1), EYE(10))
add_normal("shift1.5_d20", "shift", 1000, 1000, Z(20), EYE(20), unit(20, 1.5), EYE(20))
add_normal("shift1_d8_n5000", "shift", 5000, 5000, Z(8), EYE(8), unit(8, 1), EYE(8))
# scale
add_normal("wider_d1_n200", "scale", 200, 200, [0], EYE(1), [0], 4 * EYE(1))
add_normal("wider_d2_n5000", "scale", 5000, 5000, Z(2), EYE(2), Z(2), 4 * EYE(2))
add_normal("wider_d5_n200", "scale", 200, 200, Z(5), EYE(5), Z(5), 4 * EYE(5))
add_normal("wider_d8", "scale", 1000, 1000, Z(8), EYE(8), Z(8), 4 * EYE(8))
add_normal("narrower_d2", "scale", 1000, 1000, Z(2), EYE(2), Z(2), 0.5 * EYE(2))
add_normal("narrower_d5", "scale", 1000, 1000, Z(5), EYE(5), Z(5), 0.5 * EYE(5))
add_normal("narrower_d10", "scale", 1000, 1000, Z(10), EYE(10), Z(10), 0.5 * EYE(10))
# correlation
add_normal("corrP.9_d2", "correlation", 1000, 1000, Z(2), equi(2, 0.9), Z(2), EYE(2))
add_normal("corrQ.9_d2", "correlation", 1000, 1000, Z(2), EYE(2), Z(2), equi(2, 0.9))
add_normal("corrP.9_d3_n200", "correlation", 200, 200, Z(3), equi(3, 0.9), Z(3), EYE(3))
add_normal("corrP.5_d5", "correlation", 1000, 1000, Z(5), equi(5, 0.5), Z(5), EYE(5))
add_normal("corrQ.5_d5_n5000", "correlation", 5000, 5000, Z(5), EYE(5), Z(5), equi(5, 0.5))
add_normal("corrP.5_d15", "correlation", 1000, 1000, Z(15), equi(15, 0.5), Z(15), EYE(15))
# heavy tails
add_product(
    "t3_vs_normal_d1",
    "heavy",
    1,
    1000,
    1000,
    stats.t(3),
    stats.norm(0, np.sqrt(3)),
    -np.inf,
    np.inf,
    truth=kl_quad(stats.t(3), stats.norm(0, np.sqrt(3)), -2000, 2000, points=[0, -5, 5, -50, 50])
    + 2
    * integrate.quad(
        lambda x: stats.t(3).pdf(x) * (x * x / 6 + 0.5 * np.log(6 * np.pi) + stats.t(3).logpdf(x)), 2000, np.inf
    )[0],
)
add_product("t3_shift1_d2", "heavy", 2, 1000, 1000, stats.t(3), stats.t(3, 1), -np.inf, np.inf)
add_product("t3_shift.5_d5", "heavy", 5, 1000, 1000, stats.t(3), stats.t(3, 0.5), -np.inf, np.inf)
# jointly heavy: entropy of the multivariate t in closed form; E x x' = 3 I
_mt, _mn = stats.multivariate_t(np.zeros(8), EYE(8), df=3), stats.multivariate_normal(np.zeros(8), 3 * EYE(8))
_mt_entropy = 4 * np.log(3 * np.pi) - gammaln(4) + betaln(4, 1.5) + 5.5 * (digamma(5.5) - digamma(1.5))
add(
    "mvt3_vs_normal_d8",
    "heavy",
    8,
    1000,
    1000,
    lambda r, n: _mt.rvs(n, random_state=r),
    lambda r, n: _mn.rvs(n, random_state=r),
    4 * np.log(6 * np.pi) + 4 - _mt_entropy,
)
# skewed
add_product(
    "exp2_d1_n200", "skewed", 1, 200, 200, stats.expon(), stats.expon(scale=2), 0, np.inf, truth=np.log(2) - 0.5
)
add_product(
    "exp12_d1", "skewed", 1, 1000, 1000, stats.expon(), stats.expon(scale=12), 0, np.inf, truth=np.log(12) + 1 / 12 - 1
)
add_product("exp2_d5", "skewed", 5, 1000, 1000, stats.expon(), stats.expon(scale=2), 0, np.inf, truth=np.log(2) - 0.5)
add_product("exp.5_d3", "skewed", 3, 1000, 1000, stats.expon(), stats.expon(scale=0.5), 0, np.inf, truth=1 - np.log(2))
add_product(
    "lognormal_d2",
    "skewed",
    2,
    1000,
    1000,
    stats.lognorm(1),
    stats.lognorm(1, scale=np.exp(0.5)),
    0,
    np.inf,
    truth=0.125,
)
add_product(
    "lognormal_d8",
    "skewed",
    8,
    1000,
    1000,
    stats.lognorm(1),
    stats.lognorm(1.3, scale=np.exp(0.3)),
    0,
    np.inf,
    truth=np.log(1.3) + (1 + 0.09) / (2 * 1.69) - 0.5,
)
add_product(
    "gamma.4_d3_n5000",
    "skewed",
    3,
    5000,
    5000,
    stats.gamma(0.4),
    stats.gamma(0.8),
    0,
    np.inf,
    truth=kl_gamma(0.4, 1, 0.8, 1),
)
# bounded
add_product(
    "uniform_in_uniform_d1", "bounded", 1, 1000, 1000, stats.uniform(1, 1), stats.uniform(0, 4), 1, 2, truth=np.log(4)
)
add_product(
    "uniform_in_uniform_d5",
    "bounded",
    5,
    1000,
    1000,
    stats.uniform(0, 1),
    stats.uniform(-0.15, 1.3),
    0,
    1,
    truth=np.log(1.3),
)
add_product("beta_d3", "bounded", 3, 1000, 1000, stats.beta(2, 5), stats.beta(3, 3), 0, 1)


# two clusters against one: only the first (rotated) direction differs from a normal law
def clusters(d, a, n):
    R = rotation(d)
    sd = np.r_[np.sqrt(1 + a * a), np.ones(d - 1)]

    def dp(rng, n):
        X = rng.standard_normal((n, d))
        X[:, 0] += a * rng.choice([-1.0, 1.0], n)
        return X @ R.T

    def dq(rng, n):
        return (rng.standard_normal((n, d)) * sd) @ R.T

    def mix(x):
        return np.logaddexp(stats.norm.logpdf(x, a), stats.norm.logpdf(x, -a)) - np.log(2)

    def lq(x):
        return stats.norm.logpdf(x, 0, sd[0])

    truth = integrate.quad(
        lambda x: np.exp(mix(x)) * (mix(x) - lq(x)), -a - 12, a + 12, points=[-a, 0, a], epsabs=1e-10, limit=300
    )[0]
    return dp, dq, truth, lambda X: mix((X @ R)[:, 0]) - lq((X @ R)[:, 0])


for d, a, n in ((1, 2.0, 1000), (5, 3.0, 1000), (10, 3.0, 5000)):
    dp, dq, t, lr = clusters(d, a, n)
    add(f"clusters_d{d}" + ("_n5000" if n == 5000 else ""), "mixture", d, n, n, dp, dq, t, lr)


# rounded and integer data
def rounded_truth(loc_p, sd_p, loc_q, sd_q, step):
    x = step * np.arange(-int(40 / step), int(40 / step) + 1)
    p = np.diff(stats.norm.cdf(np.r_[x - step / 2, x[-1] + step / 2], loc_p, sd_p))
    lo, hi = stats.norm.logcdf(x - step / 2, loc_q, sd_q), stats.norm.logcdf(x + step / 2, loc_q, sd_q)
    ls, hs = stats.norm.logsf(x - step / 2, loc_q, sd_q), stats.norm.logsf(x + step / 2, loc_q, sd_q)
    with np.errstate(divide="ignore"):
        lq = np.where(x < loc_q, hi + np.log1p(-np.exp(lo - hi)), ls + np.log1p(-np.exp(hs - ls)))
    ok = p > 1e-300
    return float(np.sum(p[ok] * (np.log(p[ok]) - lq[ok])))


add(
    "rounded1_d1",
    "rounded",
    1,
    1000,
    1000,
    lambda r, n: np.round(r.normal(0, 1, (n, 1)), 1),
    lambda r, n: np.round(r.normal(1, 2, (n, 1)), 1),
    rounded_truth(0, 1, 1, 2, 0.1),
    atoms=True,
)
add(
    "rounded1_d3",
    "rounded",
    3,
    1000,
    1000,
    lambda r, n: np.round(r.normal(0, 1, (n, 3)), 1),
    lambda r, n: np.round(r.normal(0.5, 1, (n, 3)), 1),
    3 * rounded_truth(0, 1, 0.5, 1, 0.1),
    atoms=True,
)
add(
    "poisson_d3",
    "rounded",
    3,
    1000,
    1000,
    lambda r, n: r.poisson(4, (n, 3)).astype(float),
    lambda r, n: r.poisson(5, (n, 3)).astype(float),
    3 * (4 * np.log(4 / 5) + 1),
    atoms=True,
)


# zero-inflated; label and number
def zero_inflated(z, shape, scale, d):
    return lambda r, n: np.where(r.random((n, d)) < z, 0.0, r.gamma(shape, scale, (n, d)))


_zi = 0.3 * np.log(0.3 / 0.5) + 0.7 * (np.log(0.7 / 0.5) + kl_gamma(2, 1, 2, 1.5))
add(
    "zero_inflated_d1",
    "atoms",
    1,
    1000,
    1000,
    zero_inflated(0.3, 2, 1, 1),
    zero_inflated(0.5, 2, 1.5, 1),
    _zi,
    atoms=True,
)
add(
    "zero_inflated_d3",
    "atoms",
    3,
    1000,
    1000,
    zero_inflated(0.3, 2, 1, 3),
    zero_inflated(0.5, 2, 1.5, 3),
    3 * _zi,
    atoms=True,
)


def label_number(prob, means):
    prob, means = np.asarray(prob), np.asarray(means)

    def draw(r, n):
        c = r.choice(len(prob), n, p=prob)
        return np.column_stack([c.astype(float), means[c] + r.standard_normal(n)])

    return draw


_pp, _qq, _pm, _qm = (
    np.array([0.5, 0.3, 0.2]),
    np.array([0.2, 0.3, 0.5]),
    np.array([0.0, 1.0, 2.0]),
    np.array([0.5, 1.0, 1.0]),
)
add(
    "label_and_number_d2",
    "atoms",
    2,
    1000,
    1000,
    label_number(_pp, _pm),
    label_number(_qq, _qm),
    np.sum(_pp * (np.log(_pp / _qq) + 0.5 * (_pm - _qm) ** 2)),
)
# unequal sizes
add_normal("shift1_d2_200v5000", "unequal", 200, 5000, Z(2), EYE(2), unit(2, 1), EYE(2))
add_normal("shift1_d2_5000v200", "unequal", 5000, 200, Z(2), EYE(2), unit(2, 1), EYE(2))
add_product(
    "exp2_d1_5000v200", "unequal", 1, 5000, 200, stats.expon(), stats.expon(scale=2), 0, np.inf, truth=np.log(2) - 0.5
)

SETTINGS = {s.name: s for s in S}


def check(n=400_000):
    for s in S:
        line = f"{s.name:26s} {s.kind:12s} d={s.d:2d} n={s.n:4d} m={s.m:4d} truth {s.truth:8.5f}"
        if s.log_ratio is not None:
            r = s.log_ratio(s.draw_p(np.random.default_rng(7), n))
            mean, error = r.mean(), r.std() / np.sqrt(n)
            line += f"  MC {mean:8.5f} +- {error:.5f}{'   <-- differs' * (abs(mean - s.truth) > 4 * error + 1e-9)}"
        print(line)


if __name__ == "__main__":
    check()
