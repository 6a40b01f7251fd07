"""Wide pictures of the gallery in boxes that scroll on a narrow screen, where smaller letters could not be read."""

from pathlib import Path

import imagesize
from docutils import nodes
from sphinx.application import Sphinx
from sphinx_gallery.directives import imgsgnode

# Wider than this, in pixels, a picture has several panels.
_WIDE = 800


def put_into_boxes(app: Sphinx, doctree: nodes.document, _docname: str) -> None:
    """Called for every page."""
    for picture in list(doctree.findall(imgsgnode)):
        if imagesize.get(Path(app.srcdir, picture["uri"].lstrip("/")))[0] > _WIDE:
            box = nodes.container(classes=["picture"])
            picture.replace_self(box)
            box += picture


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("doctree-resolved", put_into_boxes)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
