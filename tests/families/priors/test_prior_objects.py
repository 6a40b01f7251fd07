"""Priors and shrinkage as objects: gradients against differences, what is refused, chunks, copies and files."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from sklearn import datasets
from sklearn.base import clone
from sklearn.covariance import ledoit_wolf, oas

from fastkl import DensityMLE, families, load
from fastkl.families.priors import (
    PRIORS,
    BetaPrior,
    DirichletPrior,
    GammaPrior,
    NormalInverseWishart,
    NormalPrior,
    WeaklyInformative,
)
from fastkl.families.spaces import Rate, Simplex, UnitInterval

RNG = np.random.default_rng(11)
POSITIVE = RNG.gamma(2.0, 1.5, size=(60, 1))
ROWS = RNG.normal(size=(12, 3)) @ np.array([[2.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.5, 0.3]]) + 4.0


class Foreign:
    """A prior that offers no more than it has to."""

    def __init__(self, prior):
        self.log_density, self.gradient = prior.log_density, prior.gradient


# -- the objects -----------------------------------------------------------------------------------------------------------

BOUND = [
    ("bernoulli", BetaPrior(2.0, 3.0), {"probability": np.array([0.2, 0.7])}),
    ("categorical", DirichletPrior(np.array([[2.0, 3.0, 1.0]])), {"probabilities": np.array([[0.2, 0.5, 0.3]])}),
    ("poisson", GammaPrior(2.0, 3.0), {"rate": np.array([0.4, 2.0])}),
    ("gamma", GammaPrior(2.0, 3.0), {"shape": np.array([0.4, 2.0]), "scale": np.array([1.4, 0.2])}),
    ("normal", NormalPrior([0.0, 1.0], 2.0), {"loc": np.array([0.4, 2.0]), "scale": np.array([1.0, 1.0])}),
    (
        "normal",
        NormalInverseWishart([0.0, 1.0], 2.0, 4.0, [1.0, 2.0]),
        {"loc": np.array([0.4, 2.0]), "scale": np.array([1.4, 0.3])},
    ),
    (
        families.MultivariateNormal("diag"),
        NormalInverseWishart([0.0, 1.0], 2.0, 4.0, [1.0, 2.0]),
        {"mean": np.array([0.4, 2.0]), "covariance": np.array([1.4, 0.3])},
    ),
    (
        families.MultivariateNormal("spherical"),
        NormalInverseWishart([0.0, 1.0], 2.0, 4.0, 1.5),
        {"mean": np.array([0.4, 2.0]), "covariance": np.float64(1.4)},
    ),
    ("gamma", WeaklyInformative(0.7), {"shape": np.array([0.4, 2.0]), "scale": np.array([1.4, 0.2])}),
    ("zero_inflated_poisson", WeaklyInformative(0.7), {"zero_probability": np.array([0.4, 0.2]), "rate": np.array([1.4, 0.2])}),
]  # fmt: skip


def bound(family, prior, params):
    """A prior that knows which family's parameters it is about, as in a fit."""
    return prior.bind(families.by_name(family)() if isinstance(family, str) else family, params)


