"""Queries as sources: polars LazyFrame, duckdb relations, Arrow streams. What they give is what the same rows in memory give."""

import sys

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import dataset, parquet

from fastkl import (
    DensityMLE,
    SourceError,
    compare_tables,
    entropy_batches,
    kl_divergence,
    kl_divergence_batches,
    rank_families,
)
from fastkl.rows import open_source

RNG = np.random.default_rng(0)
X = RNG.gamma(2.0, size=(2000, 2))
TABLE = pa.table({"a": X[:, 0], "label": ["x"] * 2000, 'b "2"': X[:, 1], "w": RNG.integers(0, 3, 2000)})
NAMES = ["a", 'b "2"']


class Once:
    """Gives its stream to whom asks first."""

    def __init__(self, table):
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        if self._table is None:
            raise ValueError("this stream has been given away")
        table, self._table = self._table, None
        return table.__arrow_c_stream__(requested_schema)


def lazy(table):
    return pl.from_arrow(table).lazy()


def relation(table):
    return duckdb.connect().from_arrow(table)


@pytest.fixture(params=[lazy, relation], ids=["polars", "duckdb"])
def query(request):
    return request.param


@pytest.mark.parametrize("family", ["normal", "weibull"])  # one pass, several
def test_fit_and_scores(query, family):
    source = query(TABLE)
    weights = TABLE["w"].to_numpy()
    found = DensityMLE(family).fit_batches(source, columns=NAMES, sample_weight="w", batch_rows=300)
    wanted = DensityMLE(family).fit(X, sample_weight=weights)
    for name, value in wanted.params_.items():
        np.testing.assert_allclose(found.params_[name], value, rtol=1e-9)
    assert float(found.score_batches(source, sample_weight="w")) == pytest.approx(
        wanted.score(X, None, weights), rel=1e-12
    )
    np.testing.assert_allclose(found.score_samples_batches(source), wanted.score_samples(X), rtol=1e-8)  # by names


def test_the_same_bits_in_every_pass_and_for_any_number_of_threads(query):
    results = [
        DensityMLE("weibull", n_jobs=n).fit_batches(query(TABLE), columns=NAMES, batch_rows=128) for n in (1, 2, 3)
    ]
    assert len({one.params_["shape"].tobytes() for one in results}) == 1


def test_divergence():
    p, q = TABLE.slice(0, 900).select(["a"]), TABLE.slice(900).select(["a"])
    wanted = kl_divergence_batches([X[:900, :1]], [X[900:, :1]], shard_rows=300)
    assert kl_divergence_batches(lazy(p), lazy(q), shard_rows=300) == wanted
    with pytest.raises(SourceError, match="q is a relation of duckdb, .* it needs shard_rows=1101 or more"):
        kl_divergence_batches(lazy(p), relation(q), shard_rows=300)
    # one shard of each: a result is read to its end before the next begins
    wanted = kl_divergence_batches([X[:900, :1]], [X[900:, :1]])
    connection = duckdb.connect()
    assert kl_divergence_batches(connection.from_arrow(p), connection.from_arrow(q)) == wanted
    assert entropy_batches(relation(p)) == entropy_batches([X[:900, :1]])


def test_columns_that_are_not_there(query):
    with pytest.raises(SourceError, match=r"(LazyFrame|relation) has no column 'c'"):
        DensityMLE().fit_batches(query(TABLE), columns=["a", "c"])
    with pytest.raises(SourceError, match="no column 'v' for the weights"):
        DensityMLE().fit_batches(query(TABLE), columns=["a"], sample_weight="v")
    model = DensityMLE().fit_batches(query(TABLE), columns=NAMES)
    with pytest.raises(ValueError, match='b "2"'):
        model.score_batches(query(TABLE.select(["a", "w"])))


def test_columns_that_are_no_numbers(query):
    with pytest.raises(SourceError, match="column 'label'"):
        DensityMLE().fit_batches(query(TABLE))
    holes = pa.table({"a": pa.array([1.0, 2.0, None, 4.0])})
    with pytest.raises(ValueError, match=r"(?s)row 2.*a|a.*row 2"):
        DensityMLE("normal").fit_batches(query(holes))


