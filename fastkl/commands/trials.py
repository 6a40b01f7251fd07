"""What ``fastkl fit`` tries: every family on all columns, and for several columns the product of the best family for each."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin

from fastkl import DensityMLE, ProductDensity, families
from fastkl.families import Family
from fastkl.selection.candidates import JOINT

PRODUCT = "product"


def trials(names: Sequence[str], product: bool) -> dict[str, Any]:
    """By name the unfitted densities to try."""
    found: dict[str, Any] = {name: DensityMLE(name) for name in names}
    singles = [name for name in names if name not in JOINT]
    if product and len(singles) > 1:
        found[PRODUCT] = ProductOfBest(singles)
    return found


class ProductOfBest(DensityMixin, BaseEstimator):
    """Independent columns, each with the family of the lowest BIC on the rows of the fit.

    Parameters
    ----------
    names : sequence of str
        Families to choose from.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names

    def fit(self, X: Any, y: object = None, sample_weight: Any = None) -> Self:
        """Choose and fit; ``density_`` is the product."""
        keys = list(X.columns) if hasattr(X, "columns") else range(X.shape[1])
        values = np.asarray(X)
        groups = [
            (f"x{j}", DensityMLE(_best(self.names, values[:, [j]], key, sample_weight)), [key])
            for j, key in enumerate(keys)
        ]
        self.density_ = ProductDensity(groups).fit(X, sample_weight=sample_weight)
        return self

    def score_samples(self, X: Any) -> Any:
        """Log-density of every row."""
        return self.density_.score_samples(X)


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
