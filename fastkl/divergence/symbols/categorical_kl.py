"""Kullback-Leibler divergence and cross-entropy of two discrete distributions known only through observed symbols.

A symbol of the first sample that the second lacks makes the plug-in divergence infinite. Dropping such symbols, as is
often done, can even turn the sum negative; here the caller says what they mean, and the default says +inf. The closed
form of Zhang and Grabchak needs no double loop over the sample sizes and holds for fractional counts too. Sums over
symbols are rounded once (fsum), so that the order of symbols cannot matter.
"""

from __future__ import annotations

from math import fsum
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import digamma, rel_entr, xlogy

from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.matching import match_columns, match_labels, symbols_of_both
from fastkl.divergence.symbols.categorical import align, tally, unseen_mass
from fastkl.divergence.symbols.discrete import kl_terms
from fastkl.divergence.symbols.probability_rows import Probabilities
from fastkl.exceptions import SupportError

__all__ = ["categorical_cross_entropy", "categorical_kl"]

_METHODS = ("zhang_grabchak", "plugin")
_UNSEEN = ("inf", "estimate", "smooth", "raise")
# Above this share of unseen probability an estimate rests on extrapolation.
_MUCH_UNSEEN = 0.1
# A symbol, which may be the labels of many columns, is named by so many characters.
_BRIEF = 60


class CountPair(NamedTuple):
    """Aligned counts of both samples, with what follows from them."""

    symbols: list[Any]
    x: FloatArray
    y: FloatArray
    n: float
    m: float
    n_samples: tuple[int, int]
    missing: NDArray[np.intp]


