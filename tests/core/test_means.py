"""Means with their errors against math.fsum and long doubles, weights as repetitions, and merges in any cut."""

import itertools
import math
import pickle

import numpy as np
import pytest

from fastkl._core.means import Mean

N = 9001  # more than two blocks of the kernel, and a rest


def values_and_weights(seed, offset=0.0):
    rng = np.random.default_rng(seed)
    return offset + rng.gamma(2.0, size=N), rng.integers(0, 5, N).astype(float)


def tolerance(offset):
    """A mean is a float64: what it is rounded by, in standard deviations (about 1.4), is in the spread about it."""
    return 1e-13 + 2.0 * np.spacing(abs(offset))


def long_double(x, w):
    """Mean, standard error and Kish's number in extended precision, from their definitions."""
    x, w = x.astype(np.longdouble), w.astype(np.longdouble)
    mean = (w * x).sum() / w.sum()
    size = w.sum() ** 2 / (w**2).sum()
    square = (w**2 * (x - mean) ** 2).sum() / w.sum() ** 2 * size / (size - 1)
    return float(mean), float(np.sqrt(square)), float(size)


@pytest.mark.parametrize("offset", [0.0, -3.0, 1e8, -1e12])
@pytest.mark.parametrize("weighted", [False, True])
def test_against_long_doubles(offset, weighted):
    x, w = values_and_weights(0, offset)
    found = Mean.of(x, w if weighted else None)
    mean, error, size = long_double(x, w if weighted else np.ones(N))
    assert found.value == pytest.approx(mean, rel=4e-16)
    assert found.error == pytest.approx(error, rel=tolerance(offset))
    assert found.size == pytest.approx(size, rel=1e-13)
    assert found.n_rows == (np.count_nonzero(w) if weighted else N)


@pytest.mark.parametrize("offset", [0.0, 1e8])
def test_against_a_sum_rounded_once(offset):
    x, _ = values_and_weights(1, offset)
    mean = math.fsum(x) / N
    found = Mean.of(x)
    assert found.value == pytest.approx(mean, rel=4e-16)
    assert found.variance() == pytest.approx(math.fsum((x - mean) ** 2) / (N - 1), rel=tolerance(offset))
    assert found.variance(np.inf) == pytest.approx(math.fsum((x - mean) ** 2) / N, rel=tolerance(offset))


@pytest.mark.parametrize("offset", [0.0, 1e8])
def test_weights_are_repetitions(offset):
    x, w = values_and_weights(2, offset)
    weighted, repeated = Mean.of(x, w), Mean.of(np.repeat(x, w.astype(int)))
    assert weighted.weight == repeated.weight == repeated.n_rows
    assert weighted.value == pytest.approx(repeated.value, rel=4e-16)
    n = repeated.n_rows
    assert weighted.variance(n) == pytest.approx(repeated.variance(), rel=tolerance(offset))


@pytest.mark.parametrize(("beyond", "far"), [(1.0, 0.1), (2.0, 3.0)])
def test_the_error_knows_how_weights_go_with_values(beyond, far):
    """Weights by the distance from 0: the spread of the mean of x^2 over 3000 samples, which Kish's number misses."""
    x = np.random.default_rng(8).standard_normal((3000, 200))
    found = [Mean.of(rows**2, np.where(np.abs(rows) > beyond, far, 1.0)) for rows in x]
    error = np.sqrt(np.mean([mean.error**2 for mean in found]))
    assert error == pytest.approx(np.std([mean.value for mean in found]), rel=0.06)
    kish = np.sqrt(np.mean([mean.variance(mean.size) / mean.size for mean in found]))
    assert abs(kish / error - 1.0) > 0.2


def test_equal_weights_are_none():
    x, _ = values_and_weights(3)
    plain, equal = Mean.of(x), Mean.of(x, np.full(N, 0.3))
    assert equal.size == pytest.approx(N, rel=1e-13)
    assert equal.value == pytest.approx(plain.value, rel=1e-15)
    assert equal.error == pytest.approx(plain.error, rel=1e-13)


CUTS = [[1], [N - 1], [4096], [4095, 4097], [10, 20, 30, 8000], list(range(100, N, 100))]


