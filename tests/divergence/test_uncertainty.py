"""Standard errors, diagnostics and p-values: whether they say what happens when samples are drawn again and again."""

import numpy as np
import pytest
from scipy import stats

import fastkl
from fastkl import DensityMLE, Estimate, cross_entropy, entropy, jeffreys, jensen_shannon, kl_divergence
from fastkl.divergence import permutation_test, subsampling_interval
from fastkl.divergence.estimate import _HERE


def repeated(call, draw, times, seed=0):
    """The estimates of ``call`` on fresh samples."""
    rng = np.random.default_rng(seed)
    return [call(*draw(rng)) for _ in range(times)]


def coverage(estimates, truth):
    return np.mean([low <= truth <= high for low, high in (e.confidence_interval() for e in estimates)])


def calibration(estimates):
    """Mean standard error over the standard deviation that it should be."""
    return np.mean([e.standard_error for e in estimates]) / np.std(estimates, ddof=1)


def by_neighbors(x, y):
    """The plain neighbour estimate."""
    return kl_divergence(x, y, method="common_radius")


PAIRS = {
    "exponential": (
        lambda rng, n: (rng.exponential(1.0, n), rng.exponential(12.0, n)),
        np.log(12.0) + 1.0 / 12.0 - 1.0,
    ),
    "normal": (lambda rng, n: (rng.normal(0, 1, n), rng.normal(1, 2, n)), 0.4431471806),
    "uniform": (lambda rng, n: (rng.uniform(1, 2, n), rng.uniform(0, 4, n)), np.log(4.0)),
    "equal": (lambda rng, n: (rng.normal(0, 1, n), rng.normal(0, 1, n)), 0.0),
    "equal in a plane": (lambda rng, n: (rng.normal(0, 1, (n, 2)), rng.normal(0, 1, (n // 2, 2))), 0.0),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("method", ["common_radius", "knn", "bias_reduced"])
def test_coverage_of_the_default_interval(name, method):
    draw, truth = PAIRS[name]
    estimates = repeated(lambda x, y: kl_divergence(x, y, method=method), lambda rng: draw(rng, 1000), 200)
    assert 0.90 <= coverage(estimates, truth) <= 0.995
    assert 0.85 < calibration(estimates) < 1.3


@pytest.mark.slow
@pytest.mark.parametrize("k", [1, 2, 3, 8, 15])
@pytest.mark.parametrize("method", ["common_radius", "knn"])
def test_coverage_for_other_numbers_of_neighbors(method, k):
    draw, truth = PAIRS["normal"]
    estimates = repeated(
        lambda x, y: kl_divergence(x, y, method=method, n_neighbors=k), lambda rng: draw(rng, 1000), 200
    )
    assert 0.90 <= coverage(estimates, truth) <= 0.995


@pytest.mark.slow
def test_coverage_of_the_other_calls():
    normal, _ = PAIRS["normal"]
    one = repeated(entropy, lambda rng: (rng.normal(size=1000),), 200)
    assert 0.90 <= coverage(one, 1.418938533) <= 0.995
    cross = repeated(cross_entropy, lambda rng: normal(rng, 1000), 200)
    assert 0.90 <= coverage(cross, 1.862085714) <= 0.995
    density = repeated(lambda x: kl_divergence(x, stats.norm(1, 2)), lambda rng: (rng.normal(size=1000),), 200)
    assert 0.90 <= coverage(density, 0.4431471806) <= 0.995
    shift = repeated(jeffreys, lambda rng: (rng.normal(size=1000), rng.normal(0.5, 1, 1000)), 200)
    assert 0.90 <= coverage(shift, 0.25) <= 1.0
    middle = repeated(jensen_shannon, lambda rng: normal(rng, 1000), 200)
    assert 0.90 <= coverage(middle, 0.12819) <= 1.0
    drawn = [kl_divergence(stats.norm(0, 1), stats.norm(1, 2), n_draws=2000, random_state=i) for i in range(200)]
    assert 0.90 <= coverage(drawn, 0.4431471806) <= 0.995


@pytest.mark.parametrize("name", PAIRS)
def test_standard_errors_are_near_the_truth(name):
    draw, _ = PAIRS[name]
    estimates = repeated(by_neighbors, lambda rng: draw(rng, 300), 60)
    assert 0.7 < calibration(estimates) < 1.6


def test_the_default_covers():
    covered = [
        coverage(repeated(kl_divergence, lambda rng, draw=draw: draw(rng, 300), 30), truth)
        for draw, truth in PAIRS.values()
    ]
    assert np.mean(covered) >= 0.9
    assert min(covered) >= 0.75


def test_both_samples_enter_the_standard_error():
    rng = np.random.default_rng(0)
    x = rng.exponential(1.0, 2000)
    errors = [kl_divergence(x, rng.exponential(12.0, m)).standard_error for m in (200, 2000, 20_000)]
    assert errors[0] > 2.0 * errors[1] > 2.2 * errors[2]


def test_no_standard_error_when_it_is_not_wanted():
    x, y = np.random.default_rng(1).normal(size=(2, 100))
    for call in (kl_divergence, cross_entropy, jeffreys, jensen_shannon):
        assert np.isnan(call(x, y, standard_error=False).standard_error)
        assert call(x, y, standard_error=False) == call(x, y)
    assert np.isnan(kl_divergence(x, stats.norm(), standard_error=False).standard_error)
    gamma, lognormal = (DensityMLE(family).fit(np.exp(x)[:, np.newaxis]) for family in ("gamma", "lognormal"))
    counts = np.arange(40)[:, np.newaxis] % 5
    for pair in ((gamma, lognormal), (counts, DensityMLE("poisson").fit(counts))):
        assert np.isnan(kl_divergence(*pair, standard_error=False).standard_error)
        assert kl_divergence(*pair, standard_error=False) == kl_divergence(*pair)
    assert kl_divergence(gamma, gamma, standard_error=False).standard_error == 0.0  # an exact value has that
    for method in ("auto", "knn", "weighted_knn", "spacings", "marginal_split"):
        found = entropy(x, method=method, standard_error=False)
        assert np.isnan(found.standard_error)
        assert found == entropy(x, method=method)


@pytest.mark.parametrize("name", PAIRS)
def test_easy_cases_are_not_flagged(name):
    draw, _ = PAIRS[name]
    estimates = repeated(kl_divergence, lambda rng: draw(rng, 1000), 10, seed=2)
    assert sum(e.diagnostics["bias_suspected"] for e in estimates) <= 1


HARD = {
    "narrow model in ten columns": lambda rng: (rng.normal(size=(1000, 10)), rng.normal(0, 0.5**0.5, (1000, 10))),
    "narrow model in five columns": lambda rng: (rng.normal(size=(500, 5)), rng.normal(0, 0.4, (500, 5))),
    "far apart": lambda rng: (rng.normal(size=1000), rng.normal(10, 1, 1000)),
    "tails of p beyond q": lambda rng: (rng.exponential(12.0, 1000), rng.exponential(1.0, 1000)),
    "twenty columns": lambda rng: (rng.normal(size=(200, 20)), rng.normal(size=(200, 20))),
}


@pytest.mark.parametrize("name", HARD)
def test_hard_cases_are_flagged(name):
    for estimate in repeated(by_neighbors, HARD[name], 5):
        assert estimate.diagnostics["bias_suspected"] is True
        assert estimate.diagnostics["reasons"]
        assert all(reason.endswith(".") for reason in estimate.diagnostics["reasons"])


TRUTHS = {
    "narrow model in ten columns": 5.0 * (2.0 - 1.0 - np.log(2.0)),
    "narrow model in five columns": 2.5 * (1.0 / 0.16 - 1.0 + np.log(0.16)),
    "far apart": 50.0,
    "tails of p beyond q": 11.0 - np.log(12.0),
    "twenty columns": 0.0,
}


@pytest.mark.parametrize("name", HARD)
def test_hard_cases_are_right_or_flagged_by_default(name):
    for estimate in repeated(kl_divergence, HARD[name], 4):
        assert abs(estimate - TRUTHS[name]) < 3.0 * estimate.standard_error or estimate.diagnostics["bias_suspected"]


def test_the_sweep_is_among_the_diagnostics():
    x, y = np.random.default_rng(3).normal(size=(2, 200))
    sweep = by_neighbors(x, y).diagnostics["k_sweep"]
    assert list(sweep) == [1, 5, 10]
    for k, value in sweep.items():
        assert value == pytest.approx(kl_divergence(x, y, method="knn", n_neighbors=k), abs=1e-12)


@pytest.mark.parametrize(
    ("p", "q", "jeffreys_truth", "jensen_shannon_truth"),
    [
        (stats.norm(0, 1), stats.norm(0, 1), 0.0, 0.0),
        (stats.norm(0, 1), stats.norm(1, 1), 1.0, 0.110703),
        (stats.norm(0, 1), stats.norm(1, 2), None, 0.12819),
    ],
)
@pytest.mark.parametrize("sizes", [(800, 800), (1500, 400), (400, 1500)])
def test_symmetric_relatives(p, q, jeffreys_truth, jensen_shannon_truth, sizes):
    def draw(rng):
        return p.rvs(sizes[0], random_state=rng), q.rvs(sizes[1], random_state=rng)

    found = repeated(jensen_shannon, draw, 12)
    assert np.mean(found) == pytest.approx(jensen_shannon_truth, abs=0.012)
    assert np.mean([jensen_shannon(*draw(np.random.default_rng(9))[::-1])]) == pytest.approx(
        jensen_shannon(*draw(np.random.default_rng(9))), abs=1e-12
    )
    assert jensen_shannon(p, q, random_state=0) == pytest.approx(jensen_shannon_truth, abs=0.003)
    if jeffreys_truth is not None:
        both = repeated(jeffreys, draw, 12)
        assert np.mean(both) == pytest.approx(jeffreys_truth, abs=0.06)
        parts = both[0].diagnostics
        assert parts["forward"] + parts["backward"] == both[0]


def test_relatives_of_samples_without_spread_or_overlap():
    assert abs(jensen_shannon(np.ones(30), np.ones(20))) < 1e-12
    assert abs(jeffreys(np.ones(30), np.ones(20))) < 1e-12
    rng = np.random.default_rng(4)
    apart = jensen_shannon(rng.normal(0, 1, 500), rng.normal(100, 1, 500))
    assert apart == pytest.approx(np.log(2.0), abs=0.02)


@pytest.mark.parametrize("tied", [False, True])
def test_permutation_p_values_are_uniform_under_equal_laws(tied):
    values = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=90), rng.normal(size=60)
        if tied:
            x, y = x.round(), y.round()
        values.append(permutation_test(x, y, n_permutations=99, random_state=seed).p_value)
    assert stats.kstest(values, "uniform").pvalue > 0.001


def test_permutation_test_sees_differences_and_is_reproducible():
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(150, 3)), rng.normal(0.8, 1.0, (100, 3))
    result = permutation_test(x, y, random_state=1)
    assert result.p_value == 1.0 / 2000.0
    assert result == permutation_test(x, y, random_state=1)
    assert permutation_test(x, y, n_neighbors=7, n_permutations=19).n_neighbors == 7
    with pytest.raises(ValueError, match="n_permutations"):
        permutation_test(x, y, n_permutations=0)
    with pytest.raises(ValueError, match="n_neighbors=250"):
        permutation_test(x, y, n_neighbors=250)


def test_subsampling_interval_covers():
    draw, truth = PAIRS["normal"]
    intervals = repeated(
        lambda x, y: subsampling_interval(x, y, n_subsamples=60, random_state=0), lambda rng: draw(rng, 300), 30
    )
    assert np.mean([low <= truth <= high for low, high in intervals]) >= 0.8
    in_five = repeated(
        lambda x, y: subsampling_interval(x, y, n_subsamples=60, random_state=0),
        lambda rng: (rng.normal(size=(200, 5)), rng.normal(0.5, 1.0, (200, 5))),
        20,
    )
    assert np.mean([low <= 0.625 <= high for low, high in in_five]) >= 0.6
    rounded = np.random.default_rng(0).integers(0, 5, (200, 2))  # repeated rows, which have no adaptive radius
    assert subsampling_interval(rounded, rounded, n_subsamples=9)[0] < 0.0
    with pytest.raises(ValueError, match="between 0 and 1"):
        subsampling_interval(*draw(np.random.default_rng(0), 50), level=1.0)
    with pytest.raises(ValueError, match="too small"):
        subsampling_interval(*draw(np.random.default_rng(0), 50), n_neighbors=20)


def test_a_bias_of_curvature_shows_as_a_gap_to_the_fixed_k_estimate():
    """Balls are round, and one of the two is narrow across them: common balls then miss much of log p/q, fixed k little of it."""
    factor = np.linalg.cholesky([[1.0, 0.99], [0.99, 1.0]])
    for seed in range(8):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=(1000, 2)), rng.normal(size=(1000, 2))
        narrow = by_neighbors(x @ factor.T, y)
        assert narrow.diagnostics["bias_suspected"]
        assert "from the fixed-k estimate" in " ".join(narrow.diagnostics["reasons"])
        assert narrow.diagnostics["fixed_k_gap"] == pytest.approx(narrow - narrow.diagnostics["k_sweep"][5], abs=1e-12)
        assert not by_neighbors(x @ factor.T, y @ factor.T).diagnostics["bias_suspected"]
        assert not by_neighbors(x, y + 0.5).diagnostics["bias_suspected"]


def test_reasons_are_doubts_unless_it_is_said_otherwise():
    assert not Estimate(0.5).bias_suspected
    assert Estimate(0.5, diagnostics={"reasons": ["few rows"]}).bias_suspected
    assert not Estimate(0.5, diagnostics={"reasons": ["certain"], "bias_suspected": False}).bias_suspected


@pytest.mark.parametrize("name", sorted(_HERE))
def test_attributes_of_results_elsewhere_are_answered(name):
    estimate = Estimate(0.5, standard_error=0.1)
    assert not hasattr(estimate, name)
    with pytest.raises(AttributeError, match=f"no attribute '{name}'. Here it is ") as caught:
        getattr(estimate, name)
    here = str(caught.value).partition("Here it is ")[2].rstrip(".")
    assert eval(here if "fastkl" in here else f"estimate.{here}", known(estimate)) is not None
    with pytest.raises(AttributeError, match="^'Estimate' object has no attribute 'nonsense'$"):
        _ = estimate.nonsense


def known(estimate):
    x, y = np.random.default_rng(0).normal(size=(2, 30))
    return {"estimate": estimate, "level": 0.9, "fastkl": fastkl, "x": x, "y": y}
