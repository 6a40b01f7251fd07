"""Both tails of the beta distribution on a logarithmic scale: log I_x(a, b) and log(1 - I_x(a, b)).

They are the tails of the binomial, the negative binomial, Student's t and the F distribution as well. The leading factor
x^a (1 - x)^b / B(a, b) is taken in saddle-point form (C. Loader 2000), as exp(-a phi(u) - b phi(v)) with phi(u) = u - log(1 + u)
and x = m (1 + u) about the mean m = a / (a + b), so that shapes of 1e9 lose nothing. What is left of a tail is of the order of a
standard deviation, by one of

* a quadrature, where both shapes are at least ``QUADRATURE_FROM`` (see ``tail_integrals``; the density of the logit of x is
  log-concave);
* the continued fraction of A. R. DiDonato and A. H. Morris, "Significant Digit Computation of the Incomplete Beta Function
  Ratios", 1992, doi:10.1145/131766.131776 (BFRAC), which takes below 100 steps on its side of (a + 1) / (a + b + 2);
* there, with a < 1, a power series for the *logarithm* of I_x, which is of size a: so that 1 - I_x keeps its digits even for
  a = 1e-300, where nearly all of the mass lies at 0.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainc, betaincc, digamma

from fastkl._core.array_types import Floats
from fastkl._core.special.exact import exact_product, exact_sum
from fastkl._core.special.gamma_functions import log_excess, log_minus_digamma, stirling_error
from fastkl._core.special.log_tails import log_complement
from fastkl._core.special.tail_integrals import DEPTH, UNIT_NODES, UNIT_WEIGHTS, depth_length, tail_integral

QUADRATURE_FROM = 10.0
MOST_STEPS = 1000
# where scipy's functions are right to 5e-13
PLAIN_SHAPE = 500.0
SMALLEST_PLAIN = 1e-290
SMALLEST_TAIL = 1e-100


def log_beta_tails(
    a: ArrayLike, b: ArrayLike, x: ArrayLike, y: ArrayLike | None = None, gap: ArrayLike | None = None
) -> tuple[Floats, Floats]:
    """log I_x(a, b) and log(1 - I_x(a, b)) = log I_y(b, a), elementwise.

    Parameters
    ----------
    a, b : array-like
        Shapes, positive and finite.
    x : array-like
        Point; below 0 the tails are those at 0, above 1 those at 1.
    y : array-like, default=None
        1 - x, where it is known better than by subtraction.
    gap : array-like, default=None
        b x - a y = (a + b) x - a, which near the mean knows more of where the point lies than x does: to be given wherever x is
        itself a quotient, so that it holds all its digits. For Student's t with x = df / (df + t^2), a = df / 2, b = 1/2 it is
        x (1 - t) (1 + t) / 2; for the negative binomial with x = size / (size + mean), a = size, b = k + 1 it is
        x (k + 1 - mean).

    Returns
    -------
    tuple of ndarray
        Both logarithms, the lower tail first.

    Notes
    -----
    The relative error of either tail is some 1e-15 times the larger of 1 and the logarithm of the smaller one. For shapes from
    1e-3 to 1e9 the logarithms are good to 1e-12 relative everywhere (tests/core/special/test_beta_tails.py).
    """
    given = np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in (a, b, x)))
    shape = given[0].shape

    def flat(values: ArrayLike) -> Floats:
        return np.broadcast_to(np.asarray(values, dtype=np.float64), shape).reshape(-1)

    first, second, at = flat(a), flat(b), np.clip(flat(x), 0.0, 1.0)
    rest = 1.0 - at if y is None else flat(y)
    away = _gap(first, second, at) if gap is None else flat(gap)
    lower = np.where(at <= 0.0, -np.inf, np.where(rest <= 0.0, 0.0, np.nan))
    upper = np.where(at <= 0.0, 0.0, np.where(rest <= 0.0, -np.inf, np.nan))
    inside = np.flatnonzero((at > 0.0) & (rest > 0.0))
    if len(inside):
        lower[inside], upper[inside] = _inner_tails(*(v[inside] for v in (first, second, at, rest, away)))
    return lower.reshape(shape), upper.reshape(shape)


def _gap(a: Floats, b: Floats, x: Floats) -> Floats:
    """(a + b) x - a, with the digits that cancelling the leading terms leaves to the others."""
    (by_b, lost_b), (by_a, lost_a) = exact_product(x, b), exact_product(x, a)
    first, lost_first = exact_sum(by_a, -a)
    total, lost_total = exact_sum(by_b, first)
    return total + (lost_total + (lost_first + (lost_a + lost_b)))


def _inner_tails(a: Floats, b: Floats, x: Floats, y: Floats, gap: Floats) -> tuple[Floats, Floats]:
    """Both tails at points inside (0, 1): the one that is easier to have directly, and the other as its complement."""
    smooth = np.minimum(a, b) >= QUADRATURE_FROM
    below = np.where(smooth, gap < 0.0, x * (b + 1.0) < (a + 1.0) * y)
    a, b = np.where(below, a, b), np.where(below, b, a)
    x, y, gap = np.where(below, x, y), np.where(below, y, x), np.where(below, gap, -gap)
    series = ~smooth & (a < 1.0)
    direct = np.empty_like(x)
    for chosen, tail in ((smooth, _by_quadrature), (series, _by_series), (~smooth & ~series, _by_fraction)):
        of = np.flatnonzero(chosen)
        if len(of):
            direct[of] = tail(*(v[of] for v in (a, b, x, y, gap)))
    direct = np.minimum(direct, 0.0)
    other = log_complement(direct)
    return np.where(below, direct, other), np.where(below, other, direct)


def beta_normaliser(a: Floats, b: Floats) -> Floats:
    """log(m^a (1 - m)^b / B(a, b)) with m = a / (a + b): log(a b / (2 pi (a + b))) / 2 less the errors of Stirling's formula."""
    n = a + b
    of_a, of_b, of_n = stirling_error(np.array([a, b, n]))
    stirling = of_a + of_b - of_n
    return 0.5 * (np.log(np.minimum(a, b)) + np.log(np.maximum(a, b) / n) - np.log(2.0 * np.pi)) - stirling


