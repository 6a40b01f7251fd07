"""Samples that are read in blocks: the estimates of the same rows in memory, whatever the blocks and the shards."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

from fastkl import (
    DegenerateDataError,
    SharedRowsWarning,
    cross_entropy,
    entropy,
    jeffreys,
    jensen_shannon,
    kl_divergence,
)
from fastkl.divergence import cross_entropy_batches, entropy_batches, kl_divergence_batches, sources
from fastkl.divergence.nearest import neighbors
from fastkl.divergence.nearest.coordinates import centre_and_spread

METHODS = ("common_radius", "knn", "bias_reduced")


def samples(d, kind, n=400, m=300):
    rng = np.random.default_rng(d)
    x, y = rng.normal(size=(n, d)), rng.normal(0.3, 1.5, (m, d))
    if kind == "tied":
        x, y = x.round(), y.round()
    elif kind == "float32":
        x, y = x.astype(np.float32), y.astype(np.float32)
    return x, y


def weights(n, m, which):
    rng = np.random.default_rng(5)
    p, q = rng.exponential(size=n) * 1e-200, rng.exponential(size=m) * 1e200
    p[3:40] = 0.0
    return {"sample_weight_p": p if "p" in which else None, "sample_weight_q": q if "q" in which else None}


def unequal_blocks(x):
    return np.split(x, [1, 2, 5, len(x) // 2])


def same_estimate(found, expected):
    assert found == pytest.approx(float(expected), rel=1e-11, abs=1e-12)
    assert found.standard_error == pytest.approx(expected.standard_error, rel=1e-10, nan_ok=True)
    assert (found.n_samples, found.method) == (expected.n_samples, expected.method)
    assert found.diagnostics["reasons"] == expected.diagnostics["reasons"]
    assert set(found.diagnostics) == set(expected.diagnostics)
    for key in ("k_sweep", "fixed_k_gap", "large_balls", "saturation", "shared_rows", "k_sweep_bias"):
        if key in expected.diagnostics:
            assert found.diagnostics[key] == pytest.approx(expected.diagnostics[key], rel=1e-9, abs=1e-12)


class Once:
    """Blocks that say of themselves that they come only once."""

    repeatable = False

    def blocks(self):
        raise AssertionError("must not be read")


class Blocks:
    """The interface of a source: blocks with their own weights, in memory that is used again for the next block."""

    def __init__(self, x, w, size):
        self.x, self.w, self.size = x, w, size

    def blocks(self):
        shared = np.empty((self.size, self.x.shape[1]))
        for first in range(0, len(self.x), self.size):
            part = self.x[first : first + self.size]
            shared[: len(part)] = part
            yield Block(shared[: len(part)], None if self.w is None else self.w[first : first + self.size])
            shared[:] = np.nan


class Block:
    def __init__(self, X, weights):
        self.X, self.weights = X, weights


@pytest.mark.parametrize("shard_rows", [90, 399, 5000])
@pytest.mark.parametrize("weighted", ["", "p", "q", "pq"])
@pytest.mark.parametrize("kind", ["smooth", "tied", "float32"])
@pytest.mark.parametrize("d", [1, 3])
def test_the_estimate_in_memory(d, kind, weighted, shard_rows):
    """399 of 400 rows leave a shard of one row, fewer than the neighbours asked for."""
    x, y = samples(d, kind)
    options = weights(400, 300, weighted)
    for method in METHODS[: 1 if kind == "tied" else 3]:
        found = kl_divergence_batches(
            unequal_blocks(x), unequal_blocks(y), method=method, shard_rows=shard_rows, **options
        )
        same_estimate(found, kl_divergence(x, y, method=method, **options))
    if kind != "tied":
        own = {"sample_weight_p": options["sample_weight_p"]}
        alone = entropy_batches(x, method="knn", shard_rows=shard_rows, **own)
        same_estimate(alone, entropy(x, method="knn", **own))
        for method in ("knn", "auto"):
            found = cross_entropy_batches(x, y, method=method, shard_rows=shard_rows, **options)
            # "auto" in memory has the neighbours of blocks where their number is given
            wanted = options if method == "knn" else options | {"n_neighbors": options.get("n_neighbors") or 5}
            same_estimate(found, cross_entropy(x, y, method=method, **wanted))
    scaled = kl_divergence_batches(unequal_blocks(x), y, shard_rows=shard_rows, **options)
    same_estimate(scaled, kl_divergence(x, y, method="common_radius", coordinates="scaled", **options))


@pytest.mark.parametrize("weighted", ["", "pq"])
def test_no_unit_matters(weighted):
    """Age beside income: a shift of one standard deviation in a column whose unit is a hundred thousand times as small."""
    x, y = samples(2, "smooth", 900, 800)
    y[:, 1] += 1.0
    options = weights(900, 800, weighted)
    own = {"sample_weight_p": options["sample_weight_p"]}
    plain = (
        kl_divergence_batches(x, y, shard_rows=300, **options),
        entropy_batches(x, shard_rows=300, **own),
        cross_entropy_batches(x, y, shard_rows=300, **options),
    )
    assert plain[0] > 0.3
    for factor, offset in ((1e5, 0.0), (1e-3, 7.0), (-60.0, 3.0)):
        X, Y = (rows * [factor, 1.0] + [offset, -offset] for rows in (x, y))
        log_factor = math.log(abs(factor))
        assert kl_divergence_batches(X, Y, shard_rows=300, **options) == pytest.approx(plain[0], abs=1e-9)
        assert entropy_batches(X, shard_rows=300, **own) == pytest.approx(plain[1] + log_factor, abs=1e-9)
        assert cross_entropy_batches(X, Y, shard_rows=300, **options) == pytest.approx(plain[2] + log_factor, abs=1e-9)
    found = kl_divergence_batches(x * [1e5, 1.0], y * [1e5, 1.0], coordinates=None, shard_rows=300, **options)
    assert found < 0.2


def test_the_scale_of_many_rows_depends_on_no_block_and_no_shard(monkeypatch):
    """Of more rows than are looked at, the same ones are taken however they come; with few, it is that of memory."""
    x, y = samples(2, "smooth")
    whole = kl_divergence_batches(x, y)
    monkeypatch.setattr(sources, "_SCALE_ROWS", 100)
    some = kl_divergence_batches(x, y)
    chosen = np.concatenate([rows[::7] for rows in (x, y)])  # 700 rows, of which every seventh
    assert some != whole
    middle, spread = centre_and_spread(chosen)
    X, Y = ((rows - middle) / spread for rows in (x, y))
    assert some == pytest.approx(kl_divergence(X, Y, method="common_radius"), abs=1e-12)
    for shard_rows in (11, 90):
        assert kl_divergence_batches(unequal_blocks(x), unequal_blocks(y), shard_rows=shard_rows) == pytest.approx(
            some, abs=1e-12
        )


def test_unknown_methods_and_coordinates():
    x, y = samples(2, "smooth", 20, 20)
    for call in (lambda: kl_divergence_batches(x, y, method="mle"), lambda: entropy_batches(x, method="spacings")):
        with pytest.raises(ValueError, match="is unknown; expected"):
            call()
    with pytest.raises(ValueError, match="is unknown; expected 'auto' or 'knn'"):
        cross_entropy_batches(x, y, method="common_radius")
    with pytest.raises(ValueError, match="coordinates='normal_scores' is unknown"):
        kl_divergence_batches(x, y, coordinates="normal_scores")


@pytest.mark.parametrize("shard_rows", [1, 2, 7])
def test_shards_smaller_than_the_number_of_neighbours(shard_rows):
    x, y = samples(2, "smooth", 23, 17)
    for method in METHODS:
        found = kl_divergence_batches(x, y, method=method, n_neighbors=6, shard_rows=shard_rows)
        same_estimate(found, kl_divergence(x, y, method=method, n_neighbors=6))
        quick = kl_divergence_batches(x, y, method=method, n_neighbors=6, shard_rows=shard_rows, standard_error=False)
        assert quick == pytest.approx(float(found), rel=1e-12)


def test_rows_that_are_repeated_in_other_shards():
    """A row is left out of its own neighbours by its position, so its copies in every shard are neighbours at distance 0."""
    rng = np.random.default_rng(0)
    x = np.repeat(rng.normal(size=(10, 2)), 3, axis=0)[rng.permutation(30)]
    y = np.concatenate([x[:5], rng.normal(size=(20, 2))])
    for shard_rows in (1, 4, 11):
        same_estimate(
            kl_divergence_batches(x, y, method="common_radius", n_neighbors=2, shard_rows=shard_rows),
            kl_divergence(x, y, method="common_radius", n_neighbors=2),
        )
    with pytest.raises(DegenerateDataError, match="row 0 of p"):
        entropy_batches(x, n_neighbors=2, shard_rows=4)


def test_sources_of_every_kind(tmp_path):
    x, y = samples(3, "smooth")
    expected = kl_divergence(x, y, method="common_radius", coordinates="scaled")
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(x, columns=list("abc"))
    frames = [frame.iloc[:100], frame.iloc[100:100], frame.iloc[100:]]
    for source in (x, mapped, tuple(unequal_blocks(x)), frame, frames, x.tolist(), Blocks(x, None, 128)):
        same_estimate(kl_divergence_batches(source, y, shard_rows=150), expected)
    w = np.random.default_rng(1).random(400)
    w[:130] = 0.0  # a whole block without weight
    same_estimate(
        kl_divergence_batches(Blocks(x, w, 128), y, shard_rows=150),
        kl_divergence(x, y, method="common_radius", coordinates="scaled", sample_weight_p=w),
    )
    frame.assign(w=w).to_parquet(tmp_path / "x.parquet")
    np.save(tmp_path / "w.npy", w)
    for source, weight in ((tmp_path / "x.parquet", "w"), (str(tmp_path / "x.npy"), tmp_path / "w.npy")):
        weighted = kl_divergence_batches(source, y, sample_weight_p=weight, shard_rows=150)
        same_estimate(weighted, kl_divergence(x, y, method="common_radius", coordinates="scaled", sample_weight_p=w))
    np.save(tmp_path / "y.npy", y)
    read = kl_divergence_batches(tmp_path / "x.parquet", tmp_path / "y.npy", columns=[2, 0])
    same_estimate(read, kl_divergence(x[:, [2, 0]], y[:, [2, 0]], method="common_radius", coordinates="scaled"))
    array = pytest.importorskip("dask.array").from_array(x, chunks=(130, 3))
    same_estimate(kl_divergence_batches(array, y, shard_rows=150), expected)
    same_estimate(
        kl_divergence_batches(x[:, 0], y[:, 0], shard_rows=150),
        kl_divergence(x[:, 0], y[:, 0], method="common_radius", coordinates="scaled"),
    )
    same_estimate(
        kl_divergence_batches(x.astype(np.float32), y),
        kl_divergence(x.astype(np.float32), y, method="common_radius", coordinates="scaled"),
    )


def test_what_can_be_read_only_once_is_refused_before_anything_is_read():
    x, y = samples(2, "smooth")

    def generator():
        raise AssertionError("must not be read")
        yield x

    for source in (generator(), Once(), iter([x]), map(np.asarray, [x])):
        for arguments in ((source, y), (y, source)):
            with pytest.raises(TypeError, match="only once"):
                kl_divergence_batches(*arguments)
        with pytest.raises(TypeError, match="only once"):
            entropy_batches(source)


def test_bad_sources_are_named():
    from scipy.stats import norm

    x, y = samples(2, "smooth")
    bad = x.copy()
    bad[207, 1] = np.nan
    with pytest.raises(ValueError, match=r"block 4 \(from row 200 on\) of p holds NaN in row 7, column 1"):
        kl_divergence_batches(unequal_blocks(bad), y)
    with pytest.raises(ValueError, match="starts at row 300 has 3 columns; those before have 2"):
        kl_divergence_batches(x, [y, np.ones((4, 3))])
    with pytest.raises(ValueError, match="p has 2 columns and q has 1"):
        kl_divergence_batches(x, y[:, :1])
    with pytest.raises(ValueError, match="q is empty"):
        kl_divergence_batches(x, [np.empty((0, 2))])
    with pytest.raises(ValueError, match="dtype .*labels"):
        kl_divergence_batches([np.array([["a"]])], y)
    with pytest.raises(FileNotFoundError, match=r"no file .*x\.npy"):
        kl_divergence_batches("x.npy", y)
    with pytest.raises(TypeError, match="is a model"):
        kl_divergence_batches(x, norm(0, 1))
    with pytest.raises(ValueError, match="shard_rows is a whole number"):
        kl_divergence_batches(x, y, shard_rows=0)
    with pytest.raises(ValueError, match="n_neighbors=300"):
        kl_divergence_batches(x[:200], y, n_neighbors=300)


def test_bad_weights_are_named():
    x, y = samples(2, "smooth")
    w = np.ones(400)
    for size in (399, 401):
        with pytest.raises(ValueError, match="sample_weight of p"):
            kl_divergence_batches(unequal_blocks(x), y, sample_weight_p=np.ones(size))
    w[203] = -1.0
    with pytest.raises(ValueError, match=r"\(from row 200 on\) of p .*row 3 has weight -1.0"):
        kl_divergence_batches(unequal_blocks(x), y, sample_weight_p=w)
    with pytest.raises(ValueError, match="zero in every row"):
        kl_divergence_batches(x, y, sample_weight_p=np.zeros(400))
    with pytest.raises(ValueError, match="one weight for each row"):
        kl_divergence_batches(x, y, sample_weight_p=np.ones((400, 1)))


def test_a_source_that_changes_is_an_error():
    class Shrinking:
        def __init__(self):
            self.passes = 0

        def __iter__(self):
            self.passes += 1
            return iter([np.random.default_rng(0).random((50 - self.passes, 2))])

    with pytest.raises(ValueError, match="gave 49 rows when it was read first and 48 rows now"):
        entropy_batches(Shrinking())


def test_shared_rows_warn_as_in_memory():
    x, y = samples(2, "smooth")
    x[:20] = y[:20]
    with pytest.warns(SharedRowsWarning, match="20 rows"):
        estimate = kl_divergence_batches(x, y, shard_rows=170)
    assert estimate.diagnostics["shared_rows"] == 20


@pytest.mark.parametrize("weighted", ["", "p", "q", "pq"])
@pytest.mark.parametrize("d", [1, 3])
def test_slabs_in_memory_change_nothing(d, weighted, monkeypatch):
    """Samples in memory are searched in slabs too, of far more rows than these."""
    x, y = samples(d, "smooth", 900, 700)
    options = weights(900, 700, weighted)
    calls = [lambda method=method: kl_divergence(x, y, method=method, **options) for method in METHODS]
    calls += [lambda: entropy(x, sample_weight_p=options["sample_weight_p"]), lambda: cross_entropy(x, y, **options)]
    calls += [lambda: jeffreys(x, y, **options), lambda: jensen_shannon(x, y, **options)]
    calls += [lambda: kl_divergence(x, multivariate_normal(np.zeros(d)), sample_weight_p=options["sample_weight_p"])]
    whole = [call() for call in calls]
    monkeypatch.setattr(neighbors, "_SLAB_NUMBERS", 1)
    for call, expected in zip(calls, whole, strict=True):
        same_estimate(call(), expected)


def test_names_that_a_file_has_twice_are_refused(tmp_path):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = [pa.array(np.random.default_rng(seed).normal(size=50)) for seed in range(2)]
    parquet.write_table(pa.table(columns, names=["a", "a"]), tmp_path / "twice.parquet")
    with pytest.raises(ValueError, match="two columns named 'a'"):
        kl_divergence_batches(tmp_path / "twice.parquet", tmp_path / "twice.parquet")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_identifiers_in_files_are_not_merged(tmp_path, kind):
    """Beyond 2**53 neighbours are one number as float64, which no block of floats shows any more."""
    for name, first in (("p", 2**53), ("q", 2**53 + 1)):
        frame = pd.DataFrame({"id": first + np.arange(50), "x": np.arange(50) / 7.0 + (name == "q") / 3.0})
        path = tmp_path / f"{name}.{kind}"
        frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path)
    p, q = tmp_path / f"p.{kind}", tmp_path / f"q.{kind}"
    for call in (kl_divergence_batches, cross_entropy_batches):
        with pytest.raises(ValueError, match="p, column 'id' holds 900719925474.*beyond 2.*53.*leave the column out"):
            call(p, q)
    with pytest.raises(ValueError, match="p, column 'id'"):
        entropy_batches(p)
    assert np.isfinite(kl_divergence_batches(p, q, columns=["x"]))
    assert np.isfinite(entropy_batches(p, columns=["x"], sample_weight_p="id"))


@pytest.mark.parametrize("kind", ["npy", "polars", "duckdb", "arrow", "dask", "dask array"])
def test_identifiers_elsewhere_are_not_merged(tmp_path, kind):
    rows = {"id": 2**60 + np.arange(0, 350, 7), "x": np.arange(50) / 7.0}
    frame = pd.DataFrame(rows)
    if kind == "npy":
        np.save(tmp_path / "p.npy", frame[["id"]].to_numpy())
        p = tmp_path / "p.npy"
    elif kind == "polars":
        p = pytest.importorskip("polars").DataFrame(rows).lazy()
    elif kind == "duckdb":
        pytest.importorskip("pyarrow")
        p = pytest.importorskip("duckdb").connect().from_df(frame)
    elif kind == "arrow":
        p = pytest.importorskip("pyarrow").table(rows)
    elif kind == "dask":
        p = pytest.importorskip("dask.dataframe").from_pandas(frame, npartitions=2)
    else:
        p = pytest.importorskip("dask.array").from_array(frame[["id"]].to_numpy(), chunks=(20, 1))
    where = "column 0" if kind in ("npy", "dask array") else "column 'id'"
    for call in (lambda: kl_divergence_batches(p, p), lambda: entropy_batches(p)):
        with pytest.raises(ValueError, match=rf"{where} holds 115292150460684\d+: integers beyond 2\*\*53"):
            call()
    if kind in ("polars", "duckdb", "dask"):
        assert np.isfinite(entropy_batches(p, columns=["x"], shard_rows=100))
