"""What a distribution is: one descriptor and one kernel for each family.

Families are discovered: every module of this package that defines a subclass of ``Family`` with a ``name`` adds it to
``names()``, to ``DensityMLE(family=name)`` and to the attributes of this package (``families.Gamma``). Parameters given to a
family's constructor are held fixed: ``families.Gamma(shape=2)``.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
from functools import cache
from typing import Any

from fastkl.exceptions import UnknownFamilyError
from fastkl.families.base import Family
from fastkl.families.synonyms import MORE, NEAREST, plain

# How alike a name has to be to be asked about (a share of common letters, from 0 to 1); "bogus" is .6 of "gauss".
_ALIKE = 0.65

__all__ = ["Family", "by_name", "names"]


@cache
def _registry() -> dict[str, type[Family]]:
    found: dict[str, type[Family]] = {}
    for module in pkgutil.iter_modules(__path__):
        if module.name.startswith("_"):
            continue
        contents = importlib.import_module(f"{__name__}.{module.name}")
        for _, member in inspect.getmembers(contents, inspect.isclass):
            # a package holds its family in a file of its own
            own = f"{member.__module__}.".startswith(f"{contents.__name__}.")
            if issubclass(member, Family) and own and "name" in vars(member):
                found[member.name] = member
    return dict(sorted(found.items()))


def names() -> list[str]:
    """Names of all families that a name alone stands for, sorted: all but mixtures, which are made of others.

    Examples
    --------
    >>> from fastkl import families
    >>> "gamma" in families.names()
    True
    """
    return [name for name, family in _registry().items() if not family.composed]


def by_name(name: str) -> type[Family]:
    """The class of a family.

    Parameters
    ----------
    name : str
        One of ``names()``, or another name that it goes by: that of scipy (``"norm"``, ``"expon"``, ``"nbinom"``) or an everyday
        one (``"gaussian"``), with capitals, hyphens or spaces as you like.

    Returns
    -------
    type
        A subclass of ``Family``.

    Raises
    ------
    UnknownFamilyError
        With the families nearest in meaning or spelling, if there is none of this name.

    Examples
    --------
    >>> from fastkl import families
    >>> families.by_name("gamma")
    <class 'fastkl.families.gamma.Gamma'>
    >>> families.by_name("Gaussian").name
    'normal'
    """
    found = _registry().get(name) or _aliases().get(plain(str(name)))
    if found is None:
        raise UnknownFamilyError(
            f"There is no family named {name!r}.{hint(plain(str(name)))} The families are: {', '.join(names())}."
        )
    return found


@cache
def _aliases() -> dict[str, type[Family]]:
    """Families by all names that find them."""
    found: dict[str, type[Family]] = {}
    for family in _registry().values():
        own = (
            family.name,
            *family.aliases,
            *([family.scipy_name] if family.scipy_name else []),
            family.__name__.lower(),
        )
        for name in own:
            if found.setdefault(name, family) is not family:
                raise ValueError(f"The families {family.name} and {found[name].name} both go by {name!r}.")
    return found


def hint(name: str) -> str:
    """Sentences, after a space, about a name of no family: what it is here, or the families nearest in meaning or spelling."""
    near, more = NEAREST.get(name, ()), MORE.get(name, "")
    if near:
        return f" The nearest {'is' if len(near) == 1 else 'are'} {' and '.join(map(repr, near))}.{more}"
    if more:
        return more
    alike = difflib.get_close_matches(name, [*_aliases(), *NEAREST], n=3, cutoff=_ALIKE)
    meant = dict.fromkeys(other for close in alike for other in NEAREST.get(close, (close,)))
    families = dict.fromkeys(_aliases()[other].name for other in meant)
    return f" Did you mean {' or '.join(map(repr, families))}?" if families else ""


def __getattr__(attribute: str) -> Any:
    here = ""
    if not attribute.startswith("_"):
        for family in _registry().values():
            if family.__name__ == attribute:
                return family
        meant = _aliases().get(plain(attribute))
        here = f". Here it is {meant.__name__}." if meant else ""
    raise AttributeError(f"module {__name__!r} has no attribute {attribute!r}{here}")


def __dir__() -> list[str]:
    return [*__all__, *(by_name(name).__name__ for name in names())]
