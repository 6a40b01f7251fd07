"""Who hears of the iterations of a fit: nobody, unless an estimator listens.

A solver reports each place that it reaches, by a function that makes the parameters there: where nobody listens that costs a
look at one variable. The listener is one of this thread and this context, so that fits at the same time do not hear each other,
and solvers need no further argument.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from typing import Any

State = Callable[[], Any]


class Listener:
    """What is called with each place, and whether it has asked for the end: from then on every solver stops where it is.

    Parameters
    ----------
    tell : callable
        ``tell(state)`` with a function that makes the parameters; true asks for the end.
    """

    def __init__(self, tell: Callable[[State], bool]):
        self.tell, self.stopped = tell, False


_listener: ContextVar[Listener | None] = ContextVar("fastkl_listener", default=None)
_UNHEARD = nullcontext()


def is_heard() -> bool:
    """Whether anybody listens."""
    return _listener.get() is not None


def is_stopped() -> bool:
    """Whether who listens has asked for the end."""
    listener = _listener.get()
    return listener is not None and listener.stopped


def report(state: State) -> bool:
    """Tell of a place that was reached; whether to go no further."""
    listener = _listener.get()
    if listener is None:
        return False
    if not listener.stopped:
        listener.stopped = listener.tell(state)
    return listener.stopped


class told:  # noqa: N801 - named as those of contextlib are
    """Inside, this one hears of iterations; None for nobody. A class: fits of few rows would feel a generator."""

    def __init__(self, listener: Listener | None):
        self.listener = listener

    def __enter__(self) -> None:
        self.token = _listener.set(self.listener)

    def __exit__(self, *error: object) -> None:
        _listener.reset(self.token)


def read_as(meaning: Callable[[Any], Any]) -> AbstractContextManager[None]:
    """Inside, what is reported is turned by ``meaning`` into what the listener understands."""
    outer = _listener.get()
    if outer is None:
        return _UNHEARD
    return told(Listener(lambda state: outer.tell(lambda: meaning(state()))))
