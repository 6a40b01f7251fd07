"""What ``rank_families`` found: tables by column and one of whole rows, with what could not be fitted and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from fastkl._core.array_types import Floats
from fastkl._core.text_tables import html_table, table_lines
from fastkl._core.wording import plural
from fastkl.density.composed.product import ProductDensity
from fastkl.density.parametric.mle import DensityMLE
from fastkl.selection.column_trials import Trial
from fastkl.selection.comparison import comparison_of
from fastkl.selection.product_proposal import group_names

PRODUCT = "product"
# Lines of a table that are shown.
_MOST_LINES = 40
_NUMBERS = (
    "mean_log_likelihood",
    "standard_error",
    "kl_difference",
    "kl_difference_error",
    "p_value",
    "n_parameters",
    "log_likelihood",
    "aic",
    "bic",
)


@dataclass(frozen=True, repr=False)
class FamilyTable:
    """Families in order, best first; every array has one entry for each.

    Parameters
    ----------
    kind : str
        What the columns hold, in words.
    names : list of str
        The families that could be ranked.
    mean_log_likelihood : ndarray of shape (k,)
        Weighted mean of the log-density of rows held out, nats per row.
    standard_error : ndarray of shape (k,)
        Of the mean.
    kl_difference : ndarray of shape (k,)
        Nats per row behind the best: the difference of the KL divergences from the distribution of the data.
    kl_difference_error : ndarray of shape (k,)
        Its standard error, from the differences by row.
    p_value : ndarray of shape (k,)
        Vuong's test that the family is as close as the best; nan for the best itself.
    n_parameters : ndarray of shape (k,)
        Estimated parameters.
    log_likelihood : ndarray of shape (k,)
        Of the fit to all rows that were ranked on, in nats.
    aic, bic : ndarray of shape (k,)
        Criteria of that fit; lower is better.
    n_rows : int
        Rows behind the means.
    refused : dict of str
        Families that could not be ranked, with the reason.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import rank_families
    >>> X = np.random.default_rng(0).gamma(2.0, size=(500, 1))
    >>> table = rank_families(X, families=["exponential", "gamma", "beta"])[0]
    >>> table.best, table.n_parameters.tolist(), list(table.refused)
    ('gamma', [2, 1], ['beta'])
    """

    kind: str
    names: list[str]
    mean_log_likelihood: Floats
    standard_error: Floats
    kl_difference: Floats
    kl_difference_error: Floats
    p_value: Floats
    n_parameters: Any
    log_likelihood: Floats
    aic: Floats
    bic: Floats
    n_rows: int
    refused: dict[str, str]

    @property
    def best(self) -> str | None:
        """The family with the greatest mean log-likelihood; None where none could be ranked."""
        return self.names[0] if self.names else None

    def to_dict(self) -> dict[str, Any]:
        """The table as lists and texts, for JSON.

        Returns
        -------
        dict
            ``kind``, ``n_rows``, ``ranked`` (a dict for each family, best first) and ``refused``.
        """
        ranked = [
            {"family": name, **{number: float(getattr(self, number)[i]) for number in _NUMBERS}}
            for i, name in enumerate(self.names)
        ]
        return {"kind": self.kind, "n_rows": self.n_rows, "ranked": ranked, "refused": dict(self.refused)}

    def to_frame(self) -> Any:
        """The table as a pandas data frame, with the families that could not be ranked at its end.

        Returns
        -------
        pandas.DataFrame
            Indexed by family, one column for each number, and ``reason``.
        """
        import pandas as pd  # only here: the library does without it

        index = pd.Index([*self.names, *self.refused], name="family", dtype=object)
        columns = {
            name: np.r_[np.asarray(getattr(self, name), dtype=np.float64), [np.nan] * len(self.refused)]
            for name in _NUMBERS
        }
        return pd.DataFrame({**columns, "reason": ["" for _ in self.names] + list(self.refused.values())}, index=index)

    def _lines(self) -> list[list[str]]:
        lines = [["family", "mean log-lik.", "± s.e.", "behind best", "± s.e.", "AIC", "BIC", "parameters"]]
        for i, name in enumerate(self.names):
            behind = [f"{self.kl_difference[i]:.4f}", f"{self.kl_difference_error[i]:.4f}"] if i else ["best", ""]
            numbers = [f"{self.mean_log_likelihood[i]:.4f}", f"{self.standard_error[i]:.4f}", *behind]
            lines.append([name, *numbers, f"{self.aic[i]:.2f}", f"{self.bic[i]:.2f}", str(int(self.n_parameters[i]))])
        return lines

    def __repr__(self) -> str:
        return "\n".join([*table_lines(self._lines()), *(f"{name}: {reason}" for name, reason in self.refused.items())])

    def _repr_html_(self) -> str:
        head, *rows = self._lines()
        refused = "".join(
            f'<tr><td>{escape(name)}</td><td colspan="7" style="text-align: left">{escape(reason)}</td></tr>'
            for name, reason in self.refused.items()
        )
        return html_table(head, rows, more=refused)


class FamilyRanking(Mapping[Any, FamilyTable]):
    """Families ranked on a table: a mapping from columns to a ``FamilyTable`` each, and ``joint`` for all columns together.

    Parameters
    ----------
    columns : dict of FamilyTable
        By the name of a column, or its number where columns have no names.
    joint : FamilyTable
        Densities of whole rows: families of all columns at once, and as ``"product"`` independent columns, each with the family
        of the lowest BIC. For one column this is its own table.
    choices : dict of str
        The family of each column in that product.
    block : list
        Columns that a joint family takes together.
    left_out : dict of str
        Columns that no family was fitted to, with the reason.
    n_rows : int
        Rows of the table, without those of weight 0.
    n_ranked_rows : int
        Rows, drawn at random, that the ranking rests on.
    n_folds : int
        Parts of the cross-validation.
    n_excluded : int
        Rows that every joint candidate excludes, such as those of a label that occurs once; they are not in ``joint``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import rank_families
    >>> rng = np.random.default_rng(0)
    >>> X = np.column_stack([rng.gamma(2.0, size=500), rng.poisson(3.0, size=500)])
    >>> ranking = rank_families(X)
    >>> ranking[0].best, ranking[1].best, ranking.joint.best
    ('gamma', 'poisson', 'product')
    >>> model = ranking.density().fit(X)
    >>> model.densities_["x0"].family
    'gamma'
    """

    def __init__(
        self,
        columns: dict[Any, FamilyTable],
        joint: FamilyTable,
        *,
        choices: dict[Any, str],
        block: Sequence[Any],
        left_out: dict[Any, str],
        n_rows: int,
        n_ranked_rows: int,
        n_folds: int,
        n_excluded: int = 0,
    ):
        self.columns = columns
        self.joint = joint
        self.choices = choices
        self.block = list(block)
        self.left_out = left_out
        self.n_rows = n_rows
        self.n_ranked_rows = n_ranked_rows
        self.n_folds = n_folds
        self.n_excluded = n_excluded

    def __getitem__(self, column: Any) -> FamilyTable:
        return self.columns[column]

    def __iter__(self) -> Any:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    @property
    def best(self) -> str:
        """Name of the best joint density; the only candidate where it could not be ranked."""
        if self.joint.best is not None:
            return self.joint.best
        if len(self.columns) > 1 and len(self.choices) == len(self.columns):
            return PRODUCT
        if len(self.columns) == len(self.choices) == 1:
            return next(iter(self.choices.values()))
        reasons = "; ".join(f"{name}: {reason}" for name, reason in list(self.joint.refused.items())[:3])
        raise ValueError(f"None of the families fits these rows. {reasons}")

    def density(self, name: str | None = None) -> DensityMLE | ProductDensity:
        """One of the joint densities, to be fitted to the columns that were ranked: ``ranking.density().fit(X)``.

        Parameters
        ----------
        name : str, default=None
            One of ``joint.names``; None takes the best. Where columns were left out, fit it to the others:
            ``X[list(ranking)]``.

        Returns
        -------
        DensityMLE or ProductDensity
            Not fitted.

        Raises
        ------
        ValueError
            If there is no such density in the table.
        """
        name = self.best if name is None else name
        if name == PRODUCT and len(self.choices) == len(self.columns) > 1:
            keys = list(self.columns)
            return ProductDensity(
                [(label, DensityMLE(self.choices[key]), [key]) for label, key in self._labelled(keys)]
            )
        if name not in self.joint.names and name not in self.joint.refused and name not in self.choices.values():
            raise ValueError(
                f"There is no density named {name!r} in the table; there are {', '.join(self.joint.names)}."
            )
        if " x " not in name:
            return DensityMLE(name)
        family = name.split(" x ")[0]
        rest = [key for key in self.columns if key not in self.block]
        if not self.choices.keys() >= set(rest):
            raise ValueError(f"There is no density {name!r}: {self.joint.refused[name]}.")
        groups = [(label, DensityMLE(self.choices[key]), [key]) for label, key in self._labelled(rest)]
        return ProductDensity([(family, DensityMLE(family), self.block), *groups])

    def _labelled(self, keys: Sequence[Any]) -> list[tuple[str, Any]]:
        """Columns with names for their groups, none that of a joint family."""
        return list(zip(group_names(["multivariate_normal", "multivariate_t", *keys])[2:], keys, strict=True))

    def to_frame(self) -> Any:
        """All tables as one pandas data frame.

        Returns
        -------
        pandas.DataFrame
            Indexed by ``column`` (``"(joint)"`` for whole rows of several columns) and ``family``.
        """
        import pandas as pd  # only here: the library does without it

        parts = {"(joint)": self.joint, **self.columns} if len(self.columns) > 1 else dict(self.columns)
        return pd.concat({str(key): part.to_frame() for key, part in parts.items()}, names=["column"])

    def _lines(self) -> list[list[str]]:
        """A line for each column: its kind, the best family, and those that are not told apart from it."""
        lines = [["column", "holds", "best", "mean log-lik.", "± s.e.", "not told apart"]]
        for key, part in list(self.columns.items())[:_MOST_LINES]:
            best = part.best or self.choices.get(key, "-")
            numbers = [
                f"{values[0]:.4f}" if part.names else "" for values in (part.mean_log_likelihood, part.standard_error)
            ]
            lines.append([str(key), part.kind.split(",")[0], best, *numbers, ", ".join(not_told_apart(part)[:3])])
        return lines

    def _head(self) -> str:
        drawn = "" if self.n_ranked_rows == self.n_rows else f", {self.n_ranked_rows:,} of them drawn for the ranking"
        return f"{self.n_rows:,} rows{drawn}; {self.n_folds} folds, nats per row held out, best first"

    def _notes(self) -> list[str]:
        notes = [f"{key} left out: {reason}" for key, reason in self.left_out.items()]
        if len(self.columns) > _MOST_LINES:
            notes.insert(0, f"... and {len(self.columns) - _MOST_LINES} more columns")
        if self.n_excluded:
            notes.append(
                f"{self.n_excluded} rows that every joint density excludes when they are held out are left out of it"
            )
        return notes

    def __repr__(self) -> str:
        lines = [self._head(), "", repr(self.joint)]
        if len(self.columns) > 1:
            rows = self._lines()
            lines += ["", *table_lines(rows, left=range(len(rows[0])))]
        return "\n".join([*lines, *self._notes()])

    def _repr_html_(self) -> str:
        parts = [f"<p>{escape(self._head())}</p>", self.joint._repr_html_()]
        if len(self.columns) > 1:
            head, *rows = self._lines()
            parts.append(html_table(head, rows))
        return "".join([*parts, *(f"<p>{escape(note)}</p>" for note in self._notes())])


def not_told_apart(table: FamilyTable) -> list[str]:
    """The families within two standard errors of the best."""
    return [
        name
        for i, name in enumerate(table.names)
        if i and not table.kl_difference[i] > 2.0 * table.kl_difference_error[i]
    ]


def family_table(
    kind: str, found: Mapping[str, Trial], refused: Mapping[str, str], weights: Floats | None
) -> FamilyTable:
    """The table of what families gave on rows; what gives density 0 to some of those held out is refused."""
    refused, values = dict(refused), {}
    for name, trial in found.items():
        lost = int(np.isneginf(trial.held_out).sum())
        if lost:
            refused[name] = f"gives density 0 to {plural(lost, 'held-out row')}"
        else:
            values[name] = trial.held_out
    if not values:
        none: dict[str, Any] = {name: np.empty(0) for name in _NUMBERS}
        return FamilyTable(kind=kind, names=[], n_rows=0, refused=refused, **none)
    table = comparison_of(
        list(values), np.column_stack(list(values.values())), [found[name].n_parameters for name in values], weights
    )
    weight = float(len(table.log_densities) if weights is None else weights.sum())
    likelihood = np.array([found[name].log_likelihood for name in table.names])
    sizes = np.array([found[name].n_parameters for name in table.names])
    return FamilyTable(
        kind=kind,
        names=table.names,
        mean_log_likelihood=table.mean_log_likelihood,
        standard_error=table.standard_error,
        kl_difference=table.kl_difference,
        kl_difference_error=table.kl_difference_error,
        p_value=table.p_value,
        n_parameters=sizes,
        log_likelihood=likelihood,
        aic=2.0 * (sizes - likelihood),
        bic=sizes * np.log(weight) - 2.0 * likelihood,
        n_rows=table.n_rows,
        refused=refused,
    )
