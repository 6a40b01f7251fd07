"""A table of densities on one held-out sample. Differences of the mean log-likelihood are differences of KL divergence.

The entropy of the data distribution is the same for every density, so it cancels: the table needs no estimate of it,
and its differences have errors far below those of the divergences themselves, since the rows are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastkl._core.array_types import Floats
from fastkl._core.means import Mean
from fastkl._core.text_tables import html_table, table_lines
from fastkl.divergence.interval_picture import interval_pictures
from fastkl.rows.indexes import refuse_other_rows
from fastkl.selection.likelihood_tests import TestResult, normal_test, vuong_test_of
from fastkl.selection.log_densities import log_density_table, log_ratio, row_weights

COLUMNS = ("mean_log_likelihood", "standard_error", "kl_difference", "kl_difference_error", "p_value")


@dataclass(frozen=True, repr=False)
class Comparison:
    """Densities in order, best first; every array has one entry for each.

    Parameters
    ----------
    names : list of str
        Their names.
    mean_log_likelihood : ndarray of shape (k,)
        Weighted mean of the log-density, nats per row: minus the estimated cross-entropy.
    standard_error : ndarray of shape (k,)
        Of the mean.
    kl_difference : ndarray of shape (k,)
        KL(data distribution || density) less that of the best, in nats: at least 0 and 0 for the best; inf for a
        density that excludes a row.
    kl_difference_error : ndarray of shape (k,)
        Standard error of the difference, from the differences by row.
    p_value : ndarray of shape (k,)
        Vuong's test that the density is as close to the data distribution as the best; nan for the best itself. Each is one of
        two densities; that the best was found on the same rows matters from four on: to keep the nearest of k densities with
        a probability of 95 %, exclude those whose p-value times (k - 1) / 2 is below 0.05 (Bonferroni).
    n_parameters : list of int or None
        Estimated parameters, where the density says.
    n_rows : int
        Rows of positive weight.
    log_densities : ndarray of shape (n, k)
        Log-density of every row.
    weights : ndarray of shape (n,)
        Weights, summing to one.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE, compare_densities
    >>> X = np.random.default_rng(0).gamma(2.0, size=(2000, 1))
    >>> table = compare_densities({name: DensityMLE(name).fit(X[:1000]) for name in ("normal", "gamma")}, X[1000:])
    >>> table.best, table.names
    ('gamma', ['gamma', 'normal'])
    >>> table.test("gamma", "normal").p_value < 0.001
    True
    """

    names: list[str]
    mean_log_likelihood: Floats
    standard_error: Floats
    kl_difference: Floats
    kl_difference_error: Floats
    p_value: Floats
    n_parameters: list[int | None]
    n_rows: int
    log_densities: Floats
    weights: Floats

    @property
    def best(self) -> str:
        """Name of the density with the greatest mean log-likelihood."""
        return self.names[0]

    def test(self, first: str, second: str) -> TestResult:
        """Vuong's test between two densities of the table.

        Parameters
        ----------
        first, second : str
            Names.

        Returns
        -------
        TestResult
            As of ``vuong_test``.

        Raises
        ------
        ValueError
            If there is no density of such a name.
        """
        for name in (first, second):
            if name not in self.names:
                raise ValueError(f"There is no density named {name!r} in the table; there are {', '.join(self.names)}.")
        left, right = (self.log_densities[:, self.names.index(name)] for name in (first, second))
        return vuong_test_of(Mean.of(log_ratio(left, right, self.weights), self.weights))

    def to_frame(self) -> Any:
        """The table as a pandas data frame.

        Returns
        -------
        pandas.DataFrame
            Indexed by name, one column for each number.
        """
        import pandas as pd  # only here: the library does without it

        columns = {name: getattr(self, name) for name in COLUMNS}
        return pd.DataFrame({**columns, "n_parameters": self.n_parameters}, index=pd.Index(self.names, name="density"))

    def _cells(self) -> list[list[str]]:
        head = ["density", "mean log-lik.", "± s.e.", "KL - best", "± s.e.", "p (Vuong)", "parameters"]
        rows = [head]
        for i, name in enumerate(self.names):
            numbers = [getattr(self, column)[i] for column in COLUMNS]
            cells = [f"{value:.4f}" for value in numbers[:4]] + [f"{numbers[4]:.2g}"]
            cells = ["" if cell == "nan" else cell for cell in cells]
            rows.append([name, *cells, "" if self.n_parameters[i] is None else str(self.n_parameters[i])])
        return rows

    def _head(self) -> str:
        return f"{self.n_rows} rows, nats per row, best first"

    def __repr__(self) -> str:
        return "\n".join([self._head(), *table_lines(self._cells())])

    def _repr_html_(self) -> str:
        head, *rows = self._cells()
        half = 1.96 * self.kl_difference_error
        lows, highs = (self.kl_difference - half).tolist(), (self.kl_difference + half).tolist()
        pictures = interval_pictures(self.kl_difference.tolist(), lows, highs, "nats per row behind the best")
        table = html_table([*head, "KL - best, 95 % interval"], rows, pictures)
        return f"<div><div>{self._head()}</div>{table}</div>"


def compare_densities(
    densities: Mapping[str, Any] | Sequence[tuple[str, Any]], X: ArrayLike, sample_weight: ArrayLike | None = None
) -> Comparison:
    """Rank densities by their mean log-likelihood on rows that none of them was fitted to.

    Ranking by mean log-likelihood, by cross-entropy and by KL divergence to the data distribution is one and the same,
    since they differ by the entropy of the data distribution only. Whether a difference is more than chance is judged
    by Vuong's test on the same rows.

    Parameters
    ----------
    densities : mapping or sequence of (name, density)
        Objects with ``score_samples``, at least one. All have to be densities (or all probabilities) of the same
        variable.
    X : array-like of shape (n, d)
        Held-out rows.
    sample_weight : array-like of shape (n,), default=None
        Weights of at least 0.

    Returns
    -------
    Comparison
        The table, best first; it prints as one.

    Raises
    ------
    ValueError
        If a density does not give one log-density per row, or none is finite on all rows.
    TypeError
        If the densities have no names.

    References
    ----------
    Q. H. Vuong, "Likelihood ratio tests for model selection and non-nested hypotheses", Econometrica 57, 1989,
    doi:10.2307/1912557.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE
    >>> from fastkl.selection import compare_densities
    >>> X = np.random.default_rng(0).gamma(2.0, size=(1000, 1))
    >>> table = compare_densities({name: DensityMLE(name).fit(X[:500]) for name in ("normal", "gamma")}, X[500:])
    >>> table.best, table.names
    ('gamma', ['gamma', 'normal'])
    """
    named = list(densities.items()) if isinstance(densities, Mapping) else list(densities)
    if not all(isinstance(entry, tuple | list) and len(entry) == 2 for entry in named):
        raise TypeError(
            "compare_densities takes a dict of names and densities, or (name, density) pairs, such as "
            '{"gamma": model, "normal": other}.'
        )
    names = [str(name) for name, _ in named]
    if not names or len(set(names)) != len(names):
        raise ValueError(f"compare_densities takes at least one density, each under a name of its own, not {names}.")
    parameters = [getattr(density, "n_parameters_", None) for _, density in named]
    refuse_other_rows(X, sample_weight, ("X", "sample_weight"))
    table = log_density_table([density for _, density in named], X)
    return comparison_of(names, table, parameters, sample_weight)


def comparison_of(
    names: Sequence[str], table: Floats, parameters: Sequence[int | None], sample_weight: ArrayLike | None
) -> Comparison:
    """The comparison of log-densities of the same rows, (n, k), under k names."""
    weights = row_weights(sample_weight, len(table))
    means = [Mean.of(column, weights) for column in table.T]
    order = sorted(range(len(names)), key=lambda i: -means[i].value)
    if not np.isfinite(means[order[0]].value):
        raise ValueError("Every density excludes a row (log-density -inf): none of them can have given these rows.")
    best = table[:, order[0]]
    against = [Mean.of(log_ratio(best, table[:, i], weights), weights) for i in order]
    counts = [parameters[i] for i in order]
    return Comparison(
        names=[names[i] for i in order],
        mean_log_likelihood=np.array([means[i].value for i in order]),
        standard_error=np.array([means[i].error for i in order]),
        kl_difference=np.array([difference.value for difference in against]),
        kl_difference_error=np.array([difference.error for difference in against]),
        p_value=np.array([normal_test(difference)[1] for difference in against]),
        n_parameters=[None if count is None else int(count) for count in counts],
        n_rows=int(np.count_nonzero(weights)),
        log_densities=table[:, order],
        weights=weights,
    )
