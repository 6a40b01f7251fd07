"""Entropy and divergence from observed symbols: published forms in mpmath, brute force, and the laws they obey."""

import json
import math
import pathlib

import mpmath
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkl.divergence.symbols.categorical_entropy import categorical_entropy
from fastkl.divergence.symbols.categorical_kl import categorical_cross_entropy, categorical_kl
from fastkl.divergence.symbols.discrete import discrete_entropy, discrete_kl
from fastkl.divergence.symbols.nsb import nsb_entropy

CASES = json.loads((pathlib.Path(__file__).parents[1] / "data" / "cases" / "divergence.json").read_text())
SUMMED = ("plugin", "miller_madow", "zhang", "chao_wang_jost", "chao_shen")
ENTROPIES = (*SUMMED, "grassberger", "james_stein", "nsb")
count_vectors = st.lists(st.integers(0, 9), min_size=1, max_size=8).filter(any)
samples = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=30)


def runs(case):
    estimators = case["estimator"] if isinstance(case["estimator"], list) else [case["estimator"]]
    parameters = case["parameters"]
    parameters = parameters if isinstance(parameters, list) else [parameters] * len(estimators)
    return [p for e, p in zip(estimators, parameters, strict=True) if e == "discrete"]


@pytest.mark.parametrize("case", [c for c in CASES if runs(c)], ids=lambda c: c["id"])
def test_case(case):
    scope = {"np": np}
    exec(case["generator"]["numpy"], scope)
    method = runs(case)[0].get("method", "zhang_grabchak")
    values = np.array([categorical_kl(x, y, method) for x, y in scope["samples"]])
    expected, tolerance = case["expected"], case["tolerance"]
    found = {"value": values[0], "mean": values.mean(), "reference_mean": values.mean()}
    for key in tolerance:
        assert abs(found[key] - expected[key]) <= tolerance[key]
    if expected.get("value") == "inf":
        assert values[0] == np.inf


# --- entropy: each estimator by its published form ---------------------------------------------------------------------------


def zhang(x):
    n = sum(x)
    return mpmath.fsum(mpmath.mpf(c) / n * mpmath.fsum(mpmath.mpf(1) / k for k in range(c, n)) for c in x if c)


def chao_wang_jost(x):
    n, once, twice = sum(x), x.count(1), x.count(2)
    if twice:
        a = mpmath.mpf(2 * twice) / ((n - 1) * once + 2 * twice)
    elif once:
        a = mpmath.mpf(2) / ((n - 1) * (once - 1) + 2)
    else:
        a = mpmath.mpf(1)
    if a == 1:
        return zhang(x)
    tail = -mpmath.log(a) - mpmath.fsum((1 - a) ** r / mpmath.mpf(r) for r in range(1, n))
    return zhang(x) + mpmath.mpf(once) / n * (1 - a) ** (1 - n) * tail


def grassberger(x):
    g = [mpmath.mpf(0), -mpmath.euler - mpmath.log(2), 2 - mpmath.euler - mpmath.log(2)]
    while len(g) <= max(x):
        g.append(g[-1] if len(g) % 2 else g[-1] + mpmath.mpf(2) / (len(g) - 1))
    return mpmath.log(sum(x)) - mpmath.fsum(c * g[c] for c in x) / sum(x)


def chao_shen(x):
    n, once = sum(x), x.count(1)
    coverage = 1 - mpmath.mpf(n - 1 if once == n else once) / n
    p = [coverage * mpmath.mpf(c) / n for c in x if c]
    return mpmath.fsum(-v * mpmath.log(v) / (1 - (1 - v) ** n) for v in p if v)


def plugin(x):
    p = [mpmath.mpf(c) / sum(x) for c in x if c]
    return -mpmath.fsum(v * mpmath.log(v) for v in p)


def miller_madow(x):
    return plugin(x) + mpmath.mpf(sum(c > 0 for c in x) - 1) / (2 * sum(x))


def james_stein(x):
    n, target = sum(x), mpmath.mpf(1) / len(x)
    p = [mpmath.mpf(c) / n for c in x]
    below = (n - 1) * mpmath.fsum((target - v) ** 2 for v in p)
    weight = min(mpmath.mpf(1), (1 - mpmath.fsum(v * v for v in p)) / below) if below else mpmath.mpf(1)
    shrunk = [weight * target + (1 - weight) * v for v in p]
    return -mpmath.fsum(v * mpmath.log(v) for v in shrunk if v)


