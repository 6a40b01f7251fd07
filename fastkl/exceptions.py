"""Errors that say what was found, where, and what to do. All are ``ValueError`` too, so that existing handlers work.

The one warning is a ``UserWarning``."""

__all__ = ["DegenerateDataError", "ModelFileError", "SharedRowsWarning", "SupportError", "UnknownFamilyError"]


class SupportError(ValueError):
    """A value lies outside the support of the family: its likelihood is zero for every parameter."""


class DegenerateDataError(ValueError):
    """The quantity asked for does not exist on these data: no maximum, a zero distance, an atom in a density."""


class UnknownFamilyError(ValueError):
    """No family has this name."""


class ModelFileError(ValueError):
    """The file is damaged, foreign, or from a version that this one cannot read."""


class SharedRowsWarning(UserWarning):
    """Two samples that should be independent have rows in common: nearest-neighbour estimates have no meaning then."""
