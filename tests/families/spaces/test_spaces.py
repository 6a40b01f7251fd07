"""Parameter spaces: coordinates and back, slopes against differences, edges, intervals, shapes, roles; stacked parameters."""

import dataclasses

import numpy as np
import pytest
from scipy import special

from fastkl import families
from fastkl.families.solvers.coordinates import chart_at
from fastkl.families.solvers.curvature import derivative
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
    Tied,
    UnitInterval,
    Weights,
)
from fastkl.families.spaces.base import entry_names

MATRIX = np.array([[2.0, 0.6, -0.1], [0.6, 0.5, 0.2], [-0.1, 0.2, 1.5]])
TURNED = np.array([[1.0, -0.3, 0.0], [-0.3, 3.0, 0.4], [0.0, 0.4, 0.2]])
UNIT = np.array([0.6, 0.0, 0.8])
MATRICES = Stacked(inner=PositiveDefinite(), components=2)


# A space, a value to take coordinates at, another value, and how many numbers are free.
VALUES = [
    pytest.param(Real(), np.array([0.5, -2e6]), np.array([3.0, 1e6]), 2, id="real"),
    pytest.param(Real(), np.float64(0.5), np.float64(-1.0), 1, id="one real"),
    pytest.param(Angle(spread="k"), np.array([0.5, -9.0]), np.array([3.0, 7.0]), 2, id="angle"),
    pytest.param(Positive(), np.array([1e-200, 3.0, 1e200]), np.array([2e-200, 0.1, 3e199]), 3, id="positive"),
    pytest.param(DegreesOfFreedom(single=True), np.float64(4.0), np.float64(0.2), 1, id="degrees of freedom"),
    pytest.param(Rate(zero=True), np.array([0.7, 30.0]), np.array([2.0, 1.0]), 2, id="rate"),
    pytest.param(Concentration(), np.array([0.7, 30.0]), np.array([2.0, 1.0]), 2, id="concentration"),
    pytest.param(UnitInterval(), np.array([1e-12, 0.4]), np.array([0.3, 0.99]), 2, id="unit interval"),
    pytest.param(Simplex(), np.array([0.2, 0.5, 0.3]), np.array([0.1, 0.3, 0.6]), 2, id="simplex"),
    pytest.param(
        Simplex(by_column=True, widths=(2, 3)),
        np.array([[0.3, 0.7, 0.0], [0.2, 0.5, 0.3]]), np.array([[0.9, 0.1, 0.0], [0.6, 0.3, 0.1]]), 3, id="rows of probabilities",
    ),
    pytest.param(PositiveDefinite(), MATRIX, TURNED, 6, id="matrix"),
    pytest.param(PositiveDefinite(form="diag"), np.array([2.0, 0.1]), np.array([1.0, 3.0]), 2, id="diagonal"),
    pytest.param(PositiveDefinite(form="spherical"), np.float64(2.0), np.float64(0.1), 1, id="one variance"),
    pytest.param(Direction(), UNIT, np.array([0.0, 0.8, 0.6]), 2, id="direction"),
    # stacked: a component is the leading axis
    pytest.param(Positive(), np.array([[1.0, 3.0], [2.0, 0.1]]), np.array([[0.5, 9.0], [0.2, 0.3]]), 4, id="stacked positive"),
    pytest.param(
        Simplex(),
        np.array([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]]), np.array([[0.3, 0.3, 0.4], [0.5, 0.2, 0.3]]), 4, id="stacked simplex",
    ),
    pytest.param(MATRICES, np.stack([MATRIX, TURNED]), np.stack([TURNED, MATRIX]), 12, id="stacked matrices"),
    pytest.param(
        Stacked(inner=Simplex(by_column=True), components=2),
        np.array([[[0.2, 0.8], [0.5, 0.5]], [[0.1, 0.9], [0.3, 0.7]]]), np.full((2, 2, 2), 0.5), 4, id="stacked tables",
    ),
    pytest.param(Stacked(inner=Real(), components=2), np.ones((2, 3)), np.arange(6.0).reshape(2, 3), 6, id="stacked reals"),
    pytest.param(
        Stacked(inner=DegreesOfFreedom(single=True), components=2),
        np.array([4.0, 2.0]), np.array([9.0, 0.1]), 2, id="stacked df",
    ),
    pytest.param(
        Stacked(inner=PositiveDefinite(form="diag"), components=2),
        np.array([[2.0, 0.1], [1.0, 1.0]]), np.array([[1.0, 3.0], [0.2, 9.0]]), 4, id="stacked diagonals",
    ),
    pytest.param(Tied(inner=PositiveDefinite(), components=2), MATRIX, TURNED, 6, id="tied matrix"),
    pytest.param(Weights(), np.array([0.2, 0.5, 0.3]), np.array([0.1, 0.3, 0.6]), 2, id="weights"),
    pytest.param(
        Stacked(inner=Direction(), components=2),
        np.stack([UNIT, UNIT[::-1]]), np.stack([UNIT[::-1], [0.0, 0.8, 0.6]]), 4, id="stacked directions",
    ),
]  # fmt: skip