FORMS = {f.__name__: f for f in (zhang, chao_wang_jost, grassberger, chao_shen, plugin, miller_madow, james_stein)}


@pytest.mark.parametrize("method", FORMS)
@given(x=count_vectors)
@settings(max_examples=30)
def test_entropy_equals_its_published_form(method, x):
    with mpmath.workdps(50):
        expected = float(FORMS[method](x))
    assert abs(categorical_entropy(x, method, counts=True) - expected) < 1e-12


@pytest.mark.parametrize("x", [[1] * 50 + [2] * 400, [1] * 700, [1, 2, 2000], [1] * 5 + [2] * 300 + [900]])
def test_tail_of_unseen_symbols_keeps_its_digits(x):
    """The published form loses 52 digits on the last of these."""
    with mpmath.workdps(400):
        expected = float(chao_wang_jost(x))
    assert abs(categorical_entropy(x, counts=True) - expected) < 1e-12 * max(1.0, expected)


def test_shrinkage_example():
    """Counts of the documentation of the R package entropy."""
    x = [4, 2, 3, 0, 2, 4, 0, 0, 2, 1, 1]
    n, p = sum(x), np.array(x) / sum(x)
    weight = (1 - (p**2).sum()) / ((n - 1) * ((p - 1 / 11) ** 2).sum())
    assert (
        abs(categorical_entropy(x, "james_stein", counts=True) - discrete_entropy(weight / 11 + (1 - weight) * p))
        < 1e-14
    )


def nsb_by_mpmath(x):
    """Posterior mean and variance by adaptive quadrature over log beta, with the second moment of Wolpert and Wolf."""
    size, n = len(x), sum(x)

    def weight(beta):
        log = mpmath.loggamma(size * beta) - mpmath.loggamma(n + size * beta)
        log += mpmath.fsum(mpmath.loggamma(c + beta) - mpmath.loggamma(beta) for c in x)
        return mpmath.exp(log) * (size * mpmath.psi(1, size * beta + 1) - mpmath.psi(1, beta + 1)) * beta

    def mean(beta):
        total = n + size * beta
        return mpmath.psi(0, total + 1) - mpmath.fsum((c + beta) / total * mpmath.psi(0, c + beta + 1) for c in x)

    def square(beta):
        a = [c + beta for c in x]
        total = mpmath.fsum(a)
        level = [mpmath.psi(0, v + 1) - mpmath.psi(0, total + 2) for v in a]
        common = mpmath.psi(1, total + 2)
        cross = mpmath.fsum(
            a[i] * a[j] * (level[i] * level[j] - common) for i in range(size) for j in range(size) if i != j
        )
        own = mpmath.fsum(
            v * (v + 1) * ((mpmath.psi(0, v + 2) - mpmath.psi(0, total + 2)) ** 2 + mpmath.psi(1, v + 2) - common)
            for v in a
        )
        return (cross + own) / (total * (total + 1))

    def integral(f):
        points = [-45, -12, -4, 0, 4, 12, 45]
        return mpmath.quad(lambda u: f(mpmath.exp(u)), points)

    whole = integral(weight)
    first = integral(lambda b: weight(b) * mean(b)) / whole
    return first, mpmath.sqrt(integral(lambda b: weight(b) * square(b)) / whole - first**2)


@pytest.mark.parametrize("x", [[4, 2, 3, 0], [1, 1, 1, 0], [40, 1]])
def test_nsb_against_adaptive_quadrature(x):
    with mpmath.workdps(18):
        mean, deviation = nsb_by_mpmath(x)
    found = categorical_entropy(x, "nsb", counts=True)
    assert abs(found - float(mean)) < 1e-12
    assert abs(found.standard_error - float(deviation)) < 1e-10


def test_nsb_is_sound_at_extreme_sizes():
    huge = categorical_entropy([5e8, 3e8, 2e8], "nsb", counts=True)
    assert abs(huge - discrete_entropy([0.5, 0.3, 0.2])) < 1e-8
    assert 0.0 < huge.standard_error < 1e-4
    sparse = nsb_entropy(np.array([1.0, 2.0]), np.array([30.0, 5.0]), 1e12)
    assert np.isfinite(sparse.mean)
    assert 0.0 < sparse.standard_deviation < sparse.mean < math.log(1e12)
    # One coincidence in 40 draws: about as from 40^2 / 2 equal symbols.
    assert abs(nsb_entropy(np.array([1.0, 2.0]), np.array([38.0, 1.0]), 1e5).mean - math.log(800)) < 1.5


