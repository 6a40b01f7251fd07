"""Sums and products of two doubles together with what rounding took away, by operations on doubles alone."""

import numpy as np

from fastkl._core.array_types import Floats

_SPLITTER = 134217729.0  # 2^27 + 1


def exact_product(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """a b as a rounded product and what rounding took away (Veltkamp and Dekker 1971, doi:10.1007/BF01397083).

    The second is 0 where it cannot be known, because a half overflows.
    """
    product = a * b
    with np.errstate(over="ignore", invalid="ignore"):
        (a_high, a_low), (b_high, b_low) = _halves(a), _halves(b)
        rest = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low
    return product, np.where(np.isfinite(rest), rest, 0.0)


def _halves(x: Floats) -> tuple[Floats, Floats]:
    """x as a number of 26 bits and the rest."""
    scaled = _SPLITTER * x
    high = scaled - (scaled - x)
    return high, x - high


def exact_sum(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """a + b as a rounded sum and what rounding took away (Knuth, The Art of Computer Programming 2, section 4.2.2)."""
    total = a + b
    virtual = total - a
    return total, (a - (total - virtual)) + (b - virtual)


def exact_share(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """a / (a + b) as a rounded quotient and what rounding took away."""
    total, lost = exact_sum(a, b)
    share = a / total
    high, low = exact_product(share, total)
    return share, ((a - high) - low - share * lost) / total
