"""How the site is built: ``sphinx-build -W -b html docs docs/_build/html``; nothing is fetched from the network."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "extensions")]

import fastkl  # noqa: E402 (found through the line above)

project = "fastkl"
author = "The fastkl developers"
copyright = author
version = release = fastkl.__version__

# The last five are in docs/extensions: a page for every public name, a picture of every family, formulas as MathML, names in
# running text as links, pictures that scroll.
extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "sphinxcontrib.bibtex",
    "numpydoc",
    "myst_parser",
    "family_pictures",
    "api_pages",
    "mathml",
    "name_links",
    "wide_pictures",
]
if os.environ.get("READTHEDOCS"):  # elsewhere nothing is fetched, and what belongs to other libraries is text
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "scipy": ("https://docs.scipy.org/doc/scipy", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
    }
exclude_patterns = [
    "_build",
    "examples",
    "**/sg_execution_times.rst",
    "sg_execution_times.rst",
    "gallery/**/*.ipynb",
    "gallery/**/*.py",
]
smartquotes = False  # "knn" in a docstring is what a person types
toc_object_entries_show_parents = "hide"

autosummary_generate = False  # api_pages writes the pages
autodoc_typehints = "none"  # the docstrings have the types, in words
numpydoc_class_members_toctree = False
numpydoc_show_inherited_class_members = True

myst_enable_extensions = ["colon_fence", "dollarmath", "deflist"]
myst_heading_anchors = 3

bibtex_bibfiles = ["references.bib"]
copybutton_exclude = ".linenos, .gp, .go"  # neither prompts nor output
viewcode_line_numbers = True

# Every script in examples/ is run, and its figures are the picture of its page.
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "backreferences_dir": "gallery/backreferences",
    "doc_module": ("fastkl",),
    "reference_url": {"fastkl": None},
    "image_srcset": ["2x"],
    "download_all_examples": False,
    "show_signature": False,
    "remove_config_comments": True,  # such as how many pictures stand in where examples are not run
    "write_computation_times": False,  # its page would fetch styles from elsewhere
}

html_theme = "pydata_sphinx_theme"
html_title = "fastkl"
html_static_path = ["static"]
html_css_files = ["fastkl.css"]
html_math_renderer = "mathml"
html_show_sourcelink = False
html_copy_source = False
html_sidebars = {"*": [], "api/*": ["sidebar-nav-bs"], "guide/*": ["sidebar-nav-bs"], "gallery/**": ["sidebar-nav-bs"]}
html_theme_options = {
    "header_links_before_dropdown": 6,
    "show_nav_level": 1,
    "navigation_with_keys": False,
    "show_prev_next": False,
    "footer_start": ["copyright"],
    "footer_end": [],
    "navbar_align": "left",
    "secondary_sidebar_items": ["page-toc"],
}
pygments_style = "default"
