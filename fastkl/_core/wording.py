"""Words of messages and labels that several rooms need."""

from collections.abc import Iterable
from difflib import get_close_matches


def plural(count: int, thing: str) -> str:
    """``"1 row"``, ``"1,200 rows"``."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def did_you_mean(word: object, known: Iterable[str], cutoff: float = 0.6) -> str:
    """A sentence, after a space, that asks for the known word nearest in spelling; empty where none is near."""
    near = get_close_matches(str(word), list(known), n=1, cutoff=cutoff)
    return f" Did you mean {near[0]!r}?" if near else ""
