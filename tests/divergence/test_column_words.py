"""Reasons and errors of tables name the column that they are about: by its name, or by its place among all columns."""

import numpy as np
import pandas as pd
import pytest

from fastkl import compare_tables, entropy, jensen_shannon, kl_divergence
from fastkl.divergence.column_words import by_names
from fastkl.divergence.estimate import OfBoth
from fastkl.exceptions import DegenerateDataError


def table(rng, width):
    """Labels, one of which reads like a column, and numbers the last of which are uniform on (0, width)."""
    labels = rng.choice(["column 0", "other"], 1500)
    return pd.DataFrame({"label": labels, "x": rng.normal(size=1500), "length, m": rng.uniform(0.0, width, 1500)})


@pytest.fixture(scope="module")
def tables():
    rng = np.random.default_rng(0)
    return table(rng, 1.15), table(rng, 1.0)


def edges(estimate):
    return [reason for reason in estimate.reasons if "seems to end there" in reason]


@pytest.mark.parametrize("columns", [["x", "length, m"], ["label", "x", "length, m"]])
def test_reasons_name_the_column(tables, columns):
    p, q = (one[columns] for one in tables)
    found = edges(kl_divergence(p, q))
    assert found
    assert all("Column 'length, m':" in reason for reason in found)
    by_place = edges(kl_divergence(p.to_numpy(), q.to_numpy()))
    assert by_place == [reason.replace("Column 'length, m'", f"Column {len(columns) - 1}") for reason in found]


def test_a_table_line_names_its_columns(tables):
    compared = compare_tables(*tables, test=False)
    said = [note for line in compared.lines for note in line.notes if "seems to end there" in note]
    assert len(said) >= 3
    assert all("Column 'length, m':" in note for note in said)


def test_errors_name_the_column(tables):
    p = tables[0].assign(same=3.0, double=lambda rows: 2.0 * rows["x"])
    with pytest.raises(DegenerateDataError, match="^Column 'same' has one value only"):
        entropy(p[["x", "length, m", "same"]])
    with pytest.raises(
        DegenerateDataError, match="^Of the rows with '(other|column 0)': Column 'same' has one value only"
    ):
        entropy(p[["label", "x", "same"]])
    with pytest.raises(DegenerateDataError, match="^Of the rows with '(other|column 0)': Column 2 has one value only"):
        entropy(p[["label", "x", "same"]].to_numpy())
    with pytest.raises(DegenerateDataError, match="^Column 'double' is a linear function of column 'x'"):
        entropy(p[["x", "length, m", "double"]])
    with pytest.raises(DegenerateDataError, match="^Column 2 is a linear function of column 0"):
        entropy(p[["x", "length, m", "double"]].to_numpy())


def test_values_are_the_same_with_names_and_without(tables):
    p, q = (one[["x", "length, m"]] for one in tables)
    for measure in (kl_divergence, jensen_shannon):
        named, plain = measure(p, q), measure(p.to_numpy(), q.to_numpy())
        assert (float(named), named.standard_error, named.method) == (float(plain), plain.standard_error, plain.method)
        assert named.bias_suspected == plain.bias_suspected
        assert named.diagnostics.keys() == plain.diagnostics.keys()


def test_words():
    names = ["height", "width", "depth"]
    assert (
        by_names("Column 1 is like column 0, of 2 columns.", names)
        == "Column 'width' is like column 'height', of 2 columns."
    )
    assert (
        by_names("It follows from columns 0, 2: 5 rows.", names) == "It follows from columns 'height', 'depth': 5 rows."
    )
    assert by_names("The label 'column 1' in column 2", names) == "The label 'column 1' in column 'depth'"
    said = by_names(OfBoth("Column 0: rounded", "rounding"), names)
    assert isinstance(said, OfBoth)
    assert (said, said.subject) == ("Column 'height': rounded", "rounding")


def test_a_number_that_is_no_column_stays():
    assert by_names("Beyond columns 1, 30 of a wider table.", ["a", "b"]) == "Beyond columns 'b', 30 of a wider table."
