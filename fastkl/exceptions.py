"""Errors that say what was found, where, and what to do. All are ``ValueError`` too, so that existing handlers work.

Warnings are ``UserWarning``s.
"""

import re
from collections.abc import Sequence

__all__ = [
    "ColumnOrderWarning",
    "ColumnTypeError",
    "DegenerateDataError",
    "LossyTransformerError",
    "MissingValueError",
    "ModelFileError",
    "ProbabilityVectorWarning",
    "RepeatedValuesWarning",
    "SharedRowsWarning",
    "SourceError",
    "SupportError",
    "UnknownFamilyError",
]


class SupportError(ValueError):
    """A value lies outside the support of the family: its likelihood is zero for every parameter.

    Examples
    --------
    >>> from fastkl import DensityMLE
    >>> DensityMLE("gamma").fit([[1.0], [-2.0]])
    Traceback (most recent call last):
    ...
    fastkl.exceptions.SupportError: The gamma family lives on positive numbers; row 1, column 0 holds -2.0. ...
    """


class MissingValueError(ValueError):
    """A value is missing (NaN) where complete rows are needed. Normal components take missing values; other families do not.

    Examples
    --------
    >>> from fastkl import DensityMLE
    >>> DensityMLE("gamma").fit([[1.0], [float("nan")]])
    Traceback (most recent call last):
    ...
    fastkl.exceptions.MissingValueError: Input X contains NaN: row 1, column 0. ...
    """


class DegenerateDataError(ValueError):
    """The quantity asked for does not exist on these data: no maximum, a zero distance, an atom in a density.

    Parameters
    ----------
    message : str
        What was found, where, and what to do.
    column : int, default=None
        The column to blame, where there is one; the message then speaks of "column 3" or "Column 3".

    Examples
    --------
    >>> from fastkl import DensityMLE
    >>> DensityMLE("normal").fit([[1.0], [1.0], [1.0]])
    Traceback (most recent call last):
    ...
    fastkl.exceptions.DegenerateDataError: Column 0 is constant: 1 in every row (n_samples=3). ...
    """

    def __init__(self, message: str, column: int | None = None):
        super().__init__(message)
        self.column = column

    def with_names(self, names: Sequence[str]) -> "DegenerateDataError":
        """The same error with the column's name beside its number."""
        if self.column is None:
            return self
        number = f"olumn {self.column}"
        return DegenerateDataError(str(self).replace(number, f"{number} ({names[self.column]!r})", 1), self.column)


class UnknownFamilyError(ValueError):
    """No family has this name.

    Examples
    --------
    >>> from fastkl import DensityMLE
    >>> DensityMLE("gama").fit([[1.0]])
    Traceback (most recent call last):
    ...
    fastkl.exceptions.UnknownFamilyError: There is no family named 'gama'. Did you mean 'gamma' ...
    """


class LossyTransformerError(ValueError):
    """The transformer is not one-to-one: the density of its image does not give that of the original variable.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.decomposition import PCA
    >>> from fastkl import DensityMLE, TransformedDensity
    >>> TransformedDensity(PCA(n_components=1), DensityMLE()).fit(np.random.default_rng(0).normal(size=(9, 2)))
    Traceback (most recent call last):
    ...
    fastkl.exceptions.LossyTransformerError: PCA(n_components=1) can't be part of a TransformedDensity: it keeps 1 of 2 ...
    """


class ModelFileError(ValueError):
    """The file is damaged, foreign, or from a version that this one cannot read.

    Examples
    --------
    >>> import os, tempfile
    >>> import fastkl
    >>> path = os.path.join(tempfile.mkdtemp(), "model")
    >>> with open(path, "w") as file:
    ...     _ = file.write("not a model")
    >>> fastkl.load(path)
    Traceback (most recent call last):
    ...
    fastkl.exceptions.ModelFileError: ... is damaged or not a fastkl density (BadZipFile: File is not a zip file).
    """


class SourceError(ValueError):
    """Rows cannot be read: a damaged file, other columns or types, masked values, batches that do not agree.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE
    >>> DensityMLE("normal").fit_batches([np.zeros((3, 2)), np.zeros((3, 1))])
    Traceback (most recent call last):
    ...
    fastkl.exceptions.SourceError: ...
    """


class ColumnTypeError(SourceError, TypeError):
    """A column holds what is neither numbers nor labels: dates, times, spans of time.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE
    >>> DensityMLE("normal").fit(np.array([["2020-01-01"], ["2020-01-02"]], dtype="datetime64[D]"))
    Traceback (most recent call last):
    ...
    fastkl.exceptions.ColumnTypeError: X: Column 0 holds datetime64[D], neither numbers nor labels. Convert it to a number, ...
    """


class SharedRowsWarning(UserWarning):
    """Two samples that should be independent have rows in common: nearest-neighbour estimates are then meaningless.

    Rows that differ in their last digits only count too, such as those of one table in single and in double precision.

    Examples
    --------
    >>> import warnings
    >>> import numpy as np
    >>> from fastkl import SharedRowsWarning, kl_divergence
    >>> x = np.random.default_rng(0).normal(size=100)
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always", SharedRowsWarning)
    ...     _ = kl_divergence(x[:60], x[40:])
    >>> caught[0].category.__name__
    'SharedRowsWarning'
    """


class ColumnOrderWarning(UserWarning):
    """Two tables have the same columns in different order; they are matched by name.

    Examples
    --------
    >>> import warnings
    >>> import pandas as pd
    >>> from fastkl import ColumnOrderWarning, kl_divergence
    >>> first = pd.DataFrame({"age": [31.0, 45.0, 28.0], "income": [2.1, 3.9, 1.7]})
    >>> second = pd.DataFrame({"income": [2.4, 3.1, 1.2], "age": [33.0, 40.0, 25.0]})
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always", ColumnOrderWarning)
    ...     _ = kl_divergence(first, second)
    >>> caught[0].category.__name__
    'ColumnOrderWarning'
    """


class ProbabilityVectorWarning(UserWarning):
    """Known probabilities, or heights of a histogram, were given to a function for samples; the message names the right one.

    Examples
    --------
    >>> import warnings
    >>> from fastkl import ProbabilityVectorWarning, kl_divergence
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always", ProbabilityVectorWarning)
    ...     _ = kl_divergence([0.1, 0.6, 0.3], [0.2, 0.3, 0.5])
    >>> caught[0].category.__name__
    'ProbabilityVectorWarning'
    """


class RepeatedValuesWarning(UserWarning):
    """Values are so often repeated, or rounded, that a likelihood would describe this instead of their distribution.

    Examples
    --------
    >>> import warnings
    >>> from fastkl import KernelDensityMLE, RepeatedValuesWarning
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always", RepeatedValuesWarning)
    ...     _ = KernelDensityMLE().fit([[0.0], [0.0], [1.0], [1.0], [3.0], [3.0]])
    >>> caught[0].category.__name__
    'RepeatedValuesWarning'
    """


def first_sentence(error: BaseException) -> str:
    """What was found; the advice after it speaks of one call in Python."""
    return re.split(r"(?<=\.)\s+(?=[A-Z])", str(error), maxsplit=1)[0]