def test_alphabet():
    x = pd.Categorical(["a", "b", "a"], categories=["a", "b", "c", "d"])
    for method in ("nsb", "james_stein"):
        declared = categorical_entropy(x, method)
        assert declared == categorical_entropy([2, 1, 0, 0], method, counts=True)
        assert declared == categorical_entropy(["a", "b", "a"], method, n_symbols=4)
        assert declared > categorical_entropy(["a", "b", "a"], method)
        assert declared.diagnostics["n_symbols"] == 4
        assert declared.diagnostics["n_symbols_seen"] == 2
    assert categorical_entropy(x) == categorical_entropy(list(x))
    with pytest.raises(ValueError, match="2 different symbols"):
        categorical_entropy(["a", "b"], n_symbols=1)


# --- laws ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ENTROPIES)
@given(x=samples, data=st.data())
@settings(max_examples=25)
def test_entropy_laws(method, x, data):
    e = categorical_entropy(x, method)
    names = dict(zip("abcdef", data.draw(st.permutations("uvwxyz")), strict=True))
    renamed = categorical_entropy([names[label] for label in reversed(x)], method)
    assert (e.value, e.standard_error) == pytest.approx(
        (renamed.value, renamed.standard_error), rel=0, abs=0, nan_ok=True
    )
    symbols, counts = np.unique(x, return_counts=True)
    for other in (
        categorical_entropy(counts, method, counts=True),
        categorical_entropy(symbols, method, sample_weight=counts),
    ):
        assert (e.value, e.standard_error) == pytest.approx(
            (other.value, other.standard_error), rel=0, abs=0, nan_ok=True
        )


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 3)), min_size=1, max_size=12), samples)
def test_weights_are_repetitions_in_kl(rows, q):
    p, w = [r[0] for r in rows], [r[1] for r in rows]
    if not any(w):
        return
    weighted = categorical_kl(p, q, unseen="estimate", sample_weight_p=w)
    repeated = categorical_kl(np.repeat(p, w), q, unseen="estimate")
    assert weighted == repeated
    assert weighted.n_samples[0] == np.count_nonzero(w)
    assert weighted.standard_error == pytest.approx(repeated.standard_error, rel=1e-12)
    back = categorical_kl(q, p, unseen="smooth", sample_weight_q=w)
    assert back == pytest.approx(categorical_kl(q, np.repeat(p, w), unseen="smooth"), abs=1e-13)


@given(samples, samples)
def test_counts_equal_labels(p, q):
    union = sorted(set(p) | set(q))
    counts = [[sample.count(s) for s in union] for sample in (p, q)]
    for options in ({"unseen": "estimate"}, {"unseen": "smooth"}, {"unseen": "inf", "method": "plugin"}):
        a, b = categorical_kl(p, q, **options), categorical_kl(*counts, counts=True, **options)
        assert a == pytest.approx(b, abs=1e-13)
        assert a.standard_error == pytest.approx(b.standard_error, abs=1e-13, nan_ok=True)


@given(count_vectors, st.data())
def test_plugin_is_the_divergence_of_the_frequencies(x, data):
    y = data.draw(st.lists(st.integers(1, 9), min_size=len(x), max_size=len(x)))
    kl = categorical_kl(x, y, "plugin", counts=True)
    assert kl >= 0.0
    assert kl == pytest.approx(discrete_kl(np.array(x) / sum(x), np.array(y) / sum(y)), abs=1e-14)
    assert categorical_kl(y, y, "plugin", counts=True) == 0.0
    cross, entropy = (
        categorical_cross_entropy(x, y, "plugin", counts=True),
        categorical_entropy(x, "plugin", counts=True),
    )
    assert kl == pytest.approx(cross - entropy, abs=1e-12)
    kl, cross = categorical_kl(x, y, counts=True), categorical_cross_entropy(x, y, counts=True)
    assert kl == pytest.approx(cross - categorical_entropy(x, "zhang", counts=True), abs=1e-12)


