"""Kernels of angles and of directions against 50 digits, mass over the circle and the sphere, bandwidths, draws, members."""

import mpmath
import numpy as np
import pytest
from scipy.special import i0e, logsumexp

import fastkl
from fastkl import KernelDensityMLE, SupportError

RNG = np.random.default_rng(8)


def directions(n, d, about=1.0):
    rows = RNG.normal(size=(n, d)) + about * np.eye(d)[0]
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def to_fifty_digits(x, references, h, weights):
    """Log-density of one row: angles where h is an array, else directions."""
    with mpmath.workdps(50):
        total = mpmath.mpf(0)
        for row, weight in zip(references.tolist(), weights.tolist(), strict=True):
            if np.ndim(h):
                term = mpmath.mpf(1)
                for a, b, width in zip(x.tolist(), row, h.tolist(), strict=True):
                    k = 1 / mpmath.mpf(width) ** 2
                    term *= mpmath.exp(k * mpmath.cos(mpmath.mpf(a) - mpmath.mpf(b))) / (
                        2 * mpmath.pi * mpmath.besseli(0, k)
                    )
            else:
                k, d = 1 / mpmath.mpf(h) ** 2, len(row)
                # -|x - y|^2 / 2 + 1 for the inner product: rows are of length 1 to rounding only
                square = sum((mpmath.mpf(a) - mpmath.mpf(b)) ** 2 for a, b in zip(x.tolist(), row, strict=True))
                v = mpmath.mpf(d) / 2 - 1
                constant = k**v / ((2 * mpmath.pi) ** (v + 1) * mpmath.besseli(v, k))
                term = constant * mpmath.exp(k * (1 - square / 2))
            total += mpmath.mpf(weight) * term
        return float(mpmath.log(total / mpmath.fsum(weights.tolist())))


@pytest.mark.parametrize("error", [0.0, 1e-9])
@pytest.mark.parametrize("h", [0.02, 0.3, 3.0])
@pytest.mark.parametrize("d", [1, 2, 4])
def test_angles(d, h, error):
    """At rows of any turn, and on the far side of the circle."""
    X, w, h = RNG.vonmises(1.0, 4.0, (40, d)), RNG.exponential(size=40), h * np.linspace(1.0, 1.5, d)
    queries = np.concatenate([X[:3] + 0.1, X[:1] + np.pi, X[:1] - 20 * np.pi])
    model = KernelDensityMLE(h, kernel="von_mises", error=error).fit(X, sample_weight=w)
    expected = [to_fifty_digits(x, X, h, w) for x in queries]
    np.testing.assert_allclose(model.score_samples(queries), expected, rtol=1e-11, atol=error + 1e-12)


@pytest.mark.parametrize("h", [0.02, 0.3, 3.0])
@pytest.mark.parametrize("d", [2, 3, 10])
def test_directions(d, h):
    X, w = directions(40, d), RNG.exponential(size=40)
    queries = np.concatenate([directions(3, d), -X[:2]])
    model = KernelDensityMLE(h, kernel="von_mises_fisher").fit(X, sample_weight=w)
    expected = [to_fifty_digits(x, X, h, w) for x in queries]
    np.testing.assert_allclose(model.score_samples(queries), expected, rtol=1e-11, atol=2e-9)


