"""``summary()``: what a fit found, parameter by parameter and column by column, as text, HTML and a data frame."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import isnan
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastkl._core.array_types import Params
from fastkl._core.text_tables import table_lines
from fastkl.density.contract import Density

# Lines that the text and the HTML show; the data frame has all.
MOST_LINES = 60
_WIDEST = 36  # characters of a column's name


@dataclass(frozen=True)
class Line:
    """One entry of a parameter: what it belongs to, its estimate, and how sure that is (NaN where there is no such number)."""

    column: str
    parameter: str
    estimate: float
    standard_error: float = np.nan
    robust_standard_error: float = np.nan
    low: float = np.nan
    high: float = np.nan
    note: str = ""


@dataclass(frozen=True)
class Figures:
    """Dicts shaped like ``params_``: standard errors, robust ones, and ends of intervals."""

    errors: Params = field(default_factory=dict)
    robust: Params = field(default_factory=dict)
    intervals: dict[str, Any] = field(default_factory=dict)

    def of_group(self, name: str) -> Figures:
        """Those of a group of a product."""
        return Figures(*(part.get(name, {}) for part in (self.errors, self.robust, self.intervals)))

    def line(self, column: str, parameter: str, estimate: float, name: str, index: tuple[int, ...]) -> Line:
        """A line with the numbers of this entry of the parameter ``name``."""

        def at(values: Any) -> float:
            return float(np.asarray(values)[index]) if values is not None else np.nan

        low, high = self.intervals.get(name, (None, None))
        errors, robust = at(self.errors.get(name)), at(self.robust.get(name))
        return Line(column, parameter, estimate, errors, robust, at(low), at(high))


class Summary:
    """A table of a fitted density, to print, to show in a notebook, or to go on with: ``density.summary()`` makes it.

    Parameters
    ----------
    title : str
        What was fitted.
    facts : list of (str, str)
        Names and values of what holds for the fit as a whole.
    lines : list of Line
        One for each entry of a parameter.
    notes : list of str
        Sentences under the table.
    level : float
        Confidence of the intervals.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE
    >>> X = np.random.default_rng(0).gamma(2.0, 3.0, size=(500, 1))
    >>> print(DensityMLE("gamma").fit(X).summary())
    gamma: 500 rows, 1 column
    log-likelihood -1294.6    parameters 2    AIC 2593.3    BIC 2601.7    converged after 3 iterations
    <BLANKLINE>
    column    parameter  estimate  std. error  95 % interval
    ------------------------------------------------------------
    column 0  shape        2.2184     0.13113  1.9757 ... 2.4909
    column 0  scale        2.5594     0.16968  2.2475 ... 2.9145
    """

    def __init__(self, title: str, facts: list[tuple[str, str]], lines: list[Line], notes: list[str], level: float):
        self.title = title
        self.facts = facts
        self.lines = lines
        self.notes = notes
        self.level = level

    def to_frame(self) -> Any:
        """The table as a pandas DataFrame.

        Returns
        -------
        DataFrame
            A row for each entry of a parameter: column, parameter, estimate, standard_error, robust_standard_error (where it
            was asked for), low, high and note. NaN where there is no such number.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        import pandas as pd

        names = ["column", "parameter", "estimate", "standard_error", "robust_standard_error", "low", "high", "note"]
        table = pd.DataFrame([[getattr(line, name) for name in names] for line in self.lines], columns=names)
        return table if self._robust else table.drop(columns="robust_standard_error")

    @cached_property
    def _robust(self) -> bool:
        return any(not isnan(line.robust_standard_error) for line in self.lines)

    def _cells(self) -> tuple[list[str], list[list[str]], list[str]]:
        """Headings, the rows that are shown, and sentences: those of boundaries by their number."""
        sentences: list[str] = []
        heads = ["column", "parameter", "estimate", "std. error", *(["robust s.e."] if self._robust else [])]
        rows = []
        for line in self.lines[:MOST_LINES]:
            mark = ""
            if line.note and line.note != HELD:
                if line.note not in sentences:
                    sentences.append(line.note)
                mark = f" see [{sentences.index(line.note) + 1}]"
            elif line.note:
                mark = f" {HELD}"
            name = line.column if len(line.column) <= _WIDEST else line.column[: _WIDEST - 3] + "..."
            numbers = [_number(line.estimate), _number(line.standard_error)]
            numbers += [_number(line.robust_standard_error)] if self._robust else []
            interval = "" if isnan(line.low) else f"{_number(line.low)} ... {_number(line.high)}"
            rows.append([name, line.parameter, *numbers, (interval + mark).strip()])
        heads.append(f"{100.0 * self.level:g} % interval")
        under = [f"[{i}] {sentence}" for i, sentence in enumerate(sentences, 1)] + self.notes
        if len(self.lines) > MOST_LINES:
            under.insert(0, f"... and {len(self.lines) - MOST_LINES:,} more: to_frame() has all.")
        return heads, rows, under

    def __str__(self) -> str:
        heads, rows, under = self._cells()
        text = [self.title]
        if self.facts:
            text.append("    ".join(f"{name} {value}".strip() for name, value in self.facts))
        if rows:
            head, *lines = table_lines([heads, *rows], left=(0, 1, len(heads) - 1))
            text += ["", head, "-" * max(map(len, (head, *lines))), *lines]
        return "\n".join([*text, *under])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        heads, rows, under = self._cells()
        facts = " &middot; ".join(html.escape(f"{name} {value}".strip()) for name, value in self.facts)
        head = "".join(f"<th>{html.escape(name)}</th>" for name in heads)

        def row(cells: Sequence[str]) -> str:
            right = ' style="text-align: right"'
            return "".join(
                f"<td{right if 2 <= i < len(cells) - 1 else ''}>{html.escape(cell)}</td>"
                for i, cell in enumerate(cells)
            )

        body = "".join(f"<tr>{row(cells)}</tr>" for cells in rows)
        notes = "".join(f"<div>{html.escape(sentence)}</div>" for sentence in under)
        return (
            f"<div><strong>{html.escape(self.title)}</strong><div>{facts}</div>"
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{notes}</div>"
        )


