"""Families under other names of their parameters: what a descriptor says for itself is translated, nothing else."""

import dataclasses
import functools
import inspect

from fastkl.families.base import Family, Fit
from fastkl.families.counts import CountFamily
from fastkl.families.solvers.iterative import IterativeFamily
from fastkl.families.solvers.newton import Maximum
from fastkl.families.spaces import Space
from fastkl.families.univariate import UnivariateFamily

# What these give works with the new names as it stands, and is what is put to the test.
SHARED = (Family, UnivariateFamily, CountFamily, IterativeFamily)


def renamed(original, names, module):
    """A subclass of a family whose parameters have new names: ``names`` maps old ones to them."""
    back = {new: old for old, new in names.items()}
    members = {"__module__": module, "original": original, "names": names}
    for cls in reversed(original.__mro__[: next(i for i, cls in enumerate(original.__mro__) if cls in SHARED)]):
        for key, member in vars(cls).items():
            if key != "__init__" and (isinstance(member, classmethod | staticmethod) or inspect.isfunction(member)):
                members[key] = adapted(key, member, names, back)
    members["parameters"] = translated(original.parameters, names)
    members["example"] = translated(original.example, names)
    members["extreme"] = [translated(params, names) for params in original.extreme]
    for key in ("coordinates", "spread", "degenerate"):
        if hasattr(original, key):
            members[key] = tuple(names.get(part, part) for part in getattr(original, key))
    members["__init__"] = constructor(original, names)
    return type(f"Renamed{original.__name__}", (original,), members)


def adapted(key, member, names, back):
    """A method of the original, called with what it knows and returning what the renamed family knows."""

    def own(thing):
        return back.get(thing, thing) if isinstance(thing, str) else translated(thing, back)

    def arguments(args, kwargs):
        return [own(arg) for arg in args], {own(key): own(value) for key, value in kwargs.items()}

    if isinstance(member, staticmethod):

        @functools.wraps(member.__func__)
        def call(*args, **kwargs):
            args, kwargs = arguments(args, kwargs)
            return translated(member.__func__(*args, **kwargs), names)

        return staticmethod(call)

    if isinstance(member, classmethod):

        @functools.wraps(member.__func__)
        def call(cls, *args, **kwargs):
            args, kwargs = arguments(args, kwargs)
            return renamed_families(getattr(cls.original, key)(*args, **kwargs), cls)

        return classmethod(call)

    @functools.wraps(member)
    def call(self, *args, **kwargs):
        args, kwargs = arguments(args, kwargs)
        options = {back.get(k, k): v for k, v in self.get_params(deep=False).items()}
        return renamed_families(getattr(self.original(**options), key)(*args, **kwargs), type(self))

    return call


def renamed_families(thing, cls):
    """What a method returns, families of the original included."""
    if type(thing) is cls.original:
        return cls(**{cls.names.get(k, k): v for k, v in thing.get_params(deep=False).items()})
    if isinstance(thing, tuple | list):
        return type(thing)(renamed_families(part, cls) for part in thing)
    return translated(thing, cls.names)


def translated(thing, names):
    """The same with other names of parameters, wherever they are keys."""
    if isinstance(thing, Space):
        return dataclasses.replace(thing, spread=names.get(thing.spread, thing.spread))
    if isinstance(thing, dict):
        if not thing or not set(thing) <= set(names):
            return thing
        return {names[key]: translated(value, names) for key, value in thing.items()}
    if isinstance(thing, Fit):
        return dataclasses.replace(
            thing, params=translated(thing.params, names), boundary=translated(thing.boundary, names)
        )
    if isinstance(thing, Maximum):
        return dataclasses.replace(thing, params=translated(thing.params, names))
    if type(thing) in (tuple, list):
        return type(thing)(translated(part, names) for part in thing)
    return thing


def constructor(original, names):
    """``__init__`` with the new names in the signature, as scikit-learn reads it."""
    own = inspect.signature(original.__init__)
    signature = own.replace(parameters=[p.replace(name=names.get(p.name, p.name)) for p in own.parameters.values()])

    def init(self, *args, **kwargs):
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        for name, value in list(bound.arguments.items())[1:]:
            setattr(self, name, value)

    init.__signature__ = signature
    return init
