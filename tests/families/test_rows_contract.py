"""What every family keeps on rows themselves, as mixtures and the like hand them over: weight 0 is absence, whoever holds it."""

import numpy as np
import pytest
from sklearn.base import clone

from fastkl import families
from fastkl._core._threads import BLOCK_ROWS
from fastkl._core.rows import Rows
from fastkl.exceptions import DegenerateDataError, SupportError
from fastkl.families.priors import resolve_prior
from fastkl.families.solvers.coordinates import chart_at
from fastkl.families.solvers.curvature import score_products
from fastkl.families.solvers.iterative import IterativeFamily
from fastkl.families.solvers.posterior import fit_rows
from tests.families.discovered import examples
from tests.families.samples import uneven_weights

TOL, MOST = 1e-12, 1000
OUTSIDE = -37.25  # neither a count nor positive, no share, no direction


@pytest.fixture(params=examples())
def distribution(request):
    """A family, and parameters of it."""
    family, params = request.param
    family = clone(family)
    return family, family.check_parameters(params)


def draws(distribution, n, seed=0):
    family, params = distribution
    X = family.sample(params, n, np.random.default_rng(seed))
    return X if family.labels else np.ascontiguousarray(X, dtype=np.float64)


def junk_like(X):
    """Rows as many as a block has, of values that no family knows."""
    value = OUTSIDE if X.dtype.kind == "f" else "??" if X.dtype.kind in "UO" else 99
    return np.full((BLOCK_ROWS, X.shape[1]), value, dtype=X.dtype)


