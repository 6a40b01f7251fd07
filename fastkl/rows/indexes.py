"""Rows of pandas that belong together, which are taken together by their place: one index in one order, or an error."""

from __future__ import annotations

from typing import Any

from fastkl.exceptions import SourceError


def refuse_other_rows(first: Any, second: Any, names: tuple[str, str]) -> None:
    """SourceError where two that belong together row by row have one index of rows in different order."""
    indexes: list[Any] = [getattr(data, "index", None) for data in (first, second)]
    if not all(type(index).__module__.split(".")[0] == "pandas" for index in indexes) or not same_in_other_order(
        *indexes
    ):
        return
    row = next(i for i, (one, other) in enumerate(zip(*indexes, strict=True)) if one != other)
    raise SourceError(
        f"{names[0]} and {names[1]} have the same index in different order: row {row} is {indexes[0][row]!r} in one and "
        f"{indexes[1][row]!r} in the other, and rows are taken together by their place. Give both one order, such as by "
        f".loc[other.index], or pass arrays (such as .to_numpy())."
    )


def same_in_other_order(first: Any, second: Any) -> bool:
    """Whether two indexes of rows hold the same labels once each, in different order."""
    if len(first) != len(second) or first.equals(second) or not (first.is_unique and second.is_unique):
        return False
    return len(first.union(second)) == len(first)
