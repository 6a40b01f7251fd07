"""Reasons and errors of tables name the column that they are about: by its name, or by its place among all columns."""

import numpy as np
import pandas as pd
import pytest

from fastkl import (
    KLDivergence,
    compare_tables,
    entropy,
    entropy_batches,
    jensen_shannon,
    kl_divergence,
    kl_divergence_batches,
    kl_divergence_sweep,
    mutual_information,
    pairwise_divergence,
)
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


def test_mutual_information_names_column_and_side(tables):
    x, labels = tables[0].assign(same=3.0), tables[0][["label"]]
    numbers = x[["length, m", "x"]]
    cubes = pd.DataFrame({"height": tables[1]["x"], "cube": x["x"] ** 3})
    with pytest.raises(DegenerateDataError, match="^Column 'same' of y has one value only"):
        mutual_information(numbers, x[["x", "same"]])
    with pytest.raises(DegenerateDataError, match="^Column 1 of y has one value only"):
        mutual_information(numbers.to_numpy(), x[["x", "same"]].to_numpy())
    with pytest.raises(
        DegenerateDataError, match="^The ranks of column 'cube' of y are a function of those of columns"
    ):
        mutual_information(numbers, cubes)
    with pytest.raises(DegenerateDataError, match="^The ranks of column 2 of y are a function of those of columns"):
        mutual_information(numbers.to_numpy(), pd.concat([cubes, cubes["cube"] ** 3], axis=1).to_numpy())
    with pytest.raises(
        DegenerateDataError, match="^Among rows with .*: The ranks of column 'cube' of y are a function"
    ):
        mutual_information(pd.concat([labels, numbers], axis=1), cubes)


def test_mutual_information_with_labels_names_the_column():
    rng = np.random.default_rng(0)
    y = pd.DataFrame({"height": rng.normal(size=3000), "weight": rng.normal(size=3000)})
    groups = pd.DataFrame({"group": np.where(rng.random(3000) < 0.5, "one", "other")})
    y.loc[groups["group"] == "one", "weight"] = y["weight"].round(1)
    for columns, place in ((y, "'weight' of y"), (y.to_numpy(), "1 of y")):
        reasons = mutual_information(groups if columns is y else groups.to_numpy(), columns).reasons
        assert any(f"Column {place}: the values of" in reason for reason in reasons)


ROUNDED = "Column 'weight': the values of p are repeated and those of q are not"


@pytest.fixture(scope="module")
def rounded():
    rng = np.random.default_rng(0)
    p, q = (pd.DataFrame({"height": rng.normal(size=400), "weight": rng.normal(size=400)}) for _ in range(2))
    return p.assign(weight=p["weight"].round(1)), q


def test_the_estimator_names_the_column(rounded):
    p, q = rounded
    divergence = KLDivergence("bias_reduced").fit(q)
    assert any(reason.startswith(ROUNDED) for reason in divergence.estimate(p).reasons)
    far = q.assign(weight=np.append(np.arange(399) * 1e-300, 1e300))
    with pytest.raises(ValueError, match="^Column 'weight' of Q holds values that overflow"):
        KLDivergence().fit(far)


def test_a_sweep_and_a_matrix_name_the_column(rounded):
    p, q = rounded
    wide = q.assign(weight=q["weight"] * 1e4)
    said = [e.reasons for e in kl_divergence_sweep(wide, wide + 0.1, [5], coordinates=None).values()]
    assert any("The quartile range of column 'weight'" in reason for reason in said[0])
    with pytest.warns(UserWarning, match=ROUNDED):
        pairwise_divergence([p, q])


@pytest.mark.parametrize("kind", ["frame", "parquet", "polars"])
def test_rows_in_blocks_name_the_column(tmp_path, kind):
    rng = np.random.default_rng(0)
    p = pd.DataFrame({"height": rng.normal(size=400), "weight": rng.normal(size=400)})
    q, same = p.assign(weight=p["height"] * 2.0), p.assign(weight=3.0)
    if kind == "parquet":
        pytest.importorskip("pyarrow")
        q.to_parquet(tmp_path / "q.parquet")
        same.to_parquet(tmp_path / "same.parquet")
        q, same = tmp_path / "q.parquet", tmp_path / "same.parquet"
    elif kind == "polars":
        polars = pytest.importorskip("polars")
        q, same = polars.from_pandas(q).lazy(), polars.from_pandas(same).lazy()
    with pytest.raises(DegenerateDataError, match="^Column 'weight' is a linear function of column 'height'"):
        entropy_batches(q)
    with pytest.raises(DegenerateDataError, match="^Column 'weight' has one value only"):
        entropy_batches(same)


def test_reasons_of_rows_in_blocks_name_the_column():
    rng = np.random.default_rng(0)
    p, q = (pd.DataFrame({"height": rng.normal(size=400), "weight": rng.normal(size=400)}) for _ in range(2))
    wide = [one.assign(weight=one["weight"] * 1e4) for one in (p, q)]
    blocks = [[one[:150], one[150:]] for one in wide]
    said = kl_divergence_batches(*blocks, method="common_radius").reasons
    assert said == kl_divergence(*wide, method="common_radius").reasons
    assert any("The quartile range of column 'weight' is" in reason for reason in said)


def test_rounding_of_one_sample_is_seen_in_blocks(rounded):
    blocks = [[one[:150], one[150:]] for one in rounded]
    assert any(reason.startswith(ROUNDED) for reason in kl_divergence_batches(*blocks, method="bias_reduced").reasons)


def test_a_number_that_is_no_column_stays():
    assert by_names("Beyond columns 1, 30 of a wider table.", ["a", "b"]) == "Beyond columns 'b', 30 of a wider table."
