"""Families that are products of others, as a user gives them: groups of columns by name, resolved on the table of a fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from fastkl._core.array_types import Params
from fastkl._core.rows import Rows
from fastkl.density.validation import resolve_family
from fastkl.families.base import Family
from fastkl.families.categorical import Categorical
from fastkl.families.mixture import Mixture
from fastkl.families.multivariate_normal import MultivariateNormal
from fastkl.families.product import Product
from fastkl.families.product.family import check_group_name
from fastkl.rows.columns import column_numbers, refuse_unparted
from fastkl.rows.tables import table_kind

FORM = "[(name, family, columns), ...] or {name: (family, columns), ...}"


def is_product(family: Any) -> bool:
    """Whether this is one product of families: triples, a mapping, a ``ProductDensity`` or the family itself."""
    if isinstance(family, Product | Mapping) or hasattr(family, "groups"):
        return True
    return isinstance(family, list | tuple) and len(family) > 0 and all(isinstance(one, tuple) for one in family)


def resolve_product(family: Any) -> Product:
    """A product of its own whose columns are still as the user gave them."""
    groups: list[tuple[str, Family, Any]] = []
    for name, one, columns in _triples(family):
        check_group_name(name)
        if name in (other for other, _, _ in groups):
            raise ValueError(f"Two groups are named {name!r}.")
        own = resolve_family(_family_of(name, one))
        if own.composed:
            raise ValueError(f"The family of group {name!r} is itself made of others; groups are of plain families.")
        if isinstance(own, MultivariateNormal) and own.covariance_type == "tied":
            raise ValueError(
                f"The covariance of group {name!r} can't be tied: that is for components of normal columns alone."
            )
        if getattr(own, "shrinkage", None) is not None:
            raise ValueError(
                "The components of a mixture are regularised by a prior (prior='default'), not by shrinkage."
            )
        groups.append((name, own, columns))
    return Product(groups)


def with_numbers(family: Any, learned: Any) -> Any:
    """The product as the user gave it, with numbers in place of callables, which chose columns of the fitted table."""
    triples = _triples(family)
    if not any(callable(columns) for _, _, columns in triples):
        return family
    parts = zip(triples, learned.parts, strict=True)
    return [(name, one, list(part.columns) if callable(columns) else columns) for (name, one, columns), part in parts]


def _triples(family: Any) -> list[tuple[Any, Any, Any]]:
    if isinstance(family, Mapping):
        pairs = list(family.items())
        if not pairs or not all(isinstance(value, tuple | list) and len(value) == 2 for _, value in pairs):
            raise ValueError(f"A product of families is {FORM}, not {family!r}.")
        return [(name, one, columns) for name, (one, columns) in pairs]
    groups: Any = getattr(family, "groups", family)
    if not isinstance(groups, list | tuple) or not groups or not all(len(group) == 3 for group in groups):
        raise ValueError(f"A product of families is {FORM}, not {family!r}.")
    return list(groups)


def _family_of(name: str, one: Any) -> Any:
    """The family of a group of a ``ProductDensity``; what is no density is a family."""
    if isinstance(one, str | Family) or not hasattr(one, "score_samples"):
        return one
    if not hasattr(one, "family") or type(one).__name__ != "DensityMLE":
        raise TypeError(
            f"Group {name!r} is a {type(one).__name__}; components are made of groups with a family (DensityMLE)."
        )
    return one.family


def with_columns(mixture: Mixture, X: Any, names: Any, d: int | None) -> Mixture:
    """The mixture whose products know the numbers of their columns in a table; ValueError unless each column has one group.

    Without a table (d is None) columns are given by number, and there are as many as the groups have.
    """
    families = mixture.component_families
    if not any(isinstance(one, Product) for one in families):
        return mixture
    found = [_with_columns(one, X, names, d) if isinstance(one, Product) else one for one in families]
    kinds = {tuple(kinds_of(one, d)) for one in found}
    if len(kinds) > 1:
        raise ValueError("The components of a mixture agree on which columns are continuous, counts and labels.")
    return Mixture(found, mixture.weights, mixture.tied)


def _with_columns(product: Product, X: Any, names: Any, d: int | None) -> Product:
    groups: Any = product.groups
    if d is None:
        d = sum(int(np.size(columns)) for _, _, columns in groups)
    chosen = []
    for name, family, columns in groups:
        numbers = column_numbers(columns, X, names, d)
        if not numbers:
            raise ValueError(
                f"Group {name!r}: columns={columns!r} selects none of the {d} columns. Leave the group out."
            )
        chosen.append((name, family, numbers))
    refuse_unparted([(name, numbers) for name, _, numbers in chosen], names, d)
    return Product(chosen)


def learn_table(density: Any, X: Any) -> None:
    """Let a mixture of products, whose columns are of several kinds, know the dtypes of the DataFrame it is fitted to."""
    if any(isinstance(one, Product) for one in density.family_.component_families):
        density.dtypes_ = table_kind(X)


def kinds_of(family: Family, d: int | None) -> list[tuple[bool, bool]]:
    """Of every column: whether it holds labels, and whether it is discrete."""
    if not isinstance(family, Product):
        return [(family.labels, family.discrete)] * (1 if d is None else d)
    found = [(False, False)] * family.width
    for part in family.parts:
        for j in part.columns:
            found[j] = part.family.labels, part.family.discrete
    return found


def coded(mixture: Mixture, rows: Rows) -> tuple[Mixture, Rows]:
    """Mixture and rows with the places of labels among the categories for labels, so that all rows are numbers."""
    if not mixture.labels:
        return mixture, rows
    X = np.empty(rows.X.shape)
    for part in _parts(mixture.component_families[0], rows.n_columns):
        own: Any = part.family
        of_part = part.rows(rows)
        X[:, list(part.columns)] = own.codes(of_part) if own.labels else of_part.X
    return coded_mixture(mixture), replace(rows, X=X)


def coded_mixture(mixture: Mixture) -> Mixture:
    """The same distributions of numbers in place of labels."""
    return Mixture([_coded(one) for one in mixture.component_families], mixture.weights, mixture.tied)


def smaller(mixture: Mixture, fewer: Any) -> tuple[Mixture, Params] | None:
    """A fit with fewer components in the form in which the rows are now: numbers for labels."""
    if fewer is None:
        return None
    known: Any = fewer.family_
    return coded_mixture(known) if mixture.labels else known, fewer.params_


def _coded(family: Family) -> Family:
    if isinstance(family, Product):
        return Product([(part.name, _coded(part.family), part.columns) for part in family.parts])
    return family.coded() if isinstance(family, Categorical) else family


def _parts(family: Family, d: int) -> Any:
    return family.parts if isinstance(family, Product) else Product([("all", family, range(d))]).parts
