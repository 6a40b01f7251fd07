"""How high the search gets with the conjugate prior of normal components, and the maps that take it there."""

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.datasets import load_iris

from fastkl import MixtureMLE, families
from fastkl._core.rows import Rows
from fastkl.families.mixture import Mixture
from fastkl.families.mixture.posterior_normals import PosteriorNormalMaps
from fastkl.families.mixture.students import StudentMaps
from fastkl.families.priors import NormalInverseWishart

IRIS = load_iris().data
ENOUGH = 1e-4  # nats


def log_prior(mean, covariance, k):
    """That of Fraley and Raftery 2007 for one of k components, up to the constant: kappa 0.01, nu d + 2."""
    d = len(mean)
    scale = np.cov(IRIS.T, bias=True) / k ** (2.0 / d)
    shift = mean - IRIS.mean(axis=0)
    inner = scale + 0.01 * np.outer(shift, shift)
    return -0.5 * ((2 * d + 4) * np.linalg.slogdet(covariance)[1] + np.trace(np.linalg.solve(covariance, inner)))


def plain_em(labels, k, maps):
    """Log-likelihood plus log-prior that plain EM reaches from a partition of the flowers."""
    (n, d), shares = IRIS.shape, np.eye(k)[labels]
    centre, scale = IRIS.mean(axis=0), np.cov(IRIS.T, bias=True) / k ** (2.0 / d)
    for _ in range(maps):
        sums, means, covariances = shares.sum(axis=0), [], []
        for j in range(k):
            own = shares[:, j] @ IRIS / max(sums[j], 1e-300)
            scatter = (shares[:, j, None] * (IRIS - own)).T @ (IRIS - own)
            factor = 0.01 * sums[j] / (0.01 + sums[j])
            total = scale + scatter + factor * np.outer(own - centre, own - centre)
            means.append((0.01 * centre + sums[j] * own) / (0.01 + sums[j]))
            covariances.append(total / (sums[j] + 2 * d + 4))
        logs = np.stack(
            [
                np.log(max(sums[j], 1e-300) / n) + multivariate_normal.logpdf(IRIS, means[j], covariances[j])
                for j in range(k)
            ],
            axis=1,
        )
        evidence = logsumexp(logs, axis=1)
        shares = np.exp(logs - evidence[:, None])
    return evidence.sum() + sum(log_prior(means[j], covariances[j], k) for j in range(k))


def test_iris_with_the_default_prior_from_every_seed():
    rng, k = np.random.default_rng(0), 3
    heights = []
    for seed in range(3):
        fit = MixtureMLE(k, prior="default", random_state=seed, standard_errors=False).fit(IRIS)
        assert fit.converged_
        own = [log_prior(part["mean"], part["covariance"], k) for part in fit.component_params_]
        heights.append(fit.log_likelihood_ + sum(own))
    for _ in range(30):
        centres = IRIS[rng.choice(len(IRIS), k, replace=False)] / IRIS.std(axis=0)
        labels = np.argmin(np.linalg.norm(IRIS[:, None] / IRIS.std(axis=0) - centres, axis=2), axis=1)
        heights.append(plain_em(labels, k, 150))
    assert min(heights[:3]) >= max(heights) - ENOUGH


@pytest.mark.parametrize("seed", [0, 2, 4])
def test_single_rows_are_found(seed):
    # a component may have one or two rows far out, to which no split leads and no ball of rows
    k, labels = 4, np.repeat([0, 1, 1], 50)
    labels[[105, 107, 118, 122, 125, 129, 130]], labels[[117, 131]] = 2, 3
    fit = MixtureMLE(k, prior="default", random_state=seed, standard_errors=False).fit(IRIS)
    own = [log_prior(part["mean"], part["covariance"], k) for part in fit.component_params_]
    assert fit.log_likelihood_ + sum(own) >= plain_em(labels, k, 300) - ENOUGH


KINDS = [families.Normal(), *[families.MultivariateNormal(kind) for kind in ("full", "diag", "spherical")]]


@pytest.mark.parametrize("fixed", [None, np.array([0.5, 0.3, 0.2])])
@pytest.mark.parametrize("family", KINDS, ids=["normal", "full", "diag", "spherical"])
def test_maps_are_those_of_the_prior(family, fixed):
    rng = np.random.default_rng(1)
    X = IRIS * ([1.0, 1e3, 1e-3, 7.0] if getattr(family, "covariance_type", "diag") != "spherical" else 3.0)
    weights = rng.integers(0, 4, size=len(X)).astype(float)
    mixture = Mixture([family] * 3, fixed)
    params = family.solve(family.statistics(Rows(X, weights))).params
    prior = NormalInverseWishart(mean_weight=2.0).bind(family, params)
    maps = PosteriorNormalMaps.of(mixture.layout, Rows(X, weights), fixed, [prior] * 3)
    start = maps.begun(rng.dirichlet(np.ones(3), size=len(X)))
    climbs = maps.run([start, start], 0.0, 2)
    for climb in climbs:
        assert len(climb.trace) == 2
        for params, height in ((start, climb.trace[0]), (climb.params, climb.trace[1])):
            own = sum(prior.log_density(part) for part in mixture.split(params))
            assert height == pytest.approx(weights @ mixture.log_density(Rows(X), params) + own, rel=1e-12)
        assert climb.objective == climb.trace[1] > climb.trace[0]
    shares = mixture.posterior(Rows(X), start)
    for k, part in enumerate(mixture.split(climbs[0].params)):
        modes = prior.solve(family, family.statistics(Rows(X, weights * shares[:, k])))
        for name, value in modes.items():
            np.testing.assert_allclose(part[name], value, rtol=1e-11)
    followed = climbs[0].params["weights"]
    np.testing.assert_allclose(followed, weights @ shares / weights.sum() if fixed is None else fixed, rtol=1e-13)


def test_other_priors_and_held_parameters_have_no_such_maps():
    held = Mixture([families.Normal(scale=[1.0])] * 2)
    prior = NormalInverseWishart().bind(families.Normal(), {"loc": np.zeros(1), "scale": np.ones(1)})
    rows = Rows(IRIS[:, :1])
    assert PosteriorNormalMaps.of(held.layout, rows, None, [prior] * 2) is None
    mixture = Mixture([families.Normal()] * 2)
    assert PosteriorNormalMaps.of(mixture.layout, rows, None, [prior, None]) is None
    assert PosteriorNormalMaps.of(mixture.layout, rows, None, [prior, prior]) is not None


@pytest.mark.filterwarnings("error")
def test_a_constant_column_has_no_such_maps_and_no_warning():
    mixture = Mixture([families.Normal()] * 2)
    prior = NormalInverseWishart().bind(families.Normal(), {"loc": np.zeros(2), "scale": np.ones(2)})
    rows = Rows(np.column_stack([IRIS[:, 0], np.ones(len(IRIS))]))
    assert PosteriorNormalMaps.of(mixture.layout, rows, None, [prior] * 2) is None
    students = Mixture([families.StudentT()] * 2)
    assert StudentMaps.of(students.layout, rows, None) is None
