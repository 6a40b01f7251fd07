"""The API reference: a page for every public name, written anew at each build, so that nothing is listed by hand.

Public is what the ``__all__`` of ``fastkl`` and of its rooms holds, and every family that is discovered. The pages go to
``docs/api``, which is not kept under version control.
"""

import importlib
import importlib.util
import inspect
import re
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any

from family_pictures import path_of
from sphinx.application import Sphinx

import fastkl
from fastkl import families
from fastkl.families import closed_form

# The rooms in the order of the index: the name of the page, its title. What comes from elsewhere is listed under its own name.
ROOMS = {
    "density": "Densities",
    "families": "Families",
    "priors": "Priors",
    "divergence": "Divergence, entropy, cross-entropy",
    "selection": "Choosing between densities",
    "plotting": "Plots",
    "rows": "Map and reduce",
    "exceptions": "Errors and warnings",
    "contract": "For those who add a family",
}
# Modules whose __all__ is public beside that of fastkl, as far as they exist.
SOURCES = [
    "fastkl",
    "fastkl.density",
    "fastkl.families.priors",
    "fastkl.divergence",
    "fastkl.selection",
    "fastkl.plotting",
]
# What the developer guide speaks of, and what nobody else needs.
CONTRACT = ["families.base.Family", "families.base.Rows", "families.base.Fit", "families.univariate.UnivariateFamily"]


def public_names() -> dict[str, str]:
    """The full name of every public class, function and object, and the room under which it is listed."""
    found, listed = {}, set()
    for source in SOURCES:
        if importlib.util.find_spec(source) is None:
            continue
        module = importlib.import_module(source)
        for name in module.__all__:
            thing = getattr(module, name)
            if not inspect.ismodule(thing) and name != "__version__" and id(thing) not in listed:
                listed.add(id(thing))
                found[f"{source.replace('families.priors', 'priors')}.{name}"] = (
                    "priors" if source.endswith("priors") else thing.__module__.split(".")[1]
                )
    found |= dict.fromkeys(["fastkl.families.names", "fastkl.families.by_name"], "families")
    found |= {f"fastkl.families.{families.by_name(name).__name__}": "families" for name in families.names()}
    return found | {f"fastkl.{name}": "contract" for name in CONTRACT}


def resolve(full_name: str) -> Any:
    """The object behind a full name, whose module has been imported."""
    return reduce(getattr, full_name.split(".")[1:], fastkl)


def is_family(thing: Any) -> bool:
    """Whether this is one of the discovered families."""
    return inspect.isclass(thing) and issubclass(thing, families.Family) and "name" in vars(thing)


def not_shown(thing: type) -> list[str]:
    """Members of a class that its page leaves out: those of scikit-learn and of Python, and what is under "Attributes"."""
    names = [name for name in dir(thing) if not name.startswith("_")]
    own = {name for base in thing.__mro__ if base.__module__.startswith("fastkl") for name in vars(base)}
    own -= {
        name for name in own if re.fullmatch(r"set_\w+_request", name)
    }  # scikit-learn gives these to every subclass
    values = {name for name in names if inspect.isdatadescriptor(inspect.getattr_static(thing, name))}
    return sorted(name for name in names if name not in own or name in values)


def facts(family: type[families.Family]) -> Iterator[str]:
    """What a family's attributes say about it, as a field list."""
    yield f':Name: ``DensityMLE("{family.name}")``'
    others = [*family.aliases, *([f"{family.scipy_name}"] if family.scipy_name not in (None, family.name) else [])]
    if others:
        yield f":Also found as: {', '.join(f'``{name}``' for name in dict.fromkeys(others))}"
    kind = "the row as a whole" if family.joint else "every column on its own"
    yield f":Describes: {kind}{', labels' if family.labels else ''}{', discrete' if family.discrete else ''}"
    if hasattr(family, "support_text"):
        yield f":Support: {family.support_text}"
    yield f":Parameters: {', '.join(family.parameter_names)}"
    yield f":Chunks: {'``partial_fit`` and ``merge``' if family.has_statistics else 'none: a fit iterates over the rows'}"
    others = [q for p, q in closed_form.registered_pairs() if p == family.name]
    if others:
        links = (f":class:`{name} <fastkl.families.{families.by_name(name).__name__}>`" for name in others)
        yield f":Closed-form KL to: {', '.join(links)}"


