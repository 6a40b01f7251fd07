"""A product of families as a family: sums, maxima, scores and draws of independent groups of columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.rows import AnyRows, Rows
from fastkl.families.base import Family, Fit
from fastkl.families.drawing import draws
from fastkl.families.product.parts import SEPARATOR, Part
from fastkl.families.product.spaces import OfColumns
from fastkl.families.spaces import Space


class Product(Family):
    r"""Independent groups of columns, each with a family of its own.

    .. math:: \log p(x) = \sum_g \log p_g(x_{[g]})

    It is what the components of a mixture are made of for tables of mixed type
    (``MixtureMLE(family=[(name, family, columns), ...])``); a single table is described by :class:`fastkl.ProductDensity`. A
    parameter has the name of its group before its own: ``"visits__rate"``. Where groups of both kinds meet, the density is
    one with respect to length (of the continuous columns) and counting (of the discrete ones).

    Parameters
    ----------
    groups : sequence of (str, Family, sequence of int)
        Name, family and column numbers of each group; every column is in one of them.

    Examples
    --------
    >>> from fastkl import families
    >>> from fastkl.families.product import Product
    >>> pair = Product([("height", families.Normal(), [0]), ("visits", families.Poisson(), [1])])
    >>> list(pair.spaces())
    ['height__loc', 'height__scale', 'visits__rate']
    """

    name = "product"
    parameters: ClassVar[Mapping[str, Space]] = {}  # those of the groups decide: ``spaces``
    composed = True
    joint = True

    def __init__(self, groups: Sequence[tuple[str, Family, Sequence[int]]] | None = None):
        self.groups = groups

    @property
    def parts(self) -> tuple[Part, ...]:
        """The groups."""
        known = self.__dict__.get("_parts")
        if known is None or known[0] is not self.groups:
            if not self.groups:
                raise ValueError("A product has groups: [(name, family, columns), ...].")
            parts = tuple(Part(name, family, tuple(columns)) for name, family, columns in self.groups)
            known = self.groups, parts
            self._parts = known
        return known[1]

    def __getstate__(self) -> Any:
        return {name: value for name, value in super().__getstate__().items() if name != "_parts"}

    @property
    def _families(self) -> list[Family]:
        """The families of the groups, whose columns may still be in the words of a user."""
        return [family for _, family, _ in self.groups or ()]

    # -- what its groups say -----------------------------------------------------------------------------------------------

    @property
    def parameter_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """Those of the groups."""
        return tuple(part.key(name) for part in self.parts for name in part.family.parameter_names)

    @property
    def has_statistics(self) -> bool:  # type: ignore[override]
        """Whether all groups have sufficient statistics."""
        return all(family.has_statistics for family in self._families)

    @property
    def discrete(self) -> bool:  # type: ignore[override]
        """Whether all groups are discrete."""
        return all(family.discrete for family in self._families)

    @property
    def labels(self) -> bool:  # type: ignore[override]
        """Whether one of them is about labels."""
        return any(family.labels for family in self._families)

    @property
    def given_sum(self) -> bool:
        """Whether the rows of one of them have a sum that is given."""
        return any(getattr(family, "given_sum", False) for family in self._families)

    @property
    def equivariant(self) -> bool:  # type: ignore[override]
        """Whether all follow the unit of the rows, or are discrete."""
        return all(family.equivariant or family.discrete for family in self._families)

    @property
    def smooth(self) -> bool:  # type: ignore[override]
        """Whether all log-densities are smooth."""
        return all(family.smooth for family in self._families)

    @property
    def discrete_columns(self) -> frozenset[int]:
        """The columns whose values are counted, or are labels."""
        return frozenset(j for part in self.parts if part.family.discrete for j in part.columns)

    @property
    def width(self) -> int:
        """Number of columns."""
        return sum(len(part.columns) for part in self.parts)

    def spaces(self) -> dict[str, Space]:
        found: dict[str, Space] = {}
        for part in self.parts:
            for name, inner in part.family.spaces().items():
                spread = None if inner.spread is None else part.key(inner.spread)
                found[part.key(name)] = OfColumns.of(inner, part.columns, spread)
        return found

    def n_columns(self, params: Params) -> int:
        return self.width

    def shaped(self, given: Params, d: int) -> Params:
        if d != self.width:
            raise ValueError(f"The groups have {self.width} columns, the rows have {d}.")
        shaped: Params = {}
        for part in self.parts:
            shaped |= part.named(part.family.shaped(part.own(given), len(part.columns)))
        return {name: shaped[name] for name in given}

    def fixed_parameters(self) -> Params:
        fixed: Params = {}
        for part in self.parts:
            fixed |= part.named(part.family.fixed_parameters())
        return fixed

    def fixed_columns(self, d: int) -> Params:
        fixed: Params = {}
        for part in self.parts:
            fixed |= part.named(part.family.fixed_columns(len(part.columns)))
        return fixed

    def learned_from(self, rows: AnyRows) -> Product:
        """The product with what its groups learn from all rows before a fit: categories, the sum of rows that are drawn."""
        learned = []
        for part in self.parts:
            family = part.family
            if family.labels or getattr(family, "given_sum", False):
                family = family.learned(part.any_rows(rows).total(family.statistics, merge=family.merge_statistics))
            learned.append((part.name, family, part.columns))
        return Product(learned)

    def part_of(self, name: str) -> tuple[Part, str]:
        """Whose a parameter is: the group, and the name there."""
        for part in self.parts:
            if name.startswith(part.key("")):
                return part, name.removeprefix(part.key(""))
        raise KeyError(name)

    def labels_of(self, params: Params) -> list[NDArray[Any]]:
        """The categories of each column of labels, in the order of the groups."""
        found: list[NDArray[Any]] = []
        for part in self.parts:
            if part.family.labels:
                own: Any = part.family
                found += own.labels_of(part.own(params))
        return found

    # -- sums over rows ----------------------------------------------------------------------------------------------------

    def _joined(self, of_parts: Sequence[Statistics], weight: Any) -> Statistics:
        joined: Statistics = {"weight": np.float64(weight)}
        for part, own in zip(self.parts, of_parts, strict=True):
            joined |= part.named(own)
        return joined

    def statistics(self, rows: Rows) -> Statistics:
        found = []
        for part in self.parts:
            with part.placed():
                found.append(part.family.statistics(part.rows(rows)))
        return self._joined(found, rows.total_weight)

    def component_statistics(self, rows: Rows, weights: Floats) -> list[Statistics]:
        found = []
        for part in self.parts:
            with part.placed():
                found.append(part.family.component_statistics(part.rows(rows), weights))
        sums = [part.total_weight for part in rows.components(weights)]
        return [self._joined(own, sums[k]) for k, own in enumerate(zip(*found, strict=True))]

    def merge_statistics(self, first: Statistics, second: Statistics) -> Statistics:
        merged = [part.family.merge_statistics(part.own(first), part.own(second)) for part in self.parts]
        return self._joined(merged, first["weight"] + second["weight"])

    def solve(self, statistics: Statistics) -> Fit:
        return self._solved(lambda part, own: part.family.solve(own), statistics)

    def solve_from(self, statistics: Statistics, start: Params) -> Fit:
        return self._solved(lambda part, own: part.family.solve_from(own, part.own(start)), statistics)

    def _solved(self, solve: Any, statistics: Statistics) -> Fit:
        fits = []
        for part in self.parts:
            with part.placed():
                fits.append(solve(part, part.own(statistics)))
        return self.joined_fit(fits)

    def joined_fit(self, fits: Sequence[Fit]) -> Fit:
        """The fits of all groups as one."""
        params: Params = {}
        boundary: dict[str, str] = {}
        for part, fit in zip(self.parts, fits, strict=True):
            params |= part.named(fit.params)
            boundary |= part.named(fit.boundary)
        known = [fit.log_likelihood for fit in fits if fit.log_likelihood is not None]
        total = float(sum(known)) if len(known) == len(fits) else None
        n_iter, converged = max(fit.n_iter for fit in fits), all(fit.converged for fit in fits)
        return Fit(params, n_iter, converged, boundary, total)

    def starting_parameters(self, statistics: Statistics) -> Params:
        found: Params = {}
        for part in self.parts:
            found |= part.named(part.family.starting_parameters(part.own(statistics)))
        return found

    def statistics_log_likelihood(self, statistics: Statistics, params: Params) -> float:
        return float(
            sum(part.family.statistics_log_likelihood(part.own(statistics), part.own(params)) for part in self.parts)
        )

    def statistics_gradient(self, statistics: Statistics, params: Params) -> Params:
        found: Params = {}
        for part in self.parts:
            found |= part.named(part.family.statistics_gradient(part.own(statistics), part.own(params)))
        return found

    def log_density(self, rows: Rows, params: Params) -> Floats:
        return self.component_log_density(rows, [params])[:, 0]

    def component_log_density(self, rows: Rows, params: Sequence[Params]) -> Floats:
        total = np.zeros((len(rows.X), len(params)))
        for part in self.parts:
            total += part.family.component_log_density(part.rows(rows), [part.own(at) for at in params])
        return total

    def log_likelihood(self, rows: Rows, params: Params) -> float:
        return float(sum(part.family.log_likelihood(part.rows(rows), part.own(params)) for part in self.parts))

    def log_likelihood_and_gradient(self, rows: Rows, params: Params) -> tuple[float, Params]:
        return self.component_likelihoods(rows, [params])[0]

    def component_likelihoods(
        self, rows: Rows, params: Sequence[Params], weights: Floats | None = None
    ) -> list[tuple[float, Params]]:
        totals, slopes = np.zeros(len(params)), [Params() for _ in params]
        for part in self.parts:
            with part.placed():
                found = part.family.component_likelihoods(part.rows(rows), [part.own(at) for at in params], weights)
            for k, (total, slope) in enumerate(found):
                totals[k] += total
                slopes[k] |= part.named(slope)
        return [(float(total), slope) for total, slope in zip(totals, slopes, strict=True)]

    def score_rows(self, rows: Rows, params: Params) -> Params | None:
        found: Params = {}
        for part in self.parts:
            own = part.family.score_rows(part.rows(rows), part.own(params))
            if own is None:
                return None
            found |= part.named(own)
        return found

    # -- the distribution itself -------------------------------------------------------------------------------------------

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        drawn = [draws(part.family, part.own(params), n_samples, generator) for part in self.parts]
        return self._laid(drawn)

    def _laid(self, of_parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """Columns of the groups in the order of the table: numbers, or objects where labels are among them."""
        plain = all(own.dtype.kind in "fiub" for own in of_parts)
        rows = np.empty((*of_parts[0].shape[:-1], self.width), dtype=np.float64 if plain else object)
        for part, own in zip(self.parts, of_parts, strict=True):
            rows[..., list(part.columns)] = own if plain else own.astype(object)
        return rows

    def moments(self, params: Params) -> tuple[Floats, Floats] | None:
        found = [part.family.moments(part.own(params)) for part in self.parts]
        known = [moments for moments in found if moments is not None]
        if len(known) < len(found):
            return None
        order = np.argsort([j for part in self.parts for j in part.columns])
        means = np.concatenate([mean for mean, _ in known])
        spread = block_diag(*(np.diag(own) if own.ndim == 1 else own for _, own in known))
        return means[order], np.asarray(spread[np.ix_(order, order)])

    def mode(self, params: Params) -> NDArray[Any] | None:
        found = [part.family.mode(part.own(params)) for part in self.parts]
        known = [np.asarray(own) for own in found if own is not None]
        return None if len(known) < len(found) else self._laid(known)

    def entropy(self, params: Params) -> float | None:
        found = [part.family.entropy(part.own(params)) for part in self.parts]
        known = [own for own in found if own is not None]
        return None if len(known) < len(found) else float(sum(known))

    def marginal(self, params: Params, columns: Sequence[int]) -> tuple[Family, Params] | None:
        found = []
        for part in self.parts:
            places, own = _shared(part, columns)
            if own:
                margin = part.family.marginal(part.own(params), own)
                if margin is None:
                    return None
                found.append((part.name, *margin, places))
        return _of_parts(found)

    def of_columns(self, params: Params, columns: Sequence[int]) -> tuple[Family, Params]:
        found = self.marginal(params, columns)
        if found is None:
            raise AttributeError("The distribution of some columns of a group has no closed form here.")
        return found

    def conditional(
        self, params: Params, kept: Sequence[int], given: Sequence[int], values: NDArray[Any]
    ) -> tuple[Family, Params]:
        """The columns kept, given the values of the others: groups are independent, so that each is its own."""
        found = []
        for part in self.parts:
            places, own = _shared(part, kept)
            told, others = _shared(part, given)
            if not own:
                continue
            family: Any = part.family
            if not others:
                margin = family.marginal(part.own(params), own)
            elif not family.joint:
                margin = family.of_columns(part.own(params), own)
            elif hasattr(family, "conditional"):
                margin = family.conditional(part.own(params), own, others, np.asarray(values[told], dtype=np.float64))
            else:
                margin = None
            if margin is None:
                raise AttributeError(
                    f"The conditional distributions of the {family.name} family have no closed form here."
                )
            found.append((part.name, *margin, places))
        return _of_parts(found)


def _shared(part: Part, columns: Sequence[int]) -> tuple[list[int], list[int]]:
    """Which of the columns are the group's: their places in the list, and their numbers in the group."""
    places = [i for i, j in enumerate(columns) if j in part.columns]
    return places, [part.columns.index(columns[i]) for i in places]


def _of_parts(found: Sequence[tuple[str, Family, Params, list[int]]]) -> tuple[Family, Params]:
    """The product of groups with their parameters; a single one is itself."""
    if len(found) == 1:
        return found[0][1], found[0][2]
    params: Params = {}
    for name, family, own, columns in found:
        params |= Part(name, family, tuple(columns)).named(own)
    return Product([(name, family, columns) for name, family, _, columns in found]), params


def check_group_name(name: Any) -> None:
    """ValueError for a name that parameters could not begin with."""
    if not isinstance(name, str) or not name or SEPARATOR in name:
        raise ValueError(f"The name of a group is a text without {SEPARATOR!r}, not {name!r}.")
