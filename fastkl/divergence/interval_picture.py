"""Intervals as small pictures in a notebook: SVG as text, in the colour of the text around it, so that it needs no library."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

_WIDTH, _HEIGHT, _LOW_HEIGHT, _EDGE = 260.0, 34.0, 22.0, 14.0
_LETTER = 6.5  # width of a digit of size 10, in most fonts less


def interval_picture(value: float, low: float, high: float, label: str, axis: tuple[float, float] | None = None) -> str:
    """A dot with a bar from ``low`` to ``high`` and a dotted line at 0; nothing where one of the numbers is not finite.

    ``label`` is what is read out instead of the picture. An ``axis`` that is given is one of several pictures, without numbers.
    """
    if not all(map(math.isfinite, (value, low, high))) or not low < high:
        return ""
    left, right = (min(0.0, low), max(0.0, high)) if axis is None else axis

    def x(number: float) -> str:
        return f"{_EDGE + (_WIDTH - 2.0 * _EDGE) * (number / (right - left) - left / (right - left)):.1f}"

    marks, height = "", _LOW_HEIGHT
    if axis is None:
        # an end beside the 0 would be written over it
        numbers = {end: f"{end:.3g}" for end in (low, high) if abs(end) > 0.2 * (right - left)}
        places = _places([float(x(end)) for end in numbers], list(numbers.values()))
        marks = _text(float(x(0.0)), "0") + "".join(map(_text, places, numbers.values()))
        height = _HEIGHT
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH:g}" height="{height:g}" role="img" '
        f'aria-label="{html.escape(label, quote=True)}">'
        f'<line x1="{x(0.0)}" x2="{x(0.0)}" y1="2" y2="20" stroke="currentColor" stroke-dasharray="2 2" opacity="0.6"/>'
        f'<line x1="{x(low)}" x2="{x(high)}" y1="11" y2="11" stroke="#0072B2" stroke-width="2"/>'
        f'<circle cx="{x(value)}" cy="11" r="4" fill="#0072B2"/>{marks}</svg>'
    )


def _text(place: float, shown: str) -> str:
    return f'<text x="{place:.1f}" y="31" font-size="10" text-anchor="middle" fill="currentColor">{shown}</text>'


def _places(wanted: list[float], shown: list[str]) -> list[float]:
    """Middles of one or two texts near the wanted places: inside the picture, and one beside the other."""
    halves = [0.5 * _LETTER * len(text) for text in shown]
    places = [min(max(at, half), _WIDTH - half) for at, half in zip(wanted, halves, strict=True)]
    if len(places) == 2:
        apart = sum(halves) + _LETTER
        places[0] = max(min(places[0], places[1] - apart), halves[0])
        places[1] = max(places[1], places[0] + apart)
    return places


def interval_pictures(values: Sequence[float], lows: Sequence[float], highs: Sequence[float], unit: str) -> list[str]:
    """Pictures of several intervals on one axis, for the lines of a table."""
    ends = [end for pair in zip(lows, highs, strict=True) if all(map(math.isfinite, pair)) for end in pair]
    axis = (min([0.0, *ends]), max([0.0, *ends]))
    if not axis[0] < axis[1]:
        return [""] * len(values)
    return [
        interval_picture(value, low, high, f"95 % interval from {low:.3g} to {high:.3g} {unit}", axis)
        for value, low, high in zip(values, lows, highs, strict=True)
    ]
