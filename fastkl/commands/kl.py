"""``fastkl kl``: Kullback-Leibler divergences between the rows of two files, by column and joint, with intervals and p-values."""

import argparse
import json
import re
from dataclasses import replace
from typing import Any

from fastkl import Estimate, TableComparison, TableLine, compare_tables
from fastkl._core.wording import plural
from fastkl.commands.layout import note, number, progress, remark, table
from fastkl.commands.standard_input import shown
from fastkl.commands.tables import Table, chosen, listed, names_of, read_table, remark_codes, with_exact_labels
from fastkl.divergence.estimate import is_below_zero
from fastkl.divergence.table_kinds import TESTED_ROWS
from fastkl.rows.columns import column_number
from fastkl.rows.missing import missing
from fastkl.rows.sources.csv_dialect import other_separator
from fastkl.selection.column_kinds import reason_of_texts

_PERMUTATIONS = 999


def run(options: argparse.Namespace) -> int:
    """Read, compare, print."""
    p, q, found = compared(options)
    if options.json:
        print(json.dumps({"p": shown(p.path), "q": shown(q.path), **found.to_dict()}, indent=2))
        return 0
    of_each = (f"{shown(one.path)} ({plural(one.n_rows, 'row')})" for one in (p, q))
    print("P = {}, Q = {}; in nats\n".format(*of_each))
    _print(found, options)
    return 0


def compared(options: argparse.Namespace) -> tuple[Table, Table, TableComparison]:
    """Both files, and how they differ."""
    p, q = _read(options)
    _refuse_missing((p, q), options.drop_missing)
    labels = (
        [] if options.labels is None else [p.names[j] for j in chosen(options.p, p.names, options.labels, "--labels")]
    )
    _remark_texts(p, labels)
    p, q = with_exact_labels(p, labels), with_exact_labels(q, labels)
    remark_codes(p, "--labels takes them as labels, and --columns leaves them out", labels)
    progress(f"{plural(len(p.names), 'column')} of {p.n_rows:,} and {q.n_rows:,} rows")
    found = compare_tables(
        _Columns(p),
        _Columns(q),
        labels=labels,
        drop_missing=options.drop_missing,
        test=options.test,
        n_neighbors=options.neighbors,
        n_permutations=_PERMUTATIONS,
        random_state=options.seed,
    )
    progress("")
    return p, q, found


class _Columns:
    """A table in memory as `compare_tables` takes it: names, types and columns."""

    def __init__(self, table: Table) -> None:
        self.columns = list(table.names)
        self.dtypes = [column.dtype for column in table.columns]
        self.shape = (table.n_rows, len(table.names))
        self._values = dict(zip(table.names, table.columns, strict=True))

    def __getitem__(self, name: str) -> Any:
        return self._values[name]


def _read(options: argparse.Namespace) -> tuple[Table, Table]:
    """Both files, with the same columns in the order of the first."""
    first, second = names_of(options.p)[0], names_of(options.q)[0]
    if options.columns is None and set(first) != set(second):
        differ = sorted(set(first) ^ set(second))
        both = [name for name in first if name in second]
        advice = (
            f"those of both: --columns {','.join(both)}"
            if both
            else "no name is in both files, so rename columns in one"
        )
        raise ValueError(f"the files differ in their columns ({listed(differ)} in one only); {advice}")
    wanted = [first[j] for j in chosen(options.p, first, options.columns)]
    order = [column_number(name, second, len(second), f"--columns: {options.q}") for name in wanted]
    p, q = read_table(options.p, options.columns, keep_missing=True), read_table(options.q, order, keep_missing=True)
    for one in (p, q):
        _remark_separator(one)
    return p, replace(q, names=wanted)


def _remark_separator(one: Table) -> None:
    """Say that the only column of a file looks like several, which is else compared as labels without a word."""
    if len(one.names) > 1 or not one.is_text(0):
        return
    name = one.names[0]
    separator = other_separator(name, list(map(str, one.columns[0])))
    if separator is not None:
        remark(
            f"{shown(one.path)}: its column {name!r} looks like several: the separator may be {separator!r} (commas, semicolons "
            "and tabs are read)"
        )


