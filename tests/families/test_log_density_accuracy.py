"""Log-densities of the continuous univariate families against 60-digit arithmetic, at extreme points and extreme parameters.

Every point has to agree to 1e-13 relative, or to 1e-13 absolute where the value is below 1. Beside the centre, points lie up to
100 scales out, and shapes range from 1e-3 to 1e6.
"""

import mpmath as mp
import numpy as np
import pytest

from fastkl import DensityMLE

OUT = (0.0, 1e-3, 0.1, 0.7, 1.0, 2.5, 10.0, 100.0)
SHAPES = (1e-3, 0.03, 0.5, 1.0, 3.0, 50.0, 1e3, 1e6)


def log_beta(a, b):
    return mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b)


REFERENCES = {
    "exponential": lambda x, scale: -x / scale - mp.log(scale),
    "half_normal": lambda x, scale: -((x / scale) ** 2) / 2 - mp.log(scale) + mp.log(2 / mp.pi) / 2,
    "rayleigh": lambda x, scale: mp.log(x) - (x / scale) ** 2 / 2 - 2 * mp.log(scale),
    "lognormal": lambda x, m, s: -(((mp.log(x) - m) / s) ** 2) / 2 - mp.log(x) - mp.log(s) - mp.log(2 * mp.pi) / 2,
    "uniform": lambda x, low, high: -mp.log(high - low),
    "pareto": lambda x, a, s: mp.log(a / s) - (a + 1) * mp.log(x / s),
    "laplace": lambda x, m, s: -abs(x - m) / s - mp.log(2 * s),
    "logistic": lambda x, m, s: -(x - m) / s - 2 * mp.log1p(mp.exp(-(x - m) / s)) - mp.log(s),
    "gumbel": lambda x, m, s: -(x - m) / s - mp.exp(-(x - m) / s) - mp.log(s),
    "cauchy": lambda x, m, s: -mp.log(1 + ((x - m) / s) ** 2) - mp.log(mp.pi * s),
    "weibull": lambda x, k, s: mp.log(k / s) + (k - 1) * mp.log(x / s) - (x / s) ** k,
    "loglogistic": lambda x, k, s: mp.log(k / s) + (k - 1) * mp.log(x / s) - 2 * mp.log1p((x / s) ** k),
    "lomax": lambda x, a, s: mp.log(a / s) - (a + 1) * mp.log1p(x / s),
    "burr12": lambda x, c, d, s: mp.log(c * d / s) + (c - 1) * mp.log(x / s) - (d + 1) * mp.log1p((x / s) ** c),
    "beta": lambda x, a, b: (a - 1) * mp.log(x) + (b - 1) * mp.log1p(-x) - log_beta(a, b),
    "inverse_gaussian": lambda x, m, s: mp.log(s / (2 * mp.pi * x**3)) / 2 - s * (x - m) ** 2 / (2 * m**2 * x),
    "von_mises": lambda x, m, k: k * mp.cos(x - m) - mp.log(2 * mp.pi * mp.besseli(0, k)),
    "student_t": lambda x, v, m, s: (
        -(v + 1) / 2 * mp.log1p(((x - m) / s) ** 2 / v) - mp.log(v) / 2 - log_beta(v / 2, mp.mpf(1) / 2) - mp.log(s)
    ),
    "gamma": lambda x, a, s: (a - 1) * mp.log(x) - x / s - a * mp.log(s) - mp.loggamma(a),
    "normal": lambda x, m, s: -(((x - m) / s) ** 2) / 2 - mp.log(s) - mp.log(2 * mp.pi) / 2,
}


def by_location(families, locations=((0.0, 1.0), (0.3, 1e-3), (-2.0, 1e6), (1e8, 1.0))):
    for name in families:
        for loc, scale in locations:
            yield name, {"loc": loc, "scale": scale}, [loc + sign * scale * z for z in OUT for sign in (1.0, -1.0)]


def by_log(families, first="shape"):
    """Laws of shape log(x / scale): out to 30 on that scale, beyond which the Weibull density is 0 to double precision."""
    for name in families:
        for shape in SHAPES:
            scale = 2.5
            points = [
                scale * np.exp(sign * min(z, 30.0) / shape) for z in OUT for sign in (1.0, -1.0) if z / shape < 300.0
            ]
            yield name, {first: shape, "scale": scale}, points


