"""The empirical distribution of a sample: mass 1/n on every row, so repeats add up.

It is a discrete distribution. Against a discrete model its divergence is a finite sum; against a density it does not
exist, because no density is concentrated on finitely many points.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastkl._core.means import Mean
from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.matching import given_names
from fastkl.divergence.models.model import Model
from fastkl.exceptions import ColumnTypeError, DegenerateDataError
from fastkl.rows.columns import named
from fastkl.rows.missing import missing
from fastkl.rows.reading import look, refuse_not_finite
from fastkl.rows.tables import column_names
from fastkl.rows.weights import read_weights


class EmpiricalDistribution:
    """Point masses on the rows of a sample: ``sum_i w_i delta(x_i) / sum_i w_i``.

    Parameters
    ----------
    X : array-like of shape (n,) or (n, d)
        The sample; numbers or labels.
    sample_weight : array-like of shape (n,), default=None
        Masses of the rows; 1 each by default.

    Attributes
    ----------
    support_ : ndarray of shape (s, d)
        The distinct rows.
    probabilities_ : ndarray of shape (s,)
        Their probabilities: the masses of equal rows are added.
    n_samples_ : int
        Rows of positive mass.

    Examples
    --------
    >>> from fastkl.divergence import empirical
    >>> frequencies = empirical(["a", "a", "b"])
    >>> frequencies.probabilities_.round(4).tolist()
    [0.6667, 0.3333]
    >>> round(frequencies.entropy(), 6)
    0.636514
    """

    def __init__(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> None:
        rows = as_rows(X)
        weights = read_weights(sample_weight, len(rows), beside=X)
        weights = np.ones(len(rows)) if weights is None else weights
        rows, weights = rows[weights > 0.0], weights[weights > 0.0]
        names = column_names(X)
        codes = np.column_stack([_codes(column, named(j, names)) for j, column in enumerate(rows.T)])
        _, first, position = np.unique(codes, axis=0, return_index=True, return_inverse=True)
        self.support_ = rows[first]
        self.probabilities_: FloatArray = np.bincount(position.ravel(), weights) / weights.sum()
        self.n_samples_ = len(rows)
        self.effective_size_ = float(weights.sum() ** 2 / np.sum(weights**2))

    def entropy(self) -> float:
        """Discrete entropy of the point masses, ``-sum p log p``.

        Returns
        -------
        float
            In nats.
        """
        p = self.probabilities_
        return float(-np.sum(p * np.log(p)))

    def __repr__(self) -> str:
        return f"EmpiricalDistribution({len(self.support_)} distinct rows of {self.n_samples_})"


def empirical(X: ArrayLike, sample_weight: ArrayLike | None = None) -> EmpiricalDistribution:
    """Give the empirical distribution of a sample, for ``kl_divergence(empirical(X), model)``.

    Parameters
    ----------
    X : array-like of shape (n,) or (n, d)
        The sample; numbers or labels.
    sample_weight : array-like of shape (n,), default=None
        Masses of the rows; 1 each by default.

    Returns
    -------
    EmpiricalDistribution
        Point masses on the distinct rows.

    Examples
    --------
    >>> from scipy.stats import poisson
    >>> from fastkl.divergence import empirical, kl_divergence
    >>> round(kl_divergence(empirical([0, 0, 1]), poisson(1)), 6)
    0.363486
    """
    return EmpiricalDistribution(X, sample_weight)


def as_rows(X: Any, name: str = "The sample") -> NDArray[Any]:
    """Any sample, labels included, as a matrix of rows."""
    given_names(X, name)  # which refuses one that is given twice
    rows = np.asarray(look(X, name))
    if rows.dtype.kind == "c":
        raise ValueError(f"{name} has dtype {rows.dtype}; real numbers or labels are expected.")
    if rows.ndim not in (1, 2) or rows.size == 0:
        raise ValueError(f"A sample has rows and columns, or one column; got an array of shape {rows.shape}.")
    if rows.ndim == 1:
        rows = rows[:, np.newaxis]
    refuse_not_finite(rows, name, column_names(X))
    gone = np.argwhere(missing(rows))
    if len(gone):
        row, column = (int(i) for i in gone[0])
        raise ValueError(
            f"{name} holds {rows[row, column]!r} in row {row}, {named(column, column_names(X))}: a missing label. Remove the "
            "row, or give missing values a label of their own."
        )
    return rows


def columns_without_text(rows: NDArray[Any]) -> list[int]:
    """Numbers of the columns that hold no text."""
    return [j for j, column in enumerate(rows.T) if not any(isinstance(value, str) for value in column.tolist())]


def _codes(column: NDArray[Any], place: str) -> NDArray[np.intp]:
    """Numbers of the distinct values of a column in their order; ColumnTypeError where numbers and texts have none."""
    try:
        return np.unique(column, return_inverse=True)[1]
    except TypeError:
        values = column.tolist()
        row = next((i for i, value in enumerate(values) if isinstance(value, str) != isinstance(values[0], str)), None)
        if row is None:  # objects of further kinds
            row = next((i for i, value in enumerate(values) if type(value) is not type(values[0])), 0)
        raise ColumnTypeError(
            f"The sample holds {values[0]!r} in row 0 and {values[row]!r} in row {row} of {place}: a column holds numbers or "
            "labels. Make all of them text, or all of them numbers."
        ) from None


def frequencies_divergence(p: EmpiricalDistribution, model: Model) -> Estimate:
    """KL(p || model) of a distribution on finitely many points from a discrete model.

    The value is exact for the empirical distribution. Read as an estimate for the distribution behind the sample it is
    the plug-in estimate, whose bias (distinct rows - 1) / (2 n) is reported, not subtracted; the squared standard error is
    that of a mean over the rows and the square of this bias, so that the interval of a correct model covers 0.
    """
    if not model.discrete:
        raise DegenerateDataError(
            f"KL(empirical distribution || {model.name}) does not exist: the empirical distribution puts mass 1/n on single "
            f"points, where a continuous model has probability 0, so it has no density and the divergence is infinite for every "
            f"parameter. The negative mean log-likelihood is a cross-entropy, not this divergence. To estimate "
            f"KL(data distribution || model) pass the sample itself: kl_divergence(X, model)."
        )
    log_q = model.log_density(p.support_)
    log_p, cells = np.log(p.probabilities_), 1
    if model.given_sums:
        # the model says nothing of the sums, which are those of the rows: probabilities are given the sums
        sums = np.column_stack([p.support_[:, own].astype(np.float64).sum(axis=1) for own in model.given_sums])
        _, same = np.unique(sums, axis=0, return_inverse=True)
        of_sums = np.bincount(same.reshape(-1), p.probabilities_)
        log_p, cells = log_p - np.log(of_sums)[same.reshape(-1)], len(of_sums)
    bias = (len(p.probabilities_) - cells) / (2.0 * p.effective_size_)
    return _plug_in(p, log_p - log_q, bias, -float(p.probabilities_ @ log_p))


def frequencies_cross_entropy(p: EmpiricalDistribution, model: Model) -> Estimate:
    """Cross-entropy of a distribution on finitely many points relative to a model: a mean over the rows, without bias."""
    return _plug_in(p, -model.log_density(p.support_), 0.0)


def _plug_in(p: EmpiricalDistribution, terms: FloatArray, bias: float, entropy: float | None = None) -> Estimate:
    """Mean of terms at the distinct rows, with the error of a mean over the rows and of the bias."""
    mean, size = Mean.of(terms, p.probabilities_), p.effective_size_
    if np.isinf(mean.value):
        found = int(np.isposinf(terms).sum())
        return impossible_rows(mean.value, found, p.n_samples_, "plugin", "distinct rows")
    sampling = float(np.sqrt(mean.variance(size) / size)) if size > 1.0 else float("nan")
    reasons = []
    if bias > max(0.1, 2.0 * sampling):
        reasons.append(
            f"{len(terms)} distinct rows in a sample of {p.n_samples_}: as an estimate for the distribution behind the sample "
            f"the plug-in value is too high by about {bias:.2g} nats."
        )
    diagnostics = {
        "reasons": reasons, "plugin_bias": bias, "distinct_rows": len(terms)
    }  # fmt: skip
    if entropy is not None:
        diagnostics |= {"entropy": entropy, "cross_entropy": mean.value + entropy}
    return Estimate(mean.value, float(np.hypot(sampling, bias)), p.n_samples_, "plugin", diagnostics)


def impossible_rows(value: float, found: int, n_samples: int, method: str, what: str = "rows") -> Estimate:
    """The infinite value for a sample with rows that are impossible under the model."""
    reason = f"{found} {what} have density 0 under the model, so the value is infinite."
    return Estimate(value, 0.0, n_samples, method, {"reasons": [reason], "impossible_rows": found})
