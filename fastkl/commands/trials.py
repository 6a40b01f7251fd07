"""What ``fastkl fit`` tries: every family on all columns, and for several columns the product of the best family for each."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from fastkl import DensityMLE, ProductDensity, families
from fastkl.families import Family
from fastkl.selection.candidates import JOINT

PRODUCT = "product"
Fit = Callable[[Any, Any], Any]


def trials(names: Sequence[str], product: bool) -> dict[str, Fit]:
    """By name the functions that fit a density to rows and weights."""
    found: dict[str, Fit] = {name: partial(_fit_family, name) for name in names}
    singles = [name for name in names if name not in JOINT]
    if product and len(singles) > 1:
        found[PRODUCT] = partial(_fit_product, singles)
    return found


def _fit_family(name: str, rows: Any, weights: Any) -> DensityMLE:
    return DensityMLE(name).fit(rows, sample_weight=weights)


def _fit_product(names: Sequence[str], rows: Any, weights: Any) -> ProductDensity:
    """Independent columns, each with the family of the lowest BIC on these rows."""
    keys = list(rows.columns) if hasattr(rows, "columns") else range(rows.shape[1])
    X = np.asarray(rows)
    groups = [(f"x{j}", DensityMLE(_best(names, X[:, [j]], key, weights)), [key]) for j, key in enumerate(keys)]
    return ProductDensity(groups).fit(rows, sample_weight=weights)


def _best(names: Sequence[str], column: Any, key: Any, weights: Any) -> str:
    found = {}
    for name in names:
        try:
            found[name] = DensityMLE(name).fit(column, sample_weight=weights).bic(column, sample_weight=weights)
        except (ValueError, Warning):  # a family that this column excludes
            continue
    if not found:
        raise ValueError(f"None of the families fits column {key!r}.")
    return min(found, key=lambda name: found[name])


def one_family(density: Any) -> bool:
    """Whether this is a product of one family, which is that family."""
    return isinstance(density, ProductDensity) and len({part.family_.name for part in density.densities_.values()}) == 1


def named(option: str) -> tuple[str, ...]:
    """The families of a comma-separated option; ValueError for one that there is not, or for kinds that can't be compared."""
    names = tuple(dict.fromkeys(part.strip() for part in option.split(",") if part.strip()))
    if not names:
        raise ValueError(f"--families names no family; there are {', '.join(families.names())}")
    classes: dict[str, type[Family]] = {name: families.by_name(name) for name in names}
    discrete = [name for name in names if classes[name].discrete]
    continuous = [name for name in names if not classes[name].discrete]
    if discrete and continuous:
        raise ValueError(
            f"--families mixes families of counts or labels ({', '.join(discrete)}) with densities ({', '.join(continuous)}): "
            "a probability and a density can't be compared"
        )
    return names
