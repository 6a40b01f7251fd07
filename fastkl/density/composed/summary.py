"""The lines of a summary for composed densities: those of the parts, under the names of groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fastkl.density.composed.groups import Group
from fastkl.density.summary import Figures, Line, SummaryMembers


class ProductSummary(SummaryMembers):
    """Members about the summary of a product."""

    groups_: list[Group]

    def _summary_title(self) -> str:
        return f"product of {len(self.groups_)} group{'' if len(self.groups_) == 1 else 's'}"

    def _parts(self) -> list[tuple[str, SummaryMembers, list[int]]]:
        return [(name, part, numbers) for name, part, numbers in self.groups_ if isinstance(part, SummaryMembers)]

    def _summary_lines(self, names: Sequence[str], figures: Figures) -> list[Line]:
        lines = []
        for name, part, numbers in self._parts():
            own = part._summary_lines([names[j] for j in numbers], figures.of_group(name))
            lines += [replace(line, parameter=f"{name}__{line.parameter}") for line in own]
        return lines

    def _summary_notes(self) -> list[str]:
        notes = [f"{name}: {note}" for name, part, _ in self._parts() for note in part._summary_notes()]
        known = {name for name, _, _ in self._parts()}
        return notes + [
            f"{name}: {type(part).__name__}, whose parameters are not known."
            for name, part, _ in self.groups_
            if name not in known
        ]

    def _fitted_weight(self) -> float | None:
        found = [part._fitted_weight() for _, part, _ in self._parts()]
        return next((weight for weight in found if weight is not None), None)

    def _fit_state(self) -> str:
        states = {name: part._fit_state() for name, part, _ in self._parts()}
        short = [name for name, state in states.items() if state.startswith("NOT")]
        if short:
            return f"NOT CONVERGED: {', '.join(short)}"
        return "converged" if any(states.values()) else ""


class TransformedSummary(SummaryMembers):
    """Members about the summary of a density behind a transformer."""

    transformer_: Any
    density_: Any

    @property
    def _inner(self) -> SummaryMembers:
        """What the density says of itself; of one from elsewhere nothing is known."""
        return self.density_ if isinstance(self.density_, SummaryMembers) else SummaryMembers()

    def _transformer_name(self) -> str | None:
        """The type of the transformer; None for one that changes nothing."""
        changes = self.transformer_ is not None and not isinstance(self.transformer_, str)
        return type(self.transformer_).__name__ if changes else None

    def _summary_title(self) -> str:
        own = isinstance(self.density_, SummaryMembers)
        inner, name = self._inner._summary_title() if own else type(self.density_).__name__, self._transformer_name()
        return inner if name is None else f"{inner} behind {name}"

    def _summary_lines(self, names: Sequence[str], figures: Figures) -> list[Line]:
        return self._inner._summary_lines(names, figures)

    def _summary_notes(self) -> list[str]:
        own, name = self._inner._summary_notes(), self._transformer_name()
        if name is None:
            return own
        return [
            *own,
            f"The parameters are those of the rows behind {name}, with what that learnt held fixed; the log-likelihood is "
            "that of the rows themselves.",
        ]

    def _fitted_weight(self) -> float | None:
        return self._inner._fitted_weight()

    def _fit_state(self) -> str:
        return self._inner._fit_state()
