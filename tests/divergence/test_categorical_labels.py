"""Symbols of every type, unseen ones, weights and counts, and what is refused."""

import math

import mpmath
import numpy as np
import pandas as pd
import polars as pl
import pytest

from fastkl import kl_divergence
from fastkl.divergence.symbols.categorical_entropy import categorical_entropy
from fastkl.divergence.symbols.categorical_kl import categorical_cross_entropy, categorical_kl
from fastkl.divergence.symbols.discrete import discrete_kl
from fastkl.exceptions import ColumnTypeError, DegenerateDataError, SupportError

ENTROPIES = (
    "plugin", "miller_madow", "zhang", "chao_wang_jost", "chao_shen", "grassberger", "james_stein", "nsb"
)  # fmt: skip

# --- labels of every kind ----------------------------------------------------------------------------------------------------

FREQUENCIES = [3, 2, 1]
KINDS = {
    "str": ["a", "b", "c"],
    "int": [7, -2, 0],
    "float": [0.5, -1.5, 3.0],
    "bytes": [b"x", b"y", b"z"],
    "mixed": ["1", 1, None],
    "big": [2**53, 2**53 + 1, -1],
    "tuple": [(1, "a"), (1, "b"), (2, "a")],
}


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "mixed"])
def test_label_types(kind):
    x = [s for s, c in zip(KINDS[kind], FREQUENCIES, strict=True) for _ in range(c)]
    expected = categorical_entropy(FREQUENCIES, counts=True)
    assert categorical_entropy(x) == expected
    if kind != "tuple":
        assert categorical_entropy(np.array(x)) == expected
        assert categorical_entropy(np.array(x).reshape(-1, 1)) == expected
        assert categorical_entropy(pd.Series(x)) == expected
        assert categorical_entropy(pd.Series(x, dtype="category")) == expected
        assert categorical_entropy(pl.Series(x)) == expected


def test_labels_are_compared_by_value():
    assert categorical_kl(np.array([1, 1, 2]), np.array([2.0, 1.0, 1.0]), "plugin") == 0.0
    assert categorical_kl(np.array([True, False]), np.array([0, 1]), "plugin") == 0.0
    assert categorical_kl([1, 1], ["1", "1"]) == np.inf
    assert categorical_entropy([1, "1"], "plugin") == pytest.approx(np.log(2))
    first = pd.Categorical(["a", "b"], categories=["a", "b"])
    second = pd.Categorical(["b", "a"], categories=["b", "a"])
    assert categorical_kl(first, second, "plugin") == 0.0
    big = np.array([2**53, 2**53 + 1])
    assert categorical_kl(big[:1], big[1:]) == np.inf


def test_pandas_indexes():
    x = ["a", "a", "b"]
    assert categorical_entropy(pd.CategoricalIndex(x)) == categorical_entropy(x)
    pairs = pd.MultiIndex.from_tuples([("a", 1), ("a", 1), ("b", 1)])
    assert categorical_entropy(pairs) == categorical_entropy(x)


def test_joint_symbols():
    rows = [("a", 1), ("a", 2), ("b", 1), ("a", 1)]
    expected = categorical_entropy([2, 1, 1], counts=True)
    frame = pd.DataFrame(rows, columns=["s", "i"])
    for x in (
        frame,
        frame.assign(s=frame["s"].astype("category")),
        pl.from_pandas(frame),
        rows,
        np.array(rows, dtype=object),
    ):
        assert categorical_entropy(x) == expected
    numbers = np.array([[0, 0, 1], [0, 1, 1], [0, 0, 1], [2, 0, 1]])
    assert categorical_entropy(numbers) == expected
    assert categorical_kl(numbers, numbers[::-1], "plugin") == 0.0
    with pytest.raises(ValueError, match="3 columns and q has 2"):
        categorical_kl(numbers, numbers[:, :2])


def test_texts_that_spell_numbers_are_told_from_them():
    found = categorical_kl([1, 2, 2], ["1", "2", "2"])
    assert "The number 1 and the text '1' are different symbols" in found.diagnostics["reasons"][1]
    assert "different symbols" not in str(categorical_kl([1, 2], ["a", "b"]).diagnostics["reasons"])


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA, pd.NaT, np.datetime64("NaT", "D")])
def test_missing_labels_are_named(missing):
    with pytest.raises(ValueError, match="Row 1 of x has no label"):
        categorical_entropy(
            np.array(["a", missing, "b"], dtype=object) if missing is not pd.NaT else pd.Series(["a", missing])
        )


