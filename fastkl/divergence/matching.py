"""Two arguments side by side: columns matched by their names, probabilities by their labels, never by position alone.

Position is what is left where one of two has no names. Two tables with the same names in another order hold the same variables,
so the second is read in the order of the first, which a warning says; tables with other names hold other variables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl._core.warned import warn
from fastkl.exceptions import ColumnOrderWarning, ProbabilityVectorWarning, SourceError
from fastkl.rows.columns import listed, refuse_duplicates
from fastkl.rows.indexes import same_in_other_order
from fastkl.rows.missing import is_missing
from fastkl.rows.tables import column_names, columns_of, is_table

# A vector of probabilities that is longer is taken for a sample without a word.
_LONG_VECTOR = 10_000
# Two vectors of so many numbers with the same sum and such a correlation are heights of the same bins rather than samples.
_FEWEST_BINS, _TOGETHER = 5, 0.5
# What stands for the missing values in counts of all values: nan is not equal to another.
_MISSING_LABEL = float("nan")


# -- columns -------------------------------------------------------------------------------------------------------------------


def given_names(data: Any, name: str) -> list[Any] | None:
    """The names of the columns of a table, numbers too; None for what is no table. SourceError for a name given twice."""
    names = column_names(data) if is_table(data) else None
    if names is not None:
        refuse_duplicates(names, name)
    return names


def only_counted(names: Sequence[Any]) -> bool:
    """Whether names are 0, 1, ... in order, as those are that nobody gave."""
    return list(names) == list(range(len(names)))


def _only_positions(first: Sequence[Any], second: Sequence[Any]) -> bool:
    """Whether names or labels say nothing beyond the place: they are the same, or those of one only count the other's.

    Two that are numbers say more, in whatever order: as the values 0 and 1 in the counts of two columns of them, of which either
    has its more frequent value first.
    """
    if list(first) == list(second):
        return True
    numbers = all(isinstance(name, Real) for names in (first, second) for name in names)
    return not numbers and (only_counted(first) or only_counted(second))


def order_of_columns(
    first: list[Any] | None, second: list[Any] | None, names: tuple[str, str] = ("p", "q")
) -> list[int] | None:
    """Numbers of the columns of the second table in the order of the first; None where they need no other order.

    SourceError where the tables have different columns.
    """
    if first is None or second is None or _only_positions(first, second):
        return None
    if set(first) == set(second):
        warn(
            f"{names[0]} and {names[1]} have the same columns in different order; those of {names[1]} are read in the order of "
            f"{names[0]}, {listed(first)}.",
            ColumnOrderWarning,
        )
        return [second.index(column) for column in first]
    lacking = [
        f"{one} lacks {listed(sorted(missing, key=str))}"
        for one, missing in zip(names, (set(second) - set(first), set(first) - set(second)), strict=True)
        if missing
    ]
    raise SourceError(
        f"{names[0]} and {names[1]} have different columns: {' and '.join(lacking)}. Tables are matched by the names of their "
        f"columns; rename or choose columns, or pass arrays (such as .to_numpy()) to compare them by position."
    )


def match_columns(p: Any, q: Any, names: tuple[str, str] = ("p", "q")) -> Any:
    """The second of two samples with its columns in the order of those of the first, where both are tables with names."""
    order = order_of_columns(given_names(p, names[0]), given_names(q, names[1]), names)
    return q if order is None else columns_of(q, order)


# -- labels of probabilities ---------------------------------------------------------------------------------------------------


def match_labels(p: Any, q: Any, absent: float | None, names: tuple[str, str]) -> tuple[Any, Any]:
    """Two vectors or tables of probabilities (or counts, or logits) over the same symbols in the same order.

    Symbols are the keys of a dict, the index of a pandas series, and the column names of a table. A symbol that only one of
    them has counts as ``absent`` in the other, as ``value_counts`` leaves out what does not occur; with None that is an error.
    So it is where no symbol is in both. Rows of two tables are matched by their index where both have the same one in
    different order.
    """
    if type(p) is np.ndarray and type(q) is np.ndarray:
        return p, q
    first, second = _labels(p, names[0]), _labels(q, names[1])
    p, q = by_position(p), by_position(q)
    if _is_frame(p) and _is_frame(q) and same_in_other_order(p.index, q.index):
        q = q.reindex(p.index)
    if first is None or second is None or _only_positions(first, second):
        return p, q
    known = set(first)
    if not known & set(second) or (absent is None and known != set(second)):
        raise SourceError(
            f"{names[0]} and {names[1]} have different labels: {listed(first, 5)} and {listed(second, 5)}. Probabilities are "
            f"matched by their labels; give both the same ones, or pass arrays (such as .to_numpy()) to match them by position."
        )
    union = _union(first, second)
    return _over(p, first, union, absent), _over(q, second, union, absent)


def symbols_of_both(p: Any, q: Any, names: tuple[str, str]) -> list[Any] | None:
    """The symbols of what `match_labels` gives, in its order; None where they have no labels, and are matched by position."""
    first, second = _labels(p, names[0]), _labels(q, names[1])
    return None if first is None or second is None else _union(first, second)


def _union(first: list[Any], second: list[Any]) -> list[Any]:
    known = set(first)
    return first + [label for label in second if label not in known]


def by_position(data: Any) -> Any:
    """The numbers of a dict, such as a Counter, in its order; anything else as it is."""
    return np.array(list(data.values())) if _is_labelled_vector(data) else data


def _is_labelled_vector(data: Any) -> bool:
    return isinstance(data, Mapping) and all(isinstance(value, Real) for value in data.values())


def _labels(data: Any, name: str) -> list[Any] | None:
    """What a vector or the columns of a table stand for; None where there is nothing that says it."""
    if _is_labelled_vector(data):
        return [_MISSING_LABEL if is_missing(label) else label for label in data]
    if _is_series(data):
        labels = [_MISSING_LABEL if is_missing(label) else label for label in data.index.tolist()]
        refuse_duplicates_in_index(labels, name)
        return labels
    return given_names(data, name)


def refuse_duplicates_in_index(labels: Sequence[Any], name: str) -> None:
    """SourceError where a label stands twice in the index of a series."""
    seen = set()
    for label in labels:
        if label in seen:
            raise SourceError(f"The index of {name} has the label {label!r} twice; each symbol has one probability.")
        seen.add(label)


def _over(data: Any, labels: list[Any], union: list[Any], absent: float | None) -> NDArray[Any]:
    """The numbers of ``data`` in the order of ``union``."""
    values = np.asarray(data)
    place = {label: j for j, label in enumerate(labels)}
    if len(union) > len(labels):
        assert absent is not None
        values = np.concatenate([values, np.full((*values.shape[:-1], 1), absent, dtype=values.dtype)], axis=-1)
    return np.ascontiguousarray(values[..., [place.get(label, len(labels)) for label in union]])


def _is_series(data: Any) -> bool:
    return hasattr(data, "index") and not callable(data.index) and getattr(data, "ndim", None) == 1


def _is_frame(data: Any) -> bool:
    return hasattr(data, "index") and not callable(data.index) and getattr(data, "ndim", None) == 2


# -- probabilities in place of a sample ----------------------------------------------------------------------------------------


def warn_of_probabilities(given: Sequence[Any], call: str) -> None:
    """Say so where all that was given are vectors of probabilities, which a call for samples takes for values of a variable."""
    vectors = [vector for vector in map(_vector_of_shares, given) if vector is not None]
    if len(vectors) < len(given):
        return
    logarithms = all(vector.max() <= 0.0 for vector in vectors)
    if logarithms:
        vectors = [np.exp(vector) for vector in vectors]
    if not all(_sums_to(vector, 1.0) for vector in vectors):
        if len(vectors) == 2 and call.startswith("discrete") and not logarithms:
            _warn_of_heights(vectors[0], vectors[1], call)
        return
    if not any(vector.dtype.kind == "f" for vector in vectors):
        return  # a few zeros and a one are data rather
    what = {1: "The argument is a vector", 2: "Both arguments are vectors"}.get(len(given), "All samples are vectors")
    numbers, advice = "numbers >= 0", ""
    if logarithms:
        numbers, advice = "logarithms of numbers", " Logarithms need logits=True."
    warn(
        f"{what} of {numbers} that sum to 1, taken for a sample of {len(given[0])} values. For known probabilities call "
        f"fastkl.{call}.{advice}",
        ProbabilityVectorWarning,
    )


def _warn_of_heights(p: NDArray[Any], q: NDArray[Any], call: str) -> None:
    """Say so of two histograms of the same bins: other values with the same sum, that rise and fall together."""
    total = float(p.sum(dtype=np.float64))
    if len(p) != len(q) or len(p) < _FEWEST_BINS or not np.isfinite(total) or not _sums_to(q, total):
        return
    if min(np.ptp(p), np.ptp(q)) == 0 or np.array_equal(np.sort(p), np.sort(q)) or np.corrcoef(p, q)[0, 1] < _TOGETHER:
        return
    counted = f", and counts for fastkl.{call.replace('discrete', 'categorical')}(counts=True)"
    counted = "" if "counts=True" in call else counted
    warn(
        f"Both arguments are vectors of {len(p)} numbers >= 0 with the sum {total:.6g} that rise and fall together, taken for "
        f"samples of {len(p)} values. Heights of the same bins, divided by their sum, are for fastkl.{call}{counted}.",
        ProbabilityVectorWarning,
    )


def _sums_to(vector: NDArray[Any], total: float) -> bool:
    rounding = 64.0 * float(np.finfo(vector.dtype).eps) if vector.dtype.kind == "f" else 0.0
    return abs(float(vector.sum(dtype=np.float64)) - total) <= max(1e-9, rounding) * max(1.0, total)


def _vector_of_shares(data: Any) -> NDArray[Any] | None:
    """A vector of numbers of one sign that may be probabilities, heights of bins, or logarithms; None for anything else."""
    if is_table(data) or hasattr(data, "toarray") or not hasattr(data, "__len__") or getattr(data, "ndim", 1) != 1:
        return None
    if not 2 <= len(data) <= _LONG_VECTOR or (isinstance(data, list | tuple) and not isinstance(data[0], Real)):
        return None
    try:
        values = np.asarray(data)
    except (TypeError, RuntimeError):
        return None  # a tensor that is not in main memory, of bfloat16 or with gradients; its reader says so
    if values.ndim != 1 or values.dtype.kind not in "fiu" or not ((values >= 0.0).all() or (values <= 0.0).all()):
        return None
    return values
