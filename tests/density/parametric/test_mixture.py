"""MixtureMLE against published maxima, closed identities and plain numpy: fits, posteriors, weights, priors, files, bad input."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from sklearn import datasets
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import fastkl
from fastkl import DegenerateDataError, DensityMLE, MixtureMLE, SourceError, families
from tests.density.parametric.plain_mixtures import highest_log_likelihood

DATA = Path(__file__).parents[2] / "data"
CASES = [case for case in json.loads((DATA / "cases/density.json").read_text()) if case["family"] == "mixture"]
IRIS, SPECIES = datasets.load_iris(return_X_y=True)


def column(name, *columns):
    table = np.genfromtxt(DATA / f"{name}.csv", delimiter=",", names=True)
    return np.stack([table[each] for each in columns], axis=1)


GALAXIES = column("galaxies", "velocity") / 1000.0
DEATHS, COUNTS = column("london_deaths", "value"), column("london_deaths", "count")[:, 0]
LONDON = {"weights": [0.5, 0.5], "rate": [1.0, 3.0]}


@parametrize_with_checks(
    [
        MixtureMLE(
            family=families.MultivariateNormal("diag"), prior="default", n_init=1, standard_errors=False, random_state=0
        )
    ],
)
@pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.SkipTestWarning", "ignore::sklearn.exceptions.ConvergenceWarning"
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


# -- published maxima ------------------------------------------------------------------------------------------------------


def rows_of(data):
    if "sklearn" in data:
        return IRIS, None
    X = column(data["file"].removesuffix(".csv"), *data["columns"]) / data.get("divide_by", 1)
    return X, column(data["file"].removesuffix(".csv"), data["counts"])[:, 0] if "counts" in data else None


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_case(case):
    X, weights = rows_of(case["data"])
    options, expected = case["options"], case["expected"]
    family = options["component"]
    if "covariance_type" in options:
        family = families.MultivariateNormal(options["covariance_type"])
    model = MixtureMLE(options["n_components"], family=family, init=options.get("start"), random_state=0)
    model.fit(X, sample_weight=weights)
    assert model.converged_
    assert model.spurious_components_ == {}
    assert model.log_likelihood_ == pytest.approx(expected["log_likelihood"], abs=1e-7)
    assert model.log_likelihood(X, weights) == pytest.approx(model.log_likelihood_, rel=1e-13)
    if "bic" in expected:
        assert model.bic(X) == pytest.approx(expected["bic"], abs=2e-7)
    for key, value in expected.get("params", {}).items():
        np.testing.assert_allclose(model.params_[key].reshape(np.shape(value)), value, rtol=1e-7)
    for key, value in expected.get("standard_errors", {}).items():
        np.testing.assert_allclose(model.standard_errors_[key].reshape(np.shape(value)), value, rtol=1e-6)


def test_few_maps_where_plain_em_takes_thousands():
    """From (0.5, 1, 3) plain EM needs 2765 maps to come within 1e-6 of the maximum.

    Its parameters, to 13 digits, are those of V. Hasselblad 1969 as the tests of SQUAREM in R have them.
    """
    model = MixtureMLE(2, family="poisson", init=LONDON, max_iter=20).fit(DEATHS, sample_weight=COUNTS)
    assert model.converged_
    assert model.n_iter_ <= 20
    share, first, second = 0.6401146029910, 2.6634043566619, 1.2560951012662
    at = np.logaddexp(
        np.log(share) + stats.poisson.logpmf(DEATHS[:, 0], first),
        np.log1p(-share) + stats.poisson.logpmf(DEATHS[:, 0], second),
    )
    assert model.log_likelihood_ == pytest.approx(COUNTS @ at, abs=1e-9)
    assert model.certificate_["remaining_gain"] < 1e-9
    assert model.certificate_["smallest_eigenvalue"] > 0.0


def test_galaxies_with_four_components_have_no_spike():
    """The highest places that random starts reach have a component on two rows, at a log-likelihood without bound."""
    model = MixtureMLE(4, family="normal", random_state=0).fit(GALAXIES)
    assert model.spurious_components_ == {}
    assert model.params_["scale"].min() > 0.3


# -- identities ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["multivariate_normal", "gamma", "weibull", "multivariate_t"])
def test_one_component_is_the_density(family):
    X = IRIS[:, :2]
    one, density = MixtureMLE(1, family=family).fit(X), DensityMLE(family, tol=1e-13).fit(X)
    for name, value in density.params_.items():
        np.testing.assert_array_equal(one.params_[name][0], value)
    assert one.log_likelihood_ == density.log_likelihood_
    assert one.converged_
    assert list(one.standard_errors_) == list(density.standard_errors_)  # the only weight is 1, and not estimated
    for name, value in density.standard_errors_.items():
        np.testing.assert_allclose(one.standard_errors_[name][0], value, rtol=1e-6)
    np.testing.assert_allclose(one.robust_covariance(X), density.robust_covariance(X), rtol=1e-4, atol=1e-6)


@pytest.fixture(scope="module")
def iris():
    return MixtureMLE(3, random_state=0).fit(IRIS)


def test_posterior_by_the_textbook(iris):
    parts = zip(iris.params_["mean"], iris.params_["covariance"], strict=True)
    densities = np.stack([stats.multivariate_normal(mean, s).pdf(IRIS) for mean, s in parts], axis=1)
    joint = iris.params_["weights"] * densities
    np.testing.assert_allclose(iris.score_samples(IRIS), np.log(joint.sum(axis=1)), rtol=1e-9)
    posterior = joint / joint.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(iris.predict_proba(IRIS), posterior, atol=1e-9)
    np.testing.assert_array_equal(iris.transform(IRIS), iris.predict_proba(IRIS))
    np.testing.assert_array_equal(iris.predict(IRIS), posterior.argmax(axis=1))
    entropy = -np.sum(posterior * np.log(np.maximum(posterior, 1e-300)))
    assert iris.icl(IRIS) == pytest.approx(iris.bic(IRIS) + 2.0 * entropy, rel=1e-9)
    assert iris.get_feature_names_out().tolist() == ["mixturemle0", "mixturemle1", "mixturemle2"]


def test_evidence_is_bound_plus_divergence(iris):
    rng = np.random.default_rng(0)
    weights = rng.random(len(IRIS))
    weights[:3] = 0.0
    evidence = iris.log_likelihood(IRIS, weights)
    for r in (rng.dirichlet(np.ones(3), size=len(IRIS)), np.eye(3)[rng.integers(3, size=len(IRIS))]):
        bound = iris.elbo(IRIS, r, weights)
        assert bound < evidence
        assert bound + iris.posterior_divergence(IRIS, r, weights) == pytest.approx(evidence, rel=1e-12)
    assert iris.elbo(IRIS, iris.predict_proba(IRIS), weights) == pytest.approx(evidence, rel=1e-12)
    with pytest.raises(ValueError, match="each row sums to 1"):
        iris.elbo(IRIS, np.ones((len(IRIS), 3)))
    with pytest.raises(ValueError, match="responsibilities has shape"):
        iris.elbo(IRIS, np.ones((len(IRIS), 2)))


@pytest.mark.parametrize("family", ["poisson", "multivariate_normal", "weibull"])
def test_a_weight_is_a_repeated_row(family):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.poisson(2.0, (60, 1)), rng.poisson(9.0, (60, 1))]) + 1.0
    weights = rng.integers(0, 4, len(X))
    first = MixtureMLE(2, family=family, random_state=0, n_init=1).fit(np.repeat(X, weights, axis=0))
    again = MixtureMLE(2, family=family, init=first.params_).fit(X, sample_weight=weights)
    assert again.log_likelihood_ == pytest.approx(first.log_likelihood_, rel=1e-12)
    for name, value in first.params_.items():
        np.testing.assert_allclose(again.params_[name], value, rtol=1e-6)


def test_one_number_held_fixed_is_that_of_every_column(tmp_path):
    family, X = families.Normal(scale=0.7), IRIS[:, :2]
    model = MixtureMLE(2, family=family, random_state=0).fit(X)
    assert model.params_["scale"].shape == (2, 2)
    again = MixtureMLE(2, family=family, init=model.params_).fit(X)
    np.testing.assert_allclose(again.params_["loc"], model.params_["loc"], rtol=1e-9)
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(fastkl.load(tmp_path / "model").score_samples(X), model.score_samples(X))
    known = {name: model.params_[name] for name in ("weights", "loc")}
    known = MixtureMLE.from_parameters(family, **known)
    np.testing.assert_array_equal(known.score_samples(X), model.score_samples(X))
    with pytest.raises(ValueError, match="scale of component 0 has to be 3 numbers"):
        MixtureMLE(2, family=family, init={"weights": [0.5, 0.5], "loc": np.zeros((2, 3))}).fit(X)


def test_no_unit():
    """A factor shifts log-densities and does nothing else, starts and the default prior included."""
    for prior in (None, "default"):
        model = MixtureMLE(3, prior=prior, random_state=0, n_init=1, standard_errors=False).fit(IRIS)
        scaled = clone(model).fit(IRIS * 1024.0)
        np.testing.assert_allclose(
            scaled.score_samples(IRIS * 1024.0), model.score_samples(IRIS) - 4.0 * np.log(1024.0), rtol=1e-7
        )


@pytest.mark.parametrize(("offset", "dtype"), [(1e8, np.float64), (1e4, np.float32)])
@pytest.mark.parametrize("family", ["normal", "multivariate_normal"])
def test_clusters_far_from_zero(offset, dtype, family):
    rng = np.random.default_rng(0)
    X = (np.concatenate([rng.normal(size=(300, 1)), rng.normal(6.0, 0.5, size=(200, 1))]) + offset).astype(dtype)
    centred = X.astype(np.float64) - offset
    model = MixtureMLE(2, family=family, random_state=0, n_init=1, standard_errors=False)
    far, near = (clone(model).fit(rows) for rows in (X, centred))
    location = "loc" if family == "normal" else "mean"
    assert far.log_likelihood_ == pytest.approx(near.log_likelihood_, rel=1e-9)
    np.testing.assert_allclose(far.params_[location] - offset, near.params_[location], atol=1e-6)


@pytest.mark.parametrize("family", ["multivariate_normal", "gamma"])
def test_threads_change_no_bit(family):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.gamma(2.0, size=(9000, 2)), rng.gamma(9.0, size=(9000, 2))])
    fits = [
        MixtureMLE(2, family=family, random_state=0, n_init=1, n_jobs=n, standard_errors=False).fit(X)
        for n in (1, 2, 3)
    ]
    for other in fits[1:]:
        for name, value in fits[0].params_.items():
            np.testing.assert_array_equal(other.params_[name], value)
        np.testing.assert_array_equal(other.score_samples(X), fits[0].score_samples(X))


def test_the_order_of_components_is_that_of_their_locations():
    model = MixtureMLE(3, family="normal", standard_errors=False)
    found = [clone(model).set_params(random_state=seed).fit(GALAXIES).params_ for seed in range(3)]
    for params in found:
        assert np.all(np.diff(params["loc"][:, 0]) > 0.0)
        np.testing.assert_allclose(params["weights"], found[0]["weights"], rtol=1e-6)


def test_moments_and_summary(iris):
    """The covariance within components and between their means adds up to that of the rows, at a maximum of normal components."""
    np.testing.assert_allclose(iris.mean(), IRIS.mean(axis=0), rtol=1e-8)
    np.testing.assert_allclose(iris.covariance(), np.cov(IRIS.T, bias=True), rtol=1e-7)
    counts = MixtureMLE.from_parameters("poisson", **LONDON)
    np.testing.assert_allclose(counts.variance(), [2.0 + 1.0])
    with pytest.raises(AttributeError, match="no mean"):
        MixtureMLE.from_parameters("von_mises", weights=[1.0], loc=[[0.0]], concentration=[[1.0]]).mean()
    table = iris.summary().to_frame()
    assert sum("component 0" in str(label) for label in table["parameter"]) == 1 + 4 + 10
    unknown = MixtureMLE(2, random_state=0, n_init=1, standard_errors=False).fit(IRIS).summary().to_frame()
    assert unknown["standard_error"].isna().all()


def test_boundaries_name_their_component():
    X = np.concatenate(
        [np.random.default_rng(0).normal(size=(200, 1)), 30.0 + np.random.default_rng(1).standard_t(2, (200, 1))]
    )
    model = MixtureMLE(2, family="student_t", random_state=0, n_init=1).fit(X)
    assert list(model.boundary_) == ["df"]
    assert model.boundary_["df"].startswith("Component 0: ")
    assert np.isinf(model.params_["df"][0, 0])
    assert np.isnan(model.standard_errors_["df"][0, 0])
    assert model.standard_errors_["df"][1, 0] > 0.0


def test_a_boundary_names_the_component_of_the_mixture_where_families_differ():
    X = np.random.default_rng(1).binomial(10, 0.5, (300, 1)) * (
        np.arange(300)[:, None] % 3 > 0
    )  # vary less than Poisson
    model = MixtureMLE(family=[families.Poisson(rate=0.0), "negative_binomial"], random_state=0).fit(X)
    assert model.boundary_["negative_binomial_size"].startswith("Component 1: ")


def test_draws():
    model = MixtureMLE.from_parameters("normal", weights=[0.3, 0.7], loc=[[-9.0], [9.0]], scale=[[1.0], [2.0]])
    X, z = model.sample(20_000, random_state=0, return_components=True)
    np.testing.assert_array_equal(z, X[:, 0] > 0.0)
    assert np.mean(z) == pytest.approx(0.7, abs=0.015)
    assert X[z == 1].std() == pytest.approx(2.0, rel=0.05)
    np.testing.assert_array_equal(X, model.sample(20_000, random_state=0))


# -- families and what is held fixed ---------------------------------------------------------------------------------------


def test_a_background_that_is_known():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(2.0, 0.3, size=(700, 1)), rng.uniform(0.0, 10.0, size=(300, 1))])
    background = families.Uniform(low=0.0, high=10.0)
    model = MixtureMLE(2, family=["normal", background], random_state=0).fit(X)
    assert list(model.params_) == ["weights", "normal_loc", "normal_scale", "uniform_low", "uniform_high"]
    assert model.params_["weights"][0] == pytest.approx(0.7, abs=0.04)
    assert model.params_["normal_loc"][0, 0] == pytest.approx(2.0, abs=0.05)
    assert model.component_params_[1]["high"] == 10.0
    assert set(model.standard_errors_) == {"weights", "normal_loc", "normal_scale"}
    assert model.n_parameters_ == 3
    # a row beyond the background can only be from the other component
    assert model.predict([[-0.5]])[0] == 0


def test_weights_that_are_known():
    model = MixtureMLE(3, family="normal", weights=[0.1, 0.6, 0.3], random_state=0).fit(GALAXIES)
    np.testing.assert_array_equal(model.params_["weights"], [0.1, 0.6, 0.3])
    assert "weights" not in model.standard_errors_
    gradient = model.gradient(GALAXIES)
    assert max(np.abs(gradient["loc"]).max(), np.abs(gradient["scale"]).max()) < 1e-7


def test_a_tied_covariance():
    model = MixtureMLE(3, family=families.MultivariateNormal("tied"), random_state=0, standard_errors=False).fit(IRIS)
    assert model.params_["covariance"].shape == (4, 4)
    assert model.log_likelihood_ == pytest.approx(highest_log_likelihood(IRIS, SPECIES, tied=True), abs=1e-8)
    assert model.log_likelihood_ == pytest.approx(-256.354, abs=5e-4)  # mclust's EEE prints that
    assert model.n_parameters_ == 2 + 12 + 10
    assert np.abs(model.gradient(IRIS)["covariance"]).max() < 1e-6
    with pytest.raises(ValueError, match="covariance_type is one of"):
        DensityMLE(families.MultivariateNormal("tied")).fit(IRIS)


def test_labels():
    """Two latent classes of four columns of labels: the posterior by the textbook."""
    rng = np.random.default_rng(0)
    z = rng.random(500) < 0.4
    X = np.where(rng.random((500, 4)) < np.where(z[:, None], 0.9, 0.2), "yes", "no")
    model = MixtureMLE(2, family="categorical", random_state=0, n_init=1).fit(X)
    assert np.mean(model.predict(X) == z) in (pytest.approx(0.95, abs=0.05), pytest.approx(0.05, abs=0.05))
    p = model.params_["probabilities"][:, :, 1]
    joint = model.params_["weights"] * np.prod(np.where(X[:, None] == "yes", p, 1.0 - p), axis=2)
    np.testing.assert_allclose(model.score_samples(X), np.log(joint.sum(axis=1)), rtol=1e-12)
    assert set(np.unique(model.sample(10, random_state=0))) <= {"yes", "no"}


def test_the_prior_keeps_components_from_collapsing():
    X = np.concatenate([np.random.default_rng(0).normal(size=(40, 2)), np.full((5, 2), 3.0)])
    with pytest.raises(DegenerateDataError, match="prior"):
        MixtureMLE(2, init={"weights": [0.9, 0.1], "mean": [[0, 0], [3, 3]], "covariance": [np.eye(2)] * 2}).fit(X)
    model = MixtureMLE(2, prior="default", random_state=0).fit(X)
    assert model.spurious_components_ == {}
    assert model.converged_
    # a hundredth of a row at the mean of all, and d + 2 with their covariance, made smaller as components are many
    prior = model.prior_[0]
    assert (prior.mean_weight, prior.df) == (0.01, 4.0)
    np.testing.assert_allclose(prior.mean, X.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(prior.scale, np.cov(X.T, bias=True) / 2.0, rtol=1e-10)
    gradient = model.gradient(X)
    for name in ("mean", "covariance"):
        slopes = [own.gradient(at)[name] for own, at in zip(model.prior_, model.component_params_, strict=True)]
        np.testing.assert_allclose(len(X) * gradient[name] + np.stack(slopes), 0.0, atol=1e-5)


# -- rows elsewhere, files, pipelines --------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["multivariate_normal", "poisson", "weibull"])
def test_batches_give_the_same(family):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.poisson(3.0, (4000, 2)), rng.poisson(12.0, (4000, 2))]) + 1.0
    weights = rng.random(len(X))
    start = MixtureMLE(2, family=family, random_state=0, n_init=1).fit(X[::10]).params_
    model = MixtureMLE(2, family=family, init=start, standard_errors=False)
    expected = clone(model).fit(X, sample_weight=weights)
    batches = [(X[i : i + 1500], weights[i : i + 1500]) for i in range(0, len(X), 1500)]
    found = clone(model).fit_batches(batches)
    assert found.log_likelihood_ == pytest.approx(expected.log_likelihood_, rel=1e-11)
    for name, value in expected.params_.items():
        np.testing.assert_allclose(found.params_[name], value, rtol=1e-5)
    searched = MixtureMLE(2, family=family, random_state=0, n_init=1).fit_batches(batches)
    assert searched.log_likelihood_ == pytest.approx(expected.log_likelihood_, rel=1e-9)
    with pytest.raises(SourceError, match="passes over the rows several times"):
        model.fit_batches(iter(batches))


def test_files(tmp_path, iris):
    mixed = MixtureMLE(2, family=["normal", families.Uniform(low=0.0, high=40.0)], random_state=0).fit(GALAXIES)
    for model, rows in ((iris, IRIS), (mixed, GALAXIES)):
        path = tmp_path / "model"
        model.save(path)
        for other in (fastkl.load(path), pickle.loads(pickle.dumps(model))):
            np.testing.assert_array_equal(other.predict_proba(rows), model.predict_proba(rows))
            np.testing.assert_array_equal(other.standard_errors_["weights"], model.standard_errors_["weights"])
            assert other.certificate_ == model.certificate_
    model.params_["weights"] = np.array([0.5, 0.6])
    with pytest.raises(ValueError, match="sum to 1"):
        model.save(path)


def test_in_a_pipeline_and_in_a_divergence(iris):
    other = MixtureMLE(2, random_state=0, n_init=1)
    assert make_pipeline(StandardScaler(), clone(other)).fit_transform(IRIS).shape == (150, 2)
    other.fit(IRIS)
    estimate = fastkl.kl_divergence(iris, other, random_state=0)
    draws = iris.sample(200_000, random_state=1)
    plain = np.mean(iris.score_samples(draws) - other.score_samples(draws))
    assert float(estimate) == pytest.approx(plain, abs=5.0 * estimate.standard_error + 0.005)


@pytest.mark.filterwarnings("ignore:Component")
@pytest.mark.parametrize("unit", [1e-200, 1e200])
def test_units_whose_squares_are_no_numbers(unit):
    """A component of few rows is judged in units of the others', so that a rescaled column gives a rescaled mixture."""
    X = np.concatenate([np.random.default_rng(0).normal(size=(30, 2)), 9.0 + 1e-5 * np.arange(6.0).reshape(3, 2)])
    start = {
        "weights": [0.9, 0.1],
        "loc": np.array([[0.0, 0.0], [9.0, 9.0]]),
        "scale": np.array([[1.0, 1.0], [0.1, 0.1]]),
    }
    begun = [{**start, "loc": c * start["loc"], "scale": c * start["scale"]} for c in (1.0, unit)]
    plain, scaled = (
        MixtureMLE(2, family="normal", init=init).fit(c * X) for c, init in zip((1.0, unit), begun, strict=True)
    )
    np.testing.assert_allclose(scaled.params_["loc"] / unit, plain.params_["loc"], rtol=1e-6)
    assert list(scaled.spurious_components_) == list(plain.spurious_components_) != []
