"""Families by what they are, found as the library finds them: a new one joins every test that goes over such a list."""

from fastkl import families
from fastkl.families.univariate import UnivariateFamily

CLASSES = {name: families.by_name(name) for name in families.names()}
UNIVARIATE = [name for name, cls in CLASSES.items() if issubclass(cls, UnivariateFamily)]
COUNTS = [name for name in UNIVARIATE if CLASSES[name].discrete]
CONTINUOUS = [name for name in UNIVARIATE if not CLASSES[name].discrete]
ITERATIVE = [name for name, cls in CLASSES.items() if not cls.has_statistics]


def has_role(name, role):
    """Whether a parameter of a univariate family, not an end of its support, follows the rows in that way."""
    return any(space.role == role and not space.irregular for space in CLASSES[name].parameters.values())


LOCATED = [name for name in CONTINUOUS if has_role(name, "location") and CLASSES[name].equivariant]
