"""Estimates of large samples: fits learn from some rows, and what they give is taken at all."""

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.optimize import minimize
from scipy.special import expit

from fastkl import kl_divergence
from fastkl.divergence.arguments import Sample
from fastkl.divergence.assisted.default_estimate import has_atoms
from fastkl.divergence.assisted.ratio_regression import RatioTerms, fitted, with_constant
from fastkl.divergence.assisted.two_normals import near_two_normals
from fastkl.divergence.assisted.two_samples import TwoSamples
from fastkl.divergence.assisted.working_laws import normal_pair
from fastkl.divergence.nearest.coordinates import Ranks, interpolated_scores, normal_scores
from fastkl.divergence.nearest.neighbors import SamplePair

TRUTH = np.log(1.2) + 1.09 / (2.0 * 1.44) - 0.5  # N(0, 1) from N(.3, 1.2^2)


def normals(seed, n, m, d):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(0.3, 1.2, size=(m, d))


def two_samples(x, y, seed=0, *, usual=True):
    pair = SamplePair(Sample(x, None, 1), Sample(y, None, 1))
    return TwoSamples(pair, 5, True, np.random.default_rng(seed), usual=usual)


@pytest.mark.parametrize(("n", "m"), [(12_000, 12_000), (40_000, 300), (300, 40_000), (70_000, 60_000)])
@pytest.mark.parametrize("change", [lambda x: x, np.exp])
def test_the_truth_of_large_samples(n, m, change):
    x, y = normals(1, n, m, 2)
    found = kl_divergence(change(x), change(y))
    assert found.method == "assisted"
    assert abs(found - 2.0 * TRUTH) < 3.0 * found.standard_error
    assert found.standard_error < 2.5 / np.sqrt(min(n, m))
    assert not found.diagnostics["bias_suspected"]


def test_large_samples_are_free_of_units_and_of_the_number_of_threads():
    x, y = normals(2, 15_000, 10_000, 2)
    found = kl_divergence(x, y, n_jobs=1)
    assert kl_divergence(x, y, n_jobs=2) == found
    changed = kl_divergence(x * [1e-6, 1e6] + [5.0, -3.0], y * [1e-6, 1e6] + [5.0, -3.0], n_jobs=1)
    assert changed == pytest.approx(float(found), abs=1e-6)
    assert kl_divergence(x.astype("f4"), y.astype("f4")) == pytest.approx(float(found), abs=0.1 * found.standard_error)
    assert kl_divergence(x, y, standard_error=False) == found


def test_weights_of_large_samples():
    """Draws of N(.3, 1.2^2) with the weights of N(0, 1), an importance sample."""
    rng = np.random.default_rng(3)
    drawn, y = rng.normal(0.3, 1.2, size=(30_000, 1)), rng.normal(0.3, 1.2, size=(20_000, 1))
    weights = (stats.norm.pdf(drawn) / stats.norm.pdf(drawn, 0.3, 1.2)).ravel()
    found = kl_divergence(drawn, y, sample_weight_p=weights)
    assert abs(found - TRUTH) < 3.0 * found.standard_error
    assert found.standard_error < 0.02
    weighted_q = kl_divergence(y, drawn, sample_weight_q=weights)
    assert abs(weighted_q - (-np.log(1.2) + (1.44 + 0.09) / 2.0 - 0.5)) < 3.0 * weighted_q.standard_error


def test_what_a_mixture_knows_in_large_samples():
    """Two clusters from a normal distribution of their spread: no normal distribution tells them apart."""
    rng = np.random.default_rng(4)
    n = 25_000
    x, y = rng.normal(size=(n, 2)), rng.normal(size=(n, 2)) * [np.sqrt(10.0), 1.0]
    x[:, 0] += np.where(rng.random(n) < 0.5, -3.0, 3.0)
    density = lambda v: 0.5 * (stats.norm.pdf(v, -3.0) + stats.norm.pdf(v, 3.0))  # noqa: E731
    truth = integrate.quad(
        lambda v: density(v) * np.log(density(v) / stats.norm.pdf(v, 0, np.sqrt(10.0))), -12, 12, points=[-3, 0, 3]
    )[0]
    found = kl_divergence(x, y)
    assert abs(found - truth) < 3.0 * found.standard_error
    assert found == pytest.approx(truth, abs=0.02)


