"""Large tables, of which the search sees a sample: what a sample may lack or mistake, all rows put right."""

import numpy as np
import pytest

from fastkl import MixtureMLE

N = 16384


def in_a_period():
    """Four groups of rows that take turns with a period of 8, the length of the stretches of which a sample has one row each."""
    rng, phase = np.random.default_rng(0), np.arange(N) % 8
    first = np.where(phase < 4, 0.0, 6.0) + rng.normal(size=N)
    return np.c_[first, np.where(phase % 2 == 0, 0.0, 5.0) + rng.normal(size=N)]


def test_the_order_of_rows_may_be_periodic():
    X = in_a_period()
    model = MixtureMLE(4, random_state=0, standard_errors=False).fit(X)
    shuffled = MixtureMLE(4, random_state=0, standard_errors=False).fit(np.random.default_rng(1).permutation(X))
    assert model.log_likelihood_ == pytest.approx(shuffled.log_likelihood_, rel=1e-12)
    np.testing.assert_allclose(model.params_["weights"], 0.25, atol=0.02)  # as the rows were made
    batches = MixtureMLE(4, random_state=0).fit_batches([X[at : at + 1000] for at in range(0, N, 1000)])
    assert batches.log_likelihood_ == pytest.approx(model.log_likelihood_, rel=1e-12)