@pytest.mark.parametrize("cut", CUTS, ids=len)
@pytest.mark.parametrize("offset", [0.0, 1e8])
@pytest.mark.parametrize("weighted", [False, True])
def test_any_cut_and_order_of_merges(cut, offset, weighted):
    x, w = values_and_weights(4, offset)
    w = w + 0.5 if weighted else None
    ends = [0, *cut, N]
    parts = [Mean.of(x[a:b], None if w is None else w[a:b]) for a, b in itertools.pairwise(ends)]
    whole = Mean.of(x, w)
    halves = sum(parts[: len(parts) // 2], Mean()) + sum(parts[len(parts) // 2 :], Mean())
    for merged in (sum(parts, Mean()), sum(reversed(parts), Mean()), halves):
        assert merged.n_rows == whole.n_rows
        assert merged.value == pytest.approx(whole.value, rel=1e-15)
        assert merged.error == pytest.approx(whole.error, rel=tolerance(offset))
        assert merged.size == pytest.approx(whole.size, rel=1e-13)


def test_what_has_no_weight_changes_no_bit():
    x, w = values_and_weights(5, 1e8)
    whole = Mean.of(x, w)
    for nothing in (Mean(), Mean.of(np.empty(0)), Mean.of(np.full(5000, 1e200), np.zeros(5000))):
        assert whole + nothing == whole
        assert nothing + whole == whole
    assert math.isnan(Mean().value)
    assert math.isnan(Mean().error)
    assert Mean().size == 0.0


@pytest.mark.parametrize("where", [[], [17], [5000]])
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_values_that_are_not_finite_stand_apart(where, bad):
    x, w = values_and_weights(6)
    w += 0.5
    x[where] = bad
    parts = Mean.of(x[:4000], w[:4000]) + Mean.of(x[4000:], w[4000:])
    for mean in (Mean.of(x, w), parts, Mean() + parts, parts + Mean()):
        assert mean.n_rows == N
        assert mean.size == pytest.approx(w.sum() ** 2 / (w**2).sum(), rel=1e-13)
        np.testing.assert_equal(mean.value, bad if where else mean.centre)
        assert math.isnan(mean.error) == bool(where)
        assert math.isinf(mean.variance()) == bool(where)


def test_infinities_of_both_signs_and_of_no_weight():
    assert math.isnan(Mean.of(np.array([np.inf, 0.0, -np.inf])).value)
    assert math.isnan((Mean.of(np.array([np.inf, 1.0])) + Mean.of(np.array([-np.inf]))).value)
    assert Mean.of(np.array([1.0, -np.inf, np.nan, 3.0]), np.array([1.0, 0.0, 0.0, 1.0])) == Mean.of(
        np.array([1.0, 3.0])
    )


def test_a_single_row_has_no_error():
    for one in (Mean.of(np.array([2.5])), Mean.of(np.array([2.5]), np.array([0.3]))):
        assert one.value == 2.5
        assert math.isnan(one.error)
        assert one.variance() == 0.0


def test_constant_values_have_no_spread():
    for n in (2, 600, 5000):
        constant = Mean.of(np.full(n, 0.1)) + Mean.of(np.full(n, 0.1))
        assert (constant.value, constant.error) == (0.1, 0.0)


@pytest.mark.parametrize("scale", [1e-300, 1e300, 1.7e308])
def test_at_the_ends_of_float64(scale):
    """Sums may leave the range of float64, a mean does not; nor does a variance that is within it."""
    x = scale * np.random.default_rng(7).uniform(-1.0, 1.0, 1000)
    mean = math.fsum(x * 2.0**-20) / 1000.0 * 2.0**20
    with np.errstate(over="raise", invalid="raise"):
        found = Mean.of(x)
    assert found.value == pytest.approx(mean, rel=1e-13, abs=1e-16 * scale)
    assert found.variance() == (0.0 if scale < 1.0 else math.inf)


def test_weights_whose_squares_are_beyond_float64():
    assert math.isnan(Mean.of(np.ones(3), np.full(3, 1e200)).error)


def test_other_types_and_strides_and_pickles():
    x, w = values_and_weights(8)
    assert Mean.of(x[::2], w[::2]) == Mean.of(x[::2].copy(), w[::2].copy())
    assert Mean.of(x.astype(np.float32)) == Mean.of(x.astype(np.float32).astype(float))
    assert pickle.loads(pickle.dumps(Mean.of(x, w))) == Mean.of(x, w)
