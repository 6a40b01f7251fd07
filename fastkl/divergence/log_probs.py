"""KL divergence from log-probabilities of drawn samples, as language models and samplers give them.

Only draws and their log-probabilities under both models are there, no densities to call. The mean of -log r with r = q/p is the
divergence, but its terms have either sign and a standard deviation that for near models is many times the divergence. Adding
r - 1, which has mean 0, makes every term non-negative and the error smaller by far where p and q are near.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastkl._core.means import Mean
from fastkl._core.warned import warn
from fastkl._core.wording import did_you_mean
from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.models.ratio_tails import HEAVY_TAIL, heavy_terms, tail_index
from fastkl.exceptions import ProbabilityVectorWarning, SourceError, SupportError
from fastkl.rows.indexes import refuse_other_rows
from fastkl.rows.reading import look
from fastkl.rows.weights import read_weights

__all__ = ["kl_from_log_probs"]

# How well the probabilities of a whole distribution sum to 1, those of half precision too.
_NORMALISED = 1e-2
# The variance of log q/p beyond which that of r - 1 - log r is the larger one, where log q/p is normal: exp(v) - 1 = 2 v.
_FAR = 1.256
# Standard errors below 0 of a mean of r - 1 that no tail of r is likely to explain.
_BEYOND_CHANCE = 5.0
_FORMS = ("low_variance", "plain", "squared")


def kl_from_log_probs(
    log_p: ArrayLike,
    log_q: ArrayLike,
    *,
    form: str = "low_variance",
    lengths: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> Estimate:
    r"""Kullback-Leibler divergence KL(p || q) from log-probabilities of draws from p, in nats per draw.

    Parameters
    ----------
    log_p, log_q : array_like of shape (n,) or (n, T)
        Log-probabilities (or log-densities) of the same draws *from p* under both models. With two axes a draw is a sequence of
        tokens, each given those before it; the divergence is that of whole sequences, the sum over their tokens. (Where the
        log-probabilities of *all* symbols are known, no draw is needed: `discrete_kl` with ``logits=True`` is exact.)
    form : {"low_variance", "plain", "squared"}, default="low_variance"
        The mean of :math:`(r - 1) - \log r`, of :math:`-\log r`, or of :math:`\frac12 \log^2 r`, with :math:`r = q/p`: the k3, k1
        and k2 of Schulman. The first two have the divergence as their mean; no term of the first is negative. The third is
        biased, but its gradient is that of the divergence (see Notes).
    lengths : array_like of int of shape (n,), default=None
        Numbers of tokens of sequences; what stands beyond is not looked at. By default all T.
    sample_weight : array_like of shape (n,), default=None
        Masses of the draws; only ratios matter.

    Returns
    -------
    Estimate
        With the standard error of a mean over independent draws, and ``diagnostics`` ``"per_token"`` (the divergence per token),
        ``"mean_ratio"`` (the mean of r, at most 1 but for noise), ``"tail_index"`` (of r over whole draws), ``"bias_suspected"``
        and ``"reasons"``.

    Raises
    ------
    SupportError
        A draw has probability 0 under p, from which it is said to come.
    ValueError
        Shapes or lengths that don't fit, nan, +inf.

    Warns
    -----
    ProbabilityVectorWarning
        Every row holds the log-probabilities of a whole distribution, not those of draws.

    Notes
    -----
    The estimates are numbers. A gradient *through* them, with the draws held fixed, is another matter: that of "plain" has mean
    0, that of "low_variance" is on average the gradient of KL(q || p), and only that of "squared" is on average the gradient of
    KL(p || q) with respect to the parameters of p. See the guide "Divergence from log-probabilities".

    References
    ----------
    Schulman, J. (2020). Approximating KL divergence. http://joschu.net/blog/kl-approx.html.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.stats import norm
    >>> from fastkl import kl_from_log_probs
    >>> x = np.random.default_rng(0).normal(0.0, 1.0, 10_000)  # the truth is 0.02
    >>> for form in ("plain", "low_variance"):
    ...     estimate = kl_from_log_probs(norm.logpdf(x), norm.logpdf(x, 0.2), form=form)
    ...     print(f"{estimate:.4f} +- {estimate.standard_error:.4f}")
    0.0187 +- 0.0020
    0.0199 +- 0.0003
    """
    if form not in _FORMS:
        meant = did_you_mean(form, _FORMS)
        raise ValueError(f"form={form!r} is unknown.{meant} Choose one of {', '.join(map(repr, _FORMS))}.")
    p, q = _read(log_p, "log_p"), _read(log_q, "log_q")
    for other, name in ((log_q, "log_q"), (sample_weight, "sample_weight")):
        refuse_other_rows(log_p, other, ("log_p", name))
    if p.shape != q.shape:
        raise ValueError(f"log_p and log_q are of the same draws; found shapes {p.shape} and {q.shape}.")
    if lengths is None:
        _warn_of_distributions(p, q)
    present = _present(p.shape, lengths)
    _refuse_impossible(p, q, present)
    weights = read_weights(sample_weight, len(p))
    if weights is not None and not weights.all():
        kept = weights > 0.0
        p, q, present, weights = p[kept], q[kept], present[kept], weights[kept]
    n, tokens = len(p), int(present.sum())
    with np.errstate(over="ignore", invalid="ignore"):
        log_ratio = np.where(present, q - p, 0.0)
        terms = _terms(log_ratio, form).sum(axis=1)
        whole = log_ratio.sum(axis=1)
        ratio = Mean.of(np.exp(np.minimum(whole, 700.0)), weights)
    mean = Mean.of(terms, weights)
    shares = None if weights is None else weights / weights.sum() * n
    counted = float(tokens if shares is None else shares @ present.sum(axis=1))
    reasons, tail = _doubts(whole, ratio, form)
    of_tokens = Mean.of(log_ratio[present], None if weights is None else np.repeat(weights, present.sum(axis=1)))
    if form == "low_variance" and (spread := of_tokens.variance(np.inf)) > _FAR:
        reasons.append(
            f"The log-ratios have variance {spread:.2g}: p and q are so far apart that form='low_variance' depends on a few "
            "large ratios q/p, and its error is too small with few draws. Take form='plain'."
        )
    elif form == "low_variance":
        reasons += _not_all_of_q(log_ratio, weights, mean.error)
    diagnostics = {
        "per_token": mean.value * n / counted,
        "mean_ratio": ratio.value,
        "tail_index": tail,
        "form": form,
        "n_tokens": tokens,
        "reasons": reasons,
    }
    error = mean.error if np.isfinite(mean.value) and n > 1 else float("nan")
    return Estimate(mean.value, error, n, "log_probs", diagnostics)


def _read(values: Any, name: str) -> FloatArray:
    try:
        array = np.asarray(look(values.detach().cpu() if hasattr(values, "detach") else values, name))
    except SourceError as error:
        # a list that numpy takes for no array has rows of different lengths
        if not isinstance(error.__cause__, ValueError) or hasattr(values, "detach"):
            raise
        raise ValueError(
            f"{name} has rows of different lengths. Fill the shorter ones up with any number, and give lengths=."
        ) from None
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{name} holds log-probabilities, real numbers; found dtype {array.dtype}.")
    if array.ndim not in (1, 2) or not array.size:
        raise ValueError(f"{name} has one number per draw, or one row of tokens per draw; found shape {array.shape}.")
    return array.astype(np.float64).reshape(len(array), -1)


def _warn_of_distributions(p: FloatArray, q: FloatArray) -> None:
    """Say so where rows are whole distributions over symbols, and no draws."""
    if p.shape[1] < 2:
        return
    with np.errstate(over="ignore"):
        wholes = all((np.abs(np.exp(values).sum(axis=1) - 1.0) < _NORMALISED).all() for values in (p, q))
    if wholes:
        warn(
            "The probabilities in every row of log_p and of log_q sum to 1: rows seem to be whole distributions over "
            f"{p.shape[1]} symbols, such as a vocabulary, and were taken for sequences of drawn tokens. The divergence of each "
            "row is fastkl.discrete_kl(log_p, log_q, logits=True).",
            ProbabilityVectorWarning,
        )


def _present(shape: tuple[int, ...], lengths: ArrayLike | None) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which tokens are there."""
    if lengths is None:
        return np.ones(shape, dtype=bool)
    counts = np.asarray(lengths)
    if counts.shape != shape[:1] or counts.dtype.kind not in "iu":
        raise ValueError(
            f"lengths has one whole number per draw, shape ({shape[0]},); found {counts.dtype} {counts.shape}."
        )
    if (wrong := (counts < 1) | (counts > shape[1])).any():
        row = int(np.argmax(wrong))
        raise ValueError(f"lengths[{row}] is {int(counts[row])}; a sequence here has between 1 and {shape[1]} tokens.")
    return np.arange(shape[1]) < counts[:, np.newaxis]


