"""Wide pictures of the gallery in boxes that scroll on a narrow screen, where smaller letters could not be read."""

from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx_gallery.directives import imgsgnode

# Wider than this, in pixels, a picture has several panels.
_WIDE = 800


def put_into_boxes(app: Sphinx, doctree: nodes.document, _docname: str) -> None:
    """Called for every page."""
    for picture in list(doctree.findall(imgsgnode)):
        if width(Path(app.srcdir, picture["uri"].lstrip("/"))) > _WIDE:
            box = nodes.container(classes=["picture"])
            picture.replace_self(box)
            box += picture


def width(png: Path) -> int:
    """Pixels, which stand behind the first 16 bytes of a PNG file."""
    with png.open("rb") as stream:
        return int.from_bytes(stream.read(20)[16:])


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("doctree-resolved", put_into_boxes)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
