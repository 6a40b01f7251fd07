"""The default estimate of two samples: free of units, near the truth where neighbours alone are not, else doubtful."""

import numpy as np
import pytest
from scipy import stats

from fastkl import jeffreys, kl_divergence
from fastkl.divergence.arguments import Sample
from fastkl.divergence.assisted.default_estimate import has_atoms
from fastkl.divergence.assisted.ratio_regression import cross_fitted
from fastkl.divergence.assisted.working_laws import Distance, moments, normal_pair
from fastkl.divergence.nearest.coordinates import in_coordinates, normal_scores, scaled
from fastkl.divergence.nearest.neighbors import SamplePair


def normals(seed, n, d, shift=0.0, covariance=None):
    rng = np.random.default_rng(seed)
    factor = np.eye(d) if covariance is None else np.linalg.cholesky(covariance)
    return rng.normal(size=(n, d)), shift + rng.normal(size=(n, d)) @ factor.T


def normal_kl(shift, covariance):
    inverse = np.linalg.inv(covariance)
    d = len(covariance)
    return 0.5 * (np.trace(inverse) + shift @ inverse @ shift - d + np.linalg.slogdet(covariance)[1])


@pytest.mark.parametrize("n", [15, 300])
@pytest.mark.parametrize("columns", [1, 3])
def test_units_do_not_matter(n, columns):
    rng = np.random.default_rng(n)
    x, y = rng.lognormal(size=(n, columns)), rng.lognormal(0.5, size=(n, columns))
    first = kl_divergence(x, y)
    units, offset = 10.0 ** np.arange(-3, 6)[rng.permutation(9)[:columns]], rng.normal(size=columns) * 100.0
    moved = kl_divergence(offset + x * units, offset + y * units)
    assert moved == pytest.approx(first, abs=1e-6)
    assert moved.standard_error == pytest.approx(first.standard_error, rel=1e-5)
    assert moved.diagnostics["bias_suspected"] == first.diagnostics["bias_suspected"]


@pytest.mark.parametrize("scale", [1.0, 10.0, 1000.0, 1e5])
def test_a_wide_column_does_not_hide_a_shift(scale):
    x, y = normals(0, 2000, 2)
    found = kl_divergence(x * [scale, 1.0], (y + np.array([0.0, 1.0])) * [scale, 1.0])
    assert abs(found - 0.5) < 3.0 * found.standard_error
    assert found.standard_error < 0.06


PAIRS = [
    (5, np.zeros(5), 0.5 * np.eye(5)),  # q narrower: neighbours alone say 0 for .77
    (10, np.zeros(10), 0.5 * np.eye(10)),
    (2, np.zeros(2), np.array([[1.0, 0.9], [0.9, 1.0]])),
    (2, np.zeros(2), np.array([[1.0, 1.0], [1.0, 2.0]])),
    (5, np.full(5, 2.0 / np.sqrt(5)), np.eye(5)),
    (20, np.zeros(20), np.eye(20)),
]


@pytest.mark.parametrize(("d", "shift", "covariance"), PAIRS)
def test_normal_distributions(d, shift, covariance):
    x, y = normals(1, 1000, d, shift, covariance)
    found = kl_divergence(x, y)
    assert found.method == "assisted"
    assert abs(found - normal_kl(shift, covariance)) < 3.0 * found.standard_error
    assert found.standard_error < 0.06 + 0.15 * normal_kl(shift, covariance)


def test_skewed_and_tied_samples():
    rng = np.random.default_rng(2)
    x, y = rng.exponential(1.0, (1000, 3)), rng.exponential(0.5, (1000, 3))
    found = kl_divergence(x, y)
    assert abs(found - 3.0 * (1.0 - np.log(2.0))) < 3.0 * found.standard_error
    p, q = rng.poisson(4, (1000, 3)), rng.poisson(5, (1000, 3))
    found = kl_divergence(p, q)
    assert found.diagnostics["route"] == "regression"
    assert abs(found - 3.0 * (4.0 * np.log(0.8) + 1.0)) < 3.0 * found.standard_error


