"""Dates, spans of time, NaT, set masks and missing labels: refused by every estimator and function, with the column named."""

import datetime
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from sklearn.preprocessing import StandardScaler

import fastkl
from fastkl import DensityMLE, KLDivergence, ProductDensity, TransformedDensity
from fastkl.cli import main
from fastkl.exceptions import SourceError
from fastkl.selection import cross_validated_log_density

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")
duckdb = pytest.importorskip("duckdb")

N = 12
X = np.random.default_rng(0).gamma(2.0, size=(N, 2))
FITTED = DensityMLE("normal").fit(X)
LABELLED = DensityMLE("categorical").fit(X.round())
KERNELS = fastkl.KernelDensityMLE(0.5).fit(X)
DAYS = np.arange(N).astype("datetime64[D]")
SPANS = np.arange(N).astype("timedelta64[s]")
PYTHON_DAYS = DAYS.tolist()


def beside(column):
    """A table of numbers with a second column."""
    return pd.DataFrame({"x": X[:, 0], "day": column})


DATES = {
    "datetime64": np.column_stack([DAYS, DAYS]),
    "timedelta64": np.column_stack([SPANS, SPANS]),
    "NaT": np.full((N, 2), "NaT", dtype="datetime64[ns]"),
    "objects": np.column_stack([X[:, 0].astype(object), np.array(PYTHON_DAYS, dtype=object)]),
    "nanoseconds": np.array([[1.0, np.datetime64(i, "ns")] for i in range(N)], dtype=object),
    "list": [[1.0, day] for day in PYTHON_DAYS],
    "pandas": beside(DAYS),
    "pandas zone": beside(pd.date_range("2020", periods=N, tz="UTC")),
    "pandas span": beside(SPANS),
    "pandas NaT": beside(np.where(np.arange(N) == 3, np.datetime64("NaT", "D"), DAYS)),
    "pandas objects": beside(np.array(PYTHON_DAYS, dtype=object)),
    "polars": pl.DataFrame({"x": X[:, 0], "day": PYTHON_DAYS}),
    "polars span": pl.DataFrame({"x": X[:, 0], "day": [datetime.timedelta(i) for i in range(N)]}),
    "arrow": pa.table({"x": X[:, 0], "day": pa.array(PYTHON_DAYS)}),
}
MASKED = {
    "masked": np.ma.array(X, mask=np.arange(2 * N).reshape(N, 2) == 7),
    "rows": [np.ma.array(row, mask=[False, i == 3]) for i, row in enumerate(X)],
}

