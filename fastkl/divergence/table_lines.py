"""What a comparison of two tables finds: a line for each column and for several together, printed, as a frame or as JSON."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastkl._core.text_tables import html_table, table_lines
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.interval_picture import interval_pictures
from fastkl.divergence.labelled.table_columns import DATE, LABEL, NUMBER, gap
from fastkl.rows.columns import listed

_NUMBERS = ("kl", "kl_reverse", "jensen_shannon", "psi")


@dataclass(frozen=True)
class TableLine:
    """A column of two tables, or several together, compared.

    Parameters
    ----------
    name : hashable
        Name of the column, or what is compared jointly.
    kind : str
        "number", "date" or "label"; of numbers or dates together with labels "mixed".
    n_rows, n_missing : pair of int
        Rows of either table that are compared, and those left out.
    kl, kl_reverse, jensen_shannon : Estimate
        KL(P || Q), KL(Q || P), and the Jensen-Shannon divergence, in nats.
    psi : Estimate or None
        Population stability index of q against p, 1/2 added to the counts of bins; None for several columns.
    p_value : float or None
        Of a permutation test that both have one distribution.
    notes : list of str
        Doubts about these numbers, each once, about P and Q as given.
    left_out : list
        Of several columns together: names of the columns that are not among them, being of another kind, or names of rows.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import compare_tables
    >>> rng = np.random.default_rng(0)
    >>> line = compare_tables(rng.normal(size=(200, 1)), rng.normal(size=(300, 1)), n_permutations=99).columns[0]
    >>> line.kind, line.n_rows
    ('number', (200, 300))
    """

    name: Any
    kind: str
    n_rows: tuple[int, int]
    n_missing: tuple[int, int]
    kl: Estimate
    kl_reverse: Estimate
    jensen_shannon: Estimate
    psi: Estimate | None
    p_value: float | None
    notes: list[str]
    left_out: list[Any] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, lists and strings, as JSON takes them.

        Returns
        -------
        dict
            JSON has no infinity: it is ``"inf"`` here, and what there is not is None.
        """
        found: dict[str, Any] = {"name": _plain_name(self.name), "kind": self.kind}
        found |= {"n_rows": list(self.n_rows), "n_missing": list(self.n_missing)}
        for name in _NUMBERS:
            estimate = getattr(self, name)
            found[name] = None if estimate is None else _plain(estimate)
        left_out = [_plain_name(name) for name in self.left_out]
        return {**found, "p_value": self.p_value, "notes": list(self.notes), "left_out": left_out}


def _plain_name(name: Any) -> int | str:
    return name if isinstance(name, int) else str(name)


def _plain(estimate: Estimate) -> dict[str, Any]:
    numbers = (float(estimate), estimate.standard_error, *estimate.confidence_interval())
    names = ("value", "standard_error", "low", "high")
    return {name: None if x != x else str(x) if np.isinf(x) else x for name, x in zip(names, numbers, strict=True)}


