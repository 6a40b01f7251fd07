"""Every family fitted to rows that are read in blocks, several times, gives what it gives on the same rows in memory."""

import itertools

import numpy as np
import pytest
from sklearn.base import clone

from fastkl import families
from fastkl._core.rows import Rows
from fastkl.exceptions import DegenerateDataError, SupportError
from fastkl.families.gradient_sums import added
from fastkl.families.multivariate_t.degeneracy import frame_of
from fastkl.families.multivariate_t.fit import fit_in_memory
from fastkl.families.priors import resolve_prior
from fastkl.families.solvers.coordinates import chart_at
from fastkl.families.solvers.curvature import score_products
from fastkl.families.solvers.posterior import fit_rows
from tests.families.chunked import ChunkedRows
from tests.families.discovered import CLASSES, ITERATIVE, UNIVARIATE
from tests.families.samples import uneven_weights

N = 600
TOL = 1e-12


def distributions():
    """Every example with nothing held fixed, weighted and not, in both precisions; and with each of its parameters held."""
    for name in families.names():
        for i, (family, params) in enumerate(families.by_name(name).examples()):
            for weighted, dtype in itertools.product((False, True), (np.float64, np.float32)):
                if dtype is np.float64 or not family.labels:
                    text = f"{name}-{i}-{'weights' if weighted else 'plain'}-{dtype.__name__}"
                    yield pytest.param(family, params, (), weighted, dtype, id=text)
            for held in family.parameter_names:
                yield pytest.param(family, params, (held,), True, np.float64, id=f"{name}-{i}-{held}")


def draws(family, params, n, dtype=np.float64, seed=0):
    """Draws that still lie in the support when they are rounded to the precision."""
    distribution = clone(family)
    params = distribution.check_parameters(params)
    X = distribution.sample(params, n + 200, np.random.default_rng(seed))
    if distribution.labels:
        return X[:n]
    X = np.ascontiguousarray(X, dtype=dtype)
    inside = np.isfinite(distribution.log_density(Rows(X), params))
    return np.ascontiguousarray(X[inside][:n])


def close(a, b, rtol):
    assert list(a) == list(b)
    for name, value in b.items():
        size = np.max(np.abs(np.where(np.isfinite(value), value, 0.0)), initial=1e-300)
        np.testing.assert_allclose(a[name], value, rtol=rtol, atol=rtol * size, err_msg=name)


def same_fit(family, rows, streamed, params_rtol=1e-10):
    """Fit both, compare everything that a fit gives, and return that of the stream."""
    fit, statistics = family.fit(rows, TOL, 1000)
    again, more = family.fit(streamed, TOL, 1000)
    passes = streamed.passes
    assert (again.converged, again.boundary) == (fit.converged, fit.boundary)
    close(again.params, fit.params, params_rtol)
    learned, learned_more = family.learned(statistics), family.learned(more)
    slack = 1e-12 * rows.total_weight
    total = learned.log_likelihood(rows, fit.params)
    assert streamed.total(learned_more.log_likelihood, again.params) == pytest.approx(total, rel=1e-12, abs=slack)
    if family.has_statistics:
        total = learned.statistics_log_likelihood(statistics, fit.params)
        again_total = learned_more.statistics_log_likelihood(more, again.params)
    else:
        total, again_total = fit.log_likelihood, again.log_likelihood
    assert again_total == pytest.approx(total, rel=1e-12, abs=slack)
    errors = learned_more.standard_errors(more, again.params)
    close(errors, learned.standard_errors(statistics, fit.params), 1e-8)
    streamed.passes = passes
    return again


@pytest.mark.parametrize(("family", "params", "held", "weighted", "dtype"), list(distributions()))
def test_blocks_give_what_memory_gives(family, params, held, weighted, dtype):
    X = draws(family, params, N, dtype)
    family = clone(family).set_params(**{name: params[name] for name in held})
    rows = Rows(X, uneven_weights(len(X)) if weighted else None)
    streamed = ChunkedRows(rows, most_sampled=100)
    same_fit(family, rows, streamed)
    # a posterior aside, these are all: sample and moments apart, some evaluations of the likelihood
    most = {"laplace": 3, "burr12": 16, "student_t": 14, "lomax": 10, "multivariate_t": 26}
    most |= {"generalized_pareto": 10, "generalized_extreme_value": 12, "skew_normal": 12, "generalized_normal": 25}
    assert streamed.passes <= (1 if family.has_statistics else most.get(family.name, 8))


