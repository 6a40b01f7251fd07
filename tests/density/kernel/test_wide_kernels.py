"""Gaussian kernels that are wide for their support: the sums over all images, written out, and fits that end there."""

import itertools
from types import NoneType

import numpy as np
import pytest

from fastkl import KernelDensityMLE
from fastkl.density.kernel.columns.ends import Mirrors
from fastkl.density.kernel.sums import folded
from fastkl.density.kernel.sums.folded import FoldedSums
from fastkl.density.kernel.sums.pairs import PairSums
from fastkl.density.kernel.sums.partly_wide import PartlyWideSums
from fastkl.density.kernel.sums.series import SeriesSums

RNG = np.random.default_rng(3)
CELLS = 40


def images(values, low, high, circular):
    """Of one column: rows of images, out to where nothing is left."""
    if np.isinf(low) and np.isinf(high):
        return values[np.newaxis]
    if np.isinf(low) or np.isinf(high):
        end = high if np.isinf(low) else low
        return np.stack([values, 2.0 * end - values])
    size, cells = high - low, np.arange(-CELLS, CELLS + 1)[:, np.newaxis]
    if circular:
        return values + cells * size
    return np.concatenate([values + 2 * cells * size, 2.0 * low - values + 2 * cells * size])


def written_out(points, weights, mirrors, widths, rows, others=False):
    """Logarithms of the sums, and their slopes by the log-bandwidths and by the rows."""
    product, by_width, by_row = np.tile(weights, (len(rows), 1)), [], []
    for j, width in enumerate(widths):
        every = images(points[:, j], mirrors.low[j], mirrors.high[j], mirrors.circular[j])
        apart = (every[:, np.newaxis, :] - rows[:, j, np.newaxis]) / width
        kernels = np.exp(-0.5 * apart**2)
        column = kernels.sum(axis=0)
        product = product * column
        by_width.append((kernels * apart**2).sum(axis=0) / column)
        by_row.append((kernels * apart).sum(axis=0) / column / width)
    if others:
        np.fill_diagonal(product, 0.0)
    sums = product.sum(axis=1)
    means = [np.stack([(product * part).sum(axis=1) / sums for part in parts], axis=1) for parts in (by_width, by_row)]
    return np.log(sums), *means


NO = np.inf
CASES = {
    "one column": ([0.0], [2.0], [False], [0.9], SeriesSums),
    "one circle": ([-3.0], [3.0], [True], [2.5], SeriesSums),
    "two columns": ([0.0, -1.0], [1.0, 1.0], [False, False], [0.5, 1.7], SeriesSums),
    "an end and a circle": ([0.0, 0.0], [1.0, 24.0], [False, True], [0.6, 12.0], SeriesSums),
    "three columns": ([0.0] * 3, [1.0, 2.0, 1.0], [False] * 3, [0.6, 1.1, 1.0], SeriesSums),
    "one narrow": ([0.0] * 3, [1.0, 2.0, 1.0], [False] * 3, [0.05, 2.0, 1.0], PairSums),
    "hardly wide": ([0.0] * 3, [1.0, 1.0, 1.0], [False, True, False], [0.3, 0.26, 0.2], PairSums),
    "one without ends": ([0.0, -NO, 0.0], [1.0, NO, 1.0], [False] * 3, [0.9, 0.3, 1.0], PairSums),
    "one with one end": ([0.0, 0.0, 0.0], [1.0, NO, 1.0], [False] * 3, [0.9, 0.3, 1.0], PairSums),
}


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_sums_over_all_images(name, many, monkeypatch):
    """Of few references, and as if they were many, where pairs are left to trees."""
    if many:
        monkeypatch.setattr(folded, "FEW", 0)
    low, high, circular, widths, kind = CASES[name]
    mirrors, widths = Mirrors(np.array(low), np.array(high), np.array(circular)), np.array(widths)
    spans = np.where(np.isfinite(mirrors.high), mirrors.high, 2.0), np.where(np.isfinite(mirrors.low), mirrors.low, 0.0)
    points, rows = (spans[1] + (spans[0] - spans[1]) * RNG.random((n, len(widths))) for n in (300, 40))
    weights = RNG.uniform(0.5, 2.0, 300)
    sums = FoldedSums.of(points, weights, "gaussian", widths, np.zeros(len(widths)), mirrors, error=1e-9, n_threads=1)
    if many and kind is PairSums:
        kind = NoneType if name == "hardly wide" else PartlyWideSums
    assert isinstance(sums._products, kind)
    logs, by_width, by_row = written_out(points, weights, mirrors, widths, rows)
    np.testing.assert_allclose(sums.log_sums(rows), logs, rtol=0, atol=1e-9)
    for found, expected in ((sums.moments(rows), by_width), (sums.slopes(rows), by_row)):
        np.testing.assert_allclose(found[0], logs, rtol=0, atol=1e-9)
        np.testing.assert_allclose(found[1], expected, rtol=0, atol=1e-8 * (1.0 + np.abs(expected).max()))
    logs, by_width, _ = written_out(points, weights, mirrors, widths, points, others=True)
    found = sums.leave_one_out(True)
    np.testing.assert_allclose(found[0], logs, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found[1], by_width, rtol=0, atol=1e-8)
    np.testing.assert_allclose(sums.leave_one_out()[0], logs, rtol=0, atol=1e-9)
    alone = np.array([sums.log_sums(row[np.newaxis])[0] for row in rows[:10]])
    np.testing.assert_allclose(alone, sums.log_sums(rows)[:10], rtol=0, atol=1e-9 if many else 0.0)


