"""An interval for the divergence of two samples by subsampling: a second opinion beside the standard error."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastkl.divergence.arguments import Sample
from fastkl.divergence.estimate import ConfidenceInterval
from fastkl.divergence.nearest.coordinates import free_of_units
from fastkl.divergence.nearest.local_terms import Method
from fastkl.divergence.nearest.neighbors import SamplePair
from fastkl.divergence.nearest.samples import check_method, divergence_neighbors, sample_divergence
from fastkl.divergence.operands import SAMPLES, operands
from fastkl.divergence.options import Options, one_seed
from fastkl.exceptions import DegenerateDataError


def subsampling_interval(
    p: Any,
    q: Any,
    *,
    level: float = 0.95,
    method: str = "auto",
    n_neighbors: int | None = None,
    n_subsamples: int = 200,
    exponent: float = 2.0 / 3.0,
    random_state: Any = None,
    rng: Any = None,
    n_jobs: int | None = None,
) -> ConfidenceInterval:
    r"""Confidence interval for KL(p || q) of two samples by subsampling without replacement.

    Both samples are thinned to :math:`b = n^{2/3}` and :math:`m^{2/3}` rows; the quantiles of
    :math:`\sqrt{b / (1 - b / n)} (D_b - \bar D_b)` stand for those of the error at full size, times :math:`\sqrt n`.
    Deviations are taken from the mean over the subsamples, since small samples have a larger bias. It does not assume a normal
    limit, and is a second opinion beside the interval of `kl_divergence`. It covers the expectation of the estimate, not its
    bias. That of "common_radius" (a quarter of 0.375 nats among 200 rows in three columns) misses the truth in a quarter of the
    samples in three columns and in most in five; "bias_reduced" has a third of it or half, and intervals twice as wide, that
    hold the truth in 85 to 95 % up to three columns and in fewer of many rows in five. Columns are divided by their quartile
    range in both samples together, so that units do not matter.

    Parameters
    ----------
    p, q : array-like of shape (n,) or (n, d)
        Samples.
    level : float, default=0.95
        Between 0 and 1.
    method : {"auto", "common_radius", "knn", "bias_reduced"}, default="auto"
        As in `kl_divergence`; "auto" is "common_radius" in one column or where rows are repeated, else "bias_reduced".
    n_neighbors : int, default=None
        As in `kl_divergence`.
    n_subsamples : int, default=200
        Number of subsamples.
    exponent : float, default=2/3
        Subsamples have n to this power rows; between 0 and 1.
    random_state : int, RandomState, Generator or None, default=None
        For the choice of rows.
    rng : int, Generator or None, default=None
        Another name of ``random_state``, as in numpy and scipy; a number seeds `numpy.random.default_rng`.
    n_jobs : int or None, default=None
        Threads.

    Returns
    -------
    ConfidenceInterval
        ``(low, high)`` in nats.

    Raises
    ------
    ValueError
        As in `kl_divergence`; and a level or exponent that is not between 0 and 1, or samples too small for the subsamples.

    References
    ----------
    Politis, D. N. and Romano, J. P. (1994). Large sample confidence regions based on subsamples under minimal assumptions.
    Annals of Statistics 22, 2031-2050. doi:10.1214/aos/1176325770.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl.divergence import subsampling_interval
    >>> rng = np.random.default_rng(1)
    >>> low, high = subsampling_interval(rng.normal(0, 1, 500), rng.normal(1, 2, 500), random_state=0)
    >>> low < 0.443147 < high
    True
    """
    if not 0.0 < level < 1.0 or not 0.0 < exponent < 1.0:
        raise ValueError(f"level and exponent lie between 0 and 1; got {level!r} and {exponent!r}.")
    if not n_subsamples >= 2:
        raise ValueError(
            f"n_subsamples is a whole number of at least 2, whose spread is measured; got {n_subsamples!r}."
        )
    if method != "auto":
        check_method(method, "auto")
    options = Options("common_radius", random_state=one_seed(random_state, rng))
    rng = options.rng
    pair = free_of_units(SAMPLES(*operands(p, q, n_jobs=n_jobs), options=options), "auto")
    whole, chosen, k = _whole(pair, method, n_neighbors)
    sizes = [int(np.ceil(s.n_rows**exponent)) for s in (pair.p, pair.q)]
    if sizes[0] <= k or sizes[1] < k:
        raise ValueError(
            f"Subsamples of {sizes[0]} and {sizes[1]} rows are too small for n_neighbors={k}; raise the exponent or lower k."
        )
    if min(sizes) == min(pair.p.n_rows, pair.q.n_rows):
        raise ValueError(
            f"Subsamples of {sizes[0]} and {sizes[1]} rows out of {pair.p.n_rows} and {pair.q.n_rows} are the samples again; "
            "pass more rows or lower the exponent."
        )
    parts = np.array([_value(_thinned(pair, sizes, rng), chosen, k) for _ in range(n_subsamples)])
    kept = min(sizes) / min(pair.p.n_rows, pair.q.n_rows)
    rate = np.sqrt(kept / (1.0 - kept))
    low, high = np.quantile(rate * (parts - parts.mean()), [0.5 - level / 2.0, 0.5 + level / 2.0])
    return ConfidenceInterval(float(whole - high), float(whole - low))


def _whole(pair: SamplePair, method: str, n_neighbors: int | None) -> tuple[float, Method, int]:
    """The estimate from all rows, by a method and a number of neighbours for those from some."""
    if method == "auto":
        try:
            return _whole(pair, "common_radius" if pair.p.n_columns == 1 else "bias_reduced", n_neighbors)
        except DegenerateDataError:
            method = "common_radius"
    chosen = check_method(method)
    k = divergence_neighbors(pair, chosen, n_neighbors)
    return _value(pair, chosen, k), chosen, k


def _value(pair: SamplePair, method: Method, k: int) -> float:
    """The plain estimate."""
    return float(sample_divergence(pair, method, k, standard_error=False).estimate)


def _thinned(pair: SamplePair, sizes: list[int], rng: np.random.RandomState) -> SamplePair:
    """Some rows of each sample, drawn without replacement."""
    p, q = (
        Sample(np.ascontiguousarray(s.X[rng.permutation(s.n_rows)[:size]]), None, s.n_jobs)
        for s, size in zip((pair.p, pair.q), sizes, strict=True)
    )
    return SamplePair(p, q)