IN_MEMORY = {
    "fit": lambda bad: DensityMLE("normal").fit(bad),
    "fit labels": lambda bad: DensityMLE("categorical").fit(bad),
    "partial_fit": lambda bad: DensityMLE("normal").partial_fit(bad),
    "score": lambda bad: FITTED.score(bad),
    "score_samples": lambda bad: FITTED.score_samples(bad),
    "score labels": lambda bad: LABELLED.score(bad),
    "log_likelihood": lambda bad: FITTED.log_likelihood(bad),
    "cross_entropy of a density": lambda bad: FITTED.cross_entropy(bad),
    "kl of a density": lambda bad: FITTED.kl_divergence(bad),
    "gradient": lambda bad: FITTED.gradient(bad),
    "robust_covariance": lambda bad: FITTED.robust_covariance(bad),
    "product": lambda bad: ProductDensity([("all", DensityMLE("normal"), [0, 1])]).fit(bad),
    "transformed": lambda bad: TransformedDensity(StandardScaler(), DensityMLE("normal")).fit(bad),
    "KLDivergence.fit": lambda bad: KLDivergence().fit(bad),
    "KLDivergence.estimate": lambda bad: KLDivergence().fit(X).estimate(bad),
    "entropy": fastkl.entropy,
    "cross_entropy": lambda bad: fastkl.cross_entropy(bad, FITTED),
    "kl_divergence p": lambda bad: fastkl.kl_divergence(bad, X),
    "kl_divergence q": lambda bad: fastkl.kl_divergence(X, bad),
    "kl_divergence model": lambda bad: fastkl.kl_divergence(bad, FITTED),
    "kl_divergence_sweep": lambda bad: fastkl.kl_divergence_sweep(X, bad, [1, 2]),
    "jeffreys": lambda bad: fastkl.jeffreys(X, bad),
    "jensen_shannon": lambda bad: fastkl.jensen_shannon(bad, X),
    "permutation_test": lambda bad: fastkl.permutation_test(X, bad),
    "kl_lower_bound": lambda bad: fastkl.kl_lower_bound(bad, X),
    "subsampling_interval": lambda bad: fastkl.subsampling_interval(bad, X),
    "empirical": fastkl.empirical,
    "categorical_entropy": fastkl.categorical_entropy,
    "categorical_kl": lambda bad: fastkl.categorical_kl(bad, bad),
    "categorical_cross_entropy": lambda bad: fastkl.categorical_cross_entropy(bad, bad),
    "discrete_entropy": fastkl.discrete_entropy,
    "discrete_kl": lambda bad: fastkl.discrete_kl(bad, [0.5, 0.5]),
    "discrete_cross_entropy": lambda bad: fastkl.discrete_cross_entropy([0.5, 0.5], bad),
    "make_product_density": fastkl.make_product_density,
    "compare_densities": lambda bad: fastkl.compare_densities({"normal": FITTED}, bad),
    "vuong_test": lambda bad: fastkl.vuong_test(FITTED, FITTED, bad),
    "neg_cross_entropy": lambda bad: fastkl.neg_cross_entropy(FITTED, bad),
    "kl scorer": lambda bad: fastkl.make_kl_scorer()(FITTED, bad),
    "cross-validation": lambda bad: cross_validated_log_density(DensityMLE("normal"), bad),
    "figure": lambda bad: fastkl.DensityDisplay.from_estimator(FITTED, bad),
    "mixture": lambda bad: fastkl.MixtureMLE(2, random_state=0).fit(bad),
    "factor analysis": lambda bad: fastkl.FactorAnalysisMLE(1).fit(bad),
    "kernel density": lambda bad: fastkl.KernelDensityMLE().fit(bad),
    "kernel density score": lambda bad: KERNELS.score_samples(bad),
    "outliers": lambda bad: fastkl.DensityOutlierDetector(FITTED).fit(bad),
    "choose_components": lambda bad: fastkl.choose_components(bad, [1, 2], random_state=0),
    "goodness_of_fit": lambda bad: FITTED.goodness_of_fit(bad),
    "pairwise_divergence": lambda bad: fastkl.pairwise_divergence([X, bad]),
    "renyi_divergence": lambda bad: fastkl.renyi_divergence(bad, bad, 0.5),
    "mutual_information": lambda bad: fastkl.mutual_information(bad, bad),
    "population_stability_index": lambda bad: fastkl.population_stability_index(X, bad),
}
IN_BATCHES = {
    "fit_batches": lambda bad: DensityMLE("normal").fit_batches(bad),
    "fit_batches labels": lambda bad: DensityMLE("categorical").fit_batches(bad),
    "score_batches": lambda bad: FITTED.score_batches(bad),
    "score_samples_batches": lambda bad: FITTED.score_samples_batches(bad),
    "entropy_batches": fastkl.entropy_batches,
    "kl_divergence_batches": lambda bad: fastkl.kl_divergence_batches(bad, X),
    "cross_entropy_batches": lambda bad: fastkl.cross_entropy_batches(X, bad),
}
# a row without label, as the categorical functions say it, or a masked one, also names the place
NAMED = r"(?i)column [01'](?:day)?|row \d+ of (?:x|p)|^pk|^qk|of pk|dtype"


@pytest.mark.parametrize("call", IN_MEMORY)
@pytest.mark.parametrize("kind", DATES)
def test_dates_are_refused(call, kind):
    with pytest.raises((ValueError, TypeError), match=NAMED):
        IN_MEMORY[call](DATES[kind])