def entries_of(space, value):
    """Entries in the order of their names."""
    if isinstance(space, Tied):
        return entries_of(space.inner, value)
    if isinstance(space, Stacked):
        return np.concatenate([entries_of(space.inner, own) for own in value])
    value = np.asarray(value)
    is_matrix = isinstance(space, PositiveDefinite) and space.form == "full"
    return value[np.triu_indices(len(value))] if is_matrix else value.ravel()


# -- coordinates -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("space", "value", "other", "free"), VALUES)
def test_coordinates_lead_back(space, value, other, free):
    block = space.block("p", value)
    assert block.size == space.size(value) == free
    space.check(value, "p")
    for there in (value, other):
        u = block.to(there)
        assert u.shape == (free,)
        np.testing.assert_allclose(block.back(u), there, rtol=1e-9, atol=1e-12)
    # any coordinates stand for a value in the range, of the same shape
    far = block.back(block.to(value) + np.random.default_rng(0).normal(scale=3.0, size=free))
    space.check(far, "p")
    assert np.shape(far) == np.shape(value)


@pytest.mark.parametrize(("space", "value", "other", "free"), VALUES)
def test_slopes_against_differences(space, value, other, free):
    block = space.block("p", value)
    for there in (value, other):
        u = block.to(there)
        expected = derivative(lambda u: entries_of(space, block.back(u)), u)
        scale = np.abs(expected).max(axis=1, keepdims=True) + 1e-300
        np.testing.assert_allclose(block.jacobian(there) / scale, expected / scale, atol=1e-8)
        # a gradient is taken along: for a matrix it is the symmetric one whose inner product with a step is the slope
        gradient = np.random.default_rng(1).normal(size=(4, *np.shape(there)))
        if PositiveDefinite() in (space, getattr(space, "inner", None)):
            gradient = gradient + np.swapaxes(gradient, -1, -2)
        moved = derivative(lambda u: block.back(u), u)
        pulled = np.tensordot(gradient, moved, axes=np.ndim(there)) if np.ndim(there) else gradient[:, None] * moved
        size = np.abs(pulled).max(axis=0) + 1e-300
        np.testing.assert_allclose(block.pull(there, gradient) / size, pulled / size, atol=1e-7)


@pytest.mark.parametrize(("space", "value", "other", "free"), VALUES)
def test_names_and_figures_of_entries(space, value, other, free):
    names = space.entries("p", value)
    block = space.block("p", value)
    assert names == block.entries()
    assert len(set(names)) == len(names) == len(entries_of(space, value))
    figures = np.arange(1.0, len(names) + 1.0)
    if isinstance(space, Simplex):  # a share of 0 has no figure
        figures[np.ravel(value) == 0.0] = np.nan
    for filled in (space.filled(figures, value), block.fill(figures)):
        assert np.shape(filled) == np.shape(value)
        np.testing.assert_array_equal(entries_of(space, filled), figures)


