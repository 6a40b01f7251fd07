"""Families tried on columns, one by one, but computed many at a time: a univariate family fits every column on its own.

Values, fits and log-densities are those that ``DensityMLE`` gives to the column alone. A family that has no maximum on one of
many columns is fitted to halves of them, until that column is alone with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from fastkl import families
from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import Rows
from fastkl._core.warned import warnings_raised
from fastkl.exceptions import first_sentence
from fastkl.families.solvers.posterior import fit_rows
from fastkl.families.univariate import UnivariateFamily

# as DensityMLE has them
_TOL, _MAX_ITER = 1e-12, 1000
# From so many rows on the maximum on a fold is searched from that on all rows; fewer may have several maxima.
_MANY_ROWS = 10_000
# log-densities of a block of columns under all families: values held at a time
_MOST_VALUES = 1 << 25

Fold = tuple[NDArray[np.intp], NDArray[np.intp]]


@dataclass(frozen=True)
class Trial:
    """What one family gave.

    Parameters
    ----------
    held_out : ndarray of shape (n,)
        Log-density of every row under the fit to the other folds.
    log_likelihood : float
        Of the fit to all rows.
    n_parameters : int
        Estimated by it.
    of_folds : tuple of float
        Log-likelihoods of the fits to the rows of the folds.
    """

    held_out: Floats
    log_likelihood: float
    n_parameters: int
    of_folds: tuple[float, ...] = ()

    def __add__(self, other: Trial) -> Trial:
        """That of independent columns."""
        return Trial(
            self.held_out + other.held_out,
            self.log_likelihood + other.log_likelihood,
            self.n_parameters + other.n_parameters,
        )


@dataclass
class Trials:
    """Families tried on one column: what those gave that have a fit to the rows of every fold, and why others have none."""

    names: tuple[str, ...]
    found: dict[str, Trial] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def lowest_bic(self, weight: float, fold: int | None = None) -> str | None:
        """The family with the lowest BIC on all rows or those of a fold, whose weights sum to ``weight``.

        Those that exclude a row that was held out are left aside, but for one that is the only one there is.
        """
        usable = {name: trial for name, trial in self.found.items() if np.isfinite(trial.held_out).all()}
        if len(self.names) == 1:
            usable = self.found

        def bic(name: str) -> float:
            trial = usable[name]
            total = trial.log_likelihood if fold is None else trial.of_folds[fold]
            return -2.0 * total + trial.n_parameters * float(np.log(weight))

        return next(iter(usable), None) if len(usable) < 2 else min(usable, key=bic)


def numeric_trials(
    columns: Sequence[Floats],
    names: Sequence[tuple[str, ...]],
    weights: Floats | None,
    folds: Sequence[Fold],
    n_threads: int,
    said: Callable[[str], None],
) -> Iterator[Trials]:
    """The trials of columns of numbers, each with its families, in their order; a few columns at a time."""
    most = max(map(len, names), default=1)
    step = max(1, _MOST_VALUES // max(1, most * len(columns[0]) if columns else 1))
    for first in range(0, len(columns), step):
        block = [Trials(tuple(own)) for own in names[first : first + step]]
        X = np.stack(columns[first : first + step], axis=1)
        rows = Rows(X, weights, n_threads=n_threads)
        for name in dict.fromkeys(name for own in block for name in own.names):
            said(name)
            _try_family(name, block, rows, folds)
        yield from block


def _try_family(name: str, block: Sequence[Trials], rows: Rows, folds: Sequence[Fold]) -> None:
    """One family on those columns of a block whose families it is among: on all rows, and on the rows of every fold."""
    family = families.by_name(name)()
    assert isinstance(family, UnivariateFamily)
    at = np.array([j for j, trial in enumerate(block) if name in trial.names])
    whole = Fits(family, _some(rows, None, at))
    for j, reason in whole.refused.items():
        block[at[j]].refused[name] = reason
    fitted = np.array([j for j in range(len(at)) if j not in whole.refused], dtype=np.intp)
    held_out, of_folds, gone = np.empty((len(at), len(rows.X))), np.empty((len(at), len(folds))), dict[int, str]()
    for k, (train, test) in enumerate(folds):
        kept = np.array([j for j in fitted if j not in gone], dtype=np.intp)
        if not len(kept):
            break
        start = {n: v[kept] for n, v in whole.params.items()} if len(train) >= _MANY_ROWS else None
        fits = Fits(family, _some(rows, train, at[kept]), start)
        gone |= {int(kept[j]): f"has no fit to one of the {len(folds)} parts: {why}" for j, why in fits.refused.items()}
        of_folds[kept, k] = fits.log_likelihood
        scored = [j for j in range(len(kept)) if j not in fits.refused]
        held_out[np.ix_(kept[scored], test)] = fits.log_densities(_some(rows, test, at[kept[scored]]), scored).T
    for j in fitted:
        if j in gone:
            block[at[j]].refused[name] = gone[j]
            continue
        total, size = float(whole.log_likelihood[j]), len(family.free_names())
        block[at[j]].found[name] = Trial(held_out[j], total, size, tuple(of_folds[j].tolist()))


def _some(rows: Rows, chosen: NDArray[np.intp] | None, columns: NDArray[np.intp]) -> Rows:
    """Some rows and columns, as kernels want them."""
    X = rows.X if chosen is None else rows.X[chosen]
    X = X if len(columns) == X.shape[1] else X[:, columns]
    weights = rows.weights if chosen is None or rows.weights is None else rows.weights[chosen]
    return replace(rows, X=np.ascontiguousarray(X), weights=weights)


class Fits:
    """One family fitted to every column of rows.

    Parameters
    ----------
    family : UnivariateFamily
        With nothing held fixed.
    rows : Rows
        Inside its support, or not.
    start : dict of ndarray of shape (c,), default=None
        Where the search begins.

    Attributes
    ----------
    params : dict of ndarray of shape (c,)
        The parameters, NaN in columns without a fit.
    log_likelihood : ndarray of shape (c,)
        Of every column.
    refused : dict of str
        By the number of a column the reason why there is no fit to it.
    """

    def __init__(self, family: UnivariateFamily, rows: Rows, start: Params | None = None):
        c = rows.n_columns
        self.family = family
        self.params: Params = {name: np.full(c, np.nan) for name in family.parameter_names}
        self.log_likelihood: Floats = np.full(c, np.nan)
        self.refused: dict[int, str] = {}
        pending = [(np.arange(c), start)]
        while pending:
            chosen, begun = pending.pop()
            own = rows if len(chosen) == c else _some(rows, None, chosen)
            try:
                self._fit(own, chosen, begun)
            except (ValueError, ArithmeticError, Warning) as error:
                if len(chosen) > 1:
                    pending += [(half, begun) for half in np.array_split(chosen, 2)]
                elif begun is not None:  # a limit, where no search begins
                    pending.append((chosen, None))
                else:
                    self.refused[int(chosen[0])] = first_sentence(error)

    def _fit(self, rows: Rows, chosen: NDArray[np.intp], start: Params | None) -> None:
        begun = None if start is None else {name: value[chosen] for name, value in start.items()}
        with warnings_raised():
            fit, statistics = fit_rows(self.family, None, rows, _TOL, _MAX_ITER, begun)
        if not fit.converged:
            raise ValueError(f"The search stopped after {fit.n_iter} iterations before it reached the maximum.")
        if self.family.has_statistics:
            total = self.family.column_log_likelihood(statistics, fit.params)
        else:
            values = self.family.value_log_density(rows, fit.params)
            total = values.sum(axis=0) if rows.weights is None else rows.weights @ values
        if not np.isfinite(total).all():
            raise ValueError("The log-likelihood of the fit is not finite.")
        self.log_likelihood[chosen] = total
        for name, value in fit.params.items():
            self.params[name][chosen] = value

    def log_densities(self, rows: Rows, columns: Sequence[int]) -> Floats:
        """The log-densities (n, c) of other rows, which have those of the columns."""
        return self.family.value_log_density(rows, {name: value[columns] for name, value in self.params.items()})
