"""How far the rows as a whole are from a density: their energy distance and their KL divergence.

Both compare joint distributions, so that they see a dependence which no column shows. The energy distance is between the rows and
draws of the density, in units of each column's standard deviation; it takes some rows of many, since every pair counts. The KL
divergence takes the density's logarithm at every row, and an entropy estimate from neighbours. Neither has a known distribution
under a fitted model: p-values come from samples of the density, with its parameters estimated anew. What is compared with samples
is the plain estimate of the divergence, whose bias they share; what is reported is that of ``kl_divergence``, which corrects it.
Of a discrete distribution it is the divergence of the frequencies of the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import entr

from fastkl._core.array_types import Floats
from fastkl._core.warned import names_compared
from fastkl.density.refits import UNFITTABLE, fitted_again, named_draws
from fastkl.divergence import entropy
from fastkl.divergence.against_model.density_route import plain_difference
from fastkl.divergence.arguments import Sample
from fastkl.divergence.entropy_estimators.whitening import normalised, whiten
from fastkl.divergence.models.model import Model
from fastkl.exceptions import DegenerateDataError

JOINT = ("energy", "kl")
MOST_ROWS = 1000  # of an energy distance: a million pairs
# of a density, rows, their weights, and the rows with column names
Statistics = Callable[[Any, Floats, Floats | None, Any], dict[str, Floats]]
NEIGHBOURS = 10  # of the plain estimate: enough for rounded values


class JointStatistics:
    """The statistics that are asked for, of rows and a density.

    Parameters
    ----------
    names : sequence of str
        Some of ``JOINT``.
    rows : ndarray of shape (n, d)
        The rows, which give the units.
    generator : Generator
        Draws, and the choice of rows where there are many.
    """

    def __init__(self, names: Sequence[str], rows: Floats, generator: np.random.Generator):
        self.names, self.generator = names, generator
        spread = np.std(rows, axis=0)
        self.unit = np.where((spread > 0.0) & np.isfinite(spread), spread, 1.0)

    def of(self, density: Any, rows: Floats, weights: Floats | None, table: Any = None) -> dict[str, Floats]:
        """Each as an array of shape (1,), for comparison with those of samples; ``table`` has the rows with column names."""
        found = {}
        for name in self.names:
            if name == "energy":
                value = self._energy(density, rows, weights)
            elif Model(density, "density").dimensions_lost:
                sample = Sample(rows, None if weights is None else normalised(weights, len(rows)), None)
                value = plain_difference(sample, Model(density, "density"), min(NEIGHBOURS, len(rows) - 1))
            else:
                score = density.score(rows if table is None else table, sample_weight=weights)
                own = (
                    _entropy_of_masses(rows, weights)
                    if Model(density, "density").discrete
                    else self._entropy(rows, weights)
                )
                value = -score - own
            found[name] = np.array([value])
        return found

    def _entropy(self, rows: Floats, weights: Floats | None) -> float:
        """The plain estimate by neighbours; -inf of rows on a surface, which have no density.

        Rows are taken to unit covariance, each sample by its own: neighbours of elongated ones see too large an entropy, and
        those of a fit are more elongated than the rows by as much as these by chance are than their distribution.
        """
        n_neighbors = min(NEIGHBOURS, len(rows) - 1)
        try:
            rows, log_volume = whiten(rows, normalised(weights, len(rows)))
        except DegenerateDataError:
            rows, log_volume = rows / self.unit, float(np.sum(np.log(self.unit)))
        try:
            of_rows = entropy(
                rows, method="knn", n_neighbors=n_neighbors, sample_weight_p=weights, standard_error=False
            )
        except DegenerateDataError:
            return -np.inf
        return float(of_rows) + log_volume

    def _energy(self, density: Any, rows: Floats, weights: Floats | None) -> float:
        """n times 2 E|X - Y| - E|X - X'| - E|Y - Y'|, rows X, draws Y of the density, n of either."""
        if len(rows) > MOST_ROWS:
            share = None if weights is None else weights / weights.sum()
            rows = rows[self.generator.choice(len(rows), MOST_ROWS, replace=weights is not None, p=share)]
            weights = None
        n = len(rows)
        x = rows / self.unit
        y = np.asarray(density.sample(n, random_state=self.generator), dtype=np.float64) / self.unit
        w = np.full(n, 1.0 / n) if weights is None else weights / weights.sum()
        between, within, of_draws = w @ cdist(x, y).mean(axis=1), w @ cdist(x, x) @ w, cdist(y, y).mean()
        return float(n * (2.0 * between - within - of_draws))


def _entropy_of_masses(rows: Floats, weights: Floats | None) -> float:
    """That of the frequencies of the different rows, of which the divergence is half the statistic of a G-test per row."""
    _, codes = np.unique(rows, axis=0, return_inverse=True)
    masses = np.bincount(codes.reshape(-1), weights=weights)
    return float(np.sum(entr(masses / masses.sum())))


def bootstrap_statistics(
    density: Any,
    statistics: Statistics,
    n: int,
    weights: Floats | None,
    n_bootstrap: int,
    generator: np.random.Generator,
) -> Iterator[tuple[dict[str, Floats], int]]:
    """Statistics (1, d) of one sample of the density after the other, fitted anew; none and 1 for one without a maximum."""
    for _ in range(n_bootstrap):
        table = named_draws(density, n, generator)
        rows = np.asarray(table, dtype=np.float64)
        try:
            with names_compared():
                found = statistics(fitted_again(density, table, weights), rows, weights, table)
        except UNFITTABLE:
            yield {}, 1
            continue
        yield {name: value[np.newaxis] for name, value in found.items()}, 0