def test_what_no_route_describes_is_doubtful():
    rng = np.random.default_rng(3)
    heavy = stats.multivariate_t(np.zeros(6), np.eye(6), df=2).rvs(2000, random_state=0)
    normal = rng.normal(size=(2000, 6)) * 3.0
    found = kl_divergence(heavy, normal)
    assert found.diagnostics["bias_suspected"]
    assert any("farther from q than any row of q is" in reason for reason in found.diagnostics["reasons"])


def test_what_neighbours_alone_see_is_doubtful_in_many_columns():
    """An even number of negative values among four normal ones: any three of them are as they were; the truth is log 2."""
    rng = np.random.default_rng(0)
    even, normal = rng.normal(size=(5000, 4)), rng.normal(size=(5000, 4))
    even[:, 0] *= np.sign(even.prod(axis=1))
    found = kl_divergence(even, normal)
    (reason,) = found.diagnostics["reasons"]
    assert reason.startswith("The nearest-neighbour estimate is ")
    assert "best read as a lower bound" in reason


@pytest.mark.parametrize("seed", [0, 2, 4])
def test_tails_that_come_together_are_seen(seed):
    """Tails that come together in all columns beside tails in threes: normal distributions and squares are the same."""
    rng = np.random.default_rng(seed)
    joint = stats.multivariate_t(np.zeros(6), np.eye(6), df=2).rvs(5000, random_state=rng)
    threes = [stats.multivariate_t(np.zeros(3), np.eye(3), df=2).rvs(5000, random_state=rng) for _ in range(2)]
    found = kl_divergence(joint, np.concatenate(threes, axis=1))
    assert float(found) == pytest.approx(0.2909, abs=0.1)
    near = abs(found - 0.2909) < 2.0 * found.standard_error
    assert near or any("best read as a lower bound" in reason for reason in found.diagnostics["reasons"])


def test_equal_distributions_are_no_reason_for_doubt():
    doubts = 0
    for seed in range(8):
        x, y = normals(seed, 400, 3)
        found = kl_divergence(x, y)
        assert abs(found) < 3.5 * found.standard_error
        doubts += found.diagnostics["bias_suspected"]
    assert doubts <= 1


@pytest.mark.slow
@pytest.mark.parametrize("d", [1, 3, 10, 20])
def test_coverage_of_equal_distributions(d):
    covers = sum(
        found.confidence_interval()[0] < 0.0 < found.confidence_interval()[1]
        for found in (kl_divergence(*normals(seed, 1000, d)) for seed in range(60))
    )
    assert covers >= 54


def test_the_same_for_any_seed_state_and_number_of_threads():
    x, y = normals(4, 300, 2, 0.5)
    first = kl_divergence(x, y)
    np.random.seed(7)  # noqa: NPY002
    assert kl_divergence(x, y, n_jobs=2) == first
    other = kl_divergence(x, y, random_state=1)
    assert other != first
    assert abs(other - first) < first.standard_error
    assert kl_divergence(x.astype(np.float32), y.astype(np.float32)) == pytest.approx(first, abs=1e-2)


def test_few_rows_are_compared_in_normal_scores():
    x, y = normals(5, 15, 2, 0.3)
    w = np.random.default_rng(5).random(15)
    found = kl_divergence(x, y, sample_weight_p=w)
    plain = kl_divergence(x, y, sample_weight_p=w, method="common_radius", coordinates="normal_scores")
    assert found.diagnostics["route"] == "neighbors"
    assert float(found) == pytest.approx(float(plain), abs=0.2)  # ranks by masses, and by rows
    assert np.isfinite(kl_divergence(x[:3], y[:4]))


