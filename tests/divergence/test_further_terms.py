"""What a regression of two samples lacks is taken in, and neighbours that see more are heard: kinds with known divergence."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.linalg import cho_factor

from fastkl import kl_divergence
from fastkl.divergence.assisted.default_estimate import _ahead, _between
from fastkl.divergence.assisted.further_terms import Fit, FurtherTerms, _enclosing, _turns
from fastkl.divergence.assisted.ratio_regression import RatioTerms, cross_fitted, fitted, with_constant
from fastkl.divergence.assisted.ratio_routes import Route


def spread_by_first(rng, n, c):
    x = rng.normal(size=(n, 2))
    x[:, 1] *= np.exp(c * x[:, 0])
    return x


def with_product(rng, n, c):
    x = rng.normal(size=(n, 3))
    x[:, 2] += c * x[:, 0] * x[:, 1]
    return x


def disc(rng, n, radius, d=2):
    x = rng.normal(size=(n, d))
    return x / np.linalg.norm(x, axis=1)[:, None] * radius * rng.random((n, 1)) ** (1.0 / d)


def ball(rng, n, radius):
    return disc(rng, n, radius, 3)


def ring(rng, n, share):
    turn = rng.uniform(0.0, 2.0 * np.pi, n)
    radius = np.where(rng.random(n) < share, 2.0, 5.0) + rng.normal(0.0, 0.3, n)
    return np.column_stack([radius * np.cos(turn), radius * np.sin(turn)])


# draw, what it is given for P and Q, rows, KL in closed form: E (s^2 - 1) / 2 with log s of mean 0, E (c x y)^2 / 2,
# log of the ratio of areas or volumes, and the divergence of the shares of rings that hardly overlap
KINDS = {
    "spread that follows a column": (spread_by_first, 0.3, -0.1, 1500, (np.exp(2 * 0.4**2) - 1.0) / 2.0),
    "product of two columns": (with_product, 0.8, 0.0, 1500, 0.32),
    "disc in a disc": (disc, 1.0, 1.2, 500, 2.0 * np.log(1.2)),
    "ball in a ball": (ball, 1.0, 1.15, 1500, 3.0 * np.log(1.15)),
    "rings": (ring, 0.7, 0.3, 800, 0.4 * np.log(7.0 / 3.0)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_divergence_of_what_usual_terms_do_not_tell(kind):
    draw, p, q, n, truth = KINDS[kind]
    found = []
    for seed in range(6):
        rng = np.random.default_rng([seed, 11])
        found.append(kl_divergence(draw(rng, n, p), draw(rng, n, q)))
    assert abs(np.mean([float(one) for one in found]) - truth) < 0.075 * truth + 0.03
    assert sum(abs(float(one) - truth) < 2.5 * one.standard_error for one in found) >= 5


def test_score_test_says_what_a_term_adds_to_the_likelihood():
    """Against the gain of the regression with the term, refitted."""
    rng = np.random.default_rng(0)
    rows = np.concatenate([spread_by_first(rng, 800, 0.08), rng.normal(size=(800, 2))])
    of_p, times = np.repeat([1.0, 0.0], 800), np.ones(1600)
    design = with_constant(np.concatenate([rows, rows**2], axis=1))
    found = fitted(design, of_p, times, 1e-6, None)
    probability = 1.0 / (1.0 + np.exp(-design @ found.beta))
    weight = probability * (1.0 - probability)
    fit = Fit(design, of_p - probability, weight, cho_factor((design.T * weight) @ design))
    further = FurtherTerms(rows, of_p == 1.0)
    gradient, left = further._derivatives(rows, rows, fit, list(range(further.count)), diagonal=True)

    def log_likelihood(x):
        score = x @ fitted(x, of_p, times, 1e-6, None).beta
        return float(of_p @ score - np.logaddexp(0.0, score).sum())

    before = log_likelihood(design)
    for number in (3, 5, 6, 8):  # products of scores
        after = log_likelihood(np.column_stack([design, further.of(rows, rows, [number])]))
        assert gradient[number] ** 2 / left[number] == pytest.approx(2.0 * (after - before), rel=0.15, abs=0.15)


def test_nothing_is_lacking_where_nothing_differs():
    taken = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        rows = rng.normal(size=(400, 3))
        of_p, times = np.repeat([1.0, 0.0], 200), np.ones(400)
        terms = RatioTerms(rows, rows)
        taken += terms.take_lacking(of_p, times, fitted(with_constant(terms.learnt), of_p, times, 1.0, None))
    assert taken <= 2


def test_terms_of_other_rows_are_those_of_the_same_rows():
    rng = np.random.default_rng(1)
    rows = np.concatenate([spread_by_first(rng, 500, 0.5), rng.normal(size=(500, 2))])
    of_p, times = np.repeat([1.0, 0.0], 500), np.ones(1000)
    terms = RatioTerms(rows, rows)
    usual = terms.learnt.shape[1]
    assert terms.take_lacking(of_p, times, fitted(with_constant(terms.learnt), of_p, times, 1.0, None))
    assert terms.learnt.shape[1] > usual
    assert np.allclose(terms.of(rows), terms.learnt, atol=0.05)  # scores of other rows are interpolated
    assert np.isfinite(cross_fitted(terms.learnt, of_p, np.arange(1000) % 4, 4)[0]).all()


def test_regression_is_not_ahead_where_neighbours_see_more():
    plain = SimpleNamespace(lower=0.005, plain=0.5, error_of_plain=0.05)
    sees_less, sees_as_much = (Route(value, np.zeros(0), loss=0.6) for value in (0.2, 0.48))
    assert _ahead(plain, sees_as_much, 0.65) == (1.0, 1.0)
    assert _ahead(plain, sees_less, 0.65) == (1.0, 0.0)
    assert _ahead(plain, sees_as_much, 0.605) == pytest.approx((0.5, 0.5))
    assert _ahead(plain, sees_as_much, 0.59) == (0.0, 0.0)


def test_regression_that_neighbours_doubt_tells_best_and_has_one_vote_of_three():
    ahead = Route(0.2, np.zeros(0), loss=0.6, name="regression")
    learnt = SimpleNamespace(ahead=lambda weight: replace(ahead, ahead=weight))
    other = Route(0.4, np.zeros(0), loss=0.65, name="mixtures")
    values = {"regression": 0.2, "mixtures": 0.4, "corrected_neighbors": 0.5}
    for plain, value, weight in ((0.5, 0.4, 0.0), (0.21, 0.2, 1.0)):
        samples = SimpleNamespace(lower=0.005, plain=plain, error_of_plain=0.05)
        found, chosen, _ = _between(samples, other, ahead, values, learnt)
        assert (found, chosen.name, chosen.ahead) == pytest.approx((value, "regression", weight))


def test_clusters_that_no_route_has_alone_are_estimated_without_a_doubt():
    """Five clusters with peaked columns, moved: a regression tells them best, and neighbours see more."""
    middles, doubts, errors = np.array([[0, 0], [5, 1], [-3, 4], [2, -6], [-5, -4]]), 0, []
    for seed in range(6):
        rng = np.random.default_rng([seed, 14])
        p = middles[rng.choice(5, 2000)] + rng.laplace(0.0, 0.7, (2000, 2))
        q = middles[rng.choice(5, 2000, p=[0.35, 0.05, 0.3, 0.2, 0.1])] + 0.3 + rng.laplace(0.0, 0.7, (2000, 2))
        found = kl_divergence(p, q)
        doubts += found.diagnostics["bias_suspected"]
        errors.append((float(found) - 0.358) / found.standard_error)  # by 10^6 draws
    assert np.max(np.abs(errors)) < 2.0
    assert doubts <= 1


def test_mixtures_that_follow_a_few_far_rows_are_left_out():
    """Of two Cauchy samples; KL is log(1 + m^2 / 4) at a shift of m = 2: log 2."""
    found = []
    for seed in range(8):
        rng = np.random.default_rng([seed, 5])
        found.append(float(kl_divergence(rng.standard_cauchy((500, 1)), 2.0 + rng.standard_cauchy((500, 1)))))
    assert max(found) < 2.0 * np.log(2.0)
    assert np.mean(found) == pytest.approx(np.log(2.0), abs=0.15)


def test_corners_that_take_turns_are_told_by_the_sign_of_a_product():
    """P in every other corner of three normal columns: a product alone leaves .23 of log 2 out, and its sign where
    the columns have their middles .12, without a flag."""
    found = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        p = rng.standard_normal((1000, 3))
        p[:, 2] = np.abs(p[:, 2]) * np.sign(p[:, 0] * p[:, 1])
        found.append(float(kl_divergence(p, rng.standard_normal((1000, 3)))))
    assert abs(np.mean(found) - np.log(2.0)) < 0.06


def test_turns_of_a_sign_are_found_where_they_are():
    rng = np.random.default_rng(0)
    turns, columns = np.array([0.2, -0.3, 0.1]), rng.normal(size=(3, 2000))
    of_p = (columns - turns[:, np.newaxis]).prod(axis=0) > 0.0
    assert _turns(columns, of_p) == pytest.approx(turns, abs=0.01)


def test_least_ellipsoid_around_the_corners_of_a_cube_is_a_ball():
    corners = np.array(np.meshgrid(*[[-1.0, 1.0]] * 3)).reshape(3, -1).T
    inside = np.random.default_rng(0).uniform(-0.9, 0.9, (200, 3)) + np.array([0.05, 0.0, 0.0])
    found = _enclosing(np.concatenate([corners, inside]))
    assert found.mean == pytest.approx(np.zeros(3), abs=0.02)
    assert found.factor == pytest.approx(found.factor[0, 0] * np.eye(3), abs=0.02)
