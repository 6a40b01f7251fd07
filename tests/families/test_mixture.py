"""The mixture as a family: EM maps of every family against plain numpy, and that the log-likelihood never falls."""

import numpy as np
import pytest
from scipy.special import logsumexp

from fastkl import families
from fastkl._core.rows import Rows
from fastkl.families.mixture import Mixture
from fastkl.families.mixture.ascent import Ascent
from fastkl.families.mixture.collapsed import CollapsedError
from fastkl.families.mixture.expectation import Components
from fastkl.families.mixture.maximisation import ComponentRows, OwnRows
from fastkl.families.mixture.quasi_newton import Correction, Pair

VARIANTS = [
    pytest.param(family, params, id=f"{name}-{i}")
    for name in families.names()
    for i, (family, params) in enumerate(families.by_name(name).examples())
]


def mixture_of(family, params, n=240, weights=None):
    """Rows from the family's example and others, and a start: both components fitted to soft halves of the rows."""
    params = family.check_parameters(params)
    X = family.sample(params, n, np.random.default_rng(0))
    if not family.labels and not family.discrete and family.equivariant and family.name != "beta":
        X[: n // 3] *= 3.0
    rows = Rows(np.ascontiguousarray(X if family.labels else X.astype(np.float64)), weights)
    key = X.sum(axis=1) if X.dtype.kind in "fiu" else np.arange(n) % 2
    half = np.where(key > np.median(key), 0.8, 0.2)
    if family.labels:
        family = family.learned(family.statistics(rows))
    mixture = Mixture([family, family])
    own = [family.fit(part, 1e-6, 20)[0].params for part in rows.components(np.stack([half, 1.0 - half], axis=1))]
    return mixture, rows, mixture.layout.join(own, np.array([0.5, 0.5]))


@pytest.mark.parametrize(("family", "params"), VARIANTS)
def test_the_log_likelihood_never_falls(family, params):
    mixture, rows, start = mixture_of(family, params)
    climb = Ascent(mixture, mixture.layout, rows, [None, None]).run(start, 1e-12, 12)
    assert climb.collapsed is None
    assert len(climb.trace) > 1 or climb.converged
    assert np.all(np.diff(climb.trace) >= -1e-12 * (np.abs(climb.trace[0]) + len(rows.X)))
    assert climb.log_likelihood == pytest.approx(mixture.log_likelihood(rows, climb.params), rel=1e-12)
    mixture.check_parameters(climb.params)


@pytest.mark.parametrize(("family", "params"), VARIANTS)
def test_expectation_by_plain_numpy(family, params):
    """Responsibilities, evidence, and the statistics of blocks merged, against the formula; weights included."""
    weights = np.random.default_rng(1).random(240)
    weights[::7] = 0.0
    mixture, rows, start = mixture_of(family, params, weights=weights)
    family = mixture.layout.groups[0].family
    logs = np.stack([family.log_density(rows, own) for own in mixture.split(start)], axis=1) + np.log(0.5)
    evidence = logsumexp(logs, axis=1)
    shares = np.exp(logs - evidence[:, None])
    np.testing.assert_allclose(mixture.posterior(rows, start), shares, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(mixture.log_density(rows, start), evidence, rtol=1e-11, atol=1e-12)
    found = Components(mixture.layout, start).expectation(rows)
    assert found.log_likelihood == pytest.approx(weights @ evidence, rel=1e-11)
    np.testing.assert_allclose(found.weights, weights @ shares, rtol=1e-9)
    for k, own in enumerate(found.statistics):
        assert (own is None) != family.has_statistics
        if own is not None:
            assert family.statistics_weight(own) == pytest.approx(found.weights[k], rel=1e-9)
            expected = family.statistics(rows.components(shares)[k])
            assert family.statistics_log_likelihood(own, mixture.split(start)[k]) == pytest.approx(
                family.statistics_log_likelihood(expected, mixture.split(start)[k]), rel=1e-9
            )


def test_blocks_give_the_same_whatever_their_length(monkeypatch):
    mixture, rows, start = mixture_of(families.Gamma(), {"shape": [2.0], "scale": [1.0]}, n=20_000)
    whole = Components(mixture.layout, start).expectation(rows)
    monkeypatch.setattr("fastkl.families.mixture.expectation.BLOCK_NUMBERS", 1)
    parts = Components(mixture.layout, start)
    assert parts.block_rows == 4096
    cut = parts.expectation(rows)
    assert cut.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-14)
    for one, other in zip(cut.statistics, whole.statistics, strict=True):
        for name, value in one.items():
            np.testing.assert_allclose(value, other[name], rtol=1e-12)
    np.testing.assert_allclose(mixture.log_density(rows, start)[:5000], np.concatenate([
        mixture.log_density(rows.part(0, 3000), start), mixture.log_density(rows.part(3000, 5000), start)
    ]), rtol=1e-15)  # fmt: skip


def test_rows_of_a_component_kept_or_formed_anew():
    """Families without statistics fit their component's rows: with kept responsibilities, or by a pass that forms them."""
    mixture, rows, start = mixture_of(families.Weibull(), {"shape": [2.0], "scale": [1.0]}, n=9000)
    components = Components(mixture.layout, start)
    family = mixture.layout.groups[0].family
    for k in range(2):
        kept, anew = OwnRows(components, rows).of(k), ComponentRows(rows, components, k)
        assert anew.total_weight == pytest.approx(kept.total_weight, rel=1e-13)
        np.testing.assert_array_equal(anew.sample(10**6).weights, kept.weights)
        first, second = (family.fit(own, 1e-12, 50)[0].params for own in (kept, anew))
        np.testing.assert_allclose(first["shape"], second["shape"], rtol=1e-10)


def test_names_of_parameters():
    """Alike: their own names. Of several families, or with different ones fixed: the family's name before them."""
    assert Mixture().parameter_names == ("weights", "loc", "scale")
    mixed = Mixture([families.Normal(), families.Uniform(), families.Normal()])
    assert mixed.parameter_names == ("weights", "normal_loc", "normal_scale", "uniform_low", "uniform_high")
    params = mixed.check_parameters(
        {
            "weights": [0.2, 0.3, 0.5],
            "normal_loc": [1, 2],
            "normal_scale": [1, 1],
            "uniform_low": [0],
            "uniform_high": [9],
        }
    )
    assert [sorted(own) for own in mixed.split(params)] == [["loc", "scale"], ["high", "low"], ["loc", "scale"]]
    assert mixed.split(params)[2]["loc"] == 2.0
    fixed = Mixture([families.Normal(scale=1.0), families.Normal()])
    assert fixed.parameter_names == ("weights", "normal_1_loc", "normal_1_scale", "normal_2_loc", "normal_2_scale")
    assert fixed.free_names() == ["weights", "normal_1_loc", "normal_2_loc", "normal_2_scale"]
    with pytest.raises(ValueError, match="has 3 weights"):
        Mixture().check_parameters({"weights": [0.2, 0.3, 0.5], "loc": [0, 1], "scale": [1, 1]})


def test_marginal():
    params = {"weights": [0.5, 0.5], "mean": [[0.0, 1.0], [2.0, 3.0]], "covariance": [np.eye(2), 2.0 * np.eye(2)]}
    mixture = Mixture([families.MultivariateNormal()] * 2)
    params = mixture.check_parameters(params)
    marginal, own = mixture.marginal(params, [1])
    np.testing.assert_array_equal(own["mean"], [[1.0], [3.0]])
    x = Rows(np.linspace(-3.0, 6.0, 7)[:, None])
    grid = np.linspace(-15.0, 15.0, 3001)
    joint = np.array([
        np.trapezoid(np.exp(mixture.log_density(Rows(np.stack([grid, np.full(3001, v)], axis=1)), params)), grid)
        for v in x.X[:, 0]
    ])  # fmt: skip
    np.testing.assert_allclose(np.exp(marginal.log_density(x, own)), joint, rtol=1e-8)


def test_a_component_that_loses_its_rows():
    mixture = Mixture([families.Normal(), families.Normal()])
    rows = Rows(np.random.default_rng(0).normal(size=(50, 1)))
    with pytest.raises(CollapsedError, match="no row is left") as caught:
        mixture.fit(rows, 1e-9, 100, {"weights": [0.5, 0.5], "loc": [0.0, 1e3], "scale": [1.0, 1.0]})
    assert caught.value.component == 1
    with pytest.raises(ValueError, match="MixtureMLE finds starts"):
        mixture.fit(rows, 1e-9, 100)


def test_an_ascent_ends_where_maps_go_to_and_fro_between_roundings():
    """Of components far from each other the first map is the last; a second one may change a digit, and a third one back."""
    rng = np.random.default_rng(0)
    mixture = Mixture([families.Gamma(), families.Gamma()])
    X = np.concatenate([rng.gamma(50.0, scale, size=(9000, 1)) for scale in (1e-6, 1.0)])
    start = {"weights": [0.5, 0.5], "shape": [50.0, 50.0], "scale": [1e-6, 1.0]}
    fit, _ = mixture.fit(Rows(X), 1e-13, 1000, start)
    assert fit.converged
    assert fit.n_iter < 20


def test_the_correction_makes_newton_steps_of_a_quadratic():
    """On a quadratic with curvature A, maps that step by the gradient: after as many pairs as columns S gives Newton's step."""
    rng = np.random.default_rng(0)
    root = rng.normal(size=(4, 4))
    curvature, correction = root @ root.T + np.eye(4), Correction()
    for move in np.linalg.eigh(curvature)[1].T:
        gradient = -curvature @ move
        correction.add(Pair(move, gradient, gradient))  # the step of a map is the gradient
    gradient = rng.normal(size=4)
    step = gradient - correction.times(gradient)
    np.testing.assert_allclose(step, np.linalg.solve(curvature, gradient), rtol=1e-10)
    correction.add(Pair(move, gradient, -gradient * 0.0))
    assert len(correction) == 4  # a pair without curvature says nothing
