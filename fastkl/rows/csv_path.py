"""The path of a CSV file with what is known of its first line, which the line itself does not always tell."""

import os


class CsvPath(str):
    """A path, or a pattern, of CSV files whose first line is known to hold names, or to be a row.

    It goes wherever a path of rows goes.

    Parameters
    ----------
    path : str or path-like
        The path.
    header : bool or None, default=None
        Whether the first line holds names. None: it does unless it holds numbers only.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from fastkl import DensityMLE
    >>> from fastkl.rows import CsvPath
    >>> path = Path(tempfile.mkdtemp()) / "years.csv"
    >>> _ = path.write_text("2021,2022\\n1.5,2.5\\n2.5,4.5\\n")
    >>> density = DensityMLE("normal").fit_batches(CsvPath(path, header=True))
    >>> density.feature_names_in_.tolist(), density.params_["loc"].tolist()
    (['2021', '2022'], [2.0, 3.5])
    """

    header: bool | None

    def __new__(cls, path: "str | os.PathLike[str]", header: bool | None = None) -> "CsvPath":
        self = super().__new__(cls, os.fspath(path))
        self.header = header
        return self