def page(full_name: str) -> str:
    """The source of the page of one name."""
    name = full_name.removeprefix("fastkl.")
    title = name.rpartition(".")[2]
    thing = resolve(full_name)
    lines = [title, "=" * len(title), "", ".. currentmodule:: fastkl", ""]
    if is_family(thing):
        picture = path_of(thing.name)
        lines += [f".. image:: {picture}", f"   :alt: densities of the {thing.name} family", ""] if picture else []
        lines += [*facts(thing), "", f".. autoclass:: fastkl::{name}", "   :exclude-members: " + ", ".join(dir(thing))]
    elif inspect.isclass(thing):
        lines += [f".. autoclass:: fastkl::{name}", "   :members:", "   :inherited-members:"]
        lines += ["   :exclude-members: " + ", ".join(not_shown(thing))]
    elif inspect.isroutine(thing):
        lines += [f".. autofunction:: fastkl::{name}"]
    else:  # an object that is ready to use, such as a scorer
        lines += [f".. autodata:: fastkl::{name}", "   :no-value:"]
    if "." not in name and not (inspect.isclass(thing) and issubclass(thing, Exception)):
        lines += ["", f".. minigallery:: {full_name}", "   :add-heading: In the gallery"]
    return "\n".join([*lines, ""])


def rooms(names: dict[str, str]) -> dict[str, str]:
    """The rooms that have something to list, in order, with their titles."""
    found = [*(room for room in ROOMS if room in names.values()), *sorted(set(names.values()) - set(ROOMS))]
    return {room: ROOMS.get(room, room.capitalize()) for room in found}


def table(room: str, names: dict[str, str]) -> list[str]:
    """Names and first sentences of a room."""
    members = [name for name, where in names.items() if where == room]
    lines = [".. currentmodule:: fastkl", "", ".. autosummary::", "   :nosignatures:", ""]
    return [*lines, *(f"   {name.removeprefix('fastkl.')}" for name in members), ""]


def room_page(room: str, title: str, names: dict[str, str]) -> str:
    """The page of a room: its table; the pages of its names are below it."""
    members = [name for name, where in names.items() if where == room]
    lines = [title, "=" * len(title), "", *table(room, names), ".. toctree::", "   :hidden:", ""]
    return "\n".join([*lines, *(f"   {name.rpartition('.')[2]} <{name}>" for name in members), ""])


def index(names: dict[str, str]) -> str:
    """The first page of the reference: the tables of all rooms."""
    intro = "Everything a person needs comes from ``fastkl`` itself; a longer name says where else to look."
    lines = ["API reference", "=============", "", intro, "", ".. toctree::", "   :hidden:", ""]
    lines += [*(f"   {room}" for room in rooms(names)), ""]
    for room, title in rooms(names).items():
        lines += [title, "-" * len(title), "", *table(room, names)]
    return "\n".join(lines)


def write_pages(app: Sphinx) -> None:
    """Write what has changed, and remove pages of names that are gone."""
    folder = Path(app.srcdir) / "api"
    folder.mkdir(exist_ok=True)
    names = public_names()
    wanted = {f"{name}.rst": page(name) for name in names} | {"index.rst": index(names)}
    wanted |= {f"{room}.rst": room_page(room, title, names) for room, title in rooms(names).items()}
    for old in folder.glob("*.rst"):
        if old.name not in wanted:
            old.unlink()
    for file, text in wanted.items():
        path = folder / file
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def keep_initials(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """``C. Loader`` at the start of a reference is a name, not the third entry of a list."""
    lines[:] = [re.sub(r"^(\s*[A-Z])\. (?=\S)", r"\1\\. ", line) for line in lines]


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("builder-inited", write_pages)
    app.connect("autodoc-process-docstring", keep_initials, priority=900)  # after numpydoc
    return {"parallel_read_safe": True, "parallel_write_safe": True}
