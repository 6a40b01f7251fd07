"""The estimates against independent routes: minimax formulas, a general solver, closed forms, what characterises a maximum."""

from itertools import pairwise

import mpmath
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import LinearConstraint, brentq, minimize

from fastkl import DegenerateDataError, ShapeConstrainedMLE
from fastkl.density.shape.exponential import moments, ramp

RNG = np.random.default_rng(5)
SAMPLES = {
    "normal": RNG.normal(size=400),
    "gamma": RNG.gamma(2.0, size=400),
    "heavy": RNG.standard_t(2.0, size=400),
    "uniform": RNG.uniform(size=50),
    "two_peaks": np.concatenate([RNG.normal(-3.0, 1.0, 100), RNG.normal(3.0, 0.5, 100)]),
    "rounded": RNG.normal(size=300).round(1),
    "offset": 1e8 + RNG.normal(size=300),
    "outlier": np.append(RNG.normal(size=100), 1e6),
}


def log_concave(x, weights=None):
    return ShapeConstrainedMLE("log_concave").fit(np.asarray(x)[:, None], sample_weight=weights)


def decreasing(x, weights=None, start=0.0):
    return ShapeConstrainedMLE("decreasing", lower=start).fit(np.asarray(x)[:, None], sample_weight=weights)


def by_a_general_solver(x, weights):
    """Log-densities at the different values, from scipy's SLSQP on the constrained problem as it stands."""
    values, at = np.unique(x, return_inverse=True)
    shares = np.bincount(at, weights) / weights.sum()
    gaps = np.diff(values)

    def loss(phi):
        rise = np.diff(phi)
        safe = np.where(np.abs(rise) < 1e-9, 1.0, rise)
        whole = np.where(np.abs(rise) < 1e-9, 1.0 + 0.5 * rise, np.expm1(safe) / safe)
        return np.sum(gaps * np.exp(phi[:-1]) * whole) - shares @ phi

    bends = np.zeros((len(values) - 2, len(values)))
    for k in range(len(bends)):
        bends[k, k : k + 3] = 1.0 / gaps[k], -1.0 / gaps[k] - 1.0 / gaps[k + 1], 1.0 / gaps[k + 1]
    start = np.full(len(values), -np.log(values[-1] - values[0]))
    found = minimize(loss, start, method="SLSQP", constraints=LinearConstraint(bends, -np.inf, 0.0),
                     options={"ftol": 1e-15, "maxiter": 1000})  # fmt: skip
    return values, found.x, -found.fun


@pytest.mark.parametrize("seed", range(6))
def test_log_concave_as_a_general_solver_has_it(seed):
    rng = np.random.default_rng(seed)
    x, weights = rng.normal(size=12).round(2), rng.uniform(0.2, 2.0, 12)
    values, phi, best = by_a_general_solver(x, weights)
    model = log_concave(x, weights)
    np.testing.assert_allclose(model.score_samples(values[:, None]), phi, atol=2e-3)
    assert model.score(x[:, None], sample_weight=weights) - 1.0 >= best - 1e-9
    assert model.score(x[:, None], sample_weight=weights) - 1.0 == pytest.approx(best, abs=1e-7)


def test_log_concave_of_two_values():
    """An exponential tilt between them, with the mean of the data."""
    model = log_concave([0.0, 1.0], [1.0, 3.0])
    tilt = brentq(lambda t: 1.0 / -np.expm1(-t) - 1.0 / t - 0.75, 1e-3, 50.0, xtol=1e-14)
    expected = tilt * np.array([0.0, 0.5, 1.0]) + np.log(tilt / np.expm1(tilt))
    np.testing.assert_allclose(model.score_samples([[0.0], [0.5], [1.0]]), expected, rtol=1e-12, atol=1e-12)
    uniform = log_concave([2.0, 6.0])
    np.testing.assert_allclose(uniform.score_samples([[2.0], [3.0], [6.0]]), -np.log(4.0), rtol=1e-14)
    np.testing.assert_array_equal(uniform.score_samples([[1.999], [6.001]]), -np.inf)


