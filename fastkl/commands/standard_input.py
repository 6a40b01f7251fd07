"""``-`` for the rows of standard input: kept in a file while a command runs, since most read the rows several times.

Paths of rows also carry what ``--header`` says.
"""

import argparse
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

from fastkl.rows import CsvPath

# The options that name a file of rows.
_OPTIONS = ("data", "p", "q", "first", "second")
_FOLDER, _FILE = "fastkl-stdin-", "rows"
# How a file of each kind begins; text is CSV.
_BEGINNINGS = {b"\x93NUMPY": ".npy", b"PAR1": ".parquet", b"\x1f\x8b": ".csv.gz"}
_HEADERS = {"auto": None, "yes": True, "no": False}
SHOWN = "standard input"


@contextmanager
def kept(options: argparse.Namespace) -> Iterator[None]:
    """The options with the path of a file of its own in the place of ``-``; the file goes when the command is done."""
    given = [name for name in _OPTIONS if getattr(options, name, None) is not None]
    asked = [name for name in given if getattr(options, name) == "-"]
    if len(asked) > 1:
        raise ValueError("- stands for standard input, which can be read as one of the files only")
    header = _HEADERS[getattr(options, "header", "auto")]
    with TemporaryDirectory(prefix=_FOLDER) if asked else nullcontext() as folder:
        for name in given:
            path = str(_copied(Path(folder or ""))) if name in asked else getattr(options, name)
            setattr(options, name, CsvPath(path, header))
        yield


def shown(text: str) -> str:
    """A text with what a person gave in the place of the path of that file."""
    return re.sub(rf"[^\s'\"]*{_FOLDER}\w+[/\\]+{_FILE}[.\w]*\w", SHOWN, text)


def _copied(folder: Path) -> Path:
    stream = sys.stdin.buffer
    start = stream.read(8)
    if not start:
        raise ValueError(f"{SHOWN} is empty")
    ending = next((ending for beginning, ending in _BEGINNINGS.items() if start.startswith(beginning)), ".csv")
    path = folder / f"{_FILE}{ending}"
    with open(path, "wb") as file:
        file.write(start)
        shutil.copyfileobj(stream, file)
    return path
