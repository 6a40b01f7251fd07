"""Densities made of other densities: what they need of their parts, and what they have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils.validation import has_fit_parameter

from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import Rows
from fastkl.density.base import BaseDensity
from fastkl.density.callbacks import part_of_fit
from fastkl.density.validation import resolve_family
from fastkl.divergence.models.model import Model
from fastkl.exceptions import (
    ColumnTypeError,
    DegenerateDataError,
    LossyTransformerError,
    MissingValueError,
    SourceError,
    SupportError,
)

# Errors that are made of one message, and can be raised anew with more of it.
_RELOCATED = (
    ValueError,
    TypeError,
    SupportError,
    DegenerateDataError,
    MissingValueError,
    LossyTransformerError,
    SourceError,
    ColumnTypeError,
)


def check_density(density: Any, where: str) -> Any:
    """An unfitted copy of a part; TypeError for what is not a density."""
    if isinstance(density, type) or not all(hasattr(density, name) for name in ("fit", "score_samples", "get_params")):
        raise TypeError(
            f"{where} is a density such as DensityMLE('gamma') with fit and score_samples, not {density!r}."
        )
    return clone(density)


def adds_up(density: Any) -> bool:
    """Whether ``partial_fit`` of a density gives what ``fit`` of all rows gives; of a density from elsewhere it is believed."""
    return bool(getattr(density, "_partial_fit_is_fit", True))


def fit_part(density: Any, X: Any, weights: ArrayLike | None, whole: Any = None) -> None:
    """Fit a part of the whole, with weights if there are some; ValueError if it takes none."""
    if weights is not None and not has_fit_parameter(density, "sample_weight"):
        raise ValueError(
            f"{type(density).__name__} takes no sample_weight; leave the weights out or choose another density."
        )
    with part_of_fit(density, whole):
        if weights is None:
            density.fit(X)
        else:
            density.fit(X, sample_weight=weights)


def is_discrete(density: Any) -> bool:
    """Whether a density, fitted or not, gives probabilities of values instead of a density on the line."""
    own = getattr(density, "_is_discrete", None)
    if own is not None:
        return bool(own())
    if hasattr(density, "family") and not hasattr(density, "family_"):
        return resolve_family(density.family).discrete
    return Model(density, "density").discrete


def n_parameters_of(density: Any) -> int:
    """How many parameters a fitted part has."""
    if not hasattr(density, "n_parameters_"):
        raise AttributeError(f"{type(density).__name__} has no n_parameters_, so there is no AIC or BIC.")
    return int(density.n_parameters_)


def draw(density: Any, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
    """Draws of a fitted part, (n_samples, d)."""
    if isinstance(density, BaseDensity):
        return np.asarray(density.sample(n_samples, random_state=generator))
    return Model(density, type(density).__name__).draw(n_samples, np.random.RandomState(generator.integers(2**32)))


def all_rows(images: Floats, rows: Rows, sample_weight: Any) -> tuple[Floats, Floats]:
    """Images and weights with the rows of weight 0 in their places, so that messages count rows as the caller does."""
    weights = np.asarray(sample_weight, dtype=np.float64)
    every = np.repeat(images[:1], len(weights), axis=0)
    every[rows.index] = images
    return every, weights


@contextmanager
def with_location(place: str) -> Iterator[None]:
    """Begin the message of an error inside with the part that it comes from."""
    try:
        yield
    except (ValueError, TypeError) as error:
        if type(error) not in _RELOCATED:
            raise
        raise type(error)(f"{place}: {error}") from error


class ComposedDensity(BaseDensity):
    """What densities made of others share: their state is that of the parts."""

    def _is_discrete(self) -> bool:
        """Whether a part gives probabilities of values, so that a Jacobian makes no sense."""
        raise NotImplementedError

    def _check_fitted(self) -> None:
        """NotFittedError if the density is not fitted, or a part has no maximum yet."""
        super()._check_fitted()
        own = vars(self)
        for part in [density for _, density, _ in own.get("groups_", ())] or [own.get("density_")]:
            if isinstance(part, BaseDensity):
                part._check_fitted()


def log_likelihood_of(density: Any, X: Any, weights: Floats | None) -> float:
    """Weighted total log-likelihood of rows under a fitted part."""
    if hasattr(density, "log_likelihood"):
        return float(density.log_likelihood(X, weights))
    return weighted_total(np.asarray(density.score_samples(X), dtype=np.float64), weights)


def slopes_of(density: Any, X: Any, weights: Floats | None) -> Params | None:
    """Gradient of the mean log-likelihood of a fitted part by its parameters; None for a part that has none."""
    return density.gradient(X, weights) if _has_slopes(density) else None


def mean_and_slopes_of(density: Any, X: Any, weights: Floats | None) -> tuple[float, Params | None]:
    """The mean log-likelihood and its gradient."""
    if _has_slopes(density):
        mean, slopes = density.score_and_gradient(X, weights)
        return mean, slopes
    return log_likelihood_of(density, X, weights) / (len(X) if weights is None else float(weights.sum())), None


def _has_slopes(density: Any) -> bool:
    return hasattr(density, "params_") and hasattr(density, "score_and_gradient")


def weighted_total(values: Floats, sample_weight: ArrayLike | None) -> float:
    """Sum of values with weights; a value of -inf counts only where its weight is positive."""
    if sample_weight is None:
        return float(np.sum(values))
    weights = np.asarray(sample_weight, dtype=np.float64)
    return float(np.sum(weights[weights > 0.0] * values[weights > 0.0]))
