r"""Two tables of labels and numbers: divergences of the labels, and of the numbers among rows of equal ones.

With l the labels of a row and x its numbers,

.. math:: KL(p \| q) = KL(p_l \| q_l) + \sum_l p(l) \, KL(p_{x|l} \| q_{x|l}) ,

so that every part is one that is known how to estimate: frequencies, and two samples of numbers. With m(l) the mean of p(l) and
q(l), and s(l) = p(l) / 2 m(l), likewise

.. math:: JS(p, q) = JS(p_l, q_l) + \sum_l m(l) \, JS_{s(l)}(p_{x|l}, q_{x|l}) ,

where the mixture of the last holds a part s(l) of p, and of Rényi's order

.. math:: D_\alpha(p \| q) = \frac{1}{\alpha - 1} \log \sum_l p(l)^\alpha q(l)^{1 - \alpha}
          e^{(\alpha - 1) D_\alpha(p_{x|l} \| q_{x|l})} .

The numbers of rows whose labels are rare in either table are compared together, with the rows of both weighed alike. What that
leaves out makes the estimate no larger (a divergence is convex), and is said where p and q differ for one label otherwise than
for another.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastkl.divergence.arguments import weighted_sample
from fastkl.divergence.assisted.renyi_samples import renyi_of_symbols
from fastkl.divergence.column_words import estimate_by_names
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.labelled.mixed_rows import MixedTables
from fastkl.divergence.labelled.rows_by_label import MOST_REASONS, LabelledPair, Part, said_of_parts, variance_between
from fastkl.divergence.nearest.neighbors import SamplePair
from fastkl.divergence.symbols.categorical_kl import categorical_kl
from fastkl.divergence.symbols.categorical_relatives import categorical_jensen_shannon

# Labels whose numbers are doubted, or that q lacks by chance, in so large a part of p are said.
_DOUBTED, _UNSEEN = 0.35, 0.05


def divergence_of_tables(tables: MixedTables, of_numbers: Callable[[SamplePair], Estimate]) -> Estimate:
    """KL(p || q) of two tables with labels and numbers, where ``of_numbers`` estimates that of two samples of numbers."""
    both = LabelledPair.of(tables)
    infinite = _where_lacking(both)
    if infinite is not None:
        return infinite
    mass_p, mass_q = both.masses
    symbols = [*map(tuple, tables.columns.combinations)]
    count_p, count_q = (dict(zip(symbols, mass, strict=True)) for mass in (mass_p, mass_q))
    of_labels = categorical_kl(count_p, count_q, unseen="estimate", counts=True)
    shares = mass_p / mass_p.sum()
    reasons, parts, value_of = _of_labels(of_labels), [], np.zeros(len(shares))
    for group, said in both.groups(shares):
        found = estimate_by_names(of_numbers(group.pair), both.columns)
        value_of[group.kept] = float(found)
        parts.append(Part(group.name, found, float(shares[group.kept].sum())))
        reasons += said
    between = variance_between(
        np.log(shares / np.maximum(mass_q, 0.5), where=shares > 0.0, out=np.zeros_like(shares)), value_of, mass_p
    )
    return _estimate(both, of_labels, parts, reasons, between)


def jensen_shannon_of_tables(tables: MixedTables, of_numbers: Callable[[SamplePair, float], Estimate]) -> Estimate:
    """That of two tables with labels and numbers; ``of_numbers`` takes two samples and the share of the first in the mixture."""
    both = LabelledPair.of(tables)
    masses = both.masses
    of_labels = categorical_jensen_shannon(*masses, counts=True)
    p, q = (mass / mass.sum() for mass in masses)
    middle = np.maximum(0.5 * (p + q), np.finfo(float).tiny)  # labels may have no mass
    share = 0.5 * p / middle
    # Rare labels are taken as frequent in either, which to second order in p - q needs a factor 4 s (1 - s).
    shares = middle * 4.0 * share * (1.0 - share)
    reasons, parts, value_of = _of_labels(of_labels), [], np.zeros(len(p))
    for group, said in both.groups(shares):
        alone = group.kept.sum() == 1
        found = of_numbers(group.pair, float(share[group.kept][0]) if alone else 0.5)
        found = estimate_by_names(found, both.columns)
        weight = middle if alone else shares
        value_of[group.kept] = float(found) * (weight / middle)[group.kept]
        parts.append(Part(group.name, found, float(weight[group.kept].sum())))
        reasons += said
    between = 0.25 * sum(
        variance_between(np.log(of / middle, where=of > 0.0, out=np.zeros_like(of)), value_of, mass)
        for of, mass in zip((p, q), masses, strict=True)
    )
    return _estimate(both, of_labels, parts, reasons, between)


def renyi_of_tables(tables: MixedTables, alpha: float, of_numbers: Callable[[SamplePair], Estimate]) -> Estimate:
    """D_alpha(p || q) of two tables with labels and numbers, where ``of_numbers`` estimates that of two samples of numbers."""
    both = LabelledPair.of(tables)
    codes = SamplePair(
        *(weighted_sample(x.labels[:, np.newaxis].astype(float), x.weights, None) for x in (both.p, both.q))
    )
    of_labels = renyi_of_symbols(codes, alpha)
    masses = both.masses
    p, q = (mass / mass.sum() for mass in masses)
    if np.isinf(of_labels):
        return Estimate(float("inf"), 0.0, both.sizes, "by labels", {"reasons": of_labels.reasons})
    common = (p > 0.0) & (q > 0.0)
    powers = np.zeros_like(p)
    powers[common] = p[common] ** alpha * q[common] ** (1.0 - alpha)
    plain = powers / powers.sum()
    reasons, found, value_of = _of_labels(of_labels), [], np.zeros(len(p))
    for group, said in both.groups(plain):
        found.append((group, estimate_by_names(of_numbers(group.pair), both.columns)))
        value_of[group.kept] = float(found[-1][1])
        reasons += said
    with np.errstate(over="ignore"):
        tilted = plain * np.exp((alpha - 1.0) * value_of)
        total = float(tilted.sum())
        second = float(np.log(total) / (alpha - 1.0)) if total > 0.0 else float("inf")
    tilted = tilted / total if 0.0 < total < np.inf else plain
    parts = [Part(group.name, value, float(tilted[group.kept].sum())) for group, value in found]
    # derivatives by the frequencies of labels, with the numbers and without
    between = 0.0
    for factor, of, mass in ((alpha / (alpha - 1.0), p, masses[0]), (-1.0, q, masses[1])):
        slopes = [factor * np.divide(weights, of, out=np.zeros_like(of), where=common) for weights in (plain, tilted)]
        between += variance_between(slopes[0], slopes[1] - slopes[0], mass)
    return _estimate(both, of_labels, parts, reasons, between, second)


def _where_lacking(both: LabelledPair) -> Estimate | None:
    """The infinite divergence where q lacks labels of p, and not by chance."""
    lacking, (rows_p, _) = both.lacking(), both.rows
    if not lacking.any():
        return None
    named = "; ".join(name for name, gone in zip(both.names, lacking, strict=True) if gone)
    reason = (
        f"q has no row with the labels {named if len(named) < 100 else named[:100] + ' ...'}, which "
        f"{int(rows_p[lacking].sum())} of {both.sizes[0]} rows of p have: the divergence is infinite."
    )
    return Estimate(float("inf"), 0.0, both.sizes, "by labels", {"reasons": [reason]})


def _estimate(
    both: LabelledPair,
    of_labels: Estimate,
    parts: list[Part],
    reasons: list[str],
    between: float,
    second: float | None = None,
) -> Estimate:
    """The whole: labels and numbers (the sum of the parts, or ``second``); ``between`` is what both add to its variance."""
    if second is None:
        second = float(sum(part.share * float(part.found) for part in parts))
    within = sum((part.share * part.found.standard_error) ** 2 for part in parts)
    error = 0.0 if np.isinf(second) else float(np.sqrt(max(of_labels.standard_error**2 + between, 0.0) + within))
    diagnostics = {
        "reasons": reasons[:MOST_REASONS] + said_of_parts(parts, _DOUBTED),
        "of_labels": float(of_labels),
        "of_numbers": second,
        "groups": len(parts),
        "shared_rows": sum(part.found.diagnostics.get("shared_rows", 0) for part in parts),
    }
    return Estimate(float(of_labels) + second, error, both.sizes, "by labels", diagnostics)


def _of_labels(found: Estimate) -> list[str]:
    """Doubts of the divergence of the labels, where those that q lacks by chance, or that nobody saw, are more than a few."""
    known = found.diagnostics
    seen = min(known.get(f"coverage_{side}", 1.0) for side in "pq")
    if known.get("unseen_mass", 0.0) < _UNSEEN and seen > 1.0 - 2.0 * _UNSEEN and "missing_symbols" not in known:
        return []
    return [f"Of the labels: {reason}" for reason in found.reasons]
