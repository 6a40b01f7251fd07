"""What ``fit_groups`` found: parameters, errors and scores of every group and column, as arrays, a table, and densities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import Rows
from fastkl._core.text_tables import html_table
from fastkl.density import DensityMLE
from fastkl.divergence.interval_picture import interval_pictures
from fastkl.exceptions import SourceError
from fastkl.families.univariate import UnivariateFamily
from fastkl.rows.columns import listed
from fastkl.rows.tables import column_names
from fastkl.selection.group_keys import SortedRows, sorted_groups

_SHOWN = 20  # lines of the table in a notebook: there may be millions


@dataclass(frozen=True, repr=False)
class GroupFits:
    """Univariate densities of g groups and d columns.

    Parameters
    ----------
    groups : dict of ndarray of shape (g,)
        Labels of the groups, by the name of what makes them.
    columns : list of str
        Names of the fitted columns.
    n_rows : ndarray of shape (g,)
        Rows of each group, of positive weight.
    families : ndarray of str of shape (g, d)
        The family taken; empty where there is no fit.
    params, standard_errors : dict of ndarray of shape (g, d)
        By parameter; nan where the family has no such parameter, or there is no fit or no standard error.
    mean_log_likelihood : ndarray of shape (g, d)
        Nats per row (per unit of weight), on the rows of the fit.
    verdicts : ndarray of str of shape (g, d)
        Why there is no fit, or which parameter is at its boundary; empty where nothing is to be said.
    candidates : list of Family
        The families tried.
    criterion : ndarray of shape (g, d)
        BIC or AIC of the family taken; inf where there is no fit.
    chosen : ndarray of int of shape (g, d)
        Its number among the candidates; -1 where there is no fit.
    total_weight : ndarray of shape (g,), default=None
        Sum of the weights of each group; None without weights.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import fit_groups
    >>> x = np.random.default_rng(0).gamma(2.0, size=3000)
    >>> found = fit_groups(x, by=np.arange(3000) % 3, families=["gamma", "normal"])
    >>> found
    GroupFits(3 groups, 1 column: 3 gamma)
    >>> found.to_frame()[["group", "n_rows", "family"]].to_dict("list")
    {'group': [0, 1, 2], 'n_rows': [1000, 1000, 1000], 'family': ['gamma', 'gamma', 'gamma']}
    >>> found.density(2).family
    Gamma()
    """

    groups: dict[str, NDArray[Any]]
    columns: list[str]
    n_rows: NDArray[np.intp]
    families: NDArray[Any]
    params: dict[str, Floats]
    standard_errors: dict[str, Floats]
    mean_log_likelihood: Floats
    verdicts: NDArray[Any]
    candidates: list[UnivariateFamily]
    criterion: Floats
    chosen: NDArray[np.intp]
    total_weight: Floats | None = None

    def density(self, *group: Any, column: Any = None) -> DensityMLE:
        """The density of one group.

        Parameters
        ----------
        *group : object
            Its label, or one label for each of what makes the groups.
        column : str, default=None
            Which column; needed where there are several.

        Returns
        -------
        DensityMLE
            Ready to score and to draw.

        Raises
        ------
        KeyError
            If there is no such group or column.
        SourceError
            If the group has no fit.
        """
        if column is None and len(self.columns) > 1:
            raise KeyError(f"There are {len(self.columns)} columns: name one by column=, {', '.join(self.columns)}.")
        if column is not None and column not in self.columns:
            raise KeyError(f"There is no column {column!r}; there are {', '.join(self.columns)}.")
        j = 0 if column is None else self.columns.index(column)
        i = self.number_of(group)
        if self.chosen[i, j] < 0:
            raise SourceError(f"The group {self._label(i)} has no density: {self.verdicts[i, j]}")
        family = self.candidates[self.chosen[i, j]]
        return DensityMLE.from_parameters(family, **{name: self.params[name][i, j] for name in family.free_names()})

    def number_of(self, group: Sequence[Any]) -> int:
        """The place of a group in the arrays.

        Parameters
        ----------
        group : sequence
            Its labels, one for each of what makes the groups.

        Returns
        -------
        int
            The place.

        Raises
        ------
        KeyError
            If there is no such group.
        """
        if len(group) != len(self.groups):
            raise KeyError(f"A group has {len(self.groups)} labels ({', '.join(self.groups)}), not {len(group)}.")
        same = np.ones(len(self.n_rows), dtype=bool)
        for label, labels in zip(group, self.groups.values(), strict=True):
            same &= labels == label
        if not same.any():
            raise KeyError(f"There is no group {', '.join(map(str, group))}.")
        return int(np.argmax(same))

    def score(self, X: Any, by: Any, sample_weight: Any = None) -> Floats:
        """Mean log-density of other rows, such as held-out or newer ones, by the density of their group.

        Parameters
        ----------
        X : data frame or array-like of shape (n,) or (n, d)
            The rows, as for ``fit_groups``, with the columns of the fit: found by name in a table, where others do not matter.
        by : str, sequence of str, or array-like of shape (n,)
            What makes a group, as for ``fit_groups``.
        sample_weight : array-like of shape (n,) or str, default=None
            Weights, or the name of their column, as for ``fit_groups``.

        Returns
        -------
        ndarray of shape (g, d)
            Nats per row, in the order of ``groups``; nan for a group that has no fit, or no row (of positive weight) here.

        Raises
        ------
        SourceError
            If a row is of a group that was not there in the fit, or a value is missing or infinite.

        Examples
        --------
        >>> import numpy as np
        >>> from fastkl import fit_groups
        >>> x, kind = np.random.default_rng(0).gamma(2.0, size=4000), np.arange(4000) % 2
        >>> found = fit_groups(x[:3000], by=kind[:3000], families="gamma")
        >>> found.score(x[3000:], by=kind[3000:]).round(1).tolist()
        [[-1.6], [-1.6]]
        """
        names = column_names(X)
        wanted = None if names is None else [name for own in self.columns for name in names if str(name) == own]
        if wanted == []:
            raise SourceError(f"The fit has the columns {listed(self.columns)}; these rows have {listed(names or [])}.")
        rows = sorted_groups(X, by, wanted, sample_weight)
        labels, groups = rows.columns, rows.groups
        if len(labels) != len(self.columns) or len(groups) != len(self.groups):
            raise SourceError(
                f"The fit has the columns {listed(self.columns)} in groups by {listed(list(self.groups))}; these rows have "
                f"{listed(labels)} in groups by {listed(list(groups))}."
            )
        places = {label: i for i, label in enumerate(zip(*self.groups.values(), strict=True))}
        scores = np.full(self.families.shape, np.nan)
        for label, start, stop in zip(
            zip(*groups.values(), strict=True), rows.starts[:-1], rows.starts[1:], strict=True
        ):
            i = places.get(label)
            if i is None:
                raise SourceError(
                    f"The group {', '.join(map(str, label))} was not there in the fit: leave its rows out."
                )
            for j in np.flatnonzero(self.chosen[i] >= 0) if stop > start else ():
                family = self.candidates[self.chosen[i, j]]
                own = {name: self.params[name][i, j : j + 1] for name in family.parameter_names}
                weights = None if rows.weights is None else rows.weights[start:stop]
                scores[i, j] = np.average(log_density_of(family, own, 0, rows.values[start:stop, j]), weights=weights)
        return scores

    def to_frame(self) -> Any:
        """The table as a pandas data frame: a row for each group and column.

        Returns
        -------
        pandas.DataFrame
            Labels of the group, column, n_rows, total_weight if there were weights, family, a column for each parameter and its
            standard error, mean_log_likelihood, verdict. Labels whose name is one of the others, such as "family", stand under
            "family_group".
        """
        import pandas as pd  # only here: the library does without it

        g, d = self.families.shape
        found = {"column": np.tile(np.array(self.columns, dtype=object), g), "n_rows": np.repeat(self.n_rows, d)}
        if self.total_weight is not None:
            found["total_weight"] = np.repeat(self.total_weight, d)
        found["family"] = self.families.ravel()
        for name, values in self.params.items():
            found |= {name: values.ravel(), f"{name}_error": self.standard_errors[name].ravel()}
        found |= {"mean_log_likelihood": self.mean_log_likelihood.ravel(), "verdict": self.verdicts.ravel()}
        labels = {f"{name}_group" if name in found else name: np.repeat(own, d) for name, own in self.groups.items()}
        return pd.DataFrame(labels | found)

    def _label(self, i: int) -> str:
        return ", ".join(str(labels[i]) for labels in self.groups.values())

    def __repr__(self) -> str:
        g, d = self.families.shape
        names, counts = np.unique(self.families.astype(str), return_counts=True)
        parts = [f"{n} {name or 'without a fit'}" for name, n in zip(names, counts, strict=True)]
        words = [f"{n} {what}{'' if n == 1 else 's'}" for n, what in ((g, "group"), (d, "column"))]
        return f"GroupFits({', '.join(words)}: {', '.join(reversed(parts))})"

    def _repr_html_(self) -> str:
        d = len(self.columns)
        shown = [divmod(line, d) for line in range(min(self.families.size, _SHOWN))]
        head = [*self.groups, *(["column"] if d > 1 else []), "rows"]
        head += ["weight"] if self.total_weight is not None else []
        head += ["family", "parameters", "mean log-lik.", "verdict"]
        family, pictures = self.candidates[0], None
        if len(self.candidates) == 1 and family.free_names():
            # of one family the groups are compared in its first parameter, on one axis
            name = family.free_names()[0]
            values, errors = (np.array([of[name][at] for at in shown]) for of in (self.params, self.standard_errors))
            lows, highs = ((values + side * 1.96 * errors).tolist() for side in (-1.0, 1.0))
            pictures = interval_pictures(values.tolist(), lows, highs, name)
            head.append(f"{name}, 95 % interval")
        more = self.families.size - len(shown)
        note = f"<div>and {more} more: to_frame() has them all</div>" if more else ""
        table = html_table(map(str, head), (self._cells(i, j) for i, j in shown), pictures)
        return f"<div><div>{escape(repr(self))}</div>{table}{note}</div>"

    def _cells(self, i: int, j: int) -> list[str]:
        """A group and column in words, without a picture."""
        cells = [str(labels[i]) for labels in self.groups.values()] + (
            [self.columns[j]] if len(self.columns) > 1 else []
        )
        cells.append(str(self.n_rows[i]))
        if self.total_weight is not None:
            cells.append(f"{self.total_weight[i]:.6g}")
        parameters = []
        for name, values in self.params.items():
            error = self.standard_errors[name][i, j]
            if not np.isnan(values[i, j]):
                parameters.append(f"{name} {values[i, j]:.4g}" + (f" ± {error:.2g}" if error > 0.0 else ""))
        mean = self.mean_log_likelihood[i, j]
        shown = "" if np.isnan(mean) else f"{mean:.4f}"
        return [*cells, self.families[i, j], ", ".join(parameters), shown, self.verdicts[i, j]]


class Found(NamedTuple):
    """One family's fits to groups: parameters and errors of each, its total log-likelihood, and whether all were reached."""

    params: Params
    standard_errors: Params
    total: Floats
    converged: bool


