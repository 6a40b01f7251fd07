"""Jensen-Shannon and Jeffreys of known probabilities, against scipy and in many digits; rows without copies of the input."""

import mpmath as mp
import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.special import softmax

from fastkl import discrete_jeffreys, discrete_jensen_shannon, discrete_kl


def rows(seed, shape=(7, 5)):
    return np.random.default_rng(seed).dirichlet(np.ones(shape[-1]), shape[:-1])


def test_jensen_shannon_is_the_square_of_a_metric():
    p, q, r = rows(0), rows(1), rows(2)
    np.testing.assert_allclose(discrete_jensen_shannon(p, q), jensenshannon(p, q, axis=1) ** 2, rtol=1e-12)
    one, two, three = (np.sqrt(discrete_jensen_shannon(*pair)) for pair in ((p, q), (q, r), (p, r)))
    assert (three <= one + two + 1e-15).all()
    assert discrete_jensen_shannon([1.0, 0.0], [0.0, 1.0]) == pytest.approx(np.log(2.0), rel=1e-15)
    assert discrete_jensen_shannon([0.2, 0.8], [0.2, 0.8]) == 0.0
    assert discrete_jensen_shannon([1.0, 0.0], [0.5, 0.5]).bits == pytest.approx(
        0.2157615543388357 / np.log(2.0), rel=1e-12
    )


def test_jeffreys_is_the_sum_of_both_orders():
    p, q = rows(3), rows(4)
    np.testing.assert_allclose(discrete_jeffreys(p, q), discrete_kl(p, q) + discrete_kl(q, p), rtol=1e-12)
    assert discrete_jeffreys([1.0, 0.0], [0.5, 0.5]) == np.inf
    assert discrete_jeffreys([0.5, 0.5, 0.0], [0.3, 0.7, 0.0]) == pytest.approx(0.2 * np.log(0.7 / 0.3), rel=1e-12)


@pytest.mark.parametrize("step", [1e-3, 1e-6, 1e-8])
def test_nearly_equal_arguments_keep_their_digits(step):
    p, q = [0.3, 0.7], [0.3 + step, 0.7 - step]
    with mp.workdps(50):
        a, b = ([mp.mpf(x) for x in v] for v in (p, q))
        m = [(x + y) / 2 for x, y in zip(a, b, strict=True)]
        truth = sum(x * mp.log(x / z) + y * mp.log(y / z) for x, y, z in zip(a, b, m, strict=True)) / 2
    assert discrete_jensen_shannon(p, q) == pytest.approx(float(truth), rel=1e-6)


def test_logits_and_blocks_of_rows():
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=(3, 40, 2000)).astype(np.float32), rng.normal(size=2000)
    p, q = softmax(a.astype(float) / 2.0, axis=-1), softmax(b / 2.0)
    for call in (discrete_jensen_shannon, discrete_jeffreys, discrete_kl):
        found = call(a, b, logits=True, temperature=2.0)
        assert found.shape == (3, 40)
        np.testing.assert_allclose(found, call(p, q), rtol=1e-9)
    wrong = p.copy()
    wrong[2, 31, 5] = -0.1
    with pytest.raises(ValueError, match=r"pk\[2, 31, 5\] is -0.1"):
        discrete_kl(wrong, q)
    wrong = p.copy()
    wrong[1, 38] *= 2.0
    with pytest.raises(ValueError, match="Row 1, 38 of pk sums to 2"):
        discrete_jensen_shannon(wrong, q)
