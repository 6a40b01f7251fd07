"""Who hears how far a pass over the rows has come: a bar with rate and time left, or any function.

Nothing is shown unless it is asked for: a library writes nothing to the terminal of a program it is part of.
"""

from collections.abc import Callable
from typing import Any, Protocol


class Progress(Protocol):
    """What a source reports while it is read."""

    def begin(self, n_rows: int | None) -> None:
        """A pass begins, over so many rows where that is known."""

    def advance(self, n_rows: int) -> None:
        """So many rows more are done."""

    def close(self) -> None:
        """There will be no further pass, or the last one broke off."""


class Silence:
    """Nobody hears of it."""

    def begin(self, n_rows: int | None) -> None:
        """Nothing."""

    def advance(self, n_rows: int) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


SILENCE = Silence()


class Bar:
    """A bar of tqdm for every pass: rows done, rows per second, time left."""

    def __init__(self, label: str):
        try:
            from tqdm.auto import tqdm
        except ImportError as error:
            raise ImportError(
                "progress=True needs tqdm: pip install 'fastkl[progress]'. Without it pass a function: progress=f calls "
                "f(done_rows, total_rows)."
            ) from error
        self._tqdm, self._label, self._passes = tqdm, label, 0
        self._bar: Any = None

    def begin(self, n_rows: int | None) -> None:
        """A new bar; from the second on they are numbered."""
        self.close()
        self._passes += 1
        label = self._label if self._passes == 1 else f"{self._label}, pass {self._passes}"
        self._bar = self._tqdm(total=n_rows, desc=label, unit=" rows", unit_scale=True)

    def advance(self, n_rows: int) -> None:
        """Move the bar."""
        self._bar.update(n_rows)

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class Calls:
    """Calls ``function(done_rows, total_rows)`` after every block; in a further pass the rows count from 0 again."""

    def __init__(self, function: Callable[[int, int | None], object]):
        self._function, self._done = function, 0
        self._n_rows: int | None = None

    def begin(self, n_rows: int | None) -> None:
        """Count from 0."""
        self._done, self._n_rows = 0, n_rows

    def advance(self, n_rows: int) -> None:
        """Tell the function."""
        self._done += n_rows
        self._function(self._done, self._n_rows)

    def close(self) -> None:
        """Nothing is left open."""


def progress_of(progress: Any, label: str) -> Progress:
    """False or None is silence, True a bar, a function is called with the rows done and the rows in all (None if unknown)."""
    if progress is None or progress is False:
        return SILENCE
    if progress is True:
        return Bar(label)
    if callable(progress):
        return Calls(progress)
    raise TypeError(f"progress is True, False or a function of (done_rows, total_rows), not {progress!r}.")
