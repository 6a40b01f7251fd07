"""The error of a component that has closed in on a few rows, or has lost all of them."""

from __future__ import annotations

from fastkl.exceptions import DegenerateDataError


class CollapsedError(DegenerateDataError):
    """A component has no maximum under its responsibilities.

    Parameters
    ----------
    component : int
        Its number.
    reason : str
        A sentence, with or without its full stop.
    """

    def __init__(self, component: int, reason: str):
        super().__init__(reason.rstrip(".") + ".")
        self.component = component
