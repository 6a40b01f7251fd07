"""A fitted density behind a fitted transformer: scores, slopes, draws and uncertainty of the original variable."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.metaestimators import available_if

from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import Rows
from fastkl.density.bijections.base import AffineMaps, Bijection
from fastkl.density.bijections.lookup import bijection
from fastkl.density.composed.affine import affine_invariances
from fastkl.density.composed.base import ComposedDensity, all_rows, draw, n_parameters_of, weighted_total, with_location
from fastkl.density.composed.distribution import TransformedDistribution
from fastkl.density.composed.inference import TransformedInference
from fastkl.density.composed.parts import TransformedParts
from fastkl.density.composed.summary import TransformedSummary
from fastkl.density.validation import read_rows
from fastkl.rows.checks import raise_if_not_finite

# Draws that no row is mapped to are drawn again; so many for each row that is asked for, and more for the first.
_MOST_REDRAWN = 1000


def _is_invertible(density: FittedTransformed) -> bool:
    return bijection(getattr(density, "transformer_", density.transformer)).invertible


class FittedTransformed(TransformedParts, TransformedDistribution, TransformedSummary, ComposedDensity):
    """Members of a density behind a one-to-one transformer, both fitted. A subclass learns them."""

    transformer: Any
    transformer_: Any
    density_: Any

    def _place(self) -> str:
        name = self.transformer if self.transformer is None else type(self.transformer).__name__
        return f"In the rows behind {name}"

    def _read(self, X: ArrayLike, sample_weight: ArrayLike | None = None, *, reset: bool = False) -> Rows:
        """Finite rows in float64."""
        rows = read_rows(self, X, sample_weight, reset=reset)
        if not np.isfinite(rows.X.sum(dtype=np.float64)):
            raise_if_not_finite(rows)
        wide = np.ascontiguousarray(rows.X, dtype=np.float64)
        return replace(rows, X=wide)

    def _images(self, mapped: Bijection, rows: Rows) -> tuple[Floats, Floats]:
        with np.errstate(over="ignore"):
            images, log_det = mapped.forward_all(rows)
        mapped.raise_if_overflown(rows, images)
        return images, log_det

    # -- scoring -----------------------------------------------------------------------------------------------------------

    def _scored(self, X: ArrayLike, sample_weight: ArrayLike | None) -> tuple[float, float]:
        self._check_fitted()
        rows = self._read(X, sample_weight)
        return weighted_total(self._log_density(rows), rows.weights), rows.total_weight

    def score_samples(self, X: ArrayLike) -> Floats:
        """Log-density of every row, of the original variable.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows.

        Returns
        -------
        ndarray of shape (n,)
            In nats; -inf outside the domain of the transformer and outside the support.
        """
        self._check_fitted()
        return self._log_density(self._read(X))

    def _log_density(self, rows: Rows) -> Floats:
        mapped = bijection(self.transformer_)
        with np.errstate(over="ignore"):
            images, log_det = mapped.forward(rows.X)
        inside = log_det != -np.inf
        if inside.all():
            mapped.raise_if_overflown(rows, images)
            return np.asarray(self.density_.score_samples(images)) + log_det
        out = np.full(len(images), -np.inf)
        if inside.any():
            mapped.raise_if_overflown(rows, np.where(inside[:, np.newaxis], images, 0.0))
            out[inside] = self.density_.score_samples(np.ascontiguousarray(images[inside])) + log_det[inside]
        return out

    def gradient(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> Params:
        images, weights, _ = self._mapped(X, sample_weight)
        with with_location(self._place()):
            slopes: Params = self.density_.gradient(images, weights)
        return slopes

    def score_and_gradient(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> tuple[float, Params]:
        images, weights, mean_log_det = self._mapped(X, sample_weight)
        with with_location(self._place()):
            mean, slopes = self.density_.score_and_gradient(images, weights)
        return mean + mean_log_det, slopes

    def _mapped(self, X: ArrayLike, sample_weight: ArrayLike | None) -> tuple[Floats, Floats | None, float]:
        """Images and weights of rows that have to be inside the domain, and the weighted mean of log abs det."""
        self._check_fitted()
        rows = self._read(X, sample_weight)
        images, log_det = self._images(bijection(self.transformer_), rows)
        mean_log_det = weighted_total(log_det, rows.weights) / rows.total_weight
        if rows.index is None:
            return images, rows.weights, mean_log_det
        return *all_rows(images, rows, sample_weight), mean_log_det

    @available_if(_is_invertible)
    def sample(self, n_samples: int = 1, random_state: Any = None, *, rng: Any = None) -> Any:
        """Draw rows: draws from the density, through the inverse of the transformer.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        random_state : int, RandomState, Generator or None, default=None
            A number gives the same rows every time.
        rng : int, Generator or None, default=None
            Another name of ``random_state``, as in numpy and scipy; a number seeds `numpy.random.default_rng`.

        Returns
        -------
        ndarray of shape (n_samples, d)
            Draws; those that no row is mapped to are drawn again.
        """
        return super().sample(n_samples, random_state, rng=rng)

    def _draw(self, n_samples: int, generator: np.random.Generator) -> Floats:
        from fastkl.density.bijections.composed import inverse_where_finite

        mapped = bijection(self.transformer_)
        found, missing, tried = [], n_samples, 0
        while missing:
            if tried > _MOST_REDRAWN * (n_samples + 100):
                raise ValueError(
                    f"Hardly a draw of {self.density_!r} is the image of a row under {self.transformer_!r}: the density gives "
                    "nearly all its mass to values that the transformer never takes."
                )
            drawn = draw(self.density_, max(missing, 100) if tried else missing, generator)
            rows = inverse_where_finite(mapped, np.asarray(drawn, dtype=np.float64))
            rows = rows[np.isfinite(rows).all(axis=1)][:missing]
            found.append(rows)
            missing, tried = missing - len(rows), tried + len(drawn)
        return np.concatenate(found)

    # -- what was learnt ---------------------------------------------------------------------------------------------------

    @property
    def params_(self) -> Params:
        """The parameters of the density of the transformed rows."""
        self._check_fitted()
        return self.density_.params_

    @property
    def inference_(self) -> TransformedInference:
        """The uncertainty of the parameters, as an object of the fit: what the members for it ask."""
        self._check_fitted()
        return TransformedInference(
            self.density_.inference_, lambda X, weights: self._mapped(X, weights)[:2], self._free_parameters()[0]
        )

    @property
    def n_parameters_(self) -> int:
        """Number of parameters that the fit estimates: the density's, and the transformer's that the density does not absorb."""
        self._check_fitted()
        own, _ = self._free_parameters()
        return n_parameters_of(self.density_) + own

    def _free_parameters(self) -> tuple[int, AffineMaps]:
        return bijection(self.transformer_).free_parameters(affine_invariances(self.density_), self.n_features_in_)

    def _affine_invariances(self) -> AffineMaps:
        return self._free_parameters()[1]