@pytest.mark.parametrize("call", IN_MEMORY)
@pytest.mark.parametrize("kind", MASKED)
def test_set_masks_are_refused(call, kind):
    with pytest.raises(ValueError, match=r"masked values, the first in row 3, column 1|Row 3 of (column 1 of )?[xp]"):
        IN_MEMORY[call](MASKED[kind])


def with_value(value, dtype=float):
    """The rows with this value in row 3, column 1."""
    rows = X.astype(dtype)
    rows[3, 1] = value
    return rows


def with_object(value):
    """The same of a value that may be a list or an array."""
    rows = X.astype(object)
    rows[3, 1:] = np.fromiter([value], dtype=object)
    return rows


NO_NUMBERS = {
    "NaN": with_value(np.nan),
    "inf": with_value(np.inf),
    "-inf": with_value(-np.inf, np.float32),
    "complex": with_value(1j, complex),
    "text": with_value("abc", object),
    "beyond floats": with_value(10**400, object),
    "list": pd.DataFrame({"x": X[:, 0], "y": pd.Series([[2.0] if i == 3 else 1.0 for i in range(N)], dtype=object)}),
    "pandas NaN": pd.DataFrame(with_value(np.nan), columns=["x", "y"]),
    "polars null": pl.DataFrame({"x": X[:, 0], "y": [None if i == 3 else float(i) for i in range(N)]}),
    "one name twice": pd.DataFrame(X, columns=["x", "x"]),
}
PLACED = r"(?i)row 3\b|two columns named 'x'|complex"
OF_NUMBERS = [call for call in IN_MEMORY if not any(word in call for word in ("labels", "categorical", "discrete"))]
TAKEN = {  # mixtures take missing values; a table of texts and numbers is one of labels, which these two are made for
    *((call, kind) for call in ("mixture", "choose_components") for kind in ("NaN", "pandas NaN", "polars null")),
    ("make_product_density", "text"),
    ("population_stability_index", "text"),
    ("population_stability_index", "complex"),
}


@pytest.mark.parametrize(
    ("call", "kind"), [(call, kind) for call in OF_NUMBERS for kind in NO_NUMBERS if (call, kind) not in TAKEN]
)
@pytest.mark.filterwarnings("ignore:X has feature names")
def test_what_is_no_number_is_refused_with_its_place(call, kind):
    with pytest.raises((ValueError, fastkl.ColumnTypeError), match=PLACED):
        IN_MEMORY[call](NO_NUMBERS[kind])


@pytest.mark.parametrize("values", [["a", 1.0, "b"], [1.0, 2.0, "b"]])
def test_a_column_of_numbers_and_texts_is_no_sample(values):
    with pytest.raises(fastkl.ColumnTypeError, match="of column 0"):
        fastkl.empirical(np.array(values, dtype=object))
    with pytest.raises(fastkl.ColumnTypeError, match="reference holds numbers and current holds labels"):
        fastkl.population_stability_index([1.0, 2.0, 3.0], np.array(values, dtype=object))


def test_a_column_of_numbers_and_other_objects_is_no_sample():
    with pytest.raises(fastkl.ColumnTypeError, match="b'x' in row 1 of column 0"):
        fastkl.empirical(np.array([1.0, b"x", 2.0], dtype=object))


@pytest.mark.parametrize("call", IN_BATCHES)
@pytest.mark.parametrize("value", [10**400, Fraction(10**400, 3), [1.0], np.ones(2), {}])
def test_objects_in_batches_that_are_neither_numbers_nor_labels(call, value):
    with pytest.raises(SourceError, match=r"(?i)row 3, column 1 holds|column 1 holds lists or records \(.* in row 3\)"):
        IN_BATCHES[call]([with_object(value)])


