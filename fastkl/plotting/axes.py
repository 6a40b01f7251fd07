"""What displays share: axes to draw on, colours that everybody can tell apart, and axis labels with units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# The blue and orange of M. Okabe and K. Ito's palette beside greys: distinct with every kind of colour vision and on paper.
BLUE, ORANGE, GREY, DARK_GREY = "#0072B2", "#D55E00", "#BBBBBB", "#555555"


def figure_with_axes(down: int, across: int, size: tuple[float, float]) -> Any:
    """The grid of axes of a new pyplot figure of that size in inches; ImportError that names the extra."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("A plot needs matplotlib: pip install 'fastkl[plot]'.") from error
    return plt.subplots(down, across, figsize=size, layout="constrained", squeeze=False)[1]


def legend_above(ax: Any, handles: Sequence[Any]) -> None:
    """A legend on top of the axes, where it hides nothing, and above the power of ten of their numbers where there is one."""
    ticks = ax.yaxis.get_major_formatter()
    ticks.set_locs(ax.yaxis.get_majorticklocs())
    pad = 1.4 if ticks.get_offset() else 0.2
    ax.legend(handles=handles, frameon=False, loc="lower left", bbox_to_anchor=(0.0, 1.0), borderaxespad=pad)


def numbers_in_full(axis: Any) -> None:
    """A power of ten in every number of the axis, not at its end, where the label of the axis stands."""
    ticks = axis.get_major_formatter()
    ticks.set_locs(axis.get_majorticklocs())
    if ticks.get_offset():
        axis.get_major_locator().set_params(nbins=4)
        axis.set_major_formatter("{x:.4g}")


def shortened(text: str, most: int = 30) -> str:
    """A name that fits beside axes, whose side is about so many letters long: its beginning and its end."""
    end = most // 3
    return text if len(text) <= most else f"{text[: most - 1 - end].rstrip()}…{text[-end:].lstrip()}"


def with_unit(name: str, unit: str | None) -> str:
    """``"waiting (min)"``."""
    return f"{shortened(name)} ({unit})" if unit else shortened(name)


def unit_of(units: str | Sequence[str] | Mapping[str, str] | None, names: Sequence[str]) -> list[str | None]:
    """One unit or None for each of the columns drawn; ValueError if their number does not fit."""
    if units is None:
        return [None] * len(names)
    if isinstance(units, Mapping):
        return [units.get(name) for name in names]
    given = [units] if isinstance(units, str) else list(units)
    if len(given) != len(names):
        raise ValueError(f"units names {len(given)} units for {len(names)} columns drawn ({', '.join(names)}).")
    return list(given)
