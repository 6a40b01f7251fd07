"""Sentences about the divergence of P from Q, as sentences about that of Q from P; what stands in quotes is a label and stays."""

import re
from collections.abc import Collection, Mapping

from fastkl.divergence.estimate import OfBoth, subjects_of

_NAMES = re.compile(r"(?<!\w)(['\"]).*?\1(?!\w)|\b[pqPQ]\b")


def upright(sentence: str) -> str:
    """A sentence of an estimate, with P and Q as a table calls them."""
    return _renamed(sentence, {"p": "P", "q": "Q"})


def other_way_round(sentence: str) -> str:
    """A sentence with P in the place of Q, and Q in that of P."""
    return _renamed(sentence, {"P": "Q", "Q": "P", "p": "q", "q": "p"})


def turned(reasons: Collection[str]) -> list[str]:
    """Reasons to doubt the divergence of q from p, as they are said of that of p from q."""
    others = zip(reasons, map(other_way_round, reasons), strict=True)
    return [OfBoth(other, reason.subject) if isinstance(reason, OfBoth) else other for reason, other in others]


def of_both_directions(forward: Collection[str], backward: Collection[str]) -> list[str]:
    """Reasons to doubt a divergence, and those of the one the other way round, each said once."""
    known = list(forward)
    return list(
        dict.fromkeys([*known, *(one for one in turned(backward) if not subjects_of([one]) & subjects_of(known))])
    )


def _renamed(sentence: str, names: Mapping[str, str]) -> str:
    return _NAMES.sub(lambda found: names.get(found.group(), found.group()), sentence)