@pytest.mark.parametrize("n", [15_000, 60_000])
def test_a_regression_is_the_estimate_of_large_samples_with_atoms(n):
    """Half of the rows at 0: the divergence of the shares, and half of that of normal distributions."""
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(n, 1)), rng.normal(0.5, 1.0, size=(n, 1))
    x[rng.random(n) < 0.5] = 0.0
    y[rng.random(n) < 0.3] = 0.0
    truth = 0.5 * np.log(0.5 / 0.3) + 0.5 * np.log(0.5 / 0.7) + 0.5 * 0.125
    found = kl_divergence(x, y)
    assert found.diagnostics["route"] == "regression"
    assert abs(found - truth) < 3.0 * found.standard_error
    assert found.standard_error < 1.5 / np.sqrt(n)


def test_a_regression_of_many_rows_from_that_of_some():
    rng = np.random.default_rng(6)
    rows, of_p = rng.normal(size=(20_000, 2)), np.repeat([1.0, 0.0], 10_000)
    rows[:10_000] += [0.4, -0.2]
    terms = RatioTerms(rows, rows)
    design, ones = with_constant(terms.learnt), np.ones(20_000)
    some = rng.permutation(20_000)[:4000]
    near = fitted(design[some], of_p[some], ones[some], 1.0, None)
    found, whole = fitted(design, of_p, ones, 1.0, near), fitted(design, of_p, ones, 1.0, None)
    ridge = np.r_[1e-8, np.ones(len(whole.beta) - 1)]

    def objective(beta):
        score = design @ beta
        return np.logaddexp(0.0, score).sum() - score[of_p == 1.0].sum() + 0.5 * (ridge * beta) @ beta

    known = minimize(
        objective, near.beta, jac=lambda b: design.T @ (expit(design @ b) - of_p) + ridge * b, options={"gtol": 1e-4}
    )
    assert objective(near.beta) - known.fun > 1.0
    for each in (found, whole):
        assert objective(each.beta) - known.fun < 1e-3
    np.testing.assert_allclose(found.log_ratio(design), whole.log_ratio(design), atol=0.05)


def test_terms_of_other_rows_are_those_of_the_rows_they_were_learnt_from():
    rng = np.random.default_rng(7)
    rows = rng.exponential(size=(300, 2))
    terms = RatioTerms(rows, stats.norm.ppf(stats.rankdata(rows, axis=0) / 301.0))
    np.testing.assert_allclose(terms.of(rows), terms.learnt, atol=1e-10)
    assert np.isfinite(terms.of(np.array([[-5.0, 100.0]]))).all()  # beyond the ends


