"""What an affine map in front of a density may learn at no cost, since the density could have learnt it by itself.

A normal distribution behind a ``StandardScaler`` is a normal distribution: the scaler's means and standard deviations are no
further parameters of the model. A beta distribution behind a ``MinMaxScaler`` has two more than a beta distribution, and a normal
one behind a ``PowerTransformer`` has the exponent. Criteria such as AIC need the right number. What a family follows is written
in the roles of its parameters (``families.spaces``).
"""

from __future__ import annotations

from typing import Any

from fastkl.density.bijections.base import NO_AFFINE_MAPS, AffineMaps
from fastkl.density.parametric.mle import DensityMLE
from fastkl.families.base import Family
from fastkl.families.spaces.base import COLUMNWISE, LINEAR


def affine_invariances(density: Any) -> AffineMaps:
    """The kinds of affine maps that a fitted density absorbs, as ``bijections`` names them; none where it is not known."""
    own = getattr(density, "_affine_invariances", None)
    if own is not None:
        return frozenset(own())
    family = getattr(density, "family_", None)
    if not isinstance(family, Family):
        return NO_AFFINE_MAPS
    kinds = family_affine_invariances(family)
    # A mixture of normal distributions is none.
    return kinds if isinstance(density, DensityMLE) else kinds - {"normal"}


def family_affine_invariances(family: Family) -> AffineMaps:
    """The same for a family, whose fixed parameters do not follow: linear maps move all roles, a shift moves locations."""
    if family.discrete or not family.equivariant:
        return NO_AFFINE_MAPS
    fixed = family.fixed_parameters()
    moved = {name: space for name, space in family.spaces().items() if space.role is not None}
    located = [name for name, space in moved.items() if space.role == "location"]
    kinds: set[str] = set()
    if moved and not fixed.keys() & moved.keys():
        kinds |= (LINEAR if family.joint else COLUMNWISE).intersection(*(space.follows for space in moved.values()))
    if located and not fixed.keys() & set(located):
        kinds.add("location")
    if family.gaussian and not fixed:
        kinds.add("normal")
    return frozenset(kinds)