def _refuse_impossible(p: FloatArray, q: FloatArray, present: Any) -> None:
    for values, name in ((p, "log_p"), (q, "log_q")):
        if (wrong := present & (np.isnan(values) | (values == np.inf))).any():
            row, token = (int(i) for i in np.unravel_index(int(np.argmax(wrong)), wrong.shape))
            raise ValueError(
                f"{name} is {values[row, token]} at draw {row}, token {token}; a finite number or -inf is expected."
            )
    if (wrong := present & np.isneginf(p)).any():
        row, token = (int(i) for i in np.unravel_index(int(np.argmax(wrong)), wrong.shape))
        raise SupportError(
            f"log_p is -inf at draw {row}, token {token}: a draw from p has positive probability under p. Are the draws from q? "
            f"Then exchange the two."
        )


def _terms(log_ratio: FloatArray, form: str) -> FloatArray:
    """Of each token."""
    if form == "plain":
        return -log_ratio
    if form == "squared":
        return 0.5 * log_ratio**2
    # Near 0 the difference of the two is less than their rounding: its series.
    series = log_ratio**2 * (0.5 + log_ratio * (1.0 / 6.0 + log_ratio * (1.0 / 24.0 + log_ratio / 120.0)))
    return np.where(np.abs(log_ratio) < 1e-3, series, np.expm1(log_ratio) - log_ratio)


