"""One density for each group of a long table, of thousands to millions of groups, in one sorted pass.

Rows are brought into the order of their groups once. Groups with the same number of rows then stand side by side as the columns
of a matrix, which is what univariate families are fitted to in one call; n rows have at most sqrt(2 n) different sizes of groups,
so few calls fit many groups, and threads share them out. Where a matrix holds a group without a maximum, its halves are fitted,
and their halves: one bad group is found without fitting the good ones one by one, and becomes a row of the result that says why.
Weights differ from column to column of such a matrix: families with sufficient statistics are summed group by group and solved
side by side all the same, those that pass over the rows many times are fitted group by group.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from threading import Event
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl._core._threads import effective_n_threads
from fastkl._core.array_types import Floats
from fastkl._core.other_keywords import knows_other_keywords
from fastkl._core.rows import Rows
from fastkl._core.whole_numbers import is_count
from fastkl.density import DensityMLE
from fastkl.density.validation import resolve_family
from fastkl.exceptions import DegenerateDataError, SupportError
from fastkl.families.base import Family
from fastkl.families.solvers.posterior import fit_statistics
from fastkl.families.univariate import UnivariateFamily
from fastkl.rows.in_order import in_order
from fastkl.selection.group_fits import Found, GroupFits, log_density_of, no_fits, refuse, take
from fastkl.selection.group_keys import SortedRows, sorted_groups

# Values that are fitted in one call: enough to amortise it, and few enough to stay in cache.
_CELLS = 1 << 18
_CELLS_OF_PASSES = 1 << 16  # for families that pass over them many times: Ctrl-C waits for the fits that have begun
CRITERIA = ("bic", "aic")


@knows_other_keywords
def fit_groups(
    X: Any,
    by: Any,
    families: str | Family | Sequence[str | Family] = "normal",
    *,
    columns: str | int | Sequence[Any] | None = None,
    criterion: str = "bic",
    min_rows: int = 2,
    sample_weight: Any = None,
    n_jobs: int | None = None,
) -> GroupFits:
    """Fit a univariate density to every group of rows, each column on its own.

    Parameters
    ----------
    X : data frame or array-like of shape (n,) or (n, d)
        The rows: a table of pandas, polars or Arrow, or numbers; or a polars LazyFrame, a relation of duckdb, a dataset or an
        Arrow stream, of which the columns that are needed are read into memory.
    by : str, sequence of str, or array-like of shape (n,)
        What makes a group: the name of a column of the table, several of them, or a label for each row.
    families : str, Family or sequence of these, default="normal"
        Univariate families. Of several, each group takes the one that the criterion prefers.
    columns : str, int, or sequence of these, default=None
        Columns to fit; None for all but those of the groups.
    criterion : {"bic", "aic"}, default="bic"
        What chooses between families.
    min_rows : int, default=2
        Groups with fewer rows (of positive weight) are not fitted.
    sample_weight : array-like of shape (n,) or str, default=None
        Weights of at least 0, or the name of the column of the table that holds them; an integer weight counts as that many equal
        rows of its group. Rows of weight 0 count as absent.
    n_jobs : int, default=None
        Threads, which share out the groups; None takes those that the process may use. The result is the same bit for bit.

    Returns
    -------
    GroupFits
        Parameters, standard errors and the mean log-likelihood of every group and column, and why there are none where a
        group has too few rows or no weight, values outside the support, or no maximum.

    Raises
    ------
    ValueError
        If a family describes several columns at once or labels, an argument is none of its choices, or a weight is negative,
        missing or infinite.
    SourceError
        If a row has no group, or a value is missing or infinite.

    Notes
    -----
    Groups are in the order of their labels. A group's numbers are those of ``DensityMLE(family).fit`` on its rows alone, to
    rounding. The work grows with the number of rows; rows that come in the order of their groups need not be sorted.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import fit_groups
    >>> rng = np.random.default_rng(0)
    >>> machine = np.repeat(["a", "b", "c"], [500, 500, 1])
    >>> hours = np.concatenate([rng.gamma(2.0, 3.0, 500), rng.gamma(5.0, 1.0, 500), [4.0]])
    >>> found = fit_groups(hours, by=machine, families="gamma")
    >>> [round(float(value), 1) for value in found.params["shape"][:, 0]]
    [2.2, 4.6, nan]
    >>> print(found.verdicts[2, 0])
    1 row, fewer than min_rows=2
    """
    chosen = _univariate(families)
    if criterion not in CRITERIA:
        raise ValueError(f"criterion is one of {', '.join(CRITERIA)}, not {criterion!r}.")
    if not is_count(min_rows):
        raise ValueError(f"min_rows is a number of rows of at least 1, not {min_rows!r}.")
    rows = sorted_groups(X, by, columns, sample_weight)
    sizes = np.diff(rows.starts)
    result = no_fits(rows, chosen)
    n_threads = effective_n_threads(n_jobs)
    cells = _CELLS if all(family.has_statistics for family in chosen) else _CELLS_OF_PASSES
    alike = list(_alike(sizes, min_rows, cells))
    shared = len(alike) >= n_threads  # else there are too few parts of the work, and each is shared out itself
    work = _Work(result, criterion, 1 if shared else n_threads, Event())
    tasks = (
        partial(_fit_each, work, rows, indices, column) for column in range(rows.values.shape[1]) for indices in alike
    )
    for _ in in_order(tasks, n_threads if shared else 1, work.ended):
        pass
    for few in np.flatnonzero(sizes < min_rows):
        result.verdicts[few] = _too_few(int(sizes[few]), min_rows)
    return result


@dataclass(frozen=True)
class _Work:
    """What all parts of the work share; ``ended`` is set when the result is no longer wanted."""

    result: GroupFits
    criterion: str
    n_threads: int
    ended: Event


@dataclass(frozen=True)
class _Groups:
    """Groups of one size side by side: values and weights (size, k) of one column, and the numbers of the groups (k,)."""

    values: Floats
    weights: Floats | None
    indices: NDArray[np.intp]
    column: int

    def part(self, which: slice) -> _Groups:
        """Some of the groups."""
        weights = None if self.weights is None else np.ascontiguousarray(self.weights[:, which])
        values = np.ascontiguousarray(self.values[:, which])
        return replace(self, values=values, weights=weights, indices=self.indices[which])


def _too_few(size: int, min_rows: int) -> str:
    if size == 0:
        return "every row of the group has weight 0"
    return f"{size} {'row' if size == 1 else 'rows'}, fewer than min_rows={min_rows}"


def _univariate(families: Any) -> list[UnivariateFamily]:
    """The families, each of which has to be one of numbers, column by column."""
    given = [families] if isinstance(families, str | Family) else list(families)
    if not given:
        raise ValueError("families names no family.")
    found = []
    for one in given:
        family = resolve_family(one)
        if not isinstance(family, UnivariateFamily) or family.labels:
            raise ValueError(f"fit_groups fits univariate families of numbers; {family.name} is none.")
        found.append(family)
    return found


def _alike(sizes: NDArray[np.intp], min_rows: int, cells: int) -> Iterator[NDArray[np.intp]]:
    """Groups with the same number of rows, so many at a time that their values fill a few megabytes."""
    order = np.argsort(sizes, kind="stable")
    order = order[sizes[order] >= min_rows]
    for same in np.split(order, np.flatnonzero(np.diff(sizes[order])) + 1):
        step = max(1, cells // max(1, int(sizes[same[0]]))) if len(same) else 1
        for first in range(0, len(same), step):
            yield same[first : first + step]


def _fit_each(work: _Work, rows: SortedRows, indices: NDArray[np.intp], column: int) -> None:
    """Fit every family to a column of groups of one size."""
    starts, size = rows.starts[indices], int(work.result.n_rows[indices[0]])
    values = _side_by_side(rows.values[:, column], starts, size)
    weights = None if rows.weights is None else _side_by_side(rows.weights, starts, size)
    for k in range(len(work.result.candidates)):
        _fit(work, k, _Groups(values, weights, indices, column))


def _side_by_side(values: Floats, starts: NDArray[np.intp], size: int) -> Floats:
    """The groups of this size that begin at ``starts``, as the columns of a matrix."""
    if np.all(np.diff(starts) == size):  # as they stand
        groups = values[starts[0] : starts[0] + size * len(starts)].reshape(len(starts), size)
    else:
        groups = values[starts[:, None] + np.arange(size)]
    return np.ascontiguousarray(groups.T)


def _fit(work: _Work, k: int, groups: _Groups) -> None:
    """Fit candidate k to the groups, or to what can be fitted of them, unless the result is no longer wanted."""
    if work.ended.is_set():
        return
    family, several = work.result.candidates[k], len(groups.indices)
    if several > 1 and groups.weights is not None and not family.has_statistics:
        for j in range(several):
            _fit(work, k, groups.part(slice(j, j + 1)))
        return
    try:
        found = _found(family, groups, work.n_threads)
        reason = "" if found.converged else "the fit stopped before it reached its maximum"
    except (DegenerateDataError, SupportError) as error:
        reason = _in_words(str(error))
    if not reason:
        take(work.result, k, found, (groups.indices, groups.column), work.criterion)
    elif several == 1:
        refuse(work.result, reason, int(groups.indices[0]), groups.column)
    else:
        half = several // 2
        for part in (slice(None, half), slice(half, None)):
            _fit(work, k, groups.part(part))


def _found(family: UnivariateFamily, groups: _Groups, n_threads: int) -> Found:
    """The fit of every column."""
    values, weights = groups.values, groups.weights
    if weights is None or values.shape[1] == 1:
        own = None if weights is None else weights[:, 0]
        model = DensityMLE(family, n_jobs=n_threads).fit(values, sample_weight=own)
        total = _log_likelihood(model, values, own)
        return Found(model.params_, model.standard_errors_, total, model.converged_)
    each = [
        family.statistics(Rows(np.ascontiguousarray(values[:, j : j + 1]), np.ascontiguousarray(weights[:, j])))
        for j in range(values.shape[1])
    ]
    statistics = {name: np.concatenate([one[name] for one in each]) for name in each[0]}
    fit = fit_statistics(family, None, statistics)
    errors = family.standard_errors(statistics, fit.params)
    return Found(fit.params, errors, family.column_log_likelihood(statistics, fit.params), fit.converged)


def _in_words(message: str) -> str:
    """What an error says of the only column, as said of a group: without what to do about a column."""
    message = re.sub(r", column 0\b", "", re.sub(r"\b[Cc]olumn 0\b", "the column", message))
    return re.split(r"\.? (?:Leave|Remove|Rescale)\b", message)[0].strip().rstrip(".")


def _log_likelihood(model: DensityMLE, matrix: Floats, weights: Floats | None) -> Floats:
    """The total log-likelihood of every column."""
    family, params = model.family_, model.params_
    assert isinstance(family, UnivariateFamily)
    if family.has_statistics:
        return family.column_log_likelihood(model.statistics_, params)
    terms = (log_density_of(family, params, j, matrix[:, j]) for j in range(matrix.shape[1]))
    return np.array([float(own.sum() if weights is None else own @ weights) for own in terms])
