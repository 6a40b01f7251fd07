"""Code in running text that is a public name becomes a link to its page: ``kl_divergence``, ``DensityMLE``, ``families.Gamma``.

The Markdown of the guides stays plain this way, and reads well where it is not built.
"""

import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.nodes import make_refnode

NAME = re.compile(
    r"^(?:fastkl\.)?((?:families\.|priors\.|plotting\.|divergence\.)*[A-Za-z_]\w*(?:\.[a-z]\w*)?)(?:\(.*\))?$"
)


def targets(app: Sphinx) -> dict[str, tuple[str, str]]:
    """The page and the anchor of every documented name, under the names that people write."""
    found = {}
    for name, entry in app.env.domains["py"].objects.items():
        short = name.removeprefix("fastkl.")
        for written in {short, short.removeprefix("families."), short.removeprefix("divergence."), f"families.{short}"}:
            found.setdefault(written, (entry.docname, entry.node_id))
    return found


def link_names(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Wrap the literals of a page that name something public which has another page."""
    if app.builder.format != "html":
        return
    known = targets(app)
    for literal in list(doctree.findall(nodes.literal)):
        match = NAME.match(literal.astext())
        if match is None or match[1] not in known or isinstance(literal.parent, nodes.reference):
            continue
        page, anchor = known[match[1]]
        if page == docname:
            continue
        link = make_refnode(app.builder, docname, page, anchor, literal.deepcopy(), match[1])
        literal.replace_self(link)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("doctree-resolved", link_names)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
