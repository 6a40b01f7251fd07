"""The two arguments of a divergence, each a sample, a model or an empirical distribution, brought to samples."""

from __future__ import annotations

from typing import Any

from fastkl.divergence.arguments import Sample, as_sample, same_columns
from fastkl.divergence.empirical import EmpiricalDistribution
from fastkl.divergence.model_pair import DEFAULT_DRAWS
from fastkl.divergence.models import Model, is_model
from fastkl.divergence.neighbors import SamplePair
from fastkl.divergence.sample_model import default_draws, drawn_sample, resolve_draws


def samples_of_both(
    p: Any,
    q: Any,
    weight_p: Any,
    weight_q: Any,
    n_jobs: int | None,
    rng: Any,
    n_draws: int | None,
    *,
    draws_per_row: int | None = None,
) -> SamplePair:
    """Both arguments as samples; a model gives draws, by default as many as befit the other sample."""
    for thing, name in ((p, "p"), (q, "q")):
        if isinstance(thing, EmpiricalDistribution):
            raise ValueError(
                f"{name} is an empirical distribution; only a discrete model can be compared with it. For two samples of "
                f"symbols use fastkl.categorical_kl; for numbers pass the samples themselves."
            )
    samples: list[Sample | None] = [
        None if is_model(thing) else as_sample(thing, name, weight, n_jobs)
        for thing, name, weight in ((p, "p", weight_p), (q, "q", weight_q))
    ]
    for i, (thing, name) in enumerate(((p, "p"), (q, "q"))):
        if samples[i] is None:
            other = samples[1 - i]
            rows = other.n_rows if other is not None else DEFAULT_DRAWS
            default = default_draws(rows) if draws_per_row is None else draws_per_row * rows
            draws = resolve_draws(n_draws, default)
            samples[i] = drawn_sample(Model(thing, name), draws, other, rng)
    first, second = samples
    if first is None or second is None:
        raise ValueError("p and q are both models; pass at least one sample.")
    return SamplePair(*same_columns(first, second))


def check_weights(p: Any, q: Any, weight_p: Any, weight_q: Any) -> None:
    """A model has no rows to weight."""
    for thing, weights, name in ((p, weight_p, "p"), (q, weight_q, "q")):
        if weights is not None and (is_model(thing) or isinstance(thing, EmpiricalDistribution)):
            raise ValueError(f"sample_weight_{name} belongs to the rows of a sample, which {name} is not.")
