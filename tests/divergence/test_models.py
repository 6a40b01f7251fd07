"""Models from other libraries, the two routes of a sample against a model, and models that misbehave."""

import numpy as np
import pytest
from scipy import stats
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity

from fastkl import DensityMLE, cross_entropy, entropy, jensen_shannon, kl_divergence


@pytest.fixture(scope="module")
def plane():
    return np.random.default_rng(0).normal(size=(800, 2))


def test_every_kind_of_model_is_met_through_what_it_offers(plane):
    x = plane[:, :1]
    truth = kl_divergence(x, stats.norm(1, 2))
    with_columns = stats.multivariate_normal([1.0], [[4.0]])
    for same in (stats.Normal(mu=1.0, sigma=2.0), with_columns):
        assert kl_divergence(x, same) == pytest.approx(truth, abs=1e-10)
    mixture = GaussianMixture(1).fit(plane)
    mine = stats.multivariate_normal(mixture.means_[0], mixture.covariances_[0])
    assert cross_entropy(plane, mixture) == pytest.approx(cross_entropy(plane, mine), abs=1e-10)
    for model in (mixture, KernelDensity(bandwidth=0.4).fit(plane), stats.gaussian_kde(plane.T)):
        assert np.isfinite(kl_divergence(plane, model, route="density"))
        assert np.isfinite(kl_divergence(plane, model, route="draws", random_state=0))


def test_log_prob_is_enough():
    class Standard:
        def log_prob(self, x):
            return stats.norm.logpdf(x)

    x = np.random.default_rng(1).normal(size=300)
    assert kl_divergence(x, Standard()) == kl_divergence(x, stats.norm(0, 1))
    with pytest.raises(ValueError, match="neither a `sample` nor an `rvs`"):
        kl_divergence(x, Standard(), route="draws")


def test_routes_and_their_defaults():
    rng = np.random.default_rng(2)
    narrow, wide = rng.normal(size=(300, 3)), rng.normal(size=(300, 4))
    assert kl_divergence(narrow, stats.multivariate_normal(np.zeros(3))).method == "density"
    model = stats.multivariate_normal(np.zeros(4))
    assert kl_divergence(wide, model).method == "density"
    assert kl_divergence(wide, model) == kl_divergence(wide, model)  # draws that measure the bias have a fixed seed
    assert kl_divergence(wide, model) != kl_divergence(wide, model, random_state=1)
    by_draws = kl_divergence(wide, model, route="draws", random_state=0)
    assert by_draws.method == "draws"
    assert by_draws.n_samples == (300, 1500)
    assert kl_divergence(wide, model, route="draws", random_state=0) == by_draws
    assert by_draws.diagnostics["cross_entropy"] - by_draws.diagnostics["entropy"] == pytest.approx(by_draws, abs=1e-12)
    with pytest.raises(ValueError, match="'auto', 'density', 'draws'"):
        kl_divergence(narrow, stats.norm(), route="sideways")
    with pytest.raises(ValueError, match="n_draws"):
        kl_divergence(wide, stats.multivariate_normal(np.zeros(4)), n_draws=1)


def test_draws_hold_in_many_columns_where_a_plain_entropy_does_not():
    x = np.random.default_rng(3).normal(size=(1000, 20))
    model = stats.multivariate_normal(np.zeros(20))
    assert abs(kl_divergence(x, model, route="draws", random_state=0)) < 0.1
    density = kl_divergence(x, model)
    assert abs(density) < 2.0 * density.standard_error
    assert not density.diagnostics["bias_suspected"]
    plain = kl_divergence(x, model, n_neighbors=5, route="density")
    assert abs(plain) > 0.5
    assert plain.diagnostics["bias_suspected"]


@pytest.mark.parametrize("d", [4, 20])
def test_a_wrong_model_in_several_columns(d):
    x = np.random.default_rng(d).standard_t(5, size=(1000, d))
    found = kl_divergence(x, stats.multivariate_normal(np.zeros(d)))
    truth = d * (0.5 * np.log(2.0 * np.pi) + 0.5 * 5.0 / 3.0 - stats.t(5).entropy())
    assert abs(found - truth) < 2.5 * found.standard_error
    assert found.diagnostics["cross_entropy"] - found.diagnostics["entropy"] == found


@pytest.mark.slow
@pytest.mark.parametrize(("d", "n"), [(1, 200), (2, 1000), (3, 1000), (3, 5000), (5, 500), (10, 1000)])
def test_a_correct_model_covers_zero(d, n):
    covers = 0
    for seed in range(60):
        rng = np.random.default_rng([seed, d, n])
        model = DensityMLE("multivariate_normal").fit(rng.normal(size=(50 * n, d)))
        low, high = kl_divergence(rng.normal(size=(n, d)), model).confidence_interval()
        covers += low < 0.0 < high
    assert covers >= 54  # 93 % and a chance of 1 in 1000 to fall short of it