def categorical_kl(
    p: Any,
    q: Any,
    method: str = "zhang_grabchak",
    unseen: str = "inf",
    *,
    counts: bool = False,
    sample_weight_p: ArrayLike | None = None,
    sample_weight_q: ArrayLike | None = None,
) -> Estimate:
    """Kullback-Leibler divergence KL(P to Q) of two categorical variables from a sample of each, in nats.

    Parameters
    ----------
    p, q : array_like of shape (n,) or (n, d), (m,) or (m, d), or data frames
        Labels of any type, compared by value; with several columns each row is one joint symbol. With ``counts=True``
        two vectors of counts, real numbers >= 0, that align symbol by symbol: by their index if both are pandas series with
        one (a symbol that one of them lacks has count 0), else by position. Tables are matched by the names of their columns.
    method : {"zhang_grabchak", "plugin"}, default="zhang_grabchak"
        ``"zhang_grabchak"``: bias falls exponentially with the sample sizes on a finite alphabet; it can be slightly
        negative for equal distributions, as any unbiased estimate must.
        ``"plugin"``: the divergence of the relative frequencies, never negative, too high on average.
    unseen : {"inf", "estimate", "smooth", "raise"}, default="inf"
        What to do when P has a symbol without a count in Q.
        ``"inf"``: return +inf, the divergence of the relative frequencies.
        ``"estimate"``: the finite value of Zhang and Grabchak, which treats the symbol as one that a larger sample of Q
        would show; not for ``"plugin"``.
        ``"smooth"``: add 1/2 to the count in Q of *every* symbol of the union of both samples (and of every declared
        symbol: pandas categories, entries of the counts), the rule of Krichevsky and Trofimov, whether or not one is
        unseen.
        ``"raise"``: raise an error that names the symbols.
    counts : bool, default=False
        Whether ``p`` and ``q`` hold counts (or are dicts of them by label, such as a Counter).
    sample_weight_p, sample_weight_q : array_like of shape (n,) and (m,), default=None
        Number of times each row counts, real and >= 0; an integer weight equals repeated rows exactly. Weights of
        another kind (importance, survey) must first be scaled to sum to the effective sample size, ``sum(w)**2 /
        sum(w**2)``.

    Returns
    -------
    Estimate
        With a standard error that holds both samples' parts, and ``diagnostics``: ``"unseen_mass"`` (share of P on
        symbols without a count in Q), ``"unseen_symbols"`` (up to ten), ``"coverage_p"``, ``"coverage_q"``
        (Good-Turing), ``"n_symbols"``,
        ``"bias_suspected"``, ``"reasons"``. Not clamped at 0.

    Raises
    ------
    SupportError
        With ``unseen="raise"``, when P has symbols without a count in Q.
    DegenerateDataError
        A sample has no row, or no positive count or weight.
    ValueError
        A label is missing, a count or weight is negative or not finite, the arrays do not align, or an option is
        unknown.

    See Also
    --------
    discrete_kl : Exact, from known probabilities.

    Notes
    -----
    With counts :math:`X_k, Y_k` of sums :math:`n, m` the default is
    :math:`\\sum_k \\frac{X_k}{n} [\\psi(m + 1) - \\psi(Y_k + 1) - \\psi(n) + \\psi(X_k)]`, equal to the double sum of
    Zhang and Grabchak 2014 (doi:10.1162/NECO_a_00646). The squared standard error is
    :math:`\\frac1n (\\sum \\hat p \\log^2 (\\hat p / \\hat q) - \\hat D^2) + \\frac1m (\\sum \\hat p^2 / \\hat q - 1)`
    at the relative frequencies (in Q with 1/2 added per symbol if one is unseen), but at least :math:`\\frac{K - 1}{2}
    (\\frac1n + \\frac1m)^2`, the second order, which alone remains for equal distributions. The smoothing rule:
    Krichevsky and Trofimov 1981, doi:10.1109/TIT.1981.1056331.

    Examples
    --------
    >>> from fastkl import categorical_kl
    >>> kl = categorical_kl([1, 3, 7, 4, 8], [2, 5, 1, 3, 6], counts=True)
    >>> round(kl, 6)
    0.072342
    >>> float(categorical_kl(["a", "a", "b", "c"], ["a", "b", "b", "b"]))
    inf
    >>> round(categorical_kl(["a", "a", "b", "c"], ["a", "b", "b", "b"], unseen="smooth"), 4)
    0.0288
    """
    _check_options(method, unseen)
    pair = _read(p, q, counts, sample_weight_p, sample_weight_q, unseen)
    if unseen == "inf" and len(pair.missing):
        return _estimate(float("inf"), float("nan"), pair, method)
    share, share_q = pair.x / pair.n, _frequencies_q(pair, unseen)
    if method == "plugin":
        value = fsum(kl_terms(Probabilities(share), Probabilities(share_q)))
    else:
        value = fsum(share * (_cross_terms(pair, unseen, share_q) - _surprisal(pair)))
    safe = _frequencies_q(pair, "smooth") if len(pair.missing) else share_q
    ratio = np.asarray(rel_entr(share, safe))
    log_ratio = np.divide(ratio, share, out=np.zeros_like(share), where=share > 0.0)
    divergence = fsum(ratio)
    variance = fsum(share * (log_ratio - divergence) ** 2) / pair.n + _variance_q(pair, share, safe)
    second_order = 0.5 * (_n_seen(pair) - 1.0) * (1.0 / pair.n + 1.0 / pair.m) ** 2
    corrected = fsum(share * (_cross_terms(pair, "estimate", share_q) - _surprisal(pair)))
    return _estimate(value, max(variance, second_order), pair, method, corrected)


