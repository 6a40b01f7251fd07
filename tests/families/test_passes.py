"""Every family fitted to rows that are read in blocks, several times, gives what it gives on the same rows in memory."""

import numpy as np
import pytest
from sklearn.base import clone

from fastkl import families
from fastkl.families.base import Rows
from tests.families.chunked import ChunkedRows

N = 1200
TOL = 1e-12


def laws():
    """Every example law, with nothing held fixed and with each of its parameters."""
    for name in families.names():
        for i, (family, params) in enumerate(families.by_name(name).examples()):
            yield pytest.param(family, params, (), id=f"{name}-{i}")
            for held in family.parameter_names:
                yield pytest.param(family, params, (held,), id=f"{name}-{i}-{held}")


def draws(family, params, n, dtype=np.float64, seed=0):
    law = clone(family)
    X = law.sample(law.check_parameters(params), n, np.random.default_rng(seed))
    return X if law.labels else np.ascontiguousarray(X, dtype=dtype)


def weights(n, seed=1):
    return np.random.default_rng(seed).uniform(0.1, 3.0, n)


def close(a, b, rtol):
    for name, value in b.items():
        size = np.max(np.abs(np.where(np.isfinite(value), value, 0.0)), initial=1e-300)
        np.testing.assert_allclose(a[name], value, rtol=rtol, atol=rtol * size, err_msg=name)


def same_fit(family, rows, streamed):
    fit, statistics = family.fit(rows, TOL, 1000)
    again, more = family.fit(streamed, TOL, 1000)
    assert again.converged == fit.converged
    assert again.boundary == fit.boundary
    close(again.params, fit.params, 1e-10)
    learned, learned_again = family.learned(statistics), family.learned(more)
    total = learned.log_likelihood(rows, fit.params)
    parts = streamed.total(learned_again.log_likelihood, again.params)
    assert parts == pytest.approx(total, rel=1e-12, abs=1e-12 * rows.total_weight)
    if fit.log_likelihood is not None:
        assert again.log_likelihood == pytest.approx(fit.log_likelihood, rel=1e-12, abs=1e-12 * rows.total_weight)
    errors, more_errors = (
        f.standard_errors(s, p) for f, s, p in ((learned, statistics, fit.params), (learned_again, more, again.params))
    )
    assert list(errors) == list(more_errors)
    close(more_errors, errors, 1e-8)
    return fit


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("family", "params", "held"), list(laws()))
def test_blocks_give_what_memory_gives(family, params, held, weighted, dtype):
    if family.labels and dtype is np.float32:
        pytest.skip("labels have no precision")
    X = draws(family, params, N, dtype)
    family = clone(family).set_params(**{name: params[name] for name in held})
    rows = Rows(X, weights(N) if weighted else None)
    streamed = ChunkedRows(rows, most_sampled=150)
    same_fit(family, rows, streamed)
    assert streamed.passes <= (2 if family.has_statistics else 30)
