"""Rows that go with the row before, or with that of the other sample, are no independent draws; rows only sorted are not such."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.signal import lfilter
from sklearn.datasets import load_iris, load_wine

from fastkl import compare_tables, jeffreys, jensen_shannon, kl_divergence, permutation_test
from fastkl.divergence.arguments import as_sample
from fastkl.divergence.nearest.neighbors import SamplePair
from fastkl.divergence.nearest.serial import _differences, _is_chain, paired_reasons

SAID = "those of the row before .rank correlation"


def chain(rng, coefficient, n):
    return lfilter([1.0], [1.0, -coefficient], rng.normal(size=n + 500))[500:]


@pytest.mark.parametrize("coefficient", [0.5, 0.9, 0.99])
def test_chains_are_said_and_by_name(coefficient):
    rng = np.random.default_rng(0)
    p, q = ({"height": rng.normal(size=1000), "weight": chain(rng, coefficient, 1000)} for _ in range(2))
    with pytest.warns(UserWarning, match=rf"^Column 'weight': values of [pq] are correlated with {SAID}") as said:
        permutation_test(pd.DataFrame(p), pd.DataFrame(q), random_state=0, n_permutations=99)
    assert len(said) == 2
    with pytest.warns(UserWarning, match=f"^Column 0: values of q are correlated with {SAID}"):
        permutation_test(p["height"], q["weight"], random_state=0, n_permutations=99)
    apart = (x[rng.permutation(1000)] for x in (p["weight"], q["weight"]))
    permutation_test(*apart, random_state=0, n_permutations=99)


def chains(rng, coefficient, n, d):
    return (np.column_stack([chain(rng, coefficient, n) for _ in range(d)]) for _ in range(2))


@pytest.mark.parametrize(
    ("call", "coefficient", "d"), [(kl_divergence, 0.8, 4), (jensen_shannon, 0.9, 2), (jeffreys, 0.9, 2)]
)
def test_estimates_of_chains_are_doubted(call, coefficient, d):
    """Of equal laws: kl_divergence missed 0 in 15 of 16 pairs of 2000 rows, and no estimate was doubted."""
    rng = np.random.default_rng(0)
    p, q = chains(rng, coefficient, 2000, d)
    found = call(p, q, random_state=0)
    assert found.bias_suspected
    assert sum("of the row before (rank correlation" in reason for reason in found.reasons) == 2
    assert "error is too small" in found.reasons[0]
    assert not call(p[::40], q[::40], random_state=0).reasons
    assert not call(rng.permutation(p), rng.normal(size=(2000, d)), random_state=0).reasons


def test_a_little_dependence_is_within_the_error():
    found = [kl_divergence(*chains(np.random.default_rng(seed), 0.4, 1000, 2), random_state=0) for seed in range(5)]
    assert not any(e.reasons for e in found)
    assert all(abs(e) < 2.0 * e.standard_error for e in found)


def test_the_names_of_columns_of_chains_are_said():
    rng = np.random.default_rng(0)
    p, q = (pd.DataFrame({"height": rng.normal(size=1000), "weight": chain(rng, 0.9, 1000)}) for _ in range(2))
    assert "Column 'weight': values of p are correlated with" in kl_divergence(p, q, random_state=0).reasons[0]


def test_states_that_stay_are_said():
    rng = np.random.default_rng(0)
    stays = np.repeat(rng.normal(size=(200, 2)), rng.geometric(0.4, 200), axis=0)
    with pytest.warns(UserWarning, match="rows of p are equal to the row before them"):
        permutation_test(stays, rng.normal(size=(300, 2)), random_state=0, n_permutations=99)


@pytest.mark.parametrize("n", [500, 12_000])  # of many rows some are tested, in their order
def test_a_line_of_a_table_has_it_as_a_note(n):
    rng = np.random.default_rng(0)
    p, q = (pd.DataFrame({"weight": chain(rng, 0.9, n), "height": rng.normal(size=n)}) for _ in range(2))
    found = compare_tables(p, q, n_permutations=99, random_state=0)
    assert any("of the row before" in note for note in found["weight"].notes)
    assert not any("of the row before" in note for note in found["height"].notes)


def quiet(X):
    return not any(_is_chain(*_differences(column), len(column)) for column in X.T)


def test_sorted_and_grouped_rows_and_independent_ones_are_not_said():
    rng = np.random.default_rng(0)
    ordered = np.sort(rng.normal(size=1000))
    groups = np.repeat(rng.normal(size=4), 250) * 3.0
    for column in (ordered, ordered[::-1], ordered + rng.normal(size=1000), groups + rng.normal(size=1000)):
        assert quiet(column[:, np.newaxis])
    for rows in (load_iris().data, load_wine().data):  # in order of their classes
        assert quiet(rows)
        assert quiet(rows[::2])
    assert sum(not quiet(rng.standard_t(2.0, size=(n, 5))) for n in (20, 40, 200) for _ in range(300)) <= 1
    assert sum(not quiet(rng.poisson(0.5, size=(n, 5))) for n in (20, 40, 200) for _ in range(300)) <= 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        permutation_test(ordered, rng.normal(size=500), random_state=0, n_permutations=99)
        blocks = np.repeat([0.0, 1.0, 0.0, 2.0], 60)  # steps at which a value changes are those of a walk, but few
        permutation_test(blocks, np.repeat([1.0, 0.0], 60), random_state=0, n_permutations=99)


# -- rows of the same number ---------------------------------------------------------------------------------------------------


def paired(found):
    return [reason for reason in found.reasons if "the one with the same row number" in reason]


@pytest.mark.parametrize(("d", "correlation"), [(1, 0.9999), (4, 0.99), (8, 0.9)])
def test_two_measurements_of_the_same_rows_are_said(d, correlation):
    """The estimate is then below 0 by more than its error, which said nothing up to three of these."""
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(2, 1000, d))
    y = correlation * x + np.sqrt(1.0 - correlation**2) * noise
    assert paired(kl_divergence(x, y))
    assert paired(jensen_shannon(x, y))
    assert paired(kl_divergence(x, y, method="common_radius"))
    apart = kl_divergence(x[::2], y[1::2])
    assert not paired(apart)
    assert abs(apart) < 2.0 * apart.standard_error


def test_copies_that_were_rounded_are_said():
    """It was -.21 with an error of .1, and no reason to doubt it."""
    x = np.random.default_rng(0).normal(size=200)
    assert paired(kl_divergence(x, np.round(x, 2)))
    assert paired(kl_divergence(np.round(x, 2), x))


def test_independent_sorted_or_loosely_paired_rows_are_not_said():
    rng = np.random.default_rng(0)

    def quiet(x, y):
        return not paired_reasons(SamplePair(as_sample(x, "p", None, 1), as_sample(y, "q", None, 1)))

    draws = [
        lambda n: rng.normal(size=(2, n)),
        lambda n: np.sort(rng.normal(size=(2, n))),
        lambda n: rng.poisson(1.0, (2, n)),
        lambda n: rng.integers(0, 2, (2, n, 2)),
        lambda n: np.round(rng.normal(size=(2, n, 2)), 1),
    ]
    for draw in draws:
        for n in (10, 30, 300, 1500):
            assert all(quiet(*draw(n)) for _ in range(20))
    before = np.round(rng.normal(120.0, 15.0, 300))
    assert quiet(before, np.round(before + rng.normal(-5.0, 7.0, 300)))
    assert quiet(rng.normal(size=500), rng.normal(size=400))
