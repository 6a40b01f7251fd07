"""Several sources one after the other, as one: files by a pattern, a list of paths."""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any

from fastkl.exceptions import SourceError
from fastkl.rows.columns import listed
from fastkl.rows.source import Block, Source, SourceInParts, unchanged
from fastkl.rows.weights import Weights


class ChainedSource(SourceInParts):
    """Sources whose columns are known and the same; rows and blocks are numbered through."""

    def __init__(self, sources: Sequence[Source], places: Sequence[str], weights: Weights | None = None):
        self._sources, self._places, self._weights = sources, places, weights
        self.guess = next((source.guess for source in sources if source.guess), "")
        self.codes = {name: code for source in sources for name, code in source.codes.items()}
        lengths = [source.n_rows for source in sources]
        if all(length is not None for length in lengths):
            self.n_rows = sum(length for length in lengths if length is not None)
        self._agree()

    def _agree(self) -> None:
        first = self._sources[0]
        for source, place in zip(self._sources, self._places, strict=True):
            if source.n_columns != first.n_columns:
                raise SourceError(
                    f"{place} has {source.n_columns} columns, {self._places[0]} has {first.n_columns}: choose columns=[...]."
                )
            if source.names != first.names:
                raise SourceError(
                    f"{place} has the columns {listed(source.names or ['(without names)'])}, {self._places[0]} has "
                    f"{listed(first.names or ['(without names)'])}: choose columns=[...]."
                )
        self.names, self.n_columns, self.decimal = first.names, first.n_columns, first.decimal

    def select(self, columns: Sequence[Any]) -> None:
        for source in self._sources:
            source.select(columns)
        self._agree()

    def parts(self) -> Generator[Callable[[], Block]]:
        row, number = 0, 0
        for source in self._sources:
            if source.n_rows is None:  # a row's number follows from reading all rows before it
                with closing(source.blocks()) as blocks:
                    for block in blocks:
                        yield partial(self._moved, partial(unchanged, replace(block, first_row=0)), row, number)
                        row, number = row + len(block.X), number + 1
            else:
                with closing(source.parts()) as parts:
                    for part in parts:
                        yield partial(self._moved, part, row, number)
                        number += 1
                row += source.n_rows
        if self._weights is not None and self.n_rows is None:
            self._weights.check(row)

    def _moved(self, part: Callable[[], Block], first_row: int, number: int) -> Block:
        block = part()
        first = block.first_row + first_row
        weights = block.weights if self._weights is None else self._weights.part(first, len(block.X))
        return replace(block, weights=weights, first_row=first, number=number)
