"""Entropy of a discrete distribution that is known only through observed symbols.

Every estimator here depends on the counts through their profile alone (how many symbols were seen once, twice, ...),
which makes it exactly independent of the order and the names of the symbols, and its cost independent of the size of
the alphabet. All but two are sums over symbols plus a tail term; their standard error is the delete-one jackknife in
closed form: removing an observation changes one summand and, through the numbers of singletons and doubletons, one of
only four sets of constants.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import digamma, entr

from fastkl._core.wording import did_you_mean
from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.symbols.categorical import MOST, tally, unseen_mass
from fastkl.divergence.symbols.nsb import nsb_entropy

__all__ = ["categorical_entropy"]

# Above this share of unseen probability, and this near to the ceiling log n, an estimate rests on extrapolation.
_UNSEEN = 0.1
_CEILING = 1.0
# Methods whose bias may be far above their error where most symbols are seen: a coverage of 1, a shrinkage of 0, correct nothing.
_UNCHECKED = ("chao_shen", "james_stein")


class Profile(NamedTuple):
    """Distinct positive counts, how many symbols have each, and the constants that the summands need."""

    counts: FloatArray
    times: FloatArray
    n: float
    once: float
    twice: float


def categorical_entropy(
    x: Any,
    method: str = "chao_wang_jost",
    *,
    counts: bool = False,
    sample_weight: ArrayLike | None = None,
    n_symbols: int | None = None,
) -> Estimate:
    """Entropy of a categorical variable from a sample, in nats.

    Parameters
    ----------
    x : array_like of shape (n,) or (n, d), or data frame
        Labels of any type (strings, booleans, integers, floats, objects, pandas categories); with several columns each
        row is one joint symbol. With ``counts=True`` a vector of counts, real numbers >= 0, one for each symbol.
    method : str, default="chao_wang_jost"
        ``"chao_wang_jost"``: unbiased part of Zhang plus an estimate of what unseen symbols add (Chao, Wang and Jost
        2013); it needs no alphabet size and has the smallest error of these where symbols are missing from the sample.
        ``"zhang"`` (2012): bias falls exponentially with n on a finite alphabet; the entropy part of
        ``categorical_kl(method="zhang_grabchak")``.
        ``"plugin"``: entropy of the relative frequencies, always too low on average.
        ``"miller_madow"`` (1955): plug-in + (symbols seen - 1) / (2 n).
        ``"grassberger"`` (2003).
        ``"chao_shen"`` (2003): coverage-adjusted Horvitz-Thompson sum.
        ``"james_stein"``: plug-in of frequencies shrunk to the uniform distribution (Hausser and Strimmer 2009).
        ``"nsb"``: Bayes under the prior of Nemenman, Shafee and Bialek (2001).
        The last two depend on the size of the alphabet, see ``n_symbols``.
    counts : bool, default=False
        Whether ``x`` holds counts (or is a dict of them by label, such as a Counter).
    sample_weight : array_like of shape (n,), default=None
        Number of times each row counts, real and >= 0; an integer weight equals repeated rows exactly. Every correction
        depends on the number of observations, which is the sum of the weights: weights of another kind (importance,
        survey) must first be scaled to sum to the effective sample size, ``sum(w)**2 / sum(w**2)``.
    n_symbols : int, default=None
        Size of the alphabet for ``"james_stein"`` and ``"nsb"``. By default the number of declared symbols (all pandas
        categories of a single column, observed or not; the length of a vector of counts), else the number of symbols
        seen.

    Returns
    -------
    Estimate
        With a standard error (posterior standard deviation for ``"nsb"``) and ``diagnostics``: ``"coverage"`` and
        ``"unseen_mass"`` (Good-Turing), ``"n_symbols"``, ``"n_symbols_seen"``, ``"singletons"``, ``"bias_suspected"``,
        ``"reasons"``.

    Raises
    ------
    DegenerateDataError
        There is no row, or no positive count or weight.
    ValueError
        A label is missing, a count or weight is negative or not finite, ``n_symbols`` is smaller than the number of
        symbols seen, or the method is unknown.

    See Also
    --------
    discrete_entropy : Exact, from known probabilities.
    categorical_kl : Divergence between two samples of symbols.

    Notes
    -----
    With counts :math:`X_k` and :math:`n = \\sum X_k` the default is
    :math:`\\sum_k \\frac{X_k}{n} [\\psi(n) - \\psi(X_k)] + \\frac{f_1}{n} \\sum_{r \\ge n} (1 - A)^{r - n + 1} / r`,
    where
    :math:`f_1, f_2` are the numbers of symbols seen once and twice and :math:`A = 2 f_2 / ((n - 1) f_1 + 2 f_2)`, or
    :math:`2 / ((n - 1)(f_1 - 1) + 2)` without doubletons.

    The standard error is the delete-one jackknife, but at least :math:`\\sqrt{(K - 1) / 2} / n`, what is left for a
    uniform distribution, where the first order vanishes (``"grassberger"`` takes that of ``"zhang"``, with which it
    agrees to first order;
    ``"james_stein"`` the delta method including the shrinkage weight). It says nothing about bias: see
    ``diagnostics["reasons"]``. Fractional counts enter the numbers of singletons and doubletons, Grassberger's
    function, and the jackknife by linear interpolation between the neighbouring integers.

    References
    ----------
    Chao, Wang and Jost 2013, doi:10.1111/2041-210X.12108; Zhang 2012, doi:10.1162/NECO_a_00266; Grassberger 2003,
    arXiv:physics/0307138; Chao and Shen 2003, doi:10.1023/A:1026096204727; Hausser and Strimmer 2009, arXiv:0811.3579;
    Nemenman, Shafee and Bialek 2001, arXiv:physics/0108025. A comparison: Pinchas, Ben-Gal and Painsky 2024,
    doi:10.3390/e26050369.

    Examples
    --------
    >>> from fastkl import categorical_entropy
    >>> e = categorical_entropy(["cat"] * 6 + ["dog"] * 4, method="plugin")
    >>> round(e, 6), round(e.standard_error, 3)
    (0.673012, 0.074)
    >>> round(categorical_entropy([4, 2, 2, 1, 1, 1, 1], counts=True), 4)
    2.2655
    """
    if method not in _METHODS:
        meant = did_you_mean(method, _METHODS)
        raise ValueError(f"method={method!r} is unknown.{meant} Choose one of {', '.join(sorted(_METHODS))}.")
    sample = tally(x, "x", counts, sample_weight)
    profile = _profile(sample.counts[sample.counts > 0.0])
    seen = int(np.count_nonzero(sample.counts))
    size = _alphabet(n_symbols, seen, len(sample.counts))
    value, standard_error = _METHODS[method](profile, size)
    missing = unseen_mass(sample.counts)
    reasons = _reasons(method, profile, missing, standard_error)
    if method in _UNCHECKED and abs(other := _METHODS["chao_wang_jost"](profile, size)[0] - value) > standard_error:
        reasons.append(
            f"'chao_wang_jost' finds {abs(other):.2g} {'more' if other > 0.0 else 'less'}, beyond the standard error: "
            f"{method!r} has a bias that it does not correct."
        )
    diagnostics = {
        "coverage": 1.0 - missing,
        "unseen_mass": missing,
        "n_symbols": size,
        "n_symbols_seen": seen,
        "singletons": profile.once,
        "reasons": reasons,
    }
    return Estimate(value, standard_error, sample.n_samples, method, diagnostics)


def _alphabet(n_symbols: int | None, seen: int, declared: int) -> int:
    if n_symbols is None:
        return declared
    if not 0 <= n_symbols <= MOST:
        raise ValueError(f"n_symbols is the number of symbols that there can be, up to {MOST:g}; not {n_symbols!r}.")
    if n_symbols < seen:
        raise ValueError(f"n_symbols={n_symbols}, but {seen} different symbols occur.")
    return int(n_symbols)


def _profile(positive: FloatArray) -> Profile:
    count, times = np.unique(positive, return_counts=True)
    return _with_constants(count, times.astype(np.float64))


def _with_constants(count: FloatArray, times: FloatArray) -> Profile:
    once, twice = (float(times @ np.maximum(0.0, 1.0 - np.abs(count - r))) for r in (1.0, 2.0))
    return Profile(count, times, float(count @ times), once, twice)


def _reasons(method: str, profile: Profile, missing: float, standard_error: float) -> list[str]:
    """Why the estimate is in doubt, a sentence each."""
    reasons = []
    if missing > _UNSEEN:
        reasons.append(
            f"About {missing:.0%} of the probability lies on symbols that the sample lacks (Good-Turing), so that the "
            "estimate extrapolates."
        )
    plugin = float(profile.times @ entr(profile.counts / profile.n))
    if len(profile.counts) > 0 and profile.times.sum() > 1 and plugin > np.log(profile.n) - _CEILING:
        reasons.append(
            f"The relative frequencies have entropy {plugin:.3g}, near the ceiling log n = {np.log(profile.n):.3g} "
            "that a sample of this size cannot pass: nearly every observation is a new symbol."
        )
    if profile.times.sum() == 1.0 and profile.n > 0.0:
        # the rule of three: a symbol of greater probability is missed in 5 % of the samples
        most = min(0.5, 3.0 / profile.n)
        reasons.append(
            f"Only one symbol was seen: others may have a probability up to {most:.2g}, and the entropy be up to "
            f"{entr(most) + entr(1.0 - most):.2g}, which the standard error does not include."
        )
    first_order = (float(profile.times.sum()) - 1.0) / (2.0 * profile.n)
    if method == "plugin" and first_order > standard_error:
        reasons.append(
            f"The plug-in estimate is too low by about {first_order:.2g}, more than its standard error; other methods "
            "correct this."
        )
    return reasons


# -- sums over symbols plus a tail ---------------------------------------------------------------------------------------------


def _plugin_terms(count: FloatArray, p: Profile) -> FloatArray:
    return np.asarray(entr(count / p.n))


def _miller_madow_terms(count: FloatArray, p: Profile) -> FloatArray:
    return _plugin_terms(count, p) + np.minimum(count, 1.0) / (2.0 * p.n)


def _zhang_terms(count: FloatArray, p: Profile) -> FloatArray:
    # x digamma(x) tends to -1 at 0, but a symbol without a count has no term.
    seen = np.where(count > 0.0, count, 1.0)
    return np.asarray(count / p.n * (digamma(p.n) - digamma(seen)))


def _grassberger_terms(count: FloatArray, p: Profile) -> FloatArray:
    below = np.floor(count)
    part = count - below
    interpolated: FloatArray = (1.0 - part) * _grassberger(below) + part * _grassberger(below + 1.0)
    return (count * float(np.log(p.n)) - interpolated) / p.n


def _grassberger(k: FloatArray) -> FloatArray:
    """k G(k), G(k) = digamma(k) + (-1)^k / 2 [digamma((k + 1) / 2) - digamma(k / 2)], for integers k >= 0."""
    seen = np.maximum(k, 1.0)
    sign = np.where(k % 2.0 == 0.0, 0.5, -0.5)
    return np.asarray(k * (digamma(seen) + sign * (digamma((seen + 1.0) / 2.0) - digamma(seen / 2.0))))


def _chao_shen_terms(count: FloatArray, p: Profile) -> FloatArray:
    # Without this rule of the authors a sample of singletons would have no coverage at all.
    once = p.once if p.once < p.n else p.n - 1.0
    share = (1.0 - once / p.n) * count / p.n
    with np.errstate(divide="ignore", invalid="ignore"):
        included = -np.expm1(p.n * np.log1p(-np.minimum(share, 1.0)))
        return np.where(share > 0.0, entr(share) / included, 0.0)


def _no_tail(p: Profile) -> float:
    return 0.0


def unseen_tail(share: float, once: float, twice: float, n: float) -> float:
    """What unseen symbols add to an entropy, share * sum_{r >= n} x^(r - n + 1) / r with x = 1 - A (Chao, Wang and Jost).

    ``share`` is the mass of the symbols seen once, f1 / n for a plain sample of n.

    The published form subtracts the first n - 1 terms of a logarithm from it and divides by x^(n - 1), which loses
    every digit when doubletons abound. Here the sum is share x/n times the integral of exp(-s) / (1 - x exp(-s/n)) over
    s > 0, taken by the trapezoidal rule in log s, whose error falls geometrically.
    """
    if once == 0.0 or n <= 1.0:
        return 0.0
    if twice > 0.0:
        a = 2.0 * twice / ((n - 1.0) * once + 2.0 * twice)
    else:
        a = 2.0 / ((n - 1.0) * max(once - 1.0, 0.0) + 2.0)
    step = 0.125
    s = np.exp(np.arange(np.log(min(1.0, n * a)) - 40.0, 6.7, step))
    integral = step * float((s * np.exp(-s) / (a - (1.0 - a) * np.expm1(-s / n))).sum())
    return share * (1.0 - a) / n * integral


Terms = Callable[[FloatArray, Profile], FloatArray]
Tail = Callable[[Profile], float]


def _summed(terms: Terms, tail: Tail, jackknifed: Terms | None = None) -> Callable[[Profile, int], tuple[float, float]]:
    def estimate(p: Profile, size: int) -> tuple[float, float]:
        value = float(p.times @ terms(p.counts, p)) + tail(p)
        return value, _jackknife(p, jackknifed or terms, tail)

    return estimate


def _jackknife(p: Profile, terms: Terms, tail: Tail) -> float:
    whole = _integer_profile(p)
    count, times, n = whole.counts, whole.times, whole.n
    if n <= 1.0:
        return float("nan")
    without = np.empty_like(count)
    # What is left of the constants depends on whether the observation belonged to a symbol seen once, twice, thrice, or more.
    for seen, (once, twice) in {1: (-1.0, 0.0), 2: (1.0, -1.0), 3: (0.0, 1.0), 4: (0.0, 0.0)}.items():
        chosen = count >= 4.0 if seen == 4 else count == seen
        if chosen.any():
            rest = Profile(count, times, n - 1.0, max(whole.once + once, 0.0), max(whole.twice + twice, 0.0))
            shares = terms(count, rest)
            changed = terms(count[chosen] - 1.0, rest) - shares[chosen]
            without[chosen] = float(times @ shares) + tail(rest) + changed
    weight = times * count
    variance = (n - 1.0) / n * float(weight @ (without - weight @ without / n) ** 2)
    return float(np.sqrt(max(variance, (float(times.sum()) - 1.0) / (2.0 * n * n), 0.0)))


def _integer_profile(p: Profile) -> Profile:
    """The profile with each fractional count shared between its two neighbours, which keeps the sum n."""
    below = np.floor(p.counts)
    part = p.counts - below
    if not part.any():
        return p
    count, place = np.unique(np.concatenate([below, below + 1.0]), return_inverse=True)
    times = np.bincount(place, weights=np.concatenate([p.times * (1.0 - part), p.times * part])).astype(np.float64)
    kept = (count > 0.0) & (times > 0.0)
    return _with_constants(count[kept], times[kept])


# -- methods that know the alphabet --------------------------------------------------------------------------------------------


def _james_stein(p: Profile, size: int) -> tuple[float, float]:
    share = p.counts / p.n
    unseen = size - float(p.times.sum())
    concentration = float(p.times @ share**2)
    target = 1.0 / size
    excess = concentration - target
    # An excess of 0 is a uniform sample, which shrinking does not move; more than full shrinkage is no shrinkage.
    weight = 1.0
    if p.n > 1.0 and excess > 0.0:
        weight = min(1.0, (1.0 - concentration) / ((p.n - 1.0) * excess))
    shrunk = weight * target + (1.0 - weight) * share
    value = float(p.times @ entr(shrunk)) + unseen * float(entr(weight * target))
    if p.n <= 1.0:
        return value, float("nan")
    surprisal = -np.log(shrunk)
    influence = (1.0 - weight) * surprisal
    if weight < 1.0:
        moved = float(p.times @ (surprisal * (target - share)))
        if unseen > 0.0 and weight > 0.0:
            moved -= unseen * target * np.log(weight * target)
        slope = -(1.0 - target) / ((p.n - 1.0) * excess**2)
        influence = influence + moved * slope * 2.0 * share
    mass = p.times * share
    variance = float(mass @ (influence - mass @ influence) ** 2) / p.n
    return value, float(np.sqrt(max(variance, (float(p.times.sum()) - 1.0) / (2.0 * p.n**2))))


def _nsb(p: Profile, size: int) -> tuple[float, float]:
    posterior = nsb_entropy(p.counts, p.times, float(size))
    return posterior.mean, posterior.standard_deviation


_METHODS: dict[str, Callable[[Profile, int], tuple[float, float]]] = {
    "plugin": _summed(_plugin_terms, _no_tail),
    "miller_madow": _summed(_miller_madow_terms, lambda p: -0.5 / p.n),
    "zhang": _summed(_zhang_terms, _no_tail),
    "chao_wang_jost": _summed(_zhang_terms, lambda p: unseen_tail(p.once / p.n, p.once, p.twice, p.n)),
    "chao_shen": _summed(_chao_shen_terms, _no_tail),
    # The parity of single counts makes Grassberger's terms jump, which a jackknife would mistake for variance.
    "grassberger": _summed(_grassberger_terms, _no_tail, jackknifed=_zhang_terms),
    "james_stein": _james_stein,
    "nsb": _nsb,
}
