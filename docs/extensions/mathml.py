"""Formulas as MathML, which browsers draw themselves: pages need neither JavaScript nor a network.

docutils translates the TeX; what it cannot read is a warning with the place, hence an error under ``-W``.
"""

import re
from xml.etree import ElementTree

from docutils import nodes
from docutils.utils.math import MathError, pick_math_environment
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

logger = logging.getLogger(__name__)

# docutils reads the 12 of \frac12 as one number: braces make it two.
FRACTION = re.compile(r"\\([td]?frac)\s*(\w)\s*(\w|(?=\{))")
# TeX sets a thin space between a function's name and what stands beside it; browsers do not.
AFTER_NAME = re.compile(r"<mo>&ApplyFunction;</mo>(?!\s*<mo[^>]*>\()")
BEFORE_NAME = re.compile(r"(</mi>|</mn>|[)!]</mo>|</m(?:sub|sup|subsup|frac|row)>)(?=\s*<mi>[a-z]{3}</mi>\s*<m)")
MATHML = "http://www.w3.org/1998/Math/MathML"
INDEXED = {f"{{{MATHML}}}{name}" for name in ("msub", "msup")}
BRACED = {f"{{{MATHML}}}{name}" for name in ("munder", "mover")}
THIN_SPACE = '<mspace width="0.167em"></mspace>'


def braced(match: re.Match[str]) -> str:
    """A fraction with braces around what had none."""
    above, below = match[2], match[3]
    return rf"\{match[1]}{{{above}}}" + (f"{{{below}}}" if below else "")


def below_braces(text: str) -> str:
    """The formula with what is said of a brace below or above it; docutils makes it an index."""
    if not re.search("[⏟⏞]", text):
        return text
    ElementTree.register_namespace("", MATHML)
    root = ElementTree.fromstring(text.replace("&ApplyFunction;", "\u2061"))
    for index in list(root.iter()):
        under = index[0].tag if len(index) == 2 else ""
        if index.tag in INDEXED and under in BRACED and index[0][-1].text in ("⏟", "⏞"):
            index.tag = under
    return ElementTree.tostring(root, encoding="unicode").replace("\u2061", "&ApplyFunction;")


def mathml(tex: str, block: bool) -> str:
    """The formula, spaced as TeX does."""
    text = below_braces(tex2mathml(FRACTION.sub(braced, tex), as_block=block))
    return BEFORE_NAME.sub(rf"\1{THIN_SPACE}", AFTER_NAME.sub(THIN_SPACE, text))


def write(translator: HTML5Translator, node: nodes.Element, block: bool) -> None:
    """Put a formula into the page."""
    tex = node.astext()
    if block and pick_math_environment(tex).startswith("align"):
        tex = rf"\begin{{aligned}}{tex}\end{{aligned}}"
    try:
        translator.body.append(mathml(tex, block))
    except MathError as error:
        logger.warning("not read as a formula: %s (%s)", tex, error, location=node)
        translator.body.append(f"<code>{translator.encode(tex)}</code>")
    raise nodes.SkipNode


def inline(translator: HTML5Translator, node: nodes.math) -> None:
    """A formula in a line of text."""
    write(translator, node, block=False)


def display(translator: HTML5Translator, node: nodes.math_block) -> None:
    """A formula on a line of its own."""
    write(translator, node, block=True)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_html_math_renderer("mathml", (inline, None), (display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
