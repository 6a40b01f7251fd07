"""A sample against a model: how far the distribution of the data is from a model with a known log-density.

Two routes. *Density* (the default): KL = cross-entropy - entropy, with the known log-density and an entropy whose bias is
measured on draws from the model. *Draws*: rows drawn from the model are compared with the sample as two samples are, which
forgets what is known of the density but takes repeated values and columns of labels. A value that a column has often, such as an
inflated zero, has no mass under a density: where the model has one the divergence is infinite.
"""

from __future__ import annotations

import numpy as np

from fastkl._core.means import Mean
from fastkl.divergence.against_model.density_route import divergence_by_density, rows_are_apart
from fastkl.divergence.against_model.model_coordinates import whiten_both
from fastkl.divergence.arguments import FloatArray, Sample, resolve_neighbors, same_columns
from fastkl.divergence.assisted.default_estimate import assisted_divergence
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.models.draws import default_draws, drawn_sample, resolve_draws
from fastkl.divergence.models.model import Model
from fastkl.divergence.models.ratio_tails import heavy_terms
from fastkl.divergence.nearest.atoms import atoms_beside_densities, lacking_in_columns
from fastkl.divergence.nearest.neighbors import SamplePair
from fastkl.divergence.nearest.samples import check_method, divergence_neighbors, sample_divergence
from fastkl.divergence.options import Options
from fastkl.divergence.symbols.empirical import impossible_rows

ROUTES = ("auto", "density", "draws")
# In so few columns repeated rows are a mistake (symbols against a density); in more they are rounded measurements.
TIED_COLUMNS = 3
# Of so few rows with discrete columns the bias is measured, on so many samples of the model's own.
_FEW_ROWS, _OWN_SAMPLES = 500, 3


def choose_route(options: Options, p: Sample, model: Model) -> str:
    """The route: as asked for, else the density, unless the model has discrete columns or the rows are repeated."""
    route = options.route
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
    if p.n_columns <= TIED_COLUMNS or not model.can_draw:
        return "density"
    return "density" if rows_are_apart(p, resolve_neighbors(options.n_neighbors, p.n_rows)) else "draws"


def sample_model_divergence(p: Sample, model: Model, options: Options) -> Estimate:
    """KL(distribution of the sample || model) by the route that is asked for, or fits."""
    atoms = atoms_beside_densities(p, model.discrete_columns or frozenset())
    if atoms and not (model.can_draw and _has_atoms_too(p, model, options)):
        return Estimate(float("inf"), 0.0, p.n_rows, "atoms", {"reasons": atoms})
    if choose_route(options, p, model) == "density":
        return divergence_by_density(p, model, options)
    return _divergence_by_draws(p, model, options)


def _has_atoms_too(p: Sample, model: Model, options: Options) -> bool:
    """Whether a model, which may be anybody's, draws the values that the sample has so often."""
    return not lacking_in_columns(*same_columns(p, drawn_sample(model, max(p.n_rows, 1000), p, options.rng)))


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
    # of weighted rows the tail is not known
    reasons = heavy_terms(-log_q, "terms -log q") if standard_error and weights is None else []
    diagnostics = {"reasons": reasons}
    error = mean.error if standard_error else float("nan")
    return Estimate(-mean.value, error, mean.n_rows, "mean log-density", diagnostics)


def _divergence_by_draws(p: Sample, model: Model, options: Options) -> Estimate:
    """The divergence of the sample from rows drawn from the model, as that of two samples."""
    log_q = model.log_density(p.X)
    cross_entropy = -p.mean(log_q).value
    if np.isinf(cross_entropy):
        return impossible_rows(cross_entropy, int(np.isneginf(log_q).sum()), p.n_rows, "draws")
    draws = resolve_draws(options.n_draws, default_draws(p.n_rows))
    drawn = drawn_sample(model, draws, p, options.rng)
    estimate, bias = _of_samples(p, drawn, model, options), Mean.of(np.zeros(2))
    if options.method == "assisted" and model.discrete_columns is not None and p.n_rows <= _FEW_ROWS:
        # The regression behind it, which few rows teach little, is too low: as much as for rows that are the model's own.
        own = (drawn_sample(model, p.n_rows, p, options.rng) for _ in range(_OWN_SAMPLES))
        values = np.array([float(_of_samples(one, drawn, model, options)) for one in own])
        bias = Mean.of(values) if np.isfinite(values).all() else bias
    value, error = float(estimate) - bias.value, float(np.hypot(estimate.standard_error, bias.error))
    diagnostics = dict(estimate.diagnostics)
    diagnostics |= {
        "cross_entropy": cross_entropy,
        "entropy": cross_entropy - value,
        "bias": bias.value,
        "n_draws": draws,
        "of_samples": estimate.method,
        "route": "draws",
    }
    return Estimate(value, error, (p.n_rows, draws), "draws", diagnostics)


def _of_samples(p: Sample, drawn: Sample, model: Model, options: Options) -> Estimate:
    """The divergence of two samples, one of them drawn from a model."""
    if options.method == "assisted":
        return assisted_divergence(SamplePair(*same_columns(p, drawn)), options)
    pair = SamplePair(*whiten_both(p, drawn, model))
    method = check_method(options.method)
    k = divergence_neighbors(pair, method, options.n_neighbors)
    return sample_divergence(pair, method, k, options.standard_error).estimate
