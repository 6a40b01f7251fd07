"""Atoms that one sample lacks, rounding of one sample alone: against finite sums of the frequencies."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import rel_entr

from fastkl import categorical_entropy, jeffreys, jensen_shannon, kl_divergence, kl_divergence_batches


def repeated(shares, n=1000):
    return np.repeat(np.arange(len(shares), dtype=float), np.round(n * np.array(shares)).astype(int))


def exact_js(p, q):
    p, q = np.array(p), np.array(q)
    return 0.5 * (rel_entr(p, (p + q) / 2) + rel_entr(q, (p + q) / 2)).sum()


@pytest.mark.parametrize(
    ("p", "q"),
    [
        ([0, 1], [1, 0]),
        ([1, 0], [0.5, 0.5]),
        ([0.5, 0.5, 0], [0, 0.5, 0.5]),
        ([0.9, 0.1, 0], [0.9, 0, 0.1]),
        ([0.1, 0, 0.4, 0, 0.5], [0, 0.3, 0, 0.7, 0]),
    ],
)
@pytest.mark.parametrize("m", [1000, 400])
def test_jensen_shannon_where_one_sample_lacks_an_atom(p, q, m):
    assert jensen_shannon(repeated(p), repeated(q, m)) == pytest.approx(exact_js(p, q), abs=0.002)
    assert jensen_shannon(repeated(q), repeated(p, m)) == pytest.approx(exact_js(p, q), abs=0.002)


def test_jensen_shannon_of_zeros_and_a_zero_inflated_sample():
    rng = np.random.default_rng(0)
    q = np.where(rng.random(4000) < 0.3, 0.0, rng.normal(5, 1, 4000))
    expected = exact_js([1.0, 0.0], [0.3, 0.7])
    found = jensen_shannon(np.zeros(1000), q)
    assert abs(found - expected) < 3 * found.standard_error + 0.005


CATEGORIES = [
    (repeated([0, 1]), repeated([1, 0])),
    (repeated([0.5, 0.5]), np.zeros(1000)),
    (2.0 * repeated(np.full(10, 0.1)) + 1.0, 2.0 * repeated(np.full(10, 0.1))),
    (repeated([0, 1], 20), repeated([1, 0], 20)),
]


@pytest.mark.parametrize(("p", "q"), CATEGORIES)
@pytest.mark.parametrize("columns", [1, 2])
def test_an_atom_that_q_lacks_is_infinitely_far(p, q, columns):
    p, q = (np.column_stack([x] * columns) for x in (p, q))
    for found in (kl_divergence(p, q), jeffreys(p, q), kl_divergence_batches(p, q, shard_rows=300)):
        assert found == np.inf
        assert found.diagnostics["bias_suspected"]
    assert "atoms that q lacks" in kl_divergence(p, q).diagnostics["reasons"][0]
    assert kl_divergence(p, q, standard_error=False) == np.inf


def test_one_or_two_rows_of_q_lack_no_atom():
    """Half of p has a value that few rows of q have not: no wonder."""
    p = np.array([0.0] * 14 + [1.0] * 12)
    for q in ([2.0], [2.0, 2.0], [2.0] * 4):
        assert np.isfinite(kl_divergence(p, np.array(q), method="common_radius", n_neighbors=1))
    assert kl_divergence(np.zeros(26), np.full(6, 2.0), method="common_radius", n_neighbors=1) == np.inf


def test_what_a_tail_lacks_by_chance_is_finite():
    rng = np.random.default_rng(1)
    p, q = rng.poisson(4, 2000), rng.poisson(1, 2000)
    assert set(p) - set(q)
    assert np.isfinite(kl_divergence(p, q))
    p, q = rng.normal(0, 1, 2000).round(1), rng.normal(2, 1, 2000).round(1)
    assert np.isfinite(kl_divergence(p, q))
    heaped = np.where(rng.random(4000) < 0.5, rng.integers(4, 14, 4000) * 5, rng.integers(20, 70, 4000))
    assert np.isfinite(kl_divergence(heaped[:2000], heaped[2000:]))


@pytest.mark.parametrize("seed", range(3))
def test_atoms_in_both_samples_are_no_reason_for_doubt(seed):
    rng = np.random.default_rng(seed)
    inflated = [np.where(rng.random(5000) < z, 0.0, rng.gamma(2, 1, 5000)) for z in (0.3, 0.5)]
    for p, q in (
        (rng.random(5000) < 0.3, rng.random(5000) < 0.5),
        (rng.poisson(1, 5000), rng.poisson(1.3, 5000)),
        inflated,
    ):
        assert not kl_divergence(p, q).diagnostics["bias_suspected"]


def test_rounding_of_one_sample_alone_is_said():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 500, 2))
    rounded = np.column_stack([x[:, 0], x[:, 1].round()])
    for call in (kl_divergence, jensen_shannon):
        assert "Column 1: the values of p are repeated" in call(rounded, y).diagnostics["reasons"][0]
        assert "Column 1: the values of q are repeated" in call(y, rounded).diagnostics["reasons"][0]
    assert not kl_divergence(x.round(1), y.round(1)).diagnostics["reasons"]


def test_jensen_shannon_of_small_and_of_shared_samples():
    x, y = np.random.default_rng(0).normal(size=(2, 1000))
    assert abs(jensen_shannon(x, y[:5])) < 0.2
    assert np.isfinite(jeffreys(x, y[:5]))
    with pytest.warns(UserWarning, match="shared"):
        assert jensen_shannon(x, x).diagnostics["bias_suspected"]


def test_one_symbol_alone_is_no_certainty():
    found = categorical_entropy(["a"] * 50)
    assert found.diagnostics["bias_suspected"]
    assert "up to 0.06" in found.diagnostics["reasons"][0]


def test_an_atom_of_one_column_is_enough():
    rng = np.random.default_rng(0)
    x, y = (np.column_stack([rng.normal(size=400), column]) for column in (rng.random(400) < 0.1, np.zeros(400)))
    found = kl_divergence(x, y)
    assert found == np.inf
    assert "Column 1: " in found.diagnostics["reasons"][0]
    back = kl_divergence(y, x)  # -log .9, of a constant under a share of nine tenths
    assert abs(back + np.log(0.9)) < 3.0 * back.standard_error


def test_an_inflated_zero_that_q_lacks():
    rng = np.random.default_rng(1)
    inflated, smooth = np.where(rng.random(500) < 0.3, 0.0, rng.lognormal(size=500)), rng.lognormal(size=500)
    assert kl_divergence(inflated, smooth) == np.inf
    back = kl_divergence(smooth, inflated)
    assert abs(back + np.log(0.7)) < 3.0 * back.standard_error


@pytest.mark.parametrize("columns", [1, 3])
def test_a_small_atom_among_values_that_do_not_repeat(columns):
    # a fiftieth of p is one value, which a density never gives
    for seed in range(4):
        rng = np.random.default_rng(seed)
        X, Y = rng.normal(size=(1000, columns)), rng.normal(size=(1000, columns))
        X[:20, 0] = 1.5
        found = kl_divergence(X, Y)
        assert found == np.inf
        assert "Column 0: 20 of 1000 rows" in found.diagnostics["reasons"][0]
        assert kl_divergence(X, stats.norm() if columns == 1 else stats.multivariate_normal(np.zeros(3))) == np.inf
        Y[:30, 0] = 1.5
        assert np.isfinite(kl_divergence(X, Y))


def test_few_rows_of_q_lack_an_atom_by_chance():
    # with a share of .06 in twenty rows of the same law nobody has it three times in ten
    lacking = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        x, y = (np.where(rng.random(n) < 0.06, 1.5, rng.normal(size=n)) for n in (1000, 20))
        lacking += not (y == 1.5).any()
        assert np.isfinite(kl_divergence(x, y))
    assert lacking > 1


def test_rounded_values_are_no_atoms():
    rng = np.random.default_rng(2)
    assert np.isfinite(kl_divergence(rng.normal(size=(500, 2)).round(1), rng.normal(size=(500, 2))))
    assert np.isfinite(kl_divergence(rng.poisson(9.0, (500, 2)), rng.poisson(3.0, (500, 2))))


def test_symbols_of_which_q_has_few_rows():
    # each of seven values has a few rows in either sample; balls of five neighbours would reach out for other values
    covered, bias = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        p, q = (0.95 * rng.dirichlet(np.ones(7)) + 0.05 / 7.0 for _ in range(2))
        estimate = kl_divergence(rng.choice(7, 300, p=p), rng.choice(7, 300, p=q))
        if np.isfinite(estimate):
            truth = np.sum(p * np.log(p / q))
            covered.append(abs(estimate - truth) <= 1.96 * estimate.standard_error)
            bias.append(estimate - truth)
    assert len(covered) > 50
    assert np.mean(covered) >= 0.85
    assert abs(np.mean(bias)) < 0.05
