"""``ProductDensity``: independent groups of columns, each with a density of its own, for tables of mixed type."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any, Self

from numpy.typing import ArrayLike
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if

from fastkl._core.array_types import Floats
from fastkl._core.rows import Rows
from fastkl.density.bijections.base import AffineMaps
from fastkl.density.callbacks import hears_callbacks
from fastkl.density.composed.affine import affine_invariances
from fastkl.density.composed.base import adds_up, fit_part, is_discrete
from fastkl.density.composed.fitted_product import FittedProduct
from fastkl.density.composed.groups import Group, NamedGroups, check_groups, in_group, on_groups, unfitted_groups
from fastkl.density.files.registry import register_density
from fastkl.density.validation import raise_if_other_names, take_columns_of, unchanged_on_error
from fastkl.rows.streamed import StreamedRows
from fastkl.rows.tables import table_kind
from fastkl.rows.weights import read_weights

_MOST_SHOWN = 30  # groups in the picture for notebooks


def _every_group_has(method: str) -> Any:
    def has(product: ProductDensity) -> bool:
        # parts whose rows so far have no maximum count too: more rows may give one
        for name, density, _ in [*product.groups, *getattr(product, "groups_", ())]:
            if not (hasattr(density, method) and adds_up(density)):
                raise AttributeError(_lacking(method, name, density))
        return True

    return available_if(has)


def _lacking(method: str, name: str, density: Any) -> str:
    """Why a product has no such method, in words."""
    return (
        f"A product has {method}, and fit_batches, where the density of each group has a {method} that gives what fit gives: "
        f"that of group {name!r}, {density!r}, has none. Take fit; or, for rows that are not in memory, fit_batches of each "
        "group's density, with its columns."
    )


def _learn_more(density: Any, columns: Any, weights: Floats | None) -> None:
    density.partial_fit(columns, sample_weight=weights)


def _groups_of_block(rows: Rows, groups: list[Group], names: Any) -> list[Group]:
    """The groups as they are after these rows."""
    found = copy.deepcopy(groups)
    on_groups(found, rows.X, names, partial(_learn_more, weights=rows.weights))
    return found


def _merged_groups(names: Any, groups: list[Group], further: list[Group]) -> list[Group]:
    """The first groups, which take over what the others have seen."""
    for (name, density, numbers), (_, more, _) in zip(groups, further, strict=True):
        with in_group(name, numbers, names):
            density.merge(more)
    return groups


class ProductDensity(NamedGroups, FittedProduct):
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
    params_, standard_errors_ : dict of dicts
        The parameters of each group and their standard errors, where its density has them.
    covariance_of_params_ : ndarray of shape (p, p)
        Inverse observed information, block diagonal, in the order of ``param_names_``.
    param_names_ : list of str
        Names of the estimated parameters, such as ``"visits__rate[0]"``.
    n_parameters_ : int
        Number of parameters of all groups together, which AIC and BIC count.
    log_likelihood_ : float
        Weighted log-likelihood of the fitted rows, in nats.
    discrete_ : bool
        Whether all groups are discrete.
    factors_ : list of (tuple of int, density)
        The independent parts: numbers of the columns, and their density.
    inference_ : object
        The uncertainty of the fit, used by the methods for errors and intervals.
    dtypes_ : list of str or None
        The dtypes of the DataFrame that was fitted, which draws are given.
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

    @hears_callbacks
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
            weights = read_weights(sample_weight, len(table), beside=X)
            groups = self._unfitted_groups(X, self._column_names(), self.n_features_in_)
            on_groups(groups, table, self._column_names(), lambda density, part: fit_part(density, part, weights, self))
            self.dtypes_ = table_kind(X)
            self._take(groups)
            if not hasattr(self, "log_likelihood_"):
                self.log_likelihood_ = self._scored(X, weights)[0]
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
            weights = read_weights(sample_weight, len(table), beside=X)
            if first:
                groups = self._unfitted_groups(X, self._column_names(), self.n_features_in_)
                self.dtypes_ = table_kind(X)
            else:
                groups = copy.deepcopy(self.groups_)
            on_groups(groups, table, self._column_names(), partial(_learn_more, weights=weights))
            self._take(groups)
        return self

    @_every_group_has("merge")
    def merge(self, other: ProductDensity) -> Self:
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
        with unchanged_on_error(self):
            groups = copy.deepcopy(self.groups_) if hasattr(self, "groups_") else self._begun_as(other)
            mine, theirs = ([(name, numbers) for name, _, numbers in own] for own in (groups, other.groups_))
            if mine != theirs:
                raise ValueError(
                    f"Only products of the same groups can be merged: this one has {mine}, the other {theirs}."
                )
            raise_if_other_names(self, other)
            self._take(_merged_groups(self._column_names(), groups, other.groups_))
        return self

    def _begun_as(self, other: ProductDensity) -> list[Group]:
        """Groups that have seen no rows, of a table as the other has seen it."""
        check_groups(self.groups)
        if any(callable(columns) for _, _, columns in self.groups):
            raise ValueError(
                "This ProductDensity has seen no rows yet, from which a callable could choose columns; call fit or partial_fit "
                "first, or merge into the other."
            )
        take_columns_of(self, other)
        self.dtypes_ = other.dtypes_
        return self._unfitted_groups(None, self._column_names(), self.n_features_in_)

    def _take(self, groups: list[Group]) -> None:
        """Go on with these densities."""
        self.groups_ = groups
        self.__dict__.pop("log_likelihood_", None)
        if all(hasattr(density, "log_likelihood_") for _, density, _ in groups):
            self.log_likelihood_ = float(sum(density.log_likelihood_ for _, density, _ in groups))

    def _unfitted_groups(self, X: Any, names: Any, n_columns: int) -> list[Group]:
        check_groups(self.groups)
        self._validate_names([name for name, _, _ in self.groups])
        return unfitted_groups(self.groups, X, names, n_columns)

    def _takes_labels(self) -> bool:
        check_groups(self.groups)
        return any(get_tags(density).input_tags.string for _, density, _ in self.groups)

    def _why_no_blocks(self) -> str:
        for name, density, _ in self.groups:
            if not (hasattr(density, "partial_fit") and adds_up(density)):
                return _lacking("partial_fit", name, density)
        return super()._why_no_blocks()

    def _fit_blocks(self, rows: StreamedRows) -> None:
        groups, names = self._unfitted_groups(None, rows.names, rows.n_columns), rows.names
        if hasattr(self, "merge"):
            groups = rows.total(_groups_of_block, groups, names, merge=partial(_merged_groups, names))
        else:
            for block in rows.blocks():
                on_groups(groups, block.X, names, partial(_learn_more, weights=block.weights))
        self.dtypes_ = None
        self._take(groups)

    def _is_discrete(self) -> bool:
        densities = self.densities_.values() if hasattr(self, "groups_") else [density for _, density, _ in self.groups]
        return any(is_discrete(density) for density in densities)

    def _affine_invariances(self) -> AffineMaps:
        kinds = [affine_invariances(density) for density in self.densities_.values()]
        return frozenset.intersection(*kinds) - ({"rotation", "size", "normal"} if len(kinds) > 1 else set())

    def _sk_visual_block_(self) -> Any:
        """Groups side by side, as scikit-learn draws a ColumnTransformer: some 7 kB each, so that not all of many are."""
        from sklearn.compose import ColumnTransformer  # only here: a picture in a notebook

        groups = self.groups_ if hasattr(self, "groups_") else self.groups
        shown = list(groups[:_MOST_SHOWN])
        if len(groups) > _MOST_SHOWN:
            shown.append((f"... and {len(groups) - _MOST_SHOWN:,} more: groups_ has all", "passthrough", []))
        return ColumnTransformer(shown)._sk_visual_block_()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        try:
            parts = [get_tags(density).input_tags for _, density, _ in self.groups]
        except (AttributeError, TypeError, ValueError):
            return tags  # wrong groups are an error of fit, not of a question about tags
        for name in ("string", "categorical", "positive_only"):
            setattr(tags.input_tags, name, any(getattr(part, name) for part in parts))
        return tags


def _parameters_to_store(product: ProductDensity) -> dict[str, Any]:
    """Those of the constructor, with the numbers of columns that a callable chose in its place."""
    if not hasattr(product, "groups_"):  # what a composed density was made with
        return {"groups": product.groups}
    chosen = zip(product.groups, product.groups_, strict=True)
    return {
        "groups": [
            (name, density, numbers if callable(columns) else columns)
            for (name, density, columns), (_, _, numbers) in chosen
        ]
    }


def _check_stored(product: ProductDensity) -> None:
    """ValueError unless every column is in one group, whose density is fitted to as many."""
    listed = []
    for name, density, numbers in product.groups_:
        if not isinstance(name, str) or density.n_features_in_ != len(numbers):
            raise ValueError(f"the group {name!r} has {len(numbers)} columns, its density {density.n_features_in_}")
        listed += numbers
    if sorted(listed) != list(range(product.n_features_in_)) or any(type(j) is not int for j in listed):
        raise ValueError(f"the columns of the groups, {listed}, are not the {product.n_features_in_} columns")
    check_groups(product.groups)
    if product.dtypes_ is not None and len(product.dtypes_) != product.n_features_in_:
        raise ValueError(f"dtypes_ has {len(product.dtypes_)} dtypes for {product.n_features_in_} columns")


register_density(ProductDensity, _check_stored, _parameters_to_store)
