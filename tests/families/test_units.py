"""Multiplying the data by c changes log-densities by -log c and parameters in their unit.

That holds from 1e-301, where squares underflow, to 1e150, where their sums come near the end of the range.
"""

import mpmath as mp
import numpy as np
import pytest

from fastkl import DensityMLE, families
from tests.families.discovered import CLASSES, CONTINUOUS

FACTORS = (2.0**-1000, 2.0**-665, 2.0**500)
NAMES = [name for name in CONTINUOUS if CLASSES[name].equivariant]


def unit_of(name, key, factor):
    """By what a parameter is multiplied when the data are."""
    role = CLASSES[name].parameters[key].role
    return {"location": factor, "scale": factor, "inverse_scale": 1.0 / factor}.get(role, 1.0)


def in_other_units(name, params, factor):
    moved = {key: np.asarray(value) * unit_of(name, key, factor) for key, value in params.items()}
    return {
        key: value + np.log(factor) if CLASSES[name].parameters[key].role == "log_location" else value
        for key, value in moved.items()
    }


@pytest.fixture(params=NAMES)
def distribution(request):
    return DensityMLE.from_parameters(request.param, **families.by_name(request.param).example)


def test_the_families_of_a_scale_are_all_here():
    assert len(NAMES) >= 17


@pytest.mark.parametrize("factor", FACTORS, ids=("1e-301", "1e-200", "1e150"))
def test_fit_and_score(distribution, factor):
    name, X = distribution.family_.name, distribution.sample(300, random_state=0)
    model, scaled = DensityMLE(name).fit(X), DensityMLE(name).fit(X * factor)
    expected = model.score_samples(X) - 2.0 * np.log(factor)
    np.testing.assert_allclose(scaled.score_samples(X * factor), expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(scaled.score(X * factor), expected.mean(), rtol=1e-12)
    for key, value in in_other_units(name, model.params_, factor).items():
        np.testing.assert_allclose(scaled.params_[key], value, rtol=1e-7, err_msg=key)


@pytest.mark.parametrize("factor", FACTORS, ids=("1e-301", "1e-200", "1e150"))
def test_value_and_gradient(distribution, factor):
    name, X = distribution.family_.name, distribution.sample(300, random_state=1)
    score, gradient = distribution.score_and_gradient(X)
    scaled = DensityMLE.from_parameters(name, **in_other_units(name, distribution.params_, factor))
    moved_score, moved = scaled.score_and_gradient(X * factor)
    np.testing.assert_allclose(moved_score, score - 2.0 * np.log(factor), rtol=1e-12)
    for key, value in gradient.items():
        np.testing.assert_allclose(moved[key] * unit_of(name, key, factor), value, rtol=1e-9, atol=1e-12, err_msg=key)


@pytest.mark.parametrize("factor", FACTORS, ids=("1e-301", "1e-200", "1e150"))
@pytest.mark.parametrize("name", ["normal", "half_normal", "rayleigh"])
def test_blocks_and_chunks_of_any_size(name, factor):
    """Roots of sums of squares merge over blocks of 4096 rows, over chunks and with weights as those in the middle do."""
    X = DensityMLE.from_parameters(name, **families.by_name(name).example).sample(9000, random_state=2)
    w = np.random.default_rng(0).uniform(0.5, 2.0, len(X))
    model, scaled = DensityMLE(name).fit(X, sample_weight=w), DensityMLE(name)
    for piece in (slice(0, 1), slice(1, 5000), slice(5000, None)):
        scaled.partial_fit(X[piece] * factor, sample_weight=w[piece])
    for key, value in model.params_.items():
        np.testing.assert_allclose(scaled.params_[key], value * factor, rtol=1e-12)


def test_constant_columns_are_still_said_to_be_constant():
    for value in (0.0, 3e-200, 3.0, 3e200):
        with pytest.raises(ValueError, match="constant"):
            DensityMLE("normal").fit(np.full((5000, 1), value))


@pytest.mark.parametrize("scale", [1e-290, 1e-200, 1e-160, 1.0, 1e200])
@pytest.mark.parametrize("ratio", [0.4, 3.0, 1e3])
def test_a_power_of_a_ratio_keeps_its_digits_in_any_unit(scale, ratio):
    """(x / scale)^200 is exp of 200 times the logarithm of the ratio: a rounding of it counts 200 times."""
    shape, x = 200.0 if ratio < 10.0 else 40.0, ratio * scale
    with mp.workdps(60):
        log_ratio = mp.log(mp.mpf(x) / mp.mpf(scale))
        exact = mp.log(shape) - mp.log(mp.mpf(scale)) + (shape - 1) * log_ratio - mp.exp(shape * log_ratio)
    found = DensityMLE.from_parameters("weibull", shape=shape, scale=scale).score_samples([[x]])[0]
    assert found == pytest.approx(float(exact), rel=2e-13)


@pytest.mark.parametrize(
    ("name", "params", "x"),
    [
        ("gamma", {"shape": 0.318, "scale": 2.77e264}, 1.23e-89),
        ("gamma", {"shape": 0.411, "scale": 1.53e192}, 3.49e-281),
        ("burr12", {"c": 8.8e-5, "d": 1.98, "scale": 1.64e295}, 8.4e-219),
        ("burr12", {"c": 2.1e-23, "d": 142624.0, "scale": 5.97e-66}, 6.1e247),
        ("loglogistic", {"shape": 14214.0, "scale": 5.9e-132}, 8.7e196),
        ("loglogistic", {"shape": 0.02, "scale": 2.1e231}, 1.2e-129),
        ("weibull", {"shape": 0.003, "scale": 8.9e271}, 1.2e-149),
        ("weibull", {"shape": 5.4e56, "scale": 3.9e-256}, 3.0e252),
        ("rayleigh", {"scale": 1.9e-125}, 2.0e234),
        ("gumbel", {"loc": 0.25, "scale": 7.2e-246}, -5.3e140),
        ("gumbel", {"loc": 0.25, "scale": 7.2e-246}, 5.3e40),
    ],
)
def test_ratios_beyond_the_range_of_numbers(name, params, x):
    """x / scale may overflow or underflow where its logarithm does not; a density that does is 0, and not NaN."""
    with mp.workdps(60):
        exact = CLASSES[name].textbook(mp, mp.mpf(x), **{key: mp.mpf(value) for key, value in params.items()})
        exact = float(exact) if exact > -1e300 else -np.inf
    found = DensityMLE.from_parameters(name, **params).score_samples([[x]])[0]
    assert found == pytest.approx(exact, rel=1e-13)