def no_fits(rows: SortedRows, candidates: list[UnivariateFamily]) -> GroupFits:
    """The result before any group has a fit."""
    n_rows = np.diff(rows.starts)
    shape = (len(n_rows), len(rows.columns))
    names = dict.fromkeys(name for family in candidates for name in family.parameter_names)
    return GroupFits(
        groups=rows.groups,
        columns=[str(name) for name in rows.columns],
        n_rows=n_rows,
        families=np.full(shape, "", dtype=object),
        params={name: np.full(shape, np.nan) for name in names},
        standard_errors={name: np.full(shape, np.nan) for name in names},
        mean_log_likelihood=np.full(shape, np.nan),
        verdicts=np.full(shape, "", dtype=object),
        candidates=candidates,
        criterion=np.full(shape, np.inf),
        chosen=np.full(shape, -1, dtype=np.intp),
        total_weight=rows.total_weights(),
    )


def take(result: GroupFits, k: int, fits: Found, at: tuple[NDArray[np.intp], int], by: str) -> None:
    """Keep candidate k as fitted to the groups and the column ``at``, where the criterion ``by`` prefers it to what is there."""
    family, (indices, column) = result.candidates[k], at
    n = (result.n_rows if result.total_weight is None else result.total_weight)[indices]
    value = -2.0 * fits.total + len(family.free_names()) * (np.log(n) if by == "bic" else 2.0)
    better = (value < result.criterion[indices, column]) | (result.chosen[indices, column] < 0)
    kept = indices[better]
    for name in result.params:
        found, error = fits.params.get(name), fits.standard_errors.get(name)
        result.params[name][kept, column] = np.nan if found is None else found[better]
        result.standard_errors[name][kept, column] = np.nan if error is None else error[better]
    result.families[kept, column] = family.name
    result.mean_log_likelihood[kept, column] = (fits.total / n)[better]
    result.verdicts[kept, column] = ""
    result.criterion[kept, column], result.chosen[kept, column] = value[better], k
    for name in family.free_names():
        edge = family.parameters[name].at_edge(result.params[name][kept, column])
        for group in kept[edge]:
            result.verdicts[group, column] = f"{name} is at its boundary, {result.params[name][group, column]:g}"


def refuse(result: GroupFits, reason: str, group: int, column: int) -> None:
    """A family has no fit for this group, which counts where no other has one."""
    if result.chosen[group, column] < 0 and not result.verdicts[group, column]:
        result.verdicts[group, column] = reason


def log_density_of(family: UnivariateFamily, params: Params, j: int, values: ArrayLike) -> Floats:
    """The log-density of values under column j of the parameters."""
    own = {name: value[j : j + 1] for name, value in params.items()}
    return family.log_density(Rows(np.ascontiguousarray(values).reshape(-1, 1)), own)
