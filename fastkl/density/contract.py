"""What a density gives, on one page: the members that each kind writes for itself. Everything else follows from them.

``batches`` (sources of rows), ``inference`` (how sure the parameters are) and ``base`` (criteria, divergences, files) add the
members that follow, the same for all kinds.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from importlib import metadata
from types import SimpleNamespace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils.validation import check_is_fitted

from fastkl._core.alignment import aligned
from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import Rows
from fastkl.density.callbacks import CallbackSupportMixin
from fastkl.density.chosen_table import ChosenTable
from fastkl.rows import Source


@cache
def documentation_address() -> str:
    """Where the documentation is, from the one place that says it: the addresses of the installed project; "" for none."""
    try:
        addresses = metadata.metadata("fastkl").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:
        return ""
    found = (address.split(", ", 1)[1] for address in addresses if address.startswith("Documentation, "))
    return next(found, "").rstrip("/")


def learns_from_blocks(density: Density) -> bool:
    """Whether a density has ``fit_batches``; AttributeError that says why if it has none."""
    if not density._learns_from_blocks():
        raise AttributeError(density._why_no_blocks())
    return True


class Density(ChosenTable, CallbackSupportMixin, DensityMixin, BaseEstimator):
    """The members that every kind of density writes for itself."""

    n_features_in_: int

    # scikit-learn's link from an estimator in a notebook to its documentation
    _doc_link_module = "fastkl"

    # Whether ``partial_fit``, where there is one, gives what ``fit`` of all rows gives, so that densities made of this one
    # have it too; False for an approximation.
    _partial_fit_is_fit: ClassVar[bool] = True

    # properties that cost next to nothing, which a notebook shows beside the attributes that are stored
    _cheap_properties: ClassVar[tuple[str, ...]] = ("n_parameters_",)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(aligned(state))  # arrays that came from another process need not be

    # -- needed ------------------------------------------------------------------------------------------------------------

    def fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Learn the density from rows."""
        raise NotImplementedError

    def score_samples(self, X: ArrayLike) -> Floats:
        """Log-density of every row."""
        raise NotImplementedError

    def _scored(self, X: ArrayLike, sample_weight: ArrayLike | None) -> tuple[float, float]:
        """Weighted total log-likelihood and the sum of the weights."""
        raise NotImplementedError

    def _draw(self, n_samples: int, generator: np.random.Generator) -> Any:
        """Rows: an array, or a table of the kind that was fitted."""
        raise NotImplementedError

    def _by_column(self) -> bool:
        """Whether every column has a distribution function of its own: ``cdf`` and ``sf`` in the shape of the rows."""
        return False

    # -- of a density with parameters --------------------------------------------------------------------------------------

    @property
    def n_parameters_(self) -> int:
        """Number of parameters that the fit estimated."""
        raise AttributeError(f"{type(self).__name__} has no parameters to count.")

    @property
    def inference_(self) -> Any:
        """What is known of the uncertainty of the parameters: an ``inference.Inference``."""
        raise AttributeError(f"{type(self).__name__} has no parameters with standard errors.")

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
            If a value lies outside the support: the log-likelihood is -inf there and has no slope.
        """
        raise AttributeError(f"{type(self).__name__} has no parameters to differentiate by.")

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
            If a value lies outside the support, where ``score`` alone is -inf. (Where an end of the support is itself a
            parameter, as for ``pareto``, a value beyond it is -inf here too.)

        Examples
        --------
        >>> from fastkl import DensityMLE
        >>> model = DensityMLE.from_parameters("exponential", scale=2.0)
        >>> score, gradient = model.score_and_gradient([[1.0], [5.0]])
        >>> round(score, 6), gradient["scale"]
        (-2.193147, array([0.25]))
        """
        raise AttributeError(f"{type(self).__name__} has no parameters to differentiate by.")

    # -- of rows that are not in memory ------------------------------------------------------------------------------------

    def _takes_labels(self) -> bool:
        """Whether values may be labels, to be left as they are."""
        return False

    def _threads(self) -> int:
        """Blocks worked on at the same time: one, where scoring a block may itself take threads."""
        return 1

    def _log_density_of(self, rows: Rows) -> Floats:
        """Log-density of validated rows, an array of its own."""
        raise NotImplementedError

    def _learns_from_blocks(self) -> bool:
        """Whether there is a ``fit_batches``."""
        return hasattr(self, "partial_fit")

    def _why_no_blocks(self) -> str:
        """Why there is none, and what to do."""
        return f"{type(self).__name__} has no partial_fit, by which it would learn block by block. Take fit."

    def _raise_if_read_once(self, source: Source) -> None:
        """SourceError if a fit needs more than one pass and only one is possible."""

    def _fit_blocks(self, rows: Any) -> None:
        """Learn from all blocks of streamed rows, from nothing."""
        raise NotImplementedError

    # -- what the others lean on -------------------------------------------------------------------------------------------

    def _check_fitted(self) -> None:
        check_is_fitted(self, msg="%(name)s is not fitted yet: call fit.")

    def _column_names(self) -> Any:
        """Names of the columns of the table that was fitted; None where it had none."""
        return getattr(self, "feature_names_in_", None)

    def _forget_fit(self, but: Collection[str] = ()) -> None:
        """Drop all that was learnt, but for the attributes of these names."""
        for name in [name for name in vars(self) if name.endswith("_") and not name.startswith("_")]:
            if name not in but:
                delattr(self, name)

    def _get_fitted_attr_html(self, doc_link: str = "") -> Any:
        """scikit-learn's table of learnt attributes for a notebook: what is stored, and the properties that cost nothing.

        scikit-learn asks for every attribute that ends in ``_``; a covariance of all parameters, say, would be computed.
        """
        shown = {name: value for name, value in vars(self).items() if name.endswith("_")}
        absent = object()
        shown |= {
            name: value for name in self._cheap_properties if (value := getattr(self, name, absent)) is not absent
        }
        table = BaseEstimator._get_fitted_attr_html(SimpleNamespace(**shown), doc_link)
        table.estimator_class = type(self)
        return table

    @property
    def _doc_link_template(self) -> str:
        return f"{address}/api/fastkl.{type(self).__name__}.html" if (address := documentation_address()) else ""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.estimator_type = "density_estimator"
        return tags