def test_missing_in_typed_columns():
    for x in ([1.0, np.nan], pd.Categorical(["a", None]), pd.array([1, None], dtype="Int64"), pl.Series(["a", None])):
        with pytest.raises(ValueError, match="Row 1 of x"):
            categorical_entropy(x)
    with pytest.raises(ValueError, match="Row 1 of x"):
        categorical_entropy(np.array(["2020-01-01", "NaT"], dtype="datetime64[D]"))
    with pytest.raises(ValueError, match="Row 1 of x"):
        categorical_entropy(np.ma.array([1, 2, 3], mask=[False, True, False]))
    with pytest.raises(ValueError, match="column 1 of x"):
        categorical_entropy([["a", 1.0], ["b", None]])


def test_a_masked_label_is_named_with_its_column():
    table = np.ma.array([["a", "b"], ["c", "d"], ["e", "f"]])
    table[2, 1] = np.ma.masked
    with pytest.raises(ValueError, match="Row 2 of column 1 of x has no label"):
        categorical_entropy(table)
    with pytest.raises(ValueError, match="Row 2 of q has no label"):
        categorical_kl(["a", "b"], table[:, 1])


# --- unseen symbols, diagnostics, bad input ----------------------------------------------------------------------------------


def test_unseen_symbols():
    p, q = ["a", "a", "b", "c"], ["a", "b", "b", "b"]
    infinite = categorical_kl(p, q)
    assert infinite == np.inf
    assert math.isnan(infinite.standard_error)
    assert infinite.diagnostics["unseen_mass"] == 0.25
    assert infinite.diagnostics["unseen_symbols"] == ["c"]
    assert "'c'" in infinite.diagnostics["reasons"][0]
    finite = categorical_kl(p, q, unseen="estimate")
    # psi differences are sums of 1/k: by hand.
    assert finite == pytest.approx(
        0.5 * (1 / 2 + 1 / 3 + 1 / 4) + 0.25 * (1 / 4) + 0.25 * (1 + 1 / 2 + 1 / 3 + 1 / 4) - 4 / 3
    )
    assert 0 < finite.standard_error < 10
    assert finite.diagnostics["bias_suspected"]
    share, smooth = np.array([0.5, 0.25, 0.25]), np.array([1.5, 3.5, 0.5]) / 5.5
    assert categorical_kl(p, q, "plugin", "smooth") == pytest.approx(discrete_kl(share, smooth), abs=1e-14)
    with pytest.raises(SupportError, match="'c'"):
        categorical_kl(p, q, unseen="raise")
    assert categorical_kl(q, p, unseen="raise") == categorical_kl(q, p)
    declared = pd.Categorical(q, categories=["a", "b", "c", "d"])
    smooth = np.array([1.5, 3.5, 0.5, 0.5]) / 6
    assert categorical_kl(p, declared, "plugin", "smooth") == pytest.approx(discrete_kl([0.5, 0.25, 0.25, 0.0], smooth))
    assert categorical_cross_entropy(p, q) == np.inf


def test_negative_estimates_are_returned():
    assert categorical_kl([1, 1, 2, 2], [1, 2, 2, 2]) == pytest.approx(-1 / 6)


def test_real_counts():
    x, y = np.array([1.5, 2.25, 0.5]), np.array([2.0, 0.75, 1.25])
    with mpmath.workdps(30):
        psi = mpmath.digamma
        expected = sum(
            mpmath.mpf(a) / x.sum() * (psi(y.sum() + 1) - psi(b + 1) - psi(x.sum()) + psi(a))
            for a, b in zip(x, y, strict=True)
        )
    assert abs(categorical_kl(x, y, counts=True) - float(expected)) < 1e-13
    for method in ENTROPIES:
        e = categorical_entropy(x, method, counts=True)
        assert np.isfinite(e)
        assert e.standard_error > 0


def test_fractional_counts_move_continuously():
    for method in ENTROPIES:
        left, right = (categorical_entropy([c, 3, 1, 5], method, counts=True) for c in (2 - 1e-9, 2 + 1e-9))
        assert left == pytest.approx(right, abs=1e-6)


