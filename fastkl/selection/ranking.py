"""``rank_families``: which families suit the columns of a table, alone and together, by the likelihood of rows held out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastkl import families as all_families
from fastkl._core._threads import effective_n_threads
from fastkl._core.array_types import Floats
from fastkl._core.other_keywords import knows_other_keywords
from fastkl.divergence.options import as_random_state, one_seed
from fastkl.exceptions import ColumnTypeError
from fastkl.rows.columns import as_list, column_numbers, named
from fastkl.rows.reading import NESTED, look, refuse_unread
from fastkl.rows.tables import NamedArray, column_names, columns_of, is_table
from fastkl.rows.weights import read_weights
from fastkl.selection.candidates import JOINT, Candidates, column_candidates, outside_support, warn_of_atom
from fastkl.selection.column_kinds import (
    Column,
    numbers_or_labels,
    raise_if_missing,
    reason_to_leave_out,
    table_columns,
)
from fastkl.selection.column_trials import Fold, Trials, numeric_trials
from fastkl.selection.family_ranking import FamilyRanking, FamilyTable, family_table
from fastkl.selection.joint_trials import JointTrials, density_trials

# Joint families are tried by themselves on at most so many columns.
_MOST_JOINT = 100


@knows_other_keywords
def rank_families(
    X: Any,
    *,
    families: Sequence[str] | str | None = None,
    sample_weight: ArrayLike | None = None,
    angles: Any = (),
    keep: Any = (),
    cv: int = 5,
    max_rows: int | None = 100_000,
    random_state: Any = 0,
    rng: Any = None,
    n_jobs: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> FamilyRanking:
    """Rank families on every column of a table, and densities of whole rows, by the likelihood of rows held out.

    Every family is fitted to the rows of all folds but one, and the others are scored. Differences of these means are differences
    of the KL divergence from the distribution of the data, with standard errors from the differences row by row. Numbers are
    ranked by densities; whole numbers that look counted, and zeros and ones, by probabilities; text by ``categorical``.

    Parameters
    ----------
    X : array-like or table of shape (n, d)
        Rows without missing values; columns may be of different kinds. Numbers in a table count as counts if their type is that
        of integers, numbers in an array if they are whole.
    families : sequence of str, "all" or None, default=None
        None tries those that suit a column (by sign, bounds and whole numbers, as ``make_product_density``), and jointly
        multivariate_normal and multivariate_t on the continuous columns; ``"all"`` every family of its kind; else these.
    sample_weight : array-like of shape (n,), default=None
        Weights of at least 0.
    angles : str, int, or sequence of them, default=()
        Columns that hold angles in radians, for von_mises.
    keep : str, int, or sequence of them, default=()
        Columns to rank although they look like identifiers, dates or numbers of the rows.
    cv : int, default=5
        Parts of the cross-validation.
    max_rows : int or None, default=100_000
        Most rows to rank on, drawn at random without replacement; None takes all of them.
    random_state : int, RandomState, Generator or None, default=0
        For these rows, and for the division into parts.
    rng : int, Generator or None, default=None
        Another name of ``random_state``, as in numpy and scipy; a number seeds `numpy.random.default_rng`.
    n_jobs : int, default=None
        Threads, as for ``DensityMLE``.
    progress : callable, default=None
        Called with the name of the family that is tried.

    Returns
    -------
    FamilyRanking
        A table for each column and one for whole rows, with what could not be fitted and why; its ``density()`` is the best one,
        not fitted.

    Raises
    ------
    ValueError
        If values are missing (with their number for each column), no column is left, or no column is of the kind of a family
        that was asked for.

    Notes
    -----
    Columns that are constant, look like identifiers (texts that are mostly different; whole numbers, all different, under a name
    such as ``customer_id``; numbers of the rows) or hold dates are left out, and named in ``left_out``.

    Of whole rows the candidates are: every family that is one of all columns; ``"product"``, for each column the family of the
    lowest BIC, chosen anew in every fold; and the joint families of the continuous columns, in a table of mixed type times that
    product of the others (``"multivariate_normal x product"``).

    References
    ----------
    P. Smyth, "Model selection for probabilistic clustering using cross-validated likelihood", Stat. Comput. 10, 2000,
    doi:10.1023/A:1008940618127.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import rank_families
    >>> X = np.random.default_rng(0).gamma(2.0, size=(500, 1))
    >>> ranking = rank_families(X, families=["gamma", "normal", "pareto"])
    >>> ranking.joint.names, list(ranking.joint.refused)
    (['gamma', 'normal'], ['pareto'])
    """
    random_state = one_seed(random_state, rng, default=0)
    asked = _names(families)
    columns, left_out, index, weights = _columns(X, angles, keep, asked, sample_weight)
    if isinstance(random_state, np.random.Generator):
        random_state = as_random_state(random_state)
    shuffled = as_random_state(random_state)
    every = drawn = np.arange(len(index))
    if max_rows is not None and len(index) > max_rows:
        drawn = np.sort(shuffled.choice(every, max_rows, replace=False))
    if not 2 <= cv <= len(drawn):
        raise ValueError(f"cv is a number of parts between 2 and the number of rows, {len(drawn)}, not {cv}.")
    table = _Table(
        columns,
        None if weights is None else weights[drawn],
        index,
        drawn,
        _folds(len(drawn), cv, random_state if drawn is every else shuffled),
        n_jobs,
        (lambda name: None) if progress is None else progress,
    )
    tables, joint, excluded, choices, block = table.ranked(asked)
    return FamilyRanking(
        tables,
        joint,
        choices=choices,
        block=block,
        left_out=left_out,
        n_rows=len(index),
        n_ranked_rows=len(drawn),
        n_folds=cv,
        n_excluded=excluded,
    )


@dataclass(frozen=True)
class _Table:
    """The columns to rank with their families, the numbers of their rows, those that are drawn for it, and the folds of these."""

    columns: list[tuple[Column, Candidates]]
    weights: Floats | None
    index: NDArray[np.intp]
    drawn: NDArray[np.intp]
    folds: list[Fold]
    n_jobs: int | None
    said: Callable[[str], None]

    def ranked(self, asked: Any) -> tuple[dict[Any, FamilyTable], FamilyTable, int, dict[Any, str], list[Any]]:
        """Tables by column, the joint one, rows that it leaves out, choices by column, and the block of joint families."""
        block = [column.key for column, found in self.columns if _continuous(column, found)]
        tried, simplex = self._joint_families(block, asked)
        joint = JointTrials(self.weights, self.folds, len(self.drawn))
        tables = {}
        for column, found, trials in self._trials():
            tables[column.key] = family_table(found.kind, trials.found, trials.refused, self.weights)
            if not simplex:
                joint.add(column.key, column.place, trials, column.key in block)
        for name in tried:
            self.said(name)
            X = np.stack([self._rows(column).numbers for column, _ in self.columns if column.key in block], axis=1)
            joint.add_joint(name, X, self.n_jobs, len(block) == len(self.columns))
        kinds = Counter(found.kind for _, found in self.columns)
        kind = (
            next(iter(kinds)) if len(kinds) == 1 else ", ".join(f"{count} of {kind}" for kind, count in kinds.items())
        )
        if len(tables) == 1 and not tried:
            return tables, next(iter(tables.values())), 0, joint.choices, block
        whole, excluded = joint.table(kind, all(found.names for _, found in self.columns))
        return tables, whole, excluded, joint.choices, block

    def _rows(self, column: Column) -> Column:
        return column if len(self.drawn) == len(column.values) else replace(column, values=column.values[self.drawn])

    def _trials(self) -> Iterator[tuple[Column, Candidates, Trials]]:
        """The columns with what was tried on them."""
        refused: list[dict[str, str]] = []
        for column, found in self.columns:
            inside = {} if column.labels else {name: self._outside(name, column) for name in found.names}
            refused.append({name: reason for name, reason in inside.items() if reason is not None})
        numeric = [i for i, (column, _) in enumerate(self.columns) if not column.labels]
        of_numbers = numeric_trials(
            [self._rows(self.columns[i][0]).numbers for i in numeric],
            [tuple(name for name in self.columns[i][1].names if name not in refused[i]) for i in numeric],
            self.weights,
            self.folds,
            effective_n_threads(self.n_jobs),
            self.said,
        )
        for i, (column, found) in enumerate(self.columns):
            if column.labels:
                rows = self._rows(column).values.reshape(-1, 1)
                trials = density_trials("categorical", rows, self.weights, self.folds, self.n_jobs)
            else:
                trials = next(of_numbers)
            trials.refused = {**refused[i], **trials.refused}
            trials.names = found.names
            yield column, found, trials

    def _outside(self, name: str, column: Column) -> str | None:
        return outside_support(name, column.numbers, column.place, self.index)

    def _joint_families(self, block: Sequence[Any], asked: Any) -> tuple[list[str], bool]:
        """Joint families of the block, and whether its columns are parts that sum to 1, which leaves only the Dirichlet."""
        if asked is not None and asked != "all":
            joint = [name for name in asked if all_families.by_name(name).joint]
            return joint, False
        if not 2 <= len(block) <= _MOST_JOINT:
            return [], False
        columns = [column.numbers for column, _ in self.columns if column.key in block]
        total = np.sum(columns, axis=0)
        if len(block) == len(self.columns) and np.all(np.abs(total - 1.0) <= 1e-6) and min(map(np.min, columns)) > 0.0:
            return ["dirichlet"], True
        return list(JOINT), False


def _continuous(column: Column, found: Candidates) -> bool:
    return not column.labels and not any(all_families.by_name(name).discrete for name in found.names)


def _folds(n: int, cv: int, random_state: Any) -> list[Fold]:
    from sklearn.model_selection import KFold  # only here: every import of fastkl would pay for it

    return list(KFold(cv, shuffle=True, random_state=random_state).split(np.empty((n, 1))))


# -- what is ranked -------------------------------------------------------------------------------------------------------------


def _names(families: Sequence[str] | str | None) -> tuple[str, ...] | str | None:
    """The names as the families have them; UnknownFamilyError for others."""
    if families is None or (isinstance(families, str) and families == "all"):
        return families
    given = [families] if isinstance(families, str) else list(families)
    if not given:
        raise ValueError("families names no family; None takes those that suit the columns.")
    return tuple(dict.fromkeys(all_families.by_name(name).name for name in given))


def _columns(
    X: Any, angles: Any, keep: Any, asked: Any, sample_weight: Any
) -> tuple[list[tuple[Column, Candidates]], dict[Any, str], NDArray[np.intp], Floats | None]:
    """The columns to rank, each with its families; those left out with the reason; the rows that have a weight, and it.

    Rows of weight 0 are absent from the columns.
    """
    refuse_unread(X, "X")
    names = column_names(X) if is_table(X) else None
    left_out = {} if names is None else _dates_and_nested(X, names)
    if left_out and names is not None:
        kept = [j for j, name in enumerate(names) if str(name) not in left_out]
        X = columns_of(X, kept) if kept else None
    if X is None:
        raise ValueError(f"No column is left to rank: {_listed(left_out)}.")
    if isinstance(X, NamedArray):
        X, names = X.values, X.names
        values, texts = table_columns(look(X, "X"))[0], names
    else:
        values, texts = table_columns(look(X, "X"))
    keys: Sequence[Any] = range(len(values)) if texts is None else texts
    weights = read_weights(sample_weight, len(values[0]), beside=X)
    index = np.arange(len(values[0])) if weights is None else np.flatnonzero(weights)
    if weights is not None:
        values, weights = [column[index] for column in values], weights[index]
    raise_if_missing(values, texts)
    turning = column_numbers(as_list(angles), X, texts, len(values))
    kept = column_numbers(as_list(keep), X, texts, len(values))
    found = []
    for j, key in enumerate(keys):
        place = named(j, texts)
        column = Column(key, place, numbers_or_labels(values[j], place, index))
        if asked == ("categorical",):
            column = replace(column, values=column.values.astype(object))
        candidates = Candidates(("von_mises",), "angles") if j in turning else column_candidates(column, asked)
        reason = None if j in kept else reason_to_leave_out(column, len(values) == 1)
        if reason is None and column.labels and not candidates.names:
            reason = "holds text, not numbers, and categorical is not among the families"
        if reason is not None:
            left_out[key] = reason
            continue
        if not column.labels:
            warn_of_atom(column.numbers, place, candidates.names)
        found.append((column, candidates))
    if not found:
        raise ValueError(
            f"No column is left to rank: {_listed(left_out)}. To rank such a column all the same, name it in keep "
            "(--columns on the command line)."
        )
    _raise_if_not_compared(asked, [candidates for _, candidates in found])
    if names is not None:
        left_out = {name: left_out[name] for name in map(str, names) if name in left_out}
    return found, left_out, index, weights


def _dates_and_nested(X: Any, names: Sequence[Any]) -> dict[Any, str]:
    """Columns of a table that hold dates or spans of time, or lists or records, with a sentence each."""
    found = {}
    for j, name in enumerate(names):
        try:
            look(columns_of(X, [j]), "X")
        except ColumnTypeError as error:
            what = NESTED if NESTED in str(error) else "dates or times"
            found[str(name)] = f"holds {what}, which are neither numbers nor labels"
    return found


def _raise_if_not_compared(asked: Any, found: Sequence[Candidates]) -> None:
    """ValueError for a family that was asked for and is of the kind of no column."""
    if asked is None or asked == "all":
        return
    tried = {name for candidates in found for name in candidates.names}
    of_counts = [name for name in asked if all_families.by_name(name).joint and all_families.by_name(name).discrete]
    if of_counts:
        raise ValueError(
            f"{', '.join(of_counts)}: distributions of whole rows of counts are no families of columns. Compare such fits by "
            "compare_densities, or by GridSearchCV(DensityMLE(), {'family': [...]})."
        )
    left = [name for name in asked if name not in tried and not all_families.by_name(name).joint]
    if left:
        kinds = ", ".join(dict.fromkeys(candidates.kind for candidates in found))
        raise ValueError(
            f"families mixes densities and probabilities, which can't be compared: {', '.join(left)} would be tried on none of "
            f"the columns, which hold {kinds}. Name families of one kind."
        )


def _listed(left_out: dict[Any, str]) -> str:
    parts = [f"column {key!r} {reason}" for key, reason in left_out.items()]
    return "; ".join(parts[:5]) + (f"; and {len(parts) - 5} more" if len(parts) > 5 else "")
