"""Sentences about the divergence of P from Q, as sentences about that of Q from P; what stands in quotes is a label and stays."""

import re
from collections.abc import Mapping

_NAMES = re.compile(r"(?<!\w)(['\"]).*?\1(?!\w)|\b[pqPQ]\b")


def upright(sentence: str) -> str:
    """A sentence of an estimate, with P and Q as a table calls them."""
    return _renamed(sentence, {"p": "P", "q": "Q"})


def other_way_round(sentence: str) -> str:
    """A sentence with P in the place of Q, and Q in that of P."""
    return _renamed(sentence, {"P": "Q", "Q": "P"})


def _renamed(sentence: str, names: Mapping[str, str]) -> str:
    return _NAMES.sub(lambda found: names.get(found.group(), found.group()), sentence)