@pytest.mark.parametrize("name", SAMPLES)
def test_what_characterises_the_log_concave_maximum(name):
    """Same mean, smaller variance; the integral of the distribution function never exceeds the empirical one, and meets it."""
    x = np.sort(SAMPLES[name])
    model = log_concave(x)
    assert model.certificate_ <= 1e-12
    assert model.converged_
    knots, (heights,) = model.knots_[0], model.log_heights_
    assert np.isin(knots, x).all()
    np.testing.assert_allclose(heights[1:, 0], heights[:-1, 1], rtol=0, atol=1e-12 * (1.0 + np.abs(heights).max()))
    slopes = np.diff(heights, axis=1).ravel() / np.diff(knots)
    assert np.all(np.diff(slopes) <= 0.0)
    scale = np.ptp(x)
    assert model.mean()[0] == pytest.approx(x.mean(), abs=1e-13 * scale + 1e-15 * np.abs(x).max())
    assert model.variance()[0] <= x.var()
    # int F over [x_1, t] is t F(t) less the mean of what lies below: summed by a fine rule between data points
    at = np.unique(x)
    nodes, weights = np.polynomial.legendre.leggauss(100)
    grid = at[:-1, None] + np.diff(at)[:, None] * (nodes + 1.0) / 2.0
    cdf = model.cdf(grid.reshape(-1, 1)).reshape(grid.shape)
    empirical = np.searchsorted(x, at[:-1], side="right") / len(x)
    excess = np.cumsum(np.diff(at) * ((cdf @ weights) / 2.0 - empirical))
    assert np.all(excess <= 1e-9 * scale)
    np.testing.assert_allclose(excess[np.searchsorted(at, knots[1:]) - 1], 0.0, atol=1e-9 * scale)


@pytest.mark.parametrize("weighted", [False, True])
def test_decreasing_by_the_minimax_formula(weighted):
    x = np.sort(RNG.exponential(size=60).round(2) + 0.01)
    weights = RNG.uniform(0.1, 3.0, 60) if weighted else np.ones(60)
    model = decreasing(x, weights)
    values = np.unique(x)
    below = np.array([0.0, *(weights[x <= value].sum() for value in values)]) / weights.sum()
    ends = np.concatenate([[0.0], values])
    for i in range(1, len(ends)):
        height = min(max((below[t] - below[s]) / (ends[t] - ends[s]) for t in range(i, len(ends))) for s in range(i))
        assert np.exp(model.score_samples([[ends[i]]])[0]) == pytest.approx(height, rel=1e-12)
    assert model.certificate_ <= 1e-12
    assert np.all(np.diff(model.log_heights_[0][:, 0]) < 0.0)


def test_decreasing_by_hand():
    model = decreasing([1.0, 2.0, 6.0])
    np.testing.assert_array_equal(model.knots_[0], [0.0, 2.0, 6.0])
    np.testing.assert_allclose(np.exp(model.log_heights_[0][:, 0]), [1.0 / 3.0, 1.0 / 12.0], rtol=1e-15)
    # the left limit holds at a jump: it is what the likelihood is made of
    np.testing.assert_allclose(
        np.exp(model.score_samples([[0.0], [2.0], [2.1], [6.0]])), [1 / 3, 1 / 3, 1 / 12, 1 / 12], rtol=1e-14
    )
    np.testing.assert_array_equal(model.score_samples([[-0.1], [6.1]]), -np.inf)
    np.testing.assert_allclose(model.cdf([[1.0], [2.0], [4.0]]).ravel(), [1.0 / 3.0, 2.0 / 3.0, 5.0 / 6.0], rtol=1e-14)
    assert model.mean()[0] == pytest.approx(2.0 / 3.0 + 4.0 / 3.0, rel=1e-14)
    assert model.mode()[0] == 0.0


