"""What only a mixture has: the posterior distribution of the component that a row is from, and what follows from it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp, xlogy
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin

from fastkl._core.array_types import Floats
from fastkl._core.rows import Rows
from fastkl._core.wording import capital
from fastkl.density.chosen_table import ChosenTable, as_chosen_table
from fastkl.density.parametric.base import FamilyDensity
from fastkl.density.parametric.incomplete import ImputingMembers
from fastkl.density.parametric.inference import FitInference
from fastkl.density.validation import as_generator, whole_number
from fastkl.divergence.options import one_seed
from fastkl.exceptions import SupportError
from fastkl.families.incomplete import completed
from fastkl.families.mixture.expectation import where_outside
from fastkl.rows.tables import rows_as


# scikit-learn gives out tables by set_output from a transform that a class of its mixin defines itself
class PosteriorMembers(ImputingMembers, ClassNamePrefixFeaturesOutMixin, TransformerMixin, FamilyDensity):
    """Members of a fitted mixture about the components of rows."""

    family_: Any

    @property
    def inference_(self) -> FitInference:
        """The uncertainty of the parameters, where the fit formed the observed information."""
        self._check_fitted()
        if "curvature" not in getattr(self, "statistics_", {"curvature": None}):
            raise AttributeError(
                "The fit did not form the observed information, which takes some passes over the rows for each parameter: fit "
                "with standard_errors=True."
            )
        return super().inference_

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Posterior probability of every component given a row."""
        raise NotImplementedError

    def predict(self, X: ArrayLike) -> NDArray[np.intp]:
        """The most probable component of every row."""
        raise NotImplementedError

    def _posterior(self, rows: Rows) -> Floats:
        shares: Floats = self._of_any_rows(lambda rows: self.family_.posterior(rows, self.params_), rows)
        if np.isnan(shares.sum()):
            row = int(np.argmax(np.isnan(shares).any(axis=1)))
            raise SupportError(
                f"{capital(rows.row(row))} {where_outside(rows.X[row])}: it can't be assigned to a component."
            )
        return shares

    def fit_predict(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> NDArray[np.intp]:
        """Fit the mixture, and give the most probable component of every row.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows.
        y : None
            Ignored.
        sample_weight : array-like of shape (n,), default=None
            Weights of at least 0.

        Returns
        -------
        ndarray of shape (n,)
            Numbers from 0 to K - 1.
        """
        return self.fit(X, y, sample_weight=sample_weight).predict(X)

    set_output = ChosenTable.set_output  # the same switch as scikit-learn's, which also says what is drawn

    def transform(self, X: ArrayLike) -> Floats:
        """The responsibilities as columns: ``predict_proba``, for a ``Pipeline``.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows.

        Returns
        -------
        ndarray of shape (n, K)
            Rows sum to 1.
        """
        return self.predict_proba(X)

    @property
    def _n_features_out(self) -> int:  # what scikit-learn's mixin of names asks for
        return self.family_.layout.size

    @as_chosen_table
    def sample(
        self, n_samples: int = 1, random_state: Any = None, *, return_components: bool = False, rng: Any = None
    ) -> Any:
        """Draw rows from the mixture.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        random_state : int, RandomState, Generator or None, default=None
            A number gives the same rows every time.
        rng : int, Generator or None, default=None
            Another name of ``random_state``, as in numpy and scipy; a number seeds `numpy.random.default_rng`.
        return_components : bool, default=False
            Whether to return the component that each row is from as well.

        Returns
        -------
        ndarray of shape (n_samples, d) or DataFrame, or a pair of it and an array of shape (n_samples,)
            Draws. A mixture of products that was fitted to a pandas DataFrame draws one with its names and dtypes.
        """
        random_state = one_seed(random_state, rng)
        self._check_fitted()
        n_samples = whole_number(n_samples, "n_samples")
        drawn, which = self.family_.sample_with_components(self.params_, n_samples, as_generator(random_state))
        if getattr(self, "dtypes_", None) is not None:
            columns = [np.array(column.tolist()) for column in drawn.T]
            drawn = rows_as(self.dtypes_, columns, getattr(self, "feature_names_in_", None))
        return (drawn, which) if return_components else drawn

    def _imputed(self, rows: Rows, generator: np.random.Generator | None) -> Floats:
        """Averages of the components' conditional means by the posterior, or draws from a component drawn by it."""
        mixture, shares = self.family_, self._posterior(rows)
        components = zip(mixture.component_families, mixture.split(self.params_), strict=True)
        moments = [family.moments(params) for family, params in components]
        if generator is None:
            parts = zip(shares.T, moments, strict=True)
            found = [share[:, None] * completed(rows.X, mean, spread) for share, (mean, spread) in parts]
            return np.where(np.isnan(rows.X), np.sum(found, axis=0), rows.X)
        steps = np.cumsum(shares, axis=1)
        chosen = np.sum(generator.random(len(shares))[:, None] * steps[:, -1:] > steps, axis=1)
        out = np.empty(rows.X.shape)
        for k, (mean, spread) in enumerate(moments):
            if np.any(chosen == k):
                out[chosen == k] = completed(rows.X[chosen == k], mean, spread, generator)
        return out

    # -- two layers of likelihood ------------------------------------------------------------------------------------------

    def elbo(self, X: ArrayLike, responsibilities: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        r"""Evidence lower bound of the rows under any responsibilities.

        .. math:: \sum_i w_i \sum_k r_{ik} \left( \log \pi_k p_k(x_i) - \log r_{ik} \right)

        The log-likelihood is this plus ``posterior_divergence``, whatever the responsibilities; they are equal at the
        posterior, to which the first half of an EM map sets them.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows.
        responsibilities : array-like of shape (n, K)
            Probabilities of the components, a row of X in each row.
        sample_weight : array-like of shape (n,), default=None
            Weights of at least 0.

        Returns
        -------
        float
            Nats; at most ``log_likelihood(X, sample_weight)``.
        """
        rows, r = self._with_responsibilities(X, responsibilities, sample_weight)
        logs: Floats = self.family_.joint_log_density(rows, self.params_)
        with np.errstate(invalid="ignore"):
            terms = np.where(r > 0.0, r * logs, 0.0) - xlogy(r, r)
        return weighted(terms.sum(axis=1), rows)

    def posterior_divergence(
        self, X: ArrayLike, responsibilities: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        r"""Divergence of responsibilities from the posterior, summed over the rows: log-likelihood less ``elbo``.

        .. math:: \sum_i w_i \, \mathrm{KL}\left( r_i \,\|\, p(z \mid x_i) \right)

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows.
        responsibilities : array-like of shape (n, K)
            Probabilities of the components, a row of X in each row.
        sample_weight : array-like of shape (n,), default=None
            Weights of at least 0.

        Returns
        -------
        float
            Nats, at least 0.
        """
        rows, r = self._with_responsibilities(X, responsibilities, sample_weight)
        posterior = self._posterior(rows)
        logs: Floats = self.family_.joint_log_density(rows, self.params_)
        logs -= logsumexp(logs, axis=1, keepdims=True)  # of posteriors, also where these underflow
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(posterior > np.finfo(np.float64).tiny, np.log(r / posterior), np.log(r) - logs)
            terms = np.where(r > 0.0, r * ratio - r + posterior, posterior)
        return weighted(terms.sum(axis=1), rows)

    def _with_responsibilities(
        self, X: ArrayLike, given: ArrayLike, sample_weight: ArrayLike | None
    ) -> tuple[Rows, Floats]:
        rows, r = self._read_marked(X, sample_weight), np.asarray(given, dtype=np.float64)
        if rows.index is not None and len(r) != len(rows.X):
            r = r[rows.index]  # rows of weight 0 were left out
        if r.shape != (len(rows.X), self.family_.layout.size):
            raise ValueError(
                f"responsibilities has shape {r.shape}, not {(len(rows.X), self.family_.layout.size)} for these rows."
            )
        if not np.all(r >= 0.0) or np.any(np.abs(r.sum(axis=1) - 1.0) > 1e-9):
            raise ValueError("responsibilities are probabilities: at least 0, and each row sums to 1.")
        return rows, r


def weighted(values: Floats, rows: Rows) -> float:
    return float(np.sum(values) if rows.weights is None else values @ rows.weights)
