"""What an affine map in front of a density may learn at no cost, since the density could have learnt it by itself.

A normal distribution behind a ``StandardScaler`` is a normal distribution: the scaler's means and standard deviations
are no further parameters of the model. A beta distribution behind a ``MinMaxScaler`` has two more than a beta
distribution, and a normal distribution behind a ``PowerTransformer`` has the exponent. Criteria such as AIC need the
right number.
"""

from typing import Any

from fastkl.density.bijections.base import NO_AFFINE_MAPS, AffineMaps
from fastkl.density.parametric.mle import DensityMLE
from fastkl.families.base import Family

# The parameters that follow when a column is multiplied, where they are not called loc and scale.
_SCALED = {"uniform": ("low", "high"), "lognormal": ("meanlog",), "inverse_gaussian": ("mean", "shape")}
_SHIFTED = {"uniform": ("low", "high")}


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
    """The same for a family, whose fixed parameters do not follow."""
    fixed = family.fixed_parameters()
    if family.name in ("multivariate_normal", "multivariate_t"):
        if set(fixed) - {"df"}:
            return NO_AFFINE_MAPS
        normal = {"normal"} if family.name == "multivariate_normal" else set()
        linear = {"diag": {"scale", "size"}, "spherical": {"rotation", "size"}}
        shape = getattr(family, "covariance_type", "full")
        return frozenset({"location"} | linear.get(shape, {"scale", "rotation", "size"}) | normal)
    if family.joint or family.discrete or not family.equivariant:
        return NO_AFFINE_MAPS
    own = tuple(name for name in family.parameter_names if name in ("loc", "scale"))
    scaled, shifted = _SCALED.get(family.name, own), _SHIFTED.get(family.name, ("loc",))
    kinds = {"normal"} if family.name == "normal" and not fixed else set()
    if scaled and not set(scaled) & set(fixed):
        kinds |= {"scale", "size"}
    if set(shifted) <= set(family.parameter_names) and not set(shifted) & set(fixed):
        kinds.add("location")
    return frozenset(kinds)
