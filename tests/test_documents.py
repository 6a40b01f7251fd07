"""The code of the README and the guides runs and prints what is written under it."""

import contextlib
import inspect
import io
import re
from pathlib import Path

import pytest

import fastkl
from fastkl import families

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"```python\n(.*?)```(?:\s*```text\n(.*?)```)?", re.DOTALL)
EXAMPLES = [
    pytest.param(code, expected, id=f"{path.name}-{i}")
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    for i, (code, expected) in enumerate(BLOCK.findall(path.read_text(encoding="utf-8")))
]


@pytest.mark.parametrize(("code", "expected"), EXAMPLES)
def test_example(code, expected):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "example", "exec"), {})
    assert out.getvalue() == expected


@pytest.mark.parametrize(
    "path", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda path: path.name
)
def test_files_and_tests_that_are_named_exist(path):
    """A path in `code` is that of a file, from the top or from tests/; what follows a :: is a test in it."""
    for file, name in re.findall(r"`((?:[\w.-]+/)+[\w.-]+\.\w+)(?:::(\w+))?`", path.read_text(encoding="utf-8")):
        found = [top / file for top in (ROOT, ROOT / "tests", ROOT / "fastkl") if (top / file).is_file()]
        assert found, f"{path.name} names {file}"
        assert not name or re.search(rf"(def|class) {name}\b", found[0].read_text(encoding="utf-8")), f"{file}::{name}"


def test_both_commands_are_in_the_readme():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "pip install . && fastkl demo" in text
    assert "pip install -e '.[test]' && pytest" in text


def public_things():
    rooms = [(fastkl, fastkl.__all__), (fastkl.divergence, fastkl.divergence.__all__)]
    rooms += [(fastkl.selection, fastkl.selection.__all__), (fastkl.priors, fastkl.priors.__all__)]
    rooms += [(families, [*families.__all__, *(families.by_name(name).__name__ for name in families.names())])]
    for room, names in rooms:
        for name in names:
            thing = getattr(room, name)
            if not inspect.ismodule(thing) and name != "__version__":
                yield pytest.param(thing, id=name)


@pytest.mark.parametrize("thing", list(public_things()))
def test_every_public_name_has_an_example(thing):
    """The examples themselves are run as doctests."""
    text = inspect.getdoc(thing)
    assert "Examples\n--------\n>>> " in text