def _leading_factor(a: Floats, b: Floats, x: Floats, y: Floats, gap: Floats) -> Floats:
    """log(x^a y^b / B(a, b))."""
    n = a + b
    return beta_normaliser(a, b) - a * log_excess(gap / a, x * (n / a)) - b * log_excess(-gap / b, y * (n / b))


def _by_quadrature(a: Floats, b: Floats, x: Floats, y: Floats, gap: Floats) -> Floats:
    """log I_x(a, b) below the mean.

    At x (1 - s) with s = 1 - exp(-t) the logarithm of x^a y^b is lower by g = r s + a phi(-s) + b phi(q s), with q = x / y and
    r = a - b q = -gap / y > 0: no difference of large terms.
    """
    q, r = x / y, -gap / y

    def exponent(t: Floats) -> tuple[Floats, Floats]:
        s, left = -np.expm1(-t), np.exp(-t)
        value = r * s + a * log_excess(-s, left) + b * log_excess(q * s)
        return value, left * (r + b * q * (q * s) / (1.0 + q * s)) + a * s

    def integrand(t: Floats) -> Floats:
        s = -np.expm1(-t)
        return np.exp(-exponent(t)[0]) / (y + x * s)

    # from the first two derivatives at t = 0, which are r and b q (1 + q)
    start = DEPTH / np.maximum(r, np.sqrt(0.5 * DEPTH * b * q * (1.0 + q)))
    length = depth_length(exponent, start)
    return _leading_factor(a, b, x, y, gap) + np.log(tail_integral(integrand, length))