@pytest.mark.parametrize("shape", ["log_concave", "decreasing"])
def test_units_weights_and_order(shape):
    fit = log_concave if shape == "log_concave" else decreasing
    x = RNG.gamma(2.0, size=200).round(2) + 0.01
    plain = fit(x)
    at = np.linspace(0.0, 8.0, 57)[:, None]
    for scale in (1e-200, 1e-3, 1e6, 1e250):
        np.testing.assert_allclose(fit(scale * x).score_samples(scale * at) + np.log(scale), plain.score_samples(at),
                                   rtol=1e-9, atol=1e-9)  # fmt: skip
    counts = RNG.integers(0, 4, 200)
    np.testing.assert_allclose(
        fit(x, counts).score_samples(at), fit(np.repeat(x, counts)).score_samples(at), rtol=1e-10
    )
    np.testing.assert_allclose(fit(x, np.full(200, 1e-30)).score_samples(at), plain.score_samples(at), rtol=1e-10)
    np.testing.assert_allclose(fit(RNG.permutation(x)).score_samples(at), plain.score_samples(at), rtol=1e-10)
    small = x.astype(np.float32)
    small.flags.writeable = False
    np.testing.assert_allclose(fit(small).score_samples(at), fit(small.astype(float)).score_samples(at), rtol=1e-12)


