"""Maxima with a prior against closed forms and another optimiser on scipy's densities; priors against differences."""

import numpy as np
import pytest
from scipy import optimize, stats
from sklearn.base import clone
from sklearn.covariance import OAS, LedoitWolf

from fastkl import DensityMLE, families
from fastkl.exceptions import DegenerateDataError
from fastkl.families.priors import (
    BetaPrior,
    DirichletPrior,
    GammaPrior,
    NormalInverseWishart,
    NormalPrior,
    WeaklyInformative,
)

ANIMALS = np.array([["cat"]] * 6 + [["dog"]] * 4)
RNG = np.random.default_rng(11)
POSITIVE = RNG.gamma(2.0, 1.5, size=(60, 1))
ROWS = RNG.normal(size=(12, 3)) @ np.array([[2.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.5, 0.3]]) + 4.0


# -- closed forms ----------------------------------------------------------------------------------------------------------


def test_beta_prior():
    """Six cats, four dogs: Beta(2,2) gives 7/12, the flat Beta(1,1) 0.6, a strength to 0 the maximum of the likelihood."""

    def probability(prior):
        return DensityMLE("categorical", prior=prior).fit(ANIMALS).params_["probabilities"][0, 0]

    assert probability(BetaPrior(2, 2)) == pytest.approx(7 / 12, rel=1e-15)
    assert probability("beta") == pytest.approx(7 / 12, rel=1e-15)
    assert probability(DirichletPrior(2.0)) == pytest.approx(7 / 12, rel=1e-15)
    assert probability(BetaPrior(3, 1)) == pytest.approx(8 / 12, rel=1e-15)
    assert probability(BetaPrior(1, 1)) == pytest.approx(0.6, rel=1e-15)
    for strength in (1.0, 1e-3, 1e-6, 1e-12):
        gap = probability(BetaPrior(1 + strength, 1 + strength)) - 0.6
        assert gap == pytest.approx((6 + strength) / (10 + 2 * strength) - 0.6, abs=1e-15)
    binary = (ANIMALS == "cat").astype(float)
    model = DensityMLE("bernoulli", prior=BetaPrior(2, 2)).fit(binary)
    np.testing.assert_allclose(model.params_["probability"], 7 / 12, rtol=1e-12)
    model = DensityMLE("bernoulli", prior=DirichletPrior([3.0, 1.0])).fit(binary)
    np.testing.assert_allclose(model.params_["probability"], 8 / 12, rtol=1e-12)


def test_normal_prior():
    """Four values with mean 1, known sd 1, prior N(0,1) on the location: 0.8; without it 1."""
    X = np.array([[0.0], [1.0], [1.0], [2.0]])
    distribution = families.Normal(scale=1.0)
    model = DensityMLE(distribution, prior=NormalPrior(0.0, 1.0)).fit(X)
    np.testing.assert_allclose(model.params_["loc"], 0.8, rtol=1e-13)
    np.testing.assert_allclose(model.standard_errors_["loc"], 1 / np.sqrt(5.0), rtol=1e-9)
    assert list(model.standard_errors_) == ["loc"]
    np.testing.assert_allclose(DensityMLE(distribution).fit(X).params_["loc"], 1.0, rtol=1e-15)
    assert model.log_likelihood_ == pytest.approx(stats.norm.logpdf(X, 0.8).sum(), rel=1e-13)  # without the prior


