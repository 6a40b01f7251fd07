"""Normal components all at once: passes, maxima and gradients against plain numpy and against each component's own family."""

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from fastkl import families
from fastkl._core.rows import Rows
from fastkl.families._normals import Normals
from fastkl.families.mixture import Mixture
from fastkl.families.mixture.ascent import Ascent
from fastkl.families.mixture.collapsed import CollapsedError
from fastkl.families.mixture.expectation import Components
from fastkl.families.mixture.maximisation import maximise
from fastkl.families.mixture.normals import StackedNormals, merged_moments

KINDS = ["full", "tied", "diag", "spherical", "normal"]
K = 3


def mixture_of(kind):
    if kind == "normal":
        return Mixture([families.Normal()] * K)
    return Mixture([families.MultivariateNormal("full" if kind == "tied" else kind)] * K, tied=kind == "tied")


def params_of(kind, d, rng):
    means, scales = rng.normal(size=(K, d)), rng.uniform(0.5, 2.0, size=(K, d))
    weights = rng.dirichlet(np.ones(K))
    if kind == "normal":
        return {"weights": weights, "loc": means, "scale": scales}
    roots = rng.normal(size=(K, d, d))
    covariances = roots @ roots.swapaxes(1, 2) + np.eye(d)
    forms = {"full": covariances, "tied": covariances[0], "diag": scales**2, "spherical": scales[:, 0] ** 2}
    return {"weights": weights, "mean": means, "covariance": forms[kind]}


def matrices(kind, params, d):
    """Covariance matrices of the components."""
    if kind == "normal":
        return [np.diag(own**2) for own in params["scale"]]
    if kind == "tied":
        return [params["covariance"]] * K
    return [own if kind == "full" else own * np.eye(d) for own in params["covariance"]]


def textbook(kind, params, X, weights):
    """Evidence, responsibilities times weights, means and scatter matrices, by the formulas."""
    d, means = X.shape[1], params["loc" if kind == "normal" else "mean"]
    logs = []
    for weight, mean, matrix in zip(params["weights"], means, matrices(kind, params, d), strict=True):
        shift = X - mean
        square = np.sum(shift @ np.linalg.inv(matrix) * shift, axis=1)
        logs.append(np.log(weight) - 0.5 * (square + np.linalg.slogdet(2.0 * np.pi * matrix)[1]))
    evidence = np.logaddexp.reduce(logs)
    shares = np.exp(np.array(logs) - evidence) * weights
    centres = shares @ X / shares.sum(axis=1, keepdims=True)
    scatter = [(X - m).T @ ((X - m) * share[:, None]) for share, m in zip(shares, centres, strict=True)]
    return evidence, shares.sum(axis=1), centres, np.array(scatter)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("d", [1, 3, 9])