@pytest.mark.parametrize("side", ["p", "q"])
def test_weighted_rows_are_a_sample_of_the_weighted_distribution(side):
    """Rows of a wider distribution, weighted to N(0, 1) in three columns: closer than neighbours alone, within the error."""
    off, plain = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        wide, other = rng.normal(0.0, 1.5, (600, 3)), rng.normal(size=(600, 3))
        other[:, 0] += 1.0
        weights = np.exp(stats.norm.logpdf(wide) - stats.norm.logpdf(wide, 0.0, 1.5)).prod(axis=1)
        samples = (wide, other) if side == "p" else (other, wide)
        call = {f"sample_weight_{side}": weights}
        found = kl_divergence(*samples, **call)
        off.append((found - 0.5) / found.standard_error)
        alone = kl_divergence(*samples, method="common_radius", coordinates="normal_scores", **call)
        plain.append([found - 0.5, alone - 0.5])
    assert np.mean(np.abs(off) > 2.0) < 0.2
    ours, theirs = np.sqrt(np.mean(np.square(plain), axis=0))
    assert ours < theirs


def test_masses_of_ranks_that_repeat_are_those_of_repeated_rows():
    rng = np.random.default_rng(3)
    x, y, times = rng.normal(size=(30, 2)), rng.normal(size=(40, 2)), rng.integers(1, 4, 30)
    by_mass = normal_scores(x, y, np.concatenate([times, np.ones(40)]))
    repeated = normal_scores(np.repeat(x, times, axis=0), y)
    np.testing.assert_allclose(by_mass[0], repeated[0][np.cumsum(times) - 1], atol=1e-12)
    np.testing.assert_allclose(by_mass[1], repeated[1], atol=1e-12)
    for mine, plain in zip(normal_scores(x, y, np.ones(70)), normal_scores(x, y), strict=True):
        np.testing.assert_allclose(mine, plain, atol=1e-12)


def test_coordinates():
    x, y = normals(6, 200, 2, 0.3)
    given = kl_divergence(x, y, method="common_radius")
    assert kl_divergence(x, y, method="common_radius", coordinates=None) == given
    units = np.array([1.0, 1e4])
    for coordinates in ("normal_scores", "scaled"):
        first = kl_divergence(x, y, method="knn", coordinates=coordinates)
        assert kl_divergence(x * units, y * units, method="knn", coordinates=coordinates) == pytest.approx(
            first, abs=1e-9
        )
    with pytest.raises(ValueError, match="coordinates='polar'"):
        kl_divergence(x, y, method="knn", coordinates="polar")
    with pytest.raises(ValueError, match="'assisted'"):
        kl_divergence(x, y, method="assited")
    for call in (kl_divergence, jeffreys):
        with pytest.raises(ValueError, match="has coordinates of its own"):
            call(x, y, coordinates=None)


@pytest.mark.parametrize("seed", [None, 3])
def test_jeffreys_does_not_depend_on_the_order(seed):
    rng = np.random.default_rng(0)
    x, y = rng.standard_t(3, (200, 2)), rng.normal(1.0, 2.0, (150, 2))
    found = jeffreys(x, y, random_state=seed)
    assert float(found) == float(jeffreys(y, x, random_state=seed))
    assert found.diagnostics["forward"] == float(kl_divergence(x, y, random_state=seed))
    assert found.diagnostics["backward"] == float(kl_divergence(y, x, random_state=seed))


def test_jeffreys_is_the_sum_of_both_directions():
    shift = np.array([0.8, 0.0, 0.0])
    x, y = normals(8, 1000, 3, shift, np.diag([1.0, 1.0, 4.0]))
    # In the coordinates of q, p has a third of the columns a quarter as wide.
    truth = normal_kl(shift, np.diag([1.0, 1.0, 4.0])) + normal_kl(shift, np.diag([1.0, 1.0, 0.25]))
    found = jeffreys(x, y)
    assert found.method == "assisted"
    assert abs(found - truth) < 2.0 * found.standard_error
    assert not found.diagnostics["bias_suspected"]
    assert found == pytest.approx(found.diagnostics["forward"] + found.diagnostics["backward"])
    assert found.diagnostics["forward"] == kl_divergence(x, y)
    assert found == pytest.approx(jeffreys(y, x), abs=found.standard_error)
    null = jeffreys(*normals(9, 1000, 10))
    assert abs(null) < 2.0 * null.standard_error < 0.2


