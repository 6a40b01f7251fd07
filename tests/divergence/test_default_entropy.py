"""The default entropy of a sample: known entropies, units, rows without a density, and what its verdict says."""

import math

import numpy as np
import pytest
from scipy import stats

from fastkl import DegenerateDataError, categorical_entropy, entropy, entropy_batches, kl_divergence
from fastkl.divergence.entropy_estimators.surfaces import refuse_surfaces

NORMAL = 0.5 * math.log(2 * math.pi * math.e)


def draw(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    ("distribution", "d", "off"),
    [
        (stats.gamma(0.4), 3, 0.4),
        (stats.uniform(), 3, 0.06),
        (stats.norm(), 10, 0.3),
        (stats.expon(), 2, 0.15),
        (stats.t(3), 1, 0.12),
        (stats.lognorm(1.0), 1, 0.13),
        (stats.cauchy(), 1, 0.2),
    ],
    ids=lambda value: getattr(getattr(value, "dist", None), "name", str(value)),
)
def test_known_entropies(distribution, d, off):
    e = entropy(distribution.rvs((1000, d), random_state=0))
    truth = d * float(distribution.entropy())
    assert abs(e - truth) < off
    assert abs(e - truth) < 3.5 * e.standard_error
    assert not e.diagnostics["bias_suspected"]


def test_correlated_columns():
    rng = draw(1)
    root = np.linalg.cholesky(0.5 * np.eye(15) + 0.5)
    truth = 15 * NORMAL + math.log(np.diag(root).prod())
    e = entropy(rng.standard_normal((1000, 15)) @ root.T)
    assert abs(e - truth) < 0.35  # neighbours without the correction are off by .4 to .9
    assert e.diagnostics["entropy_bias"] > 0.2


@pytest.mark.parametrize("d", [1, 2, 4])
def test_units_and_offsets(d):
    X = draw(2).gamma(2.0, size=(300, d)) @ (np.eye(d) + 0.3)
    first, scale = entropy(X), 10.0 ** np.arange(-3, 3 * d - 3, 3)
    moved = entropy(X * scale)
    assert moved - first == pytest.approx(np.log(scale).sum(), abs=1e-9)
    assert moved.standard_error == pytest.approx(first.standard_error, rel=1e-9)
    assert moved.diagnostics["reasons"] == first.diagnostics["reasons"]
    assert entropy(-3.0 * X + 1000.0) - entropy(X) == pytest.approx(d * math.log(3.0), abs=1e-7)


@pytest.mark.parametrize(
    ("distribution", "off", "bias"),
    [
        (stats.beta(0.3, 0.3), 0.15, 0.04),
        (stats.beta(0.3, 0.6), 0.15, 0.04),
        (stats.beta(0.5, 0.5), 0.07, 0.02),
        (stats.cauchy(), 0.12, 0.05),
    ],
    ids=["poles", "unequal poles", "arcsine", "cauchy"],
)
def test_poles_at_both_ends_and_long_tails(distribution, off, bias):
    """Gaps on a plain scale, or on the logarithmic one of one end, fail in each: the density varies within them."""
    found = [entropy(distribution.rvs(300, random_state=seed)) for seed in range(60)]
    errors = np.array(found) - float(distribution.entropy())
    assert np.mean([e.diagnostics["log_scale"][0] for e in found]) >= 0.9
    assert np.sqrt(np.mean(errors**2)) < off
    assert abs(errors.mean()) < bias
    assert np.mean([abs(e) <= 2.0 * estimate.standard_error for e, estimate in zip(errors, found, strict=True)]) >= 0.88


def test_units_of_rounded_columns():
    X = draw(3).standard_normal((1000, 3)).round(1)
    e = entropy(X)
    assert (e.method, e.diagnostics["bias_suspected"]) == ("knn", True)
    assert entropy(X * [1.0, 1e3, 1e-5]) - e == pytest.approx(math.log(1e-2), abs=1e-9)


