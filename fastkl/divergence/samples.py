"""Entropy, cross-entropy and divergences of samples: the local terms, their means, errors and doubts put together."""

from typing import Any, cast, get_args

import numpy as np

from fastkl.divergence.arguments import DEFAULT_NEIGHBORS, FloatArray, Sample, resolve_neighbors
from fastkl.divergence.diagnostics import divergence_doubts, many_columns, shared_rows
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.neighbors import (
    METHODS,
    LocalTerms,
    Method,
    SamplePair,
    local_terms,
    log_density_across,
    log_density_own,
)
from fastkl.divergence.uncertainty import count_noise, divergence_error, entropy_error, reference_variance

# Up to so many rows the sweep over k needs 2 k neighbours to beat its own noise.
SWEEP_ROWS = 20_000

# Up to so many rows, in several columns, 2 k neighbours are looked for anyway: most common balls are then counted from the
# distances. In larger samples that would take memory.
_COUNTED_ROWS = 200_000

# The ratio p/q needs a few neighbours to have a finite variance.
_RATIO_NEIGHBORS = 5


def check_method(method: str) -> Method:
    """Refuse an unknown method by naming the known ones."""
    for known in get_args(Method):
        if method == known:
            return cast(Method, known)
    raise ValueError(f"method={method!r} is unknown; expected one of {', '.join(map(repr, METHODS))}.")


def default_neighbors(method: Method) -> int:
    """The default number of neighbours: 1 for the adaptive radius of "bias_reduced", else 5."""
    return 1 if method == "bias_reduced" else DEFAULT_NEIGHBORS


def divergence_neighbors(pair: SamplePair, method: Method, n_neighbors: int | None) -> int:
    """The number of neighbours of a divergence, checked against both samples."""
    return resolve_neighbors(n_neighbors, pair.p.n_rows, pair.q.n_rows, default=default_neighbors(method))


def sample_divergence(pair: SamplePair, method: Method, k: int, standard_error: bool) -> tuple[Estimate, LocalTerms]:
    """KL(p || q) from samples, with its local terms."""
    _search_ahead(pair, method, k, standard_error)
    terms = local_terms(pair, method, k)
    value = pair.p.mean(terms.log_ratio)
    error = divergence_error(pair, terms, _ratio(pair, method, k, terms)) if standard_error else float("nan")
    size = (pair.p.n_rows, pair.q.n_rows)
    if standard_error:
        doubts = divergence_doubts(pair, terms, value, error, k)
    else:
        reasons = many_columns(pair.p)
        doubts = {
            "bias_suspected": bool(reasons),
            "reasons": reasons,
            "n_neighbors": k,
        }
        if pair.reach:
            doubts["shared_rows"] = shared_rows(pair)
    if method == "knn" and standard_error:
        entropy = -pair.p.mean(log_density_own(pair, k)[0])
        doubts |= {"entropy": entropy, "cross_entropy": value + entropy}
    return Estimate(value, error, size, method, doubts), terms


def _search_ahead(pair: SamplePair, method: Method, k: int, standard_error: bool) -> None:
    """One search for all the neighbours that counts, standard error and sweep over k will ask for."""
    if not standard_error and method != "common_radius":
        return
    twice = SWEEP_ROWS if pair.p.n_columns == 1 else _COUNTED_ROWS
    reach = 2 * k if max(pair.p.n_rows, pair.q.n_rows) <= twice else k
    if method == "knn":
        reach = max(reach, _RATIO_NEIGHBORS)
    pair.search(reach)


def _ratio(pair: SamplePair, method: Method, k: int, terms: LocalTerms) -> FloatArray:
    """Estimates of p/q from enough neighbours: from one or two they have an infinite variance."""
    enough = min(_RATIO_NEIGHBORS, pair.reach)
    return terms.ratio if method != "knn" or k >= enough else local_terms(pair, method, enough).ratio


def sample_entropy(p: Sample, n_neighbors: int | None, standard_error: bool) -> Estimate:
    """Kozachenko-Leonenko entropy of a sample."""
    k = resolve_neighbors(n_neighbors, p.n_rows)
    log_p, numbers = log_density_own(SamplePair(p, p), k)
    error = entropy_error(p, log_p, numbers) if standard_error else float("nan")
    reasons = many_columns(p)
    return Estimate(
        -p.mean(log_p),
        error,
        p.n_rows,
        "knn",
        {"bias_suspected": bool(reasons), "reasons": reasons, "n_neighbors": k},
    )


def sample_cross_entropy(pair: SamplePair, n_neighbors: int | None, standard_error: bool) -> Estimate:
    """Cross-entropy of p relative to q from samples; its difference to the entropy is the fixed-k divergence."""
    m = pair.q.n_rows
    k = resolve_neighbors(n_neighbors, None, m)
    log_q, numbers = log_density_across(pair, k)
    error = float("nan")
    if standard_error and pair.p.n_rows > 1:
        enough = min(max(k, _RATIO_NEIGHBORS), pair.p.n_rows - 1, m)
        own = log_density_own(pair, enough)
        ratio = LocalTerms.from_densities(own, log_density_across(pair, enough)).ratio
        noise = pair.p.mean(count_noise(numbers))
        plain = max(pair.p.variance(log_q), noise) / pair.p.effective_size
        error = float(np.sqrt(plain + reference_variance(pair, ratio)))
    reasons = many_columns(pair.p)
    doubts = {"bias_suspected": bool(reasons), "reasons": reasons, "n_neighbors": k}
    return Estimate(-pair.p.mean(log_q), error, (pair.p.n_rows, m), "knn", doubts)


def merged_doubts(*estimates: Estimate) -> dict[str, Any]:
    """The doubts of several estimates as those of their sum."""
    reasons = [reason for e in estimates for reason in e.diagnostics["reasons"]]
    return {
        "bias_suspected": any(e.diagnostics["bias_suspected"] for e in estimates),
        "reasons": list(dict.fromkeys(reasons)),
    }