def test_no_rows(query):
    for family in ("normal", "weibull"):
        with pytest.raises(SourceError, match="holds no rows"):
            DensityMLE(family).fit_batches(query(TABLE.slice(0, 0)), columns=["a"])


def test_labels(query):
    model = DensityMLE("categorical").fit_batches(query(TABLE), columns=["label"])
    assert model.categories_[0].tolist() == ["x"]


def test_a_stream_that_is_given_once():
    found = DensityMLE("normal").fit_batches(Once(TABLE.select(NAMES)))
    np.testing.assert_allclose(found.params_["loc"], X.mean(axis=0), rtol=1e-12)
    with pytest.raises(SourceError, match="several times"):
        DensityMLE("weibull").fit_batches(Once(TABLE.select(NAMES)))
    with pytest.raises(TypeError, match="read only once"):
        kl_divergence_batches(Once(TABLE.select(NAMES)), X)
    opened = open_source(Once(TABLE.select(NAMES)))
    assert sum(len(block.X) for block in opened.blocks()) == 2000
    with pytest.raises(SourceError, match="cannot be read again"):
        list(opened.blocks())


def test_two_relations_of_one_connection():
    """duckdb streams one result of a connection at a time: that is said, with what to do, or both come whole."""
    connection = duckdb.connect()
    connection.register("t", TABLE)
    sources = [open_source(connection.sql(f"SELECT a FROM t WHERE a > {low}"), block_rows=100) for low in (0, 1)]
    first, said = iter(sources[0].blocks()), ""
    try:
        n = len(next(first).X)
        m = sum(len(block.X) for block in sources[1].blocks())
        n += sum(len(block.X) for block in first)  # the engine reads ahead, so either may come upon the other
    except SourceError as error:
        said = str(error)
    assert "a connection of its own" in said or (n, m) == (2000, (X[:, 0] > 1).sum())


def test_a_relation_whose_connection_has_a_result_half_read():
    connection = duckdb.connect()
    connection.execute("SELECT * FROM range(100000)").fetchone()
    try:  # versions before 2 close the other result
        found = DensityMLE("normal").fit_batches(connection.from_arrow(TABLE.select(["a"])))
    except SourceError as error:
        assert "a connection of its own" in str(error)  # noqa: PT017 (either will do)
    else:
        assert found.params_["loc"] == pytest.approx(X[:, :1].mean(axis=0), rel=1e-12)


def test_a_cursor_of_duckdb_is_no_source():
    with pytest.raises(TypeError, match=r"con.sql\(query\)"):
        DensityMLE().fit_batches(duckdb.connect().execute("SELECT 1.0 AS a"))


def test_a_scan_reads_what_is_asked_for(tmp_path):
    """The path of a user: a filter and a new column over a file, fitted without collecting it."""
    pl.from_arrow(TABLE).write_parquet(tmp_path / "rows.parquet")
    frame = pl.scan_parquet(tmp_path / "rows.parquet").filter(pl.col("a") > 1).with_columns(c=pl.col("a").log())
    found = DensityMLE("normal").fit_batches(frame, columns=["c"])
    logs = np.log(X[X[:, 0] > 1, 0])
    np.testing.assert_allclose(found.params_["loc"], [logs.mean()], rtol=1e-12)
    (tmp_path / "rows.parquet").unlink()
    with pytest.raises(FileNotFoundError):
        DensityMLE("normal").fit_batches(frame, columns=["c"])


class Changing:
    """Gives other columns from its third stream on: a look and a second look are the first two."""

    def __init__(self, later):
        self._asked, self._later = 0, later

    def __arrow_c_stream__(self, requested_schema=None):
        self._asked += 1
        first = pa.table({"a": np.arange(1.0, 9.0)})
        return (first if self._asked < 3 else self._later).__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize(
    ("later", "message"),
    [
        (pa.table({"c": np.arange(1.0, 9.0)}), "had a column 'a' when it was opened; now its columns are 'c'"),
        (pa.table({"a": [*"1234567x"]}), "column 'a' .* holds 'x' in row 7, which is not a number"),
        (pa.table({"a": np.arange(1.0, 7.0)}), "found 6 rows, 8 were expected"),
    ],
)
def test_a_stream_that_changes(later, message):
    model = DensityMLE("weibull")
    with pytest.raises(SourceError, match=message):
        model.fit_batches(Changing(later))
    assert not hasattr(model, "params_")


