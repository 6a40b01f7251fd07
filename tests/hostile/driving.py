"""How a campaign is driven: cases are made of recorded choices by a seed, and a case that breaks a promise is made small.

As in hypothesis, a case is the list of the choices that made it, and a smaller list makes a smaller case. (Its own generator
takes longer for a case than most of the calls take, so that a million of them could not be made with it.)
"""

import faulthandler
import math
import random
import time

from tests.hostile.promises import BrokenPromiseError, Clock, made

HANG = 300  # seconds after which a call that does not come back ends the process with a traceback
WATCHED = 30  # seconds for which the watch over it stays as it is: to set it takes longer than a call
RUNS = 200  # at most so many runs of a case to make it small


class Choices:
    """Random choices that are recorded, or taken from a record; beyond its end the first of each list is chosen."""

    def __init__(self, seed=None, given=()):
        self._random = None if seed is None else random.Random(seed)
        self._given, self.taken = list(given), []

    def randrange(self, n):
        """A whole number below n."""
        at = len(self.taken)
        if self._random is not None:
            value = self._random.randrange(n)
        else:
            value = min(self._given[at], n - 1) if at < len(self._given) else 0
        self.taken.append(value)
        return value

    def choice(self, items):
        """One of a list."""
        return items[self.randrange(len(items))]

    def sample(self, items, n):
        """Some of a list, each at most once."""
        left = list(items)
        return [left.pop(self.randrange(len(left))) for _ in range(n)]

    def random(self):
        """A number from 0 to below 1, in thousandths; 0.999 is the plain one, where an odd choice is a small share."""
        return (999 - self.randrange(1000)) / 1000.0


def campaign(subject, calls, round_=0):
    """Make cases of ``subject(choices)`` until there were so many calls; the same ones for a round each time."""
    begun, number = sum(made.values()), 0
    try:
        while sum(made.values()) - begun < calls:
            number += 1
            choices = Choices(f"{subject.__name__}/{round_}/{number}")
            broken = _broken(subject, choices)
            if broken is not None:
                record, error = smaller(subject, choices.taken, broken)
                raise AssertionError(
                    f"{error}\nMade by {subject.__module__}.{subject.__name__}(Choices(given={record}))"
                ) from error
    finally:
        faulthandler.cancel_dump_traceback_later()
        Clock.watched = -math.inf


def _broken(subject, choices):
    """The promise that a case breaks; None if it keeps them all."""
    if not time.perf_counter() - Clock.watched < WATCHED:
        faulthandler.dump_traceback_later(HANG, exit=True)
        Clock.watched = time.perf_counter()
    Clock.begun = time.process_time()
    try:
        subject(choices)
    except BrokenPromiseError as error:
        return error
    return None


def smaller(subject, record, error):
    """A record with fewer and smaller choices whose case breaks a promise in the same way, and how it does."""
    kind, runs = _kind(error), 0
    improved = True
    while improved and runs < RUNS:
        improved = False
        for candidate in _candidates(record):
            runs += 1
            found = _broken(subject, Choices(given=candidate))
            if found is not None and _kind(found) == kind:
                record, error, improved = candidate, found, True
                break
            if runs >= RUNS:
                break
    return record, error


def _candidates(record):
    """Records that are shorter, then such with a smaller number in them."""
    size = len(record) // 2
    while size >= 1:
        for start in range(0, len(record), size):
            yield record[:start] + record[start + size :]
        size //= 2
    for i, value in enumerate(record):
        for less in {0, value // 2, value - 1} if value else ():
            yield [*record[:i], less, *record[i + 1 :]]


def _kind(error):
    """What two errors have in common if they are the same fault."""
    cause = error.__cause__
    return type(cause), str(error).rsplit(": ", 1)[0][-40:] if cause is None else ""
