"""The entropies of a sample that ``entropy(method=...)`` offers beside that of Kozachenko and Leonenko, by name."""

from __future__ import annotations

from fastkl.divergence.arguments import Sample
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.marginal_split import marginal_split_entropy
from fastkl.divergence.spacings import spacings_entropy
from fastkl.divergence.weighted_knn import weighted_knn_entropy

ENTROPY_METHODS = ("weighted_knn", "spacings", "marginal_split")


def entropy_by_method(sample: Sample, method: str, n_neighbors: int | None) -> Estimate:
    """Entropy of a checked sample by one of ``ENTROPY_METHODS``.

    Parameters
    ----------
    sample : Sample
        Rows and weights.
    method : str
        One of ``ENTROPY_METHODS``.
    n_neighbors : int or None
        For the methods that search neighbours; None for their default.

    Returns
    -------
    Estimate
        With its standard error.

    Raises
    ------
    DegenerateDataError
        The sample has no density.
    ValueError
        ``method`` is unknown, or ``n_neighbors`` does not fit it or the sample.
    """
    if method == "spacings":
        if n_neighbors is not None:
            raise ValueError('method="spacings" sorts one column and searches no neighbours: leave n_neighbors out.')
        return spacings_entropy(sample.X, weights=sample.weights)
    if method == "weighted_knn":
        return weighted_knn_entropy(sample.X, sample.weights, n_neighbors=n_neighbors, n_jobs=sample.n_jobs)
    if method == "marginal_split":
        return marginal_split_entropy(sample.X, sample.weights, n_neighbors=n_neighbors, n_jobs=sample.n_jobs)
    raise ValueError(f"method={method!r} is unknown; choose one of {', '.join(ENTROPY_METHODS)}.")
