"""Which densities a file can hold: each kind registers itself, beside its class, and what reads or writes files looks here.

A file names a kind by its class, and only classes that are registered are ever built. A subclass is another kind: it is refused
when it is saved, unless it is registered too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class StoredKind:
    """A kind of density that a file can hold. Its state are its attributes that end in an underscore.

    Parameters
    ----------
    type : type
        The class, called with the parameters that were stored.
    parameters : callable
        ``parameters(density)`` gives those, as a dict.
    check : callable
        ``check(density)`` raises an error unless what was read is a fitted density whose arrays fit each other and the number of
        columns.
    """

    type: type
    parameters: Callable[[Any], dict[str, Any]]
    check: Callable[[Any], None]


KINDS: dict[str, StoredKind] = {}


def constructor_parameters(density: Any) -> dict[str, Any]:
    """The parameters of the constructor as they are."""
    return density.get_params(deep=False)


def register_density(
    kind: type,
    check: Callable[[Any], None],
    parameters: Callable[[Any], dict[str, Any]] = constructor_parameters,
) -> None:
    """Let files hold densities of a class (and not of its subclasses), under the name of the class."""
    if kind.__name__ in KINDS:
        raise ValueError(f"There is another density named {kind.__name__} in the registry of files.")
    KINDS[kind.__name__] = StoredKind(kind, parameters, check)


def kind_of(density: Any) -> StoredKind | None:
    """How a density is stored; None for one that is of no registered class."""
    found = KINDS.get(type(density).__name__)
    return found if found is not None and found.type is type(density) else None


def check_columns(density: Any) -> None:
    """ValueError unless a density knows how many columns it has, and as many names if it has names."""
    d, names = density.n_features_in_, getattr(density, "feature_names_in_", None)
    if type(d) is not int or d < 1:
        raise ValueError(f"n_features_in_ is {d!r}")
    if names is not None and (np.shape(names) != (d,) or not all(isinstance(name, str) for name in names)):
        raise ValueError(f"feature_names_in_ are not {d} names")