@pytest.mark.parametrize("lengths", [[1] * 200, [1, 199], [199, 1], [100, 100], [3, 50, 1, 1, 140]])
@pytest.mark.parametrize("name", [name for name in families.names() if families.by_name(name).has_statistics])
def test_statistics_merge_to_rounding_however_the_rows_are_cut(name, lengths):
    family, params = families.by_name(name).examples()[0]
    X = draws(family, params, 200, seed=5)
    rows = Rows(X, uneven_weights(200))
    streamed = ChunkedRows(rows, lengths)
    parts = streamed.total(family.statistics, merge=family.merge_statistics)
    whole = family.statistics(rows)
    fit = family.solve(whole)
    close(family.solve(parts).params, fit.params, 1e-12)
    distribution = family.learned(whole)
    total = distribution.statistics_log_likelihood(whole, fit.params)
    assert distribution.statistics_log_likelihood(parts, fit.params) == pytest.approx(total, rel=1e-12, abs=1e-12 * 200)


def test_later_blocks_bring_new_labels():
    X = np.array([["b"]] * 5 + [["a"]] * 3 + [["c"]] * 2)
    family = families.Categorical()
    streamed = ChunkedRows(Rows(X), [5, 3, 2])
    fit, statistics = family.fit(streamed, TOL, 1)
    assert family.learned(statistics).categories[0].tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(fit.params["probabilities"], [[0.3, 0.5, 0.2]])


@pytest.mark.parametrize("name", ITERATIVE)
def test_the_same_blocks_give_the_same_bits(name):
    family, params = families.by_name(name).examples()[0]
    rows = Rows(draws(family, params, N), uneven_weights(N))
    first, second = (family.fit(ChunkedRows(rows, most_sampled=100), TOL, 1000)[0] for _ in range(2))
    for key, value in first.params.items():
        np.testing.assert_array_equal(value, second.params[key])


@pytest.mark.parametrize("name", ["weibull", "lomax", "student_t", "multivariate_t", "cauchy"])
def test_a_stream_with_a_prior(name):
    family, params = families.by_name(name).examples()[0]
    rows = Rows(draws(family, params, 400))
    prior = resolve_prior("default", family)
    streamed = ChunkedRows(rows, most_sampled=100)
    fit, statistics = fit_rows(family, prior, rows, TOL, 1000)
    again, more = fit_rows(family, prior, streamed, TOL, 1000)
    close(again.params, fit.params, 1e-10)
    assert again.log_likelihood == pytest.approx(family.log_likelihood(rows, fit.params), rel=1e-12)
    if "curvature" in statistics:
        np.testing.assert_allclose(more["curvature"], statistics["curvature"], rtol=1e-7, atol=1e-7 * N)
    assert streamed.passes <= 45


@pytest.mark.parametrize("columns", [1, 2])
def test_a_prior_takes_value_and_gradient_from_one_pass(columns, monkeypatch):
    """A dozen passes beyond the fit without a prior, the second derivatives at the maximum being one of them."""
    rows = Rows(np.random.default_rng(0).weibull(1.5, (500, columns)))
    family, calls = families.Weibull(), []
    plain, streamed = ChunkedRows(rows), ChunkedRows(rows)
    family.fit(plain, TOL, 1000)
    for name in ("log_likelihood", "gradient"):
        monkeypatch.setattr(families.Weibull, name, lambda *args, name=name: calls.append(name))
    fit, _ = fit_rows(family, resolve_prior("default", family), streamed, TOL, 1000)
    assert fit.converged
    assert calls == []
    assert streamed.passes - plain.passes <= 12


@pytest.mark.parametrize("name", families.names())
def test_gradients_and_products_of_scores_add_up(name):
    family, params = families.by_name(name).examples()[0]
    rows = Rows(draws(family, params, N), uneven_weights(N))
    streamed, known = ChunkedRows(rows), family.check_parameters(params)
    close(streamed.total(family.gradient, known, merge=added), family.gradient(rows, known), 1e-11)
    chart = chart_at(family, known)
    for squared in (False, True):
        whole = score_products(family, rows, known, chart, squared=squared)
        parts = score_products(family, streamed, known, chart, squared=squared)
        np.testing.assert_allclose(parts, whole, rtol=1e-11, atol=1e-11 * np.abs(whole).max(initial=0.0))


