"""Divergences between many distributions as a matrix: of samples, whose trees are built once, or of rows of probabilities."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fastkl._core.other_keywords import knows_other_keywords
from fastkl._core.warned import warn, warnings_kept
from fastkl._core.wording import plural
from fastkl.divergence.arguments import FloatArray, Sample, as_sample, refuse_single_row
from fastkl.divergence.column_words import by_names, text_names
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.functions import divergence_of_pair
from fastkl.divergence.jensen_shannon_samples import jensen_shannon_of_pair, jensen_shannon_of_samples
from fastkl.divergence.matching import match_columns, warn_of_probabilities
from fastkl.divergence.nearest.coordinates import centre_and_spread
from fastkl.divergence.nearest.neighbors import SamplePair
from fastkl.divergence.nearest.samples import pair_divergence
from fastkl.divergence.options import Options
from fastkl.divergence.relatives import assisted_jeffreys, jeffreys_of_pair
from fastkl.divergence.symbols.discrete import discrete_kl
from fastkl.divergence.symbols.discrete_relatives import discrete_jeffreys, discrete_jensen_shannon
from fastkl.rows.tables import is_table

__all__ = ["pairwise_divergence"]

_OF_SAMPLES: dict[str, dict[str, Callable[[SamplePair, Options], Estimate]]] = {
    "common_radius": {
        "kl": pair_divergence,
        "jeffreys": jeffreys_of_pair,
        "jensen_shannon": jensen_shannon_of_pair,
    },
    "assisted": {
        "kl": divergence_of_pair,
        "jeffreys": assisted_jeffreys,
        "jensen_shannon": jensen_shannon_of_samples,
    },
}
_OF_ROWS: dict[str, Callable[..., Any]] = {
    "kl": discrete_kl,
    "jeffreys": discrete_jeffreys,
    "jensen_shannon": discrete_jensen_shannon,
}
_DISTANCE = "jensen_shannon_distance"


@knows_other_keywords
def pairwise_divergence(
    samples: Any,
    metric: str = "jensen_shannon",
    *,
    method: str = "common_radius",
    n_neighbors: int | None = None,
    logits: bool = False,
    return_errors: bool = False,
    n_jobs: int | None = None,
) -> Any:
    """Divergences between all pairs of distributions, as a matrix in nats.

    Parameters
    ----------
    samples : list or dict of array-like of shape (n_i,) or (n_i, d), or array of shape (k, K)
        Samples of the same columns (tables are matched by column names), of a dict in its order, by names that errors use; or one
        array or table whose *rows are known probabilities*.
    metric : {"jensen_shannon", "jensen_shannon_distance", "jeffreys", "kl"}, default="jensen_shannon"
        ``"kl"``: entry (i, j) is KL(i || j), so the matrix is not symmetric; the others are. ``"jensen_shannon_distance"``: the
        square root, a metric, 0 where the estimate is below 0.
    method : {"common_radius", "assisted"}, default="common_radius"
        Of samples: by neighbours alone, or ("assisted") each entry as `kl_divergence`, `jeffreys` and `jensen_shannon` give it by
        default, which takes longer and has less bias where samples are mostly apart or columns are many.
    n_neighbors : int, default=None
        Of samples, as in `kl_divergence`.
    logits : bool, default=False
        Whether rows are unnormalised log-probabilities.
    return_errors : bool, default=False
        Whether to give the standard errors too; only of samples, and not of the distance.
    n_jobs : int or None, default=None
        Threads.

    Returns
    -------
    ndarray of shape (k, k), or a pair of such
        The divergences, 0 on the diagonal; with ``return_errors=True`` also their standard errors.

    Raises
    ------
    ValueError
        An unknown metric or method, rows that do not sum to 1, samples of other columns.

    Warns
    -----
    UserWarning
        Where a bias of an entry is suspected: of how many pairs, and the first with its reason.
    SharedRowsWarning
        Where two samples share rows.

    Notes
    -----
    By "common_radius" columns are scaled by their quartile range in all samples together, so that units do not matter, and each
    sample's tree is built once. An entry is then not what the call for two gives, which scales by these two and is assisted.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import pairwise_divergence
    >>> rng = np.random.default_rng(0)
    >>> D = pairwise_divergence([rng.normal(loc, 1.0, 500) for loc in (0.0, 0.1, 1.0)])
    >>> bool(D[0, 1] < D[0, 2]), D.shape
    (True, (3, 3))
    >>> pairwise_divergence({"before": rng.normal(size=99), "after": rng.normal(size=99)}).shape
    (2, 2)
    >>> pairwise_divergence(np.array([[0.5, 0.5], [0.25, 0.75]]), "kl").round(4)
    array([[0.    , 0.1438],
           [0.1308, 0.    ]])
    """
    name = "jensen_shannon" if metric == _DISTANCE else metric
    if name not in _OF_ROWS:
        known = ", ".join(map(repr, (*_OF_ROWS, _DISTANCE)))
        raise ValueError(f"metric={metric!r} is unknown; expected one of {known}.")
    if method not in _OF_SAMPLES:
        raise ValueError(f"method={method!r} is unknown; expected 'common_radius' or 'assisted'.")
    if isinstance(samples, Mapping):
        named = {f"sample {key!r}": sample for key, sample in samples.items()}
    elif isinstance(samples, (list, tuple)):
        named = {f"sample {i}": sample for i, sample in enumerate(samples)}
    else:
        named = None
    if named is not None:
        if logits:
            raise ValueError("logits=True is for rows of one array; a list or dict holds samples.")
        coordinates = "auto" if method == "assisted" else None  # those of all samples together are taken before
        values, errors = _between_samples(named, name, Options(method, n_neighbors, coordinates=coordinates), n_jobs)
    else:
        if return_errors:
            raise ValueError("Divergences of known probabilities are exact: there are no errors to return.")
        values, errors = _between_rows(samples, name, logits), np.empty(0)
    if metric == _DISTANCE:
        if return_errors:
            raise ValueError(
                f"return_errors=True is not for {_DISTANCE!r}: ask for 'jensen_shannon', whose root it is."
            )
        values = np.sqrt(np.maximum(values, 0.0))
    return (values, errors) if return_errors else values


def _between_rows(rows: Any, metric: str, logits: bool) -> FloatArray:
    """Of known probabilities."""
    if not hasattr(rows, "shape") and not hasattr(rows, "__array__"):
        raise TypeError(
            f"samples is a {type(rows).__name__}: samples come in a list or dict (of the groups of a table dict(list(samples))), "
            "rows of probabilities in an array."
        )
    array = np.asarray(rows)
    if array.ndim != 2:
        raise ValueError(
            f"Rows of probabilities are an array of shape (k, K); found {array.shape}. Samples come in a list or dict."
        )
    out = np.zeros((len(array), len(array)))
    for i, row in enumerate(array):
        out[i] = _OF_ROWS[metric](row, array, logits=logits)
        out[i, i] = 0.0
    return out


def _between_samples(
    samples: dict[str, Any], metric: str, options: Options, n_jobs: int | None
) -> tuple[FloatArray, FloatArray]:
    """Of samples, each with one tree."""
    if len(samples) < 2:
        raise ValueError(f"A matrix of divergences needs at least 2 samples; found {len(samples)}.")
    warn_of_probabilities(
        list(samples.values()), "pairwise_divergence with them as the rows of one array, numpy.array(...)"
    )
    trees = [Sample(X, None, n_jobs) for X in _read(samples, options, n_jobs)]
    values, errors = np.zeros((2, len(trees), len(trees)))
    names, doubts, columns = list(samples), [], text_names(next(iter(samples.values())))
    for i, p in enumerate(trees):
        for j, q in enumerate(trees):
            if i == j or (metric != "kl" and j < i):
                continue
            with warnings_kept() as said:
                found = _OF_SAMPLES[options.method][metric](SamplePair(p, q), options)
            if said or found.bias_suspected:
                kind, text = (
                    (type(said[0]), str(said[0])) if said else (UserWarning, by_names(found.reasons[0], columns))
                )
                doubts.append((kind, f"p = {names[i]}, q = {names[j]}: {text}"))
            values[i, j], errors[i, j] = float(found), found.standard_error
            if metric != "kl":
                values[j, i], errors[j, i] = values[i, j], errors[i, j]
    _warn_of(doubts)
    return values, errors


def _read(samples: dict[str, Any], options: Options, n_jobs: int | None) -> list[FloatArray]:
    """The rows of each sample, with their columns in the order of the first, and common units where these matter."""
    read: list[FloatArray] = []
    origin = next(iter(samples))
    for name, sample in samples.items():
        one = match_columns(samples[origin], sample, (origin, name)) if read and is_table(sample) else sample
        read.append(as_sample(one, name, None, n_jobs).X.astype(np.float64))
    for name, X in zip(samples, read, strict=True):
        refuse_single_row(len(X), name)
        if X.shape[1] != read[0].shape[1]:
            raise ValueError(
                f"S{name[1:]} has {X.shape[1]} columns and {origin} has {read[0].shape[1]}; they need the same ones."
            )
    if options.coordinates is None:
        middle, spread = centre_and_spread(np.concatenate(read))
        read = [np.ascontiguousarray((X - middle) / spread) for X in read]
    return read


def _warn_of(doubts: list[tuple[type[Warning], str]]) -> None:
    """Doubts about entries of the matrix, which has no place for them: of each kind how many, and the first."""
    for kind in dict.fromkeys(kind for kind, _ in doubts):
        alike = [text for known, text in doubts if known is kind]
        warn(f"{plural(len(alike), 'divergence')} of the matrix to doubt, the first of {alike[0]}", kind)