HELD = "held fixed"


def _number(value: float) -> str:
    return "" if isnan(value) else f"{value:.5g}"


def _count(number: float, name: str) -> str:
    return f"{number:,.6g} {name}{'' if number == 1 else 's'}"


class SummaryMembers(Density):
    """The member that sums up a fit. A kind of density gives the methods that begin with an underscore."""

    def _summary_title(self) -> str:
        return type(self).__name__

    def _summary_lines(self, names: Sequence[str], figures: Figures) -> list[Line]:
        """Lines of all parameters, columns by their names."""
        return []

    def _summary_notes(self) -> list[str]:
        return []

    def _fitted_weight(self) -> float | None:
        """Sum of the weights of the rows that were fitted to; None where none were."""
        return None

    def _fit_state(self) -> str:
        """Whether the maximum was reached, in words; empty where there was no search."""
        return ""

    def summary(
        self,
        *,
        level: float = 0.95,
        robust: bool = False,
        X: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Summary:
        """A table of the fit: estimates, standard errors and intervals by column and parameter, and criteria.

        Parameters
        ----------
        level : float, default=0.95
            Confidence of the intervals, which are those of ``confidence_intervals``.
        robust : bool, default=False
            Whether to add robust standard errors, and to take the intervals from them. That needs the rows, or a fit with
            ``robust_errors=True``.
        X : array-like of shape (n, d), default=None
            The rows of the fit, for robust errors.
        sample_weight : array-like of shape (n,), default=None
            Their weights.

        Returns
        -------
        Summary
            Printed as text, shown as HTML in a notebook, and a data frame by ``to_frame()``. A parameter that is held fixed, or
            sits at a boundary, has no standard error, and the table says why.

        Examples
        --------
        >>> from fastkl import DensityMLE
        >>> counts = [[0.0], [1.0], [1.0], [2.0], [2.0], [3.0]]
        >>> print(DensityMLE("negative_binomial").fit(counts).summary())
        negative_binomial: 6 rows, 1 column
        log-likelihood -8.5289    parameters 2    AIC 21.058    BIC 20.641    converged after 1 iteration
        <BLANKLINE>
        column    parameter  estimate  std. error  95 % interval
        -------------------------------------------------------------
        column 0  size            inf              see [1]
        column 0  mean            1.5         0.5  0.78047 ... 2.8829
        [1] The counts vary no more than Poisson counts of the same mean: size is infinite, the Poisson distribution (column 0)
        """
        self._check_fitted()
        figures, notes = self._figures(level, robust, X, sample_weight), self._summary_notes()
        if self._fitted_weight() is not None and not figures.errors:
            try:
                _ = self.inference_
            except AttributeError as error:  # a fit that did not form the information
                notes.append(f"No standard errors: {error}")
        lines = self._summary_lines(self._shown_columns(), figures)
        weight, facts = self._fitted_weight(), []
        rows = "known parameters" if weight is None else _count(weight, "row")
        title = f"{self._summary_title()}: {rows}, {_count(self.n_features_in_, 'column')}"
        total = getattr(self, "log_likelihood_", None)
        if weight is not None and total is not None:
            facts.append(("log-likelihood", f"{total:.5g}"))
            p = getattr(self, "n_parameters_", None)
            if p is not None:
                criteria = (2.0 * p - 2.0 * total, p * np.log(weight) - 2.0 * total)
                facts += [("parameters", f"{p:,}"), ("AIC", f"{criteria[0]:.5g}"), ("BIC", f"{criteria[1]:.5g}")]
            facts.append(("", self._fit_state()))
        return Summary(title, facts, lines, notes, level)

    def _shown_columns(self) -> list[str]:
        names = self._column_names()
        return [f"column {j}" for j in range(self.n_features_in_)] if names is None else [str(name) for name in names]

    def _figures(self, level: float, robust: bool, X: Any, sample_weight: Any) -> Figures:
        density: Any = self
        if self._fitted_weight() is None or getattr(self, "inference_", None) is None:
            if robust:
                raise AttributeError("Robust errors need a fit; this density was made from known parameters.")
            return Figures()
        intervals = density.confidence_intervals(level, robust=robust, X=X, sample_weight=sample_weight)
        found = {}
        if robust:
            found = density.robust_standard_errors_ if X is None else density.robust_standard_errors(X, sample_weight)
        return Figures(density.standard_errors_, found, intervals)
