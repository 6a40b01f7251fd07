"""Divergence from log-probabilities of draws: closed forms, variances, sequences, gradients, refusals."""

import math

import numpy as np
import pytest
from scipy.stats import cauchy, norm

from fastkl import ProbabilityVectorWarning, SourceError, SupportError, discrete_kl, kl_from_log_probs

RNG = np.random.default_rng(0)
DRAWS = RNG.normal(0.0, 1.0, 200_000)


@pytest.mark.parametrize(("shift", "form", "deviation"), [(0.2, "low_variance", 0.0289), (0.2, "plain", 0.2)])
def test_normal_distributions(shift, form, deviation):
    """KL is shift^2/2; Var[-log r] = shift^2; the other by E[r^2] = exp(shift^2) and E[r log r] = shift^2/2."""
    e = kl_from_log_probs(norm.logpdf(DRAWS), norm.logpdf(DRAWS, shift), form=form)
    assert abs(e - shift**2 / 2) < 4 * e.standard_error
    s = shift**2
    exact = math.exp(s) - 1 + s - 2 * (s / 2 + s / 2) if form == "low_variance" else s
    assert e.standard_error * math.sqrt(len(DRAWS)) == pytest.approx(math.sqrt(exact), rel=0.05)
    assert math.sqrt(exact) == pytest.approx(deviation, rel=0.02)
    assert e.diagnostics["mean_ratio"] == pytest.approx(1.0, abs=0.01)
    assert not e.diagnostics["bias_suspected"]


def test_no_term_is_negative_and_none_overflows():
    log_ratio = np.array([-700.0, -1.0, -1e-3, -1e-9, -1e-200, 0.0, 1e-200, 1e-9, 1e-3, 1.0, 700.0])
    for value in log_ratio:
        e = kl_from_log_probs([0.0], [value])
        assert e >= 0.0
        assert math.isfinite(e)
    assert kl_from_log_probs([0.0], [1e-9]) == pytest.approx(5e-19, rel=1e-8)
    assert kl_from_log_probs([0.0], [-1e-4]) == pytest.approx(math.expm1(-1e-4) + 1e-4, rel=1e-7)
    assert kl_from_log_probs([0.0], [-700.0]) == pytest.approx(699.0, rel=1e-12)


def test_sequences_of_tokens():
    p, q = RNG.normal(-3.0, 0.3, (50, 7)), RNG.normal(-3.0, 0.3, (50, 7))
    lengths = RNG.integers(1, 8, 50)
    p[:, 6], q[lengths < 7, 6] = np.where(lengths == 7, p[:, 6], np.nan), np.nan  # padding is not looked at
    r = q - p
    by_hand = [sum(math.exp(r[i, t]) - 1 - r[i, t] for t in range(lengths[i])) for i in range(50)]
    e = kl_from_log_probs(p, q, lengths=lengths)
    assert e == pytest.approx(np.mean(by_hand), rel=1e-12)
    assert e.standard_error == pytest.approx(np.std(by_hand, ddof=1) / math.sqrt(50), rel=1e-9)
    assert e.diagnostics["per_token"] == pytest.approx(sum(by_hand) / lengths.sum(), rel=1e-12)
    assert e.diagnostics["n_tokens"] == lengths.sum()
    w = RNG.integers(0, 4, 50)
    repeated = kl_from_log_probs(np.repeat(p, w, axis=0), np.repeat(q, w, axis=0), lengths=np.repeat(lengths, w))
    weighted = kl_from_log_probs(p, q, lengths=lengths, sample_weight=w)
    assert weighted == pytest.approx(repeated, rel=1e-12)
    assert weighted.diagnostics["per_token"] == pytest.approx(repeated.diagnostics["per_token"], rel=1e-12)