@pytest.mark.parametrize("n", [300, 3000])
@pytest.mark.parametrize("name", ["gamma", "arcsine", "t", "cauchy"])
def test_a_correct_model_with_poles_or_long_tails_covers_zero(name, n):
    """Through gaps on a plain scale all but one of these cases fail: a pole or a tail within a gap biases the entropy."""
    law = {"gamma": stats.gamma(0.4), "arcsine": stats.beta(0.3, 0.6), "t": stats.t(3), "cauchy": stats.cauchy()}[name]
    found = [kl_divergence(law.rvs(n, random_state=seed), law) for seed in range(40)]
    assert np.mean([abs(e) < 2.0 * e.standard_error for e in found]) >= 0.93
    assert not any(e.diagnostics["bias_suspected"] for e in found)


def test_whitening_by_the_model_saves_an_ill_conditioned_case():
    rho, d, n = 0.999, 5, 1000
    covariance = np.full((d, d), rho) + (1.0 - rho) * np.eye(d)
    rng = np.random.default_rng(4)
    model = stats.multivariate_normal(np.zeros(d), covariance)
    x = rng.multivariate_normal(np.full(d, 1.0), covariance, n)
    truth = 0.5 * np.ones(d) @ np.linalg.solve(covariance, np.ones(d))
    assert kl_divergence(x, model, route="density") == pytest.approx(truth, abs=0.15)


@pytest.mark.parametrize("d", [2, 3])
def test_a_density_does_not_depend_on_units_or_axes(d):
    rng = np.random.default_rng(5)
    x, A, c = rng.normal(size=(300, d)), rng.normal(size=(d, d)), 1e4 * rng.normal(size=d)
    models = stats.multivariate_normal(np.zeros(d), 1.7), stats.multivariate_normal(c, 1.7 * A @ A.T)
    plain = [kl_divergence(rows, model, n_neighbors=5) for rows, model in zip((x, x @ A.T + c), models, strict=True)]
    assert plain[1] == pytest.approx(plain[0], abs=1e-6)
    # Draws from the moved model are others, so that the measured bias has other noise.
    first, moved = (kl_divergence(rows, model) for rows, model in zip((x, x @ A.T + c), models, strict=True))
    assert moved == pytest.approx(first, abs=first.standard_error)


def test_two_discrete_laws_on_a_line_are_summed():
    assert kl_divergence(stats.poisson(3), stats.poisson(4)) == pytest.approx(3 * np.log(0.75) + 1, abs=1e-12)
    assert kl_divergence(stats.binom(9, 0.2), stats.binom(9, 0.3)) == pytest.approx(
        9 * (0.2 * np.log(0.2 / 0.3) + 0.8 * np.log(0.8 / 0.7)), abs=1e-12
    )
    assert kl_divergence(stats.poisson(3), stats.binom(10, 0.3)) == np.inf
    assert kl_divergence(stats.skellam(2, 3), stats.skellam(2, 3)) == 0.0
    assert cross_entropy(stats.poisson(3), stats.poisson(4)) - entropy(stats.poisson(3)) == pytest.approx(
        kl_divergence(stats.poisson(3), stats.poisson(4)), abs=1e-9
    )
    assert jensen_shannon(stats.binom(1, 0.0), stats.binom(1, 1.0)) == pytest.approx(np.log(2.0), abs=1e-12)


def test_a_model_against_a_sample_is_drawn():
    y = np.random.default_rng(6).normal(1.0, 2.0, 3000)
    estimate = kl_divergence(stats.norm(0, 1), y, random_state=0)
    assert abs(estimate - 0.443147) < 4 * estimate.standard_error


def test_a_global_seed_is_neither_needed_nor_touched(plane):
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    kl_divergence(plane, KernelDensity().fit(plane), route="draws", random_state=0)
    mixture = GaussianMixture(2, random_state=5).fit(plane)
    kl_divergence(plane, mixture, random_state=0, route="draws")
    assert mixture.random_state == 5
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


class Broken:
    def __init__(self, value):
        self.value = value

    def logpdf(self, X):
        values = -np.square(X[:, 0])
        values[7] = self.value
        return values


def test_models_that_misbehave():
    x = np.random.default_rng(7).normal(size=50)
    for call in (kl_divergence, cross_entropy):
        with pytest.raises(ValueError, match="nan in row 7"):
            call(x, Broken(np.nan))
        with pytest.raises(ValueError, match="inf in row 7"):
            call(x, Broken(np.inf))
        assert call(x, Broken(-np.inf)) == np.inf
    with pytest.raises(ValueError, match="one number per row"):
        kl_divergence(np.column_stack([x, x * x]), stats.norm())
    with pytest.raises(ValueError, match="discrete"):
        kl_divergence(stats.poisson(3), stats.norm())
    with pytest.raises(ValueError, match="belongs to the rows"):
        kl_divergence(x, stats.norm(), sample_weight_q=np.ones(50))


