"""Options of estimates that no estimate can be made with: an error that names the option, not one from inside."""

import numpy as np
import pandas as pd
import pytest

from fastkl import categorical_entropy, categorical_kl, entropy, kl_divergence, kl_lower_bound, permutation_test
from fastkl.divergence import subsampling_interval

X = np.random.default_rng(0).normal(size=(60, 2))


@pytest.mark.parametrize("method", ["knn", "weighted_knn", "marginal_split"])
@pytest.mark.parametrize("k", [2.5, 0, -1, "3", True])
def test_numbers_of_neighbours(method, k):
    with pytest.raises(ValueError, match=r"n_neighbors is a whole number >= 1; got"):
        entropy(X, method=method, n_neighbors=k)


@pytest.mark.parametrize(
    "table", [X, pd.DataFrame({"x": X[:, 0], "kind": np.tile(["a", "b", "c"], 20)})], ids=["numbers", "table"]
)
@pytest.mark.parametrize(
    "call", [kl_divergence, kl_lower_bound, permutation_test, lambda p, q, **options: entropy(p, **options)]
)
def test_draws_where_there_is_no_model(call, table):
    with pytest.raises(ValueError, match="n_draws= .* Leave it out"):
        call(table, table[::-1], n_draws=100)


def test_subsamples():
    for n in (0, 1, -3):
        with pytest.raises(ValueError, match="n_subsamples is a whole number of at least 2"):
            subsampling_interval(X, X + 1.0, n_subsamples=n)
    with pytest.raises(ValueError, match="out of 3 and 3 are the samples again"):
        subsampling_interval(X[:3], X[:3] + 1.0)


@pytest.mark.parametrize("counts", [[1e300] * 5, [1e16, 1.0], [5e-324, 1.0]])
@pytest.mark.parametrize("method", ["nsb", "chao_wang_jost", "plugin", "grassberger", "james_stein"])
@pytest.mark.filterwarnings("error")
def test_totals_that_are_no_counts(counts, method):
    with pytest.raises(ValueError, match="has a symbol of total .* A total is a number of occurrences"):
        categorical_entropy(counts, method, counts=True)
    with pytest.raises(ValueError, match="has a symbol of total"):
        categorical_kl(counts, counts, counts=True)
    with pytest.raises(ValueError, match="has a symbol of total"):
        categorical_entropy(["a", "b"], method, sample_weight=[1e16, 1.0])
