"""log, exp and log1p against 60-digit arithmetic: at most 2 units in the last place anywhere. Interpolation and tables."""

import mpmath
import numpy as np
import pytest

from fastkl._core import _vector_math

rng = np.random.default_rng(0)
NEAR_ONE = 1.0 + 10.0 ** rng.uniform(-16, -1, 1500) * rng.choice([-1, 1], 1500)
ALL_SCALES = 10.0 ** rng.uniform(-323, 308, 1500)
POINTS = {
    "log": np.concatenate(
        [ALL_SCALES, NEAR_ONE, rng.uniform(0.5, 2.0, 1500), [5e-324, 2.3e-308, 1.0, 1.7976931348623157e308]]
    ),
    "exp": np.concatenate([rng.uniform(-745, 709.7, 2500), rng.uniform(-1, 1, 1500), 10.0 ** rng.uniform(-20, 0, 500)]),
    "log1p": np.concatenate([ALL_SCALES, NEAR_ONE - 1.0, rng.uniform(-0.9999999, 2, 1500), [-1.0 + 2.0**-53]]),
}


@pytest.mark.parametrize("name", sorted(POINTS))
def test_error_in_units_in_the_last_place(name):
    x = POINTS[name][np.abs(POINTS[name]) > 0]
    got = getattr(_vector_math, name)(x)
    with mpmath.workdps(60):
        for a, b in zip(x.tolist(), got.tolist(), strict=True):
            exact = getattr(mpmath, name)(mpmath.mpf(a))
            unit = float(np.spacing(abs(float(exact))))
            assert abs(mpmath.mpf(b) - exact) <= 2.0 * unit, (name, a, b)


def test_special_values():
    inf, nan = np.inf, np.nan
    log = _vector_math.log(np.array([0.0, -0.0, -1.0, inf, -inf, nan, 1.0]))
    np.testing.assert_array_equal(log, [-inf, -inf, nan, inf, nan, nan, 0.0])
    exp = _vector_math.exp(np.array([-inf, inf, nan, 0.0, -1e300, 1e300, 709.782712893384, -745.2]))
    np.testing.assert_array_equal(exp[:6], [0.0, inf, nan, 1.0, 0.0, inf])
    assert np.isfinite(exp[6])
    assert exp[7] == 0.0
    log1p = _vector_math.log1p(np.array([-1.0, -2.0, inf, nan, 0.0, 1e-320, -1e-320]))
    np.testing.assert_array_equal(log1p, [-inf, nan, inf, nan, 0.0, 1e-320, -1e-320])


@pytest.mark.parametrize("name", sorted(POINTS))
def test_empty_and_read_only(name):
    function = getattr(_vector_math, name)
    assert function(np.empty(0)).shape == (0,)
    x = np.array([0.5, 2.0])
    x.flags.writeable = False
    np.testing.assert_allclose(function(x), getattr(np, name)(x), rtol=1e-15)


@pytest.mark.parametrize("size", [1, 2, 3, 64, 517])
@pytest.mark.parametrize("n", [0, 1, 63, 64, 1000])
def test_interpolation_is_that_of_numpy_to_the_bit(size, n):
    rng = np.random.default_rng([size, n])
    knots, values = np.sort(rng.standard_t(2, size=size)), rng.normal(size=size)
    x = rng.standard_t(2, size=(n, 3))[:, 1]  # a column beside others
    x[: min(n, size)] = knots[: min(n, size)]
    np.testing.assert_array_equal(_vector_math.interpolated(x, knots, values), np.interp(x, knots, values))


def test_interpolation_beside_what_is_no_number():
    inf, nan = np.inf, np.nan
    knots, values = np.array([-inf, 0.0, 1.0, 1.0, 2.0, inf]), np.array([-inf, 1.0, 1.0, 3.0, 5.0, 5.0])
    x = np.array([-inf, -1e300, 0.0, 0.5, 1.0, 1.5, 2.0, 1e300, inf, nan])
    np.testing.assert_array_equal(_vector_math.interpolated(x, knots, values), np.interp(x, knots, values))
    with pytest.raises(ValueError, match="2 knots and 3 values"):
        _vector_math.interpolated(x, knots[:2], values[:3])


def test_entries_of_a_table():
    table = np.array([10.0, 20.0, 30.0])
    np.testing.assert_array_equal(_vector_math.looked_up(np.array([3.0, 1.0, 2.0]), table), [30.0, 10.0, 20.0])
    for number in (0.0, 1.5, 4.0, -1.0, np.nan, np.inf):
        assert _vector_math.looked_up(np.array([1.0, number]), table) is None
