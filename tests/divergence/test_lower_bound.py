"""The lower bound of a divergence: right beyond its level, whatever the distributions, and not empty where much is to be seen."""

import pickle
import warnings
from math import log

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fastkl import LowerBound, kl_lower_bound
from fastkl.divergence.assisted.learned_ratio import LearnedRatio, MixedRows
from fastkl.divergence.significance.mean_bounds import Evidence, cost_of_square, evidence_of_difference, lower_end

# Name: draws of P, draws of Q, rows of either, the truth, what the bound is at least on average.
PAIRS = {
    "shift": (lambda r, n: r.normal(0.0, 1.0, n), lambda r, n: r.normal(1.0, 1.0, n), 600, 0.5, 0.2),
    "tails": (lambda r, n: r.standard_t(1.5, n), lambda r, n: r.standard_t(1.5, n) + 2.0, 400, 0.823152, 0.2),
    "few rows": (lambda r, n: r.normal(0.0, 1.0, n), lambda r, n: r.normal(3.0, 1.0, n), 40, 4.5, 0.1),
    "atoms": (lambda r, n: r.binomial(1, 0.9, n), lambda r, n: r.binomial(1, 0.3, n), 300, 0.794123, 0.4),
    "apart": (lambda r, n: np.zeros(n), lambda r, n: np.ones(n), 500, np.inf, 2.5),
    "many columns": (lambda r, n: r.normal(size=(n, 15)), lambda r, n: r.normal(0.4, 1.0, (n, 15)), 400, 1.2, 0.4),
}


@pytest.mark.parametrize("kind", PAIRS)
def test_the_bound_is_below_the_truth_and_says_something(kind):
    p, q, n, truth, least = PAIRS[kind]
    bounds = []
    for seed in range(3):
        r = np.random.default_rng(seed)
        bounds.append(kl_lower_bound(p(r, n), q(r, n)))
    assert max(bounds) <= truth
    assert np.mean(bounds) > least


@pytest.mark.parametrize(
    "draw", [lambda r: r.normal(size=(60, 2)), lambda r: r.pareto(0.5, 60), lambda r: r.binomial(2, 0.5, 60)]
)
def test_equal_distributions_have_the_bound_0(draw):
    r = np.random.default_rng(0)
    bounds = [kl_lower_bound(draw(r), draw(r), level=0.8) for _ in range(8)]
    assert sum(bound > 0.0 for bound in bounds) <= 3
    assert all(bound >= 0.0 for bound in bounds)
    assert "Nothing above 0" in kl_lower_bound([1.0, 2.0], [3.0, 4.0]).diagnostics["reasons"][0]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["normal", "pareto", "ties", "skewed terms"])
def test_level(kind):
    """At a level of .7, where chance would show, at most 30 % of the bounds are above 0 for equal distributions."""
    draw = {
        "normal": lambda r: r.normal(size=(50, 1)),
        "pareto": lambda r: r.pareto(0.5, (50, 1)),
        "ties": lambda r: r.binomial(3, 0.4, (50, 1)).astype(float),
        "skewed terms": lambda r: r.lognormal(0.0, 3.0, (50, 2)),
    }[kind]
    r = np.random.default_rng(1)
    wrong = sum(kl_lower_bound(draw(r), draw(r), level=0.7) > 0.0 for _ in range(300))
    assert wrong <= 300 * 0.3


def test_expectation_of_the_product_is_at_most_one():
    """By enumeration: x and y of two points, three rows each, every outcome with its probability."""
    low, high = np.array([0.0, 1.0]), np.array([0.2, 3.0])
    for chance, rate in ((0.3, 0.4), (0.02, 1.5), (0.9, 3.0)):
        total = 0.0
        outcomes = np.array(np.meshgrid(*[[0, 1]] * 6)).reshape(6, -1).T
        for outcome in outcomes:
            weight = np.prod(np.where(outcome == 1, chance, 1.0 - chance))
            x, y = low[outcome[:3]], high[outcome[3:]]
            found = evidence_of_difference(x, 0.0, y, 3.0, (0.5, 1.0), 3.0 * rate)
            means = chance, 0.2 + 2.8 * chance
            total += weight * np.exp(found.gain - found.cost - found.slope * (means[0] - means[1]))
        assert total <= 1.0 + 1e-12


def test_the_cost_of_a_square():
    assert cost_of_square(0.5, 1.2) == pytest.approx((-log(0.4) - 0.6) / 1.44, rel=1e-12)
    assert cost_of_square(1e-7, 3.0) == pytest.approx(0.5e-14, rel=1e-6)


