"""``ProductDensity``: independent groups of columns, each with a density of its own, for tables of mixed type."""

import copy
from contextlib import AbstractContextManager
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import validate_data

from fastkl._core.array_types import Floats
from fastkl.density.bijections.base import AffineMaps
from fastkl.density.columns import column_numbers
from fastkl.density.composed.affine import affine_invariances
from fastkl.density.composed.base import (
    cross_entropy_of_scores,
    draw,
    fit_part,
    is_discrete,
    n_parameters_of,
    weighted_total,
)
from fastkl.density.composed.groups import Group, NamedGroups, check_groups, in_group, unfitted_groups
from fastkl.density.composed.product_inference import ProductInference
from fastkl.density.tables import columns_of, is_table, rows_as, table_kind
from fastkl.density.validation import as_generator, read_array, read_weights, unchanged_on_error
from fastkl.divergence import Estimate


def _every_group_has(method: str) -> Any:
    def has(product: "ProductDensity") -> bool:
        return all(hasattr(density, method) for _, density, _ in product.groups)

    return available_if(has)


class ProductDensity(NamedGroups, ProductInference):
    r"""Density of rows whose groups of columns are independent, each group with a density of its own.

    .. math:: \log p(x) = \sum_g \log p_g(x_{[g]}).

    The columns may be of different kinds: numbers, counts, labels, angles. Where some groups are discrete, the log-density is
    taken with respect to the product of length (of the continuous columns) and counting (of the discrete ones): the
    probability of the discrete values times the density of the others.

    Parameters
    ----------
    groups : list of (str, density, columns)
        Name, density and columns of each group. Columns are given as to ``ColumnTransformer``: names, numbers, a slice, a
        mask or a callable such as ``make_column_selector``. Every column of the table has to be in exactly one group.

    Attributes
    ----------
    groups_ : list of (str, density, list of int)
        The fitted densities with the numbers of their columns.
    densities_ : dict of densities
        The fitted densities by the names of their groups.
    params_, standard_errors_, robust_standard_errors_ : dict of dicts
        The parameters of each group and their standard errors, where its density has them.
    log_likelihood_ : float
        Weighted log-likelihood of the fitted rows, in nats.
    discrete_ : bool
        Whether all groups are discrete.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Column names, where the rows came as a table with names.

    See Also
    --------
    make_product_density : Proposes groups from the columns of a table.

    Notes
    -----
    The divergence of two products with the same groups is the sum of the divergences of the groups, and so is the entropy:
    ``kl_divergence(p, q)`` is exact where the closed form of every group is known.

    The parameters of a group are set as ``name__parameter``, as in ``GridSearchCV(model, {"height__family": [...]})``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE, ProductDensity
    >>> rng = np.random.default_rng(0)
    >>> X = np.column_stack([rng.normal(size=500), rng.poisson(3.0, size=500)])
    >>> model = ProductDensity([("height", DensityMLE("normal"), [0]), ("visits", DensityMLE("poisson"), [1])]).fit(X)
    >>> model.params_["visits"]["rate"].round(2)
    array([2.92])
    >>> model.n_parameters_
    3
    """

    def __init__(self, groups: Any):
        self.groups = groups

    # -- learning ----------------------------------------------------------------------------------------------------------

    def fit(self, X: Any, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the density of each group to its columns.

        Parameters
        ----------
        X : array-like or table of shape (n, d)
            Rows; columns may be numbers or labels, as their densities ask for.
        y : None
            Ignored.
        sample_weight : array-like of shape (n,), default=None
            Weights of at least 0.

        Returns
        -------
        ProductDensity
            The estimator itself.

        Raises
        ------
        SupportError
            If a value lies outside the support of its family.
        DegenerateDataError
            If the likelihood of a group has no maximum on these rows.
        ValueError
            If a column belongs to no group or to several, or does not exist.
        """
        with unchanged_on_error(self):
            table = self._read(X, reset=True)
            weights = read_weights(sample_weight, len(table))
            groups = self._unfitted_groups(X)
            for name, density, numbers in groups:
                with self._in_group(name, numbers):
                    fit_part(density, columns_of(table, numbers), weights)
            self._keep(groups, X)
            known = all(hasattr(density, "log_likelihood_") for _, density, _ in groups)
            self.log_likelihood_ = self._fitted_log_likelihood() if known else self._scored(X, weights)[0]
        return self

    @_every_group_has("partial_fit")
    def partial_fit(self, X: Any, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Add rows to those already seen: any chunking of the rows gives what ``fit`` on all of them gives.

        Parameters
        ----------
        X : array-like or table of shape (n, d)
            Further rows, one or more.
        y : None
            Ignored.
        sample_weight : array-like of shape (n,), default=None
            Weights of at least 0.

        Returns
        -------
        ProductDensity
            The estimator itself.
        """
        with unchanged_on_error(self):
            first = not hasattr(self, "groups_")
            table = self._read(X, reset=first)
            weights = read_weights(sample_weight, len(table))
            groups = self._unfitted_groups(X) if first else copy.deepcopy(self.groups_)
            for name, density, numbers in groups:
                with self._in_group(name, numbers):
                    density.partial_fit(columns_of(table, numbers), sample_weight=weights)
            if first:
                self._keep(groups, X)
            self._changed(groups)
        return self

    @_every_group_has("merge")
    def merge(self, other: "ProductDensity") -> Self:
        """Take over the rows another product with the same groups has seen, as if this one had seen them too.

        Parameters
        ----------
        other : ProductDensity
            Fitted to other rows; it is not changed.

        Returns
        -------
        ProductDensity
            The estimator itself, with the parameters of both sets of rows together.
        """
        if not isinstance(other, ProductDensity) or not hasattr(other, "groups_"):
            raise ValueError(f"merge takes a ProductDensity that has seen rows, not {other!r}.")
        if not hasattr(self, "groups_"):
            raise ValueError(
                "This ProductDensity has seen no rows yet; call fit or partial_fit first, or merge into the other."
            )
        mine, theirs = ([(name, numbers) for name, _, numbers in density.groups_] for density in (self, other))
        if mine != theirs:
            raise ValueError(
                f"Only products of the same groups can be merged: this one has {mine}, the other {theirs}."
            )
        with unchanged_on_error(self):
            groups = copy.deepcopy(self.groups_)
            for (name, density, numbers), (_, more, _) in zip(groups, other.groups_, strict=True):
                with self._in_group(name, numbers):
                    density.merge(more)
            self._changed(groups)
        return self

    def _keep(self, groups: list[Any], X: Any) -> None:
        self.groups_ = groups
        self.table_ = table_kind(X)

    def _changed(self, groups: list[Any]) -> None:
        self.groups_ = groups
        self.__dict__.pop("log_likelihood_", None)
        if all(hasattr(density, "log_likelihood_") for _, density, _ in groups):
            self.log_likelihood_ = self._fitted_log_likelihood()

    def _fitted_log_likelihood(self) -> float:
        return float(sum(density.log_likelihood_ for _, density, _ in self.groups_))

    def _read(self, X: Any, *, reset: bool = False) -> Any:
        """The rows: a table as it is, anything else as an array; number and names of the columns are learnt or compared."""
        if not is_table(X):
            return read_array(self, X, True, reset)
        validate_data(self, X, reset=reset, skip_check_array=True)
        if len(X) == 0:
            raise ValueError(
                f"Found array with 0 sample(s) (shape=(0, {self.n_features_in_})) while a minimum of 1 is required."
            )
        return X

    def _unfitted_groups(self, X: Any) -> list[Group]:
        check_groups(self.groups)
        self._validate_names([name for name, _, _ in self.groups])
        return unfitted_groups(self.groups, X, getattr(self, "feature_names_in_", None), self.n_features_in_)

    def _in_group(self, name: str, numbers: list[int]) -> AbstractContextManager[None]:
        """Errors of a part say in which group they arose; column names are compared by the product alone."""
        return in_group(name, numbers, getattr(self, "feature_names_in_", None))

    def _takes_labels(self) -> bool:
        """Whether blocks of a source are read with labels, as some groups need them."""
        check_groups(self.groups)
        return any(get_tags(density).input_tags.string for _, density, _ in self.groups)

    def _fit_streamed(self, rows: Any) -> None:
        """Learn from blocks, which are arrays: the columns that are meant follow from the names of the source."""
        groups, fresh = self.groups, clone(self)
        fresh.groups = [
            (name, density, column_numbers(columns, None, rows.names, rows.n_columns))
            for name, density, columns in fresh.groups
        ]
        for block in rows.blocks():
            fresh.partial_fit(block.X, sample_weight=block.weights)
        self.__dict__.clear()
        self.__dict__.update(vars(fresh))
        self.groups = groups

    # -- scoring -----------------------------------------------------------------------------------------------------------

    def _scored(self, X: Any, sample_weight: ArrayLike | None) -> tuple[float, float]:
        self._check_fitted()
        table = self._read(X)
        weights = read_weights(sample_weight, len(table))
        total = 0.0
        for name, density, numbers in self.groups_:
            part = columns_of(table, numbers)
            with self._in_group(name, numbers):
                if hasattr(density, "log_likelihood"):
                    total += float(density.log_likelihood(part, weights))
                else:
                    total += weighted_total(np.asarray(density.score_samples(part), dtype=np.float64), weights)
        return total, float(len(table)) if weights is None else float(weights.sum())

    def score_samples(self, X: Any) -> Floats:
        """Log-density of every row: the sum of those of its groups.

        Parameters
        ----------
        X : array-like or table of shape (n, d)
            Rows.

        Returns
        -------
        ndarray of shape (n,)
            In nats; -inf outside the support.
        """
        return self.group_scores(X).sum(axis=1)

    def group_scores(self, X: Any) -> Floats:
        """Log-density of every group of columns in every row: which part of a row makes it unlikely.

        Log-densities of different variables are in different units: compare a group's value with those of the same group in other
        rows, not with the other groups.

        Parameters
        ----------
        X : array-like or table of shape (n, d)
            Rows.

        Returns
        -------
        ndarray of shape (n, n_groups)
            In nats, in the order of ``groups``.
        """
        self._check_fitted()
        table = self._read(X)
        out = np.empty((len(table), len(self.groups_)))
        for i, (name, density, numbers) in enumerate(self.groups_):
            with self._in_group(name, numbers):
                out[:, i] = density.score_samples(columns_of(table, numbers))
        return out

    def sample(self, n_samples: int = 1, random_state: Any = None) -> Any:
        """Draw rows, with the columns in the order of the table that was fitted.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        random_state : int, RandomState, Generator or None, default=None
            A number gives the same rows every time.

        Returns
        -------
        ndarray of shape (n_samples, d) or DataFrame
            A pandas DataFrame with the names and dtypes of the fitted one if there was one; else an array of numbers, or of
            objects if there are labels.
        """
        n_samples, generator = self._n_samples(n_samples), as_generator(random_state)
        columns: list[NDArray[Any]] = [np.empty(0)] * self.n_features_in_
        for _, density, numbers in self.groups_:
            drawn = draw(density, n_samples, generator)
            for i, j in enumerate(numbers):
                columns[j] = drawn[:, i]
        return rows_as(self.table_, columns, getattr(self, "feature_names_in_", None))

    def cross_entropy(self, X: Any, sample_weight: ArrayLike | None = None) -> Estimate:
        """Estimated cross-entropy H(p_data, p_theta) = -E log p_theta from a sample of the data; columns may be labels.

        Parameters
        ----------
        X : array-like or table of shape (n, d)
            A sample of the data distribution, best one that was not fitted to.
        sample_weight : array-like of shape (n,), default=None
            Weights of at least 0.

        Returns
        -------
        Estimate
            Minus the score, in nats, with its standard error.
        """
        return cross_entropy_of_scores(self.score_samples(X), sample_weight)

    # -- what was learnt ---------------------------------------------------------------------------------------------------

    @property
    def n_parameters_(self) -> int:
        """Number of parameters that the fit estimates, in all groups together."""
        return sum(n_parameters_of(density) for density in self.densities_.values())

    @property
    def discrete_(self) -> bool:
        """Whether all groups are discrete, so that the log-density is a log-probability."""
        return all(is_discrete(density) for density in self.densities_.values())

    @property
    def factors_(self) -> list[tuple[tuple[int, ...], Any]]:
        """The independent parts: numbers of the columns, and their density."""
        self._check_fitted()
        return [(tuple(numbers), density) for _, density, numbers in self.groups_]

    def _is_discrete(self) -> bool:
        # One discrete group is enough for a Jacobian to make no sense.
        densities = self.densities_.values() if hasattr(self, "groups_") else [density for _, density, _ in self.groups]
        return any(is_discrete(density) for density in densities)

    def _affine_invariances(self) -> AffineMaps:
        kinds = [affine_invariances(density) for density in self.densities_.values()]
        return frozenset.intersection(*kinds) - ({"rotation", "size", "normal"} if len(kinds) > 1 else set())

    def _parameters_to_store(self) -> dict[str, Any]:
        """Parameters for a file, in which a callable that chose columns is replaced by the numbers it chose."""
        chosen = zip(self.groups, self.groups_, strict=True)
        return {
            "groups": [
                (name, density, numbers if callable(columns) else columns)
                for (name, density, columns), (_, _, numbers) in chosen
            ]
        }

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        try:
            parts = [get_tags(density).input_tags for _, density, _ in self.groups]
        except (AttributeError, TypeError, ValueError):
            return tags  # wrong groups are an error of fit, not of a question about tags
        tags.input_tags.string = any(part.string for part in parts)
        tags.input_tags.categorical = any(part.categorical for part in parts)
        return tags