def test_names():
    assert Real().entries("loc", np.zeros(2)) == ["loc[0]", "loc[1]"]
    assert Real().entries("loc", np.zeros((2, 1))) == ["loc[0,0]", "loc[1,0]"]
    assert DegreesOfFreedom(single=True).entries("df", np.float64(1.0)) == ["df"]
    assert PositiveDefinite().entries("S", np.eye(2)) == ["S[0,0]", "S[0,1]", "S[1,1]"]
    assert MATRICES.entries("S", np.stack([np.eye(1)] * 2)) == ["S[0,0,0]", "S[1,0,0]"]
    assert entry_names("p", (1, 2)) == ["p[0,0]", "p[0,1]"]


def test_some_entries_only():
    """Where one column's df is infinite, the others' have coordinates."""
    block = DegreesOfFreedom().block("df", np.array([2.0, np.inf, 5.0]), entries=["df[0]", "df[2]"])
    np.testing.assert_allclose(block.to(np.array([2.0, np.inf, 5.0])), np.log([2.0, 5.0]), rtol=1e-15)
    np.testing.assert_allclose(block.back(np.log([3.0, 4.0])), [3.0, np.inf, 4.0], rtol=1e-15)
    np.testing.assert_array_equal(block.fill(np.array([7.0, 8.0])), [7.0, np.nan, 8.0])
    assert block.entries() == ["df[0]", "df[2]"]


def test_a_location_steps_in_units_of_its_spread():
    """Whatever the unit of the data, a step of one in the coordinate is the spread."""
    for family, params, expected in [
        (families.Normal(), {"loc": np.array([1.0, 2.0]), "scale": np.array([1e-9, 1e9])}, [1e-9, 1e9]),
        (families.Lognormal(), {"meanlog": np.array([1.0]), "sdlog": np.array([0.3])}, [0.3]),
        (families.VonMises(), {"loc": np.array([1.0]), "concentration": np.array([99.0])}, [0.1]),
        (families.MultivariateNormal(), {"mean": np.zeros(3), "covariance": MATRIX}, np.sqrt(np.diag(MATRIX))),
        (families.MultivariateNormal("diag"), {"mean": np.zeros(2), "covariance": np.array([4.0, 9.0])}, [2.0, 3.0]),
        (families.MultivariateNormal("spherical"), {"mean": np.zeros(2), "covariance": np.float64(4.0)}, [2.0, 2.0]),
        (
            families.MultivariateT(),
            {"df": np.float64(3.0), "loc": np.zeros(3), "scale": MATRIX},
            np.sqrt(np.diag(MATRIX)),
        ),
    ]:
        chart = chart_at(family, params)
        location = next(name for name, space in family.spaces().items() if space.spread is not None)
        at = [name.split("[")[0] == location for name in chart.names].index(True)
        u = chart.to(params)
        u[at : at + len(expected)] += 1.0
        np.testing.assert_allclose(chart.back(u)[location] - params[location], expected, rtol=1e-6)


# -- intervals -------------------------------------------------------------------------------------------------------------


