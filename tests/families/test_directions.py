"""The von Mises-Fisher distribution: references, fits in few and many columns, boundaries, divergence by quadrature."""

import mpmath as mp
import numpy as np
import pytest

from fastkl import DensityMLE, families
from fastkl.exceptions import DegenerateDataError, SupportError
from fastkl.families import closed_form
from tests.families.differences import close

mp.mp.dps = 50


@pytest.mark.parametrize("d", [2, 3, 10, 1000])
@pytest.mark.parametrize("k", [0.0, 1e-6, 0.7, 30.0, 1900.0, 2100.0, 1e5, 1e8])
def test_directions_log_density(d, k):
    rng = np.random.default_rng(d)
    X = rng.normal(size=(3, d))
    X[1] = X[0] + X[1] / np.sqrt(d * max(k, 1.0))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    direction = X[0]
    distribution = DensityMLE.from_parameters("von_mises_fisher", direction=direction, concentration=k)
    v = mp.mpf(d) / 2 - 1
    if k == 0.0:
        constant = mp.loggamma(v + 1) - mp.log(2) - mp.mpf(d) / 2 * mp.log(mp.pi)
    else:
        constant = v * mp.log(mp.mpf(k)) - mp.mpf(d) / 2 * mp.log(2 * mp.pi) - mp.log(mp.besseli(v, mp.mpf(k)))
    for x, got in zip(X, distribution.score_samples(X), strict=True):
        along = mp.fsum(mp.mpf(float(a)) * mp.mpf(float(b)) for a, b in zip(x, direction, strict=True))
        assert close(got, constant + mp.mpf(k) * along), (x[:3], got)


@pytest.mark.parametrize(("d", "k"), [(2, 0.3), (3, 5.0), (3, 1e5), (50, 200.0), (400, 3e3)])
def test_directions_fit(d, k):
    distribution = DensityMLE.from_parameters("von_mises_fisher", direction=np.eye(1, d)[0], concentration=k)
    X = distribution.sample(2000, random_state=0)
    model = DensityMLE("von_mises_fisher").fit(X)
    mean = [mp.fsum(mp.mpf(float(v)) for v in column) / len(X) for column in X.T]
    length = mp.sqrt(mp.fsum(v * v for v in mean))
    fitted, v = mp.mpf(float(model.params_["concentration"])), mp.mpf(d) / 2 - 1
    ratio = mp.besseli(v + 1, fitted) / mp.besseli(v, fitted)
    slope = 1 - ratio**2 - (d - 1) * ratio / fitted
    assert abs((ratio - length) / slope / fitted) < 1e-9
    assert abs(1 / mp.sqrt(2000 * slope) / mp.mpf(float(model.standard_errors_["concentration"])) - 1) < 1e-6
    np.testing.assert_allclose(model.params_["direction"], [float(m / length) for m in mean], atol=1e-14)
    assert abs(float(model.params_["concentration"]) - k) < 6.0 * model.standard_errors_["concentration"]


def test_directions_on_the_circle():
    # roots of I1 / I0 = R
    for length, want in [(0.1, 0.2010084133), (0.5, 1.159319921), (0.9, 5.304689063), (0.99, 50.2538474)]:
        X = np.array([[length, np.sqrt(1.0 - length**2)], [length, -np.sqrt(1.0 - length**2)]])
        model = DensityMLE("von_mises_fisher").fit(X)
        np.testing.assert_allclose(model.params_["concentration"], want, rtol=1e-8)


def test_directions_without_direction_or_spread():
    X = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    model = DensityMLE("von_mises_fisher").fit(X)
    assert model.params_["concentration"] == 0.0
    assert set(model.boundary_) == {"concentration", "direction"}
    assert model.standard_errors_ == {}
    np.testing.assert_allclose(model.score_samples(X), -np.log(2.0 * np.pi), rtol=1e-14)
    assert model.sample(5, random_state=0).shape == (5, 2)
    away = DensityMLE(families.VonMisesFisher(direction=[-1.0, 0.0])).fit([[1.0, 0.0], [0.0, 1.0]])
    assert away.params_["concentration"] == 0.0
    assert set(away.boundary_) == {"concentration"}
    with pytest.raises(DegenerateDataError, match="same direction"):
        DensityMLE("von_mises_fisher").fit([[0.6, 0.8]] * 4)
    with pytest.raises(SupportError, match=r"row 1 has length 1\.1"):
        DensityMLE("von_mises_fisher").fit([[0.6, 0.8], [1.1, 0.0]])
    assert model.score_samples([[1.1, 0.0]])[0] == -np.inf


def test_directions_divergence_by_quadrature():
    angle = np.linspace(0.0, 2.0 * np.pi, 20001)[:-1]
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    p = DensityMLE.from_parameters("von_mises_fisher", direction=[0.6, 0.8], concentration=3.0)
    for direction, k in [([0.6, 0.8], 7.0), ([1.0, 0.0], 3.0), ([0.0, -1.0], 0.5), ([1.0, 0.0], 0.0)]:
        q = DensityMLE.from_parameters("von_mises_fisher", direction=direction, concentration=k)
        log_p, log_q = p.score_samples(circle), q.score_samples(circle)
        want = np.sum(np.exp(log_p) * (log_p - log_q)) * 2.0 * np.pi / len(angle)
        np.testing.assert_allclose(closed_form.kl(p.family_, p.params_, q.family_, q.params_), want, rtol=1e-11)
    assert closed_form.kl(p.family_, p.params_, p.family_, p.params_) == 0.0
    entropy = -np.sum(np.exp(p.score_samples(circle)) * p.score_samples(circle)) * 2.0 * np.pi / len(angle)
    np.testing.assert_allclose(p.family_.entropy(p.params_), entropy, rtol=1e-12)