# -- what is only seen in all rows -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [n for n in UNIVARIATE if CLASSES[n].support[0] >= 0.0 and CLASSES[n].support[1] >= 7.0]
)
def test_the_first_row_outside_is_named_in_the_whole(name):
    X = np.ones((400, 1)) + np.arange(400)[:, None] % 7
    X[[37, 90, 320]] = -1.0
    with pytest.raises(SupportError, match=r"row 37 \(batch 3\), column 0"):
        families.by_name(name)().fit(ChunkedRows(Rows(X), most_sampled=10), TOL, 100)


def test_rows_of_a_block_keep_their_numbers_where_rows_were_left_out():
    rows = Rows(np.array([[1.0], [-1.0]]), index=np.array([2, 5]), first_row=100, batch=4, names=["x"])
    with pytest.raises(SupportError, match=r"row 105 \(batch 4\), column 0 \('x'\)"):
        families.Weibull().fit(rows, TOL, 100)
    assert rows.sample(1) is rows


@pytest.mark.parametrize("name", [name for name in ITERATIVE if name in UNIVARIATE])
def test_a_column_is_constant_only_if_it_is_so_in_all_rows(name):
    family, params = families.by_name(name).examples()[0]
    X = draws(family, params, N)
    X[:, 1] = 2.0
    try:
        family.fit(Rows(X), TOL, 200)
    except DegenerateDataError as refusal:
        with pytest.raises(
            DegenerateDataError, match=r"Column 1 is constant: 2 in every row \(n_samples=600\)"
        ) as caught:
            family.fit(ChunkedRows(Rows(X), most_sampled=100), TOL, 200)
        assert str(caught.value) == str(refusal)  # noqa: PT017
    else:
        same_fit(family, Rows(X), ChunkedRows(Rows(X), most_sampled=100))
    # what is between the sampled rows differs
    X = draws(family, params, N)
    X[::4, 1] = np.median(X[:, 1])
    rows = Rows(X)
    streamed = ChunkedRows(rows, most_sampled=100)
    assert np.ptp(streamed.sample(100).X[:, 1]) == 0.0
    most = 30
    try:
        same_fit(family, rows, streamed)
    except DegenerateDataError as refusal:  # that of the rows in memory: so many equal ones leave no maximum
        most = 60  # a rise without bound is followed to where the search ends
        with pytest.raises(DegenerateDataError) as caught:
            family.fit(streamed, TOL, 200)
        assert str(caught.value) == str(refusal)  # noqa: PT017
    assert streamed.passes <= most


def test_a_multivariate_sample_may_be_degenerate():
    X = draws(families.MultivariateT(), families.MultivariateT.example, 2000, seed=3)
    X[::16] = X[0]
    rows = Rows(X)
    streamed = ChunkedRows(rows, most_sampled=100)
    assert np.ptp(streamed.sample(100).X[:, 1]) == 0.0
    same_fit(families.MultivariateT(), rows, streamed)
    with pytest.raises(DegenerateDataError, match="Column 1 is constant"):
        families.MultivariateT().fit(ChunkedRows(Rows(X * [1.0, 0.0] + [0.0, 1.0])), TOL, 100)
    with pytest.raises(DegenerateDataError, match="column 1 is a linear combination"):
        families.MultivariateT().fit(ChunkedRows(Rows(np.ascontiguousarray(X[:, [0, 0]]))), TOL, 100)


def test_ties_without_a_maximum_are_told_in_blocks_too():
    rng = np.random.default_rng(0)
    tied = rng.standard_cauchy((600, 1))
    tied[100:500] = 1.5
    for family in (families.Cauchy(), families.StudentT(df=1.0)):
        with pytest.raises(DegenerateDataError, match=r"near 1.5 \(of 600 rows\)"):
            family.fit(ChunkedRows(Rows(tied), most_sampled=100), TOL, 200)
    zeros = np.where(np.arange(600) % 5 > 0, 0.0, rng.pareto(1.0, 600))[:, None]
    with pytest.raises(DegenerateDataError, match="is 0 in 480 of 600 rows"):
        families.Lomax().fit(ChunkedRows(Rows(zeros), most_sampled=100), TOL, 200)
    with pytest.raises(DegenerateDataError, match="Column 0 is 0 in every row"):
        families.Lomax().fit(ChunkedRows(Rows(np.zeros((600, 1))), most_sampled=100), TOL, 200)


