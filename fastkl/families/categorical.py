"""Categorical distribution of labels: the relative frequencies of each column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import rel_entr

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.distinct import distinct
from fastkl._core.rows import Rows
from fastkl.exceptions import ColumnTypeError, SupportError
from fastkl.families.base import Family, Fit
from fastkl.families.closed_form import register_kl, register_renyi, renyi_of_probabilities
from fastkl.families.spaces import Simplex, Space


class Categorical(Family):
    r"""Probabilities of the categories of every column, the columns of a row being independent.

    .. math:: \log p(x) = \sum_j \log \pi_{j, x_j}

    Labels are strings, numbers (codes) or anything sortable; a label that was not seen has probability 0, hence
    log-density -inf.

    Parameters
    ----------
    probabilities : array-like of shape (k,) or (d, k), default=None
        Held fixed where given; rows of columns with fewer categories are filled with 0.
    categories : sequence, default=None
        The labels: one sequence for a single column, or one sequence for each column. None takes the sorted labels of the
        data, or 0, 1, ... where there are none.

    Notes
    -----
    ``params_["probabilities"]`` is an array of shape (d, k), one row for each column of the data, in the order of
    ``categories_``; k is the largest number of categories of a column.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE
    >>> animals = np.array([["cat"]] * 6 + [["dog"]] * 4)
    >>> model = DensityMLE("categorical").fit(animals)
    >>> model.categories_[0].tolist(), model.params_["probabilities"]
    (['cat', 'dog'], array([[0.6, 0.4]]))
    """

    name = "categorical"
    aliases = ("multinoulli", "labels")
    parameters = {"probabilities": Simplex(by_column=True)}
    discrete = True
    labels = True
    example = {"probabilities": [[0.6, 0.4, 0.0], [0.2, 0.3, 0.5]]}
    extreme = [{"probabilities": [[1e-300, 1.0], [1e-12, 1.0 - 1e-12]]}, {"probabilities": [[0.5, 0.5]] * 3}]

    @classmethod
    def examples(cls) -> list[tuple[Family, Params]]:
        return [(cls(), cls.example), (cls(categories=[["cat", "dog"], ["x", "y", "z"]]), cls.example)]

    def __init__(self, probabilities: ArrayLike | None = None, categories: Sequence[Any] | None = None):
        self.probabilities = probabilities
        self.categories = categories

    # -- labels ------------------------------------------------------------------------------------------------------------

    def column_categories(self, d: int) -> list[NDArray[Any]] | None:
        """The declared categories, one array per column, or None."""
        if self.categories is None:
            return None
        columns = self._declared()
        if len(columns) != d:
            raise ValueError(f"categories names {len(columns)} columns, the data have {d}.")
        return columns

    def _declared(self) -> list[NDArray[Any]]:
        categories: Sequence[Any] = () if self.categories is None else self.categories
        nested = all(isinstance(c, list | tuple | np.ndarray) for c in categories)
        return [np.asarray(c) for c in (categories if nested else [categories])]

    def statistics(self, rows: Rows) -> Statistics:
        rows = rows.of_positive_weight()
        declared = self.column_categories(rows.X.shape[1])
        categories, counts = [], []
        for j in range(rows.X.shape[1]):
            column = rows.X[:, j]
            if declared is None:
                labels, codes = unique_labels(column, rows.column(j))
            else:
                labels, codes = declared[j], self._declared_codes(rows, j, declared[j])
            categories.append(labels)
            counts.append(np.bincount(codes, weights=rows.weights, minlength=len(labels)).astype(np.float64))
        return {"weight": np.float64(rows.total_weight), "categories": categories, "counts": counts}

    @staticmethod
    def _declared_codes(rows: Rows, j: int, labels: NDArray[Any]) -> NDArray[np.intp]:
        """The category of every row in a column; SupportError for a label that is none."""
        codes = codes_of(rows.X[:, j], labels)
        if np.any(codes < 0):
            row = int(np.flatnonzero(codes < 0)[0])
            raise SupportError(f"{rows.place(row, j)} holds {rows.X[row, j]!r}, which is not among its categories.")
        return codes

    def coded(self) -> Categorical:
        """The same distributions of the places of labels among the categories, 0, 1, ..., in place of labels."""
        return Categorical(self.probabilities, [np.arange(len(labels)) for labels in self._declared()])

    def codes(self, rows: Rows) -> NDArray[np.float64]:
        """These places, for the rows of all columns; SupportError for a label that is no category."""
        columns = [self._declared_codes(rows, j, labels) for j, labels in enumerate(self._declared())]
        return np.stack(columns, axis=1).astype(np.float64)

    def merge_statistics(self, first: Statistics, second: Statistics) -> Statistics:
        if first["weight"] == 0.0 or second["weight"] == 0.0:
            return second if first["weight"] == 0.0 else first
        categories, counts = [], []
        for j in range(len(first["counts"])):
            labels = first["categories"][j]
            if np.array_equal(labels, second["categories"][j]):
                categories.append(labels)
                counts.append(first["counts"][j] + second["counts"][j])
                continue
            labels, _ = unique_labels(np.concatenate([labels, second["categories"][j]]), f"column {j}")
            total = np.zeros(len(labels))
            for part in (first, second):
                total[codes_of(part["categories"][j], labels)] += part["counts"][j]
            categories.append(labels)
            counts.append(total)
        return {"weight": first["weight"] + second["weight"], "categories": categories, "counts": counts}

    def learned(self, statistics: Statistics) -> Categorical:
        return Categorical(self.probabilities, [np.array(c) for c in statistics["categories"]])

    def component_statistics(self, rows: Rows, weights: Floats) -> list[Statistics]:
        # categories that are known need one look for all components
        declared = self.column_categories(rows.X.shape[1])
        if declared is None:
            return super().component_statistics(rows, weights)
        codes = [self._declared_codes(rows, j, labels) for j, labels in enumerate(declared)]
        found: list[Statistics] = []
        for own in rows.component_weights(weights):
            counts = [
                np.bincount(one, weights=own, minlength=len(labels)).astype(np.float64)
                for one, labels in zip(codes, declared, strict=True)
            ]
            weight = np.float64(np.sum(own[own > 0.0]))  # added up as ``statistics`` does, which looks at no other rows
            found.append({"weight": weight, "categories": declared, "counts": counts})
        return found

    # -- parameters --------------------------------------------------------------------------------------------------------

    def solve(self, statistics: Statistics) -> Fit:
        if self.probabilities is not None:
            return Fit(self.fixed_columns(len(statistics["counts"])))
        probabilities = padded([counts / statistics["weight"] for counts in statistics["counts"]])
        return Fit({"probabilities": probabilities}, boundary=_boundary(statistics))

    def spaces(self) -> dict[str, Space]:
        if self.categories is None:
            return dict(self.parameters)
        return {"probabilities": Simplex(by_column=True, widths=tuple(map(len, self._declared())))}

    def shaped(self, given: Params, d: int) -> Params:
        shaped = super().shaped(given, d)
        for j, labels in enumerate(self.column_categories(d) or []):
            names = labels.tolist()
            twice = (
                next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
            )
            if twice is not None or len(names) == 0:
                which = "names none" if len(names) == 0 else f"names {twice!r} twice"
                raise ValueError(f"categorical: categories of column {j} {which}; each category is named once.")
            p = shaped["probabilities"][j] if "probabilities" in shaped else None
            if p is not None and (len(names) > len(p) or p[len(names) :].any()):
                raise ValueError(
                    f"categorical: column {j} has {len(names)} categories and {len(p)} probabilities; each category has one."
                )
        return shaped

    def covariance_of(self, name: str, statistics: Statistics, params: Params) -> Floats:
        p = params["probabilities"]
        d, k = p.shape
        full = np.zeros((d, k, d, k))
        for j in range(d):
            full[j, :, j, :] = (np.diag(p[j]) - np.outer(p[j], p[j])) / statistics["weight"]
        return full.reshape(d * k, d * k)

    def labels_of(self, params: Params) -> list[NDArray[Any]]:
        """The categories of each column: those declared or learnt, else the codes 0, 1, ..."""
        d, k = params["probabilities"].shape
        declared = self.column_categories(d)
        return declared if declared is not None else [np.arange(k) for _ in range(d)]

    # -- likelihood --------------------------------------------------------------------------------------------------------

    def statistics_log_likelihood(self, statistics: Statistics, params: Params) -> float:
        total = 0.0
        for labels, counts, p, own in self._aligned(statistics, params):
            codes = codes_of(labels, own)
            seen = np.where(codes >= 0, p[codes], 0.0)
            used = counts > 0.0
            with np.errstate(divide="ignore"):
                total += float(np.sum(counts[used] * np.log(seen[used])))
        return total

    def statistics_gradient(self, statistics: Statistics, params: Params) -> Params:
        """Gradient along the simplex: the plain derivative counts / p less its mean under p, so that it is 0 at the fit.

        A category of probability 0 that has counts makes it infinite; one without counts has derivative 0.
        """
        gradient = np.zeros_like(params["probabilities"])
        for j, (labels, counts, p, own) in enumerate(self._aligned(statistics, params)):
            codes = codes_of(labels, own)
            known = codes >= 0
            raw = np.zeros(len(p))
            with np.errstate(divide="ignore", invalid="ignore"):
                raw[codes[known]] = np.where(counts[known] > 0.0, counts[known] / p[codes[known]], 0.0)
            possible = p > 0.0
            gradient[j, : len(own)] = raw[: len(own)] - np.sum(raw[possible] * p[possible])
            gradient[j][~possible] = raw[~possible]
        return {"probabilities": gradient}

    def _aligned(
        self, statistics: Statistics, params: Params
    ) -> list[tuple[NDArray[Any], Floats, Floats, NDArray[Any]]]:
        """Per column: labels and counts of the rows, probabilities and labels of the distribution."""
        return list(
            zip(
                statistics["categories"],
                statistics["counts"],
                params["probabilities"],
                self.labels_of(params),
                strict=True,
            )
        )

    def log_likelihood(self, rows: Rows, params: Params) -> float:
        # Any label may occur: one that the distribution does not know has probability 0.
        statistics = Categorical().statistics(rows)
        return self.statistics_log_likelihood(statistics, params)

    def log_density(self, rows: Rows, params: Params) -> Floats:
        return self.component_log_density(rows, [params])[:, 0]

    def component_log_density(self, rows: Rows, params: Sequence[Params]) -> Floats:
        total = np.zeros((len(rows.X), len(params)))
        for j, labels in enumerate(self.labels_of(params[0])):
            codes = codes_of(rows.X[:, j], labels)
            with np.errstate(divide="ignore"):
                logs = np.log(np.stack([at["probabilities"][j] for at in params], axis=1))
            total += np.where(codes[:, None] >= 0, logs[codes], -np.inf)
        return total

    def score_rows(self, rows: Rows, params: Params) -> Params:
        probabilities = params["probabilities"]
        scores = np.zeros((len(rows.X), *probabilities.shape))
        for j, labels in enumerate(self.labels_of(params)):
            codes = codes_of(rows.X[:, j], labels)
            known = np.flatnonzero(codes >= 0)
            with np.errstate(divide="ignore"):
                scores[known, j, codes[known]] = 1.0 / probabilities[j, codes[known]]
        return {"probabilities": scores}

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        columns = []
        for labels, p in zip(self.labels_of(params), params["probabilities"], strict=True):
            p = p[: len(labels)]
            columns.append(labels[generator.choice(len(labels), size=n_samples, p=p / p.sum())])
        if len({column.dtype.kind for column in columns}) > 1:
            columns = [column.astype(object) for column in columns]
        return np.stack(columns, axis=1)

    def mode(self, params: Params) -> NDArray[Any]:
        """The most probable label of every column, the first of several."""
        chosen = [
            labels[int(np.argmax(p[: len(labels)]))]
            for labels, p in zip(self.labels_of(params), params["probabilities"], strict=True)
        ]
        return np.array(chosen, dtype=np.result_type(*map(np.asarray, chosen)) if len(chosen) == 1 else object)

    def of_columns(self, params: Params, columns: Sequence[int]) -> tuple[Family, Params]:
        labels = self.labels_of(params)
        return Categorical(categories=[labels[j] for j in columns]), super().of_columns(params, columns)[1]

    def entropy(self, params: Params) -> float:
        p = params["probabilities"]
        return float(-np.sum(p * np.log(np.where(p > 0.0, p, 1.0))))

    @staticmethod
    def textbook(mp: Any, x: Any, probabilities: Any) -> Any:
        return mp.fsum(mp.log(probabilities[j, int(code)]) for j, code in enumerate(x))

    @staticmethod
    def textbook_entropy(mp: Any, probabilities: Any) -> Any:
        return -mp.fsum(p * mp.log(p) for p in probabilities if p > 0)


def _boundary(statistics: Statistics) -> dict[str, str]:
    """What is said of probabilities at 0 or 1: of a column with one label alone, and of labels that no row has."""
    said = []
    for j, (labels, counts) in enumerate(zip(statistics["categories"], statistics["counts"], strict=True)):
        seen, never = labels[counts > 0.0].tolist(), labels[counts == 0.0].tolist()
        if len(seen) == 1:
            said.append(f"column {j} holds {seen[0]!r} alone")
        elif never:
            said.append(f"column {j} holds no {never[0]!r}")
    if not said:
        return {}
    more = f" (and {len(said) - 3} more columns)" if len(said) > 3 else ""
    return {"probabilities": f"A probability is at its boundary 0 or 1: {'; '.join(said[:3])}{more}."}


def unique_labels(column: NDArray[Any], place: str) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Sorted labels of a column and the code of every row."""
    try:
        return distinct(column)
    except TypeError as error:
        kinds = sorted({type(value).__name__ for value in column})
        raise ColumnTypeError(
            f"The labels of {place} are of several kinds ({', '.join(kinds)}) and can't be sorted. Make them of one kind, such "
            "as text."
        ) from error