def test_normal_scores_are_those_of_mean_ranks():
    x, y = np.array([[1.0], [2.0], [2.0]]), np.array([[2.0], [7.0]])
    both = np.concatenate(normal_scores(x, y))[:, 0]
    ranks = stats.rankdata([1.0, 2.0, 2.0, 2.0, 7.0])
    np.testing.assert_allclose(both, stats.norm.ppf((ranks - 0.5) / 5), rtol=1e-12)
    first, second = scaled(x, y)
    assert np.isfinite(first).all()
    assert np.isfinite(second).all()


def test_working_distributions():
    x, y = normals(7, 60, 8)
    first, second = moments(x), moments(y)
    direct = 0.5 * (
        np.trace(np.linalg.solve(second[1], first[1]))
        + (first[0] - second[0]) @ np.linalg.solve(second[1], first[0] - second[0])
        - 8
        + np.linalg.slogdet(second[1])[1]
        - np.linalg.slogdet(first[1])[1]
    )
    assert Distance(first, second).divergence() == pytest.approx(direct, rel=1e-6)
    goal = max(Distance(first, second).unbiased(60, 60), 0.0)
    assert normal_pair(x, y).divergence == pytest.approx(goal, abs=2e-3)
    unbiased = [
        Distance(*(moments(part) for part in normals(seed, 60, 4, 0.5))).unbiased(60, 60) for seed in range(300)
    ]
    assert np.mean(unbiased) == pytest.approx(0.5, abs=4 * np.std(unbiased) / np.sqrt(300))


def test_the_regression_against_scikit_learn():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(8)
    terms, of_p = rng.normal(size=(200, 4)), np.repeat([1.0, 0.0], [120, 80])
    terms[:120] += 0.7
    fold = rng.integers(0, 2, 200)
    found, _ = cross_fitted(terms, of_p, fold, 2)
    for f in range(2):
        held = fold == f
        peer = LogisticRegression(C=1.0, tol=1e-10, max_iter=1000).fit(terms[~held], of_p[~held])
        share = of_p[~held].mean()
        expected = peer.decision_function(terms[held]) - np.log(share / (1.0 - share))
        np.testing.assert_allclose(found[held], expected, atol=0.02)


def test_atoms():
    rng = np.random.default_rng(9)
    assert has_atoms(np.where(rng.random((200, 1)) < 0.2, 0.0, rng.normal(size=(200, 1))), rng)
    assert has_atoms(rng.integers(0, 50, (200, 1)).astype(float), rng)
    assert not has_atoms(rng.normal(size=(200, 2)), rng)
    near = SamplePair(*(Sample(part, None, 1) for part in normals(9, 500, 2)))
    assert in_coordinates(near, None) is near


@pytest.mark.parametrize("d", [1, 3])
def test_samples_far_apart_leave_the_size_open(d):
    """Normal distributions 6 apart have 18 nats between them, which 300 rows cannot tell; 2 apart they have 2."""
    rng = np.random.default_rng(3)
    p, q = rng.normal(size=(2, 300, d))
    q[:, 0] += 2.0
    assert not kl_divergence(p, q, random_state=0).diagnostics["reasons"]
    q[:, 0] += 4.0
    found = kl_divergence(p, q, random_state=0)
    assert found.diagnostics["bias_suspected"]
    assert any("hardly overlap" in reason for reason in found.diagnostics["reasons"])


@pytest.mark.parametrize(("n", "m"), [(12, 12), (19, 19), (12, 300)])
def test_few_rows_of_columns_that_go_closely_together(n, m):
    """Neighbours alone gave a tenth of it, mostly without a word, up to 19 rows."""
    factors = [np.linalg.cholesky([[1.0, rho], [rho, 1.0]]) for rho in (0.99, 0.9)]
    S, T = (factor @ factor.T for factor in factors)
    inverse = np.linalg.inv(T)
    truth = 0.5 * (np.trace(inverse @ S) - 2.0 + np.linalg.slogdet(T)[1] - np.linalg.slogdet(S)[1])
    covered, values = [], []
    for seed in range(20):
        rng = np.random.default_rng([seed, n, m])
        found = kl_divergence(rng.normal(size=(n, 2)) @ factors[0].T, rng.normal(size=(m, 2)) @ factors[1].T)
        covered.append(abs(found - truth) <= 1.96 * found.standard_error or found.diagnostics["bias_suspected"])
        values.append(float(found))
    assert np.mean(covered) >= 0.85
    assert np.median(values) > 0.5 * truth