@pytest.mark.parametrize("bandwidth", ["likelihood", "silverman", 0.2, 4.0])
def test_mass_is_one(bandwidth):
    """By equal steps around circles, which are exact there, and Gauss's rule from pole to pole."""
    turn = (np.arange(240) + 0.5) / 240 * 2.0 * np.pi
    torus = np.stack(np.meshgrid(turn, turn), axis=-1).reshape(-1, 2)
    model = KernelDensityMLE(bandwidth, kernel="von_mises").fit(RNG.vonmises(1.0, 4.0, (60, 2)))
    assert np.exp(model.score_samples(torus)).mean() * (2.0 * np.pi) ** 2 == pytest.approx(1.0, abs=1e-9)
    heights, weights = np.polynomial.legendre.leggauss(150)
    radius = np.sqrt(1.0 - heights**2)[:, None]
    sphere = np.stack([radius * np.cos(turn), radius * np.sin(turn), np.repeat(heights[:, None], 240, axis=1)], axis=-1)
    model = KernelDensityMLE(bandwidth, kernel="von_mises_fisher").fit(directions(60, 3))
    of_rows = np.exp(model.score_samples(sphere.reshape(-1, 3))).reshape(150, 240)
    assert 2.0 * np.pi * (weights @ of_rows.mean(axis=1)) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("n", [80, 2000])
def test_likelihood_of_angles(n):
    """The maximum of the leave-one-out sum written out, whatever the turn."""
    X = np.column_stack([RNG.vonmises(1.0, 4.0, n), RNG.vonmises(-3.0, 20.0, n)])
    model = KernelDensityMLE(kernel="von_mises").fit(X)
    assert model.converged_

    def total(h):
        logs = sum(
            (np.cos(X[:, j, None] - X[:, j]) - 1.0) / h[j] ** 2 - np.log(2 * np.pi * i0e(h[j] ** -2.0)) for j in (0, 1)
        )
        np.fill_diagonal(logs, -np.inf)
        return logsumexp(logs, axis=1).sum() - n * np.log(n - 1)

    best = total(model.bandwidth_)
    assert best == pytest.approx(model.loo_log_likelihood_, abs=1e-7)
    for factor in ([1.02, 1.0], [0.98, 1.0], [1.0, 1.02], [1.0, 0.98]):
        assert total(model.bandwidth_ * factor) < best
    turned = KernelDensityMLE(kernel="von_mises").fit(X + np.array([2.0, 4.0 * np.pi]))
    np.testing.assert_allclose(turned.bandwidth_, model.bandwidth_, rtol=1e-7)


def test_likelihood_of_directions():
    X = directions(150, 3)
    model = KernelDensityMLE(kernel="von_mises_fisher").fit(X)
    assert model.converged_
    values = []
    for factor in (0.98, 1.0, 1.02):
        other = KernelDensityMLE(factor * model.bandwidth_, kernel="von_mises_fisher", error=0.0).fit(X)
        values.append(other.leave_one_out().sum())
    assert values[1] == max(values)
    assert values[1] == pytest.approx(model.loo_log_likelihood_, abs=1e-8)


def test_slopes():
    X = RNG.vonmises(1.0, 4.0, (50, 2))
    model = KernelDensityMLE([0.3, 0.5], kernel="von_mises", error=0.0).fit(X)
    queries, found = X[:6] + 0.4, model.score_gradient(X[:6] + 0.4)
    for j in (0, 1):
        step = 1e-6 * np.eye(2)[j]
        slope = (model.score_samples(queries + step) - model.score_samples(queries - step)) / 2e-6
        np.testing.assert_allclose(found[:, j], slope, rtol=1e-5, atol=1e-6)
    X = directions(50, 3)
    model = KernelDensityMLE(0.4, kernel="von_mises_fisher", error=0.0).fit(X)
    at, towards = directions(1, 3)[0], np.array([0.3, -0.8, 0.5])
    towards -= (towards @ at) * at
    towards /= np.linalg.norm(towards)
    ends = [np.cos(t) * at + np.sin(t) * towards for t in (1e-6, -1e-6)]
    slope = np.subtract(*model.score_samples(ends)) / 2e-6
    gradient = model.score_gradient([at])[0]
    assert gradient @ towards == pytest.approx(slope, rel=1e-5)
    assert gradient @ at == pytest.approx(0.0, abs=1e-12)


