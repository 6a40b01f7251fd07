"""The lines of a summary for a density of one family: every entry of every parameter, with the name of its column."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastkl._core.array_types import Params, Statistics
from fastkl.density.summary import HELD, Figures, Line, SummaryMembers
from fastkl.families.base import Family

_ENTRY = re.compile(r"\[([\d,]+)\]$")


class FamilySummary(SummaryMembers):
    """Members about the summary of a density of one family."""

    family_: Family
    params_: Params
    statistics_: Statistics

    def _summary_title(self) -> str:
        return self.family_.name

    def _summary_lines(self, names: Sequence[str], figures: Figures) -> list[Line]:
        family = self.family_
        lines: list[tuple[int, Line]] = []
        fixed, boundary = family.fixed_parameters(), getattr(self, "boundary_", {})
        fitted = self._fitted_weight() is not None
        for name, space in family.spaces().items():
            value = np.asarray(self.params_[name])
            for entry in space.entries(name, self.params_[name]):
                found = _ENTRY.search(entry)
                index = tuple(map(int, found[1].split(","))) if found else ()
                placed = self._placed(name, index, names)
                if placed is None:
                    continue
                line = figures.line(name, index, Line(*placed, float(value[index])))
                if name in fixed and fitted:
                    line = Line(*placed, float(value[index]), note=HELD)
                elif np.isnan(line.standard_error) and name in boundary:
                    line = Line(*placed, float(value[index]), note=boundary[name])
                lines.append((0 if family.joint else index[0], line))
        lines.sort(key=lambda placed: placed[0])  # columns that are independent one after the other
        return [line for _, line in lines]

    def _placed(self, name: str, index: tuple[int, ...], names: Sequence[str]) -> tuple[str, str] | None:
        """Column (or columns) and label of an entry; None for one that stands for nothing."""
        if not index:
            return "", name
        labels_of: Any = getattr(self.family_, "labels_of", None)
        if labels_of is not None and len(index) == 2:
            labels = labels_of(self.params_)[index[0]]
            return (names[index[0]], f"P({labels[index[1]]})") if index[1] < len(labels) else None
        columns = dict.fromkeys(names[j] for j in index)  # a variance has its column once
        return ", ".join(columns), name

    def _summary_notes(self) -> list[str]:
        prior = getattr(self, "prior_", None)
        return (
            []
            if prior is None
            else [f"Maximum of the posterior with the prior {prior!r}; the log-likelihood is without it."]
        )

    def _fitted_weight(self) -> float | None:
        return self.family_.statistics_weight(self.statistics_) if hasattr(self, "statistics_") else None

    def _fit_state(self) -> str:
        if not hasattr(self, "converged_"):
            return ""
        steps: int = getattr(self, "n_iter_", 1)
        state = "converged" if self.converged_ else "NOT CONVERGED"
        return f"{state} after {steps} iteration{'' if steps == 1 else 's'}"
