"""What stands between the values of a text file, and whether its numbers have a decimal comma: told by its first lines.

A decimal comma is taken only where it cannot be anything else: values are apart by semicolons or tabs (as spreadsheets write
them where the comma is the decimal mark), a column of the first lines holds numbers with one comma and nothing else, of which
one is no thousand in groups of three (``1,234``), and no column holds numbers with a point. All that does not fit later on is
no number, and an error with its place.
"""

import csv
import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fastkl._core.whole_numbers import EXACT

MISSING = ["", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "null", "NULL", "None"]
DELIMITERS = ",;\t"
LOOKED_AT, MOST_CHARACTERS = 100, 1 << 20  # lines, and what they may hold
_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_POINT = re.compile(r"[+-]?(\d+\.\d*|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True)
class Dialect:
    """The delimiter and the decimal mark."""

    delimiter: str
    decimal: str = "."

    def number(self, text: str) -> float:
        """The number that is written there; ValueError for anything else."""
        if "_" in text:  # Python takes 1_000 for a number
            raise ValueError
        if self.decimal == ",":
            if "." in text:
                raise ValueError
            text = text.replace(",", ".", 1)
        return float(text)

    def is_number(self, text: str) -> bool:
        """Whether the text is a number or stands for a missing one."""
        try:
            self.number(text)
        except ValueError:
            return text.strip() in MISSING
        return True

    def is_value(self, text: str) -> bool:
        """Whether the text is a number that is there."""
        return text.strip() not in MISSING and self.is_number(text)


def first_lines(stream: Iterable[str]) -> list[str]:
    """As many lines as are looked at, fewer of a wide table."""
    lines, characters = [], 0
    for line in itertools.islice(stream, LOOKED_AT):
        lines.append(line)
        characters += len(line)
        if characters > MOST_CHARACTERS:
            break
    return lines


def dialect_of(lines: Sequence[str], delimiters: str = DELIMITERS) -> Dialect:
    """The dialect under which the lines are a table of as many numbers as possible.

    Parameters
    ----------
    lines : sequence of str
        The first lines of the file, from one that is not blank.
    delimiters : str
        What may stand between values.

    Returns
    -------
    Dialect
        Of the delimiters in the first line that one which gives all lines as many values; of several the one by which most
        values are numbers, then the most frequent in the first line.
    """
    unquoted = re.sub(r'"[^"]*"', "", lines[0])
    known = [delimiter for delimiter in delimiters if delimiter in unquoted] or list(delimiters[:1])
    read = [_read(lines, delimiter) for delimiter in known]
    ranks = [(*rank, unquoted.count(delimiter)) for (_, rank), delimiter in zip(read, known, strict=True)]
    return read[ranks.index(max(ranks))][0]


def code_of(values: Sequence[str], alone: bool) -> str | None:
    """The first of the values that is a code rather than a number, where all are whole numbers: what a number would lose.

    That are leading zeros (``01000``) and digits beyond those of a floating-point number. ``alone`` is for the digits behind the
    only separator of a file without names, which may be decimals: ``05`` is enough there.
    """
    digits = [text for value in values if (text := value.strip()) not in MISSING]
    if not all(map(str.isdecimal, digits)):
        return None
    least = 2 if alone else 3
    return next((text for text in digits if (text[0] == "0" and len(text) >= least) or int(text) >= EXACT), None)


def other_separator(name: object, texts: Sequence[str]) -> str | None:
    """What may stand between values that were read as one column of texts: in the name and, as often, in every text.

    Words have blanks between them too: there one of the values has to be a number in every row.
    """
    for separator in "|", " ":
        parts = [text.split(separator if separator != " " else None) for text in (str(name), *texts[:LOOKED_AT])]
        if len(parts[0]) < 2 or len(parts) < 2 or len(set(map(len, parts))) > 1:
            continue
        columns = list(zip(*parts[1:], strict=True))
        if separator != " " or any(all(map(Dialect("").is_value, column)) for column in columns):
            return separator
    return None


def _read(lines: Sequence[str], delimiter: str) -> tuple[Dialect, tuple[bool, float]]:
    """The dialect with this delimiter, whether all lines have as many values, and the share of numbers among these."""
    try:
        records = [record for record in csv.reader(lines, delimiter=delimiter, skipinitialspace=True) if record]
    except csv.Error:
        return Dialect(delimiter), (False, 0.0)
    if len(records) > 2:
        records = records[:-1]  # the last one may go on in lines not looked at
    dialect = Dialect(delimiter, "." if delimiter == "," else _decimal_mark(records))
    values = [value for record in records for value in record]
    even = len(set(map(len, records))) == 1
    return dialect, (even, sum(map(dialect.is_number, values)) / len(values))


def _decimal_mark(records: list[list[str]]) -> str:
    rows = records[1:] or records  # the first may hold names
    sure = False
    for column in itertools.zip_longest(*rows, fillvalue=""):
        values = [text for value in column if (text := value.strip()) not in MISSING]
        if not values:
            continue
        if any(map(_POINT.fullmatch, values)) and all(map(Dialect("").is_number, values)):
            return "."
        if all(map(Dialect("", ",").is_number, values)):
            sure |= any(_COMMA.fullmatch(value) and not _THOUSANDS.fullmatch(value) for value in values)
    return "," if sure else "."
