"""The page of the contract, ``families/base.py``, is what its sections say: needed, offered, derived."""

import ast
import inspect
from pathlib import Path

import pytest

from fastkl import families
from fastkl.families import base
from fastkl.families.base import Family


def sections():
    """The methods under each of the headings of ``Family``."""
    source = Path(base.__file__).read_text()
    headings = [
        (number, line.strip(" -#"))
        for number, line in enumerate(source.splitlines(), 1)
        if line.startswith(("    # -- needed", "    # -- offered", "    # -- derived"))
    ]
    body = next(
        node.body for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name == "Family"
    )
    found = {heading: [] for _, heading in headings}
    for node in body:
        above = [heading for number, heading in headings if number < node.lineno]
        if isinstance(node, ast.FunctionDef) and above:
            found[above[-1]].append(node.name)
    return found


SECTIONS = sections()
METHODS = {name for names in SECTIONS.values() for name in names}


def of(kind):
    return [name for heading, names in SECTIONS.items() if heading.startswith(kind) for name in names]


def overridden(family, name):
    return inspect.getattr_static(family, name) is not inspect.getattr_static(Family, name)


def test_every_method_has_its_place_and_its_sentence():
    public = {name for name, member in vars(Family).items() if inspect.isfunction(member) and not name.startswith("_")}
    own = {name for name in public if getattr(Family, name).__module__ == Family.__module__}
    assert own <= METHODS
    assert all(of(kind) for kind in ("needed", "offered", "derived"))
    assert all(getattr(Family, name).__doc__ for name in METHODS)


@pytest.mark.parametrize("family", [families.by_name(name) for name in families.names()], ids=families.names())
def test_a_family_gives_what_is_needed_and_leaves_what_is_derived(family):
    for name in of("derived"):
        assert not overridden(family, name), name
    needed = [*of("needed by every family"), *(of("needed with") if family.has_statistics else [])]
    if overridden(family, "covariance_of_params"):
        needed.remove("covariance_of")  # parameters that are not estimated independently
    if not family.has_statistics:
        needed += ["fit", "log_likelihood", "log_likelihood_and_gradient"]
    for name in needed:
        assert overridden(family, name), name


@pytest.mark.parametrize("family", [families.by_name(name) for name in families.names()], ids=families.names())
def test_a_family_says_nothing_twice(family):
    for parent in family.__mro__[: family.__mro__.index(Family)]:
        for name in METHODS & set(vars(parent)):
            documented = inspect.unwrap(inspect.getattr_static(parent, name)).__doc__
            assert documented is None or documented != getattr(Family, name).__doc__, f"{parent.__name__}.{name}"
