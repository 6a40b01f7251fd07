"""A sample against a model: how far the distribution of the data is from a model with a known log-density.

Two routes. *Density*: KL = cross-entropy - entropy, where the cross-entropy is a plain mean of -log q and only the entropy
needs neighbours; its bias is that of an entropy, which grows with the number of columns. *Draws*: rows drawn from the model
are compared with the sample by counting in common balls, where most of the bias cancels (20 columns, 1000 rows of a correct
model: -0.84 by the density, -0.01 by draws). So the density is used up to three columns, where the entropy is
root-n consistent, and draws beyond.

A divergence does not change under a common bijection, so both routes look for neighbours in coordinates in which the model has
unit covariance (its own covariance, or that of draws with a fixed seed); the entropy is moved back by log abs det.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.special import digamma

from fastkl._core.means import Mean
from fastkl.divergence.arguments import FloatArray, Sample, resolve_neighbors
from fastkl.divergence.diagnostics import drift_reasons, many_columns, sweep_numbers
from fastkl.divergence.draws import default_draws, drawn_sample, resolve_draws
from fastkl.divergence.empirical import impossible_rows
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.local_terms import log_density_own
from fastkl.divergence.models import Model
from fastkl.divergence.neighbors import SamplePair, Slab
from fastkl.divergence.options import Options
from fastkl.divergence.samples import SWEEP_ROWS, divergence_neighbors, sample_divergence
from fastkl.divergence.uncertainty import count_noise, entropy_error

ROUTES = ("auto", "density", "draws")
DENSITY_COLUMNS = 3


def choose_route(route: str, n_columns: int, model: Model) -> str:
    """The route: as asked for, else by the number of columns and whether the model can be drawn from."""
    if route not in ROUTES:
        raise ValueError(f"route={route!r} is unknown; expected one of {', '.join(map(repr, ROUTES))}.")
    if model.discrete_columns is not None:
        if route == "density":
            raise ValueError(
                f"{model.name} has discrete and continuous columns: the entropy of such rows can't be estimated from distances "
                "between them. Leave route at 'auto' or 'draws'."
            )
        return "draws"
    if route != "auto":
        return route
    return "density" if n_columns <= DENSITY_COLUMNS or not model.can_draw else "draws"


def sample_model_divergence(p: Sample, model: Model, options: Options) -> Estimate:
    """KL(distribution of the sample || model) by the route that is asked for, or fits."""
    if choose_route(options.route, p.n_columns, model) == "density":
        return _divergence_by_density(p, model, options)
    return _divergence_by_draws(p, model, options)


def sample_model_cross_entropy(p: Sample, model: Model, standard_error: bool) -> Estimate:
    """-mean log q over the rows of p; +inf when a row is impossible under q."""
    return cross_entropy_of_scores(model.log_density(p.X), p.weights, standard_error)


def cross_entropy_of_scores(log_q: FloatArray, weights: FloatArray | None, standard_error: bool = True) -> Estimate:
    """Minus the weighted mean of log-densities; +inf where one of them is -inf, ValueError where it is nan."""
    mean = Mean.of(log_q, weights)
    if np.isnan(mean.value):
        raise ValueError(
            f"The log-density of row {int(np.argmax(np.isnan(log_q)))} is nan; a number or -inf is expected."
        )
    if np.isinf(mean.value):
        return impossible_rows(-mean.value, int(np.isneginf(log_q).sum()), mean.n_rows, "mean log-density")
    return Estimate(-mean.value, mean.error if standard_error else float("nan"), mean.n_rows, "mean log-density")


def _divergence_by_density(p: Sample, model: Model, options: Options) -> Estimate:
    """-mean log q - entropy of the sample, the entropy in coordinates whitened by the model."""
    k, standard_error = resolve_neighbors(options.n_neighbors, p.n_rows), options.standard_error
    log_q = model.log_density(p.X)
    cross_entropy = -p.mean(log_q).value
    if np.isinf(cross_entropy):
        return impossible_rows(cross_entropy, int(np.isneginf(log_q).sum()), p.n_rows, "density")
    whitened, log_det = _whiten(p, model)
    reach = min(2 * k, p.n_rows - 1) if standard_error and p.n_rows <= SWEEP_ROWS else k
    log_density = difference = noise = Mean()
    drift = _EntropyDrift(p, reach)
    for log_q_here, slab in _slabs_with(log_q, SamplePair(whitened, whitened)):
        slab.own.search(reach)
        log_p, numbers = log_density_own(slab, k)
        log_density += Mean.of(log_p - log_det, slab.weights)
        difference += Mean.of(log_p - log_det - log_q_here, slab.weights)
        noise += Mean.of(count_noise(numbers), slab.weights)
        if standard_error:
            drift.add(slab, log_q_here + log_det)
    entropy = -log_density.value
    value = cross_entropy - entropy
    error = entropy_error(difference, noise.value) if standard_error else float("nan")
    reasons, bias = drift.reasons(value, error) if standard_error else ([], 0.0)
    reasons = many_columns(p) + reasons + _negative(value, error)
    return Estimate(
        value,
        error,
        p.n_rows,
        "density",
        {
            "bias_suspected": bool(reasons),
            "reasons": reasons,
            "cross_entropy": cross_entropy,
            "entropy": entropy,
            "n_neighbors": k,
            "k_sweep_bias": bias,
            "route": "density",
        },
    )


def _slabs_with(values: FloatArray, pair: SamplePair) -> Iterator[tuple[FloatArray, Slab]]:
    """The slabs of a pair, each with its part of values that are by row of p."""
    order, first = pair.p.index.order, 0
    for slab in pair.slabs(0):
        rows = order[first : first + slab.n_rows]
        first += slab.n_rows
        yield values[rows], slab


class _EntropyDrift:
    """Whether the divergence moves with the number of neighbours of its entropy; added slab by slab."""

    def __init__(self, p: Sample, reach: int) -> None:
        self.numbers = [] if p.weighted else sweep_numbers(reach)
        self.n_columns = p.n_columns
        self.change = Mean()

    def add(self, slab: Slab, log_q: FloatArray) -> None:
        """Add the rows of a slab with the model's log-density, in the coordinates of the search, at each of them."""
        if len(self.numbers) < 2 or (slab.own.kth(1) == 0.0).any():
            self.numbers = []
            return
        half, largest = (
            digamma(k) - self.n_columns * np.log(slab.own.kth(k)) - log_q for k in self.numbers[-2:]
        )  # fmt: skip
        self.change += Mean.of(largest - half)

    def reasons(self, value: float, error: float) -> tuple[list[str], float]:
        """The reasons to expect a bias, and its size."""
        return drift_reasons(self.numbers, self.change, self.n_columns, value, error)