def categorical_cross_entropy(
    p: Any,
    q: Any,
    method: str = "zhang_grabchak",
    unseen: str = "inf",
    *,
    counts: bool = False,
    sample_weight_p: ArrayLike | None = None,
    sample_weight_q: ArrayLike | None = None,
) -> Estimate:
    """Cross-entropy H(P, Q) of two categorical variables from a sample of each, in nats.

    Parameters
    ----------
    p, q : array_like of shape (n,) or (n, d), (m,) or (m, d), or data frames
        As in ``categorical_kl``.
    method : {"zhang_grabchak", "plugin"}, default="zhang_grabchak"
        ``categorical_kl`` is this minus ``categorical_entropy`` with ``method="zhang"`` for the first, with
        ``method="plugin"`` for the second.
    unseen : {"inf", "estimate", "smooth", "raise"}, default="inf"
        As in ``categorical_kl``.
    counts : bool, default=False
        Whether ``p`` and ``q`` hold counts (or are dicts of them by label, such as a Counter).
    sample_weight_p, sample_weight_q : array_like of shape (n,) and (m,), default=None
        As in ``categorical_kl``.

    Returns
    -------
    Estimate
        With a standard error and the diagnostics of ``categorical_kl``.

    Raises
    ------
    SupportError
        With ``unseen="raise"``, when P has symbols without a count in Q.
    DegenerateDataError
        A sample has no row, or no positive count or weight.
    ValueError
        A label is missing, a count or weight is negative or not finite, the arrays do not align, or an option is
        unknown.

    Notes
    -----
    :math:`\\sum_k \\frac{X_k}{n} [\\psi(m + 1) - \\psi(Y_k + 1)]`, or :math:`-\\sum_k \\hat p_k \\log \\hat q_k`; Zhang
    and Grabchak 2014, doi:10.1162/NECO_a_00646.

    Examples
    --------
    >>> from fastkl import categorical_cross_entropy
    >>> round(categorical_cross_entropy([6, 4], [5, 5], method="plugin", counts=True), 6)
    0.693147
    """
    _check_options(method, unseen)
    pair = _read(p, q, counts, sample_weight_p, sample_weight_q, unseen)
    if unseen == "inf" and len(pair.missing):
        return _estimate(float("inf"), float("nan"), pair, method)
    share, share_q = pair.x / pair.n, _frequencies_q(pair, unseen)
    if method == "plugin":
        value = -fsum(xlogy(share, share_q))
    else:
        value = fsum(share * _cross_terms(pair, unseen, share_q))
    safe = _frequencies_q(pair, "smooth") if len(pair.missing) else share_q
    surprisal = -np.asarray(xlogy(share > 0.0, safe))
    mean = fsum(share * surprisal)
    variance = fsum(share * (surprisal - mean) ** 2) / pair.n + _variance_q(pair, share, safe)
    second_order = (_n_seen(pair) - 1.0) * (1.0 / (pair.n * pair.m) + 0.5 / pair.m**2)
    corrected = fsum(share * _cross_terms(pair, "estimate", share_q))
    return _estimate(value + 0.0, max(variance, second_order), pair, method, corrected)


def _check_options(method: str, unseen: str) -> None:
    for name, value, allowed in (("method", method, _METHODS), ("unseen", unseen, _UNSEEN)):
        if value not in allowed:
            raise ValueError(f"{name}={value!r} is unknown; choose one of {', '.join(allowed)}.")
    if method == "plugin" and unseen == "estimate":
        raise ValueError(
            'The plug-in divergence has no finite value for an unseen symbol; take method="zhang_grabchak" with '
            'unseen="estimate", or unseen="smooth".'
        )


def read_pair(
    p: Any,
    q: Any,
    counts: bool,
    weight_p: ArrayLike | None,
    weight_q: ArrayLike | None,
    *,
    names: tuple[str, str] = ("p", "q"),
) -> CountPair:
    """Counts of both samples over the symbols of either, matched by name."""
    labels = None
    if counts:
        labels = symbols_of_both(p, q, names)
        p, q = match_labels(p, q, 0.0, names)
    else:
        q = match_columns(p, q, names)
    first, second = tally(p, names[0], counts, weight_p), tally(q, names[1], counts, weight_q)
    symbols, x, y = align(first, second, counts, names)
    missing = np.flatnonzero((x > 0.0) & (y == 0.0))
    if labels is not None and len(labels) == len(symbols):
        symbols = labels
    return CountPair(symbols, x, y, float(x.sum()), float(y.sum()), (first.n_samples, second.n_samples), missing)


def _read(
    p: Any, q: Any, counts: bool, weight_p: ArrayLike | None, weight_q: ArrayLike | None, unseen: str
) -> CountPair:
    pair = read_pair(p, q, counts, weight_p, weight_q)
    if unseen == "raise" and len(pair.missing):
        raise SupportError(
            f"{_unseen_sentence(pair)} Collect more of q, merge rare symbols, or choose another value of unseen."
        )
    return pair


def _frequencies_q(pair: CountPair, unseen: str) -> FloatArray:
    if unseen == "smooth":
        return (pair.y + 0.5) / (pair.m + 0.5 * len(pair.y))
    return pair.y / pair.m


