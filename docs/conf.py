"""How the site is built: ``sphinx-build -W -b html docs docs/_build/html``; nothing is fetched from the network."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "extensions")]

import fastkl  # noqa: E402 (found through the line above)

project = "fastkl"
author = "The fastkl developers"
copyright = author
version = release = fastkl.__version__

# The last three are in docs/extensions: a page for every public name, formulas as MathML, names in running text as links.
extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "api_pages",
    "mathml",
    "name_links",
]
exclude_patterns = ["_build", "examples"]
smartquotes = False  # "knn" in a docstring is what a person types
toc_object_entries_show_parents = "hide"

autosummary_generate = False  # api_pages writes the pages
autodoc_typehints = "none"  # the docstrings have the types, in words
numpydoc_class_members_toctree = False
numpydoc_show_inherited_class_members = True

myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3

html_theme = "pydata_sphinx_theme"
html_title = "fastkl"
html_static_path = ["static"]
html_css_files = ["fastkl.css"]
html_math_renderer = "mathml"
html_show_sourcelink = False
html_copy_source = False
html_sidebars = {"*": [], "api/*": ["sidebar-nav-bs"]}
html_theme_options = {
    "header_links_before_dropdown": 8,
    "show_nav_level": 1,
    "navigation_with_keys": False,
    "show_prev_next": False,
    "footer_start": ["copyright"],
    "footer_end": [],
    "navbar_align": "left",
    "secondary_sidebar_items": ["page-toc"],
}
pygments_style = "default"
