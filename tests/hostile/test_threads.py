"""Sixteen threads at the same estimators and arrays: the bits of one thread, and the same process afterwards.

It is the test of builds without the interpreter's lock, and what runs under ThreadSanitizer.
"""

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity
from threadpoolctl import threadpool_info

from fastkl import (
    DensityMLE,
    MixtureMLE,
    ProductDensity,
    choose_components,
    compare_tables,
    entropy,
    families,
    jensen_shannon,
    kl_divergence,
    make_product_density,
    rank_families,
)
from fastkl._core.warned import warn, warnings_kept, warnings_raised

THREADS = 16
G = np.random.default_rng(0)
ROWS = {
    name: DensityMLE.from_parameters(family, **params).sample(60, random_state=0)
    for name in families.names()
    for family, params in families.by_name(name).examples()[:1]
}
P, Q = G.normal(size=(80, 3)), G.normal(size=(90, 3)) + 0.5


def together(function):
    """What sixteen threads get that begin at once, and the errors."""
    barrier, found, errors = threading.Barrier(THREADS), [None] * THREADS, []

    def run(i):
        barrier.wait()
        try:
            found[i] = function()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    return found


@pytest.mark.parametrize("name", families.names())
def test_fits_and_scores(name):
    rows, shared = ROWS[name], DensityMLE(families.by_name(name).examples()[0][0]).fit(ROWS[name])

    def work():
        own = DensityMLE(families.by_name(name).examples()[0][0], n_jobs=1).fit(rows)
        return [*own.params_.values(), shared.score_samples(rows), shared.score(rows), shared.sample(5, random_state=1)]

    alone = work()
    for found in together(work):
        for one, other in zip(found, alone, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "estimate",
    [
        lambda: float(kl_divergence(P, Q, method="common_radius")),
        lambda: float(kl_divergence(P, Q)),
        lambda: float(entropy(P)),
        lambda: float(jensen_shannon(P, Q)),
        lambda: MixtureMLE(2, random_state=0, n_init=1, max_iter=30, tol=1e-2).fit(P).log_likelihood_,
    ],
    ids=["common_radius", "assisted", "entropy", "jensen_shannon", "mixture"],
)
def test_estimates(estimate):
    before = [pool["num_threads"] for pool in threadpool_info()]
    alone = estimate()
    assert set(together(estimate)) == {alone}
    assert [pool["num_threads"] for pool in threadpool_info()] == before


def of_this_library(filters):
    """Filters but for the one that scikit-learn's ``check_array`` sets for a while, in all threads at once."""
    return [one for one in filters if not issubclass(one[2], np.exceptions.ComplexWarning)]


def test_filters_of_warnings_are_as_they_were():
    """They belong to the process: a thread that turns warnings into errors for a while does so for all, and for good."""
    frame = pd.DataFrame(P, columns=list("abc"))
    fitted, theirs = DensityMLE("multivariate_normal").fit(frame), GaussianMixture(2, random_state=0).fit(frame)
    grouped = ProductDensity([("x", DensityMLE("normal"), ["a", "b"]), ("y", KernelDensity(), ["c"])]).fit(frame)
    counts = G.poisson(3.0, size=(60, 2))
    calls = [
        lambda: rank_families(P[:, :1], families=["normal", "gumbel", "student_t"]),
        lambda: rank_families(counts, families=["poisson", "geometric"]),
        lambda: choose_components(P, n_components=[1, 2], random_state=0),
        lambda: make_product_density(P),
        lambda: compare_tables(frame, Q, n_permutations=20, random_state=0),
        lambda: kl_divergence(theirs, fitted, n_draws=200, random_state=0),
        lambda: grouped.score_samples(frame),
        lambda: grouped.score_samples_batches(P),
    ]
    before = of_this_library(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(call) for _ in range(3) for call in calls]:
            future.result()
    assert of_this_library(warnings.filters) == before


def test_warnings_that_are_kept_stay_with_their_thread():
    """One thread keeps what another one says aloud."""
    keeping, said = threading.Barrier(2), []

    def keep():
        with warnings_kept() as found:
            keeping.wait()
            warn("mine")
            keeping.wait()
        said.extend(map(str, found))

    thread = threading.Thread(target=keep)
    thread.start()
    keeping.wait()
    with pytest.warns(UserWarning, match="aloud"):
        warn("aloud")
    keeping.wait()
    thread.join()
    assert said == ["mine"]
    with pytest.raises(UserWarning, match="raised"), warnings_raised():
        warn("raised")
    with pytest.raises(FloatingPointError), warnings_raised():
        np.exp(np.array([1e3]))
