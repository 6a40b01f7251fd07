"""Kernel densities of columns that end or are round: mass by quadrature, values against images written out, every member."""

import mpmath
import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.special import logsumexp

from fastkl import KernelDensityMLE, SupportError, load
from tests.density.kernel.direct import log_integral, log_kernel

RNG = np.random.default_rng(3)
KERNELS = ["gaussian", "epanechnikov", "tophat", "exponential", "linear", "cosine"]
FOLDS = {
    "reflect": (0.0, np.inf),
    (None, 2.0): (-np.inf, 2.0),
    (0.0, 2.0): (0.0, 2.0),
    ("circular", 2.0): None,
}


def images(entry, x, most=40):
    """The images of a value, nearest cells first."""
    if entry is None:
        return [x]
    if entry[0] == "circular":
        return [x + k * entry[1] for k in range(-most, most + 1)]
    low, high = FOLDS[entry]
    if np.isinf(low) or np.isinf(high):
        return [x, 2.0 * (high if np.isinf(low) else low) - x]
    return [y + 2 * k * (high - low) for k in range(-most, most + 1) for y in (x, 2.0 * low - x)]


def folded(X, references, h, entries, kernel="gaussian", weights=None, leave_one_out=False, most=40):
    """Log-densities by all images of every row, as the sum over all pairs."""
    h = np.broadcast_to(h, references.shape[1])
    weights = np.ones(len(references)) if weights is None else weights
    found = np.empty(len(X))
    for i, x in enumerate(X):
        grid = (
            np.array(np.meshgrid(*[images(e, v, most) for e, v in zip(entries, x, strict=True)])).reshape(len(x), -1).T
        )
        square = np.sum(((grid[:, None] - references) / h) ** 2, axis=2)
        own = weights.copy()
        own[i if leave_one_out else slice(0)] = 0.0
        with np.errstate(divide="ignore"):
            found[i] = logsumexp(log_kernel(kernel, square) + np.log(own)) - np.log(own.sum())
    return found - log_integral(kernel, len(h)) - np.log(h).sum()


def within(entry, n):
    return RNG.beta(0.8, 3.0, n) * 2.0 if entry != ("circular", 2.0) else RNG.normal(1.9, 0.4, n)