@pytest.mark.parametrize(
    ("values", "atoms"),
    [
        (lambda rng, n: rng.normal(size=n), False),
        (lambda rng, n: rng.integers(0, n // 2, n).astype(float), True),  # two thirds of n / 2 values, twice each
        (lambda rng, n: rng.integers(0, 40 * n, n).astype(float), False),
        (lambda rng, n: np.where(rng.random(n) < 0.06, 1.0, rng.normal(size=n)), True),
        (lambda rng, n: np.where(rng.random(n) < 0.01, 1.0, rng.normal(size=n)), False),
        (lambda rng, n: np.repeat(rng.normal(size=n // 3 + 1), 3)[:n], True),
    ],
)
@pytest.mark.parametrize("n", [5000, 200_000])
def test_atoms_of_many_rows_are_found_by_some(values, atoms, n):
    column = values(np.random.default_rng(8), n)
    X = np.column_stack([np.random.default_rng(9).normal(size=n), column])
    for seed in range(5):
        assert has_atoms(X, np.random.default_rng(seed)) == atoms


def test_rows_that_are_learnt_from():
    x, y = normals(10, 30_000, 6000, 2)
    samples = two_samples(x, y)
    assert not samples.all_learnt
    assert (samples.n, samples.m) == (10_000, 6000)
    np.testing.assert_array_equal(samples.learnt.p.X, x[samples.rows_of_p])
    assert len(np.unique(samples.rows_of_p)) == 10_000
    small = two_samples(x[:3000], y[:3000])
    assert small.all_learnt
    assert small.learnt is small.pair
    assert small.space == "normal_scores"
    assert two_samples(x, y, usual=False).space == "normal_scores"


@pytest.mark.parametrize(("n", "m"), [(100, 1000), (1000, 1000), (15_000, 15_000)])
@pytest.mark.parametrize("scale", [1.0, -3.0])
def test_scores_make_both_samples_normal_where_any_bijection_does(n, m, scale):
    """Of two lognormal samples the logarithms are normal; in pooled normal scores these would be too near to each other."""
    found, best = [], []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(0.0, 2.0, (n, 1)), rng.normal(size=(m, 1))
        best.append(normal_pair(x, y).divergence)
        samples = two_samples(scale * np.exp(x), scale * np.exp(y))
        found.append(samples.normals.divergence)
        order = np.argsort(samples.everywhere("normal_scores")[0][:, 0])
        assert np.all(np.diff(x[order, 0]) * scale > 0.0)
    assert abs(np.mean(found) - np.mean(best)) < 0.15  # .35 in pooled normal scores
    assert np.std(found) < 1.3 * np.std(best)


def test_scores_of_samples_of_one_distribution_and_of_a_point():
    rng = np.random.default_rng(13)
    both = normal_scores(rng.normal(size=(500, 2)), rng.normal(size=(400, 2)))
    for plain, found in zip(both, near_two_normals(both, both, (None, None), (5.0 / 9.0, 4.0 / 9.0)), strict=True):
        np.testing.assert_allclose(found, plain, atol=0.15)
    for first in (rng.normal(size=(500, 1)), np.full((500, 1), 1.0)):  # beside a point, and beside another point
        point = normal_scores(first, np.full((400, 1), 0.25))
        for plain, found in zip(
            point, near_two_normals(point, point, (None, None), (5.0 / 9.0, 4.0 / 9.0)), strict=True
        ):
            np.testing.assert_array_equal(found, plain)


def test_what_draws_have_by_chance_is_taken_off():
    """The mean of neighbour estimates of draws, less the divergence of their pair, varies less than without that."""
    plain, less = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=(11_000, 2)), rng.normal(1.0, 1.0, size=(11_000, 2))
        samples, again = two_samples(x, y, seed), two_samples(x, y, seed)
        beyond, _ = samples.beyond(samples.normals, samples.space)
        less.append(samples.by_neighbors(samples.space) - beyond - samples.normals.divergence)
        assert again.normals.divergence == samples.normals.divergence
        drawn = [again.normals.draw(11_000, 11_000, again.rng) for _ in range(2)]
        estimates = [kl_divergence(*rows, method="common_radius", coordinates=None, n_jobs=1) for rows in drawn]
        plain.append(np.mean(estimates) - samples.normals.divergence)
    assert np.mean(less) == pytest.approx(np.mean(plain), abs=0.003)
    assert np.var(less) < 0.8 * np.var(plain)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("n", [300, 21_000])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        (lambda g: 1e200 * g, lambda g: 1e200 * g + 1e200),
        (lambda g: 1e200 * g, lambda g: np.tan(g)),
        (lambda g: 1e-200 * g, np.exp),
        (lambda g: 5e-324 * np.round(100 * g), lambda g: 5e-324 * np.round(200 * g)),
        (lambda g: 5e-324 * np.round(100 * g), lambda g: 1e100 * g),
        (lambda g: g, lambda g: 1e9 + 1e-9 * g),
        (lambda g: np.where(g > 2.5, 1e300, g), lambda g: g),
    ],
)
def test_columns_of_any_size_give_a_number_or_a_doubt(first, second, n):
    rng = np.random.default_rng(11)
    x, y = first(rng.normal(size=(n, 2))), second(rng.normal(size=(n // 12, 2)))
    for p, q in ((x, y), (y, x)):
        found = kl_divergence(p, q)
        assert not np.isnan(found)
        assert found.standard_error >= 0.0
        assert found < 2.0 * np.log(len(q)) or found.diagnostics["bias_suspected"]


def test_normal_distributions_very_far_apart_are_a_matter_of_belief():
    """100 standard deviations apart they have 5000 nats between them, which no row of q shows."""
    rng = np.random.default_rng(12)
    found = kl_divergence(rng.normal(size=(500, 1)), rng.normal(100.0, 1.0, size=(500, 1)))
    assert found.diagnostics["bias_suspected"]
    assert any("depends on" in reason or "data do not" in reason for reason in found.diagnostics["reasons"])


@pytest.mark.parametrize("weighted", [False, True])
def test_scores_between_those_of_some_rows(weighted):
    rng = np.random.default_rng(11)
    x, y = rng.standard_cauchy((40_000, 2)), rng.standard_t(2.0, (60_000, 2))
    x[rng.random(40_000) < 0.2, 1] = 0.25  # an atom has a score of its own
    masses = rng.random(100_000) if weighted else None
    some = np.r_[:20_000], np.r_[:30_000]
    of_some = None if masses is None else np.concatenate([masses[some[0]], masses[40_000:][some[1]]])
    exact = np.concatenate(normal_scores(x, y, masses))
    found = np.concatenate(interpolated_scores(x, y, (x[some[0]], y[some[1]]), of_some, 2))
    for values, mine, known in zip(np.concatenate([x, y]).T, found.T, exact.T, strict=True):
        order = np.argsort(values, kind="stable")
        steps = np.diff(values[order])
        assert np.all(np.diff(mine[order])[steps > 1e-9] > 0.0)
        assert np.all(np.diff(mine[order])[steps == 0.0] == 0.0)
        assert np.quantile(np.abs(mine - known), 0.99) < 0.05
        assert np.abs(mine - known).max() < 1.0
        assert abs(mine.max()) < 6.0


def test_thinned_ranks_are_near_and_keep_the_ends_of_jumps():
    rng = np.random.default_rng(12)
    column = np.where(rng.random(20_000) < 0.3, 0.0, rng.normal(size=20_000))
    whole = Ranks.of(column)
    thin = whole.thinned()
    assert len(thin.values) < 2000
    assert np.all(np.diff(thin.values) > 0.0)
    at = np.concatenate([column, rng.normal(size=1000)])
    np.testing.assert_allclose(thin.scores(at), whole.scores(at), atol=0.0101)
    assert thin.scores(np.zeros(1)) == whole.scores(np.zeros(1))
    assert np.isfinite(whole.reaching(-1e300, 1e300, 10**6).scores(np.array([-1e300, 0.0, 1e300]))).all()


def test_many_rows_are_compared_as_they_are_by_ranks():
    """Where columns are sorted up to 200,000 rows, and interpolated beyond, estimates are the same within their error."""
    rng = np.random.default_rng(13)
    x, y = np.exp(rng.normal(size=(101_000, 2))), np.exp(rng.normal(0.3, 1.2, (101_000, 2)))
    found, fewer = kl_divergence(x, y), kl_divergence(x[:99_000], y[:99_000])
    truth = 2.0 * (np.log(1.2) + 1.09 / 2.88 - 0.5)
    for one in (found, fewer):
        assert abs(one - truth) < 3.0 * one.standard_error < 0.03
    weighted = kl_divergence(x, y, sample_weight_p=rng.uniform(0.5, 1.5, 101_000))
    assert abs(weighted - truth) < 3.5 * weighted.standard_error


@pytest.mark.parametrize(("n", "d"), [(100, 120), (100, 300), (200, 190)])
def test_more_columns_than_rows_have_a_size(n, d):
    """As of embeddings: unit normal distributions 0.1 apart in each column, 0.005 d nats; singular mixtures said 10^5 to 10^8."""
    rng = np.random.default_rng(0)
    estimate = kl_divergence(rng.normal(size=(n, d)), rng.normal(size=(n, d)) + 0.1)
    assert abs(estimate - 0.005 * d) < 4.0 * estimate.standard_error
    assert estimate < 6.0
    assert any("principal components" in reason for reason in estimate.reasons)


def test_ranks_of_single_precision_and_of_integers():
    some = np.random.default_rng(0).integers(0, 50, 300)
    known = Ranks.of(some.astype(np.float64)).scores(np.array([-1.0, 3.5, 60.0]))
    for dtype in (np.float32, np.int64):
        np.testing.assert_array_equal(
            Ranks.of(some.astype(dtype)).scores(np.array([-1.0, 3.5, 60.0], dtype=np.float32)), known
        )