def test_gamma_prior_on_rates():
    """(sum + shape - 1) / (n + rate) events for Poisson counts, (n + shape - 1) / (sum + rate) for exponential times."""
    counts = np.array([[0.0, 7.0], [2.0, 3.0], [1.0, 5.0]])
    model = DensityMLE("poisson", prior=GammaPrior(3.0, 0.5)).fit(counts, sample_weight=[1.0, 2.0, 1.0])
    np.testing.assert_allclose(model.params_["rate"], (np.array([5.0, 18.0]) + 2.0) / 4.5, rtol=1e-12)
    model = DensityMLE("exponential", prior=GammaPrior(3.0, 0.5)).fit(POSITIVE)
    np.testing.assert_allclose(model.params_["scale"], (POSITIVE.sum() + 0.5) / 62.0, rtol=1e-12)
    model = DensityMLE("geometric", prior=BetaPrior(3.0, 2.0)).fit(counts + 1.0)
    np.testing.assert_allclose(model.params_["probability"], 5.0 / (5.0 + counts.sum(axis=0) + 1.0), rtol=1e-12)


def test_a_gamma_prior_may_have_the_rate_0():
    """As it has by default: (6 events + 1.5 - 1) / 3 rows."""
    model = DensityMLE("poisson", prior=GammaPrior()).fit([[1.0], [2.0], [3.0]])
    np.testing.assert_allclose(model.params_["rate"], 6.5 / 3.0, rtol=1e-12)
    with pytest.raises(ValueError, match="rate"):
        DensityMLE("poisson", prior=GammaPrior(2.0, -1e-300)).fit([[1.0]])


def conjugate(X, prior):
    """Mean and covariance of the posterior's mode, from the textbook: Fraley and Raftery 2007, table 1."""
    n, d = X.shape
    scatter = (X - X.mean(0)).T @ (X - X.mean(0))
    shift = X.mean(0) - prior.mean
    factor = prior.mean_weight * n / (n + prior.mean_weight)
    mean = (n * X.mean(0) + prior.mean_weight * np.asarray(prior.mean)) / (n + prior.mean_weight)
    total = prior.scale + scatter + factor * np.outer(shift, shift)
    return mean, total / (prior.df + d + n + 2), total, factor


def test_normal_inverse_wishart():
    prior = NormalInverseWishart(mean=[1.0, 2.0, 3.0], mean_weight=2.0, df=6.0, scale=np.diag([1.0, 2.0, 0.5]))
    mean, covariance, total, _ = conjugate(ROWS, prior)
    model = DensityMLE(prior=prior).fit(ROWS)
    np.testing.assert_allclose(model.params_["mean"], mean, rtol=1e-13)
    np.testing.assert_allclose(model.params_["covariance"], covariance, rtol=1e-13)
    spherical = NormalInverseWishart(mean=prior.mean, mean_weight=2.0, df=6.0, scale=1.5)
    model = DensityMLE(families.MultivariateNormal("spherical"), prior=spherical).fit(ROWS)
    variance = (1.5 + np.trace(total - prior.scale)) / (6.0 + 2.0 + 3.0 * 13.0)
    np.testing.assert_allclose(model.params_["covariance"], variance, rtol=1e-13)
    diagonal = NormalInverseWishart(mean=prior.mean, mean_weight=2.0, df=6.0, scale=[1.0, 2.0, 0.5])
    by_column = np.diag(total) / (6.0 + 3.0 + 12.0)
    model = DensityMLE(families.MultivariateNormal("diag"), prior=diagonal).fit(ROWS)
    np.testing.assert_allclose(model.params_["covariance"], by_column, rtol=1e-13)
    model = DensityMLE("normal", prior=diagonal).fit(ROWS)
    np.testing.assert_allclose(model.params_["scale"] ** 2, by_column, rtol=1e-13)


@pytest.mark.parametrize(
    ("family", "scale"),
    [
        ("normal", [1.0, 2.0, 0.5]),
        (families.MultivariateNormal("full"), np.diag([1.0, 2.0, 0.5])),
        (families.MultivariateNormal("diag"), [1.0, 2.0, 0.5]),
        (families.MultivariateNormal("spherical"), 1.5),
    ],
)
def test_closed_form_and_search_find_the_same(family, scale):
    """The search knows log-density and gradient only; the closed form knows the textbook."""
    prior = NormalInverseWishart(mean=[1.0, 2.0, 3.0], mean_weight=2.0, df=6.0, scale=scale)
    closed = DensityMLE(family, prior=prior).fit(ROWS)
    searched = DensityMLE(family, prior=Foreign(closed.prior_)).fit(ROWS)
    for name, value in closed.params_.items():
        np.testing.assert_allclose(searched.params_[name], value, rtol=1e-10, atol=1e-12)
    for name, value in closed.standard_errors_.items():
        np.testing.assert_allclose(searched.standard_errors_[name], value, rtol=1e-7)


