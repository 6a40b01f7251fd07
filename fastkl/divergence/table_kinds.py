"""How columns of two tables are compared, by what they hold: numbers, labels, or both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastkl.divergence.estimate import Estimate
from fastkl.divergence.functions import divergence_of_pair, kl_divergence
from fastkl.divergence.jensen_shannon_samples import jensen_shannon_of_samples
from fastkl.divergence.labelled.mixed_rows import MixedColumns, MixedTables
from fastkl.divergence.labelled.two_tables import divergence_of_tables, jensen_shannon_of_tables
from fastkl.divergence.options import Options
from fastkl.divergence.relatives import jensen_shannon
from fastkl.divergence.significance.label_test import label_test
from fastkl.divergence.significance.permutation_test import permutation_test, permutation_test_by_kind
from fastkl.divergence.symbols.categorical_kl import categorical_kl
from fastkl.divergence.symbols.categorical_relatives import categorical_jensen_shannon

# The test takes at most so many rows of either table, drawn at random: exact all the same, and its time does not grow further.
TESTED_ROWS = 5_000


class Compared(Protocol):
    """Columns of two tables.

    Attributes
    ----------
    sizes : pair of int
        Rows of either.
    """

    @property
    def sizes(self) -> tuple[int, int]: ...

    def estimates(self, n_neighbors: int | None, n_jobs: int | None) -> tuple[Estimate, Estimate, Estimate]:
        """KL(P || Q), KL(Q || P), and the Jensen-Shannon divergence."""
        ...

    def p_value(self, n_permutations: int, rng: np.random.RandomState, n_jobs: int | None) -> float:
        """That of the permutation test."""
        ...


@dataclass(frozen=True)
class Numbers:
    """One column of numbers or several."""

    P: NDArray[Any]
    Q: NDArray[Any]

    @property
    def sizes(self) -> tuple[int, int]:
        """Rows of either."""
        return len(self.P), len(self.Q)

    def estimates(self, n_neighbors: int | None, n_jobs: int | None) -> tuple[Estimate, Estimate, Estimate]:
        """The default estimates."""
        P, Q = self.P, self.Q
        options: dict[str, Any] = {"n_neighbors": n_neighbors, "n_jobs": n_jobs}
        return kl_divergence(P, Q, **options), kl_divergence(Q, P, **options), jensen_shannon(P, Q, **options)

    def p_value(self, n_permutations: int, rng: np.random.RandomState, n_jobs: int | None) -> float:
        """That of `permutation_test`."""
        P, Q = (x[some] for x, some in zip((self.P, self.Q), _tested(self.sizes, rng), strict=True))
        return permutation_test(P, Q, n_permutations=n_permutations, random_state=rng, n_jobs=n_jobs).p_value


@dataclass(frozen=True)
class Labels(Numbers):
    """One column of labels or several, of which a row is one symbol."""

    def estimates(self, n_neighbors: int | None, n_jobs: int | None) -> tuple[Estimate, Estimate, Estimate]:
        """Those of frequencies."""
        P, Q = self.P, self.Q
        return categorical_kl(P, Q), categorical_kl(Q, P), categorical_jensen_shannon(P, Q)

    def p_value(self, n_permutations: int, rng: np.random.RandomState, n_jobs: int | None) -> float:
        """That of frequencies."""
        P, Q = (x[some] for x, some in zip((self.P, self.Q), _tested(self.sizes, rng), strict=True))
        return label_test(P, Q, n_permutations, rng)


@dataclass(frozen=True)
class Both:
    """Columns of numbers and columns of labels."""

    columns: MixedColumns

    @property
    def sizes(self) -> tuple[int, int]:
        """Rows of either."""
        P, Q = self.columns.numbers
        return len(P), len(Q)

    def estimates(self, n_neighbors: int | None, n_jobs: int | None) -> tuple[Estimate, Estimate, Estimate]:
        """Those of the labels, and of the numbers among rows with equal ones."""
        tables = MixedTables(self.columns, (None, None), n_jobs)
        assisted, plain = (Options(method, n_neighbors) for method in ("assisted", "common_radius"))
        forward, backward = (
            divergence_of_tables(one, lambda pair: divergence_of_pair(pair, assisted))
            for one in (tables, tables.reversed)
        )
        middle = jensen_shannon_of_tables(tables, lambda pair, share: jensen_shannon_of_samples(pair, plain, share))
        return forward, backward, middle

    def p_value(self, n_permutations: int, rng: np.random.RandomState, n_jobs: int | None) -> float:
        """That of `permutation_test`."""
        return permutation_test_by_kind(
            self.columns.rows(*_tested(self.sizes, rng)), n_permutations, rng, n_jobs
        ).p_value


def _tested(sizes: tuple[int, int], rng: np.random.RandomState) -> list[Any]:
    """Which rows of either table are tested, in their order, which tells whether they go with each other."""
    return [slice(None) if size <= TESTED_ROWS else np.sort(rng.permutation(size)[:TESTED_ROWS]) for size in sizes]
