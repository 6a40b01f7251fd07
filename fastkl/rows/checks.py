"""What is asked of rows beyond their form: finite numbers, labels that are there. Messages name row, column and value.

Whether all values are finite is only looked at when a result is not: a kernel turns NaN and infinity into results that are not
finite, and a pass over a large table to find none costs as much as scoring it.
"""

import numpy as np

from fastkl._core.rows import AnyRows, Rows
from fastkl.exceptions import DegenerateDataError, MissingValueError, SupportError
from fastkl.rows.missing import missing
from fastkl.rows.reading import first_not_finite


def raise_if_not_finite(rows: AnyRows) -> None:
    """ValueError naming the first NaN or infinity, if there is one; blocks of a source have been looked at one by one.

    NaN is a MissingValueError, and none where it stands for a value that is not known.
    """
    place = first_not_finite(rows.X, rows.incomplete) if isinstance(rows, Rows) else None
    if isinstance(rows, Rows) and place is not None:
        row, column = place
        if np.isnan(rows.X[row, column]):
            raise MissingValueError(
                f"Input X contains NaN: {rows.place(row, column)}. Densities need complete, finite rows: remove the row, or "
                "impute it in a pipeline step before. Fits of multivariate_normal, and of mixtures of it, take missing values."
            )
        raise ValueError(
            f"Input X contains infinity: {rows.place(row, column)}. Densities need complete, finite rows: remove the row, or "
            "impute it in a pipeline step before."
        )


def raise_if_missing(rows: Rows) -> None:
    """ValueError naming the first missing label (None, NaN, NaT, NA), if there is one."""
    for j in range(rows.X.shape[1]):
        gone = missing(rows.X[:, j])
        if gone.any():
            row = int(np.argmax(gone))
            raise ValueError(
                f"Input X contains NaN or another missing label: {rows.place(row, j)} holds {rows.X[row, j]!s}. Remove the row, "
                "or give missing values a label of their own."
            )


def raise_if_nan(rows: Rows) -> None:
    """MissingValueError naming the first NaN, if there is one, where infinities have a meaning."""
    gone = np.isnan(rows.X)
    if gone.any():
        row, column = (int(i) for i in np.argwhere(gone)[0])
        raise MissingValueError(
            f"Input X contains NaN: {rows.place(row, column)}. Probabilities are those of known values: remove the row, or "
            "impute it in a pipeline step before."
        )


class require_finite:  # noqa: N801 - named as those of contextlib are
    """Let an error of the family give way to the more basic one, that a value is not finite; add the column's name."""

    def __init__(self, rows: AnyRows):
        self.rows = rows

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, SupportError | DegenerateDataError):
            raise_if_not_finite(self.rows)
        if isinstance(error, DegenerateDataError) and self.rows.names is not None:
            raise error.with_names(self.rows.names) from None
