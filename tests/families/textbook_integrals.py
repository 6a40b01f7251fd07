"""Tails and entropies as integrals (or sums) of a textbook density, for families that give no closed form of them.

The integral runs over a coordinate u in which tails are no heavier than exponential: the inverse sinh of x on the real line, the
logarithm of the distance from an end, the logit between two ends. From where it starts it goes in pieces of doubling length,
each halved until Gauss and Legendre's rule with 24 nodes settles, and ends when nothing is left.
"""

import functools

import mpmath as mp
import numpy as np

NODES = 24
NEGLIGIBLE = 60  # exp(-60): 26 digits
SETTLED = mp.mpf("1e-17")


@functools.cache
def gauss_legendre():
    """Nodes on (0, 1) and weights, in high precision."""
    with mp.workdps(60):
        rough = np.polynomial.legendre.leggauss(NODES)[0]
        nodes = [mp.findroot(lambda t: mp.legendre(NODES, t), mp.mpf(float(t))) for t in rough]
        slopes = [NODES * (t * mp.legendre(NODES, t) - mp.legendre(NODES - 1, t)) / (t * t - 1) for t in nodes]
        return [((1 + t) / 2, 1 / ((1 - t * t) * s * s)) for t, s in zip(nodes, slopes, strict=True)]


SLOW = ("loggamma", "gamma", "beta", "besseli")


class Remembering:
    """mpmath, which evaluates slow functions of the same argument once: the textbook is taken at thousands of points."""

    def __init__(self):
        vars(self).update({name: functools.cache(getattr(mp, name)) for name in SLOW})

    def __getattr__(self, name):
        return getattr(mp, name)


MP = Remembering()


class Coordinate:
    """x as a function of u, and back, between the ends of the distribution, which are its quantiles of 0 and 1."""

    def __init__(self, case):
        low, high = case.quantile([0.0, 1.0])
        self.low, self.high = mp.mpf(low), mp.mpf(high)
        self.kind = "real" if low == -np.inf else "positive" if high == np.inf else "unit"
        if self.kind == "real":
            quarter, three_quarters = case.quantile([0.25, 0.75])
            self.centre, self.spread = mp.mpf(quarter + three_quarters) / 2, mp.mpf(three_quarters - quarter)

    def there(self, u):
        """x and log(dx / du)."""
        if self.kind == "real":
            return self.centre + self.spread * mp.sinh(u), mp.log(self.spread * mp.cosh(u))
        if self.kind == "positive":
            return self.low + mp.exp(u), u
        share, rest = 1 / (1 + mp.exp(-u)), 1 / (1 + mp.exp(u))
        return self.low + (self.high - self.low) * share, mp.log((self.high - self.low) * share * rest)

    def back(self, x):
        if self.kind == "real":
            return mp.asinh((x - self.centre) / self.spread)
        return mp.log(x - self.low) if self.kind == "positive" else mp.log((x - self.low) / (self.high - x))


def _integral(case, coordinate, u, sign, factor=lambda log_density: 1):
    """Integral of factor(log p) p from u on in the direction of the sign."""

    def height(v):
        x, log_slope = coordinate.there(v)
        log_density = case.cls.textbook(MP, x, **case.exact)
        return log_density + log_slope, log_density

    def rule(begin, length):
        """Integral over a piece, and the integrand's logarithm where it is highest and at the last node."""
        nodes = [(weight, *height(begin + sign * length * node)) for node, weight in gauss_legendre()]
        value = mp.fsum(weight * mp.exp(log_value) * factor(log_density) for weight, log_value, log_density in nodes)
        return length * value, max(log_value for _, log_value, _ in nodes), nodes[-1][1]

    def settled(begin, length, whole, size):
        half = length / 2
        parts = [rule(begin + sign * k * half, half)[0] for k in range(2)]
        size = max(size, abs(whole))
        if abs(sum(parts) - whole) <= SETTLED * size:
            return sum(parts)
        return sum(settled(begin + sign * k * half, half, part, size) for k, part in enumerate(parts))

    start = height(u)[0]
    tiny = mp.mpf(10) ** -20
    slope = (height(u + sign * tiny)[0] - start) / tiny
    bend = (height(u + sign * tiny)[0] + height(u - sign * tiny)[0] - 2 * start) / tiny**2
    length = 1 / (1 + abs(slope) + mp.sqrt(abs(bend)))
    total, highest = mp.mpf(0), start
    while True:
        whole, high, last = rule(u, length)
        total += settled(u, length, whole, abs(total))
        highest = max(highest, high)
        if last < highest - NEGLIGIBLE and last <= high:
            return total
        u += sign * length
        length *= 2


def tails(case, x):
    """P(X <= x) and P(X > x): the smaller one as an integral, or a sum, and the other as the rest."""
    upper = case.family.cdf(np.array([float(x)]), case.params)[0] > 0.5
    if case.cls.discrete:
        small = _sum(case, x, upper)
    else:
        coordinate = Coordinate(case)
        small = _integral(case, coordinate, coordinate.back(x), 1 if upper else -1)
    return (1 - small, small) if upper else (small, 1 - small)


def _sum(case, x, upper):
    """The probabilities from x + 1 on, or from x down, until nothing is left."""
    first, last, _ = case.cls.support
    k, step = (x + 1, 1) if upper else (x, -1)
    total = term = mp.mpf(0)
    while first <= k <= last:
        previous, term = term, mp.exp(case.cls.textbook(MP, k, **case.exact))
        total += term
        if term < previous and term < total * mp.mpf(10) ** -34:
            break
        k += step
    return total


def entropy(case):
    """Minus the integral, or the sum, of p log p."""
    middle = case.quantile([0.5])[0]
    if case.cls.discrete:
        raise NotImplementedError("a discrete family with an entropy gives its textbook_entropy")
    coordinate = Coordinate(case)
    u = coordinate.back(mp.mpf(middle))
    return mp.fsum(_integral(case, coordinate, u, sign, lambda log_density: -log_density) for sign in (1, -1))
