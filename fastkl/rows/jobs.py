"""A fit or a score whose passes over the rows somebody else's engine makes: ``map`` there, ``reduce`` here, until it is done.

What runs is the same code as for any other source of rows: the job is a source that, for every pass, hands out what is to be
mapped and waits for the parts. That code waits in the middle of its own loops and searches, so it has a thread of its own, which
works only while ``reduce`` waits for it: the two never run at the same time.
"""

from __future__ import annotations

import contextvars
import pickle
import secrets
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastkl.exceptions import SourceError
from fastkl.rows.batch import Choice
from fastkl.rows.map_reduce import (
    Count,
    Part,
    Pass,
    Piece,
    Places,
    Sample,
    Stamp,
    Sum,
    add,
    concatenated,
    joined,
    order_of,
    places_of,
    total,
)
from fastkl.rows.map_reduce import block_rows as rows_of_a_block
from fastkl.rows.source import Block, Source

T = TypeVar("T")


class _Abandoned(BaseException):
    """Ends the thread of a job that nobody goes on with; no handler of errors stops it."""


@dataclass(frozen=True, eq=False)
class _Channel:
    """What the job and its thread tell each other."""

    to_job: SimpleQueue[tuple[str, Any]] = field(default_factory=SimpleQueue)
    to_thread: SimpleQueue[list[Part] | None] = field(default_factory=SimpleQueue)

    def ask(self, wanted: Pass) -> list[Part]:
        """The parts of a pass."""
        self.to_job.put(("pass", wanted))
        parts = self.to_thread.get()
        if parts is None:
            raise _Abandoned
        return parts

    def run(self, call: Callable[[Source], Any], source: Source) -> None:
        """What the thread does."""
        try:
            self.to_job.put(("result", call(source)))
        except _Abandoned:
            pass
        except BaseException as error:
            self.to_job.put(("error", error))