def _not_all_of_q(log_ratio: FloatArray, weights: FloatArray | None, error: float) -> list[str]:
    """Why r - 1 has no mean of 0: q has mass where p draws nothing, which makes the mean of r - 1 - log r too small by that."""
    drift = Mean.of(np.expm1(log_ratio).sum(axis=1), weights)
    if not -drift.value > max(_BEYOND_CHANCE * drift.error, error, 1e-9):
        return []
    return [
        f"The mean of q/p - 1, summed over the tokens of a draw, is {drift.value:.3g}, and form='low_variance' takes it for 0: q "
        "has mass where p draws nothing, as draws from the likeliest tokens alone leave, or the log-probabilities are not "
        f"normalised. The estimate is too small by about {-drift.value:.2g} nats. Take form='plain'."
    ]


def _doubts(log_ratio: FloatArray, ratio: Mean, form: str) -> tuple[list[str], float]:
    """Reasons not to trust the mean, and the tail index of q/p over whole draws."""
    finite = np.isfinite(log_ratio)
    tail = tail_index(np.exp(log_ratio[finite] - log_ratio[finite].max())) if finite.any() else float("nan")
    reasons = []
    if not finite.all():
        reasons.append(f"{int((~finite).sum())} draws have probability 0 under q: the divergence is infinite.")
    if ratio.value - 4.0 * ratio.error > 1.0 + 1e-9:
        reasons.append(
            f"The mean of q/p over the draws is {ratio.value:.3g}, and it is at most 1: the draws do not come from p, or the "
            f"log-probabilities are not normalised."
        )
    if form == "low_variance" and tail > HEAVY_TAIL:
        reasons.append(
            f"The largest ratios q/p have a Pareto tail of index {tail:.2f}, beyond {HEAVY_TAIL}: their mean hardly converges. "
            f'Take form="plain" and more draws.'
        )
    reasons += heavy_terms(-log_ratio[finite], "terms log p/q")
    if form == "squared":
        reasons.append(
            "The mean of half the squared log-ratio is not the divergence; it only approximates it where p is near q."
        )
    return reasons, tail
