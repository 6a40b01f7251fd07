"""Mixtures of rows on disk and in Dask collections: the bits of the same rows in memory, whatever reads them."""

import numpy as np
import pytest

from fastkl import MixtureMLE, families

N, BATCH = 6000, 1500
KINDS = {
    "full": families.MultivariateNormal(),
    "diag": families.MultivariateNormal("diag"),
    "tied": families.MultivariateNormal("tied"),
    "t": families.MultivariateT(df=5.0),
    "product": [("first", "normal", [0]), ("rest", "multivariate_normal", [1, 2])],
}


@pytest.fixture(scope="module", name="X")
def rows():
    rng = np.random.default_rng(0)
    return np.where(rng.random((N, 1)) < 0.3, [3.0, 0.0, 1.0], [-1.0, 2.0, 0.0]) + rng.normal(size=(N, 3))


@pytest.fixture(scope="module")
def starts(X):
    """Parameters on the way up, from which each kind goes on."""
    return {
        name: MixtureMLE(2, family=family, n_init=1, random_state=0, standard_errors=False).fit(X[::20]).params_
        for name, family in KINDS.items()
    }


def mixture(kind, starts, **options):
    return MixtureMLE(2, family=KINDS[kind], init=starts[kind], tol=1e-10, standard_errors=False, **options)


def same_bits(first, second):
    assert first.log_likelihood_ == second.log_likelihood_
    assert first.n_iter_ == second.n_iter_
    for name, value in first.params_.items():
        np.testing.assert_array_equal(value, second.params_[name])


@pytest.mark.parametrize("kind", KINDS)
def test_files_and_batches(X, starts, kind, tmp_path):
    # small tables of t components go another way to their maximum, so that it is asked for to the last digits
    end = {"tol": 1e-13} if kind == "t" else {}
    memory = mixture(kind, starts).set_params(**end).fit(X)
    np.save(tmp_path / "rows.npy", X)
    whole = mixture(kind, starts).set_params(**end).fit_batches(tmp_path / "rows.npy")
    if kind != "t":
        same_bits(whole, memory)
    assert whole.log_likelihood_ == pytest.approx(memory.log_likelihood_, rel=1e-13)
    batches = mixture(kind, starts).fit_batches([X[at : at + BATCH] for at in range(0, N, BATCH)])
    again = mixture(kind, starts).fit_batches(tmp_path / "rows.npy", batch_rows=BATCH)
    same_bits(again, batches)
    assert batches.converged_
    assert batches.log_likelihood_ == pytest.approx(memory.log_likelihood_, rel=1e-13)


def test_parquet(X, starts, tmp_path):
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = pa.table({name: X[:, j] for j, name in enumerate("abc")})
    parquet.write_table(table, tmp_path / "rows.parquet", row_group_size=BATCH)
    found = mixture("full", starts).fit_batches(tmp_path / "rows.parquet", batch_rows=BATCH)
    same_bits(found, mixture("full", starts).fit_batches([X[at : at + BATCH] for at in range(0, N, BATCH)]))
    assert list(found.feature_names_in_) == list("abc")
    groups = [("first", "normal", ["a"]), ("rest", "multivariate_normal", ["b", "c"])]
    named = mixture("product", starts).set_params(family=groups).fit_batches(tmp_path / "rows.parquet")
    same_bits(named, mixture("product", starts).fit(X))


def test_dask(X, starts):
    dask, da = pytest.importorskip("dask"), pytest.importorskip("dask.array")
    rows = da.from_array(X, chunks=(BATCH, 3))
    with dask.config.set(scheduler="sync"):
        one = mixture("full", starts).fit_batches(rows)
    with dask.config.set(scheduler="threads"):
        threads = mixture("full", starts).fit_batches(rows)
    same_bits(threads, one)
    assert one.log_likelihood_ == pytest.approx(mixture("full", starts).fit(X).log_likelihood_, rel=1e-13)


def test_threads(X, starts):
    large = np.tile(X, (8, 1))
    for kind in ("full", "diag"):
        same_bits(mixture(kind, starts, n_jobs=1).fit(large), mixture(kind, starts, n_jobs=2).fit(large))


def test_starts_are_found_on_evenly_spaced_rows(X, tmp_path):
    np.save(tmp_path / "rows.npy", X)
    options = {"n_init": 1, "random_state": 0, "standard_errors": False}
    streamed = MixtureMLE(2, **options).fit_batches(tmp_path / "rows.npy")
    assert streamed.log_likelihood_ == pytest.approx(MixtureMLE(2, **options).fit(X).log_likelihood_, rel=1e-13)