def test_sums_that_overflow_name_the_column_and_its_largest_value():
    X = np.random.default_rng(0).normal(size=(600, 2))
    X[444, 1] = 1e300
    with pytest.raises(DegenerateDataError, match=r"column 1 overflow: it holds values up to 1e\+300"):
        families.MultivariateT().fit(ChunkedRows(Rows(X), most_sampled=100), TOL, 100)


# -- several maxima, and limits of the families ----------------------------------------------------------------------------


@pytest.mark.parametrize("family", [families.Cauchy(scale=0.3), families.StudentT(df=0.5, scale=0.2)])
def test_the_highest_of_several_maxima(family):
    rng = np.random.default_rng(4)
    X = np.concatenate([rng.normal(c, 0.3, (n, 1)) for c, n in ((-5.0, 60), (0.0, 80), (6.0, 70))])
    rows = Rows(rng.permutation(X))
    fit = same_fit(family, rows, ChunkedRows(rows))
    assert abs(fit.params["loc"][0]) < 0.5


@pytest.mark.parametrize(
    ("family", "draw", "name"),
    [
        (families.StudentT(), lambda rng: rng.uniform(-1.0, 1.0, (N, 2)), "df"),
        (families.Lomax(), lambda rng: rng.uniform(0.0, 1.0, (N, 2)), "shape"),
        (families.Burr12(), lambda rng: rng.beta(2.0, 2.0, (N, 2)), "d"),
        (families.MultivariateT(), lambda rng: rng.uniform(-1.0, 1.0, (N, 2)), "df"),
    ],
)
def test_limits(family, draw, name):
    """On light tails the limit, of all rows and not only of the sample."""
    X = draw(np.random.default_rng(2))
    rows = Rows(X, uneven_weights(N))
    fit = same_fit(family, rows, ChunkedRows(rows, most_sampled=100))
    assert np.isinf(fit.params[name]).all()
    assert name in fit.boundary


@pytest.mark.parametrize(
    ("family", "draw"),
    [
        (families.StudentT(), lambda rng, n: rng.standard_t(5.0, (n, 1))),
        (families.Lomax(), lambda rng, n: rng.pareto(4.0, (n, 1))),
        (families.Burr12(), lambda rng, n: rng.pareto(4.0, (n, 1)) + 1e-3),
        (families.MultivariateT(), lambda rng, n: rng.standard_t(5.0, (n, 1)) * rng.normal(size=(n, 2))),
    ],
)
@pytest.mark.parametrize("light", [True, False])
def test_a_sample_that_favours_the_wrong_side_of_the_limit(family, draw, light):
    """Every sampled row is from a light tail and the others from a heavy one, or the other way round."""
    rng = np.random.default_rng(7)
    X = draw(rng, 1024)
    tame = np.clip(X, np.quantile(X, 0.2, axis=0), np.quantile(X, 0.8, axis=0)) + 1e-3 * rng.random(X.shape)
    chosen = np.arange(1024) % 8 == 0
    X = np.where((chosen == light)[:, None], tame, X)
    rows = Rows(np.ascontiguousarray(X))
    same_fit(family, rows, ChunkedRows(rows, most_sampled=128), 1e-9)


def test_many_rows_of_a_multivariate_t_law_reach_the_maximum_of_ecme():
    """From 65536 rows on a fit in memory starts from a sample as well; ECME on all rows takes no such way."""
    d = 4
    rng = np.random.default_rng(11)
    X = rng.standard_normal((70_000, d)) @ rng.standard_normal((d, d)) / np.sqrt(rng.chisquare(3.0, (70_000, 1)) / 3.0)
    rows = Rows(X)
    fit, _ = families.MultivariateT().fit(rows, TOL, 1000)
    full = fit_in_memory(rows, {}, TOL, 1000, frame_of(rows, rows))
    close(fit.params, full.params, 1e-10)
    assert fit.log_likelihood == pytest.approx(full.log_likelihood, rel=1e-13)
    assert fit.n_iter < full.n_iter


@pytest.mark.parametrize("X", [[0.820721, 0.86908075, 1.67832833], [0.5, 0.501, 0.53, 0.9, 1.7]], ids=len)
def test_a_likelihood_without_a_maximum_is_given_up(X):
    """Not after the most iterations, each of which shortens its step until rounding lets it through."""
    rows = ChunkedRows(Rows(np.array(X)[:, None]))
    with pytest.raises(DegenerateDataError, match="no maximum"):
        fit_rows(families.Burr12(), None, rows, TOL, 1000)
    assert rows.passes < 200
