"""Every family over rows in blocks of any length: sums add up, the order plays no part, known answers hold."""

import numpy as np
import pytest

from fastkl import families
from fastkl._core.rows import Rows
from tests.families import test_cases_joint, test_cases_univariate
from tests.families.chunked import ChunkedRows
from tests.families.samples import uneven_weights
from tests.families.test_passes import draws

CASES = [
    *[
        (case, *test_cases_univariate.read(case["data"]))
        for case in test_cases_univariate.CASES
        if "statistics" not in case["data"]
    ],
    *[(case, test_cases_joint.rows_of(case["data"]), case.get("weights")) for case in test_cases_joint.CASES],
]


@pytest.mark.parametrize("name", families.names())
def test_log_likelihood_adds_up_and_order_plays_no_part(name):
    """Any split of the rows sums to the whole to 1e-12; rows permuted give the same parameters."""
    family, params = families.by_name(name).examples()[0]
    X = draws(family, params, 500, seed=9)
    rows = Rows(X, uneven_weights(len(X)))
    known = family.check_parameters(params)
    whole = family.log_likelihood(rows, known)
    for lengths in ([1, 399], [250], [1] * 20):
        parts = ChunkedRows(rows, lengths).total(family.log_likelihood, known)
        np.testing.assert_allclose(parts, whole, rtol=1e-12, atol=1e-12 * rows.total_weight)
    order = np.random.default_rng(0).permutation(len(X))
    permuted = Rows(np.ascontiguousarray(X[order]), rows.weights[order])
    fit, again = family.fit(rows, 1e-12, 1000)[0], family.fit(ChunkedRows(permuted), 1e-12, 1000)[0]
    for key, value in fit.params.items():
        np.testing.assert_allclose(again.params[key], value, rtol=1e-10, atol=1e-10 * np.max(np.abs(value)))


@pytest.mark.parametrize(("case", "X", "weights"), CASES, ids=[case["id"] for case, *_ in CASES])
def test_known_answers_hold_in_blocks(case, X, weights):
    """The table of known answers, its rows read in blocks of 1, 1, 7, ... rows."""
    family = families.by_name(case["family"])(**case["options"].get("fixed", {}))
    rows = Rows(
        np.ascontiguousarray(X, dtype=np.float64), None if weights is None else np.asarray(weights, dtype=np.float64)
    )
    fit, _ = family.fit(ChunkedRows(rows, [1, 1, 7, 1, 3, 11]), 1e-12, 1000)
    assert fit.converged
    rtol, atol = (case[key].get("params", 0.0) for key in ("rtol", "atol"))
    for name, want in case["expected"].get("params", {}).items():
        want = np.reshape(want, np.shape(fit.params[name]))
        np.testing.assert_allclose(fit.params[name], want, rtol=rtol, atol=atol, err_msg=name)
