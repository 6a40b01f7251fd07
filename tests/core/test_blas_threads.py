"""The limit of BLAS threads is gone when the last context is left, in whatever order they end."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from fastkl import DensityMLE
from fastkl._core.blas_threads import single_threaded_blas


def blas_threads():
    return {info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"}


@pytest.fixture
def two_threads():
    with threadpool_limits(2, user_api="blas"):
        if blas_threads() != {2}:
            pytest.skip("a BLAS that does not take two threads")
        yield


def test_contexts_that_overlap(two_threads):
    first, second = single_threaded_blas(), single_threaded_blas()
    first.__enter__()
    assert blas_threads() == {1}
    second.__enter__()
    first.__exit__(None, None, None)
    assert blas_threads() == {1}
    second.__exit__(None, None, None)
    assert blas_threads() == {2}
    with pytest.raises(ZeroDivisionError), single_threaded_blas():
        1 / 0  # noqa: B018
    assert blas_threads() == {2}


def test_fits_in_many_threads(two_threads):
    X = np.random.default_rng(0).normal(size=(3000, 40))
    expected = DensityMLE(n_jobs=1).fit(X).params_["covariance"]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: DensityMLE(n_jobs=1).fit(X).params_["covariance"], range(64)))
    assert all(np.array_equal(covariance, expected) for covariance in found)
    assert blas_threads() == {2}