class Foreign:
    """A prior that offers no more than it has to."""

    def __init__(self, prior):
        self.log_density, self.gradient = prior.log_density, prior.gradient


def test_fraley_raftery():
    covariance = np.cov(ROWS.T, bias=True)
    prior = NormalInverseWishart.fraley_raftery(ROWS.mean(0), covariance, n_components=4)
    np.testing.assert_allclose(prior.scale, covariance / 4.0 ** (2 / 3))
    one = DensityMLE(prior="normal_inverse_wishart").fit(ROWS)
    _, expected, _, _ = conjugate(ROWS, NormalInverseWishart(ROWS.mean(0), 0.01, 5.0, covariance))
    np.testing.assert_allclose(one.params_["covariance"], expected, rtol=1e-13)


# -- an independent optimiser ----------------------------------------------------------------------------------------------


class LogNormalOnShape:
    """A prior written by a user."""

    def __init__(self, name):
        self.name = name

    def log_density(self, params):
        return float(-0.5 * np.sum((np.log(params[self.name]) - 1.0) ** 2 / 0.04))

    def gradient(self, params):
        return {self.name: -(np.log(params[self.name]) - 1.0) / 0.04 / params[self.name]}


def simplex(function, start):
    """The minimum by Nelder and Mead, restarted twice."""
    x = np.asarray(start, dtype=float)
    for _ in range(3):
        options = {"xatol": 1e-11, "fatol": 1e-13, "maxiter": 20000, "maxfev": 20000}
        x = optimize.minimize(function, x, method="Nelder-Mead", options=options).x
    return x


COUNTS = RNG.negative_binomial(2.0, 0.4, size=(50, 1)).astype(float)
SHARES = RNG.beta(2.0, 5.0, size=(50, 1))
HEAVY = RNG.standard_t(2.0, size=(50, 1))
ANGLES = RNG.vonmises(0.5, 2.0, size=(50, 1))

