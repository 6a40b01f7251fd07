"""Population stability index: the Jeffreys divergence of binned data, as credit scoring and monitoring know it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastkl.divergence.arguments import FloatArray, as_matrix, require_count
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.matching import match_columns, warn_of_probabilities
from fastkl.divergence.symbols.categorical_kl import read_pair
from fastkl.divergence.symbols.categorical_relatives import jeffreys_error
from fastkl.divergence.symbols.discrete_relatives import jeffreys_of
from fastkl.divergence.symbols.empirical import as_rows, columns_without_text
from fastkl.divergence.symbols.probability_rows import Probabilities
from fastkl.exceptions import ColumnTypeError, SupportError
from fastkl.rows.columns import named
from fastkl.rows.indexes import refuse_other_rows
from fastkl.rows.reading import look
from fastkl.rows.tables import column_names
from fastkl.rows.weights import read_weights

__all__ = ["population_stability_index"]

_UNSEEN = ("inf", "smooth", "raise")


def population_stability_index(
    reference: Any,
    current: Any,
    *,
    bins: Any = "auto",
    unseen: str = "inf",
    counts: bool = False,
    sample_weight_reference: ArrayLike | None = None,
    sample_weight_current: ArrayLike | None = None,
) -> Estimate:
    r"""Population stability index of one variable: :math:`\sum_b (a_b - e_b) \log (a_b / e_b)` over bins, in nats.

    Here e and a are the shares of the reference and of the current sample in the bins. It is the Jeffreys divergence of the
    binned data. By convention less than 0.1 is called stable and more than 0.25 a shift, whatever the sample sizes; the
    standard error and ``diagnostics["expected_if_equal"]``, which is (bins - 1) (1/n + 1/m), take them into account.

    Parameters
    ----------
    reference, current : array_like of shape (n,), (m,)
        Numbers, or labels; with ``counts=True`` counts in bins or of symbols.
    bins : "auto", int, array_like of cut points, or "categories", default="auto"
        ``"auto"``: 10 for numbers, each value its own bin for labels. A whole number: so many bins with equal shares of the
        reference, from its weighted quantiles (fewer where these coincide). Cut points: bins between them and two beyond the
        outer ones, which -inf and inf may stand for; a value that is one belongs to the bin below it. The edges of a histogram
        are cut points without the first and the last. ``"categories"``: each value its own bin.
    unseen : {"inf", "smooth", "raise"}, default="inf"
        What to do with a bin that is empty in one sample and not in the other: ``"inf"``: the index is infinite; ``"smooth"``:
        1/2 is added to the counts of every bin in both samples, always; ``"raise"``: an error that names the bins. Bins that
        are empty in both don't count.
    counts : bool, default=False
        Whether counts are given, matched by their index where both have one.
    sample_weight_reference, sample_weight_current : array_like, default=None
        Number of times each row counts.

    Returns
    -------
    Estimate
        With ``diagnostics`` ``"bins"`` (labels), ``"edges"`` (cut points, None for labels), ``"shares"`` of shape (2, bins), and
        ``"contributions"`` of the bins.

    Raises
    ------
    SupportError
        A bin is empty in one sample and ``unseen="raise"``.
    ValueError
        Values that are missing, more than one column, invalid bins.

    See Also
    --------
    categorical_jeffreys : Labels, with a correction of the bias.
    jeffreys : Numbers, without bins.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import population_stability_index
    >>> round(population_stability_index([10, 60, 30], [20, 30, 50], counts=True), 6)
    0.379424
    >>> rng = np.random.default_rng(0)
    >>> index = population_stability_index(rng.normal(0.0, 1.0, 5000), rng.normal(0.5, 1.0, 5000))
    >>> bool(0.2 < index < 0.3)
    True
    """
    if unseen not in _UNSEEN:
        raise ValueError(f"unseen={unseen!r} is unknown; choose one of {', '.join(_UNSEEN)}.")
    edges: FloatArray | None = None
    if not counts:
        refuse_other_rows(reference, sample_weight_reference, ("reference", "sample_weight_reference"))
        refuse_other_rows(current, sample_weight_current, ("current", "sample_weight_current"))
        if sample_weight_reference is None and sample_weight_current is None:
            call = "discrete_jeffreys, or give their counts with counts=True"
            warn_of_probabilities([reference, current], call)
        reference, current, edges = _binned(reference, current, bins, sample_weight_reference)
    weights = (sample_weight_reference, sample_weight_current)
    pair = read_pair(reference, current, counts, *weights, names=("reference", "current"))
    order = np.flatnonzero((pair.x > 0.0) | (pair.y > 0.0))
    if edges is not None:
        order = np.array(sorted(order, key=lambda i: pair.symbols[i]), dtype=np.intp)
    pair = pair._replace(symbols=[pair.symbols[i] for i in order], x=pair.x[order], y=pair.y[order])
    labels = pair.symbols if edges is None else [_interval(edges, int(b)) for b in pair.symbols]
    one_sided = [i for i, (x, y) in enumerate(zip(pair.x, pair.y, strict=True)) if not (x and y)]
    empty = _empty([str(labels[i]) for i in one_sided]) if one_sided else ""
    if edges is not None and np.ndim(bins) and not {0, len(edges)}.isdisjoint(int(pair.symbols[i]) for i in one_sided):
        empty += (
            " If bins are the edges of a histogram, leave the first and the last out: the outer bins hold all beyond."
        )
    if empty and unseen == "raise":
        raise SupportError(f"{empty} Take fewer bins, or another value of unseen.")
    if empty and unseen == "inf":
        empty += " The index is infinite; fewer bins or unseen='smooth' make it a number."
    more = 0.5 if unseen == "smooth" else 0.0
    shares = np.array([(side + more) / (side.sum() + more * len(side)) for side in (pair.x, pair.y)])
    e, a = map(Probabilities, shares)
    value = float(jeffreys_of(e, a))
    reasons = [empty] if empty else []
    with np.errstate(invalid="ignore"):
        contributions = np.where(shares[0] == shares[1], 0.0, (a.p - e.p) * (a.log_p - e.log_p))
    expected = (len(order) - 1.0) * (1.0 / pair.n + 1.0 / pair.m)
    diagnostics = {
        "bins": labels,
        "edges": edges,
        "shares": shares,
        "contributions": contributions,
        "expected_if_equal": expected,
        "reasons": reasons,
    }
    error = jeffreys_error(pair) if np.isfinite(value) else float("nan")
    if expected > 2.0 * error:
        reasons.append(
            f"Equal distributions would show {expected:.2g} by chance in {len(order)} bins, and the index is too high by about "
            "as much, more than two of its standard errors. Take fewer bins, or categorical_jeffreys."
        )
    return Estimate(value, error, pair.n_samples, "population_stability_index", diagnostics)


def _binned(reference: Any, current: Any, bins: Any, weights: ArrayLike | None) -> tuple[Any, Any, FloatArray | None]:
    """Numbers of bins in place of the values, with the cut points; labels as they are."""
    by_value = isinstance(bins, str)
    if by_value and bins not in ("auto", "categories"):
        raise ValueError(f"bins={bins!r} is unknown; give 'auto', 'categories', a number of bins or cut points.")
    reference, current = look(reference, "reference"), look(current, "current")
    numeric = is_numbers(reference), is_numbers(current)
    if by_value and bins == "auto" and numeric[0] != numeric[1]:
        holds = ["numbers" if one else "labels" for one in numeric]
        raise ColumnTypeError(
            f"reference holds {holds[0]} and current holds {holds[1]}. Give both the same type (a text among numbers makes a "
            "column of labels), or bins='categories' to compare them as labels all the same."
        )
    if by_value and (bins == "categories" or not numeric[0]):
        if bins == "auto":
            _refuse_numbers_beside_labels(reference)
        return reference, current, None
    current = match_columns(reference, current, ("reference", "current"))
    first, second = as_matrix(reference, "reference"), as_matrix(current, "current")
    for values, name in ((first, "reference"), (second, "current")):
        if values.shape[1] != 1:
            raise ValueError(f"{name} has {values.shape[1]} columns; the index is of one variable at a time.")
    edges = _cut_points(10 if by_value else bins, first[:, 0], weights)
    return np.searchsorted(edges, first[:, 0]), np.searchsorted(edges, second[:, 0]), edges


def _cut_points(bins: Any, values: NDArray[Any], weights: ArrayLike | None) -> FloatArray:
    """The quantiles of so many bins, or the points that were given, without infinite ends."""
    if np.ndim(bins) == 0:
        require_count(bins, "bins")
        counted = read_weights(weights, len(values), "sample_weight of reference")
        return np.unique(_quantiles(values.astype(np.float64), counted, np.arange(1, int(bins)) / int(bins)))
    edges = np.asarray(bins, dtype=np.float64)
    if edges.ndim == 1:
        edges = edges[np.sum(edges[:1] == -np.inf) : len(edges) - np.sum(edges[-1:] == np.inf)]
    if edges.ndim != 1 or not len(edges) or not np.isfinite(edges).all() or (np.diff(edges) <= 0.0).any():
        raise ValueError(f"bins holds cut points in rising order, finite numbers; found {bins!r}.")
    return edges


def _refuse_numbers_beside_labels(reference: Any) -> None:
    """ValueError for a table of labels and numbers, each row of which would be a symbol of its own."""
    rows = as_rows(reference, "reference")
    numbers = columns_without_text(rows)
    if numbers and rows.shape[1] > 1:
        raise ValueError(
            f"reference has {rows.shape[1]} columns, labels and numbers ({named(numbers[0], column_names(reference))}); "
            "the index is of one variable at a time. fastkl.compare_tables gives it for every column."
        )


def _quantiles(values: FloatArray, weights: FloatArray | None, levels: FloatArray) -> FloatArray:
    """Quantiles, those of repeated rows for whole weights: between the two rows that a level falls between."""
    if weights is None or not weights.any():
        return np.quantile(values, levels)
    order = np.argsort(values, kind="stable")
    order = order[weights[order] > 0.0]
    values, last = values[order], np.cumsum(weights[order])
    place = np.maximum(last[-1] - 1.0, 0.0) * levels
    # row number i of the repeated ones is the first whose last repetition comes after it
    below = np.floor(place)
    low, high = (
        values[np.minimum(np.searchsorted(last, i, side="right"), len(values) - 1)] for i in (below, below + 1.0)
    )
    return np.asarray(low + (place - below) * (high - low))


def is_numbers(values: Any) -> bool:
    """Whether a column holds numbers, and not labels or truth values."""
    kind = getattr(getattr(values, "dtype", None), "kind", None)
    array = np.asarray(values) if kind is None or kind == "O" else None
    if array is None:
        return kind in ("i", "u", "f")
    return array.dtype.kind in "iuf" or (
        array.dtype == object and all(_is_number(value) for value in array.ravel().tolist())
    )


def _is_number(value: Any) -> bool:
    return hasattr(value, "__float__") and not isinstance(value, (str, bytes, bool, np.bool_))


def _interval(edges: NDArray[Any], b: int) -> str:
    """The bin with a number, as an interval."""
    if b == 0:
        return f"(-inf, {edges[0]:.6g}]" if len(edges) else "(-inf, inf)"
    return f"({edges[b - 1]:.6g}, {edges[b]:.6g}]" if b < len(edges) else f"({edges[-1]:.6g}, inf)"


def _empty(labels: list[str]) -> str:
    shown = ", ".join(labels[:5]) + (f" and {len(labels) - 5} more" if len(labels) > 5 else "")
    return f"One sample has nothing in bin{'s' if len(labels) > 1 else ''} {shown}, the other has."