def test_same_numbers_whatever_the_order_and_the_threads():
    X = draw(4).standard_normal((400, 3))
    first = entropy(X)
    assert first == entropy(X)
    assert entropy(X[::-1]) == pytest.approx(first, abs=1e-9)
    assert entropy(X[:, [2, 0, 1]]) == pytest.approx(first, abs=0.05)
    assert entropy(X, n_jobs=1) == entropy(X, n_jobs=2)
    X.flags.writeable = False
    assert entropy(X.astype(np.float32)) == pytest.approx(first, abs=1e-4)
    assert entropy(X, random_state=np.random.default_rng(0)) == pytest.approx(first, abs=0.1)
    assert np.isnan(entropy(X, standard_error=False).standard_error)


def test_weights_tilt_the_distribution():
    X = draw(5).standard_normal((4000, 2))
    e = entropy(X, sample_weight_p=np.exp(-0.5 * (X**2).sum(axis=1)))
    assert abs(e - 2 * (NORMAL - 0.5 * math.log(2))) < 4 * e.standard_error
    w = draw(6).random(4000) * (draw(7).random(4000) > 0.2)
    assert entropy(X, sample_weight_p=w) == pytest.approx(entropy(X[w > 0], sample_weight_p=7 * w[w > 0]), abs=1e-9)
    assert math.isfinite(entropy(X, sample_weight_p=10.0 ** (-30 * draw(8).random(4000))))


def test_a_number_of_neighbours_asks_for_them():
    x, y = draw(9).standard_normal((200, 2)), draw(10).standard_normal((300, 2))
    assert entropy(x, n_neighbors=3) == entropy(x, method="knn", n_neighbors=3)
    whole = kl_divergence(x, y, method="knn", n_neighbors=3)
    assert whole.diagnostics["entropy"] == pytest.approx(entropy(x, n_neighbors=3), abs=1e-13)


# --- rows without a density ----------------------------------------------------------------------------------------------------


def surfaces():
    rng = draw(11)
    z, x = rng.standard_normal((500, 3)), rng.standard_normal((500, 2))
    return {
        "constant": (np.column_stack([x[:, 0], np.full(500, 7.0)]), "Column 1 has one value only, 7.0"),
        "duplicate": (np.column_stack([x, x[:, 0]]), "Column 2 is a linear function of column 0:"),
        "other unit": (np.column_stack([x[:, 0], 1e6 * x[:, 0] + 3.0]), "Column 1 is a linear function of column 0"),
        "sum": (np.column_stack([x, x.sum(axis=1)]), "Column 2 is a linear function of columns 0, 1"),
        "simplex": (rng.dirichlet([1.0, 2.0, 3.0], 500), "Column 2 is a linear function of columns 0, 1"),
        "sphere": (z / np.linalg.norm(z, axis=1, keepdims=True), "second degree in columns 0, 1, 2"),
        "parabola": (np.column_stack([x, x[:, 0] ** 2]), "second degree in columns 0, 2"),
        "product": (np.column_stack([x, x.prod(axis=1)]), "second degree in columns 0, 1, 2"),
        "two values": (np.column_stack([x[:, 0], x[:, 1] > 0.0]), "Column 1 has two values only"),
        "far out": (
            rng.standard_cauchy((500, 2)) @ [[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]],
            "Column 2 is a linear function",
        ),
    }


@pytest.mark.parametrize("name", surfaces())
def test_rows_on_a_surface_are_refused_by_name(name):
    X, message = surfaces()[name]
    with pytest.raises(DegenerateDataError, match=message):
        entropy(X)


@pytest.mark.parametrize("name", surfaces())
def test_no_method_gives_rows_on_a_surface_a_number(name):
    X, message = surfaces()[name]
    calls = [lambda method=method: entropy(X, method=method) for method in ("knn", "weighted_knn", "marginal_split")]
    calls += [lambda: entropy(X, n_neighbors=3), lambda: entropy_batches([X[:200], X[200:]])]
    calls += [lambda: entropy_batches(X, method="knn", shard_rows=150)]
    for call in calls:
        with pytest.raises(DegenerateDataError, match=message):
            call()


def test_a_value_of_nearly_all_rows_is_no_crash():
    X = np.column_stack([draw().normal(size=5000), np.zeros(5000)])
    X[[2, 1111], 1] = 3.0, 0.5
    with pytest.raises(DegenerateDataError, match="Column 1 has one value in nearly all rows .*, 0.0"):
        entropy(X)


def test_single_precision_has_fewer_digits():
    z = draw(12).standard_normal((500, 3))
    sphere = (z / np.linalg.norm(z, axis=1, keepdims=True)).astype(np.float32)
    with pytest.raises(DegenerateDataError, match="second degree"):
        entropy(sphere)