def codes_of(column: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.intp]:
    """The position of every value among the labels, -1 for a value that is not among them."""
    if column.dtype.kind in "iuf" and labels.dtype.kind in "iu" and np.array_equal(labels, np.arange(len(labels))):
        inside = (column >= 0) & (column < len(labels))
        codes = np.where(inside, column, 0).astype(np.intp)
        return np.where(inside & (codes == column), codes, -1)
    known, inverse = unique_labels(column, "a column")
    position = {label: i for i, label in enumerate(labels.tolist())}
    return np.array([position.get(label, -1) for label in known.tolist()], dtype=np.intp)[inverse]


def padded(rows: list[Floats]) -> Floats:
    """Rows of different lengths as one array, filled with 0."""
    out = np.zeros((len(rows), max(len(row) for row in rows)))
    for target, row in zip(out, rows, strict=True):
        target[: len(row)] = row
    return out


@register_kl(Categorical, Categorical)
def categorical_kl(p_family: Categorical, p: Params, q_family: Categorical, q: Params) -> float:
    """Sum of p log(p / q) - p + q over the union of categories: no term is negative; inf where q = 0 < p."""
    columns = _aligned(p_family, p, q_family, q)
    return sum(float(np.sum(rel_entr(one, other) - one + other)) for one, other in columns)


def _aligned(p_family: Categorical, p: Params, q_family: Categorical, q: Params) -> Iterator[tuple[Floats, Floats]]:
    """Probabilities of both over the union of the categories of each column."""
    columns = zip(
        p_family.labels_of(p), p["probabilities"], q_family.labels_of(q), q["probabilities"], strict=True
    )  # fmt: skip
    for p_labels, p_column, q_labels, q_column in columns:
        union, _ = unique_labels(np.concatenate([p_labels, q_labels]), "a column")
        aligned = []
        for labels, probabilities in ((p_labels, p_column), (q_labels, q_column)):
            codes = codes_of(union, labels)
            aligned.append(np.where(codes >= 0, probabilities[codes], 0.0))
        yield aligned[0], aligned[1]


@register_renyi(Categorical, Categorical)
def categorical_renyi(p_family: Categorical, p: Params, q_family: Categorical, q: Params, alpha: float) -> float:
    """Sum over the columns of log(sum p^alpha q^(1 - alpha)) / (alpha - 1) over the union of categories."""
    return sum(renyi_of_probabilities(*both, alpha) for both in _aligned(p_family, p, q_family, q))