def test_intervals_are_symmetric_on_the_scale():
    low, high = Real().interval(np.array([1.0, -5.0]), 2.0)
    np.testing.assert_array_equal([low, high], [[-1.0, -7.0], [3.0, -3.0]])
    value, half = np.array([1e-300, 2.0]), np.array([2e-300, 1.0])
    low, high = Positive().interval(value, half)
    np.testing.assert_allclose([low, high], [value * np.exp(-half / value), value * np.exp(half / value)], rtol=1e-14)
    p, half = np.array([0.01, 0.9]), np.array([0.02, 0.2])
    low, high = UnitInterval().interval(p, half)
    wide = half / (p * (1.0 - p))
    np.testing.assert_allclose(special.logit(low), special.logit(p) - wide, rtol=1e-10)
    np.testing.assert_allclose(special.logit(high), special.logit(p) + wide, rtol=1e-10)
    np.testing.assert_array_equal(Simplex().interval(p, half), [low, high])
    low, high = PositiveDefinite().interval(MATRIX, 5.0 * np.ones((3, 3)))
    assert np.all(np.diag(low) > 0.0)
    np.testing.assert_allclose(low[0, 1], 0.6 - 5.0, rtol=1e-15)
    np.testing.assert_allclose(np.diag(low), Positive().interval(np.diag(MATRIX), 5.0)[0], rtol=1e-15)
    np.testing.assert_allclose(
        MATRICES.interval(np.stack([MATRIX] * 2), 5.0 * np.ones((2, 3, 3)))[1][1], high, rtol=1e-15
    )


# -- what a parameter means ------------------------------------------------------------------------------------------------


def test_meaning():
    scale, location = Positive(role="scale"), Real(role="location", spread="scale")
    for space, term in [
        (Positive(), "factor_of_ten"),
        (DegreesOfFreedom(), "factor_of_ten"),
        (Rate(), "half_event"),
        (UnitInterval(), "even_halves"),
        (Simplex(), "even_counts"),
        (PositiveDefinite(), "rows"),
    ]:
        assert space.default_prior == term
    flat = [
        scale,
        location,
        Direction(),
        Angle(),
        PositiveDefinite(form="diag"),
        Positive(centre=True),
        Positive(role="inverse_scale"),
    ]
    assert [space.default_prior for space in flat] == [None] * len(flat)
    centres = [location, Real(role="log_location"), Angle(), Positive(role="scale", centre=True)]
    assert all(space.is_centre for space in centres)
    assert not any(
        space.is_centre for space in (scale, Real(role="location", irregular=True), Direction(), PositiveDefinite())
    )
    with pytest.raises(ValueError, match="role is one of"):
        Positive(role="width")
    with pytest.raises(dataclasses.FrozenInstanceError):
        scale.role = "location"
    assert Positive(role="scale") == scale
    assert DegreesOfFreedom(limit=None) != Positive()
    assert (
        repr(Real(role="location", spread="sd")) == "Real(role='location', spread='sd', irregular=False, centre=None)"
    )


def test_some_of_the_columns():
    np.testing.assert_array_equal(Real().taken(np.array([1.0, 2.0, 3.0]), [2, 0]), [3.0, 1.0])
    np.testing.assert_array_equal(PositiveDefinite().taken(MATRIX, [2, 0]), MATRIX[[2, 0]][:, [2, 0]])
    np.testing.assert_array_equal(PositiveDefinite(form="diag").taken(np.array([1.0, 2.0]), [1]), [2.0])
    assert PositiveDefinite(form="spherical").taken(np.float64(2.0), [1]) == 2.0
    assert DegreesOfFreedom(single=True).taken(np.float64(3.0), [1]) == 3.0
    table = np.array([[0.2, 0.8], [0.5, 0.5]])
    np.testing.assert_array_equal(Simplex(by_column=True).taken(table, [1]), table[[1]])


@pytest.mark.parametrize("name", families.names())
def test_declarations(name):
    """Names are derived, a spread is a parameter, and examples lie in the range that is declared."""
    family = families.by_name(name)
    assert family.parameter_names == tuple(family.parameters)
    for variant, example in family.examples():
        spaces = variant.spaces()
        assert list(spaces) == list(family.parameter_names)
        params = variant.check_parameters({**variant.fixed_parameters(), **example})
        for key, space in spaces.items():
            assert space.spread is None or space.spread in spaces
            space.check(np.asarray(params[key]), key)
            hash(space)
        assert variant.n_parameters(params) == sum(spaces[key].size(params[key]) for key in spaces)


