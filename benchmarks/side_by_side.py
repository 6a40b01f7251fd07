"""Timing of two callables in turn: A B A B ..., medians, and the ratio pair by pair, so that a drifting machine does no harm.

After a product of matrices the threads of OpenBLAS keep a processor busy for more than 0.1 s, waiting for the next one: whoever
has the next turn has a core less. So a turn begins with a pause and one call that is not counted.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

PAUSE = 0.2  # seconds
LONG = 0.1  # seconds of a call to which the threads left behind make no difference


@dataclass(frozen=True)
class Row:
    """One line of the table: median seconds of fastkl and of the peer, and the median of the ratios peer / fastkl."""

    task: str
    peer: str
    ours: float
    theirs: float
    ratio: float


def compare(
    task: str, peer: str, ours: Callable[[], object], theirs: Callable[[], object], seconds: float = 4.0
) -> Row:
    """Time both for about so many seconds, at least 5 pairs of turns after one warm-up."""
    ours()
    theirs()
    times: list[tuple[float, float]] = []
    start = time.perf_counter()
    while len(times) < 5 or (time.perf_counter() - start < seconds and len(times) < 200):
        times.append((turn(ours), turn(theirs)))
    a, b = np.array(times).T
    return Row(task, peer, float(np.median(a)), float(np.median(b)), float(np.median(b / a)))


def turn(call: Callable[[], object]) -> float:
    """Seconds of a call in the middle of others of its kind."""
    time.sleep(PAUSE)
    if clock(call) > LONG:
        return clock(call)
    return float(np.median([clock(call) for _ in range(3)]))


def clock(call: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def print_table(rows: Iterable[Row]) -> None:
    """The rows as a table in Markdown."""
    print("| task | peer | fastkl ms | peer ms | ratio |")
    print("|---|---|---:|---:|---:|")
    for row in rows:
        print(
            f"| {row.task} | {row.peer} | {row.ours * 1e3:.2f} | {row.theirs * 1e3:.2f} | **{row.ratio:.1f}×** |",
            flush=True,
        )
