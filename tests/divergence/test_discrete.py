"""Exact discrete entropy, cross-entropy and divergence: closed forms, mpmath, and the laws they obey."""

import json
import pathlib
from decimal import Decimal
from fractions import Fraction
from math import fsum

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import rel_entr, softmax

from fastkl import ProbabilityVectorWarning, categorical_kl, discrete_jeffreys, discrete_jensen_shannon
from fastkl.divergence.symbols.discrete import discrete_cross_entropy, discrete_entropy, discrete_kl

CASES = json.loads((pathlib.Path(__file__).parents[1] / "data" / "cases" / "divergence.json").read_text())
P, Q = [0.1, 0.6, 0.3], [0.2, 0.3, 0.5]


def distributions(size=5):
    numbers = st.floats(0.0, 1.0).map(lambda v: 0.0 if v < 1e-12 else v)
    return arrays(np.float64, size, elements=numbers).filter(lambda v: v.sum() > 0.1).map(lambda v: v / v.sum())


def exact_kl(p, q):
    with mpmath.workdps(60):
        terms = [mpmath.mpf(a) * mpmath.log(mpmath.mpf(a) / mpmath.mpf(b)) for a, b in zip(p, q, strict=True) if a > 0]
        return mpmath.fsum(terms)


@pytest.mark.parametrize("case", [c for c in CASES if c["estimator"] == "exact_discrete"], ids=lambda c: c["id"])
def test_case(case):
    scope = {"np": np}
    exec(case["generator"]["numpy"], scope)
    pk, qk = scope["samples"][0]
    if "raises" in case["expected"]:
        with pytest.raises(ValueError):
            discrete_kl(pk, qk)
        return
    assert abs(discrete_kl(pk, qk) - case["expected"]["value"]) <= case["tolerance"]["value"]


def test_infinite_where_q_lacks_mass():
    assert discrete_kl([0.5, 0.5], [1.0, 0.0]) == np.inf
    assert discrete_cross_entropy([0.5, 0.5], [1.0, 0.0]) == np.inf
    assert discrete_kl([1.0, 0.0], [0.5, 0.5]) == pytest.approx(np.log(2), abs=1e-15)


@given(distributions(), distributions())
def test_never_negative_and_zero_for_identical(p, q):
    assert discrete_kl(p, q) >= 0.0
    assert discrete_kl(p, p) == 0.0
    assert discrete_kl(p, p.copy()[::1]) == 0.0


@given(distributions(), distributions())
def test_against_mpmath_and_the_identity(p, q):
    q = 0.9 * q + 0.1 / len(q)
    q /= q.sum()
    kl = discrete_kl(p, q)
    assert abs(kl - float(exact_kl(p, q))) < 1e-14
    assert abs(discrete_cross_entropy(p, q) - discrete_entropy(p) - kl) < 1e-12
    assert discrete_cross_entropy(p, q) >= discrete_entropy(p) - 1e-15


@pytest.mark.parametrize("step", [1e-3, 1e-6, 1e-8])
def test_relative_precision_for_close_arguments(step):
    """The difference of cross-entropy and entropy has no digit left here."""
    p = np.array([0.25, 0.25, 0.5])
    q = np.array([0.25 + step, 0.25 - step, 0.5])
    with mpmath.workdps(60):
        exact = float(
            mpmath.fsum(a * mpmath.log(a / b) for a, b in zip(map(mpmath.mpf, p), map(mpmath.mpf, q), strict=True))
        )
        excess = float(mpmath.fsum(map(mpmath.mpf, q)) - 1)
    assert abs(discrete_kl(p, q) - (exact + excess)) < 1e-12 * exact


def test_rows_and_broadcasting():
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(4), (2, 3)), rng.dirichlet(np.ones(4), (2, 3))
    rows = discrete_kl(p, q)
    assert rows.shape == (2, 3)
    assert rows[1, 2] == float(discrete_kl(p[1, 2], q[1, 2]))
    assert np.array_equal(discrete_kl(p[0, 0], q), discrete_kl(np.broadcast_to(p[0, 0], q.shape), q))
    assert discrete_entropy(p).shape == (2, 3)