def test_what_the_gradient_through_each_form_is():
    """p = N(t, 1) at t = 0 against q = N(s, 1): d KL(p || q) / dt = -s, d KL(q || p) / dt = -s too, so take scales instead.

    p = N(0, t^2) at t = 1, q = N(0, s^2): d KL(p || q) / dt = 1/s^2 - 1 and d KL(q || p) / dt = 1 - s^2.
    """
    s, x, step = 0.8, DRAWS, 1e-5

    def through(form):
        up, down = (
            kl_from_log_probs(norm.logpdf(x, 0, 1 + h), norm.logpdf(x, 0, s), form=form).value for h in (step, -step)
        )
        return (up - down) / (2 * step)

    assert through("plain") == pytest.approx(0.0, abs=0.02)
    assert through("low_variance") == pytest.approx(1 - s**2, abs=0.02)
    assert through("squared") == pytest.approx(1 / s**2 - 1, abs=0.02)


def test_doubts():
    e = kl_from_log_probs([-1.0, -2.0], [-1.5, -math.inf])
    assert e == math.inf
    assert "1 draws have probability 0 under q" in e.diagnostics["reasons"][0]
    x = RNG.normal(0.2, 1.0, 5000)  # draws from q, not from p
    assert "do not come from p" in kl_from_log_probs(norm.logpdf(x), norm.logpdf(x, 0.5)).diagnostics["reasons"][0]
    y = RNG.normal(0.0, 0.3, 5000)
    heavy = kl_from_log_probs(norm.logpdf(y, 0, 0.3), norm.logpdf(y, 0, 1.0))
    assert any("Pareto tail" in reason for reason in heavy.diagnostics["reasons"])
    assert kl_from_log_probs([0.0, 0.0], [0.1, -0.1], form="squared").diagnostics["bias_suspected"]


def test_draws_of_weight_0_are_absent():
    """From the value, and from what is said of it: a draw that q excludes, a tail of large ratios, the number of tokens."""
    rng = np.random.default_rng(0)
    p, q = rng.normal(size=(2, 60, 3))
    weights, lengths = rng.uniform(0.5, 2.0, 60), rng.integers(1, 4, 60)
    weights[:20], q[0], q[1:4] = 0.0, -np.inf, 40.0
    for form in ("plain", "low_variance", "squared"):
        found = kl_from_log_probs(p, q, form=form, lengths=lengths, sample_weight=weights)
        absent = kl_from_log_probs(p[20:], q[20:], form=form, lengths=lengths[20:], sample_weight=weights[20:])
        assert (found, found.standard_error, found.n_samples) == (absent, absent.standard_error, 40)
        np.testing.assert_equal(dict(found.diagnostics), dict(absent.diagnostics))


@pytest.mark.parametrize(("shift", "far"), [(0.2, False), (1.0, False), (1.5, True)])
def test_distributions_far_apart_have_another_form(shift, far):
    """Log-ratios of variance shift^2, where that of r - 1 - log r is exp(shift^2) - 1 - shift^2: larger from 1.12 on."""
    x = norm.ppf((np.arange(400) + 0.5) / 400)
    p, q = norm.logpdf(x), norm.logpdf(x, shift)
    assert any("Take form='plain'" in reason for reason in kl_from_log_probs(p, q).reasons) == far
    weights = np.full(400, 0.2)
    two = [np.column_stack([values, np.full(400, np.nan)]) for values in (p, q)]  # the second token is not there
    assert kl_from_log_probs(*two, lengths=np.ones(400, dtype=int), sample_weight=weights).bias_suspected == far
    assert not kl_from_log_probs(p, q, form="plain").bias_suspected


def test_refusals():
    with pytest.raises(ValueError, match="form"):
        kl_from_log_probs([0.0], [0.0], form="k3")
    with pytest.raises(ValueError, match="shapes"):
        kl_from_log_probs([0.0, 1.0], [0.0])
    with pytest.raises(ValueError, match="draw 1, token 0"):
        kl_from_log_probs([0.0, math.nan], [0.0, 0.0])
    with pytest.raises(SupportError, match="exchange"):
        kl_from_log_probs([-math.inf, -1.0], [-1.0, -1.0])
    with pytest.raises(ValueError, match=r"lengths\[1\] is 4"):
        kl_from_log_probs(np.zeros((2, 3)), np.zeros((2, 3)), lengths=[1, 4])
    with pytest.raises(ValueError, match="lengths"):
        kl_from_log_probs(np.zeros((2, 3)), np.zeros((2, 3)), lengths=[1.0, 2.0])
    with pytest.raises(ValueError, match="dtype"):
        kl_from_log_probs(["a"], ["b"])