def _divergence_by_draws(p: Sample, model: Model, options: Options) -> Estimate:
    """The common-radius divergence of the sample from rows drawn from the model."""
    log_q = model.log_density(p.X)
    cross_entropy = -p.mean(log_q).value
    if np.isinf(cross_entropy):
        return impossible_rows(cross_entropy, int(np.isneginf(log_q).sum()), p.n_rows, "draws")
    draws = resolve_draws(options.n_draws, default_draws(p.n_rows))
    drawn = drawn_sample(model, draws, p, options.rng)
    p, drawn = _whiten_both(p, drawn, model)
    pair = SamplePair(p, drawn)
    k = divergence_neighbors(pair, "common_radius", options.n_neighbors)
    estimate = sample_divergence(pair, "common_radius", k, options.standard_error).estimate
    diagnostics = dict(estimate.diagnostics)
    diagnostics |= {
        "cross_entropy": cross_entropy,
        "entropy": cross_entropy - float(estimate),
        "n_draws": draws,
        "route": "draws",
    }
    return Estimate(float(estimate), estimate.standard_error, (p.n_rows, draws), "draws", diagnostics)


def _negative(value: float, error: float) -> list[str]:
    """The reason to expect a bias of an estimate far below 0."""
    if not value < -3.0 * error:
        return []
    return [f"The estimate is negative by {-value / error:.1f} standard errors, which no divergence is."]


def _factor(n_columns: int, model: Model) -> FloatArray | None:
    """Lower Cholesky factor of the model's covariance, or None where there is no use for one."""
    if n_columns == 1:
        return None
    covariance = model.covariance(n_columns)
    if covariance is None or not np.isfinite(covariance).all():
        return None
    try:
        return np.asarray(np.linalg.cholesky(covariance), dtype=np.float64)
    except np.linalg.LinAlgError:
        return None


def _transformed(X: NDArray[Any], centre: FloatArray, factor: FloatArray) -> NDArray[Any]:
    """Rows in coordinates where the model has unit covariance; centred first, so that offsets cost no digits."""
    return np.ascontiguousarray(solve_triangular(factor, (X - centre).T, lower=True, check_finite=False).T)


def _whiten(p: Sample, model: Model) -> tuple[Sample, float]:
    """The sample in whitened coordinates, and log abs det of the map back."""
    factor = _factor(p.n_columns, model)
    if factor is None:
        return p, 0.0
    X = _transformed(p.X, p.X.mean(axis=0, dtype=np.float64), factor)
    return Sample(X, p.weights, p.n_jobs), float(np.log(np.diag(factor)).sum())


def _whiten_both(p: Sample, drawn: Sample, model: Model) -> tuple[Sample, Sample]:
    """Both samples in the same whitened coordinates."""
    factor = _factor(p.n_columns, model)
    if factor is None:
        return (p if p.X.dtype == np.float64 else Sample(p.X.astype(np.float64), p.weights, p.n_jobs)), drawn
    centre = p.X.mean(axis=0, dtype=np.float64)
    return (
        Sample(_transformed(p.X, centre, factor), p.weights, p.n_jobs),
        Sample(_transformed(drawn.X, centre, factor), None, p.n_jobs),
    )
