"""The divergence as a scikit-learn estimator: fit keeps the reference sample and its tree, later calls only search in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils import Tags, check_array
from sklearn.utils.validation import check_is_fitted, validate_data

from fastkl._core.other_keywords import knows_other_keywords
from fastkl.divergence.arguments import (
    FloatArray,
    Sample,
    refuse_labels,
    refuse_merged,
    resolve_neighbors,
    same_columns,
    weighted_sample,
)
from fastkl.divergence.column_words import by_names, errors_by_names, estimate_by_names, text_names
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.matching import given_names
from fastkl.divergence.models.model import is_model
from fastkl.divergence.nearest.atoms import LackingAtoms
from fastkl.divergence.nearest.coordinates import centre_and_spread
from fastkl.divergence.nearest.local_terms import Method, local_terms
from fastkl.divergence.nearest.neighbors import SamplePair
from fastkl.divergence.nearest.samples import (
    check_method,
    default_neighbors,
    divergence_neighbors,
    pair_divergence,
    sample_divergence,
)
from fastkl.divergence.options import Options
from fastkl.rows.reading import first_non_number_of, look, refuse_not_finite
from fastkl.rows.tables import column_names
from fastkl.rows.weights import read_weights


class KLDivergence(BaseEstimator):
    """Kullback-Leibler divergence of samples from a reference sample.

    ``fit(Q)`` keeps the reference, ``estimate(P)`` gives KL(P || Q).

    Parameters
    ----------
    method : {"common_radius", "knn", "bias_reduced"}, default="common_radius"
        As in `kl_divergence`.
    coordinates : {"auto", "scaled"} or None, default="auto"
        Coordinates in which rows are compared: "auto" is "scaled", columns divided by their quartile range in the reference, so
        that units do not matter; None takes them as they are.
    n_neighbors : int, default=None
        Number of neighbours; by default 5 (1 for "bias_reduced"), or fewer in tiny samples.
    n_jobs : int or None, default=None
        Threads; None means all cores the process may use.

    Attributes
    ----------
    reference_ : ndarray of shape (m, d)
        The reference sample, rows of weight 0 left out.
    reference_weight_ : ndarray of shape (m,) or None
        Its weights; None when they are all equal.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Names of the columns, if fitted on a data frame.

    See Also
    --------
    kl_divergence : The same as one call, for models too.

    References
    ----------
    Wang, Q., Kulkarni, S. R. and Verdú, S. (2009), doi:10.1109/TIT.2009.2016060.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl.divergence import KLDivergence
    >>> rng = np.random.default_rng(0)
    >>> divergence = KLDivergence().fit(rng.normal(0, 1, (1000, 2)))
    >>> estimate = divergence.estimate(rng.normal(1, 1, (1000, 2)))
    >>> abs(estimate - 1.0) < 0.2
    True
    """

    @knows_other_keywords
    def __init__(
        self,
        method: str = "common_radius",
        *,
        coordinates: str | None = "auto",
        n_neighbors: int | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.method = method
        self.coordinates = coordinates
        self.n_neighbors = n_neighbors
        self.n_jobs = n_jobs

    def fit(self, Q: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Keep the reference sample and build its tree.

        Parameters
        ----------
        Q : array-like of shape (m, d)
            The reference sample; it is copied.
        y : None
            Not used.
        sample_weight : array-like of shape (m,), default=None
            Masses of the rows; only ratios matter.

        Returns
        -------
        KLDivergence
            The estimator itself.

        Raises
        ------
        ValueError
            Values that are missing or labels, wrong weights, more neighbours than rows.
        """
        method = check_method(self.method)
        if self.coordinates not in ("auto", "scaled", None):
            raise ValueError(f"coordinates={self.coordinates!r} is unknown; expected 'auto', 'scaled' or None.")
        # All checks come before the first attribute, so that a failed fit changes nothing.
        Q, X = self._read(Q, "Q")
        if X is Q or not X.flags.owndata:
            X = X.copy()  # the caller's array may change; what is kept is what is searched, here and once loaded
        sample = weighted_sample(X, read_weights(sample_weight, len(X), beside=Q), self.n_jobs)
        resolve_neighbors(self.n_neighbors, None, sample.n_rows, default=default_neighbors(method))
        placed = self._placed(sample, text_names(Q))
        validate_data(self, Q, skip_check_array=True)
        self._keep(sample, *placed)
        return self

    def estimate(self, P: ArrayLike, sample_weight: ArrayLike | None = None) -> Estimate:
        """Estimate KL(P || Q) with its standard error and diagnostics.

        Parameters
        ----------
        P : array-like of shape (n, d)
            A sample.
        sample_weight : array-like of shape (n,), default=None
            Masses of the rows; only ratios matter.

        Returns
        -------
        Estimate
            In nats; never clamped.

        Raises
        ------
        DegenerateDataError
            Zero distances with "knn" or "bias_reduced".
        ValueError
            As in `fit`, and one row, or other columns than those of the reference.

        Warns
        -----
        SharedRowsWarning
            P and the reference share rows.
        """
        pair, names = self._pair(P, sample_weight), self._names()
        with errors_by_names(names):
            return estimate_by_names(pair_divergence(pair, Options(self.method, self.n_neighbors)), names)

    def score(self, P: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """Minus the divergence: greater is nearer to the reference.

        Parameters
        ----------
        P : array-like of shape (n, d)
            A sample.
        y : None
            Not used.
        sample_weight : array-like of shape (n,), default=None
            Masses of the rows.

        Returns
        -------
        float
            -KL(P || Q) in nats.
        """
        pair, method, k = self._searched(P, sample_weight)
        return -float(sample_divergence(pair, method, k, standard_error=False).estimate)

    def score_samples(self, P: ArrayLike) -> FloatArray:
        """Local terms: an estimate of log p/q at each row of P, whose mean is the divergence.

        The density p is that of the sample P, so a row's term depends on the other rows of P.

        Parameters
        ----------
        P : array-like of shape (n, d)
            A sample of at least two rows.

        Returns
        -------
        ndarray of shape (n,)
            In nats; +inf at atoms of P that the reference lacks.
        """
        pair, method, k = self._searched(P, None)
        slab = pair.whole()
        terms = local_terms(slab, method, k).log_ratio
        return pair.by_row(np.where(LackingAtoms(pair.p, pair.q).among(slab, k), np.inf, terms))

    def _read(self, data: ArrayLike, name: str) -> tuple[Any, FloatArray]:
        """The data once looked at, and their numbers; errors name the place of what is none."""
        if is_model(data):
            raise TypeError(f"{name} is a model; a sample is expected. Use fastkl.kl_divergence for models.")
        data = look(data, name)
        refuse_labels(data, name)
        given_names(data, name)  # which refuses one that is given twice
        try:
            X = check_array(
                data,
                dtype=(np.float64, np.float32),
                order="C",
                ensure_all_finite=False,
                estimator=self,
                input_name=name,
            )
        except (TypeError, ValueError) as error:
            found = first_non_number_of(data)
            if found is None:
                raise
            row, column, value = found
            raise type(error)(
                f"{name} holds {value!r} in row {row}, {column}, which is not a number. ({error})"
            ) from error
        refuse_not_finite(X, name, column_names(data))
        refuse_merged(data, name)
        return data, X

    def _names(self) -> list[str]:
        """The names of the columns, if there are any."""
        return list(getattr(self, "feature_names_in_", ()))

    def _placed(self, sample: Sample, names: Sequence[str]) -> tuple[FloatArray, FloatArray, Sample]:
        """Middle and spread of the columns, and the sample in these coordinates with its tree."""
        if self.coordinates is None:
            middle, spread = np.zeros(sample.n_columns), np.ones(sample.n_columns)
        else:
            with np.errstate(over="ignore", invalid="ignore"):
                middle, spread = centre_and_spread(sample.X.astype(np.float64))
        with np.errstate(over="ignore", invalid="ignore"):
            inside = self._in_coordinates(sample, middle, spread)
        if not np.isfinite(inside.X).all():
            column = int(np.argmin(np.isfinite(inside.X).all(axis=0)))
            said = by_names(f"Column {column} of Q holds values that overflow in units of its spread.", names)
            raise ValueError(f"{said} Rescale it, remove the largest values, or choose coordinates=None.")
        _ = inside.index
        return middle, spread, inside

    def _keep(self, sample: Sample, middle: FloatArray, spread: FloatArray, inside: Sample) -> None:
        """Store the reference as arrays, and the sample whose tree was built."""
        self.reference_, self.reference_weight_ = sample.X, sample.weights
        self._middle, self._spread, self._sample = middle, spread, inside

    def _in_coordinates(self, sample: Sample, middle: FloatArray, spread: FloatArray) -> Sample:
        if self.coordinates is None:
            return sample
        return Sample(np.ascontiguousarray((sample.X - middle) / spread), sample.weights, sample.n_jobs)

    def _pair(self, P: ArrayLike, sample_weight: ArrayLike | None) -> SamplePair:
        """P with the reference."""
        check_is_fitted(self)
        P, X = self._read(P, "P")
        validate_data(self, P, reset=False, skip_check_array=True)
        sample = weighted_sample(X, read_weights(sample_weight, len(X), beside=P), self.n_jobs)
        sample = self._in_coordinates(sample, self._middle, self._spread)
        return SamplePair(*same_columns(sample, self._sample, ("P", "Q")))

    def _searched(self, P: ArrayLike, sample_weight: ArrayLike | None) -> tuple[SamplePair, Method, int]:
        """P with the reference, the method, and the number of neighbours."""
        pair, method = self._pair(P, sample_weight), check_method(self.method)
        return pair, method, divergence_neighbors(pair, method, self.n_neighbors)

    def __getstate__(self) -> dict[str, Any]:
        # The tree is rebuilt from the rows; what is stored is arrays and parameters only.
        state: dict[str, Any] = dict(super().__getstate__())
        for name in ("_sample", "_middle", "_spread"):
            state.pop(name, None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "reference_" in state:
            sample = Sample(self.reference_, self.reference_weight_, self.n_jobs)
            self._keep(sample, *self._placed(sample, self._names()))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.estimator_type = "density_estimator"
        # A local term depends on the whole sample, so terms of single rows cannot be those of the sample; this tag is
        # how scikit-learn knows not to compare them.
        tags.non_deterministic = True
        return tags
