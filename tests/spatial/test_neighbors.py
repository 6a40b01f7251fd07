"""The neighbour engine against a slow twin: every pair of rows, differences scaled by their largest before squaring."""

import pickle

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastkl.spatial import NeighborIndex, within
from fastkl.spatial._balls import ball
from fastkl.spatial._tree import Tree
from fastkl.spatial.policy import arrangement

SLACK = 1 + 1e-12
COLUMNS = [1, 2, 3, 4, 5, 6, 7, 8, 10, 16, 33, 64]


def pair_distances(X, Y):
    """Distances of each row of Y to each row of X, without overflow or underflow."""
    difference = np.abs(Y[:, None, :].astype(np.float64) - X[None, :, :].astype(np.float64))
    largest = difference.max(axis=2)
    unit = np.where(largest > 0, largest, 1.0)
    return largest * np.sqrt(((difference / unit[:, :, None]) ** 2).sum(axis=2))


def twin_query(X, Y, k, same=False):
    distances = pair_distances(X, Y)
    if same:
        np.fill_diagonal(distances, np.inf)
    return np.sort(distances, axis=1)[:, :k]


def twin_weight(X, Y, radius, weights, same=False):
    inside = pair_distances(X, Y) <= np.asarray(radius)[:, None] * SLACK
    if same:
        np.fill_diagonal(inside, False)
    return inside @ weights


def layout(name, n, d, rng):
    """Samples that are hard for a tree: n rows, d columns."""
    normal = rng.standard_normal((n, d))
    return {
        "normal": normal,
        "grid": rng.integers(0, 3, (n, d)).astype(float),
        "constant": np.full((n, d), 3.7),
        "duplicated": normal[rng.integers(0, max(1, n // 4), n)],
        "clusters": rng.integers(-2, 3, (n, 1)) * 10.0 + 1e-3 * normal,
        "collinear": normal[:, :1] * np.arange(1, d + 1),
        "offset": 1e6 + 1e-3 * normal,
        "stretched": normal * np.logspace(-8, 8, d),
        "outlier": np.where(np.arange(n)[:, None] == 0, 1e12, normal),
        "heavy": rng.standard_cauchy((n, d)) ** 3,
    }[name]


LAYOUTS = [
    "normal", "grid", "constant", "duplicated", "clusters", "collinear", "offset", "stretched", "outlier", "heavy"
]  # fmt: skip


def check_all(X, Y, k, weights):
    """Every search of both samples against the twin."""
    index, queries = NeighborIndex(X), NeighborIndex(Y)
    k_self = min(k, len(X) - 1)
    rho = index.query_self(k_self)
    nu = index.query(queries, k)
    np.testing.assert_allclose(rho, twin_query(X, X, k_self, same=True), rtol=1e-13, atol=0)
    np.testing.assert_allclose(nu, twin_query(X, Y, k), rtol=1e-13, atol=0)
    np.testing.assert_array_equal(index.query(Y, k), nu)
    np.testing.assert_array_equal(index.kth(Y, k), nu[:, -1])
    np.testing.assert_array_equal(index.kth_self(k_self), rho[:, -1])
    np.testing.assert_array_equal(index.kth(queries, k, in_order=True), nu[queries.order, -1])
    for radius, same in ((nu[:, -1], False), (nu[:, 0] * 1.5, False), (rho[:, -1], True), (rho[:, 0] * 1.5, True)):
        at = X if same else Y
        ones = np.ones(len(X), dtype=int)
        count = index.count_self(radius) if same else index.count(queries, radius)
        assert count.dtype == np.int64
        np.testing.assert_array_equal(count, twin_weight(X, at, radius, ones, same))
        weight = index.weight_self(radius, weights) if same else index.weight(queries, radius, weights)
        np.testing.assert_allclose(weight, twin_weight(X, at, radius, weights, same), rtol=1e-12, atol=0)
    order = queries.order
    np.testing.assert_array_equal(index.count(queries, nu[order, -1], in_order=True), index.count(Y, nu[:, -1])[order])


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("d", COLUMNS)
def test_twin(name, d):
    rng = np.random.default_rng([d, LAYOUTS.index(name)])
    X, Y = layout(name, 333, d, rng), layout(name, 150, d, rng)
    check_all(X, Y, 5, rng.exponential(size=len(X)))


@pytest.mark.parametrize("d", [1, 2, 8])
def test_float32(d):
    rng = np.random.default_rng(d)
    X, Y = (rng.standard_normal((n, d)).astype(np.float32) + np.float32(1000) for n in (300, 100))
    check_all(X, Y, 4, rng.exponential(size=len(X)))


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(LAYOUTS),
    st.sampled_from(COLUMNS[:9]),
    st.integers(2, 90),
    st.integers(1, 90),
    st.integers(0, 2**32 - 1),
    st.floats(0, 1),
)
def test_random_sizes(name, d, n, m, seed, share):
    rng = np.random.default_rng(seed)
    X, Y = layout(name, n, d, rng), layout(name, m, d, rng)
    check_all(X, Y, 1 + int(share * (n - 1)), rng.exponential(size=n))


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 3), st.integers(2, 60), st.integers(0, 2**32 - 1))
@example(2, 52, 156)
def test_ends_of_the_float_range(d, n, seed):
    """Columns of any magnitude from subnormal to 1e300, with ties and zeros among them."""
    rng = np.random.default_rng(seed)
    values = np.array(
        [0.0, 5e-324, 1e-310, 1e-200, 3e-200, 1e-155, 1e-140, 1.0, 1.5, 1e100, 1e154, 1e155, 1e200, 1e300]
    )
    X = rng.choice(values, (n, d)) * rng.choice([-1, 1], (n, d))
    Y = rng.choice(values, (n, d)) * rng.choice([-1, 1], (n, d))
    index, k = NeighborIndex(X), min(5, n - 1)
    rho, nu = index.query_self(k), index.query(Y, k)
    # A subnormal distance has fewer digits: the twin itself is only right to the spacing of such numbers.
    np.testing.assert_allclose(rho, twin_query(X, X, k, same=True), rtol=1e-13, atol=1e-323)
    np.testing.assert_allclose(nu, twin_query(X, Y, k), rtol=1e-13, atol=1e-323)
    # and one that was rounded down, to a spacing below, is no radius of its ball
    of_others, of_own = (np.where(r < 1e-300, r + 5e-324, r) for r in (nu[:, -1], rho[:, -1]))
    assert np.all(index.count(Y, of_others) >= k)
    assert np.all(index.count_self(of_own) >= k)
    wide = np.where(nu[:, -1] > 1e-300, nu[:, -1], 0.0)
    np.testing.assert_array_equal(index.count(Y, wide), twin_weight(X, Y, wide, np.ones(n, dtype=int)))