class MappedSource(Source):
    """Rows of which a pass is asked for, and its parts are waited for."""

    def __init__(self, ask: Callable[[Pass], list[Part]], choice: Choice):
        self._ask_for, self._choice = ask, choice
        self._known: Places | None = None
        self._edges: list[Piece] | None = None  # blocks that no batch holds whole

    def learn_columns(self) -> None:
        self._places()

    def select(self, columns: Sequence[Any]) -> None:
        if self._choice.columns is None:
            self._choice = replace(self._choice, columns=list(columns))
            self._known = None  # what tells batches apart is what is read of them
            self._places()

    def blocks(self) -> Generator[Block]:
        raise SourceError("This reads the rows themselves, which map and reduce leave where they are: use fit_batches.")

    def sum(self, function: Callable[[Block], T], merge: Callable[[T, T], T]) -> T:
        """``function(block)`` of all blocks, merged pair by pair."""
        places = self._places()
        work = Sum(function, merge, places, self._edges is None)
        parts = self._parts(work, places)
        if self._edges is None:
            pieces = [piece for part in parts for piece in part.value[1]]
            self._edges = joined(pieces, rows_of_a_block(places.n_columns))
        nodes = work.of_pieces(self._edges)
        for part in parts:
            for node, value in part.value[0].items():
                add(nodes, node, value, merge)
        return total(nodes, merge)

    def sample(self, size: int) -> Block:
        places = self._places()
        seen = sum(positive * len(places.rows[key]) for key, (_, positive) in places.lengths.items())
        parts = self._parts(Sample(seen // size if seen >= 4 * size else 1, places), places)
        kept = sorted((found for part in parts for found in part.value), key=lambda found: found[0].first_row)
        whole = concatenated([piece for piece, _ in kept])
        index: NDArray[np.intp] = np.concatenate([numbers for _, numbers in kept])
        return Block(np.ascontiguousarray(whole.X), whole.weights, 0, None, index=index)

    def _places(self) -> Places:
        """What the first pass finds."""
        if self._known is None:
            parts = order_of(self._ask_for(Pass(Count(), self._choice)))
            _raise_failure(parts)
            self._known = places_of(parts)
            first = next(part for part in parts if part.lengths[0])
            self.names, self.n_columns, self.n_rows = first.names, first.n_columns, self._known.n_rows
        return self._known

    def _parts(self, work: Any, places: Places) -> list[Part]:
        """The parts of a later pass, one for each that differs; SourceError unless they are of all batches."""
        parts = self._ask_for(Pass(work, self._choice))
        _raise_failure(sorted(parts, key=lambda part: places.rows.get(part.key, [places.n_rows])[0]))
        counts = Counter(part.key for part in parts)
        for number, (key, places_of_key) in enumerate(places.rows.items()):
            if counts[key] != len(places_of_key):
                what = f"Batch number {key}" if isinstance(key, int) else f"Batch {number} of the first pass"
                raise SourceError(f"{what} has {counts[key]} parts in this pass, not {len(places_of_key)}.")
        return list({part.key: part for part in parts}.values())


def _parts(given: Any) -> list[Part]:
    """What map gave for the batches; TypeError for anything else."""
    if isinstance(given, Part | bytes | bytearray | memoryview) or not isinstance(given, Iterable):
        raise TypeError(f"reduce takes a list of what map gave, one part for each batch, not {type(given).__name__}.")
    return [_part(part) for part in given]


def _part(given: Any) -> Part:
    """What map gave; TypeError for anything else, and for bytes of anything else."""
    part = given
    if isinstance(given, bytes | bytearray | memoryview):
        try:
            part = pickle.loads(given)
        except Exception as error:
            raise TypeError(f"reduce takes what map gave, or bytes of it: these can't be read ({error}).") from error
    if not isinstance(part, Part):
        raise TypeError(f"reduce takes what map gave, or bytes of it, not {type(part).__name__}.")
    return part


def _check_stamps(parts: Sequence[Part], wanted: Pass) -> None:
    """SourceError unless all parts are of this pass: those of another may fit it, and give wrong numbers."""
    for number, part in enumerate(parts):
        if part.stamp != wanted.stamp:
            same = part.stamp is not None and wanted.stamp is not None and part.stamp[0] == wanted.stamp[0]
            raise SourceError(
                f"Part {number} is of {'an earlier pass of this job' if same else 'another job'}: every pass takes the parts "
                "that its own job.map gave."
            )


def _raise_failure(parts: Sequence[Part]) -> None:
    for part in parts:
        if part.failure is not None:
            raise part.failure


class Job:
    """Passes over rows in an engine of one's own, as many as it takes: ``DensityMLE("gamma").start()`` makes one.

    Attributes
    ----------
    done : bool
        Whether no further pass is wanted.
    map : callable
        ``map(batch, number=None)`` gives the part of a batch for the pass that is wanted now: pure, and it can be pickled, and so
        can the part; ``bytes(part)`` where an engine takes bytes. A batch is what ``fit_batches`` takes: an array, a
        table, a path that is read where the map runs, ``(X, weights)``, or an iterator over batches that follow one another,
        which needs a ``number``: its place among all, the same in every pass. Batches without numbers are told apart by what
        they hold, and are in the order of the parts in the first ``reduce``.

    Notes
    -----
    The result is the same bit for bit however the rows are split, whoever maps which batch, and in whatever order the parts
    come. The first pass counts rows; of each border between two batches half a megabyte of rows at most travels, once (batches
    that are smaller than that travel whole: map several by an iterator); after that sums alone do, and a sample of at most
    65,535 rows where a family starts from one. Parts as bytes are pickles: take them from your own workers only.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE
    >>> X = np.random.default_rng(0).standard_t(5.0, size=(1000, 1))
    >>> def model_of(batches):
    ...     job = DensityMLE("student_t").start()
    ...     while not job.done:
    ...         job.reduce([job.map(batch) for batch in batches])
    ...     return job.finish()
    >>> bool(model_of([X[:300], X[300:]]).params_["df"] == model_of([X]).params_["df"])
    True
    """

    def __init__(self, call: Callable[[Source], Any], choice: Choice):
        self._channel = _Channel()
        self._wanted: Pass | None = None
        self._stamp: Stamp = (secrets.token_bytes(8), 0)
        self._result: Any = None
        self._ended = False
        source = MappedSource(self._channel.ask, choice)
        # in the caller's context, which says (by numpy.errstate) what to do on overflow
        run = partial(contextvars.copy_context().run, self._channel.run, call, source)
        threading.Thread(target=run, name="fastkl job", daemon=True).start()
        self._abandon = weakref.finalize(self, self._channel.to_thread.put, None)
        self._listen()

    @property
    def done(self) -> bool:
        """Whether no further pass is wanted."""
        return self._ended

    @property
    def map(self) -> Pass:
        """What the pass that is wanted now does with a batch."""
        if self._wanted is None:
            raise RuntimeError("The job wants no further pass: finish() gives the result.")
        return self._wanted

    def reduce(self, parts: Iterable[Any]) -> None:
        """End a pass: take the parts of all batches, and find out what the next pass is to do.

        Parameters
        ----------
        parts : iterable of Part or bytes
            One for each batch, in any order (without numbers, in the first pass in the order of the rows).

        Raises
        ------
        SourceError
            If the parts are not those of all batches, or the rows have changed; if a part is of another pass or job, after which
            the right ones may be given.
        TypeError
            If the parts are not what map gave.
        Exception
            What went wrong with a batch, for the first in the order of the rows; then the job has ended without a result.
        """
        if self._wanted is None:
            raise RuntimeError("The job wants no further pass: finish() gives the result.")
        taken = _parts(parts)
        _check_stamps(taken, self._wanted)
        self._wanted = None
        self._channel.to_thread.put(taken)
        self._listen()

    def finish(self) -> Any:
        """The fitted density, or the score.

        Returns
        -------
        density or Estimate
            As ``fit_batches`` or ``score_batches`` give it.
        """
        if not self._ended or self._result is None:
            left = "it has ended with an error" if self._ended else "it wants a further pass: go on until job.done"
            raise RuntimeError(f"The job has no result: {left}.")
        return self._result

    def _listen(self) -> None:
        kind, value = self._channel.to_job.get()
        if kind == "pass":
            self._stamp = (self._stamp[0], self._stamp[1] + 1)
            self._wanted = replace(value, stamp=self._stamp)
            return
        self._ended = True
        self._abandon.detach()
        if kind == "error":
            raise value
        self._result = value

    def __reduce__(self) -> Any:
        """What of a job can travel: its map, under the same name, so that ``job.map(batch)`` can be sent to workers."""
        return partial(SimpleNamespace, map=self.map), ()