def _remark_texts(one: Table, labels: list[str]) -> None:
    """Say which columns are compared as labels and do not look like such; dates are compared as days."""
    for j, name in enumerate(one.names):
        if len(one.names) > 1 and one.is_text(j) and name not in labels:
            reason = reason_of_texts([str(value) for value in one.columns[j].tolist() if value is not None])
            if reason is not None and "dates" not in reason:
                remark(f"{shown(one.path)}: column {name!r} is compared as labels, and {reason}")


def _refuse_missing(tables: tuple[Table, Table], drop: bool) -> None:
    """ValueError that counts the missing values of every column of both files."""
    counts = []
    for one in tables:
        for name, column in zip(one.names, one.columns, strict=True):
            gone = int(missing(column).sum())
            if gone:
                counts.append(f"{gone} of {one.n_rows} in column {name!r} of {one.path}")
    if counts and not drop:
        raise ValueError(
            f"there are missing values (empty or NaN): {listed(counts)}; --drop-missing compares without them, or fill them, or "
            f"leave the columns out with --columns"
        )


def _print(found: TableComparison, options: argparse.Namespace) -> None:
    head = ["column", "KL(P || Q)", "95 % interval", "KL(Q || P)", "95 % interval", "JS", "PSI"]
    print(table([*head, "p-value"] if options.test else head, list(map(_cells, found.lines))))
    print()
    if options.test:
        of_all = f", on {TESTED_ROWS:,} random rows of a file at most" if max(found.n_rows) > TESTED_ROWS else ""
        print(
            note(
                "p-value: permutation test that P and Q have the same distribution "
                f"({_PERMUTATIONS} permutations{of_all}); each line by itself."
            )
        )
    print(note("JS: Jensen-Shannon divergence, at most 0.6931. PSI: population stability index of Q in deciles of P."))
    below = [estimate for line in found.lines for estimate in (line.kl, line.kl_reverse) if estimate < 0.0]
    impossible = [estimate for estimate in below if is_below_zero(estimate.value, estimate.standard_error)]
    if len(below) > len(impossible):
        others = (
            "Other estimates below 0 are of divergences" if impossible else "An estimate below 0 is one of a divergence"
        )
        print(note(f"{others} near 0."))
    for text in found.apart:
        print(note(text))
    for text in _doubts(found):
        print(note(text, "* "))


def _cells(line: TableLine) -> list[str]:
    """What a line says of a column, or of several."""
    cells = [str(line.name)]
    for estimate in (line.kl, line.kl_reverse):
        cells += [_marked(estimate), _interval(estimate)]
    cells += [_marked(line.jensen_shannon), "" if line.psi is None else _shown(line.psi)]
    return [*cells, f"{line.p_value:.4f}"] if line.p_value is not None else cells


def _doubts(found: TableComparison) -> list[str]:
    """The doubts about single columns, those about several together, and where values are missing."""
    single = [(str(line.name), text) for line in found.columns for text in line.notes]
    several = [f"{line.name}, {text}" for line in found.joint for text in line.notes]
    return [*_grouped(single), *several, *found.gaps]


def _grouped(notes: list[tuple[str, str]]) -> list[str]:
    """One line for each doubt: a sentence that several columns share but for its numbers is said once, of the first of them."""
    alike: dict[str, list[tuple[str, str]]] = {}
    for name, text in notes:
        alike.setdefault(re.sub(r"\([^)]*\)|[-+]?\d[\d.,e+-]*", "#", text), []).append((name, text))
    lines = []
    for (name, text), *others in alike.values():
        names = listed([name, *dict.fromkeys(other for other, _ in others)])
        said = f"{text} These are the numbers of {name}." if others and re.search(r"\d", text) else text
        lines.append(f"{names}, {said}")
    return lines


def _marked(estimate: Estimate) -> str:
    return _shown(estimate) + ("*" if estimate.bias_suspected else " ")


def _shown(estimate: Estimate) -> str:
    """An estimate, with no more digits than its error has, as those near 0 would be shown."""
    value = float(estimate)
    return number(round(value, 4) + 0.0 if estimate.standard_error >= 1e-4 else value)


def _interval(estimate: Estimate) -> str:
    low, high = estimate.confidence_interval()
    return f"[{number(low)}, {number(high)}]" if low == low else "-"
