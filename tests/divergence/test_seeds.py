"""``random_state`` and ``rng``: the same seed by two names (SPEC 7), in every call that draws."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import fastkl

X, Y = np.random.default_rng(0).normal(size=(2, 40))
MODEL = stats.norm(1.0, 2.0)
CALLS = {
    "kl_divergence": lambda **seed: fastkl.kl_divergence(MODEL, X, n_draws=200, **seed),
    "entropy": lambda **seed: fastkl.entropy(stats.gaussian_kde(X), n_draws=50, **seed),
    "cross_entropy": lambda **seed: fastkl.cross_entropy(stats.gaussian_kde(X), MODEL, n_draws=50, **seed),
    "jensen_shannon": lambda **seed: fastkl.jensen_shannon(MODEL, X, n_draws=200, **seed),
    "renyi_divergence": lambda **seed: fastkl.renyi_divergence(MODEL, X, 0.5, n_draws=200, **seed),
    "jeffreys": lambda **seed: fastkl.jeffreys(MODEL, X, n_draws=200, **seed),
    "kl_lower_bound": lambda **seed: fastkl.kl_lower_bound(X, Y + 2.0, **seed),
    "permutation_test": lambda **seed: fastkl.permutation_test(X, Y, n_permutations=99, **seed).p_value,
    "subsampling_interval": lambda **seed: fastkl.subsampling_interval(X, Y, n_subsamples=20, **seed),
    "compare_tables": lambda **seed: (
        fastkl.compare_tables(pd.DataFrame({"x": X}), pd.DataFrame({"x": Y}), n_permutations=99, **seed)
        .columns[0]
        .p_value
    ),
    "choose_components": lambda **seed: fastkl.choose_components(X[:, None], [1, 2], **seed).log_likelihood[1],
    "rank_families": lambda **seed: fastkl.rank_families(
        X[:, None], families=["normal", "laplace"], **seed
    ).joint.mean_log_likelihood[0],
}


@pytest.mark.parametrize("name", CALLS)
def test_two_names_of_one_seed(name):
    call = CALLS[name]
    assert call(rng=3) == call(rng=np.random.default_rng(3)) == call(random_state=np.random.default_rng(3))
    assert call(random_state=3) == call(random_state=3)
    with pytest.raises(TypeError, match="two names of one thing"):
        call(random_state=1, rng=1)
