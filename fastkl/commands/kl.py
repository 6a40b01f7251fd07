"""``fastkl kl``: Kullback-Leibler divergences between the rows of two files, by column and joint, with intervals and p-values."""

import argparse
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl import Estimate, SharedRowsWarning, categorical_kl, kl_divergence, permutation_test
from fastkl.commands.layout import note, number, plural, progress, table
from fastkl.commands.tables import Table, chosen, listed, names_of, read_table

_PERMUTATIONS = 999
# The test takes at most so many rows of either file, drawn at random: exact all the same, and its time does not grow further.
_TESTED_ROWS = 5_000


@dataclass(frozen=True)
class Line:
    """One line of the table."""

    name: str
    forward: Estimate
    reverse: Estimate
    p_value: float | None
    notes: list[str]


def run(options: argparse.Namespace) -> int:
    """Read, estimate, test, print."""
    p, q = _read(options)
    text = [j for j in range(len(p.names)) if p.is_text(j) or q.is_text(j)]
    numbers = [j for j in range(len(p.names)) if j not in text]
    lines = []
    for j, name in enumerate(p.names):
        progress(f"{name}, column {j + 1} of {len(p.names)}")
        pair = (p.columns[j], q.columns[j])
        lines.append(_of_labels(name, *pair, options) if j in text else _of_numbers(name, *pair, options))
    progress("joint")
    if len(numbers) > 1:
        P, Q = (np.column_stack([side.columns[j] for j in numbers]) for side in (p, q))
        lines.append(_of_numbers(f"joint ({plural(len(numbers), 'column')})", *_scaled(P, Q), options))
    if len(text) > 1:
        P, Q = (np.column_stack([side.columns[j].astype(str) for j in text]).astype(object) for side in (p, q))
        lines.append(_of_labels(f"joint ({plural(len(text), 'label')})", P, Q, options))
    progress("")
    print(f"P = {p.path} ({plural(p.n_rows, 'row')}), Q = {q.path} ({plural(q.n_rows, 'row')}); in nats\n")
    _print(lines, options, max(p.n_rows, q.n_rows), len(numbers) > 1)
    return 0


def _read(options: argparse.Namespace) -> tuple[Table, Table]:
    """Both files, with the same columns in the order of the first."""
    first, second = names_of(options.p)[0], names_of(options.q)[0]
    if options.columns is None and set(first) != set(second):
        differ = sorted(set(first) ^ set(second))
        both = [name for name in first if name in second]
        advice = f"those of both: --columns {','.join(both)}" if both else f"{options.q} has {listed(second)}"
        raise ValueError(f"the files differ in their columns ({listed(differ)} in one only); {advice}")
    wanted = [first[j] for j in chosen(options.p, first, options.columns)]
    for name in wanted:
        chosen(options.q, second, name)
    p, q = read_table(options.p, options.columns), read_table(options.q)
    order = [q.names.index(name) for name in wanted]
    return p, Table(q.path, wanted, [q.columns[j] for j in order])


def _scaled(P: NDArray[np.float64], Q: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both in units of the pooled spread of each column, so that every column counts in the distances."""
    pooled = np.concatenate([P, Q])
    centre, spread = pooled.mean(axis=0), pooled.std(axis=0)
    spread[spread == 0.0] = 1.0
    return (P - centre) / spread, (Q - centre) / spread


def _of_numbers(name: str, P: Any, Q: Any, options: argparse.Namespace) -> Line:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", SharedRowsWarning)  # the diagnostics say it too
        forward = kl_divergence(P, Q, n_neighbors=options.neighbors)
        reverse = kl_divergence(Q, P, n_neighbors=options.neighbors)
    messages = list(dict.fromkeys(str(warning.message) for warning in caught))
    p_value = None
    if options.test:
        rng = np.random.RandomState(options.seed)
        P, Q = (x if len(x) <= _TESTED_ROWS else x[rng.permutation(len(x))[:_TESTED_ROWS]] for x in (P, Q))
        p_value = permutation_test(P, Q, n_permutations=_PERMUTATIONS, random_state=rng).p_value
    return Line(name, forward, reverse, p_value, messages)


def _of_labels(name: str, P: Any, Q: Any, options: argparse.Namespace) -> Line:
    P, Q = (x if x.dtype == object else x.astype(str).astype(object) for x in (P, Q))
    p_value = label_test(P, Q, options.seed) if options.test else None
    return Line(name, categorical_kl(P, Q), categorical_kl(Q, P), p_value, [])


def label_test(P: NDArray[Any], Q: NDArray[Any], seed: int) -> float:
    """Permutation p-value that two samples of labels have one distribution, by their counts' likelihood-ratio statistic.

    Permuting the rows between the samples draws the counts of the first from the multivariate hypergeometric
    distribution of the pooled counts, so that no rows are permuted.
    """
    pooled = np.concatenate([P, Q])
    keys = [tuple(row) for row in pooled.tolist()] if pooled.ndim == 2 else pooled.tolist()
    codes = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    which = np.array([codes[key] for key in keys])
    counts = np.bincount(which)
    rng = np.random.default_rng(seed)
    drawn = rng.multivariate_hypergeometric(counts, len(P), size=_PERMUTATIONS, method="marginals")
    found = _likelihood_ratio(np.bincount(which[: len(P)], minlength=len(counts))[np.newaxis], counts)[0]
    as_large = int(np.sum(_likelihood_ratio(drawn, counts) >= found - 1e-9))
    return (as_large + 1.0) / (_PERMUTATIONS + 1.0)


def _likelihood_ratio(first: NDArray[np.int64], pooled: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sums of n log n over both samples, which is the statistic up to what permutations leave alone."""
    total = np.zeros(len(first))
    for counts in (first, pooled - first):
        total += np.sum(counts * np.log(np.maximum(counts, 1)), axis=1)
    return total


def _print(lines: list[Line], options: argparse.Namespace, most_rows: int, scaled: bool) -> None:
    head = ["column", "KL(P || Q)", "95 % interval", "KL(Q || P)", "95 % interval"]
    rows, notes = [], []
    for line in lines:
        row = [line.name]
        of_line = list(line.notes)
        for estimate, direction in ((line.forward, "KL(P || Q)"), (line.reverse, "KL(Q || P)")):
            reasons = list(estimate.diagnostics["reasons"])
            row += [number(float(estimate)) + ("*" if reasons else " "), _interval(estimate)]
            of_line += [f"{direction}: {reason}" for reason in reasons]
        if options.test:
            row.append(f"{line.p_value:.4f}")
        rows.append(row)
        notes += [f"{line.name}, {text}" for text in of_line]
    print(table([*head, "p-value"] if options.test else head, rows))
    print()
    if options.test:
        of_all = f", on {_TESTED_ROWS:,} random rows of a file at most" if most_rows > _TESTED_ROWS else ""
        print(
            note(
                "p-value: permutation test that P and Q have the same distribution "
                f"({_PERMUTATIONS} permutations{of_all}); each line by itself."
            )
        )
    if scaled:
        print(note("The joint estimate takes columns in units of their pooled standard deviation."))
    if any(float(estimate) < 0.0 for line in lines for estimate in (line.forward, line.reverse)):
        print(note("An estimate below 0 is one of a divergence near 0."))
    for text in notes:
        print(note(text, "* "))


def _interval(estimate: Estimate) -> str:
    low, high = estimate.confidence_interval()
    return f"[{number(low)}, {number(high)}]" if low == low else "-"