def test_the_end_of_several_products():
    """One product: (gain - cost - log 1/alpha) / slope; of two the mean reaches 1 / alpha at the end."""
    one, other = Evidence(10.0, 9.0, 1.0), Evidence(4.0, 5.0, 0.5)
    assert lower_end([one], 0.05) == pytest.approx((8.0 - log(20.0)) / 10.0, rel=1e-9)
    end = lower_end([one, other], 0.05)
    assert np.mean(np.exp([8.0 - 10.0 * end, 4.5 - 4.0 * end])) == pytest.approx(20.0, rel=1e-6)


def test_rows_that_were_not_learnt_from_change_nothing():
    r = np.random.default_rng(0)
    empty = np.empty((60, 0), dtype=np.intp)
    P, Q = MixedRows(r.normal(size=(60, 2)), empty), MixedRows(r.normal(1.0, 1.0, (60, 2)), empty)
    ratio = LearnedRatio(P, Q, np.random.RandomState(0))
    new = MixedRows(r.normal(size=(5, 2)), empty[:5])
    together = ratio.at(new, 0)
    np.testing.assert_allclose([ratio.at(new[[i]], 0)[0] for i in range(5)], together, rtol=1e-10)


def test_labels_and_tables_of_both_kinds():
    r = np.random.default_rng(0)
    before = pd.DataFrame({"age": r.normal(40.0, 10.0, 500), "plan": r.choice(["free", "paid"], 500, p=[0.9, 0.1])})
    after = pd.DataFrame({"age": r.normal(50.0, 10.0, 400), "plan": r.choice(["free", "paid"], 400, p=[0.3, 0.7])})
    each = [kl_lower_bound(before[[column]], after[[column]]) for column in before]
    both = kl_lower_bound(before, after)
    assert both > max(each) > min(each) > 0.0
    assert both <= 0.5 + 0.794123
    with pytest.warns(UserWarning, match="order"):
        assert kl_lower_bound(before, after[["plan", "age"]]) == both
    text = kl_lower_bound(before["plan"].to_numpy(), after["plan"].to_numpy())
    assert text == pytest.approx(each[1], abs=1e-12)
    missing = before.assign(plan=before["plan"].where(before.index != 3))
    with pytest.raises(ValueError, match="1 of 500 in column 'plan' of p"):
        kl_lower_bound(missing, after)


def test_models_weights_and_seeds():
    r = np.random.default_rng(0)
    x = r.normal(size=500)
    assert 0.1 < kl_lower_bound(x, stats.norm(1.0, 1.0), n_draws=500) <= 0.5
    two = np.concatenate([x, x + 3.0])
    heavy = np.repeat([1.0, 0.01], 500)
    assert (
        kl_lower_bound(two, r.normal(size=800), sample_weight_p=heavy) < 0.1 < kl_lower_bound(two, r.normal(size=800))
    )
    y = r.normal(1.0, 1.0, 500)
    assert kl_lower_bound(x, y) == kl_lower_bound(x, y)
    assert kl_lower_bound(x, y, random_state=np.random.default_rng(3)) != kl_lower_bound(x, y)


def test_units_do_not_matter():
    r = np.random.default_rng(0)
    x, y = r.normal(size=(300, 2)), r.normal(1.0, 1.0, (300, 2))
    assert kl_lower_bound(1024.0 * x, 1024.0 * y) == pytest.approx(kl_lower_bound(x, y), rel=1e-9)


def test_the_result():
    found = LowerBound(0.25, level=0.9, n_samples=(4, 5), diagnostics={"reasons": ["a < b"]})
    assert found == found.value == 0.25
    assert found.bits == pytest.approx(0.25 / log(2.0))
    assert repr(found) == "LowerBound(KL >= 0.25 nats at level 0.9, n_samples=(4, 5))"
    assert "a &lt; b" in found._repr_html_()
    again = pickle.loads(pickle.dumps(found))
    assert (again, again.level, again.n_samples, dict(again.diagnostics)) == (
        0.25,
        0.9,
        (4, 5),
        dict(found.diagnostics),
    )
    with pytest.raises(ValueError, match="level"):
        kl_lower_bound([1.0], [2.0], level=1.0)


def test_constant_columns_bound_nothing_and_warn_of_nothing():
    ones = np.ones((40, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        assert float(kl_lower_bound(ones, ones, random_state=0)) == 0.0


def test_counts_beside_a_constant_sample_warn_of_nothing():
    """In units of the constant sample's spread their distance is beyond the largest number."""
    counts = np.repeat(np.arange(1.0, 8.0), [6, 2, 5, 4, 1, 1, 1])[:, None]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for seed in range(5):
            shuffled = np.random.default_rng(seed).permutation(counts)
            assert 0.0 <= kl_lower_bound(shuffled, np.ones((40, 1)), random_state=seed) < np.inf
