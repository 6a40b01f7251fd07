"""Dask collections that are not rows, or hold what no fit takes: messages name the partition and the row."""

import operator

import numpy as np
import pandas as pd
import pytest

from fastkl import DensityMLE, SourceError
from fastkl.rows import Block
from fastkl.rows.dask.source import DaskSource

da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")
dask = pytest.importorskip("dask")

N = 3000


@pytest.fixture(scope="module", name="X")
def rows():
    return np.random.default_rng(0).gamma(2.0, size=(N, 3)) * [1.0, 10.0, 0.1]


@pytest.fixture(scope="module")
def weights():
    return np.random.default_rng(1).integers(0, 4, N).astype(float)


def rows_in(block: Block):
    return len(block.X)


def frame_of(X, **columns):
    return pd.DataFrame(X, columns=["a", "b", "c"]).assign(**columns)


def test_nan_names_partition_and_row(X):
    bad = X.copy()
    bad[[1500, 2900], [1, 2]] = np.nan  # two of them: the first is named, whichever task comes upon it first
    x = da.from_array(bad, chunks=(701, 3))
    with pytest.raises(ValueError, match=r"Partition 2 of the Dask collection: .* NaN: row 1500 .*column 1") as error:
        DensityMLE("normal").fit_batches(x)
    assert "2900" not in str(error.value)
    frame = dd.from_pandas(frame_of(bad), npartitions=4)  # partitions of 750 rows, a number that is not known before
    with pytest.raises(ValueError, match=r"Partition 2 .*rows counted from its start.* row 0 .*column 1 \('b'\)"):
        DensityMLE("normal").fit_batches(frame)


def test_bad_weight_names_its_row(X, weights):
    weights = weights.copy()
    weights[1500] = np.nan
    with pytest.raises(ValueError, match=r"Partition 2 of the Dask collection: .*row 1500 .*has weight nan"):
        DensityMLE("normal").fit_batches(da.from_array(X, chunks=(701, 3)), sample_weight=weights)


def test_errors_of_reading_come_as_they_are(X):
    def unreadable(chunk, block_info=None):
        if block_info[0]["chunk-location"][0] == 2:
            raise OSError("the disk is gone")
        return chunk

    x = da.from_array(X, chunks=(1000, 3)).map_blocks(unreadable, dtype=float, meta=np.empty((0, 0)))
    with pytest.raises(OSError, match="the disk is gone"):
        DensityMLE("normal").fit_batches(x)


def test_value_outside_the_support(X):
    bad = X.copy()
    bad[1500, 1] = -1.0
    model = DensityMLE("gamma")
    with pytest.raises(ValueError, match=r"Partition 2 of the Dask collection: .*row 1500"):
        model.fit_batches(da.from_array(bad, chunks=(701, 3)))
    assert not hasattr(model, "params_")


def test_columns_that_are_not_there(X):
    frame = dd.from_pandas(frame_of(X), npartitions=2)
    with pytest.raises(SourceError, match=r"no column 'z'; its columns are 'a', 'b', 'c'"):
        DensityMLE("normal").fit_batches(frame, columns=["a", "z"])
    with pytest.raises(SourceError, match="no column 3"):
        DensityMLE("normal").fit_batches(da.from_array(X), columns=[0, 3])
    with pytest.raises(SourceError, match="no column 'w'"):
        DensityMLE("normal").fit_batches(frame, sample_weight="w")
    model = DensityMLE("normal").fit_batches(frame)
    with pytest.raises(SourceError, match="2 columns"):
        model.score_batches(da.from_array(X[:, :2]))


def test_objects_are_found_before_a_pass(X):
    read = []

    def partition(number):
        read.append(number)
        return frame_of(X[:10], c=["u"] * 10)

    frame = dd.from_map(partition, range(4), meta=frame_of(X[:0], c=pd.Series(dtype=object)))
    with pytest.raises(SourceError, match=r"Partition 0 .*column 'c'.*holds 'u' in row 0, which is not a number"):
        DensityMLE("normal").fit_batches(frame)
    assert read == [0]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda x: x[:, 0], "1 dimensions"),
        (lambda x: x[None], "3 dimensions"),
        (lambda x: x.map_blocks(lambda chunk: np.ma.masked_less(chunk, 1.0)), "masked values"),
        (lambda x: dd.from_dask_array(x[:, 0]), "to_frame"),
        (lambda x: dask.delayed(x), "Delayed"),
    ],
)
def test_collections_that_are_not_rows(X, wrong, message):
    with pytest.raises(SourceError, match=message):
        DensityMLE("normal").fit_batches(wrong(da.from_array(X, chunks=(1000, 3))))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda x, w: w[:-1], r"shape \(2999,\), the source has 3000 rows"),
        (lambda x, w: da.from_array(w[:-1], chunks=500), "2999 entries, the source has 3000 rows"),
        (lambda x, w: x, "2 dimensions"),
        (lambda x, w: "w", "name of a column"),
        (lambda x, w: da.from_array(w - 1.0, chunks=500), "at least 0"),
        (lambda x, w: np.zeros(N), "zero in every row"),
    ],
)
def test_wrong_weights(X, weights, wrong, message):
    x = da.from_array(X, chunks=(1000, 3))
    with pytest.raises(ValueError, match=message):
        DensityMLE("normal").fit_batches(x, sample_weight=wrong(x, weights))


def test_weights_of_another_frame(X, weights):
    frame = dd.from_pandas(frame_of(X), npartitions=3)
    shuffled = dd.from_pandas(pd.Series(weights, index=np.arange(N) + 1), npartitions=3)
    with pytest.raises(SourceError, match="different indices"):
        DensityMLE("normal").fit_batches(frame, sample_weight=shuffled)
    with pytest.raises(SourceError, match="2 partitions, the rows have 3"):
        DensityMLE("normal").fit_batches(frame, sample_weight=dd.from_pandas(pd.Series(weights), npartitions=2))
    with pytest.raises(SourceError, match="lengths of the partitions are not known"):
        DensityMLE("normal").fit_batches(frame, sample_weight=weights)


def test_other_rows_in_every_pass(X):
    passes = []

    def other(chunk):
        passes.append(1)
        return chunk[: len(chunk) - len(passes)]

    x = da.from_array(X, chunks=(N, 3)).map_blocks(other, dtype=float, meta=np.empty((0, 0)), chunks=((np.nan,), (3,)))
    source = DaskSource(x)
    source.sum(rows_in, operator.add)
    with pytest.raises(SourceError, match=r"Partition 0 .* had 2999 rows in an earlier pass and 2998"):
        source.sum(rows_in, operator.add)