@pytest.mark.parametrize("call", ["fit", "fit labels", "partial_fit", "score", "score labels", "product", "mixture"])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (pd.DataFrame(), "empty|0 sample"),
        (pd.DataFrame({"x": [], "y": []}), "empty|0 sample"),
        ([[1.0, 2.0], [3.0, 4.0], [5.0]], "X: row 0 has length 2, row 2 has length 1"),
        ([[1.0, 2.0], 3.0], "X: row 0 has length 2, row 1 is a single value"),
        ([{"x": 1.0, "y": 2.0}] * N, "X is a list of dicts: make a table of them by pandas.DataFrame"),
        (np.rec.fromarrays(X.T, names="x,y"), "records with the fields 'x', 'y': pass pandas.DataFrame"),
        (pd.DataFrame({"x": pd.arrays.SparseArray(X[:, 0]), "y": pd.arrays.SparseArray(X[:, 1])}), "sparse.to_dense"),
    ],
    ids=["no columns", "no rows", "uneven", "number", "dicts", "records", "sparse"],
)
def test_rows_of_another_form_are_refused_by_name(call, bad, message):
    with pytest.raises(ValueError, match=message):
        IN_MEMORY[call](bad)


@pytest.mark.parametrize("call", IN_BATCHES)
@pytest.mark.parametrize("kind", [kind for kind in DATES if kind != "list"])
@pytest.mark.parametrize("batches", [False, True])
def test_dates_in_batches_are_refused(call, kind, batches):
    bad = [DATES[kind]] if batches else DATES[kind]
    with pytest.raises((ValueError, TypeError), match=NAMED):
        IN_BATCHES[call](bad)


@pytest.mark.parametrize("call", IN_BATCHES)
@pytest.mark.parametrize("batches", [False, True])
def test_set_masks_in_batches_are_refused(call, batches):
    bad = [MASKED["masked"]] if batches else MASKED["masked"]
    with pytest.raises(ValueError, match="masked values, the first in row 3, column 1"):
        IN_BATCHES[call](bad)


@pytest.mark.parametrize("missing", [np.nan, None, pd.NA, np.datetime64("NaT", "D")])
def test_a_missing_label_in_a_list_is_no_category(missing):
    rows = [["a"], [missing], ["b"]]
    with pytest.raises(ValueError, match="row 1, column 0"):
        DensityMLE("categorical").fit(rows)
    with pytest.raises(ValueError, match="row 1"):
        DensityMLE("categorical").fit_batches([rows])
    with pytest.raises(ValueError, match="row 1"):
        DensityMLE("categorical").fit_batches(rows)
    with pytest.raises(ValueError, match="(?i)row 1, column 0"):
        fastkl.make_product_density(rows)
    with pytest.raises(ValueError, match="Row 1 of x|row 1, column 0"):
        fastkl.categorical_entropy([label for (label,) in rows])
    labels = DensityMLE("categorical").fit([["a"], ["nan"], ["b"]]).categories_[0].tolist()
    assert labels == ["a", "b", "nan"]


def test_an_unset_mask_and_booleans_are_read_as_numbers():
    unset = np.ma.array(X, mask=np.zeros(X.shape, dtype=bool))
    np.testing.assert_array_equal(DensityMLE("normal").fit(unset).params_["loc"], FITTED.params_["loc"])
    flags = X > 1.0
    expected = DensityMLE("bernoulli").fit(flags.astype(float)).params_["probability"]
    np.testing.assert_array_equal(DensityMLE("bernoulli").fit(flags).params_["probability"], expected)
    np.testing.assert_array_equal(DensityMLE("bernoulli").fit_batches(flags).params_["probability"], expected)


@pytest.mark.parametrize(
    "weights",
    [
        DAYS,
        SPANS,
        np.ma.array(np.ones(N), mask=np.arange(N) == 3),
        ["a"] * N,
        10**400,
        [10**400] * N,
        [[1.0], [2.0, 3.0]],
    ],
)
def test_such_weights_are_refused(weights):
    for call in (
        lambda: DensityMLE("normal").fit(X, sample_weight=weights),
        lambda: fastkl.entropy(X, sample_weight_p=weights),
        lambda: KLDivergence().fit(X, sample_weight=weights),
        lambda: fastkl.categorical_entropy(X[:, 0], sample_weight=weights),
        lambda: fastkl.empirical(X, sample_weight=weights),
    ):
        with pytest.raises((ValueError, TypeError), match="sample_weight"):
            call()