def bits(value):
    """A result as something that compares equal to the last bit."""
    if isinstance(value, dict):
        return {name: bits(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [bits(part) for part in value]
    array = np.asarray(value)
    return array.shape, array.dtype, array.tolist() if array.dtype == object else array.tobytes()


def assert_close(a, b, rtol):
    """Statistics and the like, entry by entry."""
    if isinstance(b, dict):
        assert list(a) == list(b)
        for name in b:
            assert_close(a[name], b[name], rtol)
    elif isinstance(b, list | tuple):
        for one, other in zip(a, b, strict=True):
            assert_close(one, other, rtol)
    elif np.asarray(b).dtype.kind == "f":
        size = np.max(np.abs(np.where(np.isfinite(b), b, 0.0)), initial=1e-300)
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * size)
    else:
        np.testing.assert_array_equal(a, b)


def results(distribution, rows):
    """All that a family says of rows: statistics, likelihood, gradient, products of scores, and the fit."""
    family, params = distribution
    found = {}
    if family.has_statistics:
        found["statistics"] = family.statistics(rows)
        family = family.learned(found["statistics"])
    found["log_likelihood"] = family.log_likelihood(rows, params)
    found["gradient"] = family.gradient(rows, params)
    found["both"] = family.log_likelihood_and_gradient(rows, params)
    chart = chart_at(family, params)
    found["products"] = score_products(family, rows, params, chart, squared=True)
    fit, statistics = family.fit(rows, TOL, MOST)
    found["fit"] = fit.params, fit.n_iter, fit.converged, list(fit.boundary.items()), statistics
    return found


def test_a_row_has_the_same_bits_whatever_rows_are_beside_it(distribution):
    """Vectors and the rows that are left over round alike: products are fused with sums in one way only."""
    family, params = distribution
    X = np.concatenate([draws(distribution, 61, seed) for seed in (3, 4)])
    whole = family.log_density(Rows(X, None), params)
    for length in (1, 2, 3, 5, 7, 9, 13):
        parts = [family.log_density(Rows(X[i : i + length], None), params) for i in range(0, len(X), length)]
        np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("before", [0, 1, 2])
def test_a_block_of_weight_zero_changes_no_bit(distribution, before):
    X = draws(distribution, 2 * BLOCK_ROWS + 50)
    w, cut = uneven_weights(len(X)), before * BLOCK_ROWS
    more = np.concatenate([X[:cut], junk_like(X), X[cut:]])
    weights = np.concatenate([w[:cut], np.zeros(BLOCK_ROWS), w[cut:]])
    assert bits(results(distribution, Rows(more, weights, n_threads=2))) == bits(
        results(distribution, Rows(X, w, n_threads=2))
    )


def test_rows_of_weight_zero_count_as_absent(distribution):
    X = draws(distribution, 300)
    w = uneven_weights(len(X))
    order = np.random.default_rng(2).permutation(500)
    more = np.concatenate([X, junk_like(X)[:200]])[order]
    weights = np.concatenate([w, np.zeros(200)])[order]
    left = order[order < 300]
    assert_close(results(distribution, Rows(more, weights)), results(distribution, Rows(X[left], w[left])), 1e-9)


def test_statistics_without_rows_merge_as_nothing(distribution):
    family, _ = distribution
    if not family.has_statistics:
        pytest.skip("no sufficient statistics")
    X = draws(distribution, 100)
    junk = junk_like(X)
    statistics, nothing = (
        family.statistics(Rows(X, uneven_weights(100))),
        family.statistics(Rows(junk, np.zeros(len(junk)))),
    )
    assert family.statistics_weight(nothing) == 0.0
    for merged in (family.merge_statistics(statistics, nothing), family.merge_statistics(nothing, statistics)):
        assert bits(merged) == bits(statistics)
    assert family.statistics_weight(family.merge_statistics(nothing, nothing)) == 0.0


def test_no_weight_is_no_fit(distribution):
    X = draws(distribution, 10)
    with pytest.raises(DegenerateDataError, match="weight 0"):
        distribution[0].fit(Rows(X, np.zeros(10)), TOL, MOST)


def test_rows_in_memory_are_cut_into_blocks(distribution):
    """A pass over blocks of 4096 rows, and over all at once, for any number of threads."""
    family, params = distribution
    X = draws(distribution, 5 * BLOCK_ROWS + 9)
    one, two = (Rows(X, uneven_weights(len(X)), n_threads=threads) for threads in (1, 2))
    lengths = one.total(lambda rows: [len(rows.X)], block_rows=2 * BLOCK_ROWS + 1)
    assert lengths == [2 * BLOCK_ROWS, 2 * BLOCK_ROWS, BLOCK_ROWS + 9]
    if family.has_statistics:
        cut, again = (
            rows.total(family.statistics, merge=family.merge_statistics, block_rows=BLOCK_ROWS) for rows in (one, two)
        )
        assert bits(cut) == bits(again)
        assert_close(cut, family.statistics(one), 1e-12)
        family = family.learned(cut)
    total = family.log_likelihood(one, params)
    assert one.total(family.log_likelihood, params, block_rows=BLOCK_ROWS) == pytest.approx(total, rel=1e-12)


# -- several components in one pass ------------------------------------------------------------------------------------------


def places_around(distribution, k=3):
    """Sets of parameters: those of the example, and of fits to few draws, if these leave all the others inside."""
    family, params = distribution
    if family.labels:
        return [params] * k
    places, rows = [params], Rows(draws(distribution, BLOCK_ROWS + 300))
    for i in range(k - 1):
        place = family.fit(Rows(draws(distribution, 60, seed=3 + i)), TOL, MOST)[0].params
        ends_move = family.log_likelihood(rows, place) == -np.inf and "scale" in params
        places.append({**params, "scale": (1.1 + i) * np.asarray(params["scale"])} if ends_move else place)
    return places


def responsibilities(n, k=3):
    """Weights of k components, one of them 0 for whole blocks and for single rows."""
    weights = np.random.default_rng(4).dirichlet(np.ones(k), n)
    weights[:BLOCK_ROWS, 1] = 0.0
    weights[::3, 2] = 0.0
    return weights


@pytest.mark.parametrize("weighted", [False, True])
def test_components_have_the_statistics_of_passes_of_their_own(distribution, weighted):
    family, _ = distribution
    if not family.has_statistics:
        pytest.skip("no sufficient statistics")
    X = draws(distribution, 2 * BLOCK_ROWS + 50)
    own, weights = uneven_weights(len(X)) if weighted else None, responsibilities(len(X))
    single = [weights[:, k] if own is None else weights[:, k] * own for k in range(3)]
    expected = [bits(family.statistics(Rows(X, np.ascontiguousarray(w)))) for w in single]
    for threads in (1, 2):
        rows = Rows(X, own, n_threads=threads)
        for given in (weights, np.asfortranarray(weights)):
            assert [bits(found) for found in family.component_statistics(rows, given)] == expected


def test_components_have_the_log_density_of_calls_of_their_own(distribution):
    family, X, places = distribution[0], draws(distribution, BLOCK_ROWS + 300), places_around(distribution)
    if not family.labels:
        X[7], X[-1, -1] = OUTSIDE, OUTSIDE
    for threads in (1, 2):
        found = family.component_log_density(Rows(X, n_threads=threads), places)
        assert found.shape == (len(X), 3)
        for k, at in enumerate(places):
            np.testing.assert_array_equal(found[:, k], family.log_density(Rows(X), at))


@pytest.mark.parametrize("weighted", [False, True])
def test_components_have_the_likelihood_of_passes_of_their_own(distribution, weighted):
    """Without weights of the components each has those of the rows."""
    family, _ = distribution
    X, places = draws(distribution, BLOCK_ROWS + 300), places_around(distribution)
    rows = Rows(X, uneven_weights(len(X)) if weighted else None, n_threads=2)
    expected = [family.log_likelihood_and_gradient(rows, at) for at in places]
    assert bits(family.component_likelihoods(rows, places)) == bits(expected)
    weights = responsibilities(len(X))
    expected = [
        family.log_likelihood_and_gradient(own, at) for own, at in zip(rows.components(weights), places, strict=True)
    ]
    assert bits(family.component_likelihoods(rows, places, weights)) == bits(expected)
    if isinstance(family, IterativeFamily):
        for own, at, found in zip(
            rows.components(weights), places, family.component_evaluate(rows, places, weights), strict=True
        ):
            assert bits(vars(found)) == bits(vars(family.evaluate(own, at)))


def test_a_row_outside_belongs_to_the_components_that_weigh_it():
    rows = Rows(np.array([[1.0], [2.0], [-1.0], [3.0]]))
    weights = np.array([[1.0, 1.0], [0.5, 0.0], [0.0, 0.0], [1.0, 2.0]])
    assert [found["weight"][0] for found in families.Gamma().component_statistics(rows, weights)] == [2.5, 3.0]
    weights[2, 1] = 1e-300
    with pytest.raises(SupportError, match="row 2"):
        families.Gamma().component_statistics(rows, weights)


# -- warm starts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [300, 70_000])
def test_a_start_at_the_maximum_stays_there(distribution, n):
    if n > 300 and distribution[0].has_statistics:
        pytest.skip("the number of rows plays no part")
    family, rows = distribution[0], Rows(draws(distribution, n), uneven_weights(n))
    fit, _ = family.fit(rows, TOL, MOST)
    again, _ = family.fit(rows, TOL, MOST, start=fit.params)
    assert again.converged
    assert again.n_iter <= 2
    assert dict(again.boundary) == dict(fit.boundary)
    assert_close(again.params, fit.params, 1e-10)


@pytest.mark.parametrize("most", [1, 3, MOST])
def test_a_start_elsewhere_is_not_undercut(distribution, most):
    """From the parameters of few other rows; however soon the search is ended."""
    family, rows = distribution[0], Rows(draws(distribution, 400), uneven_weights(400))
    start, _ = family.fit(Rows(draws(distribution, 40, seed=5)), TOL, MOST)
    fit, statistics = family.fit(rows, TOL, most, start=start.params)
    known = family.learned(statistics)
    before, after = known.log_likelihood(rows, start.params), known.log_likelihood(rows, fit.params)
    assert after >= before - 1e-12 * (abs(before) + rows.total_weight)
    if most == MOST:
        best, _ = family.fit(rows, TOL, MOST)
        assert fit.converged
        assert after == pytest.approx(known.log_likelihood(rows, best.params), rel=1e-10, abs=1e-9)


def test_a_start_and_a_prior(distribution):
    family, rows = distribution[0], Rows(draws(distribution, 300), uneven_weights(300))
    prior = resolve_prior("default", family)
    fit, _ = fit_rows(family, prior, rows, TOL, MOST)
    again, _ = fit_rows(family, prior, rows, TOL, MOST, start=fit.params)
    assert again.converged
    assert again.n_iter <= 2
    assert_close(again.params, fit.params, 1e-8)


def test_a_start_keeps_what_is_held(distribution):
    family, params = distribution
    rows = Rows(draws(distribution, 300))
    fit, _ = family.fit(rows, TOL, MOST)
    for name in family.parameter_names:
        held = clone(family).set_params(**{name: params[name]})
        again, _ = held.fit(rows, TOL, MOST, start=fit.params)
        np.testing.assert_array_equal(again.params[name], params[name])
