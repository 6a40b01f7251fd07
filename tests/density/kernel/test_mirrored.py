"""References with their images near an end: the same sums as image by image, at every row, and by the grid for many rows."""

import numpy as np
import pytest

from fastkl import KernelDensityMLE
from fastkl.density.kernel.columns.ends import Mirrors
from fastkl.density.kernel.sums.folded import FoldedSums
from fastkl.density.kernel.sums.units import Units

rng = np.random.default_rng(3)
LINE = Mirrors(np.array([0.0]), np.array([np.inf]), np.array([False]))
INSIDE = Mirrors(np.array([0.0]), np.array([3.0]), np.array([False]))
CIRCLE = Mirrors(np.array([0.0]), np.array([3.0]), np.array([True]))
BOTH = Mirrors(np.array([0.0, 0.0]), np.array([np.inf, 3.0]), np.array([False, True]))
ENDS = {"line": LINE, "inside": INSIDE, "circle": CIRCLE, "both": BOTH}


def both_ways(name, h, kernel="gaussian", weights=None, narrow=None, error=1e-9):
    """Sums with images of references, and the same where only queries have some."""
    mirrors = ENDS[name]
    points = rng.uniform(0.0, 3.0, (300, len(mirrors.low))) ** 1.5 / 3.0**0.5
    found = []
    for near in (True, False):
        sums = FoldedSums(points, weights, kernel, Units(h, np.zeros(points.shape[1])), mirrors, error=error, n_threads=1,
                          narrow=narrow)  # fmt: skip
        if not near:
            sums.__dict__["_near"] = None
        found.append(sums)
    return points, *found


@pytest.mark.parametrize("kernel", ["gaussian", "exponential", "epanechnikov", "linear"])
@pytest.mark.parametrize("h", [0.02, 0.3, 1.5])
@pytest.mark.parametrize("name", ENDS)
def test_both_ways_give_the_same_sums(name, h, kernel):
    weights, narrow = rng.uniform(0.1, 2.0, 300), rng.uniform(0.3, 2.0, 300)
    points, near, far = both_ways(name, h, kernel, weights, narrow)
    queries = np.concatenate([points[:50] * 0.99, np.zeros((1, points.shape[1])), points[:3] * [1.0] + 0.0])
    if name == "line":
        queries = np.concatenate([queries, [[9.0], [60.0]]])
    options = {"rtol": 1e-13, "atol": 3e-9}
    np.testing.assert_allclose(near.log_sums(queries), far.log_sums(queries), **options)
    for of_near, of_far in zip(near.slopes(queries), far.slopes(queries), strict=True):
        np.testing.assert_allclose(of_near, of_far, rtol=1e-7, atol=1e-7 / h)
    np.testing.assert_allclose(near.leave_one_out()[0], far.leave_one_out()[0], **options)


@pytest.mark.parametrize("kernel", ["gaussian", "exponential", "cosine"])
@pytest.mark.parametrize("name", ENDS)
def test_slopes_by_bandwidths_without_a_row_and_its_images(name, kernel):
    points, near, far = both_ways(name, 0.2, kernel, rng.uniform(0.1, 2.0, 300), error=1e-11)
    for of_near, of_far in zip(near.leave_one_out(True), far.leave_one_out(True), strict=True):
        np.testing.assert_allclose(of_near, of_far, rtol=1e-8, atol=1e-8)
    for of_near, of_far in zip(near.moments(points[:40]), far.moments(points[:40]), strict=True):
        np.testing.assert_allclose(of_near, of_far, rtol=1e-8, atol=1e-8)


def test_rows_alone_at_an_end_keep_their_digits():
    """Next to such a row nothing but its own images matters, which are not to be subtracted from themselves."""
    points = np.concatenate([[[0.0], [1e-3]], 5.0 + rng.random((50, 1))])
    sums = [FoldedSums(points[keep], None, "gaussian", Units(0.1, np.zeros(1)), LINE, error=1e-10, n_threads=1)
            for keep in (slice(None), slice(1, None))]  # fmt: skip
    assert sums[0].leave_one_out()[0][0] == pytest.approx(sums[1].log_sums(points[:1])[0], abs=1e-9)
    alone = np.concatenate([points[:1], points[2:]])
    left = FoldedSums(alone, None, "gaussian", Units(0.1, np.zeros(1)), LINE, error=1e-10, n_threads=1).leave_one_out()[
        0
    ]
    exact = np.log(2.0) + np.logaddexp.reduce(-0.5 * (alone[1:, 0] / 0.1) ** 2)
    assert left[0] == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize(("name", "boundary"), [("line", "reflect"), ("circle", ("circular", 3.0))])
def test_many_rows_go_by_the_grid(name, boundary):
    many = rng.uniform(0.0, 3.0, (60_000, 1))
    model = KernelDensityMLE(0.03, boundary=boundary, error=1e-7).fit(many)
    queries = np.concatenate([many, [[0.0], [2.99999], [1e-9]]])
    found = model.score_samples(queries)
    assert model._sums[1]._near._sums._grid is not None
    some = np.concatenate([np.arange(0, 60_000, 3000), [60_000, 60_001, 60_002]])
    images = {"line": [(1, 0), (-1, 0)], "circle": [(1, 0), (1, 3), (1, -3)]}[name]
    logs = [
        np.logaddexp.reduce(-0.5 * ((sign * queries[some] + by - many.T) / 0.03) ** 2, axis=1) for sign, by in images
    ]
    exact = np.logaddexp.reduce(logs) - np.log(60_000 * 0.03 * np.sqrt(2.0 * np.pi))
    np.testing.assert_allclose(found[some], exact, rtol=0.0, atol=1e-7)
