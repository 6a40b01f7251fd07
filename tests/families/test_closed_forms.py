"""Closed forms of the Kullback-Leibler divergence: every registered pair of families against the mean log-ratio of draws."""

import numpy as np
import pytest

from fastkl import DensityMLE, families
from fastkl.families import closed_form


@pytest.mark.parametrize("pair", closed_form.registered_pairs() if families.names() else [], ids="-".join)
def test_closed_form_divergences_against_draws(pair):
    (p_family, p_params), (q_family, q_params) = (families.by_name(name).examples()[0] for name in pair)
    p = DensityMLE.from_parameters(p_family, **p_params)
    # the second distribution is a refit to few rows of itself, so that it differs even when both families are the same
    q = DensityMLE.from_parameters(q_family, **q_params)
    q = DensityMLE(q_family).fit(q.sample(40, random_state=1))
    value = closed_form.kl(p.family_, p.params_, q.family_, q.params_)
    X = p.sample(40000, random_state=2)
    ratio = p.score_samples(X) - q.score_samples(X)
    if np.isinf(value):
        assert np.isinf(ratio).any()
        return
    assert value > 0.0
    assert abs(ratio.mean() - value) < 5.0 * ratio.std() / np.sqrt(len(X))
    if p.family_.name == q.family_.name:
        assert closed_form.kl(p.family_, p.params_, p.family_, p.params_) == 0.0