@pytest.mark.parametrize("d", [2, 3, 8])
def test_rows_with_a_density_are_on_no_surface(d):
    rng = draw(13)
    common = rng.standard_normal((1000, d))
    for X in (
        common,
        rng.standard_cauchy((1000, d)) ** 5,
        common / np.sqrt(rng.chisquare(0.5, 1000))[:, np.newaxis],
        np.exp(5.0 * common),
        common[:, :1] + 1e-6 * common,
        1e6 + common,
        common.astype(np.float32),
    ):
        refuse_surfaces(X)


def test_rows_near_a_curve_are_said_to_be():
    t = draw(14).uniform(0.0, 6.0, 1000)
    e = entropy(np.column_stack([t, np.sin(t)]))
    assert "near a curve or a surface" in e.diagnostics["reasons"][0]
    assert not entropy(draw(15).standard_normal((1000, 10))).diagnostics["bias_suspected"]


def test_densities_that_vary_within_balls_or_gaps_are_said_to():
    rng = draw(16)
    X = rng.standard_normal((5000, 5))
    X[:, 1:] += X[:, :1] ** 2
    assert "from 5 to 20 neighbours" in entropy(X).diagnostics["reasons"][0]
    comb = rng.integers(0, 40, 1000) + 0.02 * rng.standard_normal(1000)
    assert "spacings over" in entropy(comb).diagnostics["reasons"][-1]


@pytest.mark.parametrize("width", [1.0, 0.3, 0.1])
def test_narrow_densities_along_a_curve_are_within_the_interval_or_said_to_be(width):
    """Rows (x, x^2 + noise): a bias that five neighbours don't tell from that of ten is one of .07 nats all the same."""
    rng, truth, held = draw(30), math.log(2.0 * math.pi * math.e * width), 0
    for _ in range(12):
        x = rng.standard_normal(1000)
        e = entropy(np.column_stack([x, x**2 + width * rng.standard_normal(1000)]))
        low, high = e.confidence_interval()
        held += low <= truth <= high or e.diagnostics["bias_suspected"]
    assert held >= 11


def test_few_rows():
    for n, d in ((2, 1), (5, 3), (3, 4)):
        e = entropy(draw(17).standard_normal((n, d)))
        assert math.isfinite(e)
        assert f"{n} rows are few" in " ".join(e.diagnostics["reasons"])
    with pytest.raises(ValueError, match="1 row"):
        entropy([1.0])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "d"), [(100, 1), (100, 3), (100, 10), (1000, 1), (1000, 2), (1000, 3), (1000, 5), (1000, 10)]
)
@pytest.mark.parametrize("name", ["norm", "expon", "uniform", "t", "gamma", "beta"])
def test_intervals_cover(name, n, d):
    held = {"t": stats.t(3), "gamma": stats.gamma(0.4), "beta": stats.beta(0.5, 0.5)}
    distribution = held.get(name) or getattr(stats, name)()
    rng, truth, covered = np.random.RandomState(18), d * float(distribution.entropy()), 0
    for _ in range(100):
        e = entropy(distribution.rvs((n, d), random_state=rng))
        low, high = e.confidence_interval()
        covered += low <= truth <= high or e.diagnostics["bias_suspected"]
    assert covered >= 87


def test_an_entropy_of_amounts_with_zeros_says_what_to_do():
    rng = np.random.default_rng(0)
    amounts = np.r_[np.zeros(50), rng.exponential(size=950)]
    with pytest.raises(DegenerateDataError, match="for an entropy leave out rows that share one value"):
        entropy(amounts)
    assert abs(entropy(amounts[50:]) - 1.0) < 0.15  # that of the exponential distribution


def test_an_entropy_of_rounded_lengths_says_what_to_do():
    rounded = 0.5 * np.round(np.random.default_rng(1).normal(200.0, 6.5, 2000) / 0.5)
    with pytest.raises(
        DegenerateDataError, match=r"rounded to steps of h is near categorical_entropy\(x\) \+ log\(h\)"
    ):
        entropy(rounded)
    assert abs(categorical_entropy(rounded) + math.log(0.5) - stats.norm(0.0, 6.5).entropy()) < 0.05