@pytest.mark.parametrize(("family", "prior", "params"), BOUND)
def test_gradients_are_slopes(family, prior, params):
    prior = bound(family, prior, params)
    gradient = prior.gradient(params)
    for name, value in params.items():
        for index in np.ndindex(np.shape(value)):
            step = np.zeros(np.shape(value))
            step[index] = 1e-5
            up, down = (prior.log_density({**params, name: value + sign * step}) for sign in (1, -1))
            expected = np.asarray(gradient.get(name, np.zeros(np.shape(value))))[index]
            assert (up - down) / 2e-5 == pytest.approx(expected, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize(
    "prior",
    [
        NormalInverseWishart([0.0, 1.0], 2.0, 4.0, np.array([[1.0, 0.2], [0.2, 2.0]])),
        WeaklyInformative(2.0, [1.0, 2.0]),
    ],
)
def test_gradient_by_a_matrix(prior):
    """The symmetric matrix whose inner product with a symmetric step is the slope."""
    covariance, mean = np.array([[1.5, 0.4], [0.4, 0.6]]), np.array([0.5, 0.2])
    step = np.array([[0.3, -0.2], [-0.2, 0.7]])
    prior = bound("multivariate_normal", prior, {"mean": mean, "covariance": covariance})
    up, down = (prior.log_density({"mean": mean, "covariance": covariance + s * 1e-6 * step}) for s in (1, -1))
    gradient = prior.gradient({"mean": mean, "covariance": covariance})["covariance"]
    np.testing.assert_allclose(gradient, gradient.T, rtol=1e-14)
    assert (up - down) / 2e-6 == pytest.approx(np.sum(gradient * step), rel=1e-8)


def test_bad_priors():
    X = POSITIVE
    for prior, error, message in [
        ("cauchy", ValueError, "no prior named 'cauchy'"),
        (3.0, TypeError, "log_density"),
        (BetaPrior, TypeError, "log_density"),
        (BetaPrior(2, 2), ValueError, "about a probability"),
        (GammaPrior(-1.0, 1.0), ValueError, "shape"),
        (NormalInverseWishart(), ValueError, "normal families"),
        (GammaPrior(2.0, 1.0, parameter="df"), ValueError, "about df"),
        (Foreign(NormalPrior(parameter="loc")), ValueError, "about loc"),
        (Foreign(NormalPrior()), ValueError, "which of shape, scale"),
        (Foreign(WeaklyInformative()), ValueError, "parameters of a family"),
    ]:
        with pytest.raises(error, match=message):
            DensityMLE("gamma", prior=prior).fit(X)
    with pytest.raises(ValueError, match="gradient names sigma"):
        DensityMLE("gamma", prior=Wrong()).fit(X)
    with pytest.raises(ValueError, match="not by both"):
        DensityMLE(families.MultivariateNormal(shrinkage=0.1), prior="default").fit(ROWS)
    with pytest.raises(ValueError, match="and prior"):
        DensityMLE("gamma").fit(X).merge(DensityMLE("gamma", prior="default").fit(X))


def test_a_choice_between_parameters_is_the_users():
    """Mean and shape of an inverse Gaussian distribution both follow its scale."""
    X = POSITIVE + 0.1
    with pytest.raises(ValueError, match="mean or shape: say which"):
        DensityMLE("inverse_gaussian", prior=GammaPrior(2.0, 1.0)).fit(X)
    model = DensityMLE("inverse_gaussian", prior=GammaPrior(2.0, 1.0, parameter="shape", inverse=True)).fit(X)
    n, mean = len(X), model.params_["mean"]
    np.testing.assert_allclose(mean, X.mean(), rtol=1e-8)  # the shape has no part in the best mean
    # derivative by the shape s: n / (2 s) - sum (x - m)^2 / (2 m^2 x) + (1/s) (1/s - 1)
    shape = model.params_["shape"]
    slope = 0.5 * n / shape - 0.5 * np.sum((X - mean) ** 2 / X) / mean**2 + (1.0 / shape - 1.0) / shape
    np.testing.assert_allclose(slope, 0.0, atol=1e-7)


class Draws(families.Family):
    """Outcomes with several probabilities, and a rate."""

    name = "draws"
    parameters = {"chances": Simplex(by_column=True, widths=(2, 3)), "events": Rate(), "turns": UnitInterval()}


def test_default_prior_of_any_spaces():
    """Terms come from the spaces, whatever the names: half a pseudo-count for each of two outcomes, a third for each of three."""
    params = {
        "chances": np.array([[0.3, 0.7, 0.0], [0.2, 0.5, 0.3]]),
        "events": np.array([0.5, 3.0]),
        "turns": np.array([0.4, 0.1]),
    }
    prior = WeaklyInformative(2.0).bind(Draws(), params)
    expected = np.log([0.3, 0.7]).sum() + 2 / 3 * np.log([0.2, 0.5, 0.3]).sum()
    expected += np.log([0.5, 3.0]).sum() + np.log([0.4, 0.1, 0.6, 0.9]).sum()
    assert prior.log_density(params) == pytest.approx(expected, rel=1e-14)
    gradient = prior.gradient(params)
    np.testing.assert_allclose(gradient["chances"], [[1 / 0.3, 1 / 0.7, 0.0], [2 / 0.6, 2 / 1.5, 2 / 0.9]], rtol=1e-14)
    np.testing.assert_allclose(gradient["events"], 1.0 / params["events"], rtol=1e-14)
    np.testing.assert_allclose(gradient["turns"], [1 / 0.4 - 1 / 0.6, 1 / 0.1 - 1 / 0.9], rtol=1e-14)


class Wrong:
    """A prior about something else."""

    def log_density(self, params):
        return 0.0

    def gradient(self, params):
        return {"sigma": 0.0}


@pytest.mark.parametrize("prior", ["default", NormalInverseWishart(0.0, 1.0, 5.0, 2.0)])
def test_chunks_give_what_all_rows_give(prior):
    whole = DensityMLE(prior=prior).fit(ROWS)
    chunks, other = DensityMLE(prior=prior), DensityMLE(prior=prior)
    for start in range(0, 8, 2):
        chunks.partial_fit(ROWS[start : start + 2])
    chunks.merge(other.partial_fit(ROWS[8:]))
    for name, value in whole.params_.items():
        np.testing.assert_allclose(chunks.params_[name], value, rtol=1e-12, atol=1e-13)
    weighted = DensityMLE(prior=prior).fit(ROWS, sample_weight=np.full(12, 2.0))
    repeated = DensityMLE(prior=prior).fit(np.repeat(ROWS, 2, axis=0))
    np.testing.assert_allclose(weighted.params_["covariance"], repeated.params_["covariance"], rtol=1e-12)


@pytest.mark.parametrize("family", ["gamma", "student_t", "multivariate_normal"])
def test_clone_pickle_and_file(family, tmp_path):
    prior = "default" if family != "gamma" else GammaPrior(2.0, 0.5)
    model = DensityMLE(family, prior=prior).fit(POSITIVE + 0.1)
    copies = [pickle.loads(pickle.dumps(model)), clone(model).fit(POSITIVE + 0.1)]
    model.save(tmp_path / "model")
    copies.append(load(tmp_path / "model"))
    for copy in copies:
        assert repr(copy.prior) == repr(model.prior)
        assert repr(copy.prior_) == repr(model.prior_)
        for name, value in model.standard_errors_.items():
            np.testing.assert_array_equal(copy.standard_errors_[name], value)
    with pytest.raises(TypeError, match="Foreign"):
        DensityMLE("gamma", prior=Foreign(GammaPrior(parameter="scale"))).fit(POSITIVE).save(tmp_path / "other")


def test_names():
    assert set(PRIORS) == {"default", "beta", "dirichlet", "gamma", "normal", "normal_inverse_wishart"}
    grid = clone(DensityMLE("gamma", prior=GammaPrior(2.0, 0.5))).set_params(prior__shape=3.0)
    assert grid.prior.shape == 3.0


# -- shrinkage -------------------------------------------------------------------------------------------------------------

CASES = json.loads((Path(__file__).parents[2] / "data" / "cases" / "density.json").read_text())


@pytest.mark.parametrize("case", [c for c in CASES if "shrinkage" in c["options"]], ids=lambda c: c["id"])
def test_shrinkage_cases(case):
    X = getattr(datasets, case["data"]["sklearn"])().data[slice(*case["data"].get("rows", [None]))]
    model = DensityMLE(families.MultivariateNormal(shrinkage=case["options"]["shrinkage"])).fit(X)
    assert model.shrinkage_ == pytest.approx(case["expected"]["shrinkage"], rel=1e-6)


@pytest.mark.parametrize(("shrinkage", "reference"), [("ledoit_wolf", ledoit_wolf), ("oas", oas)])
def test_shrinkage_against_scikit_learn(shrinkage, reference):
    distribution = families.MultivariateNormal(shrinkage=shrinkage)
    X = 1e4 + np.random.default_rng(6).normal(size=(30, 5)) * [1.0, 2.0, 0.1, 5.0, 1.0]
    covariance, amount = reference(X)
    model = DensityMLE(distribution).fit(X)
    assert model.shrinkage_ == pytest.approx(amount, rel=1e-9)
    np.testing.assert_allclose(model.params_["covariance"], covariance, rtol=1e-9, atol=1e-12)
    chunks = DensityMLE(distribution)
    for start in range(0, 30, 7):
        chunks.partial_fit(X[start : start + 7])
    np.testing.assert_allclose(chunks.params_["covariance"], covariance, rtol=1e-9, atol=1e-12)
    weighted = DensityMLE(distribution).fit(X, sample_weight=np.arange(30) % 3)
    repeated = DensityMLE(distribution).fit(np.repeat(X, np.arange(30) % 3, axis=0))
    assert weighted.shrinkage_ == pytest.approx(repeated.shrinkage_, rel=1e-12)
    centred, amount = reference(X - X[0], assume_centered=True)
    fixed = DensityMLE(families.MultivariateNormal(mean=X[0], shrinkage=shrinkage)).fit(X)
    assert fixed.shrinkage_ == pytest.approx(amount, rel=1e-6)
    np.testing.assert_allclose(fixed.params_["covariance"], centred, rtol=1e-6)


def test_bad_shrinkage():
    for shrinkage in ("stein", -0.1, 1.1):
        with pytest.raises(ValueError, match="shrinkage"):
            DensityMLE(families.MultivariateNormal(shrinkage=shrinkage)).fit(ROWS)
    with pytest.raises(ValueError, match="full covariance"):
        DensityMLE(families.MultivariateNormal("diag", shrinkage=0.1)).fit(ROWS)
    with pytest.raises(AttributeError, match="shrinkage"):
        _ = DensityMLE().fit(ROWS).shrinkage_
    np.testing.assert_allclose(
        DensityMLE(families.MultivariateNormal(shrinkage=1.0)).fit(ROWS).params_["covariance"],
        np.trace(np.cov(ROWS.T, bias=True)) / 3 * np.eye(3),
        rtol=1e-12, atol=1e-12,
    )  # fmt: skip
