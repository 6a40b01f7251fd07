"""``DensityOutlierDetector``: a row is an outlier where the density is lower than nearly anywhere its distribution has mass."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2, f
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from fastkl._core.array_types import Floats
from fastkl.density.base import BaseDensity
from fastkl.density.callbacks import CallbackSupportMixin, hears_callbacks
from fastkl.density.composed.base import check_density, draw, fit_part
from fastkl.density.files.persistence import save_density
from fastkl.density.files.registry import register_density
from fastkl.density.parametric.mle import DensityMLE
from fastkl.density.refits import named_draws, named_rows
from fastkl.density.validation import as_generator, of_positive_weight, read_rows, unchanged_on_error
from fastkl.divergence.models.draws import refuse_other_sums
from fastkl.divergence.models.model import Model
from fastkl.exceptions import MissingValueError
from fastkl.rows.checks import raise_if_not_finite
from fastkl.rows.reading import look
from fastkl.rows.weights import read_weights


class DensityOutlierDetector(CallbackSupportMixin, OutlierMixin, BaseEstimator):
    r"""Outliers by the log-density: rows with :math:`\log p_\theta(x)` below a threshold.

    The region of all other rows is the smallest one of its probability (the highest-density region).

    Parameters
    ----------
    density : density, default=None
        What is fitted to the rows, such as ``DensityMLE("gamma")``, a mixture or a product; None is
        ``DensityMLE(prior="default")``, a multivariate normal distribution, for which this is a test of the Mahalanobis distance.
    contamination : float or "auto", default=0.1
        A number is the share of the fitted rows that lie below the threshold, as elsewhere in scikit-learn. ``"auto"`` takes the
        threshold from the fitted distribution itself, below which a row *of that distribution* lies with probability ``level``;
        how many of the fitted rows do is then what the data say, and may be none.
    level : float, default=0.001
        That probability.
    n_draws : int, default=100_000
        Draws that give the threshold for ``"auto"`` where there is no closed form; the relative error of the level is
        1 / sqrt(level n_draws).
    random_state : int, RandomState, Generator or None, default=0
        For these draws.

    Attributes
    ----------
    density_ : density
        Fitted to all rows.
    offset_ : float
        The threshold, in nats.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Column names, where the rows came as a table with names.

    Notes
    -----
    For normal distributions the log-density is a constant less half of a chi-squared variable, for a multivariate t distribution
    a function of one with an F distribution: thresholds are exact. The fit is that of all rows, outliers among them: where there
    are many, or far ones, choose a family with heavy tails such as ``"multivariate_t"``, which they move less.

    A fit of few rows is denser at them than at new ones, of which more than ``contamination`` then lie below the threshold. Of
    kernel densities, whose rows each have a kernel of their own, these are many more: of new normal rows, beside 200 fitted ones
    and a share of 0.1, about 13 % in two columns and 60 % in five; a normal distribution gives 12 % there.

    References
    ----------
    R. J. Hyndman, "Computing and graphing highest density regions", The American Statistician 50, 1996, doi:10.2307/2684423.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE, DensityOutlierDetector
    >>> X = np.random.default_rng(0).normal(size=(500, 2))
    >>> detector = DensityOutlierDetector(DensityMLE("multivariate_t"), contamination="auto").fit(X)
    >>> detector.predict([[0.0, 1.0], [5.0, -5.0]])
    array([ 1, -1])
    """

    def __init__(
        self,
        density: Any = None,
        *,
        contamination: str | float = 0.1,
        level: float = 0.001,
        n_draws: int = 100_000,
        random_state: Any = 0,
    ):
        self.density = density
        self.contamination = contamination
        self.level = level
        self.n_draws = n_draws
        self.random_state = random_state

    @hears_callbacks
    def fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the density, and find the threshold.

        Parameters
        ----------
        X : array-like or table of shape (n, d)
            Rows.
        y : None
            Ignored.
        sample_weight : array-like of shape (n,), default=None
            Weights of at least 0, for the density, and for the share that ``contamination`` is.

        Returns
        -------
        DensityOutlierDetector
            The estimator itself.

        Raises
        ------
        ValueError
            If ``contamination`` lies outside (0, 0.5], or ``level`` outside (0, 1).
        """
        share = self._share()
        with unchanged_on_error(self):
            density = DensityMLE(prior="default") if self.density is None else check_density(self.density, "density")
            _raise_if_incomplete(density, X, sample_weight, reset=True)
            fit_part(density, X, sample_weight, self)
            for name in ("n_features_in_", "feature_names_in_"):
                self.__dict__.pop(name, None)
                if hasattr(density, name):
                    setattr(self, name, getattr(density, name))
            self.density_ = density
            if share is None:
                refuse_other_sums(Model(density, "The density"), X)  # whose log-densities are not those of its draws
                self.offset_ = self._threshold_of_model()
            else:
                rows = look(X, "X")
                rows, weights = of_positive_weight(rows, read_weights(sample_weight, rows.shape[0], beside=X))
                self.offset_ = _quantile(np.asarray(density.score_samples(rows), dtype=np.float64), weights, share)
        return self

    def _share(self) -> float | None:
        """The contamination as a number, None for "auto"; ValueError for what is neither."""
        if not 0.0 < float(self.level) < 1.0:
            raise ValueError(f"level is a probability between 0 and 1, not {self.level!r}.")
        if isinstance(self.contamination, str):
            if self.contamination != "auto":
                raise ValueError(f"contamination is 'auto' or a number, not {self.contamination!r}.")
            return None
        share = float(self.contamination)
        if not 0.0 < share <= 0.5:
            raise ValueError(f"contamination is 'auto' or a share above 0 and up to 0.5, not {self.contamination!r}.")
        return share

    def _threshold_of_model(self) -> float:
        """The log-density below which a row of the distribution lies with probability ``level``."""
        density, level = self.density_, float(self.level)
        family, d = getattr(density, "family_", None), density.n_features_in_
        if isinstance(density, DensityMLE) and family is not None and family.gaussian:
            peak = _log_density_at(density, density.mean())
            return peak - 0.5 * float(chi2.isf(level, d))
        if isinstance(density, DensityMLE) and family is not None and family.name == "multivariate_t":
            df = float(density.params_["df"])
            peak = _log_density_at(density, density.params_["loc"])
            if np.isinf(df):
                return peak - 0.5 * float(chi2.isf(level, d))
            return peak - 0.5 * (df + d) * float(np.log1p(d * f.isf(level, d, df) / df))
        generator, n = as_generator(self.random_state), int(self.n_draws)
        draws = named_draws(density, n, generator) if isinstance(density, BaseDensity) else draw(density, n, generator)
        return float(np.quantile(np.asarray(density.score_samples(draws), dtype=np.float64), level))

    def score_samples(self, X: ArrayLike) -> Floats:
        """Log-density of every row.

        Parameters
        ----------
        X : array-like or table of shape (n, d)
            Rows.

        Returns
        -------
        ndarray of shape (n,)
            In nats; the lower, the more of an outlier, and -inf outside the support.
        """
        check_is_fitted(self, "density_")
        _raise_if_incomplete(self.density_, X)
        return np.asarray(self.density_.score_samples(X), dtype=np.float64)

    def decision_function(self, X: ArrayLike) -> Floats:
        """Log-density less the threshold: negative for outliers.

        Parameters
        ----------
        X : array-like or table of shape (n, d)
            Rows.

        Returns
        -------
        ndarray of shape (n,)
            In nats.
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """1 for rows like the others, -1 for outliers.

        Parameters
        ----------
        X : array-like or table of shape (n, d)
            Rows.

        Returns
        -------
        ndarray of shape (n,)
            Of 1 and -1.
        """
        return np.where(self.decision_function(X) < 0.0, -1, 1)

    def save(self, path: Any) -> None:
        """Write the fitted detector to one file that ``fastkl.load`` reads: its density and the threshold.

        Parameters
        ----------
        path : str or path-like
            The file, written whole or not at all.

        Raises
        ------
        TypeError
            If the density, or a part of it, is of a type that ``load`` could not build.
        """
        check_is_fitted(self, "density_")
        save_density(self, path)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        try:
            inner = get_tags(self.density if self.density is not None else DensityMLE()).input_tags
        except (AttributeError, TypeError, ValueError):
            return tags  # a wrong density is an error of fit, not of a question about tags
        # but no missing values: rows are compared by all they hold
        for name in ("string", "categorical", "positive_only"):
            setattr(tags.input_tags, name, getattr(inner, name))
        return tags


def _log_density_at(density: DensityMLE, point: Floats) -> float:
    return float(density.score_samples(named_rows(density, point[np.newaxis]))[0])


def _raise_if_incomplete(density: Any, X: ArrayLike, weights: ArrayLike | None = None, *, reset: bool = False) -> None:
    """MissingValueError for NaN where the density itself takes it: what is known of a row has another density than a row."""
    if not get_tags(density).input_tags.allow_nan:
        return
    try:
        raise_if_not_finite(read_rows(density, X, weights, reset=reset))
    except MissingValueError as error:
        raise MissingValueError(
            f"{str(error).split('. ')[0]}. Densities of complete rows are compared: remove the row, or impute it before."
        ) from None


def _quantile(scores: Floats, weights: Floats | None, share: float) -> float:
    """The lowest score such that no more than that share of the weight lies below it; a row of weight k is k rows."""
    order = np.argsort(scores, kind="stable")
    below = np.cumsum(np.ones(len(scores)) if weights is None else weights[order])
    place = int(np.searchsorted(below, share * below[-1] * (1.0 + 1e-12), side="right"))
    return float(scores[order][min(place, len(scores) - 1)])


def _check_stored(detector: DensityOutlierDetector) -> None:
    """ValueError unless the density has as many columns as the detector, and the threshold is a number."""
    d = detector.density_.n_features_in_
    if d != detector.n_features_in_:
        raise ValueError(f"the density has {d} columns, n_features_in_ is {detector.n_features_in_}")
    if type(detector.offset_) is not float or np.isnan(detector.offset_):
        raise ValueError(f"offset_ is {detector.offset_!r}")


register_density(DensityOutlierDetector, _check_stored)
