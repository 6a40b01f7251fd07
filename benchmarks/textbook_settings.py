"""112 further settings for `league.py --textbook`: pairs that textbooks have, in one column and beside two normal ones.

Distributions of one family that are apart in scale, location or shape, and pairs of related families. The KL in the first column
is by quadrature between quantiles; the columns beside it have means 0 and .3, that is .045 nats each.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from league_settings import Setting
from scipy import integrate, stats

SIZES = ((1, 300), (1, 1000), (1, 4000), (3, 1000))
SHIFT = 0.3
LEVELS = (1e-14, 1e-6, 1e-4, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 1.0 - 1e-4, 1.0 - 1e-6)

PAIRS = {
    "exponential": (stats.expon(scale=2.0), stats.expon()),
    "exponential_wide": (stats.expon(scale=4.0), stats.expon()),
    "exponential_narrow": (stats.expon(), stats.expon(scale=4.0)),
    "gamma_scale": (stats.gamma(2.0, scale=2.0), stats.gamma(2.0)),
    "gamma_5_2": (stats.gamma(5.0), stats.gamma(2.0)),
    "gamma_2_5": (stats.gamma(2.0), stats.gamma(5.0)),
    "lognormal_scale": (stats.lognorm(0.7, scale=2.0), stats.lognorm(0.7)),
    "lognormal_wide": (stats.lognorm(1.0), stats.lognorm(0.6)),
    "weibull_scale": (stats.weibull_min(1.5, scale=2.0), stats.weibull_min(1.5)),
    "weibull_2_1": (stats.weibull_min(2.0), stats.weibull_min(1.0)),
    "logistic": (stats.logistic(2.0), stats.logistic()),
    "laplace": (stats.laplace(2.0), stats.laplace()),
    "laplace_wide": (stats.laplace(scale=2.0), stats.laplace()),
    "gumbel_up": (stats.gumbel_r(2.0), stats.gumbel_r()),
    "gumbel_down": (stats.gumbel_r(-1.0), stats.gumbel_r()),
    "beta_mirrored": (stats.beta(2.0, 5.0), stats.beta(5.0, 2.0)),
    "beta": (stats.beta(2.0, 3.0), stats.beta(4.0, 4.0)),
    "chi2_6_3": (stats.chi2(6.0), stats.chi2(3.0)),
    "inverse_gaussian": (stats.invgauss(0.5), stats.invgauss(1.0)),
    "student_t": (stats.t(5.0, 1.5), stats.t(5.0)),
    "rayleigh_wide": (stats.rayleigh(scale=2.0), stats.rayleigh()),
    "half_normal_wide": (stats.halfnorm(scale=2.0), stats.halfnorm()),
    "lomax_3_5": (stats.lomax(3.0), stats.lomax(5.0)),
    "loglogistic_scale": (stats.fisk(4.0, scale=2.0), stats.fisk(4.0)),
    "normal_logistic": (stats.norm(1.0, 1.8), stats.logistic()),
    "logistic_normal": (stats.logistic(1.0, 0.55), stats.norm()),
    "skewed_normal": (stats.skewnorm(4.0, 0.0), stats.skewnorm(0.0, 0.5)),
    "gumbel_normal": (stats.gumbel_r(-0.5, 0.8), stats.norm()),
}


def divergence(p, q) -> float:
    """KL(p || q) by quadrature, in nats."""
    edges = [*p.ppf(LEVELS), p.isf(1e-14)]

    def integrand(x):
        return p.pdf(x) * (p.logpdf(x) - q.logpdf(x))

    return sum(integrate.quad(integrand, a, b, limit=200)[0] for a, b in pairwise(edges))


def rows_of(law, d: int, mean: float):
    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        return np.column_stack([law.rvs(size=n, random_state=rng), rng.normal(mean, 1.0, (n, d - 1))])

    return draw


def settings() -> dict[str, Setting]:
    """By name."""
    found = {}
    for pair, (p, q) in PAIRS.items():
        in_first = divergence(p, q)
        for d, n in SIZES:
            name, truth = f"{pair}_d{d}_n{n}", in_first + 0.5 * SHIFT**2 * (d - 1)
            found[name] = Setting(name, "textbook", d, n, n, rows_of(p, d, 0.0), rows_of(q, d, SHIFT), truth)
    return found