WEIGHED = {
    "fit": lambda X, w: DensityMLE("normal").fit(X, sample_weight=w),
    "score": lambda X, w: DensityMLE("normal").fit(X).score(X, sample_weight=w),
    "fit_batches": lambda X, w: DensityMLE("normal").fit_batches(X, sample_weight=w),
    "bic": lambda X, w: DensityMLE("normal").fit(X).bic(X, w),
    "cross_entropy of labels": lambda X, w: DensityMLE("categorical").fit(X).cross_entropy(X, w),
    "mixture": lambda X, w: fastkl.MixtureMLE(1, random_state=0).fit(X, sample_weight=w),
    "kernel density": lambda X, w: fastkl.KernelDensityMLE(0.5).fit(X, sample_weight=w),
    "shape": lambda X, w: fastkl.ShapeConstrainedMLE().fit(X[["x"]], sample_weight=w),
    "product": lambda X, w: ProductDensity([("all", DensityMLE("normal"), ["x", "y"])]).fit(X, sample_weight=w),
    "product score": lambda X, w: ProductDensity([("all", DensityMLE("normal"), ["x", "y"])]).fit(X).score(X, None, w),
    "transformed": lambda X, w: TransformedDensity(None, DensityMLE("normal")).fit(X, sample_weight=w),
    "outliers": lambda X, w: fastkl.DensityOutlierDetector(DensityMLE("normal")).fit(X, sample_weight=w),
    "goodness_of_fit": lambda X, w: DensityMLE("normal").fit(X).goodness_of_fit(X, w, n_bootstrap=0),
    "make_product_density": lambda X, w: fastkl.make_product_density(X, sample_weight=w),
    "compare_densities": lambda X, w: fastkl.compare_densities({"normal": DensityMLE("normal").fit(X)}, X, w),
    "vuong_test": lambda X, w: fastkl.vuong_test(*[DensityMLE(name).fit(X) for name in ("normal", "gamma")], X, w),
    "rank_families": lambda X, w: fastkl.rank_families(X, families=["normal"], sample_weight=w, cv=2),
    "cross-validation": lambda X, w: cross_validated_log_density(DensityMLE("normal"), X, sample_weight=w),
    "scorer": lambda X, w: fastkl.neg_cross_entropy(DensityMLE("normal").fit(X), X, sample_weight=w),
    "entropy": lambda X, w: fastkl.entropy(X, sample_weight_p=w),
}


@pytest.mark.parametrize("call", WEIGHED)
def test_weights_with_the_index_of_the_rows_in_another_order_are_refused(call):
    table, weights = pd.DataFrame(X, columns=["x", "y"]), pd.Series(np.arange(1.0, N + 1.0))
    with pytest.raises(SourceError, match=r"same index in different order: row 0 is 0 in one and 11 in the other"):
        WEIGHED[call](table, weights[::-1])
    WEIGHED[call](table, weights)
    WEIGHED[call](table, weights[::-1].to_numpy())
    WEIGHED[call](table, weights[::-1].set_axis(range(100, 100 + N)))  # labels of other rows: by the place


def test_dask_collections_with_dates_or_masks_are_refused():
    da, dd = pytest.importorskip("dask.array"), pytest.importorskip("dask.dataframe")
    with pytest.raises(fastkl.ColumnTypeError, match="Column 0 holds datetime64"):
        DensityMLE("normal").fit_batches(da.from_array(DATES["datetime64"], chunks=(5, 2)))
    with pytest.raises(fastkl.ColumnTypeError, match="Column 'day' holds datetime64"):
        DensityMLE("normal").fit_batches(dd.from_pandas(DATES["pandas"], npartitions=2))
    masked = da.from_array(X, chunks=(5, 2)).map_blocks(lambda chunk: np.ma.masked_greater(chunk, 1.0))
    with pytest.raises(ValueError, match="masked values, the first in row"):
        DensityMLE("normal").fit_batches(masked)


