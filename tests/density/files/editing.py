"""Model files made from a good one by changing its header or its arrays."""

import io
import json
import zipfile

import numpy as np

from fastkl.density.files import persistence


def edited(source, target, header=None, **arrays):
    """A copy of a file with another header, and other arrays by their number (``a0``)."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            if name == persistence.HEADER and header is not None:
                content = json.dumps(header(json.loads(content)))
            key = f"a{name.split('.')[0]}"
            if key in arrays:
                stream = io.BytesIO()
                np.lib.format.write_array(stream, np.asarray(arrays[key]), allow_pickle=False)
                content = stream.getvalue()
            new.writestr(name, content)
    return target