@pytest.mark.parametrize("h", [0.05, 0.4, 2.0, 50.0])
@pytest.mark.parametrize("entry", list(FOLDS), ids=str)
def test_images_on_a_line(entry, h):
    x, w = within(entry, 60), RNG.exponential(size=60)
    model = KernelDensityMLE(h, boundary=entry).fit(x[:, None], sample_weight=w)
    queries = np.concatenate([x[:10], [0.0, 2.0, 1.3]])
    most = max(40, int(8 * h)) * (np.isinf(np.sum(FOLDS[entry] or 0.0)) or 1)
    expected = folded(queries[:, None], x[:, None], h, [entry], weights=w, most=most)
    np.testing.assert_allclose(model.score_samples(queries[:, None]), expected, rtol=0, atol=1e-9)
    expected = folded(x[:, None], x[:, None], h, [entry], weights=w, leave_one_out=True, most=most)
    np.testing.assert_allclose(model.leave_one_out(), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("error", [0.0, 1e-9, 1e-4])
@pytest.mark.parametrize("kernel", KERNELS)
def test_images_in_three_columns(kernel, error):
    """A corner with two ends, a circle and a line without one; queries far out on the line."""
    entries = ["reflect", (0.0, 2.0), ("circular", 2.0)]
    X = np.column_stack([within(entry, 80) for entry in entries])
    queries = np.concatenate([X[:12] % 2.0, [[0.0, 0.0, 0.0], [9.0, 2.0, 1.0], [30.0, 1.0, 5.0]]])
    h = np.array([0.5, 0.4, 0.3])
    model = KernelDensityMLE(h, kernel=kernel, error=error, boundary=dict(enumerate(entries))).fit(X)
    expected = folded(queries, X, h, entries, kernel, most=4 if kernel != "exponential" else 12)
    inside = np.isfinite(expected)
    found = model.score_samples(queries)
    np.testing.assert_array_equal(np.isfinite(found), inside)
    np.testing.assert_allclose(found[inside], expected[inside], rtol=0, atol=error + 1e-11)


def test_fifty_digits_at_an_end():
    """Far from all rows, and on the end itself."""
    x, h = np.array([0.1, 0.7, 1.9]), 0.13
    model = KernelDensityMLE(h, boundary=(0, 2), error=0.0).fit(x[:, None])
    with mpmath.workdps(50):
        for at in (0.0, 2.0, 1.3, 0.4):
            terms = (
                mpmath.exp(-(((s * mpmath.mpf(at) + 4 * k - mpmath.mpf(float(y))) / mpmath.mpf(h)) ** 2) / 2)
                for y in x for k in range(-4, 5) for s in (1, -1)
            )  # fmt: skip
            expected = float(mpmath.log(mpmath.fsum(terms) / 3 / mpmath.mpf(h) / mpmath.sqrt(2 * mpmath.pi)))
            assert model.score_samples([[at]])[0] == pytest.approx(expected, rel=1e-13, abs=1e-13)


@pytest.mark.parametrize("bandwidth", ["likelihood", "silverman", 0.05, 0.9])
@pytest.mark.parametrize("kernel", ["gaussian", "epanechnikov", "exponential"])
@pytest.mark.parametrize("entry", [*FOLDS, "log", "logit", ("log", -1.0), ("logit", -3.0, 4.0)], ids=str)
def test_mass_is_one(entry, kernel, bandwidth):
    """Over the support; of logarithms and log-odds by the coordinates, in which the density is smooth."""
    x = RNG.beta(2.0, 3.0, 40) if entry == "logit" else within(entry, 40)
    model = KernelDensityMLE(bandwidth, kernel=kernel, boundary=entry).fit(x[:, None])
    h = float(np.max(model.bandwidth_))
    breaks = sorted({*np.linspace(0.0, 2.0, 3), *x} if entry in FOLDS else set())
    if entry in FOLDS:
        low, high = FOLDS[entry] or (0.0, 2.0)
        low, high = max(low, -60.0 * h - 2.0), min(high, 60.0 * h + 2.0)
        kinks = np.array([y + s * h for y in x for s in (-1, 0, 1)])
        points = np.array([image for y in kinks for image in images(entry, y, 2)])
        breaks = np.unique(np.concatenate([[low, high], points[(points > low) & (points < high)]]))
        inverse, slope = (lambda u: u), (lambda u: np.ones_like(u))
    else:
        ends = {"log": (0.0, np.inf), "logit": (0.0, 1.0)}.get(entry) or (*entry[1:], np.inf)[:2]
        if np.isinf(ends[1]):
            way, inverse, slope = np.log(x - ends[0]), lambda u: ends[0] + np.exp(u), np.exp
        else:
            width = ends[1] - ends[0]
            way = np.log((x - ends[0]) / (ends[1] - x))
            inverse, slope = (lambda u: ends[0] + width / (1 + np.exp(-u))), (lambda u: width / (2 + 2 * np.cosh(u)))
        kinks = np.array([y + s * h for y in way for s in (-1, 0, 1)])
        breaks = np.unique(np.concatenate([[way.min() - 25 * h, way.max() + 25 * h], kinks]))
    nodes, rule = np.polynomial.legendre.leggauss(40 if kernel == "gaussian" else 24)
    breaks = np.unique(np.concatenate([breaks, np.linspace(breaks[0], breaks[-1], 60)]))
    half = 0.5 * np.diff(breaks)[:, None]
    u = breaks[:-1, None] + half * (1 + nodes)
    heights = np.exp(model.score_samples(inverse(u).reshape(-1, 1))).reshape(u.shape) * slope(u)
    assert np.sum(half * rule * heights) == pytest.approx(1.0, abs=1e-9)


def test_logarithms_and_log_odds():
    """The density of the coordinates times their slope, with all rules of a bandwidth."""
    x = RNG.lognormal(size=(200, 1))
    for rule in ("likelihood", "silverman", "sheather_jones", 0.3):
        logs = KernelDensityMLE(rule, boundary="log").fit(x)
        inner = KernelDensityMLE(rule).fit(np.log(x))
        np.testing.assert_allclose(logs.bandwidth_, inner.bandwidth_, rtol=1e-12)
        np.testing.assert_allclose(logs.score_samples(x), inner.score_samples(np.log(x)) - np.log(x[:, 0]), rtol=1e-10)
    logs = KernelDensityMLE(boundary="log").fit(x)
    assert logs.loo_log_likelihood_ == pytest.approx(logs.leave_one_out().sum(), rel=1e-9)
    z = x / (1.0 + x)
    share = KernelDensityMLE(0.3, boundary="logit").fit(z)
    inner = KernelDensityMLE(0.3).fit(np.log(x))
    expected = inner.score_samples(np.log(x)) - np.log(z * (1.0 - z))[:, 0]
    np.testing.assert_allclose(share.score_samples(z), expected, rtol=1e-9)
    scaled = KernelDensityMLE(0.3, boundary=("logit", -10, 10)).fit(20.0 * z - 10.0)
    np.testing.assert_allclose(scaled.score_samples(20.0 * z - 10.0), expected - np.log(20.0), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("scalar", [False, True])
@pytest.mark.parametrize("kernel", ["gaussian", "exponential", "epanechnikov"])
def test_likelihood_of_folded_rows(kernel, scalar):
    """The bandwidths maximise the sum written out: no step to either side is better, and slopes are those of differences."""
    entries = ["reflect", ("circular", 2.0)]
    X = np.column_stack([within(entry, 70) for entry in entries])
    rule = "likelihood_scalar" if scalar else "likelihood"
    w = RNG.integers(1, 4, 70).astype(float)
    model = KernelDensityMLE(rule, kernel=kernel, boundary=dict(enumerate(entries))).fit(X, sample_weight=w)

    def total(h):
        return w @ folded(X, X, h, entries, kernel, w, leave_one_out=True, most=4)

    own = np.broadcast_to(model.bandwidth_, 2)
    best = total(own)
    assert best == pytest.approx(model.loo_log_likelihood_, abs=1e-8)
    for factor in ((1.02, 1.02), (0.98, 0.98)) if scalar else ((1.02, 1.0), (0.98, 1.0), (1.0, 1.02), (1.0, 0.98)):
        assert total(own * factor) < best


def test_half_of_a_mirrored_sample():
    """Reflection at an end is twice the density of the rows and their mirror images: many rows, by a grid too."""
    for n in (300, 30_000):
        x = np.abs(RNG.normal(size=(n, 1)))
        half = KernelDensityMLE(0.1, boundary="reflect").fit(x).score_samples(x)
        both = KernelDensityMLE(0.1).fit(np.concatenate([x, -x])).score_samples(x) + np.log(2.0)
        np.testing.assert_allclose(half, both, rtol=0, atol=3e-9)


@pytest.mark.parametrize("entry", [*FOLDS, "log", ("logit", -1.0, 3.0)], ids=str)
def test_slopes(entry):
    x = within(entry, 50)[:, None] if entry != "log" else within("reflect", 50)[:, None] + 0.1
    model = KernelDensityMLE(0.3, boundary=entry, error=0.0).fit(x)
    queries = np.array([[0.3], [1.1], [1.7], [0.02], [1.98]])
    step = 1e-6
    slope = (model.score_samples(queries + step) - model.score_samples(queries - step)) / (2 * step)
    np.testing.assert_allclose(model.score_gradient(queries)[:, 0], slope, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("entry", ["reflect", (None, 2.0), (0.0, 2.0), "log", ("logit", -1.0, 3.0)], ids=str)
@pytest.mark.parametrize("adaptive", [False, True])
def test_probabilities(entry, adaptive):
    """Against quadrature, in both tails; quantiles turn them round; draws have them."""
    x = within("reflect", 30)[:, None] + (0.1 if entry == "log" else 0.0)
    model = KernelDensityMLE(0.4, boundary=entry, adaptive=adaptive, error=0.0).fit(
        x, sample_weight=RNG.uniform(1, 2, 30)
    )
    low, high = {"reflect": (0, 30), (None, 2.0): (-30, 2), (0.0, 2.0): (0, 2), "log": (0, 300)}.get(entry, (-1, 3))
    at = np.array([[0.2], [1.0], [1.9]])
    for value in at.ravel():
        below = quad(lambda t: np.exp(model.score_samples([[t]])[0]), low, value, epsabs=1e-11, limit=200)[0]
        assert model.cdf([[value]])[0, 0] == pytest.approx(below, abs=1e-8)
    np.testing.assert_allclose(model.sf(at) + model.cdf(at), 1.0, rtol=1e-12)
    np.testing.assert_allclose(model.log_cdf(at), np.log(model.cdf(at)), rtol=1e-10)
    q = [0.001, 0.3, 0.8, 0.999]
    np.testing.assert_allclose(model.cdf(model.quantile(q)).ravel(), q, rtol=1e-9)
    assert model.cdf([[-50.0]])[0, 0] == (0.0 if low > -30 else pytest.approx(0.0, abs=1e-200))
    assert model.sf([[1e9]])[0, 0] == pytest.approx(0.0, abs=1e-5)
    draws = model.sample(20_000, random_state=0)
    assert np.isfinite(model.score_samples(draws)).all()
    np.testing.assert_allclose(np.mean(draws <= at.T, axis=0), model.cdf(at).ravel(), atol=0.02)


def test_draws_around_a_circle():
    x = RNG.normal(1.9, 0.4, (100, 1))
    draws = KernelDensityMLE(0.1, boundary=("circular", 2.0)).fit(x).sample(5000, random_state=1)
    assert draws.min() >= 0.0
    assert draws.max() < 2.0
    around = KernelDensityMLE(0.1, boundary=("circular", 2.0)).fit(x - 2.0)
    np.testing.assert_allclose(
        around.sample(5000, random_state=1), np.where(draws < 1.0, draws, draws - 2.0), atol=1e-12
    )
    np.testing.assert_allclose(around.score_samples(x), around.score_samples(x + 14.0), rtol=1e-9)
    rule = KernelDensityMLE("silverman", boundary=("circular", 2.0)).fit(x).bandwidth_
    turned = KernelDensityMLE("silverman", boundary=("circular", 2.0)).fit(x + 0.9).bandwidth_
    np.testing.assert_allclose(rule, turned, rtol=1e-12)


def test_parts():
    """Marginals and conditionals keep the ends of their columns."""
    table = pd.DataFrame(
        {"wait": within("reflect", 80), "hour": within(("circular", 2.0), 80), "size": RNG.normal(size=80)}
    )
    model = KernelDensityMLE([0.2, 0.3, 0.4], boundary={"wait": "reflect", "hour": ("circular", 2.0)}, error=0.0).fit(
        table
    )
    pair = model.marginal(["size", "wait"])
    assert np.isneginf(pair.score_samples(pd.DataFrame({"size": [0.0], "wait": [-0.1]}))[0])
    alone = KernelDensityMLE([0.4, 0.2], boundary={1: "reflect"}, error=0.0).fit(table[["size", "wait"]].to_numpy())
    np.testing.assert_allclose(
        pair.score_samples(table[["size", "wait"]]), alone.score_samples(table[["size", "wait"]].to_numpy())
    )
    given = model.conditional({"wait": 0.05, "size": 0.3})
    at = pd.DataFrame({"hour": [0.1, 1.0, 1.99]})
    full = at.assign(wait=0.05, size=0.3)[["wait", "hour", "size"]]
    expected = model.score_samples(full) - model.marginal(["wait", "size"]).score_samples(full[["wait", "size"]])
    np.testing.assert_allclose(given.score_samples(at), expected, rtol=1e-9)
    with pytest.raises(ValueError, match="The density is 0"):
        model.conditional({"wait": -1.0})
    with pytest.raises(AttributeError, match="circle"):
        model.cdf(table)
    with pytest.raises(AttributeError, match="draws"):
        model.mean()


def test_files_batches_and_single_precision(tmp_path):
    X = np.column_stack([within("reflect", 60), within((0.0, 2.0), 60)]).astype(np.float32)
    boundary = {0: "reflect", 1: (0.0, 2.0)}
    model = KernelDensityMLE("silverman", boundary=boundary).fit(X)
    assert model.references_.dtype == np.float32
    wide = KernelDensityMLE("silverman", boundary=boundary).fit(X.astype(np.float64))
    np.testing.assert_allclose(model.score_samples(X), wide.score_samples(X.astype(np.float64)), atol=1e-6)
    model.save(tmp_path / "ends")
    again = load(tmp_path / "ends")
    assert again.boundary == boundary
    np.testing.assert_array_equal(again.score_samples(X), model.score_samples(X))
    blocks = KernelDensityMLE("silverman", boundary=boundary).fit_batches([X[:30], X[30:]])
    np.testing.assert_array_equal(blocks.score_samples(X), model.score_samples(X))


def test_outside():
    X = RNG.uniform(0.1, 1.0, (20, 2))
    bad = X.copy()
    bad[7, 1] = -0.5
    table = pd.DataFrame(bad, columns=["a", "b"])
    with pytest.raises(
        SupportError, match=r"column 1 \('b'\) stands for values of at least 0; row 7, column 1 \('b'\) holds -0.5"
    ):
        KernelDensityMLE(0.3, boundary={"b": "reflect"}).fit(table)
    for entry, value in (("log", 0.0), ("logit", 1.0), ((0, 1), 1.5), ((None, 1), 2.0)):
        model = KernelDensityMLE(0.3, boundary=entry).fit(np.minimum(X, 0.99))
        row = [[0.5, value]]
        assert np.isneginf(model.score_samples(row)[0])
        assert np.all(model.score_gradient(row) == 0.0)
        with pytest.raises(SupportError, match="row 0, column 1"):
            KernelDensityMLE(0.3, boundary=entry).fit(row)
    with pytest.raises(ValueError, match="NaN"):
        model.score_samples([[np.nan, 0.1]])


@pytest.mark.parametrize(
    "entry",
    ["mirror", (1.0, 0.0), (None, None), ("circular", -1.0), ("logit", 0, None), 3.0, (0, 1, 2), ("log", None), True],
)
def test_no_boundary(entry):
    with pytest.raises(ValueError, match="A boundary is"):
        KernelDensityMLE(0.3, boundary=entry).fit([[0.5], [0.2]])


def test_no_such_column():
    with pytest.raises(ValueError, match="no column 5"):
        KernelDensityMLE(0.3, boundary={5: "log"}).fit([[0.5], [0.2]])
    with pytest.raises(ValueError, match="bias_reduction"):
        KernelDensityMLE(0.3, boundary="log", bias_reduction="score").fit([[0.5], [0.2]])


def test_adaptive():
    """With bandwidths of their own, the sum over all images written out."""
    x = within("reflect", 40)
    model = KernelDensityMLE(0.3, boundary=(0.0, 2.0), adaptive=True).fit(x[:, None])
    pilot = folded(x[:, None], x[:, None], 0.3, [(0.0, 2.0)])
    local = np.exp(-0.5 * (pilot - pilot.mean()))
    np.testing.assert_allclose(model.local_bandwidths_, local, rtol=1e-8)
    every = np.array([images((0.0, 2.0), at) for at in (0.0, 1.2)])
    terms = -0.5 * ((every[..., None] - x) / (0.3 * local)) ** 2 - np.log(0.3 * local) - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(
        model.score_samples([[0.0], [1.2]]), logsumexp(terms, axis=(1, 2)) - np.log(40), atol=1e-9
    )


def test_offsets_do_no_harm():
    x = np.round(within((0.0, 2.0), 50) * 1024) / 1024
    plain = KernelDensityMLE(0.25, boundary=(0, 2)).fit(x[:, None]).score_samples(x[:, None])
    far = KernelDensityMLE(0.25, boundary=(1e8, 1e8 + 2)).fit(x[:, None] + 1e8).score_samples(x[:, None] + 1e8)
    np.testing.assert_allclose(far, plain, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("kernel", ["gaussian", "exponential"])
@pytest.mark.parametrize(("boundary", "widest"), [((0, 1), 1.0), (("circular", 1.0), 0.5)])
def test_the_search_ends_where_columns_are_uniform(kernel, boundary, widest):
    rows = (np.arange(40.0)[:, np.newaxis] + 0.5) / 40.0
    model = KernelDensityMLE(kernel=kernel, boundary=boundary).fit(rows)  # a warning would be an error
    np.testing.assert_allclose(model.bandwidth_, widest, rtol=1e-9)
    assert -0.01 * len(rows) < model.loo_log_likelihood_ < 0.0


def test_bandwidths_far_wider_than_the_support():
    rows = np.random.default_rng(0).random((5, 3))
    gaussian = KernelDensityMLE(1e9, boundary=(0, 1)).fit(rows[:, :1])
    np.testing.assert_allclose(gaussian.score_samples(rows[:, :1]), 0.0, atol=1e-9)
    with pytest.raises(ValueError, match="images of a row might matter"):
        KernelDensityMLE(200.0, kernel="exponential", boundary=(0, 1)).fit(rows).score(rows)


@pytest.mark.parametrize("entry", [("circular", 2.0), (0.0, 2.0)], ids=str)
def test_rows_that_another_column_puts_far_away(entry):
    """Nothing is near them, and the images still fade: they were asked for without end."""
    references = np.column_stack([within(entry, 30), RNG.normal(size=30)])
    h = [0.5, 1e-3]
    model = KernelDensityMLE(h, boundary={0: entry}).fit(references)
    X = np.column_stack([within(entry, 5), RNG.normal(size=5) + 40.0])
    np.testing.assert_allclose(model.score_samples(X), folded(X, references, h, [entry, None]), rtol=1e-12)
    X[:, 1] = 1e200
    assert np.all(model.score_samples(X) == -np.inf)


def test_rows_whose_squares_are_beyond_numbers():
    model = KernelDensityMLE(0.3, boundary="reflect").fit(RNG.exponential(size=(50, 1)))
    np.testing.assert_array_equal(model.score_samples([[1e160], [1e300], [-1e300]]), -np.inf)


def test_kernels_too_wide_for_their_ends_are_refused():
    model = KernelDensityMLE(5000.0, kernel="exponential", boundary=(0.0, 1.0)).fit(RNG.random((20, 1)))
    with pytest.raises(ValueError, match=r"so wide for the support.*gaussian"):
        model.score_samples([[0.5]])
