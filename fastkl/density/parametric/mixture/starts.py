"""Where the search for a mixture begins: partitions of the rows, of several kinds, since none is the best for all tables.

Rows are compared in coordinates without units: whitened, by standard deviations, by ranks; angles by their sines and
cosines; labels by the number of columns that differ. Parts grow from the seeds of k-means++ (scikit-learn) or from
rows at random, or are shells about the centre, or the clusters of a hierarchy (scipy), which finds small groups far
out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.special import ndtri
from scipy.stats import rankdata

from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import Rows
from fastkl.exceptions import DegenerateDataError
from fastkl.families.base import Family
from fastkl.families.mixture import Mixture
from fastkl.families.mixture.ends import component_has_ends
from fastkl.families.mixture.maximisation import ways_alone
from fastkl.families.priors import PriorLike
from fastkl.families.product import Product
from fastkl.families.univariate import UnivariateFamily

SOFTNESS = (0.02, 0.3, 0.8)  # share of a row that is the same for all components: the first that gives each a maximum
LLOYD_STEPS = 3
HIERARCHY_ROWS = 400  # of the sample that is merged step by step


def check_init(init: Any) -> None:
    """TypeError for a start that is no mapping of parameters, such as the name of a method."""
    if init is not None and not isinstance(init, Mapping):
        raise TypeError(
            f"init is a mapping of starting parameters, in the form of params_, not {init!r}. The fit finds starts of its own "
            "without it: leave it out, and raise n_init for more of them."
        )


@dataclass(frozen=True)
class Starts:
    """Starting parameters of a mixture, drawn from rows in memory."""

    mixture: Mixture
    rows: Rows
    priors: list[PriorLike | None]
    generator: np.random.Generator

    def draw(self) -> Iterator[Params | None]:
        """One start after another, without end (None where a partition gives none): kinds of partitions take turns."""
        kinds = self._kinds()
        while True:
            for kind in kinds:
                yield self.of_labels(self._shuffled(kind()))

    @cached_property
    def _fitted(self) -> Callable[[Floats], Params]:
        """The parameters of components that fit their shares of the rows, (n, k)."""
        alone = ways_alone(self.mixture, self.rows, self.priors)
        possible = np.stack([_inside(family, self.rows) for family in self.mixture.component_families], axis=1)
        possible |= ~possible.any(axis=1, keepdims=True)  # a row outside all supports is refused by a component
        if possible.all():
            return alone

        def fitted(shares: Floats) -> Params:
            # a row outside the support of a component goes to the others
            kept = np.where(possible, shares, 0.0)
            sums = kept.sum(axis=1, keepdims=True)
            return alone(kept / np.where(sums > 0.0, sums, 1.0))

        return fitted

    def about_rows(self, count: int) -> Iterator[Params | None]:
        """So many starts of parts about rows at random, which take no time: nearest in columns of random units."""
        spaces, k = self._spaces, self.mixture.layout.size
        for turn in range(count):
            space = spaces[turn % len(spaces)]
            if turn % 2:
                space = space * np.exp((turn % 4) * self.generator.normal(size=space.shape[1]))
            centres = space[self.generator.choice(len(space), size=k, replace=False)]
            distances = cdist(space, centres, "sqeuclidean")
            if turn % 4 == 3:
                distances = distances * np.exp(self.generator.normal(size=k))
            yield self.of_labels(self._shuffled(np.argmin(distances, axis=1)))

    def of_labels(self, labels: NDArray[np.intp]) -> Params | None:
        """Parameters at which the components fit their part of the rows; None where a part is too poor for that."""
        layout = self.mixture.layout
        if np.all(labels == labels[0]) and len(layout.groups) == 1 and layout.size > 1:
            return None  # equal components stay equal: a saddle, from which no ascent leads away
        hard = np.eye(layout.size)[labels]
        with_ends = [k for group in layout.groups if component_has_ends(group.family) for k in group.members]
        for softness in SOFTNESS:
            shares = (1.0 - softness) * hard + softness / layout.size
            if softness == SOFTNESS[0]:  # an end of a support that covers all rows would do so for ever
                shares[:, with_ends] = hard[:, with_ends]
            try:
                return self._fitted(shares)
            except (DegenerateDataError, np.linalg.LinAlgError):
                continue
        return None

    def of_shares(self, shares: Floats) -> Params | None:
        """Parameters at which the components fit their shares of the rows, (n, k); None where they are too poor for that."""
        for softness in (0.0, *SOFTNESS):
            try:
                return self._fitted((1.0 - softness) * shares + softness / self.mixture.layout.size)
            except (DegenerateDataError, np.linalg.LinAlgError):
                continue
        return None

    def _shuffled(self, labels: NDArray[np.intp]) -> NDArray[np.intp]:
        """Parts that go to components of several families at random."""
        if len(self.mixture.layout.groups) == 1:
            return labels
        return np.asarray(self.generator.permutation(self.mixture.layout.size)[labels])

    @cached_property
    def values(self) -> NDArray[Any]:
        """The rows as they are compared: numbers as they are; labels too, where there is nothing else.

        In tables of both every label has a column of its own, 1 where a row has it, and angles have a sine and a cosine.
        """
        family: Any = self.mixture.component_families[0]
        if not isinstance(family, Product):
            return self.rows.X.astype(object) if family.labels else self.rows.X
        if all(part.family.labels for part in family.parts):
            return self.rows.X.astype(object)
        return np.concatenate([_compared(part.family, part.rows(self.rows)) for part in family.parts], axis=1)

    def _kinds(self) -> list[Callable[[], NDArray[np.intp]]]:
        if self.values.dtype.kind not in "fiub":
            return [self._by_labels]
        spaces, standard = self._spaces, self._spaces[-2]
        seeded = [partial(self._by_seeds, space) for space in spaces]
        merged = [partial(self._by_hierarchy, standard, method) for method in ("average", "ward")]
        return [seeded[0], merged[0], *seeded[1:], merged[1], self._scattered(spaces[0]), self._shells(spaces[0])]

    @cached_property
    def _spaces(self) -> list[Floats]:
        """The rows without correlation, where they have several columns, by deviations, and by ranks."""
        X = np.asarray(self.values, dtype=np.float64)
        if not self.mixture.equivariant and self._is_periodic():
            X = np.concatenate([np.cos(X), np.sin(X)], axis=1)
        standard = _standardised(X)
        return [*([_whitened(standard)] if X.shape[1] > 1 else []), standard, _normal_scores(X)]

    def _is_periodic(self) -> bool:
        return any(getattr(group.family, "periodic", False) for group in self.mixture.layout.groups)

    def _seed(self) -> int:
        return int(self.generator.integers(2**31 - 1))

    def _by_seeds(self, space: Floats) -> NDArray[np.intp]:
        from sklearn.cluster import kmeans_plusplus  # every import of the library would pay for it

        k = self.mixture.layout.size
        centres, _ = kmeans_plusplus(space, k, sample_weight=self.rows.weights, random_state=self._seed())
        return _lloyd(space, centres, self.rows.weights)

    def _scattered(self, space: Floats) -> Callable[[], NDArray[np.intp]]:
        """Parts about rows at random."""
        k = self.mixture.layout.size
        return lambda: _nearest(space, space[self.generator.choice(len(space), size=k, replace=False)])

    def _shells(self, space: Floats) -> Callable[[], NDArray[np.intp]]:
        """Rows by their distance from the centre, in parts of random size: components may lie within each other."""
        distances, k = np.sum((space - np.median(space, axis=0)) ** 2, axis=1), self.mixture.layout.size
        return lambda: np.searchsorted(np.quantile(distances, np.sort(self.generator.random(k - 1))), distances)

    def _by_hierarchy(self, space: Floats, method: str) -> NDArray[np.intp]:
        """Clusters of some of the rows by merging the nearest ones; the other rows go with the nearest of these."""
        from scipy.cluster.hierarchy import fcluster, linkage

        chosen = self.generator.choice(len(space), size=min(len(space), HIERARCHY_ROWS), replace=False)
        some = space[chosen]
        labels = fcluster(linkage(some, method), self.mixture.layout.size, criterion="maxclust") - 1
        return np.asarray(labels[_nearest(space, some)])

    def _by_labels(self) -> NDArray[np.intp]:
        X: Any = self.rows.X
        seeds = X[self.generator.choice(len(X), size=self.mixture.layout.size, replace=False)]
        differ = np.stack([np.sum(seed != X, axis=1) for seed in seeds], axis=1)
        return np.asarray(np.argmin(differ + self.generator.random(differ.shape), axis=1))


def _inside(family: Family, rows: Rows) -> NDArray[np.bool_]:
    """Which rows lie within the support that a family has whatever its parameters are."""
    if isinstance(family, Product):
        return np.all([_inside(part.family, part.rows(rows)) for part in family.parts], axis=0)
    if not isinstance(family, UnivariateFamily):
        return np.ones(len(rows.X), dtype=bool)
    low, high, whole = family.support
    X = np.asarray(family.lifted(rows).X, dtype=np.float64)
    inside = (low <= X) & (high >= X)
    return np.all(inside & (np.floor(X) == X) if whole else inside, axis=1)


def _compared(family: Any, rows: Rows) -> Floats:
    """Columns of one family as numbers that can be compared."""
    if family.labels:
        codes = family.codes(rows).astype(np.intp)
        return np.concatenate([np.eye(int(column.max()) + 1)[column] for column in codes.T], axis=1)
    X = np.asarray(rows.X, dtype=np.float64)
    return np.concatenate([np.cos(X), np.sin(X)], axis=1) if getattr(family, "periodic", False) else X


def about(X: Floats, centre: Floats | None = None) -> Floats:
    """Columns about a centre, or their mean; in another unit where they are so near the largest number that it has no room."""
    for unit in (1.0, 2.0**-60):
        with np.errstate(over="ignore", invalid="ignore"):
            in_unit = X * unit
            shift = in_unit - (in_unit.mean(axis=0) if centre is None else centre * unit)
        if np.isfinite(shift).all():
            break
    return np.asarray(shift)


def _standardised(X: Floats) -> Floats:
    """Columns about their mean in units of their standard deviation; constant ones say nothing and are left out."""
    shift = about(X)
    size = np.abs(shift).max(axis=0)
    shift = shift[:, size > 0.0] / size[size > 0.0]
    if shift.shape[1] == 0:
        return np.zeros((len(X), 1))
    return np.asarray(shift / np.sqrt(np.mean(shift**2, axis=0)))


def _whitened(standard: Floats) -> Floats:
    """The same without correlation; directions in which the rows do not differ are left out."""
    values, vectors = np.linalg.eigh(standard.T @ standard / len(standard))
    kept = values > 1e-10 * values[-1]
    return np.asarray(standard @ (vectors[:, kept] / np.sqrt(values[kept])))


def _normal_scores(X: Floats) -> Floats:
    ranks = rankdata(X, axis=0)
    return np.asarray(ndtri((ranks - 0.5) / len(X)))


def _nearest(space: Floats, centres: Floats) -> NDArray[np.intp]:
    from scipy.spatial import cKDTree

    return np.asarray(cKDTree(centres).query(space)[1])


def _lloyd(space: Floats, centres: Floats, weights: Floats | None) -> NDArray[np.intp]:
    labels = _nearest(space, centres)
    for _ in range(LLOYD_STEPS):
        for k in range(len(centres)):
            own = labels == k
            if np.any(own):
                centres[k] = np.average(space[own], axis=0, weights=None if weights is None else weights[own])
        labels = _nearest(space, centres)
    return labels
