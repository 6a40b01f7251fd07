"""CSV files, read a few megabytes at a time. A first line of numbers is a row and any other holds names, unless
``CsvPath`` says which.
What stands between values and the decimal mark are told by the first lines (``csv_dialect``).

Arrow reads them where it is installed. What it refuses is read from that row on by Python's ``csv``, which either can (spaces
before quotes) or names row, column and value; without Arrow that reads everything. Text is without its leading spaces, whoever
reads it. Rows count from 0, without the header.
"""

import csv
import gzip
import itertools
import re
import zlib
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl.exceptions import SourceError
from fastkl.rows.batch import Choice, chosen
from fastkl.rows.columns import column_number
from fastkl.rows.source import Block, Source
from fastkl.rows.sources.csv_dialect import DELIMITERS, MISSING, Dialect, code_of, dialect_of, first_lines
from fastkl.rows.sources.read_ahead import read_ahead
from fastkl.rows.weights import Weights

TEXT_BYTES, TEXT_ROWS, TEXT_VALUES = 8 << 20, 1 << 15, 1 << 20  # at most so much at a time
_WHOLE, _LONGEST = r"\s*[+-]?\d+\s*", 18  # whole numbers, and digits that all of them are told apart by
MOST_COLUMNS = 20_000  # Arrow takes 7 KB for each, however few the rows


