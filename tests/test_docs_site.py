"""The documentation site builds without a warning, has a page for every public name, and needs no network."""

import html
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote

import pytest

import fastkl
from fastkl import families

pytest.importorskip("sphinx")
ROOT = Path(__file__).parents[1]
LINK = re.compile(r"""(?:href|src)=["']([^"']*)["']""")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site; the build works on a copy, so that it leaves nothing in the source tree.

    The examples of the gallery are not run by it but by tests/test_gallery.py.
    """
    folder = tmp_path_factory.mktemp("site")
    left_out = shutil.ignore_patterns("_build", "api", "gallery", "sg_execution_times.rst", "__pycache__")
    shutil.copytree(ROOT / "docs", folder / "docs", ignore=left_out)
    shutil.copytree(ROOT / "examples", folder / "examples", ignore=left_out)
    shutil.copy(ROOT / "CHANGELOG.md", folder)
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-D", "plot_gallery=0", "docs"]
    command.append("html")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "html"


def extension(name):
    """The module of an extension of the site."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"docs/extensions/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("tex", "wanted"),
    [
        (r"\tfrac12 x", "<mfrac><mn>1</mn><mn>2</mn></mfrac><mi>x</mi>"),
        (r"\frac1{2\pi}", "<mfrac><mn>1</mn><mrow><mn>2</mn><mi>π</mi></mrow></mfrac>"),
        (r"-\frac m2", "<mo>−</mo><mfrac><mi>m</mi><mn>2</mn></mfrac>"),
        (r"\frac{n}{34}", "<mfrac><mi>n</mi><mn>34</mn></mfrac>"),
        (r"a \log x", "<mi>a</mi><mspace></mspace><mi>log</mi><mspace></mspace><mi>x</mi>"),
        (
            r"\log x = \underbrace{a}_b",
            "<mi>log</mi><mspace></mspace><mi>x</mi><mo>=</mo><munder><munder><mi>a</mi><mo>⏟</mo></munder><mi>b</mi></munder>",
        ),
        (r"\overbrace{a}^b", "<mover><mover><mi>a</mi><mo>⏞</mo></mover><mi>b</mi></mover>"),
        (r"\log(x)", "<mi>log</mi><mo>&ApplyFunction;</mo><mo>(</mo><mi>x</mi><mo>)</mo>"),
    ],
)
def test_formulas_are_read_as_tex_reads_them(tex, wanted):
    text = extension("mathml").mathml(tex, block=True)
    found = re.sub(r"<(\w+)[^>]*>|\s+", lambda m: f"<{m[1]}>" if m[1] else "", text)
    assert found == f"<math>{wanted}</math>"


def pages(site):
    """Every page that Sphinx wrote; the theme's own files are templates."""
    return sorted(path for path in site.rglob("*.html") if "_static" not in path.parts)


def test_every_public_name_has_a_page(site):
    things = [name for name in fastkl.__all__ if not isinstance(getattr(fastkl, name), (str, ModuleType))]
    things += [f"families.{families.by_name(name).__name__}" for name in families.names()]
    things += [f"priors.{name}" for name in fastkl.priors.__all__]
    for name in things:
        text = (site / f"api/fastkl.{name}.html").read_text(encoding="utf-8")
        assert f'id="fastkl.{name}"' in text, name
    index = (site / "api/index.html").read_text(encoding="utf-8")
    missing = [name for name in things if f"fastkl.{name}.html" not in index]
    assert not missing


def test_every_public_method_has_an_entry(site):
    text = (site / "api/fastkl.DensityMLE.html").read_text(encoding="utf-8")
    for name in ("fit", "score_samples", "kl_divergence", "confidence_intervals", "from_parameters"):
        assert f'id="fastkl.DensityMLE.{name}"' in text, name
    assert "set_fit_request" not in text  # scikit-learn describes its own


def test_a_family_says_what_it_is(site):
    text = (site / "api/fastkl.families.Gamma.html").read_text(encoding="utf-8")
    for expected in ("<math", "positive numbers", "partial_fit", "Closed-form KL to", "Examples"):
        assert expected in text, expected


def test_links_lead_somewhere(site):
    ids = {}
    for page in pages(site):
        text = page.read_text(encoding="utf-8")
        ids[page.resolve()] = set(re.findall(r"""\bid=["']([^"']+)["']""", text))
    wrong = []
    for page in pages(site):
        for link in LINK.findall(page.read_text(encoding="utf-8")):
            target, _, anchor = html.unescape(link).partition("#")
            if re.match(r"[a-z]+:", link) or link.startswith("//"):
                continue
            file = (page.parent / unquote(target.partition("?")[0])).resolve() if target else page.resolve()
            if not file.exists() or (anchor and file in ids and unquote(anchor) not in ids[file]):
                wrong.append((page.name, link))
    assert not wrong


def test_every_example_has_a_page(site):
    for example in (ROOT / "examples").rglob("plot_*.py"):
        assert (site / "gallery" / example.relative_to(ROOT / "examples").with_suffix(".html")).exists(), example.name


def test_pages_lead_to_source_and_gallery(site):
    text = (site / "api/fastkl.kl_divergence.html").read_text(encoding="utf-8")
    assert "_modules/fastkl/divergence/functions.html#kl_divergence" in text
    assert "gallery/compare/plot_drift.html" in text


def test_nothing_is_fetched(site):
    """Scripts, styles and images come with the site: it reads the same without a network."""
    for page in pages(site):
        text = page.read_text(encoding="utf-8")
        for tag in re.findall(r"<(?:script|link|img)\b[^>]*>", text):
            if 'rel="canonical"' not in tag:
                assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", tag), f"{page.name}: {tag}"


def test_names_in_the_guides_are_links(site):
    for page, name in (("compare", "kl_divergence"), ("choose", "compare_densities")):
        text = (site / f"guide/{page}.html").read_text(encoding="utf-8")
        assert f'href="../api/fastkl.{name}.html#fastkl.{name}"' in text, name


def test_the_guides_are_reached_from_the_first_page(site):
    """Or from the first page of the user guide."""
    text = "".join((site / page).read_text(encoding="utf-8") for page in ("index.html", "user_guide.html"))
    for page in sorted((ROOT / "docs").rglob("*.md")):
        name = page.relative_to(ROOT / "docs").with_suffix(".html")
        assert page.stem == "index" or str(name) in text, name


def test_sections_of_docstrings_have_lines_of_their_own():
    """A heading that was wrapped into its text would be read as an error that is raised."""
    heading = re.compile(
        r"^\s*(?:Parameters|Returns|Raises|Warns|Notes|References|Examples|Attributes|See Also) -{3,}", re.M
    )
    found = [
        str(path)
        for path in sorted((ROOT / "fastkl").rglob("*.py*"))
        if path.suffix in {".py", ".pyx"} and heading.search(path.read_text(encoding="utf-8"))
    ]
    assert found == []
