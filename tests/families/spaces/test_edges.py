"""Edges of parameter spaces: ranges, what has no coordinates, and what a user gives."""

import numpy as np
import pytest
from scipy import special

from fastkl import families
from fastkl.families.solvers.coordinates import inside
from fastkl.families.spaces import (
    Angle,
    Concentration,
    DegreesOfFreedom,
    Direction,
    Positive,
    PositiveDefinite,
    Rate,
    Real,
    Simplex,
    Stacked,
    UnitInterval,
    Weights,
)

MATRIX = np.array([[2.0, 0.6, -0.1], [0.6, 0.5, 0.2], [-0.1, 0.2, 1.5]])
UNIT = np.array([0.6, 0.0, 0.8])


# -- edges -----------------------------------------------------------------------------------------------------------------

EDGES = [
    (Positive(), [1e-300, 5.0, 1e300], [0.0, -1.0, np.inf, np.nan], "be positive and finite"),
    (Positive(zero=True), [0.0, 5.0], [-1e-300, np.inf, np.nan], "be finite and at least 0"),
    (Positive(limit="the Poisson"), [1.0, np.inf], [0.0, np.nan, -np.inf], "be positive, or infinite for the Poisson"),
    (DegreesOfFreedom(), [1.0, np.inf], [0.0, np.nan], "be positive, or infinite for the normal"),
    (Rate(), [3.0], [0.0, np.inf, np.nan], "be positive and finite"),
    (Concentration(), [0.0, 3.0], [-1.0, np.inf, np.nan], "be finite and at least 0"),
    (UnitInterval(), [0.5], [0.0, 1.0, -0.1, 1.1, np.nan], r"lie in \(0, 1\)"),
    (UnitInterval(zero=True), [0.0, 0.5], [1.0, -1e-9, np.nan], r"lie in \[0, 1\)"),
    (UnitInterval(one=True), [1.0, 0.5], [0.0, 1.1, np.nan], r"lie in \(0, 1\]"),
    (UnitInterval(zero=True, one=True), [0.0, 1.0], [-1e-300, np.nextafter(1.0, 2.0), np.nan], r"lie in \[0, 1\]"),
    (Real(), [-1e300, 0.0], [np.inf, -np.inf, np.nan], "be finite"),
    (Angle(), [100.0], [np.inf, np.nan], "be finite"),
]  # fmt: skip


@pytest.mark.parametrize(("space", "good", "bad", "message"), EDGES)
def test_ranges(space, good, bad, message):
    space.check(np.array(good), "p")
    space.check(np.float64(good[0]), "p")
    for value in bad:
        with pytest.raises(ValueError, match=f"gamma: p has to {message}"):
            space.check(np.array([good[0], value]), "gamma: p")
        with pytest.raises(ValueError, match=str(abs(value)).replace("+", r"\+")[:3]):
            space.check(np.float64(value), "gamma: p")


@pytest.mark.parametrize(("space", "good", "bad", "message"), EDGES)
def test_edges_have_no_coordinates_and_are_moved_inside(space, good, bad, message):
    value = np.array(good)
    edges = space.at_edge(value)
    with np.errstate(divide="ignore"):
        on_the_line = np.isfinite(space.scale.to(value))
    np.testing.assert_array_equal(edges, ~on_the_line)
    moved = space.inside(value, 1e-3)
    assert np.isfinite(space.block("p", moved).to(moved)).all()
    assert not np.any(space.at_edge(moved))
    inner = ~edges & (value > 1e-3) & (value < 0.999 if isinstance(space, UnitInterval) else True)
    np.testing.assert_array_equal(moved[inner], value[inner])


def test_edges_of_probabilities_and_matrices():
    space, value = Simplex(by_column=True, widths=(2, 3)), np.array([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]])
    moved = space.inside(value, 0.3)
    np.testing.assert_allclose(moved, [[1.0 / 1.1, 0.1 / 1.1, 0.0], [0.1 / 1.1, 0.5 / 1.1, 0.5 / 1.1]], rtol=1e-14)
    assert space.block("p", moved).size == space.size(moved) == 3
    # an entry of 0 has no coordinate, and stays 0
    block = Simplex().block("p", np.array([0.5, 0.0, 0.5]))
    assert block.size == 1
    np.testing.assert_allclose(block.back(np.array([1.0])), [special.expit(-1.0), 0.0, special.expit(1.0)], rtol=1e-14)
    np.testing.assert_array_equal(PositiveDefinite(form="diag").inside(np.array([0.0, 2.0]), 0.1), [0.1, 2.0])
    np.testing.assert_array_equal(PositiveDefinite().inside(MATRIX, 0.1), MATRIX)


