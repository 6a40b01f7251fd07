r"""The Rényi divergence of two samples, by log-ratios that tell their rows apart.

For every function r, and every order alpha > 0 but 1,

.. math:: D_\alpha \ge \frac{\alpha}{\alpha - 1} \log E_p e^{(\alpha - 1) r} - \log E_q e^{\alpha r} ,

with equality for r = log p/q and no change for r + c (J. Birrell, P. Dupuis, M. Katsoulakis, L. Rey-Bellet and J. Wang 2021,
doi:10.1137/20M1368926; at alpha = 1 it is Donsker and Varadhan's bound). So an error of r counts by its square. The ratio is what
a logistic regression makes of those on which the default estimate of the Kullback-Leibler divergence rests (normal
distributions, mixtures, a regression), each at rows that it has not seen. It is cut at the logarithms of the numbers of rows,
beyond which these say nothing of it.

As alpha goes to 1 the estimate goes to that of the Kullback-Leibler divergence, which knows more than a ratio (what neighbours
see), and as it goes to 0, by D_a(p, q) = a / (1 - a) D_{1-a}(q, p), to that of the reverse one; at 1/2 it is the ratio's alone.
Where normal distributions are as good as true it is theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl._core.blas_threads import single_threaded_blas
from fastkl.divergence.arguments import FloatArray, Sample
from fastkl.divergence.assisted.default_estimate import Assisted, assisted_routes
from fastkl.divergence.assisted.ratio_regression import Regression, fitted, with_constant
from fastkl.divergence.assisted.two_samples import TwoSamples
from fastkl.divergence.assisted.working_laws import normal_pair
from fastkl.divergence.directions import turned
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.nearest.atoms import at_lacking_atoms
from fastkl.divergence.nearest.diagnostics import negative_reasons
from fastkl.divergence.nearest.neighbors import SamplePair
from fastkl.divergence.nearest.samples import divergence_neighbors, require_two_rows
from fastkl.divergence.options import Options

# The ridge of the regression on log-ratios.
_RIDGE = 1.0
# The parts that enter the error of how far the estimate is from that by the best ratio alone, and from that of the divergence.
_SPREAD = 0.5
# Effective rows of the mean over q beyond alpha = 1; fewer leave the size of the divergence open.
_FEWEST = 30.0
# At most this part of a sample is taken to be of symbols that it does not show.
_MOST_MISSING = 0.5
# Symbols of up to so many rows tell how much that might be.
_FEW = 3
# From this part on of the largest value that the rows can tell an estimate is no more than a bound.
_NEAR = 0.8
# From this order on what the tails of p are beyond the rows of q counts.
_OF_TAILS = 0.75


def renyi_of_pair(pair: SamplePair, alpha: float, options: Options) -> Estimate:
    """D_alpha(p || q) of two samples in memory, for alpha > 0 other than 1."""
    require_two_rows(pair)
    if alpha >= 0.5:
        return _from_half_on(pair, alpha, options)
    back = _from_half_on(pair.reversed(), 1.0 - alpha, options)
    share, diagnostics = alpha / (1.0 - alpha), {**back.diagnostics, "reasons": turned(back.reasons)}
    diagnostics.pop("kl_divergence", None)  # that of p from q
    return Estimate(share * back, share * back.standard_error, (pair.p.n_rows, pair.q.n_rows), back.method, diagnostics)


def _from_half_on(pair: SamplePair, alpha: float, options: Options) -> Estimate:
    k = divergence_neighbors(pair, "common_radius", options.n_neighbors)
    found = assisted_routes(pair, k, True, options.steady_rng)
    if found.symbols or (alpha > 1.0 and np.isinf(found.estimate)):
        estimate = renyi_of_symbols(pair, alpha) if found.symbols else found.estimate
    else:
        elsewhere = _without_lacking_atoms(pair, alpha, options) if np.isinf(found.estimate) else None
        if elsewhere is not None:
            return elsewhere
        with single_threaded_blas():
            estimate = _by_normals(found, alpha) if found.regression is None else _by_ratio(found, alpha)
    if options.standard_error:
        return estimate
    return Estimate(float(estimate), float("nan"), estimate.n_samples, estimate.method, dict(estimate.diagnostics))


def _without_lacking_atoms(pair: SamplePair, alpha: float, options: Options) -> Estimate | None:
    """Where p has atoms that q lacks, by its other rows, whose share is known; None where there are none in a column.

    Orders below 1 stay finite: with s the share of the atoms, T is (1 - s)^alpha times that of the other rows.
    """
    p, there = pair.p, at_lacking_atoms(pair.p, pair.q)
    if not there.any():
        return None
    share = p.mean(there.astype(np.float64)).value
    if (~there).sum() < 2:
        return Estimate(float("inf"), 0.0, (p.n_rows, pair.q.n_rows), "assisted")
    others = Sample(np.ascontiguousarray(p.X[~there]), None if p.weights is None else p.weights[~there], p.n_jobs)
    rest = renyi_of_pair(SamplePair(others, pair.q), alpha, options)
    factor = alpha / (1.0 - alpha)
    error = float(np.hypot(rest.standard_error, factor * np.sqrt(share / ((1.0 - share) * p.effective_size))))
    diagnostics = {**rest.diagnostics, "share_of_atoms": share}
    value = float(rest) - factor * float(np.log1p(-share))
    return Estimate(value, error, (p.n_rows, pair.q.n_rows), rest.method, diagnostics)


def _by_ratio(found: Assisted, alpha: float) -> Estimate:
    samples, estimate = found.samples, found.estimate
    assert found.regression is not None
    assert found.chosen is not None
    parts = [found.regression.log_ratio]
    if not found.atoms:
        parts += [found.chosen.log_ratio, *samples.normal_ratios.values()]
    log_ratio = stacked(samples, parts)
    value, error, rows = _bound(samples, log_ratio, alpha)
    best, _, _ = _bound(samples, min(parts, key=samples.loss), alpha)
    of_kl, _, _ = _bound(samples, log_ratio, 1.0)
    apart, trust, towards = float(estimate) - of_kl, 0.0, min(2.0 * alpha - 1.0, 1.0)
    spread = np.hypot(value - best, min(alpha, 1.0) * apart)
    value += towards * apart
    if found.chosen.trust:
        normals = normal_pair(*samples.everywhere(found.chosen.name), samples.masses_of_all())
        by_normals = normals.renyi(alpha)
        if np.isfinite(by_normals):
            trust = found.chosen.trust
            value += trust * (by_normals - value)
    # What a ratio misses has no influence in it: neighbours, which see all, know no better than their own error.
    of_both = min(estimate.standard_error, samples.plain.standard_error)
    least = alpha * (towards * estimate.standard_error + (1.0 - towards) * of_both)
    error = float(np.hypot(max(error, least), _SPREAD * (1.0 - trust) * spread))
    reasons = list(estimate.diagnostics["reasons"] if alpha >= _OF_TAILS else found.doubts)
    if rows < _FEWEST and alpha > 1.0:
        reasons.append(
            f"The mean of (p/q)^alpha over q rests on {rows:.0f} effective rows: the data do not determine the divergence of "
            f"order {alpha:g}."
        )
    largest = alpha * float(np.log(samples.learnt.p.effective_size) + np.log(samples.learnt.q.effective_size))
    if value > _NEAR * largest and trust < 0.5:
        reasons.append(
            f"The estimate {value:.3g} is near {largest:.3g}, the largest value that {samples.n} rows of p and {samples.m} of q "
            "can give: they hardly overlap, and the divergence is larger, or infinite."
        )
    reasons += negative_reasons(value, error)
    return _labelled(estimate, value, error, reasons, {"effective_rows": rows})


def _by_normals(found: Assisted, alpha: float) -> Estimate:
    """Of few rows, and of repeated ones that q lacks, by normal distributions of them."""
    samples = found.samples
    value = normal_pair(*samples.spaces["scaled"], samples.masses_where()).renyi(alpha)
    apart = abs(value - alpha * float(found.estimate)) if np.isfinite(found.estimate) else abs(value)
    error = max(alpha, 1.0) * max(found.estimate.standard_error, apart)
    why = "There are few rows" if np.isfinite(found.estimate) else "p has repeated rows that q lacks"
    reason = f"{why}: the estimate is that of normal distributions of them."
    return _labelled(found.estimate, value, error, [reason, *found.estimate.diagnostics["reasons"]], {})


def stacked(samples: TwoSamples, log_ratios: list[FloatArray]) -> FloatArray:
    """One log-ratio of several at the rows that are learnt from, (n + m,), by a logistic regression on them."""
    return stacking(samples, log_ratios).log_ratio(with_constant(np.column_stack(log_ratios)))


def stacking(samples: TwoSamples, log_ratios: list[FloatArray]) -> Regression:
    """The logistic regression on log-ratios at the rows that are learnt from."""
    design = with_constant(np.column_stack(log_ratios))
    of_p = np.concatenate([np.ones(samples.n), np.zeros(samples.m)])
    times = np.ones(len(of_p)) if samples.masses is None else samples.masses
    return fitted(design, of_p, times, _RIDGE, None)


def _bound(samples: TwoSamples, log_ratio: FloatArray, alpha: float) -> tuple[float, float, float]:
    """The right-hand side for a log-ratio at the rows that are learnt from, its standard error, and effective rows of Q in it."""
    p, q = samples.learnt.p, samples.learnt.q
    cut = np.clip(log_ratio, -np.log(p.effective_size), np.log(q.effective_size))
    of_q, error_q, rows = _log_mean(q, alpha * cut[samples.n :])
    if alpha == 1.0:
        mean = p.mean(cut[: samples.n])
        return mean.value - of_q, float(np.hypot(mean.error, error_q)), rows
    of_p, error_p, _ = _log_mean(p, (alpha - 1.0) * cut[: samples.n])
    factor = alpha / (alpha - 1.0)
    return factor * of_p - of_q, float(np.hypot(factor * error_p, error_q)), rows


def _log_mean(side: Sample, logs: FloatArray) -> tuple[float, float, float]:
    """Logarithm of the mean of exponentials over the rows of a sample, its error, and their effective number."""
    largest = float(logs.max())
    terms = np.exp(logs - largest)
    mean = side.mean(terms)
    share = side.effective_size * mean.value**2 / side.mean(np.square(terms)).value
    return largest + float(np.log(mean.value)), mean.error / mean.value, share


def _labelled(plain: Estimate, value: float, error: float, reasons: list[str], more: dict[str, float]) -> Estimate:
    shared = plain.diagnostics.get("shared_rows", 0)
    diagnostics = {
        "reasons": reasons,
        "kl_divergence": float(plain),
        "shared_rows": shared,
    }
    diagnostics |= more
    return Estimate(float(value), error, plain.n_samples, "assisted", diagnostics)


def renyi_of_symbols(pair: SamplePair, alpha: float) -> Estimate:
    """By the frequencies of the distinct rows, less what their variance adds to the sum of second order.

    Below order 1 with what symbols that one sample lacks by chance add to it, about (I. J. Good 1953,
    doi:10.1093/biomet/40.3-4.237).
    """
    rows, which = np.unique(np.concatenate([pair.p.X, pair.q.X]), axis=0, return_inverse=True)
    which, masses = which.reshape(-1), [np.ones(s.n_rows) if s.weights is None else s.weights for s in (pair.p, pair.q)]
    counts = [
        np.bincount(of, mass, minlength=len(rows))
        for of, mass in zip((which[: pair.p.n_rows], which[pair.p.n_rows :]), masses, strict=True)
    ]
    p, q = (count / count.sum() for count in counts)
    size = (pair.p.n_rows, pair.q.n_rows)
    both, n, m = (p > 0.0) & (q > 0.0), pair.p.effective_size, pair.q.effective_size
    if not both.any() or (alpha > 1.0 and np.any((q == 0.0) & (p > 0.0))):
        reason = "A symbol of p is not among those of q." if both.any() else "p and q have no symbol in common."
        return Estimate(float("inf"), 0.0, size, "frequencies", {"reasons": [reason]})
    missing = (
        [_of_missing(which, counts, pair.p.n_rows, alpha, few) for few in (1, _FEW)] if alpha < 1.0 else [(1.0, 0.0)]
    )
    p, q = p[both], q[both]
    ratio = p / q
    total = float(np.sum(q * ratio**alpha))
    # first and second derivatives of the sum, and its variance and bias from multinomial frequencies
    of_p, of_q = alpha * ratio ** (alpha - 1.0), (1.0 - alpha) * ratio**alpha
    variances = [float(f @ np.square(d) - (f @ d) ** 2) / rows for f, d, rows in ((p, of_p, n), (q, of_q, m))]
    bends = ((p, (alpha - 1.0) / p * of_p, n), (q, -alpha / q * of_q, m))
    bias = sum(0.5 * float(np.sum(bend * f * (1.0 - f))) / rows for f, bend, rows in bends)
    variance = max(sum(variances), 0.0)  # of equal ratios it is 0 but for rounding
    value = (np.log(total) - bias / total + 0.5 * variance / total**2) / (alpha - 1.0)
    least = abs(bias / total / (alpha - 1.0))  # near p = q, where the variance vanishes
    error, reasons = float(np.hypot(np.sqrt(variance) / total / abs(alpha - 1.0), least)), []
    moved, most = (float(np.log(kept + added / total)) / (alpha - 1.0) for kept, added in (missing[0], missing[-1]))
    most = max(abs(moved), abs(most))
    if most > 2.0 * error:
        reasons.append(
            "Many symbols occur in few rows only, and those that one sample lacks by chance change the estimate by more than "
            "twice its other errors."
        )
    diagnostics = {"reasons": reasons, "missing_symbols": moved}
    return Estimate(float(value) + moved, float(np.hypot(error, 0.5 * most)), size, "frequencies", diagnostics)


def _of_missing(
    which: NDArray[np.intp], counts: Sequence[NDArray[Any]], n: int, alpha: float, few: int
) -> tuple[float, float]:
    """By what the sum over the symbols of both is to be multiplied, and what is to be added, for symbols that one sample lacks.

    The mass of those that a sample does not show is as much as symbols of one row have, or of a few rows over their number; it is
    theirs that the other sample has, in proportion.
    """
    p, q = (count / count.sum() for count in counts)
    rows = [np.bincount(of, minlength=len(p)) for of in (which[:n], which[n:])]
    unseen = [
        min(float(share[number <= few].sum()) / few, _MOST_MISSING) for share, number in zip((p, q), rows, strict=True)
    ]
    powers = (alpha, 1.0 - alpha)
    kept = float(np.prod([(1.0 - mass) ** power for mass, power in zip(unseen, powers, strict=True)]))
    elsewhere = float(q[p == 0.0].sum()), float(p[q == 0.0].sum())
    added = sum(
        mass**power * other ** (1.0 - power) for mass, other, power in zip(unseen, elsewhere, powers, strict=True)
    )
    return kept, added