def test_a_turn_about_zero_turns_the_log_concave_density():
    x = RNG.gumbel(size=300)
    at = np.linspace(-2.0, 5.0, 40)[:, None]
    np.testing.assert_allclose(
        log_concave(-x).score_samples(-at), log_concave(x).score_samples(at), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("shape", ["log_concave", "decreasing"])
def test_many_values(shape):
    """Knots of many values are looked for among some first; the conditions hold at all of them."""
    x = np.random.default_rng(1).gamma(3.0, size=20_000)
    model = ShapeConstrainedMLE(shape).fit(x[:, None])
    assert model.certificate_ <= 1e-11
    if shape == "log_concave":
        assert model.mean()[0] == pytest.approx(x.mean(), rel=1e-11)


def test_weights_and_distances_of_many_magnitudes():
    rng = np.random.default_rng(2)
    x, weights = rng.standard_cauchy(500), rng.uniform(size=500) ** 30 + 1e-300
    for values in (x, np.append(x[:-1], 1e15), 1e300 * rng.normal(size=500), rng.integers(0, 9, 500) * 5e-324):
        model = log_concave(values, weights)
        assert model.certificate_ <= 1e-11
        assert model.entropy().value == pytest.approx(-model.score(values[:, None], sample_weight=weights), abs=1e-7)


def test_unmet_conditions_are_said(monkeypatch):
    from sklearn.exceptions import ConvergenceWarning

    from fastkl.density.shape import log_concave as solver

    monkeypatch.setattr(solver, "GAIN", 1.0)
    with pytest.warns(ConvergenceWarning, match="conditions of the maximum are met to"):
        model = log_concave(SAMPLES["gamma"])
    assert not model.converged_


@pytest.mark.parametrize("delta", [0.0, 1e-300, 1e-9, 0.3, 0.999999, 1.0, 1.5, 7.0, 80.0, 1e5])
def test_integrals_of_exponentials(delta):
    with mpmath.workdps(40):
        exact = [mpmath.quad(lambda s, k=k: s**k * mpmath.exp(-mpmath.mpf(delta) * s),
                             [0, min(1, 1 / max(delta, 1)), min(1, 20 / max(delta, 1)), 1]) for k in range(3)]  # fmt: skip
        exact = [float(value) for value in exact]
    found = [float(value[0]) for value in moments(np.array([delta]), 2)]
    np.testing.assert_allclose(found, exact, rtol=3e-15)
    up = float(ramp(np.array([1.0]), np.array([1.0 - delta]))[0])
    assert up == pytest.approx(np.e * exact[1], rel=3e-15)


@pytest.mark.parametrize("shape", ["log_concave", "decreasing"])
def test_probabilities_and_moments_by_quadrature(shape):
    x = np.random.default_rng(3).gamma(2.0, size=(80, 1))
    model = ShapeConstrainedMLE(shape).fit(x)
    knots = model.knots_[0]

    def integral(function, low=-np.inf, high=np.inf):
        ends = np.clip(knots, low, high)
        return sum(quad(lambda v: function(v) * np.exp(model.score_samples([[v]])[0]), *pair, epsabs=1e-13)[0]
                   for pair in pairwise(ends))  # fmt: skip

    assert integral(lambda v: 1.0) == pytest.approx(1.0, abs=1e-10)
    mean = integral(lambda v: v)
    assert model.mean()[0] == pytest.approx(mean, rel=1e-9)
    assert model.variance()[0] == pytest.approx(integral(lambda v: (v - mean) ** 2), rel=1e-9)
    assert model.entropy().value == pytest.approx(-integral(lambda v: model.score_samples([[v]])[0]), rel=1e-8)
    for v in (0.2, 1.0, 3.3):
        assert model.cdf([[v]])[0, 0] == pytest.approx(integral(lambda _: 1.0, high=v), rel=1e-9)
        assert model.sf([[v]])[0, 0] == pytest.approx(integral(lambda _: 1.0, low=v), rel=1e-9)


@pytest.mark.parametrize("shape", ["log_concave", "decreasing"])
def test_quantiles_invert_both_tails(shape):
    x = np.random.default_rng(4).gamma(2.0, size=(300, 1))
    model = ShapeConstrainedMLE(shape).fit(x)
    q = np.array([1e-300, 1e-12, 1e-3, 0.3, 0.5, 0.9, 0.999])
    np.testing.assert_allclose(model.cdf(model.quantile(q)[2:]).ravel(), q[2:], rtol=1e-12)
    upper = model.quantile(q, upper=True)
    np.testing.assert_allclose(model.sf(upper[2:]).ravel(), q[2:], rtol=1e-9)
    low, high = model.knots_[0][[0, -1]]
    np.testing.assert_array_equal(model.quantile([0.0, 1.0]).ravel(), [low, high])
    np.testing.assert_array_equal(model.quantile([0.0, 1.0], upper=True).ravel(), [high, low])
    # an amount of mass next to the ends is a rectangle: all digits of a small one
    for end, side, heights in ((low, 1.0, model.log_heights_[0][0, 0]), (high, -1.0, model.log_heights_[0][-1, 1])):
        tiny = 1e-9 * (high - low)
        tail = model.cdf if side > 0 else model.sf
        exact = np.exp(heights) * tiny
        assert tail([[end + side * tiny]])[0, 0] == pytest.approx(exact, rel=1e-5)
    assert model.log_cdf([[low - 1.0]])[0, 0] == -np.inf
    assert model.log_sf([[high + 1.0]])[0, 0] == -np.inf


def test_steep_pieces():
    """A density that falls by hundreds of nats between two knots."""
    model = log_concave(np.array([0.0, 0.1, 0.2, 1000.0]), np.array([1.0, 1.0, 1.0, 1e-30]))
    q = np.array([1e-8, 0.2, 0.7, 0.999])
    np.testing.assert_allclose(model.cdf(model.quantile(q)).ravel(), q, rtol=1e-10)
    # a value near 0.2 itself is rounded, where the density falls by 1e10 nats per unit
    np.testing.assert_allclose(model.sf(model.quantile(q, upper=True)).ravel(), q, rtol=1e-7)


def test_gaps_that_no_number_tells_are_refused():
    """The search halved an infinite step for ever."""
    X = np.array([[-1.7e308], [1e-308], [1e-160], [1e-17], [1e16]])
    with pytest.raises(DegenerateDataError, match="nearly coincide"):
        ShapeConstrainedMLE().fit(X, sample_weight=[4.0, 1.0, 1.0, 1.0, 2.0])