def test_names_of_columns_are_compared_and_no_warning_is_left():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(np.random.default_rng(8).normal(size=(200, 2)), columns=["a", "b"])
    for model in (DensityMLE().fit(frame), KernelDensity().fit(frame)):
        expected = kl_divergence(frame.to_numpy(), model)
        assert kl_divergence(frame, model) == expected
        assert kl_divergence(frame, model, sample_weight_p=np.full(200, 2.0)) == expected
        assert cross_entropy(frame, model) == pytest.approx(-model.score_samples(frame).mean(), abs=1e-12)
        for call in (kl_divergence, cross_entropy):
            with pytest.raises(ValueError, match="same names"):
                call(frame[["b", "a"]], model)
    labels = pd.DataFrame({"k": list("aabbc"), "l": list("xyxyx")})
    assert np.isfinite(kl_divergence(labels, DensityMLE("categorical").fit(labels)))


def test_discrete_families_without_a_listed_support_are_summed_too():
    def distribution(family, **params):
        return DensityMLE.from_parameters(family, **params)

    truth = kl_divergence(stats.poisson(3), stats.nbinom(3, 0.5))
    found = kl_divergence(distribution("poisson", rate=3.0), distribution("negative_binomial", size=3.0, mean=3.0))
    assert found.method == "exact"
    assert found == pytest.approx(truth, abs=1e-12)
    k = np.arange(400)
    direct = np.exp(stats.poisson(3).logpmf(k)) @ (stats.poisson(3).logpmf(k) - stats.nbinom(3, 0.5).logpmf(k))
    assert truth == pytest.approx(direct, abs=1e-12)
    assert jensen_shannon(distribution("poisson", rate=3.0), distribution("poisson", rate=4.0)).standard_error == 0.0
    labels = DensityMLE("categorical").fit(np.array([["a"], ["b"], ["b"]]))
    assert jensen_shannon(labels, labels, random_state=0) == pytest.approx(0.0, abs=1e-12)
    pair = [
        distribution("poisson", rate=[3.0, 4.0]),
        distribution("negative_binomial", size=[3.0, 3.0], mean=[3.0, 4.0]),
    ]
    assert kl_divergence(*pair, random_state=0).method in ("exact", "monte_carlo")


def test_the_identity_holds_for_one_seed_of_monte_carlo():
    p, q = stats.norm(0, 1), stats.gumbel_r(0.3, 1.2)
    parts = [call(p, q, n_draws=100_000, random_state=4) for call in (cross_entropy, kl_divergence)]
    assert parts[0].method == parts[1].method == "monte_carlo"
    assert parts[0] - entropy(p) == pytest.approx(parts[1], abs=1e-14)
    assert parts[0].standard_error == parts[1].standard_error
    mixture = GaussianMixture(2, random_state=0).fit(np.random.default_rng(9).normal(size=(200, 1)))
    assert abs(cross_entropy(mixture, mixture, random_state=0) - entropy(mixture, random_state=1)) < 0.02


@pytest.mark.filterwarnings("error")
def test_a_few_rows_of_which_two_are_equal():
    """The density on the scale of two neighbours is known; that of one is not asked for to look for a drift."""
    model = DensityMLE.from_parameters("normal", loc=[0.0, 1.0], scale=[1.0, 2.0])
    found = kl_divergence(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]]), model, random_state=0)
    assert np.isfinite(found)
    assert "k_sweep_bias" not in found.diagnostics or np.isfinite(found.diagnostics["k_sweep_bias"])


@pytest.mark.parametrize("method", ["common_radius", "knn", "bias_reduced"])
def test_draws_of_a_model_are_compared_where_it_has_unit_covariance(method):
    """So no unit matters, and columns that go closely together are compared across the line that they are near."""
    covariance, shift = np.array([[1.0, 0.99], [0.99, 1.0]]), np.array([0.1, 0.0])
    x = np.random.default_rng(0).multivariate_normal(shift, covariance, 2000)

    def of(units):
        parameters = {"mean": np.zeros(2), "covariance": covariance * np.outer(units, units)}
        model = DensityMLE.from_parameters("multivariate_normal", **parameters)
        return kl_divergence(x * units, model, route="draws", method=method, random_state=0)

    plain, moved = of(np.ones(2)), of(np.array([1.0, 1e6]))
    assert moved == pytest.approx(float(plain), rel=1e-6)
    truth = 0.5 * shift @ np.linalg.solve(covariance, shift)
    assert abs(plain - truth) < 4.0 * plain.standard_error < 0.2
