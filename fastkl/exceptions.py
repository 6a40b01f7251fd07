"""Errors that say what was found, where, and what to do. All are ``ValueError`` too, so that existing handlers work.

The one warning is a ``UserWarning``.
"""

from collections.abc import Sequence

__all__ = [
    "DegenerateDataError",
    "LossyTransformerError",
    "ModelFileError",
    "SharedRowsWarning",
    "SupportError",
    "UnknownFamilyError",
]


class SupportError(ValueError):
    """A value lies outside the support of the family: its likelihood is zero for every parameter."""


class DegenerateDataError(ValueError):
    """The quantity asked for does not exist on these data: no maximum, a zero distance, an atom in a density.

    Parameters
    ----------
    message : str
        What was found, where, and what to do.
    column : int, default=None
        The column to blame, where there is one; the message then speaks of "column 3" or "Column 3".
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
    """No family has this name."""


class LossyTransformerError(ValueError):
    """The transformer is not one-to-one: the density of its image does not give that of the original variable."""


class ModelFileError(ValueError):
    """The file is damaged, foreign, or from a version that this one cannot read."""


class SharedRowsWarning(UserWarning):
    """Two samples that should be independent have rows in common: nearest-neighbour estimates have no meaning then."""