@pytest.mark.parametrize("d", [1, 2, 8, 20])
@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e-160, 1e-25, 1e25, 1e160, 1e200, 1e300])
def test_scale(d, scale):
    rng = np.random.default_rng(d)
    X, Y = rng.standard_normal((200, d)) * scale, rng.standard_normal((100, d)) * scale
    check_all(X, Y, 3, rng.exponential(size=200))


def test_far_outlier_does_not_change_its_neighbours():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((100, 3))
    X[7] = 1e300, -1e300, 3.0
    distances = NeighborIndex(X).query_self(3)
    np.testing.assert_allclose(distances, twin_query(X, X, 3, same=True), rtol=1e-13)
    assert np.all(distances[np.arange(100) != 7] < 10)


@pytest.mark.parametrize("d", [1, 2, 5, 8, 40])
def test_two_rows_and_all_equal_rows(d):
    X = np.zeros((2, d))
    X[1] = 2.0
    np.testing.assert_allclose(NeighborIndex(X).query_self(1), 2 * np.sqrt(d), rtol=1e-15)
    equal = NeighborIndex(np.full((500, d), 0.1))
    assert not equal.query_self(499).any()
    assert np.all(equal.count_self(np.zeros(500)) == 499)


@pytest.mark.parametrize("d", [1, 2, 5, 8])
@pytest.mark.parametrize("k", [1, 11, 12, 13, 16, 17, 40, 299])
def test_many_neighbours(d, k):
    rng = np.random.default_rng(k)
    X, Y = rng.standard_normal((300, d)), rng.standard_normal((50, d))
    check_all(X, Y, k, np.ones(300))


