"""The compiled ascent on few rows against the one of newton.py: same steps, same summit; and the groups of starts."""

import numpy as np
import pytest

from fastkl import families
from fastkl._core.rows import Rows
from fastkl._core.special.gamma_functions import half_step
from fastkl.families.solvers._climb import can_climb, climb_columns
from fastkl.families.solvers.newton import Landscape, maximise

CASES = {
    "student_t": {"df": [3.0, 8.0], "loc": [0.1, 0.0], "scale": [1.0, 2.0]},
    "cauchy": {"loc": [0.1, 0.0], "scale": [1.0, 2.0]},
    "logistic": {"loc": [0.1, 0.0], "scale": [1.0, 2.0]},
    "gumbel": {"loc": [0.1, 0.0], "scale": [1.0, 2.0]},
    "weibull": {"shape": [1.0, 2.0], "scale": [1.0, 2.0]},
    "loglogistic": {"shape": [1.0, 2.0], "scale": [1.0, 2.0]},
    "lomax": {"shape": [1.0, 2.0], "scale": [1.0, 2.0]},
    "burr12": {"c": [1.5, 1.0], "d": [1.0, 2.0], "scale": [1.0, 2.0]},
}


def rows_for(name, weighted):
    generator = np.random.default_rng(len(name))
    X = generator.standard_t(3.0, size=(9000, 2))
    if name in ("weibull", "loglogistic", "lomax", "burr12"):
        X = np.abs(X)
    return Rows(X, generator.uniform(0.5, 2.0, 9000) if weighted else None)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_same_summit_as_newtons_method_column_by_column(name, weighted):
    family = families.by_name(name)()
    start = {parameter: np.array(value) for parameter, value in CASES[name].items()}
    rows, free = rows_for(name, weighted), np.ones(len(family.coordinates), dtype=bool)
    landscape = Landscape(lambda params: family.evaluate(rows, params), family.move, free, rows.total_weight)
    expected = maximise(landscape, start, 1e-9, 100)
    found = family.climb(rows, start, 1e-9, 100)
    assert can_climb(family.kernel())
    assert found.converged.all()
    assert expected.converged.all()
    for parameter in start:
        np.testing.assert_allclose(found.params[parameter], expected.params[parameter], rtol=1e-7)
    np.testing.assert_allclose(found.at.value, expected.at.value, rtol=1e-12)
    np.testing.assert_allclose(found.at.hessian, expected.at.hessian, rtol=1e-6, atol=1e-6 * 9000)


def test_constants_of_student_t_are_those_of_the_descriptor():
    """log-likelihood and slopes by log df from the start alone, from both formulas of ``half_step``."""
    x, family = np.array([[0.3, -1.2, 4.0]]), families.by_name("student_t")()
    for df in (0.05, 0.7, 1.0, 5.0, 31.9, 32.1, 1e4, 1e9):
        params = {"df": np.array([df]), "loc": np.array([0.2]), "scale": np.array([1.5])}
        start = np.array([df, 0.2, 1.5]).reshape(1, 1, 1, 3)
        bounds = np.broadcast_to(np.array([-np.inf, np.inf])[:, None, None, None], (2, 1, 1, 3)).copy()
        held = np.zeros(3, dtype=np.intc)
        _, sums, _, _ = climb_columns(family.kernel(), x, None, 3.0, start, bounds, held, -1, 1.0, 1e-9, 9)
        expected = family.evaluate(Rows(x.T.copy()), params)
        np.testing.assert_allclose(sums[0, 0], expected.value[0], rtol=1e-14)
        np.testing.assert_allclose(sums[0, 1:4], expected.gradient[0], rtol=1e-12, atol=4e-15)
        np.testing.assert_allclose(sums[0, 4], expected.hessian[0, 0, 0], rtol=1e-11, atol=2e-14)
        assert half_step(0.5 * df)[0] < 0.0


def test_the_best_of_a_group_is_climbed_from_and_the_best_summit_counts():
    """Two far groups under a narrow Cauchy distribution: the larger one's summit, unless its start is out of the running."""
    x = np.r_[np.linspace(-1.0, 1.0, 21), 100.0 + np.linspace(-1.0, 1.0, 9)][None]
    kernel, held = families.by_name("cauchy")().kernel(), np.array([1, 0], dtype=np.intc)
    near, far = [0.3, 0.5], [100.2, 0.5]

    def summit(groups):
        starts = np.array(groups)[None]
        bounds = np.broadcast_to(np.array([-np.inf, np.inf])[:, None, None, None], (2, 1, len(groups), 2)).copy()
        return climb_columns(kernel, x, None, 30.0, starts, bounds, held, -1, 1.0, 1e-9, 100)[0][0, 0]

    assert abs(summit([[near]])) < 0.1
    assert abs(summit([[far]]) - 100.0) < 0.1
    assert abs(summit([[far], [near]])) < 0.1
    assert abs(summit([[far, near]])) < 0.1


def test_a_climb_that_leaves_its_bounds_is_given_up():
    x = np.array([[0.0, 0.0, 0.0, 5.0]])
    starts, free = np.array([0.1, 1.0]).reshape(1, 1, 1, 2), np.ones(2, dtype=np.intc)
    bounds = np.array([[-np.inf, 1e-6], [np.inf, np.inf]]).reshape(2, 1, 1, 2)
    params, _, _, converged = climb_columns(
        families.by_name("cauchy")().kernel(), x, None, 4.0, starts, bounds, free, -1, 1.0, 1e-9, 500
    )
    assert not converged[0]
    assert params[0, 1] < 1e-6