def test_images_that_matter_are_within_reach():
    """In every column by itself, however narrow the kernels are in the others."""
    mirrors = Mirrors(np.zeros(3), np.ones(3), np.zeros(3, dtype=bool))
    points, widths = RNG.random((200, 3)), np.array([0.004, 0.01, 1.0])
    sums = FoldedSums.of(points, None, "gaussian", widths, np.zeros(3), mirrors, error=1e-9, n_threads=1)
    by_images = FoldedSums.of(points, None, "gaussian", widths, np.zeros(3), mirrors, error=1e-9, n_threads=1)
    by_images.__dict__["_products"] = None
    np.testing.assert_allclose(by_images.leave_one_out()[0], sums.leave_one_out()[0], rtol=1e-12, atol=1e-9)
    signs, _ = mirrors.shell(3, mirrors.reach(widths, 46.0))
    assert len(signs) == len(
        [c for c in itertools.product(range(-2, 3), range(-2, 3), range(-3, 4)) if 3 in map(abs, c)]
    )


def test_uniform_rows_in_three_columns_with_ends():
    """The likelihood widens kernels until columns are as good as uniform; the mass stays 1, and nothing takes minutes."""
    X = np.random.default_rng(0).random((500, 3))
    model = KernelDensityMLE(boundary=(0, 1)).fit(X)
    assert model.converged_
    assert np.all(model.bandwidth_ > 0.1)
    assert model.bandwidth_.max() == pytest.approx(1.0)
    nodes = (np.arange(40) + 0.5) / 40
    grid = np.stack(np.meshgrid(nodes, nodes, nodes, indexing="ij"), axis=-1).reshape(-1, 3)
    assert np.exp(model.score_samples(grid)).mean() == pytest.approx(1.0, abs=1e-9)
    better = max(
        model.loo_log_likelihood_ - KernelDensityMLE(h, boundary=(0, 1)).fit(X).leave_one_out().sum()
        for h in (0.1, 0.2)
    )
    assert better > 0.0


@pytest.mark.parametrize("many", [False, True])
def test_rows_far_away_in_a_column_without_ends(many, monkeypatch):
    """Minus infinity or a finite number, never NaN, and no warning."""
    if many:
        monkeypatch.setattr(folded, "FEW", 0)
    X = np.random.default_rng(1).random((100, 3))
    model = KernelDensityMLE([1.0, 1.0, 0.3], boundary={0: (0, 1), 1: (0, 1)}).fit(X)
    assert isinstance(model._sums_of(1)._products, PartlyWideSums if many else PairSums)
    found = model.score_samples([[0.5, 0.5, x] for x in (0.5, 40.0, -1e100, 1e300)])
    assert np.isfinite(found[:2]).all()
    assert not np.isnan(found).any()
    assert found[3] == -np.inf
    # in the column without ends it is a Gaussian of the nearest row, far out
    nearest = X[:, 2].max()
    assert found[1] == pytest.approx(-0.5 * ((40.0 - nearest) / 0.3) ** 2, rel=0.01)