@dataclass(frozen=True)
class TableComparison:
    """What `compare_tables` finds.

    Parameters
    ----------
    columns : list of TableLine
        One for each column.
    joint : list of TableLine
        Of all columns of numbers and dates together but for names of rows and dates of two times, of all labels together, where
        there are several, and of both where there are both.
    n_rows : pair of int
        Rows of either table.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import compare_tables
    >>> rng = np.random.default_rng(0)
    >>> found = compare_tables(rng.normal(size=(200, 2)), rng.normal([0.0, 1.0], 1.0, size=(200, 2)))
    >>> [line.p_value < 0.01 for line in found.columns]
    [False, True]
    >>> found[1].kl > found[0].kl
    True
    """

    columns: list[TableLine]
    joint: list[TableLine]
    n_rows: tuple[int, int]

    def __getitem__(self, name: Any) -> TableLine:
        """The line of a column, or a joint one, by its name."""
        named = {line.name: line for line in self.lines}
        if name not in named:
            raise KeyError(f"There is no line {name!r}; there are {listed(list(named))}.")
        return named[name]

    def __iter__(self) -> Iterator[TableLine]:
        """All lines, the joint ones last."""
        return iter(self.lines)

    @property
    def lines(self) -> list[TableLine]:
        """All lines, the joint ones last."""
        return [*self.columns, *self.joint]

    @property
    def notes(self) -> list[str]:
        """Doubts of all lines, with their names."""
        return [f"{line.name}: {note}" for line in self.lines for note in line.notes]

    @property
    def apart(self) -> list[str]:
        """Which columns are in no line of several columns of their kind, and why, as a sentence."""
        kinds = {line.name: line.kind for line in self.columns}
        alone: dict[Any, None] = {}
        for line in self.joint:
            taken = (LABEL,) if line.kind == LABEL else (NUMBER, DATE) if line.kind == NUMBER else tuple(kinds.values())
            alone |= dict.fromkeys(name for name in line.left_out if kinds[name] in taken)
        dates, of_rows = ([name for name in alone if (kinds[name] == DATE) == dated] for dated in (True, False))
        before = f"{listed(dates)}, whose dates in one table are all before those in the other"
        looks = f"{listed(of_rows)}, apparently names of rows"
        return [f"Not in a joint line: {why}." for which, why in ((of_rows, looks), (dates, before)) if which]

    @property
    def gaps(self) -> list[str]:
        """Which lines are without rows because a value is missing, and whether those are more in one table than by chance."""
        return [f"{line.name}: {gap(line.n_rows, line.n_missing)}" for line in self.lines if any(line.n_missing)]

    def to_frame(self) -> Any:
        """The lines as a pandas data frame.

        Returns
        -------
        pandas.DataFrame
            One row for each line; estimates with their standard errors.
        """
        import pandas as pd  # only here: the library does without it

        rows = []
        for line in self.lines:
            row: dict[str, Any] = {"kind": line.kind, "rows_p": line.n_rows[0], "rows_q": line.n_rows[1]}
            row |= {"missing_p": line.n_missing[0], "missing_q": line.n_missing[1]}
            for name in _NUMBERS:
                estimate = getattr(line, name)
                row[name] = np.nan if estimate is None else float(estimate)
                row[f"{name}_error"] = np.nan if estimate is None else estimate.standard_error
            row |= {"p_value": np.nan if line.p_value is None else line.p_value, "notes": "; ".join(line.notes)}
            rows.append(row)
        return pd.DataFrame(rows, index=pd.Index([line.name for line in self.lines], name="column"))

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, lists and strings.

        Returns
        -------
        dict
            ``"n_rows"``, and ``"columns"`` and ``"joint"``, lists of lines.
        """
        return {
            "n_rows": list(self.n_rows),
            "columns": [line.to_dict() for line in self.columns],
            "joint": [line.to_dict() for line in self.joint],
        }

    def _cells(self) -> list[list[str]]:
        rows = [["column", "type", "KL(P || Q)", "± s.e.", "KL(Q || P)", "± s.e.", "JS", "PSI", "p-value"]]
        for line in self.lines:
            cells = [str(line.name), line.kind]
            for estimate in (line.kl, line.kl_reverse):
                cells += [_marked(estimate), _number(estimate.standard_error)]
            cells += [_marked(line.jensen_shannon), "" if line.psi is None else _number(float(line.psi))]
            rows.append([*cells, "" if line.p_value is None else f"{line.p_value:.4f}"])
        return rows

    def _head(self) -> str:
        return f"P: {self.n_rows[0]} rows, Q: {self.n_rows[1]} rows; in nats"

    def __repr__(self) -> str:
        return "\n".join(
            [
                self._head(),
                *table_lines(self._cells()),
                *self.apart,
                *(f"* {note}" for note in [*self.gaps, *self.notes]),
            ]
        )

    def _repr_html_(self) -> str:
        head, *rows = self._cells()
        estimates = [line.kl for line in self.lines]
        lows, highs = zip(*(estimate.confidence_interval() for estimate in estimates), strict=True)
        pictures = interval_pictures([float(estimate) for estimate in estimates], lows, highs, "nats")
        under = [*self.apart, *(f"* {note}" for note in [*self.gaps, *self.notes])]
        notes = "".join(f"<div>{html.escape(note)}</div>" for note in under)
        table = html_table([*head, "KL(P || Q), 95 % interval"], rows, pictures)
        return f"<div><div>{self._head()}</div>{table}{notes}</div>"


def _marked(estimate: Estimate) -> str:
    return _number(float(estimate)) + ("*" if estimate.bias_suspected else "")


def _number(value: float) -> str:
    return "-" if value != value else f"{value:.4f}" if abs(value) < 1e6 else f"{value:.4g}"