# -- stacked parameters ----------------------------------------------------------------------------------------------------


class Components(families.Family):
    """Parameters of two multivariate t distributions, stacked."""

    name = "components"
    parameters = {
        "weights": Simplex(),
        "df": DegreesOfFreedom(),
        "loc": Real(role="location"),
        "scale": Stacked(inner=PositiveDefinite(), components=2, role="scale"),
    }


def test_stacked_parameters_of_a_family():
    """One vector for the parameters of all components, and back."""
    params = {
        "weights": np.array([0.3, 0.7]),
        "df": np.array([3.0, 8.0]),
        "loc": np.array([[0.0, 1.0, 2.0], [5.0, 5.0, 5.0]]),
        "scale": np.stack([MATRIX, TURNED]),
    }
    chart = chart_at(Components(), params)
    assert chart.size == 1 + 2 + 6 + 12
    assert chart.names[:5] == ["weights[0]", "weights[1]", "df[0]", "df[1]", "loc[0,0]"]
    assert chart.names[-1] == "scale[1,2,2]"
    u = chart.to(params)
    moved = chart.back(u + 0.1)
    np.testing.assert_allclose(chart.to(moved), u + 0.1, rtol=1e-12, atol=1e-12)
    for name, value in chart.back(u).items():
        np.testing.assert_allclose(value, params[name], rtol=1e-12, atol=1e-14)
    with pytest.raises(ValueError, match="component 1"):
        MATRICES.check(np.stack([MATRIX, -MATRIX]), "scale")


def test_what_a_user_gives_of_components():
    """One value for each component: a number where a component has one column, in the shape of its own space otherwise."""
    stacked = Stacked(inner=Real(), components=2)
    np.testing.assert_array_equal(stacked.shaped([1.0, 2.0], 1, "loc"), [[1.0], [2.0]])
    with pytest.raises(ValueError, match="one value for each of 2 components"):
        stacked.shaped([1.0, 2.0, 3.0], 1, "loc")
    with pytest.raises(ValueError, match="loc of component 0 has to be 2 numbers"):
        stacked.shaped([1.0, 2.0], 2, "loc")
    with pytest.raises(ValueError, match="a number for each component"):
        Weights().shaped(np.ones((2, 2)) / 2.0, 1, "weights")
    assert Weights().n_columns(np.array([0.5, 0.5])) is None
    assert Weights().taken(np.array([0.5, 0.5]), [0]).shape == (2,)
    assert MATRICES.n_columns(np.stack([MATRIX, TURNED])) == 3
    np.testing.assert_array_equal(MATRICES.taken(np.stack([MATRIX, TURNED]), [2])[:, 0, 0], [1.5, 0.2])


def test_units_of_stacked_locations():
    """Each component steps in units of its own spread, or of the one that all share."""
    roots = np.sqrt([np.diag(MATRIX), np.diag(TURNED)])
    np.testing.assert_array_equal(MATRICES.unit_of_location(np.stack([MATRIX, TURNED])), roots)
    tied = Tied(inner=PositiveDefinite(), components=2)
    np.testing.assert_array_equal(tied.unit_of_location(MATRIX), np.stack([roots[0], roots[0]]))


def test_some_entries_of_a_component():
    """Where one component's df is infinite, the others' have coordinates."""
    space = Stacked(inner=DegreesOfFreedom(), components=2)
    value = np.array([[2.0, np.inf], [5.0, 3.0]])
    block = space.block("df", value, None, ["df[0,0]", "df[1,1]"])
    assert block.entries() == ["df[0,0]", "df[1,1]"]
    np.testing.assert_allclose(block.to(value), np.log([2.0, 3.0]), rtol=1e-15)
    assert space.has_edges
    np.testing.assert_array_equal(space.at_edge(value), [[False, True], [False, False]])
    assert not MATRICES.has_edges
