"""Newton's ascent on functions whose maxima are known: where it ends, that it never falls, and what it calls converged."""

import numpy as np
import pytest

from fastkl.families.solvers.newton import Evaluation, Landscape, Maximum, maximise, newton_step


def landscape(value, slope, curvature, free=(True,), weight=1.0, **options):
    """Of one coordinate per column, given by a function and its two derivatives."""

    def evaluate(params):
        x = params["x"]
        return Evaluation(weight * value(x), weight * slope(x)[:, None], weight * curvature(x)[:, None, None])

    def move(params, step):
        return {"x": params["x"] + step[:, 0]}

    return Landscape(evaluate, move, np.array(free), weight, **options)


CENTRES = np.array([-3.0, 0.0, 1e-3, 40.0])


def log_cosh(**options):
    """Concave, but with curvature next to 0 far out, where a plain Newton step leads astray."""
    return landscape(
        lambda x: -np.logaddexp(x - CENTRES, CENTRES - x),
        lambda x: -np.tanh(x - CENTRES),
        lambda x: -1.0 / np.cosh(np.minimum(np.abs(x - CENTRES), 300.0)) ** 2,
        **options,
    )


@pytest.mark.parametrize("distance", [0.1, 3.0, 200.0])
def test_concave_columns_end_at_their_maxima(distance):
    found = maximise(log_cosh(), {"x": CENTRES + distance}, 1e-10, 300)
    np.testing.assert_allclose(found.params["x"], CENTRES, atol=1e-12)
    np.testing.assert_allclose(found.at.value, -np.log(2.0), rtol=1e-15)
    assert found.converged.all()


def test_few_evaluations_near_the_maximum():
    """Errors of a symmetric function are cubed: 0.1, 1e-3, 1e-9, 0."""
    assert maximise(log_cosh(), {"x": CENTRES + 0.1}, 1e-10, 300).n_iter <= 5


def test_it_never_falls_and_leaves_a_minimum():
    """-(x^2 - 1)^2 curves upwards about 0: a plain Newton step would end in the minimum there."""
    seen = []

    def value(x):
        seen.append(-((x * x - 1.0) ** 2))
        return seen[-1]

    land = landscape(value, lambda x: -4.0 * x * (x * x - 1.0), lambda x: 4.0 - 12.0 * x * x)
    found = maximise(land, {"x": np.array([0.01, -0.3, 5.0])}, 1e-10, 100)
    np.testing.assert_allclose(found.params["x"], [1.0, -1.0, 1.0], rtol=1e-12)
    accepted = np.maximum.accumulate(seen, axis=0)
    np.testing.assert_array_equal(found.at.value, accepted[-1])


def test_coordinates_that_are_held_do_not_move():
    """-(x - y)^2 - (y - 1)^2 with y held at 3: x = 3; with both free x = y = 1."""

    def evaluate(params):
        x, y = params["x"], params["y"]
        gradient = np.stack([-2.0 * (x - y), 2.0 * (x - y) - 2.0 * (y - 1.0)], axis=1)
        hessian = np.broadcast_to([[-2.0, 2.0], [2.0, -4.0]], (len(x), 2, 2))
        return Evaluation(-((x - y) ** 2) - (y - 1.0) ** 2, gradient, hessian)

    def move(params, step):
        return {"x": params["x"] + step[:, 0], "y": params["y"] + step[:, 1]}

    start = {"x": np.array([0.0, 9.0]), "y": np.array([3.0, 3.0])}
    held = maximise(Landscape(evaluate, move, np.array([True, False]), 1.0), start, 1e-10, 100).params
    np.testing.assert_allclose(held["x"], 3.0, rtol=1e-13)
    assert held["y"].tolist() == [3.0, 3.0]
    both = maximise(Landscape(evaluate, move, np.array([True, True]), 1.0), start, 1e-10, 100).params
    np.testing.assert_allclose([both["x"], both["y"]], 1.0, rtol=1e-13)
    none = maximise(Landscape(evaluate, move, np.array([False, False]), 1.0), start, 1e-10, 100)
    assert (none.n_iter, none.converged.all()) == (1, True)


@pytest.mark.parametrize("weight", [2.0**-900, 2.0**900])
def test_the_unit_of_the_weights_plays_no_part(weight):
    plain, scaled = (maximise(log_cosh(weight=w), {"x": CENTRES + 3.0}, 1e-10, 300) for w in (1.0, weight))
    np.testing.assert_array_equal(scaled.params["x"], plain.params["x"])
    np.testing.assert_array_equal(scaled.at.value, weight * plain.at.value)
    assert scaled.converged.all()


def test_decrement_is_the_gain_that_is_left():
    """For a quadratic, exactly: -(x - c)' A (x - c) / 2 at distance x - c."""
    root = np.array([[2.0, 0.0], [0.3, 0.7]])
    hessian, away = -root @ root.T, np.array([0.5, -1.0])
    at = Evaluation(np.array([0.5 * away @ hessian @ away]), (hessian @ away)[None], hessian[None])
    step, decrement = newton_step(at, np.array([True, True]))
    np.testing.assert_allclose(step[0], -away, rtol=1e-13)
    np.testing.assert_allclose(decrement, -at.value, rtol=1e-13)


def test_a_start_of_likelihood_zero_is_widened():
    """Beyond 30 the value is -inf; a start there is halved until it is not."""
    land = landscape(
        lambda x: np.where(np.abs(x) > 30.0, -np.inf, -0.5 * x * x),
        lambda x: -x,
        lambda x: -np.ones_like(x),
        widen=lambda params, narrow: {"x": np.where(narrow, 0.5 * params["x"], params["x"])},
    )
    found = maximise(land, {"x": np.array([1.0, 1e6])}, 1e-10, 100)
    np.testing.assert_allclose(found.params["x"], 0.0, atol=1e-12)


def test_columns_without_a_maximum_are_not_converged():
    """log x rises for ever, and NaN is no place to start from; the column beside them does not suffer."""
    land = landscape(
        lambda x: np.where([True, True, False], np.log(np.abs(x)), -0.5 * (x - 2.0) ** 2),
        lambda x: np.where([True, True, False], 1.0 / x, 2.0 - x),
        lambda x: np.where([True, True, False], -1.0 / x**2, -1.0),
    )
    with np.errstate(all="ignore"):
        found = maximise(land, {"x": np.array([1.0, np.nan, 0.0])}, 1e-10, 50)
    assert found.converged.tolist() == [False, False, True]
    assert found.params["x"][2] == 2.0
    given_up = landscape(np.log, lambda x: 1.0 / x, lambda x: -1.0 / x**2, given_up=lambda params: params["x"] > 8.0)
    assert maximise(given_up, {"x": np.array([1.0])}, 1e-10, 50).n_iter < 10


def test_the_better_of_two_maxima_by_column():
    def maximum(values, converged):
        at = Evaluation(np.array(values), np.zeros((3, 1)), np.zeros((3, 1, 1)))
        return Maximum({"x": np.array(values)}, at, 1, np.array(converged))

    best = maximum([1.0, np.nan, 5.0], [True, True, False]).better(maximum([2.0, -7.0, 0.0], [True, True, True]))
    assert best.params["x"].tolist() == [2.0, -7.0, 0.0]
    assert best.converged.all()