def test_what_to_install_for_a_relation(monkeypatch):
    source = relation(TABLE)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pip install 'fastkl\[files\]'"):
        DensityMLE("normal").fit_batches(source)


class Counted:
    """Counts how often it is opened."""

    def __init__(self, table):
        self.table, self.opened = table, 0

    def __arrow_c_stream__(self, requested_schema=None):
        self.opened += 1
        return self.table.__arrow_c_stream__(requested_schema)


def test_one_pass_opens_one_stream():
    source = Counted(TABLE.select(["a"]))
    found = DensityMLE("gamma").fit_batches(source)
    assert source.opened == 1
    assert found.params_["shape"][0] == pytest.approx(DensityMLE("gamma").fit(X[:, :1]).params_["shape"][0], rel=1e-9)
    DensityMLE("weibull").fit_batches(source)
    assert source.opened > 3


def test_a_dataset_gives_the_wanted_columns_and_rows(tmp_path):
    for part in range(3):
        parquet.write_table(TABLE.slice(700 * part, 700), tmp_path / f"{part}.parquet", row_group_size=200)
    rows = dataset.dataset(tmp_path)
    wanted = DensityMLE("weibull").fit(X, sample_weight=TABLE["w"].to_numpy())
    for source in (rows, dataset.dataset(TABLE)):
        found = DensityMLE("weibull").fit_batches(source, columns=NAMES, sample_weight="w", batch_rows=150)
        np.testing.assert_allclose(found.params_["shape"], wanted.params_["shape"], rtol=1e-9)
    some = rows.filter(dataset.field("a") > 2.0)
    kept = X[X[:, 0] > 2.0]
    np.testing.assert_allclose(
        DensityMLE("normal").fit_batches(some, columns=["a"]).params_["loc"], kept[:, 0].mean(), rtol=1e-12
    )
    with pytest.raises(SourceError, match="label"):
        DensityMLE("normal").fit_batches(rows)
    with pytest.raises(SourceError, match="nothing"):
        DensityMLE("normal").fit_batches(rows, columns=["nothing"])


def test_results_that_wait_hold_no_rows():
    block = next(iter(open_source(X, None, None, 100).blocks()))
    left = block.without_values()
    assert (left.X.shape, left.first_row) == (block.X.shape, block.first_row)
    assert left.X.base is not block.X
    assert left.X.strides == (0, 0)


@pytest.mark.parametrize("name", ["^a.*$", "*", "a.b", ".a", "[0]"])
def test_names_that_an_engine_could_take_for_a_pattern_or_a_path(query, name):
    table = pa.table({name: X[:, 0], "a1": X[:, 1]})
    for columns in ([name], [name, "a1"]):
        found = DensityMLE("normal").fit_batches(query(table), columns=columns)
        np.testing.assert_allclose(found.params_["loc"], X[:, : len(columns)].mean(axis=0), rtol=1e-12)


def test_streams_where_rows_are_needed():
    table = TABLE.select(["a"])
    streams = {
        r"a reader of Arrow batches.*\.read_all\(\)": table.to_reader(),
        r"a dataset of pyarrow.*\.to_table\(\)": dataset.dataset(table),
        r"an Arrow stream \(Once\).*pyarrow\.table": Once(table),
    }
    model = DensityMLE().fit(X[:, :1])
    for message, stream in streams.items():
        calls = [
            lambda rows: DensityMLE().fit(rows), model.score, lambda rows: kl_divergence(rows, X[:, :1]),
            lambda rows: compare_tables(rows, table), rank_families,
        ]  # fmt: skip
        for call in calls:
            with pytest.raises(SourceError, match=f"is {message}"):
                call(stream)
