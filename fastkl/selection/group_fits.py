"""What ``fit_groups`` found: parameters, errors and scores of every group and column, as arrays, a table, and densities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fastkl._core.array_types import Floats
from fastkl.density import DensityMLE
from fastkl.exceptions import SourceError
from fastkl.families.univariate import UnivariateFamily


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
        Rows of each group.
    families : ndarray of str of shape (g, d)
        The family taken; empty where there is no fit.
    params, standard_errors : dict of ndarray of shape (g, d)
        By parameter; nan where the family has no such parameter, or there is no fit or no standard error.
    mean_log_likelihood : ndarray of shape (g, d)
        Nats per row, on the rows of the fit.
    verdicts : ndarray of str of shape (g, d)
        Why there is no fit, or which parameter is at its boundary; empty where nothing is to be said.

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
    _candidates: list[UnivariateFamily]
    _best: Floats  # the criterion of the fit taken
    _chosen: NDArray[np.intp]  # its number among the candidates; -1 where there is none

    @classmethod
    def empty(
        cls,
        groups: dict[str, NDArray[Any]],
        columns: list[str],
        n_rows: NDArray[np.intp],
        candidates: list[UnivariateFamily],
    ) -> Self:
        """No group has a fit yet."""
        shape = (len(n_rows), len(columns))
        names = dict.fromkeys(name for family in candidates for name in family.parameter_names)
        return cls(
            groups=groups,
            columns=[str(name) for name in columns],
            n_rows=n_rows,
            families=np.full(shape, "", dtype=object),
            params={name: np.full(shape, np.nan) for name in names},
            standard_errors={name: np.full(shape, np.nan) for name in names},
            mean_log_likelihood=np.full(shape, np.nan),
            verdicts=np.full(shape, "", dtype=object),
            _candidates=candidates,
            _best=np.full(shape, np.inf),
            _chosen=np.full(shape, -1, dtype=np.intp),
        )

    def take(
        self, k: int, model: DensityMLE, total: Floats, indices: NDArray[np.intp], column: int, criterion: str
    ) -> None:
        """Keep what was fitted to some groups where the criterion prefers it to what is there."""
        family = self._candidates[k]
        n = self.n_rows[indices]
        parameters = len(family.free_names())
        value = -2.0 * total + parameters * (np.log(n) if criterion == "bic" else 2.0)
        better = (value < self._best[indices, column]) | (self._chosen[indices, column] < 0)
        at, errors = indices[better], model.standard_errors_
        for name in self.params:
            found, error = model.params_.get(name), errors.get(name)
            self.params[name][at, column] = np.nan if found is None else found[better]
            self.standard_errors[name][at, column] = np.nan if error is None else error[better]
        self.families[at, column] = family.name
        self.mean_log_likelihood[at, column] = (total / n)[better]
        self.verdicts[at, column] = ""
        self._best[at, column], self._chosen[at, column] = value[better], k
        for name in family.free_names():
            edge = family.parameters[name].at_edge(self.params[name][at, column])
            for group in at[edge]:
                self.verdicts[group, column] = f"{name} is at its boundary, {self.params[name][group, column]:g}"

    def refuse(self, k: int, reason: str, group: int, column: int) -> None:
        """A family has no fit for this group, which counts where no other has one."""
        if self._chosen[group, column] < 0 and not self.verdicts[group, column]:
            self.verdicts[group, column] = reason

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
        if self._chosen[i, j] < 0:
            raise SourceError(f"The group {self._label(i)} has no density: {self.verdicts[i, j]}")
        family = self._candidates[self._chosen[i, j]]
        return DensityMLE.from_parameters(family, **{name: self.params[name][i, j] for name in family.free_names()})

    def number_of(self, group: Sequence[Any]) -> int:
        """The place of a group by its labels; KeyError if there is none."""
        if len(group) != len(self.groups):
            raise KeyError(f"A group has {len(self.groups)} labels ({', '.join(self.groups)}), not {len(group)}.")
        same = np.ones(len(self.n_rows), dtype=bool)
        for label, labels in zip(group, self.groups.values(), strict=True):
            same &= labels == label
        if not same.any():
            raise KeyError(f"There is no group {', '.join(map(str, group))}.")
        return int(np.argmax(same))

    def to_frame(self) -> Any:
        """The table as a pandas data frame: a row for each group and column.

        Returns
        -------
        pandas.DataFrame
            Labels of the group, column, n_rows, family, a column for each parameter and its standard error,
            mean_log_likelihood, verdict.
        """
        import pandas as pd  # only here: the library does without it

        g, d = self.families.shape
        table = {name: np.repeat(labels, d) for name, labels in self.groups.items()}
        table |= {"column": np.tile(np.array(self.columns, dtype=object), g), "n_rows": np.repeat(self.n_rows, d)}
        table["family"] = self.families.ravel()
        for name, values in self.params.items():
            table |= {name: values.ravel(), f"{name}_error": self.standard_errors[name].ravel()}
        return pd.DataFrame(
            {**table, "mean_log_likelihood": self.mean_log_likelihood.ravel(), "verdict": self.verdicts.ravel()}
        )

    def _label(self, i: int) -> str:
        return ", ".join(str(labels[i]) for labels in self.groups.values())

    def __repr__(self) -> str:
        g, d = self.families.shape
        names, counts = np.unique(self.families.astype(str), return_counts=True)
        parts = [f"{n} {name or 'without a fit'}" for name, n in zip(names, counts, strict=True)]
        words = [f"{n} {what}{'' if n == 1 else 's'}" for n, what in ((g, "group"), (d, "column"))]
        return f"GroupFits({', '.join(words)}: {', '.join(reversed(parts))})"
