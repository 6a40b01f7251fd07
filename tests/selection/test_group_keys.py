"""What makes a group, as people give it: the groups that pandas makes, in the order of labels, or an error."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from fastkl import ColumnTypeError, SourceError, fit_groups

RNG = np.random.default_rng(0)
N = 400
VALUES = RNG.normal(size=N)
DAYS = [datetime.date(2024, 2, 29), datetime.date(2023, 12, 31), datetime.date(2024, 1, 1)]
KEYS = {
    "integers": RNG.integers(-3, 4, N),
    "far integers": RNG.choice([-(2**63), -1, 2**63 - 1], N),
    "unsigned": RNG.choice(np.array([2**64 - 1, 2**64 - 3, 2**64 - 9], dtype=np.uint64), N),
    "small": RNG.choice(np.array([-128, 127, 0], dtype=np.int8), N),
    "other byte order": RNG.integers(-3, 4, N).astype(">i8"),
    "truth": RNG.random(N) < 0.5,
    "floats": RNG.choice([0.5, -np.inf, 1e300], N),
    "texts": RNG.choice(["b", "a", "ä", ""], N),
    "objects": RNG.choice(np.array(["b", "a", "c"], dtype=object), N),
    "dates": RNG.choice(np.array(DAYS, dtype="M8[D]"), N),
    "times of pandas": pd.Series(RNG.choice(pd.to_datetime(DAYS).tz_localize("Europe/Berlin"), N)),
    "days of Python": np.array([DAYS[i] for i in RNG.integers(0, 3, N)], dtype=object),
    "categories": pd.Series(pd.Categorical(RNG.choice(["b", "a"], N), categories=["unused", "a", "b"])),
    "polars": pl.Series(RNG.choice(["b", "a"], N)),
    "arrow": pa.array(RNG.choice(["b", "a"], N)).dictionary_encode(),
}


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("arranged", [False, True])
def test_groups_are_those_of_pandas(kind, arranged):
    key = KEYS[kind]
    if arranged:
        key = np.sort(np.asarray(key))
    plain = pd.Series(np.asarray(key).tolist() if kind != "floats" else np.asarray(key), dtype=None)
    expected = pd.Series(VALUES).groupby(plain).agg(["size", "mean"])
    found = fit_groups(VALUES, by=key)
    assert found.groups["group"].tolist() == expected.index.tolist() or kind in ("dates", "times of pandas")
    assert found.n_rows.tolist() == expected["size"].tolist()
    np.testing.assert_allclose(found.params["loc"][:, 0], expected["mean"], rtol=1e-10, atol=1e-14)


def test_several_keys_of_many_labels():
    """The product of the numbers of labels was taken as a number of 64 bits: labels of other groups came out."""
    n = 70_000  # its fourth power is beyond 2**64
    keys = {name: RNG.permutation(n) for name in "abcd"}
    found = fit_groups(pd.DataFrame({**keys, "x": np.zeros(n)}), list("abcd"), min_rows=2)
    order = np.argsort(keys["a"])
    for name, key in keys.items():
        np.testing.assert_array_equal(found.groups[name], key[order])


def test_masked_labels_are_missing():
    labels = np.ma.masked_array(np.repeat([1, 2], N // 2), mask=np.arange(N) == 3)
    with pytest.raises(SourceError, match="'group' is missing in row 3"):
        fit_groups(VALUES, by=labels)


def test_labels_with_another_index():
    frame = pd.DataFrame({"site": KEYS["texts"], "x": VALUES})
    turned = frame["site"].iloc[::-1]
    with pytest.raises(ValueError, match="by has another index than X"):
        fit_groups(frame[["x"]], by=turned)
    by_index, by_name = fit_groups(frame[["x"]], by=turned.loc[frame.index]), fit_groups(frame, "site")
    np.testing.assert_array_equal(by_index.params["loc"], by_name.params["loc"])


def test_columns_with_names_that_are_no_texts():
    found = fit_groups(pd.DataFrame({2020: KEYS["texts"], 2021: VALUES}), by=2020)
    assert found.groups[2020].tolist() == sorted(set(KEYS["texts"]))


@pytest.mark.parametrize(
    ("by", "error", "message"),
    [
        (
            np.array([1, "a"] * (N // 2), dtype=object),
            ColumnTypeError,
            "types 'int', 'str' .* of one type, such as text",
        ),
        (pd.Series([[1], [2]] * (N // 2)), ColumnTypeError, "of the types 'list'"),
        (["place", "site"], SourceError, "no column 'place' for the groups"),
        (["place", "spot"], SourceError, "no column 'place' for the groups"),
        ([], ValueError, "by names no column"),
        (7, ValueError, r"or one label for each row; it is int of shape \(\)"),
    ],
)
def test_what_makes_no_groups(by, error, message):
    frame = pd.DataFrame({"site": KEYS["texts"], "x": VALUES})
    with pytest.raises(error, match=message):
        fit_groups(frame, by, columns=["x"])
