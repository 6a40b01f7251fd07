"""The refits of a bootstrap: arrays to go on with, shown as the table that sums them up."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastkl._core.array_types import Params
from fastkl.density.summary import Figures, Summary


class BootstrapFits(dict[str, Any]):
    """Parameters of the refits of a bootstrap: ``density.bootstrap(X)`` makes it.

    A dict of arrays of shape (n_resamples, ...), shaped like ``params_`` behind the first axis, that is printed as a table.

    Parameters
    ----------
    refits : dict of arrays
        The parameters that have a standard error, one refit after another along the first axis; of a product by group.
    summary : Summary
        What is printed.

    Attributes
    ----------
    summary : Summary
        A line for each entry of a parameter: the estimate of the density itself, the standard deviation of the refits, and the
        95 % interval of ``confidence_intervals(method="bootstrap")``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE
    >>> X = np.random.default_rng(0).gamma(2.0, 3.0, size=(500, 1))
    >>> refits = DensityMLE("gamma").fit(X).bootstrap(X, n_resamples=200, random_state=0)
    >>> refits
    gamma: bootstrap, 200 refits
    <BLANKLINE>
    column    parameter  estimate  std. error  95 % interval
    ------------------------------------------------------------
    column 0  shape        2.2184      0.1341  1.988 ... 2.5055
    column 0  scale        2.5594     0.16863  2.1805 ... 2.8855
    >>> refits["shape"].shape
    (200, 1)
    """

    def __init__(self, refits: Params, summary: Summary):
        super().__init__(refits)
        self.summary = summary

    def to_frame(self) -> Any:
        """The table as a pandas DataFrame, as that of ``density.summary()``.

        Returns
        -------
        DataFrame
            A row for each entry of a parameter: column, parameter, estimate, standard_error, low, high and note.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        return self.summary.to_frame()

    def __repr__(self) -> str:
        return str(self.summary)

    def _repr_html_(self) -> str:
        return self.summary._repr_html_()


def refits_summary(density: Any, refits: Params, n_resamples: int) -> Summary:
    """The table of refits of a density: their spread, and quantiles corrected for their bias."""
    figures = Figures(_spread(refits), {}, density.inference_.refitted_intervals(refits, 0.95))
    title = f"{density._summary_title()}: bootstrap, {n_resamples:,} refit{'' if n_resamples == 1 else 's'}"
    return Summary(title, [], density._summary_lines(density._shown_columns(), figures), density._summary_notes(), 0.95)


def _spread(refits: Params) -> Params:
    """Standard deviations of the refits, NaN of a single one, shaped like the parameters (of a product by group)."""
    found: Params = {}
    for name, values in refits.items():
        if isinstance(values, dict):
            found[name] = _spread(values)
        else:
            found[name] = values.std(axis=0, ddof=1) if len(values) > 1 else np.full(values.shape[1:], np.nan)
    return found
