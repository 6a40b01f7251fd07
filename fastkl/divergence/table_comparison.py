"""Two tables compared: every column by its type, and all of them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl._core.warned import warnings_kept
from fastkl.divergence.directions import other_way_round, upright
from fastkl.divergence.estimate import Estimate, subjects_of
from fastkl.divergence.functions import kl_divergence
from fastkl.divergence.options import as_random_state, one_seed
from fastkl.divergence.relatives import jensen_shannon
from fastkl.divergence.significance.label_test import label_test
from fastkl.divergence.significance.permutation_test import permutation_test
from fastkl.divergence.stability import population_stability_index
from fastkl.divergence.symbols.categorical_kl import categorical_kl
from fastkl.divergence.symbols.categorical_relatives import categorical_jensen_shannon
from fastkl.divergence.table_columns import DATE, LABEL, NUMBER, ColumnPair, paired_columns, refuse_missing
from fastkl.divergence.table_lines import TableComparison, TableLine
from fastkl.exceptions import SharedRowsWarning
from fastkl.rows.columns import as_list
from fastkl.rows.reading import refuse_unread

# The test takes at most so many rows of either table, drawn at random: exact all the same, and its time does not grow further.
TESTED_ROWS = 5_000


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
