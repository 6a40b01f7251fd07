"""Weights of ``fit_groups``: a whole weight is that many equal rows of its group, weight 0 is no row, and any unit will do."""

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import dataset

from fastkl import DensityMLE, SourceError, families, fit_groups
from fastkl.families.univariate import UnivariateFamily

RNG = np.random.default_rng(0)
SIZES = [25, 25, 31, 25, 31, 40]
LABELS = RNG.permutation(np.repeat(list("abcdef"), SIZES))
COUNTS = RNG.integers(0, 4, len(LABELS))
FRAME = pd.DataFrame({"site": LABELS, "a": RNG.gamma(2.0, size=len(LABELS)), "w": COUNTS})
REPEATED = FRAME.loc[FRAME.index.repeat(COUNTS), ["site", "a"]].reset_index(drop=True)
UNIVARIATE = [name for name in families.names() if isinstance(families.by_name(name)(), UnivariateFamily)]


def same(found, wanted, rtol=1e-9):
    """The same numbers for every group, but for what rounding makes of sums in another order."""
    assert found.families.tolist() == wanted.families.tolist()
    for name, values in wanted.params.items():
        np.testing.assert_allclose(found.params[name], values, rtol=rtol)
        np.testing.assert_allclose(found.standard_errors[name], wanted.standard_errors[name], rtol=1e-6)
    np.testing.assert_allclose(found.mean_log_likelihood, wanted.mean_log_likelihood, rtol=1e-9, atol=1e-12)
    finite = np.isfinite(wanted.criterion)
    np.testing.assert_allclose(found.criterion[finite], wanted.criterion[finite], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", UNIVARIATE)
def test_a_weight_is_that_many_equal_rows_of_its_group(name):
    family = families.by_name(name)
    drawn = DensityMLE.from_parameters(name, **family.example).sample(len(LABELS), random_state=1)[:, :1]
    rows = np.repeat(np.arange(len(LABELS)), COUNTS)
    found = fit_groups(drawn, LABELS, name, sample_weight=COUNTS)
    same(found, fit_groups(drawn[rows], LABELS[rows], name), rtol=1e-7)
    assert (found.families == name).mean() > 0.8
    assert found.total_weight.tolist() == [COUNTS[label == LABELS].sum() for label in "abcdef"]
    assert found.n_rows.tolist() == [(COUNTS[label == LABELS] > 0).sum() for label in "abcdef"]


@pytest.mark.parametrize("make", [lambda frame: frame, pl.from_pandas, pa.Table.from_pandas])
@pytest.mark.parametrize("arranged", [False, True])
def test_weights_by_the_name_of_their_column(make, arranged):
    frame = FRAME.sort_values("site", ignore_index=True) if arranged else FRAME
    found = fit_groups(make(frame), "site", ["gamma", "weibull"], sample_weight="w")
    assert found.columns == ["a"]  # weights are no column to fit
    same(found, fit_groups(REPEATED, "site", ["gamma", "weibull"]), rtol=1e-7)
    apart = fit_groups(frame[["site", "a"]], "site", ["gamma", "weibull"], sample_weight=frame["w"])
    np.testing.assert_array_equal(apart.params["scale"], found.params["scale"])
    assert found.to_frame()["total_weight"].tolist() == found.total_weight.tolist()
    assert "total_weight" not in fit_groups(frame, "site", columns="a").to_frame()


def test_the_unit_of_weights_is_free():
    weights = RNG.uniform(0.1, 2.0, len(LABELS))
    one, other = (fit_groups(FRAME, "site", "gamma", columns="a", sample_weight=c * weights) for c in (1.0, 1e-6))
    for i, label in enumerate("abcdef"):
        inside = label == LABELS
        alone = DensityMLE("gamma").fit(FRAME.loc[inside, ["a"]].to_numpy(), sample_weight=weights[inside])
        np.testing.assert_allclose(one.params["shape"][i], alone.params_["shape"], rtol=1e-10)
        np.testing.assert_allclose(one.standard_errors["shape"][i], alone.standard_errors_["shape"], rtol=1e-8)
    np.testing.assert_allclose(other.params["shape"], one.params["shape"], rtol=1e-9)
    np.testing.assert_allclose(other.mean_log_likelihood, one.mean_log_likelihood, rtol=1e-9)
    np.testing.assert_allclose(other.standard_errors["shape"], 1e3 * one.standard_errors["shape"], rtol=1e-6)


@pytest.mark.parametrize("name", ["gamma", "student_t"])
def test_groups_without_weight_and_with_too_few_rows_of_weight_say_so(name):
    weights = np.where(LABELS == "b", 0.0, 1.0)
    weights[np.flatnonzero(LABELS == "c")[1:]] = 0.0
    found = fit_groups(FRAME, "site", name, columns="a", sample_weight=weights)
    assert found.groups["site"].tolist() == list("abcdef")
    assert found.verdicts[[1, 2], 0].tolist() == [
        "every row of the group has weight 0",
        "1 row, fewer than min_rows=2",
    ]
    assert found.n_rows[:3].tolist() == [25, 0, 1]
    assert np.isnan(found.mean_log_likelihood[[1, 2], 0]).all()
    wanted = fit_groups(FRAME[~np.isin(LABELS, ["b", "c"])], "site", name, columns="a")
    for key, values in wanted.params.items():
        np.testing.assert_allclose(found.params[key][[0, 3, 4, 5]], values, rtol=1e-7)
    with pytest.raises(SourceError, match="The group b has no density: every row of the group has weight 0"):
        found.density("b")


def test_rows_of_weight_0_may_hold_anything():
    frame = FRAME.copy()
    frame.loc[COUNTS == 0, "a"] = np.resize([np.nan, np.inf, -1.0], (COUNTS == 0).sum())
    same(fit_groups(frame, "site", "gamma", sample_weight="w"), fit_groups(REPEATED, "site", "gamma"))
    row = int(np.flatnonzero(COUNTS)[7])
    frame.loc[row, "a"] = np.nan
    with pytest.raises(SourceError, match=f"Row {row} of column 'a' holds nan"):
        fit_groups(frame, "site", "gamma", sample_weight="w")


def test_one_bad_group_among_weighted_ones_costs_nobody_else_the_fit():
    x = RNG.gamma(2.0, size=(40, 10))
    x[17], x[20, 4] = 2.5, -1.0
    weights = RNG.integers(1, 3, 400).astype(float)
    found = fit_groups(x.ravel(), np.repeat(np.arange(40), 10), ["gamma"], sample_weight=weights)
    assert np.flatnonzero(found.families[:, 0] == "").tolist() == [17, 20]
    assert found.verdicts[17, 0].startswith("the column is constant: 2.5 in every row")
    assert "lives on positive numbers" in found.verdicts[20, 0]


def test_threads_change_no_bit():
    one, three = (fit_groups(FRAME, "site", ["gamma", "student_t"], sample_weight="w", n_jobs=n) for n in (1, 3))
    for name, values in one.params.items():
        np.testing.assert_array_equal(three.params[name], values)
    np.testing.assert_array_equal(three.mean_log_likelihood, one.mean_log_likelihood)


def test_scores_of_weighted_rows():
    found = fit_groups(FRAME, "site", ["gamma", "weibull"], sample_weight="w")
    np.testing.assert_allclose(found.score(FRAME, "site", sample_weight="w"), found.mean_log_likelihood, rtol=1e-9)
    np.testing.assert_allclose(
        found.score(FRAME, "site", sample_weight=COUNTS), found.score(REPEATED, "site"), rtol=1e-12
    )
    none = found.score(FRAME, "site", sample_weight=np.where(LABELS == "b", 0, COUNTS))
    assert np.isnan(none[:, 0]).tolist() == [label == "b" for label in "abcdef"]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("v", "no column 'v'"),
        (-np.ones(len(LABELS)), "row 0 has weight -1"),
        (np.ones(3), r"shape \(3,\) for 177 rows"),
        (np.zeros(len(LABELS)), "zero in every row"),
        (np.where(np.arange(len(LABELS)) == 5, np.nan, 1.0), "row 5 has weight nan"),
        (pd.Series(COUNTS, index=FRAME.index[::-1]), "sample_weight has another index than X"),
    ],
)
def test_weights_that_are_none(weights, message):
    with pytest.raises(ValueError, match=message):
        fit_groups(FRAME, "site", "gamma", columns="a", sample_weight=weights)
    with pytest.raises(SourceError, match="names no weights"):
        fit_groups(FRAME[["a"]].to_numpy(), LABELS, "gamma", sample_weight="w")


