"""Both tails of the von Mises distribution against integrals in 40-digit arithmetic, from concentration 0 to 1e12."""

import mpmath
import numpy as np
import pytest

from fastkl._core.special.von_mises_tails import log_von_mises_tails, turn_ends


def exact_tail(start, k):
    """P(T > start) for 0 <= start < pi: the integral of the density over pieces of doubling length."""
    height, scale = mpmath.cos(start), 1 / (1 + k * mpmath.sin(start) + mpmath.sqrt(k))
    ends, length = [start], scale
    while ends[-1] < mpmath.pi and k * (height - mpmath.cos(ends[-1])) < 90:
        ends.append(min(ends[-1] + length, mpmath.pi))
        length *= 2
    area = mpmath.quad(lambda t: mpmath.exp(k * (mpmath.cos(t) - height)), ends)
    return area * mpmath.exp(k * height) / (2 * mpmath.pi * mpmath.besseli(0, k))


@pytest.mark.parametrize("k", [0.0, 1e-3, 0.7, 15.0, 40.0, 1e3, 1e5, 1e8, 1e12])
def test_both_tails(k):
    near = np.array([0.0, 0.3, 1.0, 8.0, 38.0]) / np.sqrt(max(k, 1.0))
    angles = np.concatenate([near[near < 3.0], [0.8, 2.5, 3.0, np.pi - 1e-9]])
    angles = angles[k * (1.0 - np.cos(angles)) < 1e6]
    with mpmath.workdps(40):
        tails = [exact_tail(mpmath.mpf(t), mpmath.mpf(k)) for t in angles]
        small = np.array([float(mpmath.log(tail)) for tail in tails])
        large = np.array([float(mpmath.log1p(-tail)) for tail in tails])
    for sign, order in ((1.0, (large, small)), (-1.0, (small, large))):
        for found, wanted in zip(log_von_mises_tails(sign * angles, 0.0, k), order, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("loc", [0.0, 1.0, -2.0, 0.4, 3.0])
def test_ends_of_the_turn(loc):
    """The ends are rounded away from loc; what lies inside them by a rounding has its own tiny tail."""
    low, high = (float(end) for end in turn_ends(np.array(loc)))
    with mpmath.workdps(40):
        assert mpmath.mpf(low) <= mpmath.mpf(loc) - mpmath.pi
        assert mpmath.mpf(high) >= mpmath.mpf(loc) + mpmath.pi
        inside = np.nextafter(low, 10.0)
        tail = (mpmath.mpf(float(inside)) - mpmath.mpf(loc) + mpmath.pi) / (2 * mpmath.pi)
        want = float(mpmath.log(tail))
    lower, upper = log_von_mises_tails(np.array([low, high, inside]), loc, 0.0)
    np.testing.assert_allclose(lower, [-np.inf, 0.0, want], rtol=1e-12)
    assert upper[0] == 0.0
    assert upper[1] == -np.inf


def test_angles_of_many_turns():
    x = np.array([-2.9, -0.1, 1.4, 3.1])
    once = log_von_mises_tails(x, 0.25, 7.0)
    for turns in (-3, 1, 1000):
        # a turn more costs the angle a rounding of its size
        more = log_von_mises_tails(x + 2.0 * np.pi * turns, 0.25, 7.0)
        np.testing.assert_allclose(more, once, rtol=1e-13 * abs(turns) * 7.0 * np.pi, atol=0.0)
    assert np.isnan(log_von_mises_tails(np.nan, 0.0, 2.0)).all()
