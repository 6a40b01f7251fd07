"""Both tails of the gamma distribution on a logarithmic scale: log P(a, x) and log Q(a, x), the regularised incomplete gamma.

They are the tails of the Poisson distribution as well. The leading factor x^a exp(-x) / Gamma(a) is taken in saddle-point form
(C. Loader 2000), from x - a rather than from x and a, so that shapes of 1e9 lose nothing. What is left of a tail is of the order
of a standard deviation, by one of

* a quadrature, for shapes from ``QUADRATURE_FROM`` (see ``tail_integrals``; the density of log x is log-concave);
* below it the power series of P, or the continued fraction of Q (Abramowitz and Stegun 6.5.29 and 6.5.31);
* for shapes below 1 a power series for the *logarithm* of P, which is of size a: so that Q keeps its digits even for a = 1e-300,
  where nearly all of the mass lies at 0.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import digamma, gammainc, gammaincc, gammaln

from fastkl._core.array_types import Floats
from fastkl._core.special.gamma_functions import HALF_LOG_2PI, log_excess, stirling_error
from fastkl._core.special.log_tails import log_complement
from fastkl._core.special.tail_integrals import DEPTH, UNIT_NODES, UNIT_WEIGHTS, depth_length, tail_integral

QUADRATURE_FROM = 10.0
SERIES_TO = 1.5  # for small shapes the series of Q serves up to here
MOST_STEPS = 1000
# where scipy's functions are right to 5e-13
PLAIN_SHAPE = 150.0
SMALLEST_PLAIN = 1e-290
SMALLEST_TAIL = 1e-15


def log_gamma_tails(a: ArrayLike, x: ArrayLike, gap: ArrayLike | None = None) -> tuple[Floats, Floats]:
    """log P(a, x) and log Q(a, x), elementwise.

    Parameters
    ----------
    a : array-like
        Shape, positive and finite.
    x : array-like
        Point; below 0 the tails are those at 0.
    gap : array-like, default=None
        x - a, which near the mean knows more of where the point lies than x does: to be given wherever x is itself a quotient.

    Returns
    -------
    tuple of ndarray
        Both logarithms, the lower tail first.

    Notes
    -----
    The relative error of either tail is some 1e-15 times the larger of 1 and the logarithm of the smaller one
    (tests/core/special/test_gamma_tails.py holds the logarithms to 1e-12 for shapes from 1e-12 to 1e12).
    """
    a, x = np.broadcast_arrays(np.asarray(a, dtype=np.float64), np.asarray(x, dtype=np.float64))
    shape = x.shape
    gap = np.broadcast_to(x - a if gap is None else np.asarray(gap, dtype=np.float64), shape).reshape(-1)
    a, x = a.reshape(-1), x.reshape(-1)
    lower = np.where(x <= 0.0, -np.inf, np.where(x == np.inf, 0.0, np.nan))
    upper = np.where(x <= 0.0, 0.0, np.where(x == np.inf, -np.inf, np.nan))
    inside = (x > 0.0) & (x < np.inf)
    smooth = inside & (a >= QUADRATURE_FROM)
    below = inside & ~smooth & (x <= np.maximum(a, SERIES_TO))
    ways = (
        (smooth, _by_quadrature),
        (below & (a >= 1.0), _by_series),
        (below & (a < 1.0), _by_series_of_logarithm),
        (inside & ~smooth & ~below, _by_fraction),
    )
    for chosen, tails in ways:
        of = np.flatnonzero(chosen)
        if len(of):
            lower[of], upper[of] = tails(a[of], x[of], gap[of])
    return lower.reshape(shape), upper.reshape(shape)


def _leading_factor(a: Floats, x: Floats, gap: Floats) -> Floats:
    """log(x^a exp(-x) / Gamma(a))."""
    return 0.5 * np.log(a) - HALF_LOG_2PI - stirling_error(a) - a * log_excess(gap / a, x / a)


def _by_quadrature(a: Floats, x: Floats, gap: Floats) -> tuple[Floats, Floats]:
    """Both tails, the one away from the mean first.

    At log x + s t, with s = 1 above the mean and -1 below, the logarithm of the density of log x is lower than at log x by
    x (exp(s t) - 1 - s t) + |x - a| t: no difference of large terms.
    """
    above = gap > 0.0
    sign, distance = np.where(above, 1.0, -1.0), np.abs(gap)

    def exponent(t: Floats) -> tuple[Floats, Floats]:
        rise, factor = np.expm1(sign * t), np.exp(sign * t)
        return x * log_excess(rise, factor) + distance * t, x * np.abs(rise) + distance

    def integrand(t: Floats) -> Floats:
        return np.asarray(np.exp(-exponent(t)[0]))

    with np.errstate(divide="ignore"):
        start = np.minimum(DEPTH / distance, np.sqrt(2.0 * DEPTH / x))
    length = depth_length(exponent, start)
    direct = np.minimum(_leading_factor(a, x, gap) + np.log(tail_integral(integrand, length)), 0.0)
    other = log_complement(direct)
    return np.where(above, other, direct), np.where(above, direct, other)


def _by_series(a: Floats, x: Floats, gap: Floats) -> tuple[Floats, Floats]:
    """P = x^a exp(-x) / Gamma(a + 1) times the sum of x^n / ((a + 1) ... (a + n)), for 1 <= a < 10 and x up to some a."""
    term, total = np.ones_like(x), np.ones_like(x)
    for n in range(1, MOST_STEPS):
        term = term * (x / (a + n))
        total += term
        if np.all(term <= 1e-17 * total):
            break
    lower = a * np.log(x) - x - gammaln(a + 1.0) + np.log(total)
    return lower, log_complement(lower)


def _by_series_of_logarithm(a: Floats, x: Floats, gap: Floats) -> tuple[Floats, Floats]:
    """log P = a (log x - log Gamma(1 + a) / a) + log(1 + a S), S = sum (-x)^n / (n! (a + n)) over n >= 1, for a < 1.

    log Gamma(1 + a) / a is the mean of psi over (1, 1 + a).
    """
    term, total = np.ones_like(x), np.zeros_like(x)
    for n in range(1, MOST_STEPS):
        term = term * (-x / n)
        total += term / (a + n)
        if np.all(np.abs(term) <= 1e-18 * x):
            break
    mean = np.log(x)
    for node, weight in zip(UNIT_NODES, UNIT_WEIGHTS, strict=True):
        mean -= weight * digamma(1.0 + a * node)
    lower = a * mean + np.log1p(a * total)
    return lower, log_complement(lower)


def _by_fraction(a: Floats, x: Floats, gap: Floats) -> tuple[Floats, Floats]:
    """Q = x^a exp(-x) / Gamma(a) / (x + 1 - a - 1 (1 - a) / (x + 3 - a - 2 (2 - a) / (x + 5 - a - ...))), by Lentz's method."""
    b = x + 1.0 - a
    d = 1.0 / b
    c, fraction = np.full_like(x, np.inf), d.copy()
    for n in range(1, MOST_STEPS):
        numerator = -n * (n - a)
        b = b + 2.0
        d = 1.0 / (numerator * d + b)
        c = b + numerator / c
        factor = c * d
        fraction *= factor
        if np.all(np.abs(factor - 1.0) <= 4e-16):
            break
    upper = a * np.log(x) - x - gammaln(a) + np.log(fraction)
    return log_complement(upper), upper


def plain_gamma_tail(shape: ArrayLike, x: ArrayLike, upper: bool) -> Floats:
    """P(a, x), or Q(a, x) where ``upper``, by scipy where that is right to 5e-13; NaN elsewhere.

    That is for shapes up to 150 and values down to 1e-15 (tests/core/special/test_plain_tails.py).
    """
    shape, x = np.broadcast_arrays(np.asarray(shape, dtype=np.float64), np.asarray(x, dtype=np.float64))
    fits = (shape <= PLAIN_SHAPE) & (x >= SMALLEST_PLAIN)
    value: Floats = np.asarray(
        (gammaincc if upper else gammainc)(shape if fits.all() else np.where(fits, shape, np.nan), x)
    )
    value[~(value >= SMALLEST_TAIL)] = np.nan
    return value
