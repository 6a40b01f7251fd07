"""Two tables compared: every column by its type, all of them together, as a table that prints, and as a frame or JSON."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl._core.text_tables import html_table, table_lines
from fastkl._core.warned import warnings_kept
from fastkl.divergence.directions import other_way_round, upright
from fastkl.divergence.estimate import Estimate, subjects_of
from fastkl.divergence.functions import kl_divergence
from fastkl.divergence.interval_picture import interval_pictures
from fastkl.divergence.options import as_random_state, one_seed
from fastkl.divergence.relatives import jensen_shannon
from fastkl.divergence.significance.label_test import label_test
from fastkl.divergence.significance.permutation_test import permutation_test
from fastkl.divergence.stability import population_stability_index
from fastkl.divergence.symbols.categorical_kl import categorical_kl
from fastkl.divergence.symbols.categorical_relatives import categorical_jensen_shannon
from fastkl.divergence.table_columns import DATE, LABEL, NUMBER, ColumnPair, gap, paired_columns, refuse_missing
from fastkl.exceptions import SharedRowsWarning
from fastkl.rows.columns import as_list, listed
from fastkl.rows.reading import refuse_unread

__all__ = ["TableComparison", "TableLine", "compare_tables"]

# The test takes at most so many rows of either table, drawn at random: exact all the same, and its time does not grow further.
TESTED_ROWS = 5_000
_NUMBERS = ("kl", "kl_reverse", "jensen_shannon", "psi")


@dataclass(frozen=True)
class TableLine:
    """A column of two tables, or several together, compared.

    Parameters
    ----------
    name : hashable
        Name of the column, or what is compared jointly.
    kind : str
        "number", "date" or "label".
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
        Of all columns of numbers and dates together but for names of rows, and of all labels together, where there are several.
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
        """Which columns are not in the lines of several columns, and why, as sentences."""
        said, kinds = [], {line.name: line.kind for line in self.columns}
        for line in self.joint:
            held = "numbers or dates" if line.kind == LABEL else "labels"
            others = [name for name in line.left_out if (kinds[name] == LABEL) != (line.kind == LABEL)]
            of_rows = [name for name in line.left_out if name not in others]
            if others:
                said.append(f"Not in {line.name}: {listed(others)}, which {'hold' if others[1:] else 'holds'} {held}.")
            if of_rows:
                said.append(f"Not in {line.name}: {listed(of_rows)}, by the look of it names of rows.")
        return said

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
                cells += [
                    _number(float(estimate)) + ("*" if estimate.bias_suspected else ""),
                    _number(estimate.standard_error),
                ]
            cells += [_number(float(line.jensen_shannon)), "" if line.psi is None else _number(float(line.psi))]
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
        notes = "".join(f"<div>{html.escape(note)}</div>" for note in [*self.apart, *self.gaps, *self.notes])
        table = html_table([*head, "KL(P || Q), 95 % interval"], rows, pictures)
        return f"<div><div>{self._head()}</div>{table}{notes}</div>"


def _number(value: float) -> str:
    return "-" if value != value else f"{value:.4f}" if abs(value) < 1e6 else f"{value:.4g}"


def compare_tables(
    p: Any,
    q: Any,
    *,
    columns: str | int | Sequence[Any] | None = None,
    labels: str | int | Sequence[Any] = (),
    drop_missing: bool = False,
    test: bool = True,
    n_neighbors: int | None = None,
    n_permutations: int = 999,
    random_state: Any = 0,
    rng: Any = None,
    n_jobs: int | None = None,
) -> TableComparison:
    """Compare two tables column by column and jointly: divergences both ways, Jensen-Shannon, stability index, tests.

    Numbers, dates (as days, in UTC where they have a time zone) and spans of time (as days) are compared by nearest neighbours,
    labels by their frequencies, equal numbers being one label whatever their type. Columns are matched by name.

    Parameters
    ----------
    p, q : data frame (pandas, polars, Arrow) or array-like of shape (n, d), (m, d)
        The tables.
    columns : str, int, or sequence of these, default=None
        Names of the columns to compare (numbers for arrays); by default all, which both tables then have.
    labels : str, int, or sequence of these, default=()
        Columns that are labels although they hold numbers: codes, years, postcodes.
    drop_missing : bool, default=False
        Whether to leave missing values out: of a column its own, of a joint line every row that lacks one of its values. By
        default a missing value is an error that counts them.
    test : bool, default=True
        Whether to test each line by permutations, on 5000 random rows of a table at most.
    n_neighbors : int, default=None
        As in `kl_divergence`.
    n_permutations : int, default=999
        Permutations of each test.
    random_state : int, RandomState or Generator, default=0
        For the permutations.
    rng : int, Generator or None, default=None
        In place of ``random_state``, as numpy and scipy name it; a number is that of `numpy.random.default_rng`.
    n_jobs : int or None, default=None
        Threads.

    Returns
    -------
    TableComparison
        Prints as a table; ``to_frame()``, ``to_dict()``, and HTML in a notebook.

    Raises
    ------
    ColumnTypeError
        A column holds numbers in one table and text in the other, or dates of which only some have a time zone.
    SourceError
        The tables have different columns, a name is not among them, or a table is a path, a LazyFrame or a relation.
    ValueError
        Missing values without ``drop_missing``; infinite ones.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from fastkl import compare_tables
    >>> rng = np.random.default_rng(0)
    >>> before = pd.DataFrame({"age": rng.normal(40, 10, 300), "plan": rng.choice(["free", "paid"], 300)})
    >>> after = pd.DataFrame({"age": rng.normal(50, 10, 200), "plan": rng.choice(["free", "paid"], 200)})
    >>> found = compare_tables(before, after)
    >>> float(found.to_frame().loc["age", "p_value"])
    0.001
    """
    refuse_unread(p, "p")
    refuse_unread(q, "q")
    pairs = paired_columns(p, q, None if columns is None else as_list(columns), as_list(labels))
    if not drop_missing:
        refuse_missing(pairs, "Fill them, leave the columns out, or set drop_missing=True to compare without them.")
    compare = _Comparison(
        test, n_neighbors, n_permutations, as_random_state(one_seed(random_state, rng, default=0)).get_state(), n_jobs
    )
    singles = [compare.one(pair) for pair in pairs]
    of_rows = [pair.name for pair in pairs if columns is None and pair.names_rows]
    joint = []
    for kinds, word in (((NUMBER, DATE), "column"), ((LABEL,), "label")):
        several = [pair for pair in pairs if pair.kind in kinds and pair.name not in of_rows]
        if len(several) > 1:
            within = [pair.name for pair in several]
            others = [pair.name for pair in pairs if pair.name not in within]
            joint.append(replace(compare.together(several, f"joint ({len(several)} {word}s)"), left_out=others))
    return TableComparison(singles, joint, (len(pairs[0].values[0]), len(pairs[0].values[1])))


