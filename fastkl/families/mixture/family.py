"""A mixture as a family: scores, slopes, draws and uncertainty of a weighted sum of distributions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.rows import AnyRows, Rows
from fastkl.families._mixture import weighted_sum
from fastkl.families.base import Family, Fit
from fastkl.families.drawing import AT_ONCE, around, draws, turn_of
from fastkl.families.gradient_sums import both_added
from fastkl.families.matrices import inverses
from fastkl.families.mixture.ascent import Ascent
from fastkl.families.mixture.conditioning import conditioned
from fastkl.families.mixture.expectation import Components, gradient_block, shared_scores
from fastkl.families.mixture.layout import WEIGHTS, Layout
from fastkl.families.mixture.modes import normal_mode
from fastkl.families.mixture.moments import mixed_moments
from fastkl.families.mixture.tails import Part, column_parts, have_joint, joint_log_tail, log_tail, quantile
from fastkl.families.normal import Normal
from fastkl.families.product import Product
from fastkl.families.solvers.coordinates import chart_at
from fastkl.families.spaces import Space, Stacked


class Mixture(Family):
    r"""Finite mixture of distributions of other families.

    .. math:: \log p(x) = \log \sum_k \pi_k p_k(x)

    Its parameters are the weights and those of the components, stacked: the component is the leading axis. Where the
    components are of several families, or hold different parameters fixed, their names begin with that of the family:
    ``"normal_loc"``. :class:`fastkl.MixtureMLE` finds starts and makes this family; ``fit`` climbs from one.

    Parameters
    ----------
    components : sequence of Family
        The family of each component; None stands for two normal ones.
    weights : array-like of shape (k,), default=None
        Held fixed where given.
    tied : bool, default=False
        Whether normal components share one covariance matrix.

    References
    ----------
    A. P. Dempster, N. M. Laird, D. B. Rubin, "Maximum likelihood from incomplete data via the EM algorithm", JRSS B
    39, 1977, doi:10.1111/j.2517-6161.1977.tb01600.x.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl.families import Poisson
    >>> from fastkl.families.mixture import Mixture
    >>> from fastkl._core.rows import Rows
    >>> deaths = Rows(np.arange(10.0)[:, None], np.array([162.0, 267, 271, 185, 111, 61, 27, 8, 3, 1]))
    >>> start = {"weights": [0.5, 0.5], "rate": [1.0, 3.0]}
    >>> fit, _ = Mixture([Poisson(), Poisson()]).fit(deaths, 1e-14, 1000, start)
    >>> fit.params["rate"].ravel().round(4), round(fit.log_likelihood, 4)
    (array([1.2561, 2.6634]), -1989.9459)
    """

    name = "mixture"
    parameters: ClassVar[Mapping[str, Space]] = {}  # those of the components decide: ``spaces``
    composed = True
    joint = True
    has_statistics = False

    def __init__(
        self, components: Sequence[Family] | None = None, weights: ArrayLike | None = None, tied: bool = False
    ):
        self.components = components
        self.weights = weights
        self.tied = tied

    # -- what its components say -------------------------------------------------------------------------------------------

    @property
    def layout(self) -> Layout:
        """How the parameters of the components lie in one dict."""
        known = self.__dict__.get("_layout")
        if known is None or known[0] is not self.components or known[1] != self.tied:
            families = [Normal(), Normal()] if self.components is None else list(self.components)
            known = self.components, self.tied, Layout.of(families, self.tied)
            self._layout = known
        return known[2]

    def __getstate__(self) -> Any:
        return {name: value for name, value in super().__getstate__().items() if name != "_layout"}

    @property
    def parameter_names(self) -> tuple[str, ...]:  # type: ignore[override]  # of the class elsewhere, here of its components
        """The weights, then the parameters of the components."""
        return tuple(self.layout.spaces())

    @property
    def component_families(self) -> list[Family]:
        """The family of each component."""
        return self.layout.component_families

    @property
    def discrete(self) -> bool:  # type: ignore[override]
        """Whether its components are discrete."""
        return all(family.discrete for family in self.component_families)

    @property
    def labels(self) -> bool:  # type: ignore[override]
        """Whether they are about labels."""
        return all(family.labels for family in self.component_families)

    @property
    def discrete_columns(self) -> frozenset[int]:
        """The discrete columns of components that have columns of both kinds."""
        return frozenset(getattr(self.component_families[0], "discrete_columns", ()))

    @property
    def takes_missing(self) -> bool:  # type: ignore[override]
        """Whether they take rows of which some values are unknown."""
        return all(family.takes_missing for family in self.component_families)

    @property
    def equivariant(self) -> bool:  # type: ignore[override]
        """Whether they follow the unit of the rows."""
        return all(family.equivariant for family in self.component_families)

    @property
    def smooth(self) -> bool:  # type: ignore[override]
        """Whether their log-densities are smooth."""
        return all(family.smooth for family in self.component_families)

    @property
    def least_columns(self) -> int:  # type: ignore[override]
        """The least that one of them needs."""
        return max(family.least_columns for family in self.component_families)

    def spaces(self) -> dict[str, Space]:
        return self.layout.spaces()

    def fixed_parameters(self) -> Params:
        fixed: Params = {} if self.weights is None else {WEIGHTS: self.weights}
        for group in self.layout.groups:
            fixed |= {group.key(k): [v] * len(group.members) for k, v in group.family.fixed_parameters().items()}
        return fixed

    def fixed_columns(self, d: int) -> Params:
        held = self.fixed_parameters()
        for group in self.layout.groups:
            held |= {group.key(k): [v] * len(group.members) for k, v in group.family.fixed_columns(d).items()}
        return self.shaped(held, d) if held else {}

    def shaped_parameters(self, params: Params) -> Params:
        held = [name for name, value in self.fixed_parameters().items() if np.array_equal(params[name], value)]
        for name, space in self.spaces().items():
            if isinstance(space, Stacked) and name not in held:
                space.raise_unless_one_of_each(params[name], f"{self.name}: {name}")
        told = (space.n_columns(params[name]) for name, space in self.spaces().items() if name not in held)
        d = next((width for width in told if width is not None), None)
        if d is not None:  # one number held fixed is that of every column
            params = {**params, **{name: value for name, value in self.fixed_columns(d).items() if name in held}}
        return super().shaped_parameters(params)

    def n_columns(self, params: Params) -> int:
        return self.component_families[0].n_columns(self.split(params)[0])

    def shaped(self, given: Params, d: int) -> Params:
        shaped = super().shaped(given, d)
        if len(shaped.get(WEIGHTS, range(self.layout.size))) != self.layout.size:
            raise ValueError(f"A mixture of {self.layout.size} components has {len(shaped[WEIGHTS])} weights.")
        return shaped

    def learned_from(self, rows: AnyRows) -> Mixture:
        """The mixture with what its families learn from all rows before a fit: categories, the sum of rows that are drawn."""
        if not self.labels and not any(getattr(family, "given_sum", False) for family in self.component_families):
            return self
        components: list[Family] = [Normal()] * self.layout.size
        for group in self.layout.groups:
            family = group.family
            if isinstance(family, Product):
                family = family.learned_from(rows)
            else:
                family = family.learned(rows.total(family.statistics, merge=family.merge_statistics))
            for k in group.members:
                components[k] = family
        return Mixture(components, self.weights, self.tied)

    def labels_of(self, params: Params) -> list[NDArray[Any]]:
        """The categories of each column of labels; AttributeError where the components are not about labels."""
        own: Any = self.component_families[0]
        if not own.labels:
            raise AttributeError("The components of this mixture have no categories.")
        return list(own.labels_of(self.split(params)[0]))

    def split(self, params: Params) -> list[Params]:
        """The parameters of each component."""
        return self.layout.split(params)

    # -- rows --------------------------------------------------------------------------------------------------------------

    def log_density(self, rows: Rows, params: Params) -> Floats:
        return Components(self.layout, params).evidence(rows)

    def posterior(self, rows: Rows, params: Params) -> Floats:
        """The probability of every component given a row, (n, k); nan for a row outside the support of all."""
        components = Components(self.layout, params)
        out = np.empty((len(rows.X), self.layout.size))
        first = 0
        for part in components.parts(rows):
            evidence, shares = components.responsibilities(part)
            shares[:, evidence == -np.inf] = np.nan
            out[first : first + len(part.X)] = shares.T
            first += len(part.X)
        return out

    def expected_rows(self, rows: Rows, params: Params) -> Floats:
        """The expected noise-free row of every one that was measured with noise, (n, d)."""
        return Components(self.layout, params).expected_rows(rows)

    def joint_log_density(self, rows: Rows, params: Params) -> Floats:
        """log(weight) + log-density of every row under every component, (n, k)."""
        components = Components(self.layout, params)
        return np.concatenate([components.logs(part).T for part in components.parts(rows)])

    def log_likelihood(self, rows: Rows, params: Params) -> float:
        return weighted_sum(self.log_density(rows, params), rows.weights)

    def log_likelihood_and_gradient(self, rows: Rows, params: Params) -> tuple[float, Params]:
        step = Components(self.layout, params).block_rows
        return rows.total(gradient_block, self.layout, params, merge=both_added, block_rows=step)

    def score_rows(self, rows: Rows, params: Params) -> Params | None:
        components = Components(self.layout, params)
        shares = components.responsibilities(rows)[1]
        slopes: list[Params] = [{} for _ in range(self.layout.size)]
        for k, family in enumerate(self.component_families):
            own = shared_scores(family, rows, components.params[k], shares[k])
            if own is None:
                return None
            slopes[k] = own
        found: Params = {WEIGHTS: (shares / np.where(components.weights > 0.0, components.weights, np.inf)[:, None]).T}
        for group in self.layout.groups:
            for name in group.family.parameter_names:
                values = [slopes[k][name] for k in group.members]
                found[group.key(name)] = sum(values[1:], values[0]) if name == group.tied else np.stack(values, axis=1)
        return found

    def fit(self, rows: AnyRows, tol: float, max_iter: int, start: Params | None = None) -> tuple[Fit, Statistics]:
        if start is None:
            raise ValueError("A mixture is fitted from a start; fastkl.MixtureMLE finds starts.")
        begin = self.start_at(start, rows.n_columns)
        fixed = None if self.weights is None else begin[WEIGHTS]
        climb = Ascent(self, self.layout, rows, [None] * self.layout.size, fixed).run(begin, tol, max_iter)
        if climb.collapsed is not None:
            raise climb.collapsed
        fit = Fit(climb.params, climb.n_maps, climb.converged, climb.boundary, climb.log_likelihood)
        return fit, {"weight": np.float64(rows.total_weight)}

    # -- parameters --------------------------------------------------------------------------------------------------------

    def estimated_entries(self, params: Params) -> list[str]:
        spaces, entries = self.spaces(), []
        for name in self.free_names():
            space, value = spaces[name], params[name]
            if space.irregular or not space.size(value):
                continue
            names = space.entries(name, value)
            edges = np.ravel(space.at_edge(value))
            at_edge = edges if len(edges) == len(names) else np.zeros(len(names), dtype=bool)
            entries += [entry for entry, edge in zip(names, at_edge, strict=True) if not edge]
        return entries

    def covariance_of_params(self, statistics: Statistics, params: Params) -> tuple[list[str], Floats]:
        names = self.estimated_entries(params)
        chart = chart_at(self, params, names)
        slopes, curvature = chart.jacobian(params), np.asarray(_curvature(statistics)[0])
        # NaN where the rows do not determine the parameters: the likelihood is flat in some direction
        smooth = ~np.isnan(np.diag(curvature))  # along the others it is not, and they are held where they are
        covariance = (
            slopes[:, smooth] @ inverses(curvature[np.ix_(smooth, smooth)][np.newaxis])[0] @ slopes[:, smooth].T
        )
        sharp = chart.sharp_entries(slopes, curvature)
        covariance[sharp], covariance[:, sharp] = np.nan, np.nan
        return chart.names, covariance

    def standard_errors(self, statistics: Statistics, params: Params) -> Params:
        chart = chart_at(self, params, self.estimated_entries(params))
        return chart.fill(np.sqrt(np.diag(self.covariance_of_params(statistics, params)[1])))

    # -- the distribution itself -------------------------------------------------------------------------------------------

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        return self.sample_with_components(params, n_samples, generator)[0]

    def sample_with_components(
        self, params: Params, n_samples: int, generator: np.random.Generator
    ) -> tuple[NDArray[Any], NDArray[np.intp]]:
        """Draws, and the component that each is from."""
        which, weights = np.empty(n_samples, dtype=np.intp), params[WEIGHTS] / np.sum(params[WEIGHTS])
        for start in range(0, n_samples, AT_ONCE):
            some = which[start : start + AT_ONCE]
            some[:] = generator.choice(self.layout.size, size=len(some), p=weights)
        drawn = None
        for k, (family, own) in enumerate(zip(self.component_families, self.split(params), strict=True)):
            at = np.flatnonzero(which == k)
            if len(at):
                values = draws(family, own, len(at), generator)
                if drawn is None:
                    drawn = np.empty((n_samples, values.shape[1]), dtype=values.dtype)
                elif drawn.dtype != values.dtype:
                    drawn = drawn.astype(np.result_type(drawn, values))
                step = max(1, AT_ONCE // values.shape[1])
                for start in range(0, len(at), step):
                    drawn[at[start : start + step]] = values[start : start + step]
        assert drawn is not None
        return around(drawn, turn_of(self.component_families, self.split(params))), which

    def columnwise(self, params: Params) -> bool:
        """Whether it has a distribution function column by column."""
        return column_parts(self.component_families, self.split(params)) is not None

    def jointly(self, which: str) -> bool:
        """Whether it has a distribution function of the row as a whole: that of every component."""
        return have_joint(self.component_families, which)

    def _parts(self, params: Params) -> list[Part]:
        parts = column_parts(self.component_families, self.split(params))
        if parts is None:
            raise AttributeError("A mixture of joint distributions has no distribution function column by column.")
        return parts

    def log_cdf(self, x: Floats, params: Params) -> Floats:
        """log P(X <= x) by column, (n, d), or of the row as a whole, (n,)."""
        return self._log_tail("log_cdf", x, params)

    def log_sf(self, x: Floats, params: Params) -> Floats:
        """log P(X > x) likewise."""
        return self._log_tail("log_sf", x, params)

    def _log_tail(self, which: str, x: Floats, params: Params) -> Floats:
        if self.columnwise(params):
            return log_tail(self._parts(params), params[WEIGHTS], x, upper=which == "log_sf")
        return joint_log_tail(which, self.component_families, self.split(params), params[WEIGHTS], x)

    def cdf(self, x: Floats, params: Params) -> Floats:
        """P(X <= x)."""
        return np.asarray(np.exp(self.log_cdf(x, params)))

    def sf(self, x: Floats, params: Params) -> Floats:
        """P(X > x)."""
        return np.asarray(np.exp(self.log_sf(x, params)))

    def quantile(self, p: Floats, params: Params) -> Floats:
        """The least x with P(X <= x) >= p, by column."""
        return quantile(self._parts(params), params[WEIGHTS], p, upper=False)

    def upper_quantile(self, q: Floats, params: Params) -> Floats:
        """The least x with P(X > x) <= q, by column."""
        return quantile(self._parts(params), params[WEIGHTS], q, upper=True)

    def moments(self, params: Params) -> tuple[Floats, Floats] | None:
        # means of angles and directions do not average
        return mixed_moments(self._components(params), params[WEIGHTS]) if self.equivariant else None

    def mode(self, params: Params) -> Floats | None:
        return normal_mode(self._components(params), params[WEIGHTS])

    def marginal(self, params: Params, columns: Sequence[int]) -> tuple[Family, Params] | None:
        parts = [family.marginal(own, columns) for family, own in self._components(params)]
        known = [part for part in parts if part is not None]
        return self._of_parts(known, params[WEIGHTS]) if len(known) == len(parts) else None

    def conditional(
        self, params: Params, kept: Sequence[int], given: Sequence[int], values: NDArray[Any]
    ) -> tuple[Family, Params]:
        """The columns kept, given the values of the others: each component's own, weighted by its posterior given them."""
        return self._of_parts(*conditioned(self._components(params), params[WEIGHTS], kept, given, values))

    def of_columns(self, params: Params, columns: Sequence[int]) -> tuple[Family, Params]:
        parts = [family.of_columns(own, columns) for family, own in self._components(params)]
        return self._of_parts(parts, params[WEIGHTS])

    def _components(self, params: Params) -> list[tuple[Family, Params]]:
        return list(zip(self.component_families, self.split(params), strict=True))

    def _of_parts(self, parts: Sequence[tuple[Family, Params]], weights: Floats) -> tuple[Family, Params]:
        """The mixture of these components."""
        mixture = Mixture([family for family, _ in parts], tied=self.tied)
        return mixture, mixture.layout.join([own for _, own in parts], weights)


def _curvature(statistics: Statistics) -> Floats:
    if "curvature" not in statistics:
        raise AttributeError(
            "The fit did not form the observed information, which takes some passes over the rows for each parameter: fit with "
            "standard_errors=True."
        )
    return np.asarray(statistics["curvature"])