@pytest.mark.parametrize(("n", "m", "d"), [(8, 8, 1), (11, 500, 3), (500, 11, 3), (15, 15, 8)])
def test_estimates_by_neighbours_alone_are_doubted(n, m, d):
    rng = np.random.default_rng(n)
    found = kl_divergence(rng.normal(size=(n, d)), rng.normal(size=(m, d)))
    assert "effective rows are few" in " ".join(found.diagnostics["reasons"])


@pytest.mark.filterwarnings("ignore")
def test_few_symbols_are_not_doubted_for_being_few():
    found = kl_divergence([0.0, 1.0] * 5, [0.0, 1.0, 1.0, 0.0] * 40)
    assert "effective rows are few" not in " ".join(found.diagnostics["reasons"])


WIDER = {  # a positive distribution with another scale, and its divergence from the one with scale 1
    "exponential": (stats.expon, 4.0, np.log(1.0 / 4.0) + 4.0 - 1.0),
    "rayleigh": (stats.rayleigh, 2.0, 2.0 * np.log(1.0 / 2.0) + 4.0 - 1.0),
    "half-normal": (stats.halfnorm, 2.0, np.log(1.0 / 2.0) + 1.5),
}


@pytest.mark.parametrize("name", WIDER)
def test_scores_do_not_hide_how_far_p_goes_on_beyond_q(name):
    # Ranks are near to those of two normal distributions, whose divergence is too small by a quarter.
    law, scale, truth = WIDER[name]
    found = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        found.append(
            kl_divergence(
                law.rvs(scale=scale, size=(1000, 1), random_state=rng), law.rvs(size=(1000, 1), random_state=rng)
            )
        )
    assert abs(np.mean(found) - truth) < 0.18 * truth
    missed = [
        abs(value - truth) > 2.0 * value.standard_error and not value.diagnostics["bias_suspected"] for value in found
    ]
    assert np.mean(missed) <= 0.3


def test_a_large_part_of_p_beyond_all_of_q_is_told_where_no_distribution_is_trusted():
    rng = np.random.default_rng(0)
    x, y = rng.logistic(6.0, 1.0, (300, 2)), rng.logistic(0.0, 1.0, (300, 2))
    x[:, 0] -= 6.0
    reasons = kl_divergence(x, y).diagnostics["reasons"]
    assert any("of p lies beyond all values of q in column 1" in reason for reason in reasons)
    # normal distributions go on as they are: 27 % of p is beyond q, and the data say so
    far = kl_divergence(rng.normal(size=(1000, 1)), rng.normal(2.5, 1.0, (1000, 1)))
    assert not far.diagnostics["bias_suspected"]
    assert abs(far - 3.125) < 2.0 * far.standard_error


@pytest.mark.parametrize(("n", "m"), [(1000, 100), (100, 1000)])
def test_equal_distributions_with_atoms_and_samples_of_unequal_size(n, m):
    """The log-odds of many terms lean to the larger sample: on average .32 and -.28 came for 0, and 3 errors were exceeded."""

    def rows(rng, size):
        zeros = np.where(rng.random((size, 2)) < 0.3, 0.0, rng.gamma(2.0, 1.0, (size, 2)))
        return np.c_[zeros, rng.poisson(3.0, (size, 2)), rng.normal(size=(size, 2))]

    found = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        found.append(kl_divergence(rows(rng, n), rows(rng, m)))
    assert abs(np.mean(found)) < 0.12
    assert all(abs(one) < 3.0 * one.standard_error for one in found)