def _cross_terms(pair: CountPair, unseen: str, share_q: FloatArray) -> FloatArray:
    """Surprisal of each symbol under Q."""
    if unseen == "smooth":
        return -np.log(share_q)
    return np.asarray(digamma(pair.m + 1.0) - digamma(pair.y + 1.0))


def _surprisal(pair: CountPair) -> FloatArray:
    """Surprisal of each symbol under P, in the sense of Zhang."""
    seen = np.where(pair.x > 0.0, pair.x, 1.0)
    return np.asarray(digamma(pair.n) - digamma(seen))


def _variance_q(pair: CountPair, share: FloatArray, share_q: FloatArray) -> float:
    ratio = np.divide(share, share_q, out=np.zeros_like(share), where=share_q > 0.0)
    return fsum(share_q * (ratio - 1.0) ** 2) / pair.m


def _n_seen(pair: CountPair) -> float:
    return float(np.count_nonzero((pair.x > 0.0) | (pair.y > 0.0)))


def _estimate(value: float, variance: float, pair: CountPair, method: str, corrected: float | None = None) -> Estimate:
    """``corrected`` is the value without the bias of the frequencies, and of what was added to them."""
    reasons = []
    if corrected is not None and abs(bias := value - corrected) > np.sqrt(variance):
        reasons.append(
            f"The value is too {'high' if bias > 0.0 else 'low'} by about {abs(bias):.2g}, more than its standard error; "
            'method="zhang_grabchak", with unseen="estimate", corrects this.'
        )
    if len(pair.missing):
        meaning = "the value is +inf" if np.isinf(value) else "the value rests on what was assumed about them"
        reasons.append(
            f"{_unseen_sentence(pair)} Whether Q lacks them or its sample missed them is not known; {meaning}."
        )
        reasons += _spelt_numbers(pair)
    reasons += much_unseen(pair)
    diagnostics = {
        "unseen_mass": float(pair.x[pair.missing].sum()) / pair.n,
        "unseen_symbols": [pair.symbols[i] for i in pair.missing[:10].tolist()],
        "coverage_p": 1.0 - unseen_mass(pair.x),
        "coverage_q": 1.0 - unseen_mass(pair.y),
        "n_symbols": len(pair.symbols),
        "reasons": reasons,
    }
    return Estimate(value, float(np.sqrt(variance)), pair.n_samples, method, diagnostics)


def _spelt_numbers(pair: CountPair) -> list[str]:
    """Why a symbol of P may be missing in Q: it is a number in one and a text in the other."""
    numbers = {str(symbol): symbol for symbol in pair.symbols if isinstance(symbol, Real)}
    text = next((symbol for symbol in pair.symbols if isinstance(symbol, str) and symbol in numbers), None)
    if text is None:
        return []
    return [
        f"The number {numbers[text]!r} and the text {text!r} are different symbols here; give both samples one type."
    ]


def much_unseen(pair: CountPair) -> list[str]:
    """Reasons not to trust an estimate from samples that lack symbols of much probability."""
    masses = (("P", unseen_mass(pair.x)), ("Q", unseen_mass(pair.y)))
    if _n_seen(pair) == 1.0:
        # the rule of three: a symbol of greater probability is missed in 5 % of the samples
        most = min(0.5, 3.0 / min(pair.n, pair.m))
        return [
            f"Only one symbol was seen: others may have a probability up to {most:.2g} in one of the two, which the standard "
            "error does not include."
        ]
    return [
        f"About {mass:.0%} of the probability of {name} lies on symbols that its sample lacks (Good-Turing)."
        for name, mass in masses
        if mass > _MUCH_UNSEEN
    ]


def _unseen_sentence(pair: CountPair) -> str:
    many = len(pair.missing)
    named = ", ".join(_brief(repr(pair.symbols[i])) for i in pair.missing[:5].tolist())
    more = f" and {many - 5} more" if many > 5 else ""
    share = float(pair.x[pair.missing].sum()) / pair.n
    return f"P has {many} symbol{'s' * (many > 1)} without a count in Q ({named}{more}), with {share:.2g} of its mass."


def _brief(symbol: str) -> str:
    """Of the labels of many columns the first ones."""
    return symbol if len(symbol) <= _BRIEF else f"{symbol[:_BRIEF]} ..."
