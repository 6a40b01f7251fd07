"""What a reader and a type checker rely on: docstrings, stubs, types, lint, and the commands of the README."""

import contextlib
import inspect
import os
import subprocess
import sys
from pathlib import Path

import numpydoc.validate
import pytest

import fastkl
from fastkl import families

ROOT = Path(__file__).parents[1]
STUBBED = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in (ROOT / "fastkl").rglob("*.pyx")
)  # fmt: skip

# Not asked for: extended summaries and See Also everywhere, examples on every method, a period after each description of a type.
LEFT_OUT = {
    "ES01",
    "PR08",
    "SA01",
    "SA04",
    "EX01",
    "GL08",
    "RT03",
    "PR09",
    "RT05",
    "SS06",
    "GL01",
    "GL02",
    "GL03",
    "SS05",
    "RT02",
    "YD01",
}


def public_objects():
    objects = [(f"fastkl.{name}", getattr(fastkl, name)) for name in fastkl.__all__]
    objects += [(f"fastkl.families.{families.by_name(n).__name__}", families.by_name(n)) for n in families.names()]
    for path, thing in objects:
        if inspect.isfunction(thing) or inspect.isclass(thing):
            yield path
            if inspect.isclass(thing) and not issubclass(thing, (Exception, families.Family)):
                for name, member in vars(thing).items():
                    if not name.startswith("_") and inspect.isfunction(member):
                        yield f"{path}.{name}"


@pytest.mark.parametrize("path", sorted(set(public_objects())))
def test_docstrings_are_complete(path):
    report = numpydoc.validate.validate(path)
    problems = [(code, text) for code, text in report["errors"] if code not in LEFT_OUT]
    assert report["docstring"].strip(), "no docstring"
    assert not problems


def signatures():
    """Those of all that the public packages offer, and of the public methods of their classes."""
    for room in (fastkl, fastkl.divergence, fastkl.density, fastkl.selection, fastkl.plotting, fastkl.priors, families):
        for thing in (getattr(room, name) for name in dir(room)):
            members = [thing]
            if inspect.isclass(thing):
                members += [getattr(thing, name) for name in vars(thing) if not name.startswith("_")]
            for member in filter(callable, members):
                with contextlib.suppress(ValueError):  # a type of Python's own
                    yield f"{room.__name__}: {member!r}", inspect.signature(member)


def estimators():
    """The public classes whose parameters are attributes of the same name, as scikit-learn has it."""
    rooms = (fastkl, fastkl.divergence, fastkl.density, fastkl.selection, fastkl.spatial, families)
    things = {
        thing for room in rooms for thing in (getattr(room, name) for name in dir(room)) if inspect.isclass(thing)
    }
    return sorted((thing for thing in things if hasattr(thing, "_get_param_names")), key=lambda thing: thing.__name__)


@pytest.mark.parametrize("estimator", estimators())
def test_parameters_hide_no_method(estimator):
    """The constructor sets them on the object, where a method or property of the same name could no longer be reached."""
    assert not [name for name in estimator._get_param_names() if inspect.getattr_static(estimator, name, None)]


def test_signatures_are_short():
    """What help() and notebooks show: names of types rather than what they stand for, and not too many arguments."""
    for name, signature in signatures():
        bare = [parameter.replace(annotation=parameter.empty) for parameter in signature.parameters.values()]
        assert len(str(signature)) <= 450, name
        assert len(str(signature.replace(parameters=bare, return_annotation=signature.empty))) <= 205, name
        assert "typing" not in str(signature), name


def run(*command, **options):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_compiled_module_has_a_stub():
    for name in STUBBED:
        assert (ROOT / Path(*name.split(".")).with_suffix(".pyi")).exists(), name


def test_stubs_say_what_the_modules_have():
    run(
        sys.executable, "-m", "mypy.stubtest", *STUBBED, "--ignore-missing-stub", "--mypy-config-file", "pyproject.toml"
    )


def test_types():
    run(sys.executable, "-m", "mypy")


@pytest.mark.parametrize("command", [["check", "."], ["format", "--check", "."]])
def test_lint(command):
    run(sys.executable, "-m", "ruff", *command)


def test_lint_of_cython():
    run(sys.executable, "-m", "cython_lint.cython_lint", "fastkl", "--max-line-length", "130")


def test_import_is_light():
    """Importing fastkl brings in no optional package, no pandas, no matplotlib, no large part of scipy."""
    script = (
        "import sys, sklearn.base; before = set(sys.modules); import fastkl; print(*sorted(set(sys.modules) - before))"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = {name.split(".")[0] for name in out.stdout.split()} | {
        name for name in out.stdout.split() if name.count(".") == 1 and name.startswith("scipy.")
    }
    assert not loaded & {"matplotlib", "pandas", "pyarrow", "dask", "tqdm", "polars"}
    assert not loaded & {f"scipy.{part}" for part in ("stats", "spatial", "signal", "cluster")}


@pytest.mark.parametrize("arguments", [["info"], ["demo", "--rows", "20000", "--figure", "figure.png"]])
def test_commands(arguments, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "fastkl", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    if arguments[0] == "demo":
        assert (tmp_path / "figure.png").stat().st_size > 10_000
        for expected in (
            "log-density",
            "KL(data || model)",
            "95 % interval",
            "KL(malignant || benign)",
            "Scored 20,000 rows",
        ):
            assert expected in done.stdout
    else:
        for expected in ("numpy", "threads", "OpenMP", "instruction set"):
            assert expected in done.stdout


@pytest.mark.parametrize("arguments", [[], ["fly"], ["demo", "--rows", "0"]])
def test_wrong_commands(arguments):
    done = subprocess.run([sys.executable, "-m", "fastkl", *arguments], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_dir_shows_the_public_names_alone():
    assert dir(fastkl) == sorted(fastkl.__all__)
    for room in (fastkl.divergence, fastkl.density, fastkl.selection, fastkl.plotting, fastkl.priors):
        assert dir(room) == sorted(room.__all__), room.__name__
    classes = [families.by_name(name).__name__ for name in families.names()]
    assert dir(families) == sorted([*families.__all__, *classes])
