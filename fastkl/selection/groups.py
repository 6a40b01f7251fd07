"""One density for each group of a long table, of thousands to millions of groups, in one sorted pass.

Rows are brought into the order of their groups once. Groups with the same number of rows then stand side by side as the columns
of a matrix, which is what univariate families are fitted to in one call; n rows have at most sqrt(2 n) different sizes of groups,
so few calls fit many groups, and threads share them out. Where a matrix holds a group without a maximum, its halves are fitted,
and their halves: one bad group is found without fitting the good ones one by one, and becomes a row of the result that says why.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from threading import Event
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl._core._threads import effective_n_threads
from fastkl._core.array_types import Floats
from fastkl.density import DensityMLE
from fastkl.density.validation import resolve_family
from fastkl.exceptions import DegenerateDataError, SupportError
from fastkl.families.base import Family
from fastkl.families.univariate import UnivariateFamily
from fastkl.rows.in_order import in_order
from fastkl.selection.group_fits import GroupFits, log_density_of, no_fits, refuse, take
from fastkl.selection.group_keys import sorted_groups

# Values that are fitted in one call: enough to amortise it, and few enough to stay in cache.
_CELLS = 1 << 18
_CELLS_OF_PASSES = 1 << 16  # for families that pass over them many times: Ctrl-C waits for the fits that have begun
CRITERIA = ("bic", "aic")


def fit_groups(
    X: Any,
    by: Any,
    families: str | Family | Sequence[str | Family] = "normal",
    *,
    columns: str | int | Sequence[Any] | None = None,
    criterion: str = "bic",
    min_rows: int = 2,
    n_jobs: int | None = None,
) -> GroupFits:
    """Fit a univariate density to every group of rows, each column on its own.

    Parameters
    ----------
    X : data frame or array-like of shape (n,) or (n, d)
        The rows: a table of pandas, polars or Arrow, or numbers.
    by : str, sequence of str, or array-like of shape (n,)
        What makes a group: the name of a column of the table, several of them, or a label for each row.
    families : str, Family or sequence of these, default="normal"
        Univariate families. Of several, each group takes the one that the criterion prefers.
    columns : str, int, or sequence of these, default=None
        Columns to fit; None for all but those of the groups.
    criterion : {"bic", "aic"}, default="bic"
        What chooses between families.
    min_rows : int, default=2
        Groups with fewer rows are not fitted.
    n_jobs : int, default=None
        Threads, which share out the groups; None takes those that the process may use. The result is the same bit for bit.

    Returns
    -------
    GroupFits
        Parameters, standard errors and the mean log-likelihood of every group and column, and why there are none where a
        group has too few rows, values outside the support, or no maximum.

    Raises
    ------
    ValueError
        If a family describes several columns at once or labels, or an argument is none of its choices.
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
    if isinstance(min_rows, bool) or not isinstance(min_rows, int | np.integer) or min_rows < 1:
        raise ValueError(f"min_rows is a number of rows of at least 1, not {min_rows!r}.")
    values, names, groups, starts = sorted_groups(X, by, columns)
    sizes = np.diff(starts)
    result = no_fits(groups, names, sizes, chosen)
    n_threads = effective_n_threads(n_jobs)
    cells = _CELLS if all(family.has_statistics for family in chosen) else _CELLS_OF_PASSES
    alike = list(_alike(sizes, min_rows, cells))
    shared = len(alike) >= n_threads  # else there are too few parts of the work, and each is shared out itself
    ended = Event()
    tasks = (
        partial(_fit_each, result, chosen, values[:, column], starts[indices], indices, column, criterion, own, ended)
        for column in range(values.shape[1])
        for own in [1 if shared else n_threads]
        for indices in alike
    )
    for _ in in_order(tasks, n_threads if shared else 1, ended):
        pass
    for few in np.flatnonzero(sizes < min_rows):
        result.verdicts[few] = f"{sizes[few]} {'row' if sizes[few] == 1 else 'rows'}, fewer than min_rows={min_rows}"
    return result


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


def _fit_each(
    result: GroupFits,
    families: list[UnivariateFamily],
    values: Floats,
    starts: NDArray[np.intp],
    indices: NDArray[np.intp],
    column: int,
    criterion: str,
    n_threads: int,
    ended: Event,
) -> None:
    """Fit every family to groups of one size, which begin at ``starts`` of the values of a column."""
    size = int(result.n_rows[indices[0]])
    if np.all(np.diff(starts) == size):  # as they stand
        side_by_side = values[starts[0] : starts[0] + size * len(starts)].reshape(len(starts), size)
    else:
        side_by_side = values[starts[:, None] + np.arange(size)]
    matrix = np.ascontiguousarray(side_by_side.T)
    for k, family in enumerate(families):
        _fit(result, k, family, matrix, indices, column, criterion, n_threads, ended)


def _fit(
    result: GroupFits,
    k: int,
    family: UnivariateFamily,
    matrix: Floats,
    indices: NDArray[np.intp],
    column: int,
    criterion: str,
    n_threads: int,
    ended: Event,
) -> None:
    """Fit the columns of the matrix, or what can be fitted of them, unless the result is no longer wanted."""
    if ended.is_set():
        return
    model = DensityMLE(family, n_jobs=n_threads)
    try:
        model.fit(matrix)
        reason = "" if model.converged_ else "the fit stopped before it reached its maximum"
    except (DegenerateDataError, SupportError) as error:
        reason = _in_words(str(error))
    if not reason:
        total = _log_likelihood(model, matrix)
        take(result, k, model, total, (indices, column), criterion)
    elif len(indices) == 1:
        refuse(result, reason, int(indices[0]), column)
    else:
        half = len(indices) // 2
        for part in (slice(None, half), slice(half, None)):
            rows = np.ascontiguousarray(matrix[:, part])
            _fit(result, k, family, rows, indices[part], column, criterion, n_threads, ended)


def _in_words(message: str) -> str:
    """What an error says of the only column, as said of a group: without what to do about a column."""
    message = re.sub(r", column 0\b", "", re.sub(r"\b[Cc]olumn 0\b", "the column", message))
    return re.split(r"\.? (?:Leave|Remove|Rescale)\b", message)[0].strip().rstrip(".")


def _log_likelihood(model: DensityMLE, matrix: Floats) -> Floats:
    """The total log-likelihood of every column."""
    family, params = model.family_, model.params_
    assert isinstance(family, UnivariateFamily)
    if family.has_statistics:
        return family.column_log_likelihood(model.statistics_, params)
    return np.array([float(log_density_of(family, params, j, matrix[:, j]).sum()) for j in range(matrix.shape[1])])