@settings(max_examples=50)
@given(arrays(np.float64, 4, elements=st.floats(-700, 700)), arrays(np.float64, 4, elements=st.floats(-700, 700)))
def test_logits(a, b):
    kl = discrete_kl(a, b, logits=True)
    assert np.isfinite(kl)
    assert kl >= 0.0
    with mpmath.workdps(60):
        log_p, log_q = (
            [mpmath.mpf(v) - mpmath.log(mpmath.fsum(mpmath.exp(mpmath.mpf(w)) for w in x)) for v in x.tolist()]
            for x in (a, b)
        )
        exact = mpmath.fsum(mpmath.exp(lp) * (lp - lq) for lp, lq in zip(log_p, log_q, strict=True))
    assert abs(kl - float(exact)) < 1e-12 * max(1.0, float(exact))
    assert abs(discrete_entropy(a, logits=True) - discrete_entropy(softmax(a))) < 1e-12


@pytest.mark.parametrize("p", [np.eye(5)[[0, 3]], 0.9 * np.eye(5) + 0.02, [0.7, 0.2, 0.1], np.eye(4, dtype=np.float16)])
def test_probabilities_given_as_logits_are_said(p):
    """Labels of one and zeros beside logits were softened to logits of 1 and 0 without a word."""
    logits = np.random.default_rng(0).normal(size=np.shape(p))
    for call, argument in ((discrete_cross_entropy, "pk"), (discrete_kl, "pk")):
        with pytest.warns(ProbabilityVectorWarning, match=rf"{argument} holds .*np\.log\({argument}\)"):
            call(p, logits, logits=True)
    with pytest.warns(ProbabilityVectorWarning, match="qk holds"):
        discrete_jeffreys(logits, p, logits=True)


def test_logits_are_taken_for_logits(recwarn):
    logits = np.random.default_rng(0).normal(size=(3, 5))
    discrete_kl(logits, np.log(softmax(logits, axis=-1)), logits=True)
    discrete_kl([1.0, 0.0], [2.0, 0.0], logits=True)
    with np.errstate(divide="ignore"):
        assert discrete_cross_entropy(np.log(np.eye(5)[:3]), logits, logits=True) == pytest.approx(
            -np.log(softmax(logits, axis=-1))[range(3), range(3)]
        )
    assert not recwarn.list


def test_logits_of_minus_infinity_are_probability_zero():
    assert discrete_entropy([0.0, 0.0, -np.inf], logits=True) == pytest.approx(np.log(2), abs=1e-15)
    assert discrete_kl([0.0, -np.inf], [0.0, -np.inf], logits=True) == 0.0
    assert discrete_kl([0.0, 0.0], [0.0, -np.inf], logits=True) == np.inf


def test_single_precision_rows_are_normalised_enough():
    p = softmax(np.random.default_rng(0).standard_normal((50, 30)).astype(np.float32), axis=1)
    assert p.dtype == np.float32
    assert np.allclose(
        discrete_entropy(p), discrete_entropy(p.astype(float) / p.astype(float).sum(1, keepdims=True)), atol=1e-5
    )


@pytest.mark.parametrize(
    ("pk", "options", "message"),
    [
        ([0.3, 0.3], {}, "pk sums to 0.6"),
        ([[0.5, 0.5], [0.3, 0.3]], {}, "Row 1 of pk sums to 0.6"),
        ([1.5, -0.5], {}, r"pk\[1\] is -0.5"),
        ([[0.5, 0.5], [np.nan, 1.0]], {}, r"pk\[1, 0\] is nan"),
        ([], {}, "shape"),
        (0.5, {}, "shape"),
        (["a", "b"], {}, "categorical_entropy"),
        ([0.5, 0.5], {"temperature": 2.0}, "logits"),
        ([0.5, 0.5], {"logits": True, "temperature": 0.0}, "temperature"),
        ([0.5, np.inf], {"logits": True}, "logit"),
        ([[0.0, 0.0], [-np.inf, -np.inf]], {"logits": True}, "Row 1 of pk"),
    ],
)
def test_bad_input(pk, options, message):
    with pytest.raises(ValueError, match=message):
        discrete_entropy(pk, **options)


def test_shapes_must_fit():
    with pytest.raises(ValueError, match=r"\(3,\) and \(2,\)"):
        discrete_kl(P, [0.5, 0.5])
    with pytest.raises(ValueError, match="qk sums to"):
        discrete_kl([0.5, 0.5], [0.3, 0.3])
    with pytest.raises(ValueError, match="one shape"):
        discrete_kl(np.full((2, 2), 0.5), np.full((3, 2), 0.5))


def long_vectors(size=100_003):
    rng = np.random.default_rng(0)
    p, q = rng.random((2, size))
    p[::7] = 0.0
    return p / p.sum(), q / q.sum()


