"""Mutual information of two groups of columns: what each tells of the other, whatever their own distributions are.

It is the divergence of the joint distribution from the product of the two, and the entropy of their copulas less that of both
together: margins have no part in it. For single columns it is minus the entropy of their copula. So no unit, and no monotone map
of a column, changes the estimate, and the bias of neighbours is measured where it arises, on normal copulas of the same
correlations. Where the copula has edges (y is x and uniform noise) some is left, and what the estimate moves with the number of
neighbours enters its error.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import polygamma

from fastkl._core.blas_threads import single_threaded_blas
from fastkl._core.means import Mean
from fastkl._core.other_keywords import knows_other_keywords
from fastkl.divergence.arguments import DEFAULT_NEIGHBORS, FloatArray, Sample, weighted_sample
from fastkl.divergence.column_words import errors_by_names, errors_in_words
from fastkl.divergence.common_cubes import terms_of_cubes
from fastkl.divergence.entropy_estimators.copulas import Copula, copula_of, rank_scores
from fastkl.divergence.entropy_estimators.whitening import effective_size, normalised
from fastkl.divergence.estimate import Estimate, doubted
from fastkl.divergence.labelled.information import Labels, between_labels
from fastkl.divergence.labelled.information_of_tables import Kinds, information_with_labels
from fastkl.divergence.nearest.atoms import beside_others
from fastkl.divergence.nearest.diagnostics import few_effective_rows, many_columns, negative_reasons
from fastkl.divergence.options import Options, as_random_state, one_seed
from fastkl.exceptions import DegenerateDataError
from fastkl.rows.indexes import refuse_other_rows
from fastkl.rows.weights import read_weights

# Fewer rows than this are said to be few; fewer than that are none to speak of.
_FEWEST_ROWS, _LEAST_ROWS = 20, 5
# And than this where values repeat.
_FEWEST_REPEATED = 100
# What is nearer than this to the logarithm of the number of rows, in nats, is more than ranks can tell.
_MOST_TOLD = 2.0
# Where fewer rows than this part are alone, the values are symbols; where x, y and both have more distinct ones, they are copies.
_ALONE, _COPIES = 0.1, 0.1
# So many times as many neighbours tell the bias that is left, which enters the error.
_REACH = 8


@knows_other_keywords
def mutual_information(
    x: ArrayLike,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    standard_error: bool = True,
    random_state: Any = None,
    rng: Any = None,
    n_jobs: int | None = None,
) -> Estimate:
    r"""Mutual information :math:`KL(p_{xy} \,\|\, p_x \, p_y)` of numbers or labels from a sample of both, in nats.

    Parameters
    ----------
    x, y : array-like of shape (n,) or (n, d)
        Rows that belong together: numbers, of which only ranks in each column matter, labels (text), or both. Values may repeat,
        as codes of classes, counts, zeros and rounded numbers do.
    sample_weight : array-like of shape (n,), default=None
        Masses of the rows; only ratios matter.
    standard_error : bool, default=True
        Whether to give it.
    random_state : int, RandomState, Generator or None, default=None
        For the samples on which the bias of neighbours is measured, and beside labels for folds; by default they are the same at
        each call.
    rng : int, Generator or None, default=None
        Another name of ``random_state``, as in numpy and scipy; a number seeds `numpy.random.default_rng`.
    n_jobs : int or None, default=None
        Threads; None means all cores the process may use.

    Returns
    -------
    Estimate
        Returned as estimated: near 0 it may be below it. ``diagnostics["bias_suspected"]`` is true where the estimate changes
        too much with the number of neighbours, near a curve or a surface, above log n - 2 nats, which is more than the ranks of
        n rows can show, with few rows, and in many columns.

    Raises
    ------
    DegenerateDataError
        A column that is constant or a monotone function of others (the mutual information may be infinite), copies of rows,
        repeated values of weighted rows, fewer than five rows, labels none of which comes twice or, beside numbers, in 30 rows.
    ValueError
        Samples of different numbers of rows, or with the same index in different order; values that are missing, wrong
        weights.

    See Also
    --------
    jensen_shannon : The mutual information of numbers and two labels of equal frequency.

    Notes
    -----
    With H the entropy of a copula (of normal scores of the ranks, less that of independent normal columns)
    :math:`I = H_x + H_y - H_{xy}`, where H is 0 for a single column. H is Kozachenko and Leonenko's estimate on whitened scores,
    less its mean on samples with a normal copula of the same correlations. The squared standard error is the variance of the
    local terms and of their counts over n, that of the bias, and the square of what from k to 8 k neighbours says is left of it.
    Where a value of a column is there more than five times, the estimate is that of Gao, Kannan, Oh and Viswanath
    (arXiv:1709.06212) by cubes common to x and y, and its error has what it moves from k to 2 k neighbours; where nine of ten
    rows of x and y come more than once, the values are symbols, whatever they are written as, and it is that of labels.
    Numbers and labels: labels are told one at a time, the most frequent first, from those after it, each by a Jensen-Shannon
    divergence of as much of either as there is; 50 labels at most, rarer ones and those of fewer than ten rows being one. Labels
    and labels: H(x) + H(y) - H(x, y), each by `categorical_entropy`.
    Of a side with both by the chain rule, among rows with equal labels, of which at least 30 are needed:
    :math:`I(l, x; m, y) = I(l; m) + I(l; y | m) + I(x; m | l) + I(x; y | l, m)`.
    For estimates by neighbours in rectangles see Kraskov, Stögbauer and Grassberger 2004, doi:10.1103/PhysRevE.69.066138.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import mutual_information
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=1000)
    >>> estimate = mutual_information(np.exp(x), x + rng.normal(size=1000))
    >>> abs(estimate - 0.5 * np.log(2.0)) < 2 * estimate.standard_error
    True
    >>> float(mutual_information(x, np.where(x > 0.0, "warm", "cold"))) > 0.6  # log 2 = .693
    True
    """
    refuse_other_rows(x, y, ("x", "y"))
    refuse_other_rows(x, sample_weight, ("x", "sample_weight"))
    options = Options("common_radius", standard_error=standard_error, random_state=one_seed(random_state, rng))
    sides = Kinds.of(x, "x"), Kinds.of(y, "y")
    weights = read_weights(sample_weight, sides[0].n_rows)
    if any(side.labels is not None for side in sides):
        return information_with_labels(sides, weights, options, n_jobs, _of_columns)
    return _of_columns(*sides, weights, options, n_jobs)


def _of_columns(x: Kinds, y: Kinds, weights: FloatArray | None, options: Options, n_jobs: int | None) -> Estimate:
    """Of numbers and numbers, which errors call by their names."""
    assert x.numbers is not None
    assert y.numbers is not None
    with errors_in_words([*x.called, *y.called]):
        return _of_numbers(x.numbers, y.numbers, weights, options, n_jobs)


def _of_numbers(
    X: FloatArray, Y: FloatArray, weights: FloatArray | None, options: Options, n_jobs: int | None
) -> Estimate:
    """Of numbers and numbers."""
    standard_error = options.standard_error
    _refuse_constant(X, Y)
    both = np.ascontiguousarray(np.concatenate([X, Y], axis=1, dtype=np.float64))
    sample = weighted_sample(both, weights, n_jobs)
    n, d = sample.X.shape
    if n < _LEAST_ROWS:
        raise DegenerateDataError(
            f"{n} rows are too few to show how columns depend on each other; at least {_LEAST_ROWS} are needed."
        )
    if _has_repeated_values(sample.X):
        return _where_values_repeat(sample, X.shape[1], standard_error)
    seed = options.random_state
    generator = np.random.RandomState(0) if seed is None else as_random_state(seed)
    shares = normalised(sample.weights, n)
    scores = np.column_stack([rank_scores(column, shares) for column in sample.X.T])
    parts: list[tuple[float, str, Copula]] = []
    with single_threaded_blas():
        for sign, name, columns in (
            (1.0, "x", range(X.shape[1])),
            (1.0, "y", range(X.shape[1], d)),
            (-1.0, "x and y", range(d)),
        ):
            if len(columns) > 1:
                own, k = np.ascontiguousarray(scores[:, columns]), min(DEFAULT_NEIGHBORS, n - 1)
                with errors_by_names(columns):
                    found = copula_of(own, sample.weights, k, True, n_jobs, generator, _REACH)
                parts.append((sign, name, found))
    terms = np.sum([sign * found.terms for sign, _, found in parts], axis=0)
    value = float(shares @ terms)
    error = _error(terms, shares, value, [found for _, _, found in parts]) if standard_error else float("nan")
    reasons = [f"Of {name}: {reason}" for _, name, found in parts for reason in found.reasons]
    reasons += many_columns(sample) + few_effective_rows(sample)
    if n < _FEWEST_ROWS:
        reasons.append(f"{n} rows are few: neither the bias nor the error is well known.")
    reasons += _beyond_ranks(value, effective_size(shares)) + negative_reasons(value, error, "mutual information")
    diagnostics = {
        "reasons": reasons,
        "n_neighbors": parts[-1][2].n_neighbors,
        "entropy_bias": parts[-1][2].bias,
    }
    return Estimate(value, error, n, "copula", diagnostics)


def _beyond_ranks(value: float, n: float) -> list[str]:
    """A doubt where columns follow each other more closely than neighbouring ranks do."""
    if value < np.log(n) - _MOST_TOLD:
        return []
    return [
        f"The estimate, {value:.3g}, is above what {n:.6g} rows can show reliably, {np.log(n) - _MOST_TOLD:.3g} nats: the "
        "columns determine each other more closely than neighbouring ranks do. The estimate may be too large by half a nat or "
        "more, or the mutual information may be larger still, even infinite."
    ]


def _has_repeated_values(rows: FloatArray) -> bool:
    """Whether a column has a value more often than a row has neighbours."""
    return any(np.unique(column, return_counts=True)[1].max() > DEFAULT_NEIGHBORS for column in rows.T)


def _where_values_repeat(sample: Sample, split: int, standard_error: bool) -> Estimate:
    """By cubes common to x, the first columns, and y, which know what a repeated value is; as labels where nearly all are."""
    n = sample.n_rows
    counts = _rows_by_how_often(sample.X, split)
    if np.count_nonzero(counts == 1) < _ALONE * n:
        masses = np.ones(n) if sample.weights is None else sample.weights
        found = between_labels(Labels.of(sample.X[:, :split]), Labels.of(sample.X[:, split:]), masses)
        return found if standard_error else doubted(found, found.reasons, error=float("nan"))
    if sample.weighted:
        raise DegenerateDataError(
            "A column with repeated values has no density, and there is no estimator of its mutual information for weighted "
            "rows. Thin the rows first: keep each with probability weight / largest weight."
        )
    scores = np.column_stack([rank_scores(column, np.full(n, 1.0 / n)) for column in sample.X.T])
    x, y = (np.ascontiguousarray(part) for part in (scores[:, :split], scores[:, split:]))
    k = min(DEFAULT_NEIGHBORS, n - 2)
    terms = Mean.of(terms_of_cubes(x, y, k, sample.n_jobs))
    moved = terms.value - Mean.of(terms_of_cubes(x, y, min(2 * k, n - 1), sample.n_jobs)).value
    reasons = many_columns(sample)
    if n < _FEWEST_REPEATED:
        reasons.append(f"{n} rows with repeated values are few: neither the bias nor the error is well known.")
    diagnostics = {"reasons": reasons, "n_neighbors": k, "entropy_bias": 0.0}
    error = float(np.hypot(terms.error, moved)) if standard_error else float("nan")
    return Estimate(terms.value, error, n, "common_cubes", diagnostics)


def _refuse_constant(X: FloatArray, Y: FloatArray) -> None:
    """Refuse columns that tell nothing, and sides of different lengths."""
    if len(X) != len(Y):
        raise ValueError(f"x has {len(X)} rows and y {len(Y)}; row i of one belongs to row i of the other.")
    first = 0
    for values in (X, Y):
        constant = np.flatnonzero(values.min(axis=0) == values.max(axis=0))
        if len(constant):
            j = int(constant[0])
            raise DegenerateDataError(
                f"Column {first + j} has one value only, {float(values[0, j])!r}, and so carries no information. Leave it out.",
                j,
            )
        first += values.shape[1]


def _rows_by_how_often(rows: FloatArray, split: int) -> NDArray[np.intp]:
    """How often each of the distinct rows is there; an error for rows of numbers that are copies of each other."""
    values, counts = np.unique(rows, axis=0, return_counts=True)
    of_sides = [len(np.unique(part, axis=0)) for part in np.split(values, [split], axis=1)]
    often = counts > DEFAULT_NEIGHBORS
    if often.any() and len(values) == min(of_sides) > _COPIES * len(rows) and not beside_others(counts)[often].all():
        row = values[int(np.argmax(counts))].tolist()
        raise DegenerateDataError(
            f"{int(counts.max())} rows of x and y together are {row}, and others are there as often: copies of rows, as of a "
            "sample drawn with replacement, have no density. Give each row once, with sample_weight. If the values are labels, "
            "pass them as text: x.astype(str)."
        )
    return counts


def _error(terms: FloatArray, shares: FloatArray, value: float, parts: list[Copula]) -> float:
    noise = float(sum(polygamma(1, found.n_neighbors) for found in parts))
    variance = max(float(shares @ np.square(terms - value)), noise) + noise
    of_biases = sum(found.variance + found.moved**2 for found in parts)
    return float(np.sqrt(variance / effective_size(shares) + of_biases))
