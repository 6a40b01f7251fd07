"""The lines of a summary for a density of one family: every entry of every parameter, with the name of its column."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastkl._core.array_types import Params, Statistics
from fastkl.density.summary import HELD, Figures, Line, SummaryMembers
from fastkl.families.base import Family
from fastkl.families.mixture import Mixture
from fastkl.families.product import Product

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
                line = figures.line(*placed, float(value[index]), name, index)
                if name in fixed and fitted:
                    line = Line(*placed, float(value[index]), note=HELD)
                elif np.isnan(line.standard_error) and name in boundary:
                    line = Line(*placed, float(value[index]), note=boundary[name])
                lines.append((self._rank(name, index), line))
        lines.sort(key=lambda placed: placed[0])  # columns, or components, that are independent one after the other
        return [line for _, line in lines]

    def _rank(self, name: str, index: tuple[int, ...]) -> int:
        if isinstance(self.family_, Mixture):
            component = self.family_.layout.part_of(name, index)[0]
            return self.family_.layout.size if component is None else component
        return 0 if self.family_.joint else index[0]

    def _placed(self, name: str, index: tuple[int, ...], names: Sequence[str]) -> tuple[str, str] | None:
        """Column (or columns) and label of an entry; None for one that stands for nothing."""
        family, params, whose = self.family_, self.params_, ""
        if isinstance(family, Mixture):
            component, name, index = family.layout.part_of(name, index)
            whose = "all components: " if component is None else f"component {component}: "
            params, family = family.split(params)[component or 0], family.component_families[component or 0]
        if isinstance(family, Product) and name != "weight":
            part, name = family.part_of(name)
            family, params, names = part.family, part.own(params), [names[j] for j in part.columns]
        if not index:
            return "", f"{whose}{name}"
        labels_of: Any = getattr(family, "labels_of", None)
        if labels_of is not None and len(index) == 2:
            labels = labels_of(params)[index[0]]
            return (names[index[0]], f"{whose}P({labels[index[1]]})") if index[1] < len(labels) else None
        columns = dict.fromkeys(names[j] for j in index)  # a variance has its column once
        return ", ".join(columns), f"{whose}{name}"

    def _summary_notes(self) -> list[str]:
        notes, prior = [], getattr(self, "prior_", None)
        if prior is not None:
            notes.append(f"Maximum of the posterior with the prior {prior!r}; the log-likelihood is without it.")
        if isinstance(self.family_, Mixture) and self._fitted_weight() is not None and not self._determined():
            notes.append(
                "No standard errors: the rows do not determine all parameters, since the likelihood is flat in some direction. "
                "Fewer components, or some parameters held fixed, are determined."
            )
        return notes

    def _determined(self) -> bool:
        if "curvature" not in self.statistics_:
            return True  # nothing is known of it
        covariance = self.family_.covariance_of_params(self.statistics_, self.params_)[1]
        return not np.isnan(covariance).all()

    def _fitted_weight(self) -> float | None:
        return self.family_.statistics_weight(self.statistics_) if hasattr(self, "statistics_") else None

    def _fit_state(self) -> str:
        if not hasattr(self, "converged_"):
            return ""
        steps: int = getattr(self, "n_iter_", 1)
        state = "converged" if self.converged_ else "NOT CONVERGED"
        return f"{state} after {steps} iteration{'' if steps == 1 else 's'}"
