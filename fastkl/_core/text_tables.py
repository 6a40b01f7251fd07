"""Tables as lines of text and in HTML, as results of any kind print them and show them in a notebook."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from html import escape


def table_lines(rows: Sequence[Sequence[str]], left: Collection[int] = (0,)) -> list[str]:
    """A line for each row, in columns of equal width: those numbered ``left`` flush left, the others flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = [str.ljust if j in left else str.rjust for j in range(len(widths))]
    lines = [[side(cell, width) for side, cell, width in zip(sides, row, widths, strict=True)] for row in rows]
    return ["  ".join(line).rstrip() for line in lines]


def html_table(
    head: Iterable[str], rows: Iterable[Iterable[str]], pictures: Iterable[str] | None = None, more: str = ""
) -> str:
    """The table in HTML; ``pictures``, which are HTML already, are its last column, and ``more`` are its last lines."""
    lines = ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows]
    if pictures is not None:
        lines = [f"{line}<td>{picture}</td>" for line, picture in zip(lines, pictures, strict=True)]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><tr>{''.join(f'<th>{escape(cell)}</th>' for cell in head)}</tr>{body}{more}</table>"


def html_facts(facts: Mapping[str, str]) -> str:
    """A table of names and values, which are HTML already."""
    return f"<table>{''.join(f'<tr><th>{name}</th><td>{value}</td></tr>' for name, value in facts.items())}</table>"
