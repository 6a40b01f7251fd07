"""log, exp and log1p against 60-digit arithmetic: at most 2 units in the last place anywhere."""

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
