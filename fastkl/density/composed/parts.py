"""Marginals and conditionals of composed densities: the parts of every group, or of what is behind a transformer."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastkl.density.bijections.lookup import bijection
from fastkl.density.composed.groups import Group
from fastkl.density.parts import PartMembers


class ProductParts(PartMembers):
    """Members about the parts of a product."""

    groups_: list[Group]

    def _product_of(self, groups: list[Group]) -> Any:
        """A product of fitted groups; a group alone with its columns in order is that density."""
        if len(groups) == 1 and groups[0][2] == list(range(len(groups[0][2]))):
            return groups[0][1]
        own: Any = type(self)  # the product that this is a part of, which has a constructor of its own
        product = own(groups)
        product.groups_, product.n_features_in_ = groups, sum(len(numbers) for _, _, numbers in groups)
        product.dtypes_ = None
        return product

    def _part(self, name: str, density: Any, method: str, *arguments: Any) -> Any:
        if not isinstance(density, PartMembers):
            raise AttributeError(f"Group {name!r}: the parts of a {type(density).__name__} are not known.")
        try:
            return getattr(density, method)(*arguments)
        except AttributeError as error:
            raise AttributeError(f"Group {name!r}: {error}") from error

    def _marginal(self, columns: list[int]) -> Any:
        place = {j: i for i, j in enumerate(columns)}
        groups: list[Group] = []
        for name, density, numbers in self.groups_:
            inside = [i for i, j in enumerate(numbers) if j in place]
            if inside:
                whole = len(inside) == len(numbers)
                part = density if whole else self._part(name, density, "_marginal", inside)
                groups.append((name, part, [place[numbers[i]] for i in inside]))
        return self._product_of(groups)

    def _conditional(self, kept: list[int], given: list[int], values: list[Any]) -> Any:
        place, known = {j: i for i, j in enumerate(kept)}, dict(zip(given, values, strict=True))
        groups: list[Group] = []
        for name, density, numbers in self.groups_:
            left = [i for i, j in enumerate(numbers) if j in place]
            told = [i for i, j in enumerate(numbers) if j in known]
            if not left:
                continue
            if told:
                density = self._part(name, density, "_conditional", left, told, [known[numbers[i]] for i in told])
            groups.append((name, density, [place[numbers[i]] for i in left]))
        return self._product_of(groups)


class TransformedParts(PartMembers):
    """Members about the parts of a density behind a transformer, which has to map every column by itself."""

    transformer_: Any
    density_: Any

    def _taken(self, columns: list[int]) -> Any:
        part = bijection(self.transformer_).taken(columns)
        if part is None:
            raise AttributeError(
                f"The parts of a density behind {self.transformer_!r} are not known: it is not known to map every "
                "column by itself."
            )
        return part

    def _behind(self, columns: list[int], density: Any) -> Any:
        own: Any = type(self)
        return own.from_fitted(self._taken(columns), density)

    def _of_density(self, method: str, argument: Any) -> Any:
        if not hasattr(self.density_, method):
            raise AttributeError(f"The parts of a {type(self.density_).__name__} are not known.")
        return getattr(self.density_, method)(argument)

    def _marginal(self, columns: list[int]) -> Any:
        return self._behind(columns, self._of_density("marginal", columns))

    def _conditional(self, kept: list[int], given: list[int], values: list[Any]) -> Any:
        images = bijection(self._taken(given)).forward(np.array([values], dtype=np.float64))[0][0]
        return self._behind(kept, self._of_density("conditional", dict(zip(given, images.tolist(), strict=True))))
