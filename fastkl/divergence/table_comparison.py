"""Two tables compared: every column by its type, and all of them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastkl._core.warned import warnings_kept
from fastkl._core.wording import plural
from fastkl.divergence.column_words import by_names, estimate_by_names
from fastkl.divergence.directions import other_way_round, upright
from fastkl.divergence.estimate import Estimate, subjects_of
from fastkl.divergence.labelled.mixed_rows import columns_by_kind
from fastkl.divergence.labelled.table_columns import LABEL, MIXED, NUMBER, ColumnPair, paired_columns, refuse_missing
from fastkl.divergence.options import as_random_state, one_seed
from fastkl.divergence.stability import population_stability_index
from fastkl.divergence.table_kinds import Both, Compared, Labels, Numbers
from fastkl.divergence.table_lines import TableComparison, TableLine
from fastkl.exceptions import SharedRowsWarning
from fastkl.rows.columns import as_list
from fastkl.rows.reading import refuse_unread


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
    labels by their frequencies, equal numbers being one label whatever their type. All columns together are compared by labels:
    by their frequencies, and by the numbers among rows with equal ones. Columns are matched by name. Names of rows,
    and dates that are all before those of the other table, have no part in a joint line unless ``columns`` names them.

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
        Another name of ``random_state``, as in numpy and scipy; a number seeds `numpy.random.default_rng`.
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
    alone = [pair.name for pair in pairs if columns is None and (pair.names_rows or pair.is_before_or_after)]
    joint = []
    together = [pair for pair in pairs if pair.name not in alone]
    numbers, texts = ([pair for pair in together if (pair.kind == LABEL) == label] for label in (False, True))
    for several, words in ((numbers, ("column",)), (texts, ("label",)), (together, ("column", "label"))):
        if len(several) > 1 and (len(words) == 1 or (numbers and texts)):
            counts = ", ".join(
                plural(len(of), word) for of, word in ((numbers, "column"), (texts, "label")) if word in words
            )
            within = [pair.name for pair in several]
            others = [pair.name for pair in pairs if pair.name not in within]
            joint.append(replace(compare.together(several, f"joint ({counts})"), left_out=others))
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
        compared = Labels(first, second) if pair.kind == LABEL else Numbers(first, second)
        line = self._line(pair.name, pair.kind, compared, gone, psi, [pair])
        return replace(line, notes=[*pair.doubts, *line.notes])

    def together(self, pairs: list[ColumnPair], name: str) -> TableLine:
        """The line of several columns, of the rows that lack no value."""
        kept, gone = [], []
        for side in (0, 1):
            lacking = np.logical_or.reduce([pair.missing[side] for pair in pairs])
            kept.append(~lacking)
            gone.append(int(lacking.sum()))
            if lacking.all():
                raise ValueError(f"No row of {'pq'[side]} has a value in each of the columns of {name}.")
        present = [replace(pair, values=(pair.values[0][kept[0]], pair.values[1][kept[1]])) for pair in pairs]
        kind, compared = _compared(present)
        return self._line(name, kind, compared, (gone[0], gone[1]), None, pairs)

    def _line(
        self,
        name: Any,
        kind: str,
        compared: Compared,
        gone: tuple[int, int],
        psi: Estimate | None,
        pairs: list[ColumnPair],
    ) -> TableLine:
        with warnings_kept() as caught:
            names = [] if kind == MIXED else [pair.name for pair in pairs]  # tables of both kinds name their columns
            estimates = compared.estimates(self.n_neighbors, self.n_jobs)
            forward, backward, middle = (estimate_by_names(one, names) for one in estimates)
            p_value = compared.p_value(self.n_permutations, self._rng(), self.n_jobs) if self.test else None
        known = list(map(upright, forward.reasons))
        said = [f"KL(P || Q): {reason}" for reason in known]
        for reason in backward.reasons:
            turned = other_way_round(upright(reason))
            if turned not in known and not subjects_of([reason]) & subjects_of(forward.reasons):
                said.append(f"KL(Q || P): {turned}")
        told = subjects_of([*forward.reasons, *backward.reasons])
        for reason in map(upright, middle.reasons):
            if not (subjects_of([reason]) & told or any(text.endswith(reason) for text in said)):
                said.append(f"JS: {reason}")
        # of shared rows the diagnostics say it too
        said += [by_names(str(warning), names) for warning in caught if not isinstance(warning, SharedRowsWarning)]
        notes = list(dict.fromkeys(said))
        return TableLine(name, kind, compared.sizes, gone, forward, backward, middle, psi, p_value, notes)

    def _rng(self) -> np.random.RandomState:
        rng = np.random.RandomState()
        rng.set_state(self.state)
        return rng


def _compared(pairs: list[ColumnPair]) -> tuple[str, Compared]:
    """Several columns together, and their kind."""
    if len({pair.kind == LABEL for pair in pairs}) > 1:
        return MIXED, Both(columns_by_kind(pairs))
    sides = [np.column_stack([pair.values[side] for pair in pairs]) for side in (0, 1)]
    if pairs[0].kind == LABEL:
        return LABEL, Labels(*sides)
    return NUMBER, Numbers(*sides)
