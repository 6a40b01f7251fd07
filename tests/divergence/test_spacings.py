"""Entropy of one column from the gaps between its sorted values: scipy, laws."""

import json
import math
import pathlib

import numpy as np
import pytest
from scipy import stats
from scipy.special import digamma

from fastkl.divergence.entropy_estimators.spacings import spacing_terms, spacings_entropy
from fastkl.exceptions import DegenerateDataError

CASES = json.loads((pathlib.Path(__file__).parents[1] / "data" / "cases" / "divergence.json").read_text())
NORMAL = 0.5 * math.log(2 * math.pi * math.e)


def by_window(x, window):
    return float(spacing_terms(x, np.full(len(x), 1.0 / len(x)), window, "x").mean())


def published(case):
    """The errors of 10,000 samples take seconds where each goes through all windows."""
    slow = case["parameters"]["method"] in ("correa", "van_es")
    return pytest.param(case, id=case["id"], marks=[pytest.mark.slow] if slow else [])


@pytest.mark.parametrize("case", [published(c) for c in CASES if c["estimator"] == "entropy_spacing"])
def test_case(case):
    scope = {"np": np}
    exec(case["generator"]["numpy"], scope)
    values = np.array([spacings_entropy(*sample, **case["parameters"]) for sample in scope["samples"]])
    rmse = np.sqrt(np.mean((values - case["expected"]["truth"]) ** 2))
    for key, tolerance in case["tolerance"].items():
        assert abs(rmse - case["expected"][key]) <= tolerance


@pytest.mark.parametrize("window", [1, 5, 24])
def test_spacings_are_those_of_scipy_but_for_the_expectation_of_a_logarithm(window):
    x, rank = np.random.default_rng(0).gamma(2.0, size=50), np.arange(50)
    ranks = np.minimum(rank + window, 49) - np.maximum(rank - window, 0)
    off = np.mean(np.log(ranks / 50) - digamma(ranks) + digamma(51.0))
    expected = stats.differential_entropy(x, window_length=window, method="ebrahimi") + off
    assert by_window(x, window) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("window", [1, 3, 10])
def test_the_estimate_is_unbiased_within_a_uniform_sample(window):
    """Mean over samples of size 21 from U(0, 1), entropy 0, by the expectation of log gaps of uniform order statistics."""
    values = [by_window(x, window) for x in np.random.default_rng(1).random((3000, 21))]
    assert abs(np.mean(values)) < 4 * np.std(values) / math.sqrt(3000)


def test_spacings_laws():
    x = np.random.default_rng(2).standard_normal(300)
    first = spacings_entropy(x)
    assert spacings_entropy(x[:, None]) == first
    assert spacings_entropy(x[::-1].copy()) == pytest.approx(first, abs=1e-12)
    assert spacings_entropy(-3e-7 * x) == pytest.approx(first + math.log(3e-7), abs=1e-9)
    assert spacings_entropy(x + 1e6) == pytest.approx(first, abs=1e-6)
    assert abs(first - NORMAL) < 0.3
    assert 0.7 < first.standard_error / math.sqrt(0.5 / 300) < 1.5


def test_weights_of_spacings():
    rng = np.random.default_rng(3)
    x = rng.standard_normal(400)
    assert spacings_entropy(x, weights=np.full(400, 7.0)) == pytest.approx(spacings_entropy(x), abs=1e-12)
    w = rng.random(400) + 0.01
    assert spacings_entropy(x, weights=w) == pytest.approx(spacings_entropy(x, weights=5 * w), abs=1e-12)
    # Draws of sd 1 weighted to N(0, 1/2): the entropy of the latter.
    x = rng.standard_normal(20000)
    e = spacings_entropy(x, weights=np.exp(-0.5 * x**2))
    assert abs(e - (NORMAL - 0.5 * math.log(2))) < 4 * e.standard_error + 0.01


def test_spacings_that_cannot_be():
    x = np.random.default_rng(4).standard_normal(50)
    with pytest.raises(ValueError, match="3 columns"):
        spacings_entropy(np.zeros((5, 3)))
    x[:30] = 1.5
    with pytest.raises(DegenerateDataError, match=r"1\.5"):
        spacings_entropy(x)
    # Rounded values that the window bridges have an estimate.
    rounded = np.random.default_rng(4).standard_normal(1000).round(2)
    assert abs(spacings_entropy(rounded) - NORMAL) < 0.1
