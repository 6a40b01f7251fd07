r"""Mutual information of two sides that have labels, numbers, or both.

With (l, x) the labels and numbers of one side and (m, y) those of the other, by the chain rule,

.. math:: I(l, x; m, y) = I(l; m) + I(l; y \mid m) + I(x; m \mid l) + I(x; y \mid l, m) ,

where a term given labels is a mean over rows with equal ones: of labels alone, of numbers and labels, or of numbers alone, which
are known how to estimate. Rows whose labels are too rare for that are taken to be like the others, and are said where they are
many. The errors of the terms are added as if these knew nothing of one another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastkl._core.distinct import coded
from fastkl.divergence.arguments import FloatArray, as_matrix, refuse_merged
from fastkl.divergence.column_words import estimate_in_words, text_names
from fastkl.divergence.estimate import Estimate, doubted
from fastkl.divergence.labelled.information import FEWEST, Labels, between_labels, numbers_and_labels
from fastkl.divergence.labelled.mixed_rows import has_labels, refuse_both_in_one
from fastkl.divergence.nearest.diagnostics import negative_reasons
from fastkl.divergence.options import Options
from fastkl.divergence.symbols.empirical import as_rows, columns_without_text
from fastkl.exceptions import DegenerateDataError
from fastkl.rows.reading import look
from fastkl.rows.tables import column_names

# Fewer rows than this are none to speak of, and among so few with equal labels nothing is looked at.
_LEAST, _FEWEST_EQUAL = 10, 30
# Rows with rarer labels are said from such a part on, and so are doubts of what is among rows with equal ones.
_SAID = 0.1
# So many reasons are enough.
_REASONS = 3


class Kinds(NamedTuple):
    """The columns of one side by kind.

    Parameters
    ----------
    numbers : ndarray of shape (n, d) or None
        Numbers, if there are any.
    labels : ndarray of shape (n, c) or None
        Labels, if there are any.
    called : list of str
        What the columns of numbers are called: names or places, and of which side.
    """

    numbers: FloatArray | None
    labels: NDArray[Any] | None
    called: list[str]

    @classmethod
    def of(cls, data: Any, name: str) -> Kinds:
        """Those of an argument; ValueError for integers that are one number as float64."""
        seen = look(data, name)
        if not has_labels(seen):
            X = as_matrix(data, name)
            return cls(X, None, _called(data, name, range(X.shape[1])))
        refuse_both_in_one(seen, name)
        rows = as_rows(data, name)
        of_numbers = columns_without_text(rows)
        if not of_numbers:
            return cls(None, rows, [])
        among_all = np.zeros_like(rows, dtype=object)  # so that an error has the place of a column
        among_all[:, of_numbers] = rows[:, of_numbers]
        refuse_merged(among_all, name, column_names(data))
        numbers, labels = rows[:, of_numbers].astype(np.float64), np.delete(rows, of_numbers, axis=1)
        return cls(numbers, labels, _called(data, name, of_numbers))

    @property
    def n_rows(self) -> int:
        """Rows."""
        return len(next(of_kind for of_kind in self[:2] if of_kind is not None))

    def at(self, rows: NDArray[Any]) -> Kinds:
        """Some of the rows."""
        numbers, labels = (None if of_kind is None else of_kind[rows] for of_kind in self[:2])
        return Kinds(numbers, labels, self.called)

    def varying(self) -> Kinds:
        """The numbers alone, without columns of one value."""
        assert self.numbers is not None
        kept = np.flatnonzero(np.ptp(self.numbers, axis=0) > 0.0)
        return Kinds(self.numbers[:, kept], None, [self.called[j] for j in kept])


def _called(data: Any, name: str, places: Sequence[int]) -> list[str]:
    """What columns of a side are called in a sentence."""
    names = text_names(data)
    return [f"{repr(names[j]) if names else j} of {name}" for j in places]


# Of numbers and numbers, with the masses of the rows, and of threads.
OfNumbers = Callable[[Kinds, Kinds, FloatArray | None, Options, int | None], Estimate]


def information_with_labels(
    sides: tuple[Kinds, Kinds],
    weights: FloatArray | None,
    options: Options,
    n_jobs: int | None,
    of_numbers: OfNumbers,
) -> Estimate:
    """The mutual information of two sides, one of which at least has labels; ``of_numbers`` estimates that of numbers alone.

    DegenerateDataError for too few rows, labels that tell nothing, or none that are frequent enough to look at numbers among rows
    with equal ones.
    """
    x, y = sides
    if x.n_rows != y.n_rows:
        raise ValueError(f"x has {x.n_rows} rows and y {y.n_rows}; row i of one belongs to row i of the other.")
    masses = np.ones(x.n_rows) if weights is None else weights
    kept = masses > 0.0
    if np.count_nonzero(kept) < _LEAST:
        raise DegenerateDataError(
            f"{np.count_nonzero(kept)} rows are too few for labels; at least {_LEAST} are needed."
        )
    with_error = replace(options, standard_error=True)
    among = _Among(x.at(kept), y.at(kept), masses[kept], weights is not None, with_error, n_jobs, of_numbers)
    if sum(of_kind is not None for side in sides for of_kind in side[:2]) == 2:  # one of either side
        every = np.arange(len(among.masses))
        found = among.labels(every) if x.labels is not None and y.labels is not None else among.mixed(every)
    else:
        found = _by_chain_rule(among)
    return found if options.standard_error else doubted(found, found.reasons, error=float("nan"))


class _Among(NamedTuple):
    """What estimates the mutual information of kinds of columns among some of the rows."""

    x: Kinds
    y: Kinds
    masses: FloatArray
    weighted: bool
    options: Options
    n_jobs: int | None
    of_numbers: OfNumbers

    def labels(self, rows: NDArray[np.intp]) -> Estimate:
        """Of labels and labels."""
        assert self.x.labels is not None
        assert self.y.labels is not None
        known = [Labels.of(labels[rows]) for labels in (self.x.labels, self.y.labels)]
        for one, name in zip(known, "xy", strict=True):
            one.refuse_distinct(name, 2)
        return between_labels(known[0], known[1], self.masses[rows])

    def mixed(self, rows: NDArray[np.intp], labels_of_x: bool | None = None) -> Estimate:
        """Of labels of one side and numbers of the other; by default of the side that has labels."""
        of_x = self.x.labels is not None if labels_of_x is None else labels_of_x
        labelled, other, name = (self.x.labels, self.y, "x") if of_x else (self.y.labels, self.x, "y")
        assert labelled is not None
        assert other.numbers is not None
        labels = Labels.of(labelled[rows])
        if len(rows) < len(self.masses) and len(labels.names) == 1:
            return Estimate(0.0, 0.0, len(rows), "by labels", {"reasons": []})
        labels.refuse_distinct(name, FEWEST)
        numbers = np.ascontiguousarray(other.numbers[rows], dtype=np.float64)
        found = numbers_and_labels(numbers, labels, self.masses[rows], self.options, self.n_jobs)
        return estimate_in_words(found, other.called)

    def numbers(self, rows: NDArray[np.intp]) -> Estimate:
        """Of numbers and numbers, of which those that are equal in all of the rows tell nothing."""
        varying = [side.at(rows).varying() for side in (self.x, self.y)]
        if not (varying[0].called and varying[1].called):
            return Estimate(0.0, 0.0, len(rows), "by labels", {"reasons": []})
        masses = self.masses[rows] if self.weighted else None
        return self.of_numbers(varying[0], varying[1], masses, self.options, self.n_jobs)


class _Term(NamedTuple):
    """One of the terms of the chain rule, its variance, and its doubts."""

    value: float
    variance: float
    reasons: list[str]


def _by_chain_rule(among: _Among) -> Estimate:
    x, y, masses = among.x, among.y, among.masses
    terms = []
    if x.labels is not None and y.labels is not None:
        terms.append(_given(None, masses, among.labels))
    if x.labels is not None and y.numbers is not None:
        terms.append(_given(y.labels, masses, lambda rows: among.mixed(rows, True)))
    if x.numbers is not None and y.labels is not None:
        terms.append(_given(x.labels, masses, lambda rows: among.mixed(rows, False)))
    if x.numbers is not None and y.numbers is not None:
        labels = [side.labels for side in (x, y) if side.labels is not None]
        terms.append(_given(np.concatenate(labels, axis=1), masses, among.numbers))
    value = sum(term.value for term in terms)
    error = float(np.sqrt(sum(term.variance for term in terms)))
    reasons = [said for term in terms for said in term.reasons][:_REASONS]
    reasons += negative_reasons(value, error, "mutual information")
    diagnostics = {"reasons": reasons, "terms": tuple(term.value for term in terms)}
    return Estimate(value, error, len(masses), "by labels", diagnostics)


def _given(labels: NDArray[Any] | None, masses: FloatArray, of_rows: Callable[[NDArray[np.intp]], Estimate]) -> _Term:
    """The mean over labels of what is estimated among the rows with equal ones; that of all rows where there are no labels."""
    if labels is None:
        found = of_rows(np.arange(len(masses)))
        return _Term(float(found), found.standard_error**2, found.reasons)
    names, codes = coded([tuple(row) for row in labels.tolist()])
    share = np.bincount(codes, masses) / masses.sum()
    frequent = np.flatnonzero(np.bincount(codes) >= _FEWEST_EQUAL)
    if not len(frequent):
        raise DegenerateDataError(
            f"None of {len(names)} labels is in {_FEWEST_EQUAL} rows or more of {len(codes)}: nothing can be estimated for "
            "numbers among rows with equal labels. Merge labels, or leave them out."
        )
    said, parts = [", ".join(map(str, names[label])) for label in frequent], []
    for label, equal in zip(frequent, said, strict=True):
        try:
            parts.append(of_rows(np.flatnonzero(codes == label)))
        except DegenerateDataError as error:
            raise DegenerateDataError(f"Among rows with {equal}: {error}") from error
    values, errors = np.array([(float(one), one.standard_error) for one in parts]).T
    known = float(share[frequent].sum())
    part = share[frequent] / known
    mean = float(part @ values)
    spread = float(part @ np.square(values - mean))
    effective = masses.sum() ** 2 / np.square(masses).sum()
    variance = float(np.square(part) @ np.square(errors)) + spread * (1.0 / effective + (1.0 - known) ** 2)
    reasons = []
    in_doubt = [i for i, one in enumerate(parts) if one.reasons]
    if part[in_doubt].sum() > _SAID:
        worst = max(in_doubt, key=lambda i: part[i])
        reasons.append(f"Among rows with {said[worst]}: {parts[worst].reasons[0]}")
    if known < 1.0 - _SAID:
        reasons.append(
            f"{1.0 - known:.0%} of the rows have labels that occur in fewer than {_FEWEST_EQUAL} rows, and are assumed to be "
            "like the others. Merge labels that belong together."
        )
    return _Term(mean, variance, reasons)