@pytest.mark.parametrize("function", [discrete_kl, discrete_cross_entropy, discrete_jensen_shannon, discrete_jeffreys])
def test_long_vectors_are_sums_over_parts(function):
    p, q = long_vectors()
    p[p == 0.0] = 1e-30  # jeffreys is finite then
    p /= p.sum()
    whole = function(p, q)
    order = np.random.default_rng(1).permutation(len(p))
    assert whole == pytest.approx(function(p[order], q[order]), rel=1e-13)
    exact = {
        "discrete_kl": lambda: fsum(rel_entr(p, q)),
        "discrete_cross_entropy": lambda: -fsum(p * np.log(q)),
        "discrete_jensen_shannon": lambda: 0.5 * fsum(rel_entr(p, 0.5 * (p + q)) + rel_entr(q, 0.5 * (p + q))),
        "discrete_jeffreys": lambda: fsum(rel_entr(p, q) + rel_entr(q, p)),
    }[function.__name__]()
    assert whole == pytest.approx(exact, rel=1e-12)
    rows = function(np.stack([p, q]), q)
    assert rows.shape == (2,)
    assert rows[0] == whole
    assert rows[1] == function(q, q)


def test_long_vectors_that_are_almost_equal_keep_their_digits():
    p, _ = long_vectors()
    p = np.where(p == 0.0, p.max(), p)
    p /= p.sum()
    change = 1e-7 * np.where(np.arange(len(p)) % 2, 1.0, -1.0)
    change -= p @ change
    exact = fsum(p * (change**2 / 2 - change**3 / 6))  # q = p (1 + change), where p log(p/q) - p + q is that to 1e-28
    assert discrete_kl(p, p * (1.0 + change)) == pytest.approx(exact, rel=1e-6)
    assert discrete_kl(p, p) == 0.0


def test_long_vectors_name_what_is_wrong():
    p, q = long_vectors()
    q[70_001] = -0.5
    with pytest.raises(ValueError, match=r"qk\[70001\] is -0.5"):
        discrete_kl(p, q)
    with pytest.raises(ValueError, match=r"pk\[1, 70001\] is -0.5"):
        discrete_kl(np.stack([p, q]), p)
    with pytest.raises(ValueError, match="pk sums to 2"):
        discrete_kl(2.0 * p, p)
    with pytest.raises(ValueError, match="Row 1 of pk sums to 2"):
        discrete_kl(np.stack([p, 2.0 * p]), p)
    with pytest.raises(ValueError, match="temperature"):
        discrete_kl(p, p, temperature=2.0)
    assert discrete_kl(*long_vectors()[::-1]) == np.inf


@pytest.mark.parametrize("kind", [Decimal, Fraction, lambda text: np.float64(Fraction(text))])
def test_numbers_of_python_are_numbers(kind):
    p, q = (np.array([kind(text) for text in texts], dtype=object) for texts in (["0.25", "0.75"], ["0.5", "0.5"]))
    assert discrete_kl(p, q) == discrete_kl([0.25, 0.75], [0.5, 0.5])
    assert discrete_entropy(p) == discrete_entropy([0.25, 0.75])
    assert categorical_kl(4 * p, 4 * q, counts=True) == categorical_kl([1, 3], [2, 2], counts=True)
    with pytest.raises(ValueError, match="real numbers"):
        discrete_kl(np.array([kind("0.5"), "0.5"], dtype=object), q)


@pytest.mark.parametrize("temperature", ["2", [1.0, 2.0], None, np.nan, 0])
def test_a_temperature_is_a_positive_number(temperature):
    with pytest.raises(ValueError, match="temperature must be a positive number"):
        discrete_kl([0.0, 1.0], [1.0, 0.0], logits=True, temperature=temperature)


def test_numbers_of_another_kind_are_named_with_their_call():
    """Counts, which scipy.stats.entropy would normalise, and log-probabilities."""
    with pytest.raises(ValueError, match=r"categorical_entropy\(counts, counts=True\)"):
        discrete_entropy([7, 2, 1])
    with pytest.raises(ValueError, match=r"log-probabilities need logits=True"):
        discrete_kl(np.log([0.5, 0.5]), np.log([0.25, 0.75]))


def test_a_joint_table_of_probabilities_is_one_distribution():
    joint = np.array([[0.4, 0.1], [0.1, 0.4]])
    with pytest.raises(ValueError, match=r"All rows together sum to 1: pk.ravel\(\) is one joint distribution"):
        discrete_entropy(joint)
    independent = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    information = discrete_kl(joint.ravel(), independent.ravel())
    assert information == pytest.approx(np.log(2.0) + 0.8 * np.log(0.8) + 0.2 * np.log(0.2), rel=1e-12)
