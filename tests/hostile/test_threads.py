"""Sixteen threads at the same estimators and arrays: the bits of one thread, and the same process afterwards.

It is the test of builds without the interpreter's lock, and what runs under ThreadSanitizer.
"""

import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from fastkl import DensityMLE, MixtureMLE, entropy, families, jensen_shannon, kl_divergence

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
