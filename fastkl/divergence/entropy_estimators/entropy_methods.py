"""The entropies of a sample that ``entropy(method=...)`` offers, by name, and which of them the data ask for.

By default margins are split off: gaps between order statistics for every column, on the scale that suits it, and neighbours for
the copula; where rows fall into clusters far apart, in each of them. Where a column's values are rounded so coarsely that gaps
are 0, or weights so unequal that they leave gaps without mass, the neighbours of whole rows take over, among columns scaled by
their own spread.
"""

from __future__ import annotations

import numpy as np

from fastkl.divergence.arguments import Sample
from fastkl.divergence.entropy_estimators.clusters_apart import clusters_apart, entropy_by_clusters
from fastkl.divergence.entropy_estimators.marginal_split import marginal_split_entropy
from fastkl.divergence.entropy_estimators.spacings import bridges, spacings_entropy, spacings_window
from fastkl.divergence.entropy_estimators.surfaces import refuse_surfaces
from fastkl.divergence.entropy_estimators.weighted_knn import weighted_knn_entropy
from fastkl.divergence.estimate import Estimate, moved
from fastkl.divergence.nearest.coordinates import centre_and_spread, measured
from fastkl.divergence.nearest.diagnostics import few_effective_rows
from fastkl.divergence.nearest.neighbors import SamplePair
from fastkl.divergence.nearest.samples import sample_entropy
from fastkl.divergence.options import Options
from fastkl.exceptions import DegenerateDataError

ENTROPY_METHODS = ("weighted_knn", "spacings", "marginal_split")
# Fewer rows than this are said to be few.
_FEWEST_ROWS = 20
# So few rows have two columns in one order by chance, which is no function of one another.
_ORDERED_BY_CHANCE = 10


def check_entropy_method(method: str) -> None:
    """Refuse an unknown method of an entropy by naming the known ones."""
    known = ("auto", "knn", *ENTROPY_METHODS)
    if method not in known:
        raise ValueError(f"method={method!r} is unknown; expected one of {', '.join(map(repr, known))}.")


def default_entropy(sample: Sample, options: Options) -> Estimate:
    """Entropy of a checked sample by the method that its columns ask for; a number of neighbours asks for "knn".

    DegenerateDataError for repeated rows, or rows on a plane or a surface of second degree: the entropy is -inf.
    """
    n, d = sample.X.shape
    if options.n_neighbors is not None or n < 3:
        plain = sample_entropy(SamplePair(sample, sample), options.n_neighbors, options.standard_error)
        return plain if options.n_neighbors is not None else _with_few_rows(plain, n, options)
    if d > 1:
        refuse_surfaces(sample.X)
    window = spacings_window(n)
    if n > d and all(bridges(column, window) for column in sample.X.T):
        parts = clusters_apart(sample)
        if parts is not None:
            return entropy_by_clusters(parts, lambda part: default_entropy(part, options))
        seeded = None if options.random_state is None else options.rng
        try:
            found = marginal_split_entropy(sample.X, sample.weights, random_state=seeded, n_jobs=sample.n_jobs)
            return _with_few_rows(found, n, options, *few_effective_rows(sample))
        except DegenerateDataError:
            if not sample.weighted and n >= _ORDERED_BY_CHANCE:
                raise
    doubt = (
        "The marginal densities can't be split off (rounded values, few rows, or weights): the bias of nearest neighbours is "
        "not corrected."
    )
    return _with_few_rows(_among_scaled(sample, options), n, options, doubt, *few_effective_rows(sample))


def _among_scaled(sample: Sample, options: Options) -> Estimate:
    """Kozachenko and Leonenko's entropy with distances between scaled columns."""
    middle, spread = centre_and_spread(sample.X.astype(np.float64))
    among = Sample(measured(sample.X, middle, spread), sample.weights, sample.n_jobs)
    found = sample_entropy(SamplePair(among, among), None, options.standard_error)
    return moved(found, float(np.log(spread).sum()))


def _with_few_rows(found: Estimate, n: int, options: Options, *doubts: str) -> Estimate:
    """The estimate, with what there is to say of it beside its own doubts, and its error if it is wanted."""
    more = (
        [] if n >= _FEWEST_ROWS else [f"{n} rows are few for an entropy: neither its bias nor its error is well known."]
    )
    reasons = [*found.diagnostics["reasons"], *more, *doubts]
    diagnostics = {**found.diagnostics, "bias_suspected": bool(reasons), "reasons": reasons}
    error = found.standard_error if options.standard_error else float("nan")
    return Estimate(float(found), error, found.n_samples, found.method, diagnostics)


def entropy_by_method(sample: Sample, method: str, n_neighbors: int | None) -> Estimate:
    """Entropy of a checked sample by one of ``ENTROPY_METHODS``, for the methods that search with so many neighbours."""
    if method == "spacings":
        if n_neighbors is not None:
            raise ValueError('method="spacings" sorts one column and searches no neighbours: leave n_neighbors out.')
        return spacings_entropy(sample.X, weights=sample.weights)
    if method == "weighted_knn":
        return weighted_knn_entropy(sample.X, sample.weights, n_neighbors=n_neighbors, n_jobs=sample.n_jobs)
    return marginal_split_entropy(sample.X, sample.weights, n_neighbors=n_neighbors, n_jobs=sample.n_jobs)