@pytest.mark.parametrize("d", [1, 2, 5, 9])
def test_same_bits_for_any_number_of_threads(d):
    rng = np.random.default_rng(d)
    X, Y, w = rng.standard_normal((5000, d)), rng.standard_normal((4000, d)), rng.exponential(size=5000)
    results = []
    for n_jobs in (1, 2, 5):
        index = NeighborIndex(X, n_jobs=n_jobs)
        nu = index.query(Y, 4)
        results.append([index.query_self(4), nu, index.count(Y, nu[:, -1]), index.weight_self(np.full(5000, 0.3), w)])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("d", [1, 2, 8])
def test_a_ball_with_the_radius_of_a_neighbour_holds_it(d):
    X = np.random.default_rng(1).standard_normal((3000, d)) + 1e5
    index = NeighborIndex(X)
    for k in (1, 5, 20):
        assert np.all(index.count_self(index.kth_self(k)) >= k)


@pytest.mark.parametrize("d", [1, 2, 8])
def test_own_weight_is_left_out_exactly(d):
    X = np.random.default_rng(2).standard_normal((200, d))
    weights = np.ones(200)
    weights[17] = 1e18
    index = NeighborIndex(X)
    assert index.weight_self(np.full(200, 1e3), weights)[17] == 199
    # Weights of integers equal repeated rows.
    repeats = np.arange(200) % 4
    repeated = NeighborIndex(np.repeat(X, repeats, axis=0))
    radius = np.full(200, 0.7)
    np.testing.assert_array_equal(index.weight(X, radius, repeats), repeated.count(X, radius))


@pytest.mark.parametrize("d", [1, 3])
def test_radius_that_is_no_length(d):
    X = np.random.default_rng(3).standard_normal((50, d))
    index = NeighborIndex(X)
    radius = np.array([-1.0, 0.0, np.inf, np.nan] + [0.0] * 46)
    assert list(index.count(X, radius)[:4]) == [0, 1, 50, 0]
    assert list(index.count_self(radius)[:4]) == [0, 0, 49, 0]
    assert index.count(X, np.inf).sum() == 2500


def test_inputs_are_left_alone_and_may_be_read_only():
    X = np.random.default_rng(4).standard_normal((100, 3))
    before = X.copy()
    X.flags.writeable = False
    NeighborIndex(X).query(X, 3)
    np.testing.assert_array_equal(X, before)
    turned = NeighborIndex(X[:, ::-1])
    np.testing.assert_array_equal(turned.query_self(3), NeighborIndex(X[:, ::-1].copy()).query_self(3))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(turned)).query_self(3), turned.query_self(3))


def test_errors_say_what_was_found():
    X = np.random.default_rng(5).standard_normal((10, 2))
    index = NeighborIndex(X)
    with pytest.raises(ValueError, match="10 nearest rows were asked for; a row of the queries has 9"):
        index.query_self(10)
    with pytest.raises(ValueError, match="0 nearest rows"):
        index.query(X, 0)
    with pytest.raises(ValueError, match="queries have 3 columns, the sample has 2"):
        index.query(np.zeros((4, 3)), 1)
    with pytest.raises(ValueError, match=r"shape \(10,\)"):
        NeighborIndex(X[:, 0])
    with pytest.raises(ValueError, match="One weight for each of the 10 rows"):
        index.weight(X, 1.0, np.ones(3))
    X[3, 1] = np.nan
    with pytest.raises(ValueError, match="row 3, column 1 is nan"):
        NeighborIndex(X)