SEARCHES = [
    # family, rows, prior, (family's parameters of unconstrained numbers), log-posterior by scipy
    pytest.param(
        "gamma", POSITIVE, LogNormalOnShape("shape"), lambda u: {"shape": np.exp(u[0]), "scale": np.exp(u[1])},
        lambda x, p: stats.gamma.logpdf(x, p["shape"], scale=p["scale"]).sum() - 0.5 * (np.log(p["shape"]) - 1) ** 2 / 0.04,
        id="gamma",
    ),
    pytest.param(
        "gamma", POSITIVE, GammaPrior(4.0, 3.0), lambda u: {"shape": np.exp(u[0]), "scale": np.exp(u[1])},
        lambda x, p: stats.gamma.logpdf(x, p["shape"], scale=p["scale"]).sum()
        + stats.gamma.logpdf(1.0 / p["scale"], 4.0, scale=1 / 3.0),
        id="gamma-rate",
    ),
    pytest.param(
        "weibull", POSITIVE, LogNormalOnShape("shape"), lambda u: {"shape": np.exp(u[0]), "scale": np.exp(u[1])},
        lambda x, p: stats.weibull_min.logpdf(x, p["shape"], scale=p["scale"]).sum()
        - 0.5 * (np.log(p["shape"]) - 1) ** 2 / 0.04,
        id="weibull",
    ),
    pytest.param(
        "student_t", HEAVY, GammaPrior(2.0, 0.1, parameter="df"),
        lambda u: {"df": np.exp(u[0]), "loc": u[1], "scale": np.exp(u[2])},
        lambda x, p: stats.t.logpdf(x, p["df"], p["loc"], p["scale"]).sum() + stats.gamma.logpdf(p["df"], 2.0, scale=10.0),
        id="student_t",
    ),
    pytest.param(
        "logistic", HEAVY, NormalPrior(1.0, 0.2), lambda u: {"loc": u[0], "scale": np.exp(u[1])},
        lambda x, p: stats.logistic.logpdf(x, p["loc"], p["scale"]).sum() + stats.norm.logpdf(p["loc"], 1.0, 0.2),
        id="logistic",
    ),
    pytest.param(
        "beta", SHARES, GammaPrior(3.0, 1.0, parameter="a"), lambda u: {"a": np.exp(u[0]), "b": np.exp(u[1])},
        lambda x, p: stats.beta.logpdf(x, p["a"], p["b"]).sum() + stats.gamma.logpdf(p["a"], 3.0),
        id="beta",
    ),
    pytest.param(
        "lognormal", POSITIVE, NormalPrior(-1.0, 0.1), lambda u: {"meanlog": u[0], "sdlog": np.exp(u[1])},
        lambda x, p: stats.lognorm.logpdf(x, p["sdlog"], scale=np.exp(p["meanlog"])).sum()
        + stats.norm.logpdf(p["meanlog"], -1.0, 0.1),
        id="lognormal",
    ),
    pytest.param(
        "negative_binomial", COUNTS, GammaPrior(2.0, 3.0, parameter="size"),
        lambda u: {"size": np.exp(u[0]), "mean": np.exp(u[1])},
        lambda x, p: stats.nbinom.logpmf(x, p["size"], p["size"] / (p["size"] + p["mean"])).sum()
        + stats.gamma.logpdf(p["size"], 2.0, scale=1 / 3.0),
        id="negative_binomial",
    ),
    pytest.param(
        "zero_inflated_poisson", COUNTS, BetaPrior(2.0, 9.0),
        lambda u: {"zero_probability": 1 / (1 + np.exp(-u[0])), "rate": np.exp(u[1])},
        lambda x, p: np.log(
            p["zero_probability"] * (x == 0) + (1 - p["zero_probability"]) * stats.poisson.pmf(x, p["rate"])
        ).sum() + stats.beta.logpdf(p["zero_probability"], 2.0, 9.0),
        id="zero_inflated_poisson",
    ),
    pytest.param(
        "von_mises", ANGLES, NormalPrior(0.0, 0.05), lambda u: {"loc": u[0], "concentration": np.exp(u[1])},
        lambda x, p: stats.vonmises.logpdf(x, p["concentration"], p["loc"]).sum() + stats.norm.logpdf(p["loc"], 0.0, 0.05),
        id="von_mises",
    ),
    pytest.param(
        "pareto", POSITIVE, GammaPrior(5.0, 2.0, parameter="shape"),
        lambda u: {"shape": np.exp(u[0]), "scale": POSITIVE.min()},
        lambda x, p: stats.pareto.logpdf(x, p["shape"], scale=p["scale"]).sum() + stats.gamma.logpdf(p["shape"], 5.0, scale=0.5),
        id="pareto",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("family", "X", "prior", "shaped", "log_posterior"), SEARCHES)
def test_maximum_against_another_optimiser(family, X, prior, shaped, log_posterior):
    model = DensityMLE(family, prior=prior).fit(X)
    assert model.converged_
    free = sum(1 for name in model.params_ if not model.family_.parameters[name].irregular)
    best = shaped(simplex(lambda u: -log_posterior(X, shaped(u)), np.zeros(free)))
    for name, value in best.items():
        np.testing.assert_allclose(model.params_[name], value, rtol=2e-6, atol=1e-7, err_msg=name)
    ours = {name: float(value[0]) for name, value in model.params_.items()}
    assert log_posterior(X, ours) >= log_posterior(X, best) - 1e-9
    plain = DensityMLE(family).fit(X)
    assert plain.log_likelihood_ > model.log_likelihood_  # the likelihood alone, as scipy has it
    np.testing.assert_allclose(model.log_likelihood_, model.log_likelihood(X), rtol=1e-10)


def test_curvature_of_the_posterior():
    """Standard errors are those of the posterior: second differences of scipy's log-density plus log-prior."""
    model = DensityMLE("gamma", prior=LogNormalOnShape("shape")).fit(POSITIVE)
    at = np.array([model.params_["shape"][0], model.params_["scale"][0]])

    def log_posterior(theta):
        return stats.gamma.logpdf(POSITIVE, theta[0], scale=theta[1]).sum() - 0.5 * (np.log(theta[0]) - 1) ** 2 / 0.04

    step = 1e-4
    hessian = np.empty((2, 2))
    for i in range(2):
        for j in range(2):
            a, b = step * np.eye(2)[i], step * np.eye(2)[j]
            hessian[i, j] = (
                log_posterior(at + a + b)
                - log_posterior(at + a - b)
                - log_posterior(at - a + b)
                + log_posterior(at - a - b)
            ) / (4 * step**2)
    np.testing.assert_allclose(model.covariance_of_params_, np.linalg.inv(-hessian), rtol=1e-4)
    assert model.param_names_ == ["shape[0]", "scale[0]"]


# -- the default -----------------------------------------------------------------------------------------------------------


def test_more_columns_than_rows():
    X = np.random.default_rng(3).normal(size=(8, 20)) * np.logspace(-3, 3, 20) + 5.0
    with pytest.raises(DegenerateDataError, match=r"prior='default'.*shrinkage='ledoit_wolf'"):
        DensityMLE().fit(X)
    model = DensityMLE(prior="default").fit(X)
    scatter = np.cov(X.T, bias=True)
    expected = (8 * scatter + np.diag(np.diag(scatter))) / 9
    np.testing.assert_allclose(model.params_["covariance"], expected, rtol=1e-10, atol=1e-12 * expected.max())
    fresh = np.random.default_rng(4).normal(size=(200, 20)) * np.logspace(-3, 3, 20) + 5.0
    assert np.isfinite(model.score(fresh))
    for shrinkage in ("ledoit_wolf", "oas", 0.2):
        assert np.isfinite(DensityMLE(families.MultivariateNormal(shrinkage=shrinkage)).fit(X).score(fresh))


@pytest.mark.parametrize("c", [1e-150, 1e-100, 1e100, 1e150])
@pytest.mark.parametrize("shrinkage", ["ledoit_wolf", "oas"])
def test_shrinkage_has_no_unit(shrinkage, c):
    X = np.random.default_rng(0).normal(size=(30, 3))
    family = families.MultivariateNormal(shrinkage=shrinkage)
    expected = {"ledoit_wolf": LedoitWolf, "oas": OAS}[shrinkage]().fit(X).shrinkage_
    assert DensityMLE(family).fit(c * X).shrinkage_ == pytest.approx(expected, rel=1e-12)
    rows = DensityMLE(family)
    for x in X:
        rows.partial_fit(c * x[None])
    assert rows.shrinkage_ == pytest.approx(expected, rel=1e-12)


CONTINUOUS = [
    name for name in families.names() if not families.by_name(name).discrete and families.by_name(name).equivariant
]


@pytest.mark.parametrize("name", CONTINUOUS)
def test_default_has_no_unit(name):
    """Multiplying the rows by c shifts log-densities by -d log c and does nothing else, where the support allows it."""
    for family, params in families.by_name(name).examples():
        X = DensityMLE.from_parameters(clone(family), **params).sample(80, random_state=0)
        c = 8.0 if np.all(X > 1.0) or np.any(X < 0.0) or name not in ("beta", "dirichlet") else 1.0
        plain = DensityMLE(clone(family), prior="default").fit(X)
        scaled = DensityMLE(clone(family), prior="default").fit(c * X)
        shift = scaled.score_samples(c * X) - plain.score_samples(X)
        np.testing.assert_allclose(shift, -X.shape[1] * np.log(c), atol=2e-7)


@pytest.mark.parametrize("name", families.names())
def test_default_for_every_family(name):
    """It is fitted, is near the maximum of the likelihood, and goes there as its strength goes to 0; nothing else changes."""
    for family, params in families.by_name(name).examples():
        X = DensityMLE.from_parameters(clone(family), **params).sample(150, random_state=1)
        plain = DensityMLE(clone(family)).fit(X)
        model = DensityMLE(clone(family), prior="default").fit(X)
        weak = DensityMLE(clone(family), prior=WeaklyInformative(1e-9)).fit(X)
        assert model.converged_
        assert plain.log_likelihood_ - 1.0 < model.log_likelihood_ <= plain.log_likelihood_ + 1e-9
        for key, value in plain.params_.items():
            np.testing.assert_allclose(weak.params_[key], value, rtol=1e-6, atol=1e-9)
        assert list(model.standard_errors_) == list(plain.standard_errors_)
        assert model.param_names_ == plain.param_names_
        for key, error in plain.standard_errors_.items():
            assert np.shape(model.standard_errors_[key]) == np.shape(error)


def test_limits_become_finite():
    """Where the likelihood rises towards a limit of the family, a prior has its maximum before it."""
    X = np.random.default_rng(5).uniform(-1.0, 1.0, size=(100, 1))
    assert DensityMLE("student_t").fit(X).params_["df"] == np.inf
    model = DensityMLE("student_t", prior="default").fit(X)
    assert np.isfinite(model.params_["df"]).all()
    assert not model.boundary_
    zeros = np.zeros((10, 1))
    model = DensityMLE("poisson", prior="default").fit(zeros)
    np.testing.assert_allclose(model.params_["rate"], 0.05, rtol=1e-10)
    np.testing.assert_allclose(model.standard_errors_["rate"], 0.05 / np.sqrt(0.5), rtol=1e-8)
    np.testing.assert_allclose(DensityMLE("bernoulli", prior="default").fit(zeros).params_["probability"], 0.5 / 11)
    distribution = families.Categorical(categories=["a", "b", "c"])
    model = DensityMLE(distribution, prior="default").fit([["a"]] * 4 + [["b"]] * 2)
    np.testing.assert_allclose(model.params_["probabilities"], [[13 / 21, 7 / 21, 1 / 21]], rtol=1e-14)
    assert np.isfinite(model.score([["c"]]))


def test_what_a_prior_cannot_do():
    constant = np.full((5, 1), 3.0)
    for family in ("normal", "multivariate_normal", "logistic"):
        with pytest.raises(DegenerateDataError, match="constant"):
            DensityMLE(family, prior="default").fit(constant)
    model = DensityMLE("gamma", prior=GammaPrior(2.0, 0.1, parameter="shape")).fit(constant)  # 5/2 log a rises slower
    best = simplex(
        lambda u: -stats.gamma.logpdf(3.0, np.exp(u[0]), scale=np.exp(u[1])) * 5 - u[0] + 0.1 * np.exp(u[0]), [0.0, 0.0]
    )
    np.testing.assert_allclose(model.params_["shape"], np.exp(best[0]), rtol=1e-5)
    one = DensityMLE("normal", prior=NormalInverseWishart(0.0, 1.0, 3.0, 2.0)).fit(np.array([[1.0]]))
    np.testing.assert_allclose(one.params_["scale"] ** 2, (2.0 + 0.5) / 7.0)
    with pytest.raises(DegenerateDataError, match="concentration"):
        DensityMLE(families.Categorical(categories=["a", "b"]), prior=DirichletPrior(0.5)).fit([["a"]])
