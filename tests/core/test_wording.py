"""Words of messages."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fastkl
from fastkl import KernelDensityMLE, RepeatedValuesWarning
from fastkl._core.wording import capital, did_you_mean, plural


@pytest.mark.parametrize(("count", "text"), [(0, "0 rows"), (1, "1 row"), (1200, "1,200 rows")])
def test_plural(count, text):
    assert plural(count, "row") == text


def test_names_of_columns_keep_their_capitals():
    """str.capitalize() made 'income' of the column Income in seventeen messages."""
    assert capital("column 0 ('Income')") == "Column 0 ('Income')"
    table = pd.DataFrame({"Income": np.r_[np.zeros(100), np.random.default_rng(0).gamma(2.0, size=300)]})
    for call in (KernelDensityMLE().fit, fastkl.rank_families):
        with pytest.warns(RepeatedValuesWarning, match=r"Column 0 \('Income'\) has the value 0"):
            call(table)
    for path in Path(fastkl.__file__).parent.rglob("*.py"):
        assert ".capitalize()" not in path.read_text(encoding="utf-8"), path


def test_did_you_mean():
    known = ("gaussian", "tophat")
    assert did_you_mean("gausian", known) == " Did you mean 'gaussian'?"
    assert did_you_mean("xyz", known) == ""
    assert did_you_mean(3, known) == ""
    assert did_you_mean("gausian", known, cutoff=0.99) == ""


@pytest.mark.parametrize(
    ("word", "known", "here"),
    [
        ("k3", ("low_variance", "plain", "squared"), "low_variance"),
        ("SJ", ("scott", "sheather_jones"), "sheather_jones"),
        ("normal", ("gaussian", "tophat"), "gaussian"),
        ("VVI", ("full", "tied", "diag", "spherical"), "diag"),
    ],
)
def test_a_word_of_other_libraries(word, known, here):
    assert did_you_mean(word, known) == f" Here it is {here!r}."
    assert did_you_mean(word, ("something", "else")) == ""