def cases():
    for name in ("exponential", "half_normal", "rayleigh"):
        for scale in (1e-8, 1.0, 1e8):
            yield name, {"scale": scale}, [scale * z for z in OUT[1:]]
    yield from by_location(("laplace", "logistic", "cauchy", "normal"))
    for name, params, points in by_location(("gumbel",)):
        # far below the mode the density is 0 to double precision
        yield name, params, [x for x in points if x > params["loc"] - 20 * params["scale"]]
    yield from by_log(("weibull", "loglogistic"))
    for sdlog in (1e-2, 0.5, 30.0):
        yield (
            "lognormal",
            {"meanlog": 0.7, "sdlog": sdlog},
            [np.exp(0.7 + s * z * min(sdlog, 6.0)) for z in OUT for s in (1, -1)],
        )
    yield "uniform", {"low": -1.0, "high": 1.0 + 1e-9}, [-1.0, 0.3, 1.0]
    for shape in SHAPES:
        yield "pareto", {"shape": shape, "scale": 0.7}, [0.7 * (1.0 + z) for z in OUT]
        yield "lomax", {"shape": shape, "scale": 0.7}, [0.7 * z for z in OUT]
        yield "gamma", {"shape": shape, "scale": 0.3}, around(0.3 * shape, 0.3 * np.sqrt(shape))
        yield "inverse_gaussian", {"mean": 1.7, "shape": shape}, around(1.7, np.sqrt(1.7**3 / shape))
        yield (
            "von_mises",
            {"loc": 0.4, "concentration": shape},
            [0.4 + s * min(z / max(np.sqrt(shape), 0.1), 40.0) for z in OUT for s in (1.0, -1.0)],
        )
        for other in (1e-3, 0.8, 40.0, 1e6):
            mean, n = shape / (shape + other), shape + other
            spread = np.sqrt(mean * (1.0 - mean) / (n + 1.0))
            yield "beta", {"a": shape, "b": other}, [x for x in around(mean, spread) if x < 1.0]
        for d in (1e-3, 0.7, 1e3, 1e6):
            points = [2.5 * np.exp(s * min(z, 30.0) / shape) for z in OUT for s in (1.0, -1.0) if z / shape < 300.0]
            yield "burr12", {"c": shape, "d": d, "scale": 2.5}, points
    for df in (0.1, 0.7, 1.0, 4.0, 30.0, 32.5, 1e3, 1e6, 1e8):
        yield (
            "student_t",
            {"df": df, "loc": 0.3, "scale": 1.7},
            [0.3 + s * 1.7 * z for z in (*OUT, 1e8) for s in (1.0, -1.0)],
        )


def around(mean, spread):
    points = [mean + s * spread * z for z in OUT for s in (1.0, -1.0)] + [
        mean * f for f in (1e-30, 1e-3, 0.1, 0.8, 1.3, 5.0)
    ]
    return [x for x in points if x > 0.0]


@pytest.mark.parametrize("case", list(cases()), ids=lambda case: f"{case[0]}-{'-'.join(f'{v:g}' for v in case[1].values())}")
def test_against_high_precision(case):
    name, params, points = case
    x = np.array(points, dtype=np.float64)
    got = DensityMLE.from_parameters(name, **params).score_samples(x[:, None])
    with mp.workdps(60):
        exact = [mp.mpf(float(value)) for value in params.values()]
        want = np.array([float(REFERENCES[name](mp.mpf(float(value)), *exact)) for value in x])
    np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-13)


def test_overflowing_squares():
    """Beyond 1e154 the square of z overflows, its logarithm does not."""
    x = np.array([[1e200], [-1e300]])
    with mp.workdps(60):
        for name, params in (
            ("cauchy", {"loc": 0.0, "scale": 1.0}),
            ("student_t", {"df": 2.5, "loc": 0.0, "scale": 3.0}),
        ):
            exact = [mp.mpf(value) for value in params.values()]
            want = [float(REFERENCES[name](mp.mpf(float(value)), *exact)) for value in x[:, 0]]
            np.testing.assert_allclose(DensityMLE.from_parameters(name, **params).score_samples(x), want, rtol=1e-13)


def test_angles_of_many_turns():
    x = np.array([[0.3 + 2.0 * np.pi * k] for k in (-3, 1, 1000, 10**5, 10**7)])
    with mp.workdps(60):
        want = [float(REFERENCES["von_mises"](mp.mpf(float(v)), mp.mpf(0.25), mp.mpf(7.0))) for v in x[:, 0]]
    got = DensityMLE.from_parameters("von_mises", loc=0.25, concentration=7.0).score_samples(x)
    # x - loc is rounded: what it loses grows with x
    np.testing.assert_allclose(got, want, atol=1e-13 + 7.0 * np.abs(x[:, 0]).max() * 2e-16)
    np.testing.assert_allclose(got[:3], want[:3], rtol=1e-12)