class Stream:
    """Gives a stream of Arrow to whom asks."""

    def __init__(self, table):
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


STREAMS = {
    "lazy": lambda table: pl.from_arrow(table).lazy(),
    "duckdb": lambda table: duckdb.connect().from_arrow(table),
    "dataset": dataset.dataset,
    "stream": Stream,
    "reader": lambda table: table.to_reader(max_chunksize=50),
}


@pytest.mark.parametrize("kind", STREAMS)
def test_weighted_rows_of_streams(kind):
    table = pa.Table.from_pandas(FRAME.assign(deep=[[1]] * len(FRAME)), preserve_index=False)
    wanted = fit_groups(FRAME, "site", ["gamma", "weibull"], columns="a", sample_weight="w")
    found = fit_groups(STREAMS[kind](table), "site", ["gamma", "weibull"], columns="a", sample_weight="w")
    for name, values in wanted.params.items():
        np.testing.assert_array_equal(found.params[name], values)
    np.testing.assert_array_equal(found.total_weight, wanted.total_weight)
    plain = STREAMS[kind](table.select(["w", "a", "site"]))
    np.testing.assert_array_equal(
        wanted.score(plain, "site", sample_weight="w"), wanted.score(FRAME, "site", sample_weight="w")
    )
    whole = fit_groups(STREAMS[kind](table.select(["w", "a", "site"])), "site", "gamma", sample_weight="w")
    assert whole.columns == ["a"]
    with pytest.raises(SourceError, match="no column 'v'"):
        fit_groups(STREAMS[kind](table), "site", columns="a", sample_weight="v")
    with pytest.raises(SourceError, match="no column 'place' for the groups"):
        fit_groups(STREAMS[kind](table), "place", columns="a")
