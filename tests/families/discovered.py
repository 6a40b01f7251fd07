"""Families by what they are, found as the library finds them: a new one joins every test that goes over such a list."""

import pytest
from sklearn.base import clone

from fastkl import DensityMLE, families
from fastkl.families.univariate import UnivariateFamily

CLASSES = {name: families.by_name(name) for name in families.names()}
UNIVARIATE = [name for name, cls in CLASSES.items() if issubclass(cls, UnivariateFamily)]
COUNTS = [name for name in UNIVARIATE if CLASSES[name].discrete]
CONTINUOUS = [name for name in UNIVARIATE if not CLASSES[name].discrete]
ITERATIVE = [name for name, cls in CLASSES.items() if not cls.has_statistics]


def has_role(name, role):
    """Whether a parameter of a univariate family, not an end of its support, follows the rows in that way."""
    return any(space.role == role and not space.irregular for space in CLASSES[name].parameters.values())


def examples(classes=CLASSES):
    """Every example of every family, a parameter of a fixture: the family, and parameters of a distribution of it."""
    for name, cls in classes.items():
        for i, example in enumerate(cls.examples()):
            yield pytest.param(example, id=f"{name}-{i}")


def density_of(example):
    """A density with the parameters of an example."""
    family, params = example
    return DensityMLE.from_parameters(clone(family), **params)


def unfitted(distribution):
    """An estimator that has to learn everything of a density with known parameters."""
    return DensityMLE(next(f for f, p in type(distribution.family_).examples() if repr(f) == repr(distribution.family)))


LOCATED = [name for name in CONTINUOUS if has_role(name, "location") and CLASSES[name].equivariant]
