"""Keywords of other libraries are errors that say what they are here; nothing else changes of what takes them."""

import inspect

import numpy as np
import pytest
from sklearn.base import clone

from fastkl import (
    DensityMLE,
    FactorAnalysisMLE,
    KernelDensityMLE,
    KLDivergence,
    MixtureMLE,
    discrete_kl,
    entropy,
    jensen_shannon,
    kl_divergence,
    pairwise_divergence,
    permutation_test,
)
from fastkl._core.other_keywords import knows_other_keywords

X = np.random.default_rng(0).normal(size=(40, 1))


@pytest.mark.parametrize(
    ("call", "word", "here"),
    [
        (MixtureMLE, "n_clusters", "Here it is 'n_components'"),
        (MixtureMLE, "k", "Here it is 'n_components'"),
        (MixtureMLE, "seed", "Here it is 'random_state'"),
        (MixtureMLE, "means_init", "Here it is 'init'"),
        (MixtureMLE, "covariance_type", r'family=families.MultivariateNormal\("diag"\)'),
        (MixtureMLE, "reg_covar", "prior='default'"),
        (MixtureMLE, "n_componets", "Did you mean 'n_components'"),
        (FactorAnalysisMLE, "n_factors", "Here it is 'n_components'"),
        (KernelDensityMLE, "bw_method", "Here it is 'bandwidth'"),
        (KernelDensityMLE, "weights", r"fit\(X, sample_weight"),
        (DensityMLE, "dist", "Here it is 'family'"),
        (DensityMLE, "floc", "Fixed parameters are given to the family"),
        (DensityMLE, "df", "Fixed parameters are given to the family"),
        (DensityMLE().fit, "weights", "Here it is 'sample_weight'"),
        (DensityMLE().fit, "event_observed", "are not fitted by fit; a few lines with sf do it"),
        (DensityMLE().fit(X).sample, "size", "Here it is 'n_samples'"),
        (KLDivergence, "k", "Here it is 'n_neighbors'"),
        (kl_divergence, "k", "Here it is 'n_neighbors'"),
        (kl_divergence, "base", "in nats: divide them by log"),
        (kl_divergence, "weights", "Here it is 'sample_weight_p'"),
        (kl_divergence, "X", "Here it is 'p'"),
        (jensen_shannon, "y", "Here it is 'q'"),
        (entropy, "base", "in nats: divide them by log"),
        (discrete_kl, "q", "Here it is 'qk'"),
        (discrete_kl, "base", "in nats: divide them by log"),
        (permutation_test, "n_resamples", "Here it is 'n_permutations'"),
        (permutation_test, "seed", "Here it is 'random_state'"),
        (pairwise_divergence, "distance", "Here it is 'metric'"),
    ],
)
def test_words_of_other_libraries(call, word, here):
    with pytest.raises(TypeError, match=rf"got an unexpected keyword argument '{word}'\. .*{here}"):
        call(**{word: 1})


def test_a_word_that_nobody_knows_is_the_error_of_python():
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'$"):
        MixtureMLE(colour=1)


def test_signatures_parameters_and_values_stay():
    assert list(inspect.signature(MixtureMLE).parameters)[:3] == ["n_components", "family", "weights"]
    assert list(inspect.signature(kl_divergence).parameters)[:3] == ["p", "q", "method"]
    assert MixtureMLE(3).get_params()["n_components"] == clone(MixtureMLE(3)).n_components == 3
    assert knows_other_keywords(divmod_of)(7, b=2) == (3, 1)


def divmod_of(a, b):
    """Quotient and remainder."""
    return divmod(a, b)


def test_a_subclass_of_a_user_keeps_its_own_errors():
    class Own(DensityMLE):
        def fit(self, X, y=None, sample_weight=None, *, bias=0.0):
            return super().fit(X + bias, y, sample_weight)

    with pytest.raises(TypeError, match="unexpected keyword argument 'weights'$"):
        Own().fit(X, weights=1)
