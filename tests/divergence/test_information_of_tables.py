"""Mutual information where a side has labels and numbers; truths by quadrature and sums over labels."""

import datetime

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

from fastkl import ColumnTypeError, DegenerateDataError, mutual_information

NAMES, SHARES, SHIFTS = np.array(list("xyz")), np.array([0.5, 0.3, 0.2]), np.array([1.0, 0.0, -1.0])


def _left(rng, n):
    return rng.normal(size=n), rng.choice(3, n, p=SHARES)


def _nothing(rng, n):
    a, c = _left(rng, n)
    return a, c, rng.normal(size=n), 0.0


def _number(rng, n):
    a, c = _left(rng, n)
    width = np.hypot(0.8, 1.0)

    def density(t):
        return SHARES @ stats.norm.pdf(t, SHIFTS, width)

    entropy = integrate.quad(lambda t: -density(t) * np.log(density(t)), -12.0, 12.0)[0]
    return a, c, 0.8 * a + SHIFTS[c] + rng.normal(size=n), entropy - stats.norm.entropy()


def _label(rng, n):
    a, c = _left(rng, n)

    def probability(t, shift):
        return 1.0 / (1.0 + np.exp(-t - 2.0 * shift))

    def surprise(p):
        return -(p * np.log(p) + (1.0 - p) * np.log1p(-p))

    def mean(of):
        parts = [
            integrate.quad(lambda t, shift=shift: stats.norm.pdf(t) * of(probability(t, shift)), -9, 9)[0]
            for shift in SHIFTS
        ]
        return float(SHARES @ parts)

    said = np.where(rng.random(n) < probability(a, SHIFTS[c]), "yes", "no")
    return a, c, said, surprise(mean(lambda p: p)) - mean(surprise)


def _both(rng, n):
    a, c = _left(rng, n)
    kept = np.where(rng.random(n) < 0.5, c, rng.choice(3, n, p=SHARES))
    together = 0.5 * np.diag(SHARES) + 0.5 * np.outer(SHARES, SHARES)
    of_labels = float(np.sum(together * np.log(together / np.outer(SHARES, SHARES))))
    y = pd.DataFrame({"u": 0.8 * a + 0.6 * rng.normal(size=n), "m": NAMES[kept]})
    return a, c, y, of_labels - 0.5 * np.log(1.0 - 0.8**2)


@pytest.mark.parametrize("case", [_nothing, _number, _label, _both])
def test_what_a_table_tells(case):
    within, errors = [], []
    for seed in range(8):
        a, c, y, exact = case(np.random.default_rng(seed), 800)
        found = mutual_information(pd.DataFrame({"a": a, "c": NAMES[c]}), y)
        errors.append(float(found) - exact)
        within.append(abs(errors[-1]) < 3.0 * found.standard_error)
    assert np.mean(within) >= 0.8
    assert abs(np.mean(errors)) < max(2.5 * np.std(errors) / np.sqrt(8.0), 0.02)


def test_sides_change_places():
    a, c, y, _ = _both(np.random.default_rng(1), 500)
    x = pd.DataFrame({"a": a, "c": NAMES[c]})
    there, back = mutual_information(x, y), mutual_information(y, x)
    assert float(there) == pytest.approx(float(back), abs=0.5 * there.standard_error)
    assert there.standard_error == pytest.approx(back.standard_error, rel=0.3)


def test_a_label_that_tells_nothing_is_left_out():
    """It is what the numbers tell, and what the label's rows tell among themselves has no other mean."""
    rng = np.random.default_rng(2)
    a, c = _left(rng, 1000)
    u = a + rng.normal(size=1000)
    alone, beside = mutual_information(a, u), mutual_information(pd.DataFrame({"a": a, "c": NAMES[c]}), u)
    assert abs(beside - alone) < 1.5 * alone.standard_error


def test_weights_of_whole_rows_count_them():
    """Rows of weight 0 are as if they were not there, and equal weights as if there were none."""
    rng = np.random.default_rng(3)
    a, c, y, _ = _number(rng, 600)
    x, weights = pd.DataFrame({"a": a, "c": NAMES[c]}), np.r_[np.full(400, 2.0), np.zeros(200)]
    weighted, plain = mutual_information(x, y, sample_weight=weights), mutual_information(x[:400], y[:400])
    assert float(weighted) == pytest.approx(float(plain), abs=0.3 * plain.standard_error)


def test_numbers_that_are_equal_among_rows_of_a_label():
    """Zero wherever the label is x: these rows tell nothing, and the others what their numbers tell."""
    rng = np.random.default_rng(5)
    a, c = _left(rng, 900)
    a, u = np.where(c == 0, 0.0, a), a + rng.normal(size=900)
    x, others = pd.DataFrame({"a": a, "c": NAMES[c]}), c != 0
    found, alone = mutual_information(x, u), mutual_information(x[others], u[others])
    assert abs(found - np.mean(others) * alone) < 1.5 * found.standard_error
    assert abs(found - 0.5 * 0.5 * np.log(2.0)) < 3.0 * found.standard_error


def test_rare_labels_are_said():
    rng = np.random.default_rng(4)
    labels = np.where(np.arange(400) < 300, "often", [f"once {i}" for i in range(400)])
    a = rng.normal(size=400)
    found = mutual_information(pd.DataFrame({"a": a, "l": labels}), a + rng.normal(size=400))
    assert "25% of the rows have labels that occur in fewer than 30 rows," in " ".join(found.reasons)


@pytest.mark.parametrize(
    ("x", "error", "words"),
    [
        ({"a": range(60), "l": [str(i // 15) for i in range(60)]}, DegenerateDataError, "None of 4 labels is in 30"),
        (
            {"a": [datetime.date(2020, 1, 1)] * 60, "l": ["u", "v"] * 30},
            ColumnTypeError,
            r"Column 0 \('a'\) holds dates .*days",
        ),
        (
            {"a": [1.0, "one"] * 30, "l": ["u", "v"] * 30},
            ColumnTypeError,
            r"1\.0 in row 0, column 0 \('a'\), among labels",
        ),
        (
            {"l": ["u", "v"] * 30, "a": range(60)},
            DegenerateDataError,
            "Among rows with [uv]: .* function of those of columns before it",
        ),
        (
            {"l": ["u", "v"] * 30, "k": 2**60 + np.arange(60)},
            ValueError,
            r"in row 1, column 1 \('k'\), .* beyond 2\*\*53",
        ),
        ({"a": [np.nan] + [1.0] * 59, "l": ["u", "v"] * 30}, ValueError, r"nan in row 0, column 0 \('a'\)"),
    ],
    ids=["rare", "dates", "texts", "function", "merged", "missing"],
)
def test_bad_input(x, error, words):
    y = np.arange(60.0) ** 2 if "function" in words else np.random.default_rng(0).normal(size=60)
    with pytest.raises(error, match=words):
        mutual_information(pd.DataFrame(x), y)


def test_labels_that_are_objects():
    a, c, y, _ = _number(np.random.default_rng(6), 200)
    table = pd.DataFrame({"a": a, "c": NAMES[c]})
    expected = float(mutual_information(table, y))
    assert float(mutual_information(table.astype({"c": object}), y)) == expected
    assert float(mutual_information(table.to_numpy(), y)) == expected
