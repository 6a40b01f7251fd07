"""Coordinates of whole sets of parameters: there and back, derivatives against differences, what stays, and names."""

import numpy as np
import pytest

from fastkl import families
from fastkl.families.solvers.coordinates import chart_at, inside
from fastkl.families.solvers.curvature import derivative

CASES = [pytest.param(*case, id=name) for name in families.names() for case in families.by_name(name).examples()[:1]]
RNG = np.random.default_rng(2)


def flat(params, names):
    return np.concatenate([np.ravel(params[name]) for name in names])


@pytest.mark.parametrize(("family", "params"), CASES)
def test_there_and_back(family, params):
    params = family.check_parameters(params)
    chart = chart_at(family, params)
    u = chart.to(params)
    again = chart.back(u)
    assert list(again) == list(params)
    for name, value in params.items():
        np.testing.assert_allclose(again[name], value, rtol=1e-12, atol=1e-14, err_msg=name)
    assert chart.size == len(u)


@pytest.mark.parametrize(("family", "params"), CASES)
@pytest.mark.parametrize("size", [0.1, 3.0])
def test_every_vector_stands_for_parameters(family, params, size):
    params = family.check_parameters(params)
    chart = chart_at(family, params)
    for _ in range(5):
        moved = chart.back(chart.to(params) + RNG.normal(scale=size, size=chart.size))
        family.check_parameters(moved)  # raises where one is outside its range


@pytest.mark.parametrize(("family", "params"), CASES)
def test_gradients_by_the_coordinates(family, params):
    """``pull`` against differences of a linear function of the parameters, which any gradient is."""
    params = family.check_parameters(params)
    chart = chart_at(family, params)
    if chart.size == 0:
        pytest.skip("no parameter with coordinates")
    free = [name for name in params if name not in chart.held_names]
    slopes = {name: RNG.normal(size=np.shape(params[name])) for name in free}
    for name in free:
        if np.ndim(slopes[name]) == 2 and name in ("covariance", "scale"):
            slopes[name] = slopes[name] + slopes[name].T  # the gradient with respect to a symmetric matrix is symmetric

    def linear(u):
        moved = chart.back(u)
        return sum(np.sum(slopes[name] * moved[name]) for name in free)

    expected = derivative(linear, chart.to(params))
    scale = max(np.abs(expected).max(), abs(linear(chart.to(params))))
    np.testing.assert_allclose(chart.pull(params, slopes), expected, rtol=1e-8, atol=1e-10 * scale)


@pytest.mark.parametrize(("family", "params"), CASES)
def test_jacobian_of_the_entries(family, params):
    params = family.check_parameters(params)
    chart = chart_at(family, params)
    assert chart.jacobian(params).shape == (len(chart.names), chart.size)
    filled = chart.fill(np.arange(float(len(chart.names))))
    for name in filled:
        assert np.shape(filled[name]) == np.shape(params[name])


def test_known_coordinates():
    """Positive parameters are moved by factors, locations in units of the scale, probabilities along their logits."""
    gamma = chart_at(families.Gamma(), {"shape": np.array([2.0]), "scale": np.array([5.0])})
    moved = gamma.back(gamma.to(gamma.held) + np.log([3.0, 0.5]))
    np.testing.assert_allclose([moved["shape"][0], moved["scale"][0]], [6.0, 2.5], rtol=1e-14)
    normal = chart_at(families.Normal(), {"loc": np.array([7.0]), "scale": np.array([4.0])})
    moved = normal.back(normal.to(normal.held) + np.array([1.5, 0.0]))
    np.testing.assert_allclose([moved["loc"][0], moved["scale"][0]], [13.0, 4.0], rtol=1e-14)
    bernoulli = chart_at(families.Bernoulli(), {"probability": np.array([0.5])})
    moved = bernoulli.back(bernoulli.to(bernoulli.held) + np.log(3.0))
    np.testing.assert_allclose(moved["probability"], 0.75, rtol=1e-14)


def test_what_stays():
    """A parameter that is held fixed, one on which the support depends, and entries that were not asked for."""
    params = {"shape": np.array([2.0, 3.0]), "scale": np.array([5.0, 6.0])}
    assert chart_at(families.Gamma(shape=[2.0, 3.0]), params).names == ["scale[0]", "scale[1]"]
    assert chart_at(families.Pareto(), params).names == ["shape[0]", "shape[1]"]
    narrow = chart_at(families.Gamma(), params, ["shape[1]"])
    assert (narrow.names, narrow.size) == (["shape[1]"], 1)
    moved = narrow.back(narrow.to(params) + np.log(2.0))
    assert moved["shape"].tolist() == [2.0, pytest.approx(6.0)]
    assert moved["scale"].tolist() == [5.0, 6.0]


def test_edges_are_moved_inside():
    """Half a row off: 0.5 / (n + 1)."""
    moved = inside(families.Bernoulli(), {"probability": np.array([0.0, 0.3, 1.0])}, 9.0)["probability"]
    np.testing.assert_allclose(moved, [0.05, 0.3, 0.95], rtol=1e-14)
    finite = inside(families.StudentT(), {"df": np.array([np.inf]), "loc": np.zeros(1), "scale": np.ones(1)}, 9.0)
    assert np.isfinite(finite["df"]).all()