def test_inside_takes_every_parameter():
    distribution = families.ZeroInflatedPoisson()
    moved = inside(distribution, {"zero_probability": np.array([0.0]), "rate": np.array([2.0])}, 9.0)
    np.testing.assert_allclose(moved["zero_probability"], 0.05, rtol=1e-15)
    np.testing.assert_array_equal(moved["rate"], [2.0])


@pytest.mark.parametrize(
    ("space", "value", "message"),
    [
        (Simplex(), [0.5, 0.6], "sum to 1; these sum to 1.1"),
        (Simplex(), [1.5, -0.5], "at least 0"),
        (Simplex(), [0.5, np.nan], "finite"),
        (Simplex(), [[0.5, 0.5]], "for each of 2 columns"),
        (Simplex(by_column=True), [[1.0, 0.0], [0.5, 0.4]], "for every column; those of column 1 sum to 0.9"),
        (PositiveDefinite(), [[1.0, 0.2], [0.3, 1.0]], "symmetric"),
        (PositiveDefinite(), [[1.0, 2.0], [2.0, 1.0]], "positive definite"),
        (PositiveDefinite(), [[1.0, np.inf], [np.inf, 1.0]], "finite"),
        (PositiveDefinite(), [1.0, 2.0], r"shape \(2, 2\) for 2 columns, not \(2,\)"),
        (PositiveDefinite(form="diag"), [1.0, 0.0], "positive, not 0"),
        (PositiveDefinite(form="diag"), [1.0], r"shape \(2,\) for 2 columns"),
        (PositiveDefinite(form="spherical"), [1.0, 1.0], r"shape \(\) for 2 columns"),
        (Direction(), [1.0, 1.0], "unit vector, not"),
        (Direction(), [1.0], "unit vector of 2 numbers"),
        (Real(), [1.0], "2 numbers, one for each column"),
        (Real(), [1.0, np.inf], "has to be finite, not inf"),
        (Positive(single=True), [1.0, 2.0], "one number"),
        (Positive(single=True), -1.0, "positive and finite, not -1.0"),
        (Positive(single=True), "one", "numbers, not 'one'"),
        (Real(), ["a", 1.0], r"numbers, not \['a', 1.0\]"),
        (Positive(), [1.0, 1j], "numbers, not"),
        (Simplex(), [[0.5], [0.2, 0.3]], "numbers, not"),
        (PositiveDefinite(), "full", "numbers, not 'full'"),
        (Direction(), {}, "numbers, not {}"),
        (Weights(), "equal", "numbers, not 'equal'"),
        (Stacked(inner=PositiveDefinite(), components=2), "full", "numbers, not 'full'"),
    ],
)
def test_what_a_user_gives_is_checked(space, value, message):
    with pytest.raises(ValueError, match=f"^family: p.*{message}"):
        space.shaped(value, 2, "family: p")


@pytest.mark.parametrize(
    ("space", "value", "d", "shape"),
    [
        (Real(), 1, 1, (1,)),
        (Real(), [1, 2], 2, (2,)),
        (Positive(single=True), 3, 2, ()),
        (PositiveDefinite(), 2.0, 1, (1, 1)),
        (PositiveDefinite(), [[1, 0], [0, 1]], 2, (2, 2)),
        (PositiveDefinite(form="diag"), 2.0, 1, (1,)),
        (PositiveDefinite(form="spherical"), 2.0, 3, ()),
        (Simplex(), [0.5, 0.5], 2, (2,)),
        (Simplex(by_column=True), [0.5, 0.5], 1, (1, 2)),
        (Direction(), [0.6, 0.8], 2, (2,)),
    ],
)
def test_what_a_user_gives_is_shaped(space, value, d, shape):
    shaped = space.shaped(value, d, "p")
    assert shaped.shape == shape
    assert shaped.dtype == np.float64
    assert space.n_columns(value) in (d, None)
    assert (space.n_columns(value) is None) == (shape == ())