@dataclass(frozen=True)
class _Comparison:
    """How lines are computed; each test begins with the same random numbers, so that no line depends on the others."""

    test: bool
    n_neighbors: int | None
    n_permutations: int
    state: Any
    n_jobs: int | None

    def one(self, pair: ColumnPair) -> TableLine:
        """The line of a column."""
        gone = (int(pair.missing[0].sum()), int(pair.missing[1].sum()))
        first, second = pair.present(0), pair.present(1)
        psi = population_stability_index(
            first, second, unseen="smooth", bins="categories" if pair.kind == LABEL else "auto"
        )
        line = self._line(pair.name, pair.kind, first, second, gone, psi)
        return replace(line, notes=[*pair.doubts, *line.notes])

    def together(self, pairs: list[ColumnPair], name: str) -> TableLine:
        """The line of several columns of one kind, of the rows that lack no value."""
        sides, gone = [], []
        for side in (0, 1):
            lacking = np.logical_or.reduce([pair.missing[side] for pair in pairs])
            sides.append(np.column_stack([pair.values[side] for pair in pairs])[~lacking])
            gone.append(int(lacking.sum()))
            if lacking.all():
                raise ValueError(f"No row of {'pq'[side]} has a value in each of the columns of {name}.")
        kind = LABEL if pairs[0].kind == LABEL else NUMBER
        return self._line(name, kind, sides[0], sides[1], (gone[0], gone[1]), None)

    def _line(
        self, name: Any, kind: str, P: NDArray[Any], Q: NDArray[Any], gone: tuple[int, int], psi: Estimate | None
    ) -> TableLine:
        with warnings_kept() as caught:
            forward, backward, middle = self._of_labels(P, Q) if kind == LABEL else self._of_numbers(P, Q)
            p_value = self._test(kind, P, Q) if self.test else None
        known = list(map(upright, forward.reasons))
        said = [f"KL(P || Q): {reason}" for reason in known]
        for reason in backward.reasons:
            turned = other_way_round(upright(reason))
            if turned not in known and not subjects_of([reason]) & subjects_of(forward.reasons):
                said.append(f"KL(Q || P): {turned}")
        # of shared rows the diagnostics say it too
        said += [str(warning) for warning in caught if not isinstance(warning, SharedRowsWarning)]
        return TableLine(
            name, kind, (len(P), len(Q)), gone, forward, backward, middle, psi, p_value, list(dict.fromkeys(said))
        )

    def _of_numbers(self, P: Any, Q: Any) -> tuple[Estimate, Estimate, Estimate]:
        options: dict[str, Any] = {"n_neighbors": self.n_neighbors, "n_jobs": self.n_jobs}
        return kl_divergence(P, Q, **options), kl_divergence(Q, P, **options), jensen_shannon(P, Q, **options)

    def _of_labels(self, P: Any, Q: Any) -> tuple[Estimate, Estimate, Estimate]:
        return categorical_kl(P, Q), categorical_kl(Q, P), categorical_jensen_shannon(P, Q)

    def _test(self, kind: str, P: Any, Q: Any) -> float:
        rng = np.random.RandomState()
        rng.set_state(self.state)
        P, Q = (x if len(x) <= TESTED_ROWS else x[rng.permutation(len(x))[:TESTED_ROWS]] for x in (P, Q))
        if kind == LABEL:
            return label_test(P, Q, self.n_permutations, rng)
        return permutation_test(P, Q, n_permutations=self.n_permutations, random_state=rng, n_jobs=self.n_jobs).p_value