@given(count_vectors, st.data())
@settings(max_examples=50)
def test_zhang_grabchak_equals_the_published_double_product(x, data):
    y = data.draw(st.lists(st.integers(0, 9), min_size=len(x), max_size=len(x)).filter(any))
    n, m = sum(x), sum(y)
    with mpmath.workdps(40):
        total = mpmath.mpf(0)
        for a, b in zip(x, y, strict=True):
            product, inner = mpmath.mpf(1), mpmath.mpf(0)
            for v in range(1, m - b + 1):
                product *= 1 - mpmath.mpf(b) / (m - v + 1)
                inner += product / v
            product = mpmath.mpf(1)
            for v in range(1, n - a + 1) if a else ():
                product *= 1 - mpmath.mpf(a - 1) / (n - v)
                inner -= product / v
            total += mpmath.mpf(a) / n * inner
    assert abs(categorical_kl(x, y, counts=True, unseen="estimate") - float(total)) < 1e-12


# --- standard errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", SUMMED)
@given(x=count_vectors.filter(lambda x: sum(x) > 2))
@settings(max_examples=25)
def test_jackknife_in_closed_form_equals_leaving_out_each_observation(method, x):
    n, seen = sum(x), sum(c > 0 for c in x)
    without = [
        categorical_entropy([c - (i == k) for i, c in enumerate(x)], method, counts=True).value
        for k in range(len(x))
        for _ in range(x[k])
    ]
    variance = (n - 1) / n * np.sum((np.array(without) - np.mean(without)) ** 2)
    expected = math.sqrt(max(variance, (seen - 1) / (2 * n * n)))
    assert categorical_entropy(x, method, counts=True).standard_error == pytest.approx(expected, rel=1e-7, abs=1e-8)


def test_standard_error_of_kl():
    x, y = np.array([50, 30, 20]), np.array([20, 30, 30])
    p, q = x / 100, y / 80
    kl = float((p * np.log(p / q)).sum())
    expected = math.sqrt(((p * np.log(p / q) ** 2).sum() - kl**2) / 100 + ((p**2 / q).sum() - 1) / 80)
    for method in ("plugin", "zhang_grabchak"):
        assert categorical_kl(x, y, method, counts=True).standard_error == pytest.approx(expected, rel=1e-12)
    equal = categorical_kl(x, x, counts=True)
    assert equal.standard_error == pytest.approx(2 / 100)


@pytest.mark.slow
@pytest.mark.parametrize("n", [200, 1000])
@pytest.mark.parametrize("distribution", ["zipf", "geometric", "two"])
def test_coverage_of_the_entropy_interval(n, distribution):
    rng = np.random.default_rng(5)
    p = {"zipf": 1.0 / np.arange(1, 51), "geometric": 0.5 ** np.arange(1.0, 30.0), "two": np.array([0.8, 0.2])}[
        distribution
    ]
    p /= p.sum()
    truth = discrete_entropy(p)
    intervals = [categorical_entropy(x, counts=True).confidence_interval() for x in rng.multinomial(n, p, 500)]
    assert 0.9 <= np.mean([low <= truth <= high for low, high in intervals]) <= 0.995


@pytest.mark.slow
@pytest.mark.parametrize(("n", "m"), [(200, 200), (1000, 300), (200, 2000)])
def test_coverage_of_the_kl_interval(n, m):
    rng = np.random.default_rng(6)
    p, q = np.array([0.5, 0.25, 0.125, 0.125]), np.full(4, 0.25)
    truth, pairs = discrete_kl(p, q), zip(rng.multinomial(n, p, 500), rng.multinomial(m, q, 500), strict=True)
    intervals = [categorical_kl(x, y, counts=True).confidence_interval() for x, y in pairs]
    assert 0.9 <= np.mean([low <= truth <= high for low, high in intervals]) <= 0.995


@pytest.mark.slow
def test_default_entropy_has_the_smallest_error_where_symbols_are_missing():
    rng = np.random.default_rng(7)
    p = 1.0 / np.arange(1, 1001)
    p /= p.sum()
    truth, x = discrete_entropy(p), rng.multinomial(300, p, 200)
    error = {
        m: np.sqrt(np.mean([(categorical_entropy(c, m, counts=True) - truth) ** 2 for c in x]))
        for m in ("plugin", "miller_madow", "zhang", "chao_shen", "grassberger", "chao_wang_jost")
    }
    assert min(error, key=error.get) == "chao_wang_jost"