@pytest.mark.parametrize(("command", "ends"), [("fit", 0), ("score", 2), ("kl", 0)])
def test_the_command_line_names_the_column(command, ends, tmp_path, capsys):
    """A fit leaves dates out and says so, two files are compared in them as days, and a model has no place for them."""
    path, model = tmp_path / "rows.parquet", tmp_path / "model"
    DATES["pandas"].to_parquet(path)
    FITTED.save(model)
    arguments = {"fit": [path], "score": [model, path], "kl": [path, path]}[command]
    assert main([command, *map(str, arguments)]) == ends
    said = capsys.readouterr()
    assert "day" in (said.out if command == "kl" else said.out + said.err)
    if command == "fit":
        assert "Left out, column 'day': looks like dates" in said.out


# -- rows that have to be read first --------------------------------------------------------------------------------------------

READ = pd.DataFrame({"x": X[:, 0], "y": X[:, 1]})
UNREAD = {
    "str": (lambda: "rows.csv", "a path or text ('rows.csv')"),
    "path": (lambda: Path("rows.csv"), "a path or text ('rows.csv')"),
    "polars": (lambda: pl.from_pandas(READ).lazy(), "a LazyFrame"),
    "duckdb": (lambda: duckdb.sql("SELECT * FROM READ"), "a relation of duckdb"),
}
ROWS_IN_MEMORY = {name: call for name, call in IN_MEMORY.items() if not name.startswith("discrete_")} | {
    "product by name": lambda bad: ProductDensity([("x", DensityMLE("normal"), ["x"])]).fit(bad),
    "sample_weight": lambda bad: DensityMLE("normal").fit(X, sample_weight=bad),
    "rank_families": fastkl.rank_families,
    "compare_tables": lambda bad: fastkl.compare_tables(bad, bad),
}


@pytest.mark.parametrize("source", UNREAD)
@pytest.mark.parametrize("call", ROWS_IN_MEMORY)
def test_sources_are_to_be_read_first(call, source):
    """On one line, and without a warning of polars, for which the schema of the query would be resolved."""
    make, what = UNREAD[source]
    with pytest.raises(fastkl.SourceError, match=re.escape(f" is {what}, and rows in memory are needed: ")) as caught:
        ROWS_IN_MEMORY[call](make())
    assert "fit_batches" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("source", ["str", "path"])
def test_groups_are_read_from_queries_and_not_from_paths(source):
    make, what = UNREAD[source]
    with pytest.raises(fastkl.SourceError, match=re.escape(f" is {what}, and rows in memory are needed: ")):
        fastkl.fit_groups(make(), by="x")


@pytest.mark.parametrize(
    "estimator",
    [DensityMLE("normal"), DensityMLE("categorical"), fastkl.MixtureMLE(2), fastkl.KernelDensityMLE()],
    ids=repr,
)
@pytest.mark.parametrize(
    "X",
    [
        {"a": [1.0, 2.0]},
        {1.0, 2.0},
        (row for row in [[1.0], [2.0]]),
        {"a": 1.0, "b": 2.0}.values(),
        stats.CensoredData([1.0, 2.0]),
        stats.norm(),
    ],
    ids=["dict", "set", "generator", "values", "object", "distribution"],
)
def test_what_has_no_order_of_rows_is_named(estimator, X):
    with pytest.raises((TypeError, ValueError), match=f"X is a {type(X).__name__}, not an array or a table of rows"):
        estimator.fit(X)


@pytest.mark.parametrize("call", [fastkl.entropy, fastkl.categorical_entropy, fastkl.discrete_entropy])
@pytest.mark.parametrize("make", [dict.values, iter, set], ids=["values", "iterator", "set"])
def test_values_without_an_array_are_named(call, make):
    data = make({"a": 1.0, "b": 2.0})
    with pytest.raises(TypeError, match=rf"is a {type(data).__name__}, not an array or a table of rows.* list\("):
        call(data)