def test_draws():
    """Their mean cosine to the one reference is the mean resultant length."""
    draws = KernelDensityMLE(0.5, kernel="von_mises").fit([[6.0]]).sample(40_000, random_state=0)
    assert draws.min() >= 0.0
    assert draws.max() < 2 * np.pi
    assert np.cos(draws - 6.0).mean() == pytest.approx(float(mpmath.besseli(1, 4) / mpmath.besseli(0, 4)), abs=0.005)
    pole = np.array([[0.0, 0.6, 0.8]])
    draws = KernelDensityMLE(0.5, kernel="von_mises_fisher").fit(pole).sample(40_000, random_state=0)
    np.testing.assert_allclose(np.linalg.norm(draws, axis=1), 1.0, rtol=1e-14)
    np.testing.assert_allclose(draws.mean(axis=0), pole[0] * (1.0 / np.tanh(4.0) - 0.25), atol=0.01)


def test_members(tmp_path):
    X = directions(60, 3).astype(np.float32)
    model = KernelDensityMLE("silverman", kernel="von_mises_fisher").fit(X)
    model.save(tmp_path / "directions")
    np.testing.assert_array_equal(fastkl.load(tmp_path / "directions").score_samples(X), model.score_samples(X))
    assert np.isneginf(model.score_samples(2.0 * X[:1])[0])
    entropy = model.entropy()
    assert abs(entropy.value - np.log(4 * np.pi)) < 1.0
    with pytest.raises(SupportError, match="row 2 has length 2"):
        KernelDensityMLE(0.3, kernel="von_mises_fisher").fit(
            X * np.array([[1], [1], [2], *[[1]] * 57], dtype=np.float32)
        )
    with pytest.raises(SupportError, match="at least 2 columns"):
        KernelDensityMLE(0.3, kernel="von_mises_fisher").fit([[1.0], [-1.0]])
    with pytest.raises(ValueError, match="is a number; its concentration"):
        KernelDensityMLE([0.3, 0.2, 0.1], kernel="von_mises_fisher").fit(X)
    with pytest.raises(ValueError, match="a support of its own"):
        KernelDensityMLE(0.3, kernel="von_mises", boundary="log").fit(X)
    with pytest.raises(ValueError, match="one direction"):
        KernelDensityMLE(kernel="von_mises_fisher").fit(X[[0, 0, 0]])
    with pytest.raises(ValueError, match="sheather_jones"):
        KernelDensityMLE("sheather_jones", kernel="von_mises").fit(X)
    with pytest.raises(ValueError, match="at least 2 rows"):
        KernelDensityMLE(kernel="von_mises").fit(X[:1])
    with pytest.raises(AttributeError, match="draws"):
        model.mean()
    with pytest.raises(ValueError, match="NaN"):
        model.score_samples([[np.nan, 0.0, 1.0]])


def test_parts_of_angles_are_integrals_of_the_whole():
    """Kernels of angles are products over columns: a marginal is an integral around the other circle, by steps of a full turn."""
    rng = np.random.default_rng(4)
    angles, weights = rng.vonmises([0.5, 2.0, -1.0], 3.0, (60, 3)), rng.uniform(0.5, 2.0, 60)
    model = KernelDensityMLE([0.4, 0.7, 0.3], kernel="von_mises").fit(angles, sample_weight=weights)
    turn = np.linspace(0.0, 2.0 * np.pi, 256, endpoint=False)
    rows = np.column_stack([np.full(256, 1.0), turn, np.full(256, -0.5)])
    integral = np.log(np.mean(np.exp(model.score_samples(rows))) * 2.0 * np.pi)
    part = model.marginal([2, 0])
    np.testing.assert_allclose(part.score_samples([[-0.5, 1.0]])[0], integral, rtol=1e-10)
    assert part.boundary is None
    given = model.conditional({0: 1.0, 2: -0.5})
    np.testing.assert_allclose(given.score_samples(turn[:9, None]), model.score_samples(rows[:9]) - integral, rtol=1e-9)