class CsvSource(Source):
    """The rows of a text file with commas, semicolons or tabs between values, plain or compressed by gzip (``.gz``).

    Between semicolons or tabs numbers may have a decimal comma. Labels are whole numbers, numbers, truth values or text: of these
    the first that fits the whole column. A first column without a name that counts the rows, as pandas and R write it, is the
    index and no column, unless columns are chosen.
    """

    def __init__(self, path: Path, choice: Choice, weights: Weights | None = None, block_rows: int | None = None):
        self._path, self._choice, self._weights, self._block_rows = path, choice, weights, block_rows
        self._kinds: dict[str, Callable[[str], Any]] | None = None
        self._dialect = Dialect(",")
        fields = _read_safely(path, self._head)
        told, numbers = choice.header, all(map(self._dialect.is_number, fields))
        self._headless = numbers if told is None else not told
        if told is None:
            self.guess = "row" if numbers else "names" if any(map(self._dialect.is_value, fields)) else ""
        if told is None and numbers:
            _raise_if_numbers_of_columns(path, fields, self._peeked, self._dialect)
        self._names = [f"f{j}" for j in range(len(fields))] if self._headless else _unique(fields)
        columns = list(zip(*self._first_records, strict=False))
        self._has_index = not fields[0] and len(fields) > 1 and _counts_rows(columns[0][1:] if columns else ())
        alone = self._headless and len(fields) == 2 and self._dialect.delimiter == ","
        found = ((j, code_of(values[not self._headless :], alone and j == 1)) for j, values in enumerate(columns))
        self.codes = {str(j) if self._headless else self._names[j]: code for j, code in found if code is not None}
        self.decimal = self._dialect.decimal
        self._resolve()

    def _stream(self) -> Any:
        opener: Any = gzip.open if self._path.suffix == ".gz" else open
        return opener(self._path, "rt", newline="", encoding="utf-8-sig")

    def _head(self) -> list[str]:
        """The fields of the first line that is not blank; the dialect, and the lines up to there."""
        with self._stream() as stream:
            blank, first = 0, ""
            for first in stream:
                if first.strip():
                    break
                blank += 1
            if not first.strip():
                raise SourceError(f"{self._path} is empty.")
            if first.startswith("sep="):
                raise SourceError(
                    f"{self._path} begins with {first.strip()!r}, which names the separator for a spreadsheet program: remove "
                    "that line."
                )
            lines = first_lines(itertools.chain([first], stream))
            self._dialect = dialect_of(lines, "\t" if ".tsv" in self._path.suffixes[-2:] else DELIMITERS)
            delimiter = self._dialect.delimiter
            reader = csv.reader(itertools.chain(lines, stream), delimiter=delimiter, skipinitialspace=True)
            fields = next(reader)
            self._head_lines = blank + reader.line_num
            self._peeked = next(reader, [])
            records = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
            self._first_records = [record for record in records if len(record) == len(fields)]
            return [field.strip() for field in fields]

    def _resolve(self) -> None:
        place = str(self._path)
        names = None if self._headless else self._names
        if names is None and self._choice.weights is not None:
            raise SourceError(
                f"{place} starts with a row of {'values' if self._choice.header is False else 'numbers'} in place of names, so "
                f"that {self._choice.weights!r} names no weights."
            )
        self._wanted = [self._names[j] for j in chosen(self._choice, names, len(self._names), place)]
        if self._choice.columns is None and self._has_index:
            self._wanted.remove(self._names[0])
        if self._choice.weights is not None:
            column_number(self._choice.weights, names, len(self._names), place)
        self.names, self.n_columns = None if self._headless else self._wanted, len(self._wanted)

    def select(self, columns: Sequence[Any]) -> None:
        if self._choice.columns is None and not self._headless:
            self._choice, self._kinds = replace(self._choice, columns=list(columns)), None
            self._resolve()

    def blocks(self) -> Generator[Block]:
        return read_ahead(self._converted())

    def _converted(self) -> Generator[Block]:
        number, row, labels, weight = 0, 0, self._choice.labels, self._choice.weights
        if labels and self._kinds is None:
            self._kinds = self._label_kinds()
        numbers = ([] if labels else self._wanted) + ([] if weight is None else [weight])
        for batch in self._batches(set(numbers), set(self._wanted) if labels else set()):
            columns = [_labels(batch[j], self._kinds[j]) if self._kinds else batch[j] for j in self._wanted]
            X = _matrix(columns)
            size = self._block_rows or max(1, len(X))
            for start in range(0, len(X), size):
                part = X[start : start + size]
                given = None if weight is None else batch[weight][start : start + size]
                if self._weights is not None:
                    given = self._weights.part(row, len(part))
                yield Block(np.ascontiguousarray(part), given, row, number)
                number, row = number + 1, row + len(part)
        if self._weights is not None:
            self._weights.check(row)

    def _label_number(self, text: str) -> float:
        """A label as a number; ValueError where it is too long to be one number, as codes of 20 digits are."""
        if len(text) > _LONGEST and re.fullmatch(_WHOLE, text):
            raise ValueError
        return self._dialect.number(text)

    def _label_kinds(self) -> dict[str, Callable[[str], Any]]:
        """What the labels of each column are, by a pass of its own."""
        kinds: tuple[Callable[[str], Any], ...] = (_int, self._label_number, _bool, str)
        left = dict.fromkeys(self._wanted, 0)
        for batch in self._batches(set(), set(self._wanted)):
            for name in left:
                while left[name] < len(kinds) - 1 and not _fits(batch[name], kinds[left[name]]):
                    left[name] += 1
        return {name: kinds[kind] for name, kind in left.items()}

    # -- readers ---------------------------------------------------------------------------------------------------------------

    def _batches(self, numbers: set[str], texts: set[str]) -> Generator[dict[str, NDArray[Any]]]:
        """Columns as float64 (NaN where missing) or as text (None where empty); a column can be asked for as one of them."""
        texts = texts - numbers
        row = 0
        try:
            from pyarrow import ArrowInvalid, ArrowKeyError

            readable = len(self._names) <= MOST_COLUMNS
        except ImportError:
            readable = False
        if not readable:
            yield from self._plain_batches(numbers, texts, 0)
            return
        try:
            for batch in self._arrow_batches(numbers, texts):
                yield batch
                row += len(next(iter(batch.values())))
        except (ArrowInvalid, ArrowKeyError, OSError):
            yield from self._plain_batches(numbers, texts, row)

    def _arrow_batches(self, numbers: set[str], texts: set[str]) -> Generator[dict[str, NDArray[Any]]]:
        import pyarrow as pa
        from pyarrow import csv as arrow_csv

        with arrow_csv.open_csv(
            self._path,
            arrow_csv.ReadOptions(
                use_threads=False,
                block_size=TEXT_BYTES,
                column_names=self._names,
                skip_rows=0 if self._headless else self._head_lines,
            ),
            # without newlines_in_values a quoted line break at the end of a part would end the row, and no error would say so
            arrow_csv.ParseOptions(delimiter=self._dialect.delimiter, newlines_in_values=True),
            arrow_csv.ConvertOptions(
                column_types={name: pa.float64() if name in numbers else pa.string() for name in numbers | texts},
                include_columns=sorted(numbers | texts),
                null_values=[""] if texts else MISSING,
                strings_can_be_null=True,
                decimal_point=self._dialect.decimal,
            ),
        ) as reader:
            for batch in reader:
                columns = {name: batch.column(name) for name in batch.schema.names}
                columns |= {name: _arrow_texts(columns[name]) for name in texts}
                yield {name: column.to_numpy(zero_copy_only=False) for name, column in columns.items()}

    def _plain_batches(self, numbers: set[str], texts: set[str], skip: int) -> Generator[dict[str, NDArray[Any]]]:
        """The same from row ``skip`` on, by Python alone."""
        stream = self._stream()
        try:
            lines = (
                line for line in csv.reader(stream, delimiter=self._dialect.delimiter, skipinitialspace=True) if line
            )
            rows = enumerate(lines, 0 if self._headless else -1)
            start = skip if self._headless else skip + 1
            places = {name: j for j, name in enumerate(self._names)}
            at_once = max(1, min(TEXT_ROWS, TEXT_VALUES // len(self._names)))
            next(itertools.islice(rows, start, start), None)
            while block := _read_safely(self._path, lambda: list(itertools.islice(rows, at_once))):
                for row, line in block:
                    if len(line) != len(self._names):
                        raise SourceError(self._uneven(row, len(line)))
                batch = {}
                for name in numbers | texts:
                    j = places[name]
                    column = [(row, line[j]) for row, line in block]
                    batch[name] = self._numbers(name, column) if name in numbers else _texts(column)
                yield batch
        finally:
            stream.close()

    def _uneven(self, row: int, n: int) -> str:
        """What to say of a row with more or fewer values than there are columns."""
        columns = len(self._names)
        advice = "a missing value is nothing between two separators"
        if n > columns:
            advice = (
                "a value that holds the separator, such as a decimal comma, needs quotes, and lines above the names of "
                "the columns have to go"
            )
        return (
            f"{self._path}: row {row} has {n} {'value' if n == 1 else 'values'} for {columns} "
            f"{'column' if columns == 1 else 'columns'}: {advice}."
        )

    def _numbers(self, name: str, column: list[tuple[int, str]]) -> NDArray[np.float64]:
        out = np.empty(len(column))
        for i, (row, text) in enumerate(column):
            try:
                out[i] = np.nan if text.strip() in MISSING else self._dialect.number(text)
            except ValueError:
                mark = "" if self.decimal == "." else " (numbers of this file have a decimal comma)"
                raise SourceError(
                    f"{self._path}: row {row}, column {name!r} holds {text!r}, which is not a number{mark}. Leave the column "
                    "out (columns=[...]) or encode it as numbers; labels as they are can be fitted by a categorical family."
                ) from None
        return out


def _read_safely(path: Path, read: Callable[[], Any]) -> Any:
    """What ``read`` gives; SourceError where the file does not decode."""
    try:
        return read()
    except UnicodeDecodeError as error:
        with open(path, "rb") as stream:
            if stream.read(4) == b"PK\x03\x04":
                raise SourceError(f"{path} is no text but a zip or Excel file: save its table as CSV.") from error
        raise SourceError(
            f"{path} is not text in UTF-8 (byte 0x{error.object[error.start]:02x} at {error.start}). Save it as UTF-8, or let "
            "pandas.read_csv(path, encoding=..., chunksize=...) read it, whose frames are a source too."
        ) from error
    except (gzip.BadGzipFile, zlib.error, EOFError, csv.Error) as error:
        raise SourceError(f"{path} can't be read: {error}") from error


# -- values --------------------------------------------------------------------------------------------------------------------


def _int(text: str) -> int:
    value = int(text) if re.fullmatch(_WHOLE, text) else None
    if value is None or not -(2**63) <= value < 2**63:
        raise ValueError
    return value


def _bool(text: str) -> bool:
    if text not in ("True", "False", "true", "false"):
        raise ValueError
    return text in ("True", "true")


def _raise_if_numbers_of_columns(path: Path, fields: list[str], following: list[str], dialect: Dialect) -> None:
    """SourceError for a first line 0,1,2,...: pandas writes that where columns have no names, and it may be a row as well.

    A single 0 is taken for a row, unless what follows is no whole number.
    """
    if fields != [str(j) for j in range(len(fields))]:
        return
    if len(fields) == 1 and not (following and _is_fraction(following[0], dialect)):
        return
    line = ",".join(fields) if len(fields) <= 4 else f"0,1,...,{fields[-1]}"
    raise SourceError(
        f"{path}: the first line is {line}. These may be names, which pandas writes for columns without names, or a row of "
        "numbers. Say which: CsvPath(path, header=True) or --header yes for names, header=False or --header no for a row."
    )


def _is_fraction(text: str, dialect: Dialect) -> bool:
    return dialect.is_value(text) and dialect.number(text) % 1.0 != 0.0


def _fits(column: NDArray[Any], kind: Callable[[str], Any]) -> bool:
    try:
        for text in column:
            if text is not None:
                kind(text)
    except ValueError:
        return False
    return True


def _texts(column: list[tuple[int, str]]) -> NDArray[Any]:
    """Text without leading spaces; of a quoted one they are taken too, since Arrow does not tell quoted text."""
    out = np.empty(len(column), dtype=object)
    out[:] = [text.lstrip(" ") or None for _, text in column]
    return out


def _arrow_texts(column: Any) -> Any:
    """The same of a column of Arrow; ArrowInvalid for a space before a quote, which Arrow takes for the text itself."""
    import pyarrow as pa
    from pyarrow import compute

    trimmed = compute.utf8_ltrim(column, characters=" ")
    spaced = compute.and_(compute.starts_with(column, pattern=" "), compute.starts_with(trimmed, pattern='"'))
    if compute.any(spaced).as_py():
        raise pa.ArrowInvalid("A space stands before a quote.")
    return compute.if_else(compute.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)


def _labels(column: NDArray[Any], kind: Callable[[str], Any]) -> NDArray[Any]:
    """Labels as the type of their column; objects where one is missing, and for text."""
    values = [None if text is None else kind(text) for text in column]
    if kind is not str and None not in values:
        return np.array(values)
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out


def _matrix(columns: list[NDArray[Any]]) -> NDArray[Any]:
    """The columns side by side, as objects unless they are of one type."""
    dtypes = {column.dtype for column in columns}
    X = np.empty((len(columns[0]), len(columns)), dtype=dtypes.pop() if len(dtypes) == 1 else object)
    for j, column in enumerate(columns):
        X[:, j] = column
    return X


def _counts_rows(texts: Sequence[str]) -> bool:
    """Whether these are 0, 1, 2, ... or 1, 2, 3, ..."""
    return len(texts) > 2 and any(list(texts) == [str(first + i) for i in range(len(texts))] for first in (0, 1))


def _unique(names: list[str]) -> list[str]:
    """Names that differ: a repeated or empty one gets the number of its column."""
    seen: set[str] = set()
    out = []
    for j, name in enumerate(names):
        fresh = name if name and name not in seen else f"{name or 'column'}.{j}"
        seen.add(fresh)
        out.append(fresh)
    return out
