"""Files of the project that repeat what stands elsewhere: versions, requirements, pinned actions, links to pages."""

import re
import shutil
import subprocess
import tomllib
from importlib import resources
from pathlib import Path

import pytest
from setuptools.command.egg_info import FileList

import fastkl

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def requirement(text):
    """Name and bounds without blanks, in the order of the alphabet."""
    name, bounds = re.fullmatch(r"\s*-?\s*([\w.-]+)\s*(.*?)\s*", text).groups()
    return name.lower(), sorted(bounds.split(",")) if bounds else []


def recipe_section(name):
    text = (ROOT / "conda-recipe/meta.yaml").read_text()
    lines = re.search(rf"^  {name}:\n((?:    - .*\n)+)", text, re.MULTILINE).group(1)
    return dict(map(requirement, lines.splitlines()))


def test_versions():
    for path, pattern in (("CITATION.cff", r"^version: (.+)$"), ("conda-recipe/meta.yaml", r'set version = "(.+)"')):
        assert re.search(pattern, (ROOT / path).read_text(), re.MULTILINE).group(1) == fastkl.__version__


@pytest.mark.parametrize(
    ("section", "listed"),
    [("run", PROJECT["project"]["dependencies"]), ("host", PROJECT["build-system"]["requires"])],
)
def test_requirements_of_the_recipe(section, listed):
    assert recipe_section(section) == {"python": [], **({"pip": []} if section == "host" else {})} | dict(
        map(requirement, listed)
    )


@pytest.mark.parametrize("path", sorted((ROOT / ".github/workflows").iterdir()), ids=lambda path: path.name)
def test_actions_are_pinned(path):
    used = re.findall(r"uses: (\S+)(.*)", path.read_text())
    assert used
    for action, comment in used:
        assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", action), action
        assert re.fullmatch(r" # v[\d.]+", comment), action


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_links_between_files(name):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / name).read_text()):
        assert (ROOT / target).exists(), target


def test_scripts_are_executable():
    for path in (ROOT / ".ci/run", *(ROOT / "tools").glob("*.sh")):
        assert path.stat().st_mode & 0o111, path


def test_classifiers_are_what_wheels_are_built_for():
    wheels = PROJECT["tool"]["cibuildwheel"]
    given = PROJECT["project"]["classifiers"]
    versions = {f"3.{minor}" for minor in re.findall(r"cp3(\d+)", " ".join(wheels["build"]))}
    assert set(re.findall(r"Python :: (3\.\d+)", "\n".join(given))) == versions
    words = {"linux": "POSIX :: Linux", "macos": "MacOS", "windows": "Microsoft :: Windows"}
    systems = {f"Operating System :: {word}" for name, word in words.items() if name in wheels}
    assert {line for line in given if line.startswith("Operating System")} == systems


def test_what_tests_read_is_in_the_source_distribution(monkeypatch):
    """Everything that a test looks for at the root, by MANIFEST.in or because setuptools takes it anyway."""
    monkeypatch.chdir(ROOT)
    files = FileList()
    for line in Path("MANIFEST.in").read_text().splitlines():
        if line and not line.startswith("#"):
            files.process_template_line(line)
    given = {Path(name).parts[0] for name in files.files} | {"pyproject.toml", "setup.py", "README.md", "LICENSE"}
    sources = "".join(path.read_text() for path in Path("tests").rglob("*.py"))
    read = {target.split("/")[0] for target in re.findall(r'ROOT / "([\w./-]+)"', sources)} - {".git"}
    assert {".ci", ".github", "docs", "pyproject.toml"} <= read
    assert read <= given


@pytest.mark.parametrize("pattern", PROJECT["tool"]["setuptools"]["package-data"]["*"])
def test_package_data_are_there(pattern):
    """In the sources, in what git keeps of them, and in the package that is imported."""
    assert list((ROOT / "fastkl").rglob(pattern))
    if (ROOT / ".git").exists() and shutil.which("git"):
        command = ["git", "-C", str(ROOT), "ls-files", "--", f"fastkl/**/{pattern}", f"fastkl/{pattern}"]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert list(Path(str(resources.files(fastkl))).rglob(pattern))


def test_types_are_announced():
    """PEP 561: without this file type checkers take nothing from the package."""
    assert resources.files(fastkl).joinpath("py.typed").is_file()
