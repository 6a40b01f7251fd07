"""Two thin rings: the log-ratio is that of their radii, which terms that go closely together have to tell."""

import numpy as np
import pytest
from scipy import stats

from fastkl import jeffreys, jensen_shannon, kl_divergence, renyi_divergence


def rings(seed, width, n=800):
    """Radii N(1, width) and N(1 + width, width) in any direction: the divergence is 1/2 (but for (1 + width)/1)."""
    rng = np.random.default_rng(seed)
    angle, radius = rng.uniform(0.0, 2.0 * np.pi, (2, n)), rng.normal([[1.0], [1.0 + width]], width, (2, n))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=2)


@pytest.mark.parametrize("width", [0.01, 0.02])
def test_divergences_of_thin_rings(width):
    off, within = [], []
    for seed in range(8):
        p, q = rings(seed, width)
        found = kl_divergence(p, q)
        within.append(abs(found - 0.5) < 3.0 * found.standard_error < 0.4)
        off.append(float(found) - 0.5)
    assert all(within)
    assert abs(np.mean(off)) < 0.08
    found = renyi_divergence(p, q, 0.5)
    assert abs(found - 0.25) < 3.0 * found.standard_error < 0.15
    found = jeffreys(p, q)
    assert abs(found - 1.0) < 3.0 * found.standard_error < 0.8


@pytest.mark.parametrize("width", [0.01, 0.02])
def test_jensen_shannon_divergence_of_thin_rings(width):
    truth = float(jensen_shannon(stats.norm(), stats.norm(1.0)))
    for seed in range(4):
        p, q = rings(seed, width)
        found = jensen_shannon(p, q)
        assert abs(found - truth) < 0.035
        assert abs(found - truth) < 3.0 * found.standard_error
        assert float(jensen_shannon(p, q, standard_error=False)) == float(found)
        assert float(jensen_shannon(q, p)) == pytest.approx(found, abs=1e-3)
