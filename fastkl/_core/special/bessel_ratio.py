"""Modified Bessel functions for the von Mises-Fisher distribution: their ratio, its complement, and the log normaliser.

With v = d/2 - 1 and A(k) = I_{v+1}(k) / I_v(k), the mean resultant length. For k beyond some 100 d^2 Hankel's expansion
(Abramowitz and Stegun 9.7.1) gives 1 - A without cancellation; up to 2000 Gauss's continued fraction gives A for any order; in
between scaled Bessel functions, and where those underflow Debye's uniform expansion (DLMF 10.41.3).
"""

import numpy as np
from scipy.special import gammaln, ive

from fastkl._core.special.gamma_functions import HALF_LOG_2PI

FRACTION_UP_TO = 2000.0
HANKEL_TERMS = 20


def ratio_and_complement(d: int, k: float) -> tuple[float, float]:
    """A(k) and 1 - A(k) for k >= 0."""
    v = 0.5 * d - 1.0
    if k >= hankel_from(v):
        gap = _hankel_gap(v, k)
        return 1.0 - gap, gap
    if k <= FRACTION_UP_TO:
        ratio = _fraction(v, k)
    else:
        above, below = float(ive(v + 1.0, k)), float(ive(v, k))
        ratio = above / below if above > 1e-290 else float(np.exp(_debye(v + 1.0, k) - _debye(v, k)))
    return ratio, 1.0 - ratio


def ratio_slope(d: int, k: float) -> float:
    """A'(k) = 1 - A^2 - (d - 1) A / k; with b = 1 - A it is (2 b - (d - 1) / k) - b^2 + (d - 1) b / k."""
    if k < 1e-4:
        return 1.0 / d - 3.0 * k * k / (d * d * (d + 2.0))
    ratio, gap = ratio_and_complement(d, k)
    if ratio < 0.5:
        return 1.0 - ratio * ratio - (d - 1.0) * ratio / k
    return (2.0 * gap - (d - 1.0) / k) - gap * gap + (d - 1.0) * gap / k


def log_scaled_constant(d: int, k: float) -> float:
    """log C_d(k) + k, the log-density at the mode: C_d(k) = k^v / ((2 pi)^(d/2) I_v(k))."""
    v = 0.5 * d - 1.0
    if k >= hankel_from(v):
        return float((v + 0.5) * np.log(k) - (d - 1) * HALF_LOG_2PI - np.log1p(_hankel_rest(v, k)))
    if k * k <= 4.0 * (v + 1.0) or (k * k < 2000.0 * (v + 1.0) and float(ive(v, k)) < 1e-290):
        return float(v * np.log(2.0) + gammaln(v + 1.0) - _log_series(v, k) - d * HALF_LOG_2PI + k)
    scaled = float(ive(v, k))
    log_bessel = np.log(scaled) if scaled >= 1e-290 else _debye(v, k)
    return float(v * np.log(k) - d * HALF_LOG_2PI - log_bessel)


def _fraction(v: float, k: float) -> float:
    """I_{v+1}(k) / I_v(k) by Gauss's continued fraction, from below; the terms left out shrink like (k / 2)^2 / (v + n)^2."""
    if k == 0.0:
        return 0.0
    ratio = 0.0
    for n in range(int(1.5 * k) + 60, 0, -1):
        ratio = k / (2.0 * (v + n) + k * ratio)
    return ratio


def hankel_from(v: float) -> float:
    """Where Hankel's expansion begins to have all digits."""
    return 100.0 * max(1.0, (v + 1.0) ** 2)


def _hankel_rest(v: float, k: float) -> float:
    """sqrt(2 pi k) exp(-k) I_v(k) - 1."""
    term, rest = 1.0, 0.0
    for j in range(1, HANKEL_TERMS):
        term *= -(4.0 * v * v - (2.0 * j - 1.0) ** 2) / (8.0 * j * k)
        rest += term
        if abs(term) < 1e-18:
            break
    return rest


def _hankel_gap(v: float, k: float) -> float:
    """1 - I_{v+1}(k) / I_v(k) from the difference of the two expansions, term by term."""
    # terms a_j(v) = prod_{i<=j} (4 v^2 - (2 i - 1)^2) / (j! 8^j); I_v ~ sum (-1)^j a_j(v) / k^j
    low = high = total = 1.0
    difference = 0.0
    for j in range(1, HANKEL_TERMS):
        odd = (2.0 * j - 1.0) ** 2
        low *= -(4.0 * v * v - odd) / (8.0 * j * k)
        high *= -(4.0 * (v + 1.0) ** 2 - odd) / (8.0 * j * k)
        total += low
        difference += low - high if j > 1 else (2.0 * v + 1.0) / (2.0 * k)
        if abs(high) < 1e-18:
            break
    return difference / total


def _log_series(v: float, k: float) -> float:
    """log of 0F1(; v + 1; k^2 / 4), all of whose terms are positive."""
    total = term = 1.0
    n, z = 0, 0.25 * k * k
    while term > 1e-18 * total:
        n += 1
        term *= z / (n * (v + n))
        total += term
    return float(np.log(total))


def _debye(v: float, k: float) -> float:
    """log(exp(-k) I_v(k)) for large v, uniformly in k."""
    z = k / v
    root = np.hypot(1.0, z)
    p = 1.0 / root
    q = p * p
    u1 = p * (3.0 - 5.0 * q) / 24.0
    u2 = q * (81.0 + q * (-462.0 + 385.0 * q)) / 1152.0
    u3 = p * q * (30375.0 + q * (-369603.0 + q * (765765.0 - 425425.0 * q))) / 414720.0
    u4 = q * q * (4465125.0 + q * (-94121676.0 + q * (349922430.0 + q * (-446185740.0 + 185910725.0 * q)))) / 39813120.0
    series = u1 / v + u2 / v**2 + u3 / v**3 + u4 / v**4
    # root - z, without cancellation for large z, is 1 / (root + z)
    exponent = v * (1.0 / (root + z) + np.log(z / (1.0 + root)))
    return float(exponent - 0.5 * np.log(2.0 * np.pi * v * root) + np.log1p(series))