@pytest.mark.parametrize("leaf", [32, 64, 704])
@pytest.mark.parametrize(("preselect", "together"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("d", [2, 3, 4, 5, 6, 8, 10, 12, 33])
def test_every_arrangement_in_every_dimension(leaf, preselect, together, d):
    """The policy must only ever change the speed."""
    rng = np.random.default_rng(d)
    X, Y, k = rng.standard_normal((700, d)) * 3, rng.standard_normal((300, d)), 6
    tree, queries = (Tree(sample, leaf, preselect, together, 2) for sample in (X, Y))
    found, count = np.empty(300 * k), np.empty(300, dtype=np.int64)
    tree.nearest(queries, k, False, False, False, 1.0, 0, 300, None, found)
    np.testing.assert_allclose(found.reshape(300, k), twin_query(X, Y, k), rtol=1e-13)
    ball(tree, queries, found[k - 1 :: k].copy(), False, False, 1.0, 0, 300, None, None, count, None)
    assert np.all(count == k)
    own = np.empty(700 * k)
    tree.nearest(tree, k, True, False, False, 1.0, 0, 700, None, own)
    np.testing.assert_allclose(own.reshape(700, k), twin_query(X, X, k, same=True), rtol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", LAYOUTS)
def test_wide_samples_in_one_leaf(name, dtype):
    """As one leaf, whatever the policy would do with such rows: equal for any number of threads, and to the slow twin."""
    rng = np.random.default_rng(3)
    X, Y = (layout(name, n, 30, rng).astype(dtype) for n in (333, 150))
    trees = [(Tree(X, 352, True, True, threads), Tree(Y, 160, True, True, threads)) for threads in (1, 3)]
    for k in (1, 5, 12, 13):
        found = np.empty((2, 2, 150 * k))
        for i, (tree, queries) in enumerate(trees):
            tree.nearest(queries, k, False, False, False, 1.0, 0, 150, None, found[0, i])
            queries.nearest(queries, k, True, False, False, 1.0, 0, 150, None, found[1, i])
        np.testing.assert_array_equal(found[:, 0], found[:, 1])
        np.testing.assert_allclose(found[0, 0].reshape(150, k), twin_query(X, Y, k), rtol=1e-12)
        np.testing.assert_allclose(found[1, 0].reshape(150, k), twin_query(Y, Y, k, same=True), rtol=1e-12)


def test_outliers_and_tight_clusters_do_not_share_one_leaf():
    """The float32 products would be left without a digit for the distances that matter."""
    X = np.random.default_rng(0).standard_normal((500, 40))
    assert arrangement(X).leaf == 512
    X[7] = 1e9
    assert arrangement(X).leaf < 500
    assert arrangement(layout("clusters", 500, 40, np.random.default_rng(0))).leaf < 500
    assert arrangement(np.full((500, 40), 1e308) * np.where(np.arange(500) % 2, 1.0, -1.0)[:, None]).leaf < 500


@pytest.mark.parametrize("d", [1, 3, 6, 10])
@pytest.mark.parametrize("name", ["normal", "grid", "stretched"])
def test_spans_are_parts_of_the_whole(name, d):
    rng = np.random.default_rng(d)
    X, Y = layout(name, 700, d, rng), layout(name, 500, d, rng)
    if name == "stretched":
        X[:5] *= 1e200  # so that squares overflow and the extreme rows are searched again
    index, queries, weights, k = NeighborIndex(X, n_jobs=2), NeighborIndex(Y, n_jobs=2), rng.random(700), 20
    radius = index.kth(queries, 3, in_order=True)
    own = index.kth_self(4, in_order=True)
    for span in ((0, 128), (128, 129), (256, 500)):
        part, where = slice(*span), {"in_order": True, "span": span}
        for found, whole in (
            (index.query(queries, k, **where), index.query(queries, k, in_order=True)),
            (index.query_self(k, **where), index.query_self(k, in_order=True)),
            (index.kth(queries, 3, **where), radius),
            (index.kth_self(4, **where), own),
            (index.count(queries, radius[part], **where), index.count(queries, radius, in_order=True)),
            (index.count_self(own[part], **where), index.count_self(own, in_order=True)),
            (
                index.weight(queries, radius[part], weights, **where),
                index.weight(queries, radius, weights, in_order=True),
            ),
            (index.weight_self(own[part], weights, **where), index.weight_self(own, weights, in_order=True)),
        ):
            np.testing.assert_allclose(found, whole[part], rtol=1e-15)  # sums of weights may be added in another order


@pytest.mark.parametrize("span", [(1, 200), (0, 501), (128, 128)])
def test_wrong_spans_are_refused(span):
    index = NeighborIndex(np.random.default_rng(0).random((500, 2)))
    with pytest.raises(ValueError, match="span of positions"):
        index.kth_self(1, in_order=True, span=span)
    with pytest.raises(ValueError, match="in_order=True"):
        index.kth_self(1, span=(0, 128))


def test_counts_from_known_distances():
    distances = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0], [1.0, 1.0, 4.0], [1.0, 2.0, 3.0]])
    radius = np.array([2.0 / (1.0 + 1e-13), 0.0, 3.9, 5.0])  # the first agrees with a distance to 1e-12
    count, asked = np.empty(4), np.empty(4)
    assert within(distances, radius, count, asked) == 2
    np.testing.assert_array_equal(count, [2.0, 3.0, 2.0, 3.0])
    np.testing.assert_array_equal(asked, [-1.0, 0.0, -1.0, 5.0])