def test_masks_and_rows_of_other_lengths_are_refused():
    with pytest.raises(SourceError, match="log_p has masked values, the first in row 1"):
        kl_from_log_probs(np.ma.array([-1.0, -2.0], mask=[False, True]), [-1.0, -2.0])
    with pytest.raises(ValueError, match="log_q has rows of different lengths"):
        kl_from_log_probs([[-1.0, -2.0], [-1.0, -3.0]], [[-1.0, -2.0], [-1.0]])


@pytest.mark.parametrize("form", ["low_variance", "plain"])
def test_a_mean_that_does_not_exist_is_said(form):
    """log p/q of a Cauchy and a normal distribution grows as x^2, whose mean under the former does not exist."""
    x = cauchy.rvs(size=5000, random_state=0)
    found = kl_from_log_probs(cauchy.logpdf(x), norm.logpdf(x), form=form)
    assert any("may be infinite" in reason for reason in found.diagnostics["reasons"])
    y = norm.rvs(size=5000, random_state=0)
    found = kl_from_log_probs(norm.logpdf(y), norm.logpdf(y, scale=0.8), form=form)
    assert not any("may be infinite" in reason for reason in found.diagnostics["reasons"])


@pytest.mark.parametrize("dtype", [np.float64, np.float16])
def test_whole_distributions_are_told_from_draws(dtype):
    """Rows of log-softmax over a vocabulary would be added up as tokens of a sequence."""
    log_p, log_q = (np.log(RNG.dirichlet(np.full(40, 5.0), 6)).astype(dtype) for _ in range(2))
    with pytest.warns(ProbabilityVectorWarning, match=r"40 symbols.*discrete_kl\(log_p, log_q, logits=True\)"):
        kl_from_log_probs(log_p, log_q)
    p, q = np.exp(log_p.astype(float)), np.exp(log_q.astype(float))
    by_hand = (p / p.sum(1, keepdims=True) * np.log(p / q * q.sum(1, keepdims=True) / p.sum(1, keepdims=True))).sum(1)
    assert discrete_kl(log_p, log_q, logits=True) == pytest.approx(by_hand, rel=1e-6)


@pytest.mark.parametrize("tokens", [1, 7])
def test_draws_are_not_taken_for_distributions(tokens, recwarn):
    kl_from_log_probs(RNG.normal(-3.0, 0.3, (50, tokens)), RNG.normal(-3.0, 0.3, (50, tokens)))
    kl_from_log_probs(np.zeros((3, 1)), np.zeros((3, 1)))  # sure of every token
    assert not recwarn.list


@pytest.mark.parametrize("length", [1, 12])
def test_draws_from_the_likeliest_tokens_alone_leave_some_of_q_out(length):
    """KL is -log of what they have of q for each token; r - 1 has a mean below 0, and the default was 1/4 of it."""
    rng = np.random.default_rng(0)
    q = np.sort(rng.dirichlet(np.ones(50)))
    kept = np.where(q >= q[-10], q, 0.0)
    truth = -length * math.log(kept.sum())
    tokens = rng.choice(50, (500, length), p=kept / kept.sum())
    log_p, log_q = np.log(kept[tokens] / kept.sum()), np.log(q[tokens])
    short = kl_from_log_probs(log_p, log_q)
    assert short < 0.4 * truth
    assert "Take form='plain'" in short.reasons[0]
    plain = kl_from_log_probs(log_p, log_q, form="plain")
    assert plain == pytest.approx(truth, rel=1e-9)
    assert not plain.bias_suspected


def test_draws_of_the_whole_of_p_are_no_such():
    for seed in range(40):
        x = np.random.default_rng(seed).normal(size=200)
        for shift, scale in ((0.5, 1.0), (0.0, 0.7), (1.0, 1.0)):
            found = kl_from_log_probs(norm.logpdf(x), norm.logpdf(x, shift, scale))
            assert not any("draws nothing" in reason for reason in found.reasons)
