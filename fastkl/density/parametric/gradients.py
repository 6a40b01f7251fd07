"""The slope of the mean log-likelihood by the parameters of a density of one family, alone or with the value."""

import numpy as np
from numpy.typing import ArrayLike

from fastkl._core.array_types import Params
from fastkl.density.validation import raise_if_not_finite, read_rows, require_finite
from fastkl.families.base import Family


class GradientMixin:
    """Members of a density of one family that optimisers and samplers call."""

    family_: Family
    params_: Params

    def _check_fitted(self) -> None:
        raise NotImplementedError

    def gradient(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> Params:
        """Gradient of the weighted mean log-likelihood with respect to the parameters.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows, all inside the support.
        sample_weight : array-like of shape (n,), default=None
            Weights of at least 0.

        Returns
        -------
        dict of arrays
            Shaped like ``params_``. For a matrix it is the symmetric matrix whose inner product with a symmetric step is
            the slope; for probabilities it is taken along the simplex.

        Raises
        ------
        SupportError
            If a value lies outside the family's support: the log-likelihood is -inf there and has no slope.
        """
        self._check_fitted()
        rows = read_rows(self, X, sample_weight, labels=self.family_.labels)
        with require_finite(rows):
            total = self.family_.gradient(rows, self.params_)
        if not all(np.isfinite(value).all() for value in total.values()):
            raise_if_not_finite(rows)
        return {name: value / rows.total_weight for name, value in total.items()}

    def score_and_gradient(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> tuple[float, Params]:
        """Weighted mean log-likelihood with its gradient: ``score`` and ``gradient`` from one pass over the rows.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows, all inside the support.
        sample_weight : array-like of shape (n,), default=None
            Weights of at least 0.

        Returns
        -------
        score : float
            Nats per row. Times the sum of the weights it is ``log_likelihood``.
        gradient : dict of arrays
            Its derivatives by the parameters, shaped as those of ``gradient``.

        Raises
        ------
        SupportError
            If a value lies outside the family's support, where ``score`` alone is -inf. (Where an end of the support is itself a
            parameter, as for ``pareto``, a value beyond it is -inf here too.)

        Examples
        --------
        >>> from fastkl import DensityMLE
        >>> model = DensityMLE.from_parameters("exponential", scale=2.0)
        >>> score, gradient = model.score_and_gradient([[1.0], [5.0]])
        >>> round(score, 6), gradient["scale"]
        (-2.193147, array([0.25]))
        """
        self._check_fitted()
        rows = read_rows(self, X, sample_weight, labels=self.family_.labels)
        with require_finite(rows):
            total, slopes = self.family_.log_likelihood_and_gradient(rows, self.params_)
        if not np.isfinite(total) or not all(np.isfinite(value).all() for value in slopes.values()):
            raise_if_not_finite(rows)
        weight = rows.total_weight
        return total / weight, {name: value / weight for name, value in slopes.items()}
