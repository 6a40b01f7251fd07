"""Tables and notes for a terminal: text on the left, numbers on the right, long sentences wrapped."""

import sys
import textwrap
from collections.abc import Sequence

from fastkl._core.text_tables import table_lines

WIDTH = 100


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns of equal width with a rule under the head: the first flush left, the others flush right."""
    lines = table_lines([head, *rows])
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def note(text: str, mark: str = "") -> str:
    """A sentence, wrapped and indented under its mark."""
    return textwrap.fill(text, WIDTH, initial_indent=mark, subsequent_indent=" " * len(mark))


def number(value: float) -> str:
    """A number in a column: four decimals, a power of ten where these would show nothing or too much, ``-`` for nan."""
    if value != value:
        return "-"
    if value in (float("inf"), float("-inf")):
        return "inf" if value > 0.0 else "-inf"
    large, small = abs(value) >= 1e6, 0.0 < abs(value) < 1e-4
    return f"{value:.4g}" if large or small else f"{value:.4f}"


def progress(text: str) -> None:
    """What is being done, in a line of a terminal that the next one replaces; nothing where stderr is not a terminal."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def remark(text: str) -> None:
    """A line beside the output of a command: something to know that is no error."""
    cleared = "\r\033[K" if sys.stderr.isatty() else ""  # a line of progress may stand there
    print(f"{cleared}fastkl: note: {text}", file=sys.stderr)
