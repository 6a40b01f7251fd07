"""The floors of the house: imports go down only, and a file stays readable."""

import ast
from pathlib import Path

import pytest

import fastkl

ROOT = Path(fastkl.__file__).parent
FLOORS = {
    "_core": 0, "exceptions": 0,
    "families": 1, "spatial": 1, "rows": 1,
    "divergence": 2,
    "density": 3,
    "selection": 4,
    "plotting": 5,
    "__init__": 6, "demo": 7, "commands": 7, "cli": 8, "__main__": 9,
}  # fmt: skip
MODULES = sorted(path for path in ROOT.rglob("*.py"))


def room_of(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_names(path):
    """Dotted names that a module imports anywhere in it, functions included; type-checking imports are left out."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_rooms(path):
    for name in imported_names(path):
        parts = name.split(".")
        if parts[0] == "fastkl":
            yield parts[1] if len(parts) > 1 and parts[1] in FLOORS else "__init__"


def file_of(name):
    """The file of the package behind a dotted name of a module or of something in one; None outside it."""
    parts = name.split(".")
    if parts[0] != "fastkl":
        return None
    for end in range(len(parts), 0, -1):
        path = ROOT.joinpath(*parts[1:end])
        for file in (path / "__init__.py", *(path.with_suffix(ending) for ending in (".py", ".pyx"))):
            if file.exists():
                return file
    return None


def circle_in(graph):
    """A circle of a graph as a list of its nodes, or None: depth first, as far as possible from each node in turn."""
    done, trail = set(), []

    def visit(node):
        if node in trail:
            return [*trail[trail.index(node) :], node]
        if node in done:
            return None
        trail.append(node)
        for other in graph[node]:
            found = visit(other)
            if found:
                return found
        done.add(trail.pop())
        return None

    return next(filter(None, map(visit, graph)), None)


def test_a_circle_is_found():
    assert circle_in({"a": ["b"], "b": ["c"], "c": ["b"]}) == ["b", "c", "b"]
    assert circle_in({"a": ["b", "c"], "b": ["c"], "c": []}) is None


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down(path):
    room = room_of(path)
    assert room in FLOORS, f"{room} has no floor"
    for other in imported_rooms(path):
        same_room = other == room
        assert same_room or FLOORS[other] < FLOORS[room], (
            f"{path.relative_to(ROOT)} imports {other}, which is not below it"
        )


def test_files_import_no_circle():
    """Within a room too: a file that is imported knows nothing of the file that imports it, not even in a function."""
    graph = {path: {file_of(name) for name in imported_names(path)} - {None, path} for path in MODULES}
    graph |= {file: set() for files in list(graph.values()) for file in files if file not in graph}  # compiled modules
    circle = circle_in(graph)
    assert circle is None, " -> ".join(str(path.relative_to(ROOT)) for path in circle)


@pytest.mark.parametrize(
    "room", sorted({path.parent for path in MODULES}), ids=lambda path: str(path.relative_to(ROOT))
)
def test_rooms_in_a_room_import_no_circle(room):
    """A folder that is imported, whatever is in it, imports nothing from the folders and files beside it that import it."""
    graph = {}
    for path in MODULES:
        if room in path.parents and path != room / "__init__.py":
            beside = graph.setdefault(path.relative_to(room).parts[0], set())
            files = map(file_of, imported_names(path))
            beside |= {file.relative_to(room).parts[0] for file in files if file and room in file.parents}
    graph = {name: (others & set(graph)) - {name} for name, others in graph.items()}
    assert circle_in(graph) is None


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_sklearn_is_unknown_below(path):
    """_core, spatial and rows know nothing of scikit-learn; families take BaseEstimator alone."""
    room = room_of(path)
    if room not in {"_core", "spatial", "families", "rows"}:
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "sklearn":
            assert room == "families"
            assert [alias.name for alias in node.names] == ["BaseEstimator"]
        if isinstance(node, ast.Import):
            assert not any(alias.name.split(".")[0] == "sklearn" for alias in node.names)


def test_warnings_are_given_in_one_place():
    """``_core.warned.warn`` finds the line of the caller, and lets a caller inside keep what it says."""
    assert [str(path.relative_to(ROOT)) for path in MODULES if "warnings" in imported_names(path)] == [
        "_core/warned.py"
    ]


SOURCES = [path for ending in ("py", "pyx", "pxd", "h") for path in ROOT.rglob(f"*.{ending}")]


@pytest.mark.parametrize("path", sorted(SOURCES), ids=lambda path: str(path.relative_to(ROOT)))
def test_files_stay_readable(path):
    lines = path.read_text().splitlines()
    assert len(lines) <= 400
    assert max(map(len, lines), default=0) <= 130
    if path.suffix in {".py", ".pyx"} and lines:
        assert lines[0].startswith(('"""', 'r"""')), "a file says at its top what it is"


def test_files_of_tests_stay_readable():
    files = Path(__file__).parent.rglob("*.py")
    assert not [path.name for path in files if len(path.read_text(encoding="utf-8").splitlines()) > 450]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_functions_stay_short(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            doc = ast.get_docstring(node, clean=False)
            length = node.end_lineno - node.lineno + 1 - (doc.count("\n") + 1 if doc else 0)
            assert length <= 60, f"{node.name} has {length} lines"
