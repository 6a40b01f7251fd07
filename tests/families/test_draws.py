"""Draws at the ends: whatever a sampler's arithmetic does there, a draw is a number of the support."""

import mpmath
import numpy as np
import pytest

from fastkl import DensityMLE, MixtureMLE, families
from fastkl.families import drawing
from fastkl.families.von_mises_fisher import draw_gaps

EXTREME = [
    ("gamma", {"shape": 0.0016, "scale": 1.0}),
    ("beta", {"a": 0.001, "b": 0.002}),
    ("weibull", {"shape": 0.001, "scale": 1.0}),
    ("lomax", {"shape": 0.001, "scale": 1.0}),
    ("pareto", {"shape": 0.001, "scale": 1.0}),
    ("burr12", {"c": 0.001, "d": 1.0, "scale": 1.0}),
    ("loglogistic", {"shape": 0.001, "scale": 1.0}),
    ("lognormal", {"meanlog": 0.0, "sdlog": 1e4}),
    ("cauchy", {"loc": 0.0, "scale": 1e308}),
    ("dirichlet", {"concentration": [0.001, 0.002]}),
]


@pytest.mark.parametrize(("family", "params"), EXTREME, ids=[name for name, _ in EXTREME])
@pytest.mark.filterwarnings("error")
def test_a_draw_is_in_the_support(family, params):
    model = DensityMLE.from_parameters(family, **params)
    rows = model.sample(500, random_state=0)
    assert np.isfinite(rows).all()
    assert np.isfinite(model.score_samples(rows)).all()


def test_a_mixture_draws_alike():
    gamma = families.Gamma(shape=0.0016, scale=1.0)
    rows = np.random.default_rng(0).gamma(2.0, size=(30, 1))
    model = MixtureMLE(2, family=[gamma, "lognormal"], random_state=0).fit(rows)
    assert (model.sample(500, random_state=0) > 0.0).all()


@pytest.mark.parametrize("k", [1e-300, 0.5, 50.0, 1e6, 1e16, 1e30, 1e300, 1.7e308])
@pytest.mark.parametrize("d", [2, 3, 100])
@pytest.mark.filterwarnings("error")
def test_gaps_of_any_concentration(d, k):
    """Their mean and mean square are those of the distribution, E gap = 1 - A and E gap^2, whatever the concentration."""
    gaps = draw_gaps(d, k, 4000, np.random.default_rng(1))
    with mpmath.workdps(60):
        if k < 1e5:
            x, v = mpmath.mpf(k), mpmath.mpf(d) / 2
            ratio = mpmath.besseli(v, x) / mpmath.besseli(v - 1, x)
            first, second = 1 - ratio, 2 - 2 * ratio - (d - 1) * ratio / x
        else:  # k gap is a gamma variable of shape (d - 1) / 2, to a relative d / k
            half = mpmath.mpf(d - 1) / 2
            first, second = half / mpmath.mpf(k), half * (half + 1) / mpmath.mpf(k) ** 2
        spread = mpmath.sqrt(second - first**2)
        assert abs(mpmath.fsum(map(float, gaps)) / 4000 - first) < 5 * spread / mpmath.sqrt(4000)


@pytest.mark.parametrize("k", [1e16, 1e30, 1e300])
def test_directions_of_any_concentration(k):
    model = DensityMLE.from_parameters("von_mises_fisher", direction=[0.6, -0.8], concentration=k)
    rows = model.sample(50, random_state=0)
    np.testing.assert_allclose(rows, np.tile([[0.6, -0.8]], (50, 1)), atol=10.0 / np.sqrt(k) + 1e-15)
    assert np.isfinite(model.score_samples(rows)).all()


@pytest.mark.parametrize("turn", [1e4, 1e9, 1e12, 1e15])
@pytest.mark.parametrize("loc", [0.3, 2e5])
def test_large_angles(turn, loc):
    """Sums, scores and rows agree with the exact angle modulo a turn, which has fewer digits only where the input has."""
    rows = turn + np.linspace(0.0, 7.0, 40)[:, None]
    model = DensityMLE.from_parameters("von_mises", loc=loc, concentration=3.0)
    with mpmath.workdps(60):
        constant = mpmath.log(2 * mpmath.pi * mpmath.besseli(0, 3))
        expected = [float(3 * mpmath.cos(mpmath.mpf(x) - mpmath.mpf(loc)) - constant) for x in rows[:, 0].tolist()]
        turned = [[float(mpmath.fmod(mpmath.mpf(x), 2 * mpmath.pi))] for x in rows[:, 0].tolist()]
    np.testing.assert_allclose(model.score_samples(rows), expected, atol=4e-15)
    assert model.score(rows) == pytest.approx(np.mean(expected), abs=4e-15)
    far, near = (DensityMLE("von_mises").fit(X).params_ for X in (rows, turned))
    np.testing.assert_allclose(far["concentration"], near["concentration"], rtol=1e-12)
    np.testing.assert_allclose(np.exp(1j * far["loc"]), np.exp(1j * near["loc"]), atol=1e-13)


@pytest.mark.parametrize("name", families.names())
def test_draws_of_many_rows_are_of_the_same_distribution(name, monkeypatch):
    """They are made in blocks, so that Ctrl-C is heard: of the same type and shape, and the same every time."""
    monkeypatch.setattr(drawing, "AT_ONCE", 256)
    family, params = families.by_name(name).examples()[0]
    model = DensityMLE.from_parameters(family, **params)
    rows, again = model.sample(1000, random_state=0), model.sample(1000, random_state=0)
    np.testing.assert_array_equal(rows, again)
    few = model.sample(3, random_state=0)
    assert rows.dtype == few.dtype
    assert rows.shape == (1000, few.shape[1])
    assert np.isfinite(model.score_samples(rows)).all()
    if rows.dtype.kind != "O" and rows.shape[1] > 0:
        assert len(np.unique(rows[:256], axis=0)) == 1 or not np.array_equal(rows[:200], rows[256:456])