def test_a_pass_by_the_textbook(kind, d, dtype):
    rng = np.random.default_rng(d)
    mixture, params = mixture_of(kind), params_of(kind, d, rng)
    X = rng.normal(size=(9001, d)).astype(dtype)
    weights = rng.random(len(X))
    weights[::5] = 0.0
    evidence, sums, means, scatter = textbook(kind, params, X.astype(np.float64), weights)
    at = StackedNormals.of(mixture.layout, mixture.check_parameters(params))
    rows = Rows(X, weights, n_threads=2)
    np.testing.assert_allclose(at.evidence(rows), evidence, rtol=1e-12)
    found = at.moments(rows)
    assert found.log_likelihood == pytest.approx(weights @ evidence, rel=1e-12)
    np.testing.assert_allclose(found.weights, sums, rtol=1e-11)
    np.testing.assert_allclose(found.means, means, atol=1e-12)
    spreads = found.spreads if at.is_full else found.spreads**2
    expected = scatter if at.is_full else np.diagonal(scatter, axis1=1, axis2=2)
    np.testing.assert_allclose(spreads, expected, rtol=1e-10, atol=1e-10)
    parts = [at.moments(rows.part(first, first + 4096)) for first in range(0, len(X), 4096)]
    merged = merged_moments(merged_moments(parts[0], parts[1]), parts[2])
    np.testing.assert_allclose(merged.means, found.means, atol=1e-13)
    np.testing.assert_allclose(merged.spreads, found.spreads, rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_maximum_and_gradient_are_those_of_each_family(kind):
    """Weighted log-likelihoods of the components, one by one: their maxima, and slopes by differences of the log-likelihood."""
    rng = np.random.default_rng(0)
    mixture, rows = mixture_of(kind), Rows(rng.normal(size=(500, 2)))
    params = mixture.check_parameters(params_of(kind, 2, rng))
    components = Components(mixture.layout, params)
    found = components.expectation(rows)
    following = maximise(components, found, rows, [None] * K).params
    np.testing.assert_allclose(following["weights"], found.weights / 500.0)
    if kind != "tied":
        group = mixture.layout.groups[0]
        for k, own in enumerate(mixture.split(following)):
            expected = group.family.fit(rows.components(mixture.posterior(rows, params))[k], 1e-9, 50)[0].params
            for name, value in expected.items():
                np.testing.assert_allclose(own[name], value, rtol=1e-9)
    gradient, step = components.gradient_of(found), 1e-6
    for name in params:
        if name == "weights":
            continue
        direction = rng.normal(size=np.shape(params[name]))
        if name == "covariance" and kind in ("full", "tied"):
            direction = direction + direction.swapaxes(-1, -2)
        ends = [mixture.log_likelihood(rows, {**params, name: params[name] + s * direction}) for s in (step, -step)]
        assert np.sum(gradient[name] * direction) == pytest.approx((ends[0] - ends[1]) / (2.0 * step), rel=1e-6)


@pytest.mark.parametrize("kind", ["diag", "normal"])
def test_sums_about_a_mean_far_away(kind):
    """From a mean a million deviations off the deviations of the rows are summed anew, about the new mean."""
    rng = np.random.default_rng(0)
    X = 1e6 + rng.normal(size=(1000, 2))
    mixture = Mixture([families.Normal() if kind == "normal" else families.MultivariateNormal(kind)])
    names = ("loc", "scale") if kind == "normal" else ("mean", "covariance")
    start = {"weights": np.ones(1), names[0]: np.zeros((1, 2)), names[1]: np.ones((1, 2))}
    at = StackedNormals.of(mixture.layout, start)
    found = at.moments(Rows(X))
    shift = X - 1e6  # exactly
    np.testing.assert_allclose(found.means[0] - 1e6, shift.mean(axis=0), atol=2e-10)
    np.testing.assert_allclose(found.spreads[0] ** 2, shift.var(axis=0) * 1000.0, rtol=1e-9)


@pytest.mark.parametrize("scale", [1e-250, 1e250])
def test_deviations_whose_squares_leave_the_range(scale):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    params = params_of("normal", 2, rng)
    mixture = mixture_of("normal")
    near = StackedNormals.of(mixture.layout, params).moments(Rows(X))
    scaled = {**params, "loc": params["loc"] * scale, "scale": params["scale"] * scale}
    far = StackedNormals.of(mixture.layout, scaled).moments(Rows(X * scale))
    np.testing.assert_allclose(far.spreads / scale, near.spreads, rtol=1e-12)
    np.testing.assert_allclose(far.weights, near.weights, rtol=1e-12)


def test_a_row_so_far_that_its_square_is_infinite():
    """It has density 0 under a narrow component, and adds nothing to its sums."""
    params = {"weights": np.array([0.5, 0.5]), "loc": np.array([[0.0], [0.0]]), "scale": np.array([[1e-200], [1.0]])}
    mixture = Mixture([families.Normal()] * 2)
    found = StackedNormals.of(mixture.layout, params).moments(Rows(np.array([[0.0], [1.0], [-1.0]])))
    assert found.weights[0] == pytest.approx(1.0)
    assert np.all(np.isfinite(found.spreads))
    assert found.weights.sum() == pytest.approx(3.0)


@pytest.mark.parametrize("kind", KINDS)
def test_collapse_is_named(kind):
    """Rows that are all alike for one component, and a component without rows."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(50, 2)), np.full((20, 2), 40.0)])
    params = params_of(kind, 2, rng)
    name = "loc" if kind == "normal" else "mean"
    params[name] = np.array([[0.0, 0.0], [0.5, 0.0], [40.0, 40.0]])
    mixture = mixture_of(kind)
    run = Ascent(mixture, mixture.layout, Rows(X), [None] * K).run(params, 1e-12, 100)
    if kind == "tied":
        assert run.collapsed is None  # the others keep the covariance that they share from closing in
    else:
        assert isinstance(run.collapsed, CollapsedError)
        assert run.collapsed.component == 2
    params[name][2] = 1e6
    short = Ascent(mixture, mixture.layout, Rows(X[:50]), [None] * K).shorts([params])[0]
    assert str(short.collapsed) == "no row is left for it."


def test_a_singular_start_is_a_collapse_and_no_error_of_linear_algebra():
    rng = np.random.default_rng(0)
    mixture, params = mixture_of("full"), params_of("full", 2, rng)
    params["covariance"][1] = np.ones((2, 2))
    ascent = Ascent(mixture, mixture.layout, Rows(rng.normal(size=(60, 2))), [None] * K)
    for climb in (ascent.run(params, 1e-12, 50), ascent.shorts([params])[0]):
        assert climb.collapsed.component == 1
        assert "singular" in str(climb.collapsed)


@pytest.mark.parametrize("kind", KINDS)
def test_plain_maps_never_lower_the_log_likelihood(kind):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(80, 2)), rng.normal(3.0, 0.5, size=(70, 2))])
    mixture = mixture_of(kind)
    climb = Ascent(mixture, mixture.layout, Rows(X), [None] * K).shorts([params_of(kind, 2, rng)])[0]
    assert climb.n_maps > 3
    assert np.all(np.diff(climb.trace) >= 0.0)
    assert climb.log_likelihood == pytest.approx(mixture.log_likelihood(Rows(X), climb.params), rel=1e-12)


@pytest.mark.parametrize("weights", [None, "given"])
@pytest.mark.parametrize("kind", KINDS)
def test_compiled_maps_are_those_of_the_stacked_arrays(kind, weights):
    rng = np.random.default_rng(1)
    X = np.concatenate([rng.normal(size=(80, 2)), rng.normal(3.0, 0.5, size=(70, 2))])
    mixture, rows = mixture_of(kind), Rows(X, None if weights is None else rng.random(len(X)))
    start = StackedNormals.of(mixture.layout, mixture.check_parameters(params_of(kind, 2, rng)))
    trace, sums, irregular, found, _ = start.climbed(rows, None, 0.0, 7)
    at, expected = start, []
    for _ in range(7):
        moments = at.moments(rows)
        expected.append(moments.log_likelihood)
        last, at = at, at.following(moments)
    assert not irregular
    np.testing.assert_allclose(trace, expected, rtol=1e-12)
    np.testing.assert_allclose(sums[:, 0], moments.weights, rtol=1e-10)
    for name, value in last.params.items():
        np.testing.assert_allclose(found.params[name], value, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("weights", [None, "given"])
@pytest.mark.parametrize("kind", KINDS)
def test_compiled_maps_go_to_a_maximum_that_is_near(kind, weights, monkeypatch):
    """What they say is left to gain is what plain EM in numpy gains from there; no step but theirs is needed."""
    rng = np.random.default_rng(3)
    X = np.concatenate([rng.normal(centre, 0.7, size=(60, 2)) for centre in ([0.0, 0.0], [4.0, 0.0], [1.0, 4.0])])
    times = np.ones(len(X)) if weights is None else rng.uniform(0.5, 2.0, size=len(X))
    mixture, rows = mixture_of(kind), Rows(X, None if weights is None else times)
    start = params_of(kind, 2, rng)
    start["loc" if kind == "normal" else "mean"] = np.array([[0.5, 0.0], [4.0, 0.5], [1.0, 3.5]])
    monkeypatch.delattr(Ascent, "_map")
    climb = Ascent(mixture, mixture.layout, rows, [None] * K).run(mixture.check_parameters(start), 1e-10, 1000)
    assert climb.converged
    assert np.all(np.diff(climb.trace) >= 0.0)
    assert 0.0 <= climb.gain <= 1e-10 * times.sum()
    assert climb.slope < 1e-5
    at = StackedNormals.of(mixture.layout, climb.params)
    for _ in range(300):
        at = at.following(at.moments(rows))
    evidence, *_ = textbook(kind, at.params, X, times)
    assert evidence @ times == pytest.approx(climb.log_likelihood, abs=1e-10 * times.sum())
    for name, value in at.params.items():
        np.testing.assert_allclose(climb.params[name], value, rtol=1e-6, atol=1e-7)


def test_compiled_maps_say_nothing_of_a_maximum_where_gains_are_not_steady():
    """On the way from a saddle each map gains more than the one before."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0.0, 1.0, size=(100, 1)), rng.normal(6.0, 1.0, size=(100, 1))])
    mixture = Mixture([families.Normal()] * 2)
    centre, scale = X.mean(axis=0), X.std(axis=0)
    start = {"weights": [0.5, 0.5], "loc": [centre - 0.5, centre + 0.5], "scale": [scale, scale]}
    at = StackedNormals.of(mixture.layout, mixture.check_parameters(start))
    *_, left = at.climbed(Rows(X), None, 0.0, 12, 1e-10 * 200)
    assert left == np.inf
    *_, left = at.climbed(Rows(X), None, 0.0, 1000, 1e-10 * 200)
    assert left <= 1e-10 * 200


def test_compiled_maps_stop_where_a_component_is_not_regular():
    """Two equal rows far off, alone: the place before is what is left, and the lines that say why go on from there."""
    X = np.concatenate([np.random.default_rng(0).normal(size=(50, 2)), np.full((2, 2), 40.0)])
    mixture = Mixture([families.MultivariateNormal()] * 2)
    start = {"weights": [0.5, 0.5], "mean": [[0.0, 0.0], [40.0, 40.0]], "covariance": [np.eye(2)] * 2}
    at = StackedNormals.of(mixture.layout, mixture.check_parameters(start))
    trace, _, irregular, found, _ = at.climbed(Rows(X), None, 0.0, 20)
    assert irregular
    assert len(trace) == 1
    assert found is at


@pytest.mark.parametrize("weights", [None, "given"])
def test_compiled_maps_with_a_ridge_are_those_of_numpy(weights):
    rng = np.random.default_rng(2)
    X = np.concatenate([rng.normal(size=(300, 3)), rng.normal(2.0, 0.5, size=(200, 3))])
    w = None if weights is None else rng.random(500)
    times, ridge = np.ones(500) if w is None else w, np.diag([0.1, 0.2, 0.3])
    share, means, covariances = np.array([0.4, 0.6]), np.array([[0.0] * 3, [1.5] * 3]), np.array([np.eye(3)] * 2)
    constants = np.log(share) - 1.5 * np.log(2.0 * np.pi)
    trace, sums, lost, place, _ = Normals(constants, means, covariances, ridge).maps(X, w, None, False, 0.0, 6)
    expected = []
    for _ in range(6):
        logs = np.log(share[:, np.newaxis]) + [
            multivariate_normal(mean, covariance).logpdf(X) for mean, covariance in zip(means, covariances, strict=True)
        ]
        evidence = logsumexp(logs, axis=0)
        expected.append(times @ evidence)
        last, parts = (share, means, covariances), times * np.exp(logs - evidence)
        masses = parts.sum(axis=1)
        share, means = masses / times.sum(), parts @ X / masses[:, np.newaxis]
        covariances = np.array(
            [
                (part * (X - mean).T) @ (X - mean) / mass + ridge
                for part, mean, mass in zip(parts, means, masses, strict=True)
            ]
        )
    assert not lost
    np.testing.assert_allclose(trace, expected, rtol=1e-12)
    np.testing.assert_allclose(sums[:, 0], masses, rtol=1e-10)
    for found, value in zip((place[0], place[1], place[3]), last, strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-10, atol=1e-12)


def test_a_component_of_fewer_rows_than_asked_for_is_not_regular():
    X = np.concatenate([np.random.default_rng(0).normal(size=(50, 2)), np.full((2, 2), 40.0)])
    constants, means, factors = np.log([0.5, 0.5]) - np.log(2.0 * np.pi), [[0.0, 0.0], [40.0, 40.0]], [np.eye(2)] * 2
    for fewest, lost in ((1.5, False), (3.0, True)):
        climb = Normals(constants, means, factors, 1e-3 * np.eye(2), fewest).maps(X, None, None, False, 0.0, 5)
        assert climb[2] is lost
        np.testing.assert_allclose(climb[1][:, 0], [50.0, 2.0], rtol=1e-9)