def _by_fraction(a: Floats, b: Floats, x: Floats, y: Floats, gap: Floats) -> Floats:
    """log I_x(a, b) by the continued fraction 1 / (beta_1 + alpha_2 / (beta_2 + ...)), for x up to (a + 1) / (a + b + 2).

    The names are those of DiDonato and Morris's equation 9; numerators and denominators are scaled at every step.
    """
    c0, c1 = b / a, 1.0 + 1.0 / a
    shift = 1.0 - gap
    p, size = np.ones_like(x), a + 1.0
    older, old, older_below = np.zeros_like(x), np.ones_like(x), np.ones_like(x)
    below = shift / c1
    ratio = c1 / shift
    for n in range(1, MOST_STEPS):
        t, w, e = n / a, n * (b - n) * x, a / size
        alpha = p * (p + c0) * e * e * (w * x)
        e = (t + 1.0) / (c1 + t + t)
        beta = n + w / size + e * (shift + n * (y + 1.0))
        p, size = t + 1.0, size + 2.0
        older, old = old, alpha * older + beta * old
        older_below, below = below, alpha * older_below + beta * below
        before, ratio = ratio, old / below
        older, old, older_below, below = older / below, ratio, older_below / below, np.ones_like(x)
        if np.all(np.abs(ratio - before) <= 4e-16 * ratio):
            break
    return _leading_factor(a, b, x, y, gap) + np.log(ratio)


def _by_series(a: Floats, b: Floats, x: Floats, y: Floats, gap: Floats) -> Floats:
    """log I_x(a, b) for a < 1 and x up to (a + 1) / (a + b + 2), to all the digits of a number of size a.

    It is a log x - log(a B(a, b)) + log(1 + a S) with S = sum (1 - b)_n x^n / (n! (a + n)) over n >= 1, where log(a B(a, b)) =
    log(1 + a / b) plus a times the mean of psi(1 + a s) - psi(1 + b + a s) over s in (0, 1). For large b the logarithms of x and
    of b nearly cancel, so that they are taken together.
    """
    term, total = np.ones_like(x), np.zeros_like(x)
    for n in range(1, MOST_STEPS):
        term = term * ((n - b) / n * x)
        total += term / (a + n)
        if np.all(np.abs(term) <= 1e-18 * n):
            break
    mean = np.log(x * np.maximum(b, 1.0))
    for node, weight in zip(UNIT_NODES, UNIT_WEIGHTS, strict=True):
        inner = a * node
        rise = np.log1p(np.where(b >= 1.0, (1.0 + inner) / b, inner + b)) - log_minus_digamma(1.0 + b + inner)
        mean += weight * (rise - digamma(1.0 + inner))
    return a * mean - np.log1p(a / b) + np.log1p(a * total)


def plain_beta_tail(a: ArrayLike, b: ArrayLike, x: ArrayLike, y: ArrayLike, upper: bool) -> Floats:
    """I_x(a, b), or its complement where ``upper``, by scipy where that is right to 5e-13; NaN elsewhere.

    That is for shapes up to 500 and values down to 1e-100 (tests/core/special/test_plain_tails.py). The smaller one of x and
    y = 1 - x is handed over, since it has the digits of both.
    """
    a, b, x, y = np.broadcast_arrays(*(np.asarray(value, dtype=np.float64) for value in (a, b, x, y)))
    fits = (a <= PLAIN_SHAPE) & (b <= PLAIN_SHAPE) & (x >= SMALLEST_PLAIN) & (y >= SMALLEST_PLAIN)
    value = np.full(a.shape, np.nan)
    # both have all digits, and the complement of the tail takes twice the time
    middle = fits & (np.minimum(x, y) >= 0.01)
    first, second, at = (b, a, y) if upper else (a, b, x)
    value[middle] = betainc(first[middle], second[middle], at[middle])
    for part, one, two, at in ((fits & ~middle & (x <= y), a, b, x), (fits & ~middle & (y < x), b, a, y)):
        function = betaincc if upper == (at is x) else betainc
        value[part] = function(one[part], two[part], at[part])
    return np.where(value >= SMALLEST_TAIL, value, np.nan)