def test_diagnostics_of_entropy():
    rng = np.random.default_rng(0)
    fresh = categorical_entropy(rng.integers(0, 10**9, 500))
    assert fresh.diagnostics["coverage"] == 0.0
    assert fresh.diagnostics["singletons"] == 500
    assert len(fresh.diagnostics["reasons"]) == 2
    ample = categorical_entropy(rng.integers(0, 5, 5000))
    assert not ample.diagnostics["bias_suspected"]
    assert ample.diagnostics["coverage"] == 1.0
    biased = categorical_entropy(rng.integers(0, 100, 1000), "plugin")
    assert "too low" in biased.diagnostics["reasons"][-1]
    assert repr(biased).endswith("bias suspected)")


class Unhashable:
    """Neither a label nor a list."""

    __hash__ = None


@pytest.mark.parametrize(
    ("x", "options", "error", "message"),
    [
        ([], {}, DegenerateDataError, "no rows"),
        (pd.DataFrame(), {}, DegenerateDataError, "no rows"),
        ([], {"counts": True}, DegenerateDataError, "no positive count"),
        ([0, 0], {"counts": True}, DegenerateDataError, "no positive count"),
        ([1, -1], {"counts": True}, ValueError, "Entry 1 of x is -1"),
        ([1, np.nan], {"counts": True}, ValueError, "Entry 1 of x is nan"),
        ([1, np.inf], {"counts": True}, ValueError, "Entry 1"),
        (["a"], {"counts": True}, ValueError, "one-dimensional array of numbers"),
        ([[1, 2]], {"counts": True}, ValueError, "flattened"),
        ([1, 2], {"counts": True, "sample_weight": [1, 1]}, ValueError, "counts=True"),
        (["a", "b"], {"sample_weight": [1.0]}, ValueError, "2 rows"),
        (["a", "b"], {"sample_weight": [1.0, -1.0]}, ValueError, "row 1"),
        (["a", "b"], {"sample_weight": [0.0, 0.0]}, ValueError, "in every row"),
        ([["a"], ["b", "c"]], {}, ValueError, "row 0 has length 1, row 1 has length 2"),
        (np.array([["a"], ["b", "c"]], dtype=object), {}, ColumnTypeError, r"lists or records \(\['a'\] in row 0\)"),
        (np.array([Unhashable()], dtype=object), {}, ValueError, "hashable"),
        (np.zeros((2, 2, 2)), {}, ValueError, "shape"),
        (["a"], {"method": "best"}, ValueError, "[Cc]hoose one of"),
    ],
)
def test_bad_input(x, options, error, message):
    with pytest.raises(error, match=message):
        categorical_entropy(x, **options)


def test_bad_pairs():
    with pytest.raises(ValueError, match="align"):
        categorical_kl([1, 2], [1, 2, 3], counts=True)
    with pytest.raises(ValueError, match="different labels"):
        categorical_kl(pd.Series([3, 1], ["a", "b"]), pd.Series([2, 2], ["x", "y"]), counts=True)
    with pytest.raises(ValueError, match="unseen='drop'"):
        categorical_kl(["a"], ["a"], unseen="drop")
    with pytest.raises(ValueError, match="plug-in"):
        categorical_kl(["a"], ["a"], "plugin", "estimate")
    with pytest.raises(DegenerateDataError, match="q has no rows"):
        categorical_kl(["a"], [])


def test_rows_of_weight_zero_are_not_there():
    assert categorical_kl(["a", "z"], ["a", "b"], sample_weight_p=[1, 0]) == categorical_kl(["a"], ["a", "b"])
    assert categorical_entropy(["a", "b"], "nsb", sample_weight=[3, 0]) == 0.0


def test_symbols_without_a_count_go_by_their_labels():
    dicts = categorical_kl({"cat": 3, "emu": 4}, {"cat": 5, "dog": 2}, counts=True)
    series = categorical_kl(pd.Series({"cat": 3, "emu": 4}), pd.Series({"cat": 5, "dog": 2}), counts=True)
    for found in (dicts, series):
        assert found.diagnostics["unseen_symbols"] == ["emu"]
        assert "('emu')" in found.reasons[0]
    rng = np.random.default_rng(0)
    tables = [pd.DataFrame({"x": rng.normal(size=n), "who": rng.integers(0, 90, n).astype(str)}) for n in (200, 150)]
    assert "Of the labels: P has" in kl_divergence(*tables).reasons[0]
    assert "(('" in kl_divergence(*tables).reasons[0]
