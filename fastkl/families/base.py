"""What a family of distributions is: the contract that every descriptor fulfils, on one page.

A family turns rows into sums, sums into parameters, and parameters into log-densities. It knows no estimator. Parameters given to
its constructor are held fixed. Rows arrive validated (two-dimensional, finite, weights of at least 0); what remains to be checked
here is what only the family knows: its support, its parameters, and whether a maximum exists.

What a family *must* give is needed; what it *may* give is offered, and has a default; what is derived follows from those for
every family alike, and only families made of others override it (a test holds the rest to this). A method is described here,
once: a family adds only what is special about its own. Univariate families get most of it from ``UnivariateFamily`` and the
kernel.

A fit sees ``AnyRows``: rows in memory, or rows that are read block by block as often as they are passed over. It looks at values
only in functions of one block, handed to ``total``, and on ``sample``, so that the same lines serve both.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

from fastkl._core.alignment import aligned
from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.rows import AnyRows, Rows
from fastkl.exceptions import SupportError
from fastkl.families.spaces import Space
from fastkl.families.synonyms import unknown_parameters
from fastkl.families.weightless import raise_if_weightless


@dataclass(frozen=True)
class Fit:
    """A maximum: the parameters, how they were found, and which of them sit at a boundary (with a sentence each)."""

    params: Params
    n_iter: int = 1
    converged: bool = True
    boundary: dict[str, str] = field(default_factory=dict)
    log_likelihood: float | None = None  # where the iteration has it at hand
    prior: Any = None  # the prior that took part, with what it took from the data


class Family(BaseEstimator):
    """A family of distributions: subclasses say how to sum, how to solve, and how to score.

    Throughout, ``rows`` is a ``Rows``, all rows or a block of them, ``params`` a complete dict of arrays shaped as in
    ``params_``, and ``statistics`` what ``statistics`` gave, or a merge of such. Totals are weighted sums over rows, in nats.

    Examples
    --------
    >>> from fastkl import families
    >>> gamma = families.Gamma(shape=2.0)
    >>> isinstance(gamma, families.Family), gamma.fixed_parameters()
    (True, {'shape': 2.0})
    """

    name: ClassVar[str]
    parameters: ClassVar[Mapping[str, Space]]  # what each parameter is, in the order of the information's rows
    parameter_names: ClassVar[tuple[str, ...]]  # derived from ``parameters``
    _options: ClassVar[frozenset[str]] = frozenset()  # what the constructor takes
    discrete: ClassVar[bool] = False
    labels: ClassVar[bool] = False
    composed: ClassVar[bool] = False  # made of other families, so that its name alone does not say what it is
    joint: ClassVar[bool] = False
    least_columns: ClassVar[int] = 1  # of a row
    aliases: ClassVar[tuple[str, ...]] = ()  # other names that find it: everyday ones, those of other libraries
    scipy_name: ClassVar[str | None] = None  # its name in scipy.stats, which finds it too
    scipy_parameters: ClassVar[Mapping[str, str]] = {}  # scipy's parameters by name, and which of its own each one is
    has_statistics: ClassVar[bool] = True
    # Whether multiplying all rows by c > 0 shifts log-densities by -d log c and does nothing else, as long as the rows stay in
    # the support; False for densities of angles and directions. Without meaning for discrete families.
    equivariant: ClassVar[bool] = True
    takes_missing: ClassVar[bool] = False  # whether NaN may stand for a value that is not known (``Rows.incomplete``)
    # Whether its distributions are the normal ones, by a location and its spread (a standard deviation, variances, a covariance),
    # with mean, and scatter or its root by column (deviation), among the statistics.
    gaussian: ClassVar[bool] = False
    smooth: ClassVar[bool] = True  # whether the log-likelihood has a second derivative everywhere: no kinks at the rows
    observed_columns: ClassVar[float] = np.inf  # of more, a fit without statistics keeps no observed information
    # Typical parameters of two columns: the contract test draws its data from them.
    example: ClassVar[Params]

    # -- the distribution as a textbook has it, for the contract test: log-density, tails and entropy are held to it at
    # ``example`` and ``extreme``. ``mp`` is mpmath, whose numbers x and the parameters are: scalars for univariate families,
    # lists of numbers and matrices for joint ones -----------------------------------------------------------------------------

    #: ``textbook(mp, x, **params)``: log p(x) inside the support, by the plainest formula.
    textbook: ClassVar[Callable[..., Any]]
    #: ``textbook_tails(mp, x, **params)``: P(X <= x) and P(X > x), both with all digits; they are integrals where it is None, or
    #: gives None because mpmath does not get there.
    textbook_tails: ClassVar[Callable[..., tuple[Any, Any] | None] | None] = None
    #: ``textbook_entropy(mp, **params)``: entropy in nats; without it an integral of log p(x).
    textbook_entropy: ClassVar[Callable[..., Any] | None] = None
    #: Parameters of one column at which a careless formula would lose its digits.
    extreme: ClassVar[Sequence[Params]] = ()

    def __new__(cls, *args: Any, **options: Any) -> Self:
        if not options.keys() <= cls._options:
            cls.raise_if_unknown(options)
        return super().__new__(cls)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._options = frozenset(list(inspect.signature(cls.__init__).parameters)[1:])
        if "parameters" in vars(cls) and "parameter_names" not in vars(cls):
            cls.parameter_names = tuple(cls.parameters)

    # -- needed by every family --------------------------------------------------------------------------------------------

    def log_density(self, rows: Rows, params: Params) -> Floats:
        """Log-density of every row, (n,); -inf outside the support."""
        raise NotImplementedError

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        """Draws, (n_samples, d)."""
        raise NotImplementedError

    def covariance_of(self, name: str, statistics: Statistics, params: Params) -> Floats:
        """Inverse observed information about the entries of one parameter, where parameters are estimated independently."""
        raise NotImplementedError

    # -- needed with sufficient statistics ---------------------------------------------------------------------------------
    # Sums over the rows that know the likelihood at all parameters: chunks of rows merge, and no search passes over the rows.

    def statistics(self, rows: Rows) -> Statistics:
        """Sufficient statistics of the rows, ``"weight"`` among them; SupportError for a value of density zero.

        Rows of weight 0 count as absent, whatever they hold.
        """
        raise NotImplementedError

    def merge_statistics(self, first: Statistics, second: Statistics) -> Statistics:
        """Statistics of both sets of rows together; those of weight 0 leave the others as they are, to the last bit."""
        raise NotImplementedError

    def solve(self, statistics: Statistics) -> Fit:
        """The maximum of the likelihood given the statistics; DegenerateDataError if there is none."""
        raise NotImplementedError

    def statistics_log_likelihood(self, statistics: Statistics, params: Params) -> float:
        """Total log-likelihood at any parameters, from the statistics alone."""
        raise NotImplementedError

    def statistics_gradient(self, statistics: Statistics, params: Params) -> Params:
        """The gradient of that by the parameters: a dict shaped like ``params``."""
        raise NotImplementedError

    # -- offered: the same of rows -----------------------------------------------------------------------------------------
    # A family without sufficient statistics (``has_statistics`` False) gives the first three. All add up over blocks of rows:
    # ``rows.total(family.log_likelihood, params)``, ``rows.total(family.gradient, params, merge=added)``.

    def fit(self, rows: AnyRows, tol: float, max_iter: int, start: Params | None = None) -> tuple[Fit, Statistics]:
        """The maximum of the likelihood, and what the standard errors need.

        With sufficient statistics those are they. A family without (``has_statistics`` False) iterates over the rows, at most
        ``max_iter`` times, until the remaining gain is below ``tol`` per unit of weight, and returns at least the ``"weight"``
        and the observed ``"information"`` at the maximum. With ``start``, complete parameters, the search begins there and
        nowhere else, and never ends below; what is held fixed stays. A maximum in closed form has no use for it.
        """
        statistics = rows.total(self.statistics, merge=self.merge_statistics)
        raise_if_weightless(self.statistics_weight(statistics))
        if start is None:
            return self.solve(statistics), statistics
        return self.solve_from(statistics, self.start_at(start, rows.n_columns)), statistics

    def fit_alone(self, rows: AnyRows, tol: float, max_iter: int, start: Params | None = None) -> Fit:
        """The same without what standard errors need, which a mixture asks for again and again; a start is one of its places."""
        return self.fit(rows, tol, max_iter, start)[0]

    def log_likelihood(self, rows: Rows, params: Params) -> float:
        """Total log-likelihood of the rows, -inf if one lies outside the support."""
        try:
            statistics = self.likelihood_statistics(rows)
        except SupportError:
            return -np.inf
        return self.statistics_log_likelihood(statistics, params)

    def log_likelihood_and_gradient(self, rows: Rows, params: Params) -> tuple[float, Params]:
        """The total log-likelihood and its gradient from one pass over the rows; SupportError for a value of density zero."""
        statistics = self.likelihood_statistics(rows)
        return self.statistics_log_likelihood(statistics, params), self.statistics_gradient(statistics, params)

    def gradient(self, rows: Rows, params: Params) -> Params:
        """Gradient of the total log-likelihood of the rows; SupportError as above."""
        if not self.has_statistics:
            return self.log_likelihood_and_gradient(rows, params)[1]
        return self.statistics_gradient(self.likelihood_statistics(rows), params)

    def likelihood_statistics(self, rows: Rows) -> Statistics:
        """The statistics that the likelihood and its gradient need, where those of a fit are more."""
        return self.statistics(rows)

    def score_rows(self, rows: Rows, params: Params) -> Params | None:
        """Gradient of the log-density of every row, one array (n, ...) per parameter; None leaves it to differences."""
        return None

    # -- offered: ways to the maximum --------------------------------------------------------------------------------------

    def solve_from(self, statistics: Statistics, start: Params) -> Fit:
        """The same by a search that begins at these parameters, where there is a search."""
        return self.solve(statistics)

    def starting_parameters(self, statistics: Statistics) -> Params:
        """Where the search for a maximum with a prior starts: the maximum without, or a guess if there is none."""
        return self.solve(statistics).params

    def learned(self, statistics: Statistics) -> Family:
        """The family with what else it learnt from the rows (categories, say); itself for most."""
        return self

    # -- offered: several components at once, of a block of rows -----------------------------------------------------------
    # Each gives, to the last bit, what a call of its own gives; weights (n, k) are multiplied by those of the rows.

    def component_statistics(self, rows: Rows, weights: Floats) -> list[Statistics]:
        """Statistics of the rows under each of k columns of weights."""
        return [self.statistics(component) for component in rows.components(weights)]

    def component_log_density(self, rows: Rows, params: Sequence[Params]) -> Floats:
        """Log-density of every row at each of k sets of parameters, (n, k)."""
        return np.stack([self.log_density(rows, at) for at in params], axis=1)

    def component_likelihoods(
        self, rows: Rows, params: Sequence[Params], weights: Floats | None = None
    ) -> list[tuple[float, Params]]:
        """Log-likelihood and gradient at each of k sets of parameters, with a column of weights for each where there are some."""
        if weights is None and self.has_statistics:
            statistics = self.likelihood_statistics(rows)
            return [
                (self.statistics_log_likelihood(statistics, at), self.statistics_gradient(statistics, at))
                for at in params
            ]
        of_components = [rows] * len(params) if weights is None else rows.components(weights)
        return [self.log_likelihood_and_gradient(own, at) for own, at in zip(of_components, params, strict=True)]

    # -- offered: parameters -----------------------------------------------------------------------------------------------
    # What follows from the spaces, unless a family knows better.

    def fixed_parameters(self) -> Params:
        """The parameters that the constructor holds fixed."""
        given = {name: getattr(self, name, None) for name in self.parameter_names}
        return {name: value for name, value in given.items() if value is not None}

    def spaces(self) -> Mapping[str, Space]:
        """What each parameter is, where options of the family decide; ``parameters`` otherwise."""
        return self.parameters

    def shaped(self, given: Params, d: int) -> Params:
        """Some of the parameters in the shapes of ``params_`` for rows of d columns, checked for range."""
        if d < self.least_columns:
            raise ValueError(f"{self.name} needs rows of at least {self.least_columns} columns; here n_features = {d}.")
        spaces = self.spaces()
        return {name: spaces[name].shaped(value, d, f"{self.name}: {name}") for name, value in given.items()}

    def shaped_parameters(self, params: Params) -> Params:
        """Parameters brought to the shapes of ``params_`` and checked for range."""
        return self.shaped(params, self.n_columns(params))

    def fixed_columns(self, d: int) -> Params:
        """The parameters held fixed, in the shapes of ``params_`` for rows of d columns, checked for range."""
        return self.shaped(self.fixed_parameters(), d)

    def estimated_names(self, params: Params) -> list[str]:
        """The parameters that have standard errors: estimated, regular, and inside their range."""
        spaces = self.spaces()
        regular = [name for name in self.free_names() if not spaces[name].irregular and spaces[name].size(params[name])]
        return [name for name in regular if not np.any(spaces[name].at_edge(params[name]))]

    def estimated_entries(self, params: Params) -> list[str]:
        """Names of their entries (``"scale[0]"``), in the order of ``covariance_of_params``."""
        spaces = self.spaces()
        return [entry for name in self.estimated_names(params) for entry in spaces[name].entries(name, params[name])]

    def covariance_of_params(self, statistics: Statistics, params: Params) -> tuple[list[str], Floats]:
        """Names of the estimated parameters (``"scale[0]"``) and the inverse observed information in their order."""
        names = self.estimated_entries(params)
        full, at = np.zeros((len(names), len(names))), 0
        for name in self.estimated_names(params):
            block = self.covariance_of(name, statistics, params)
            full[at : at + len(block), at : at + len(block)] = block
            at += len(block)
        return names, full

    def standard_errors(self, statistics: Statistics, params: Params) -> Params:
        """Square roots of the diagonal of the inverse observed information, shaped like the estimated parameters."""
        spaces, variances = self.spaces(), np.diag(self.covariance_of_params(statistics, params)[1])
        # not known where the maximum is flat to rounding
        deviations = np.sqrt(np.where(variances >= 0.0, variances, np.nan))
        errors, at = {}, 0
        for name in self.estimated_names(params):
            count = len(spaces[name].entries(name, params[name]))
            errors[name] = spaces[name].filled(deviations[at : at + count], params[name])
            at += count
        return {name: value for name, value in errors.items() if not np.all(np.isnan(value))}

    # -- offered: the distribution itself ----------------------------------------------------------------------------------

    def entropy(self, params: Params) -> float | None:
        """Entropy of a row in nats, where it has a closed form."""
        return None

    def moments(self, params: Params) -> tuple[Floats, Floats] | None:
        """Mean (d,), and variances (d,) or the covariance (d, d); inf where infinite, NaN where not defined, None if unknown."""
        return None

    def mode(self, params: Params) -> NDArray[Any] | None:
        """The most probable value (d,), the smallest of several; NaN where there is no single one, None if unknown."""
        return None

    def to_scipy(self, params: Params) -> dict[str, Any]:
        """The arguments by name of the same distribution in scipy.stats, where it has a ``scipy_name``."""
        return {scipy: params[own] for scipy, own in self.scipy_parameters.items()}

    def from_scipy(self, arguments: Mapping[str, Any]) -> Params:
        """Parameters (and options) from all of scipy's arguments, loc and scale too; ValueError where none would be right."""
        self.raise_if_moved(arguments, self.scipy_parameters)
        return {own: arguments[scipy] for scipy, own in self.scipy_parameters.items()}

    def marginal(self, params: Params, columns: Sequence[int]) -> tuple[Family, Params] | None:
        """That of some columns: a family that holds nothing fixed, and its parameters; None if it has no closed form."""
        return None if self.joint else self.of_columns(params, columns)

    def of_columns(self, params: Params, columns: Sequence[int]) -> tuple[Family, Params]:
        """The family with the parts of the parameters that belong to some of the columns."""
        options = {name: value for name, value in self.get_params(deep=False).items() if name not in self.parameters}
        parts = {name: space.taken(params[name], list(columns)) for name, space in self.spaces().items()}
        return type(self)(**options), parts

    @classmethod
    def examples(cls) -> list[tuple[Family, Params]]:
        """Distributions that the contract test tries: the family itself, and its variants where it has some."""
        return [(cls(), cls.example)]

    # -- derived: the same for every family --------------------------------------------------------------------------------

    def raise_if_moved(self, arguments: Mapping[str, Any], known: Iterable[str]) -> None:
        """ValueError if scipy's loc or scale is not the one that this family has, 0 or 1."""
        for name, neutral in (("loc", 0.0), ("scale", 1.0)):
            value = arguments.get(name, neutral)
            if name not in known and np.any(np.asarray(value) != neutral):
                raise ValueError(
                    f"scipy's {self.scipy_name} has {name}={value}, but the family {self.name} has {name} {neutral:g}. Shift or "
                    "scale the rows before, or by a TransformedDensity with a scaler."
                )

    def statistics_weight(self, statistics: Statistics) -> float:
        """Sum of the weights behind the statistics."""
        return float(np.ravel(statistics["weight"])[0])

    def start_at(self, start: Params, d: int) -> Params:
        """Where a search of rows of d columns begins: the parameters given, but for those held fixed; ValueError if none fit."""
        params = self.check_parameters({**start, **self.fixed_columns(d)})
        if self.n_columns(params) != d:
            raise ValueError(f"{self.name}: the start is one of {self.n_columns(params)} columns, the rows have {d}.")
        return params

    def free_names(self) -> list[str]:
        """Parameters that a fit estimates."""
        fixed = self.fixed_parameters()
        return [name for name in self.parameter_names if name not in fixed]

    def check_parameters(self, params: Mapping[str, ArrayLike]) -> Params:
        """Complete parameters from a user, as float64 arrays; ValueError for what is missing, unknown or out of range."""
        given = {**self.fixed_parameters(), **params}
        missing = [name for name in self.parameter_names if name not in given]
        unknown = [name for name in given if name not in self.parameter_names]
        self.raise_if_unknown(unknown, ValueError, self.parameter_names)
        if missing:
            raise ValueError(
                f"{self.name} takes the parameters {', '.join(self.parameter_names)}; this call lacks {', '.join(missing)}."
            )
        for name in self.parameter_names:
            if np.iscomplexobj(given[name]):
                raise ValueError(f"{self.name}: {name} is complex; parameters are real numbers.")
        numbers = {name: aligned(np.asarray(given[name], dtype=np.float64)) for name in self.parameter_names}
        return self.shaped_parameters(numbers)

    @classmethod
    def raise_if_unknown(
        cls, names: Iterable[str], error: type[Exception] = TypeError, parameters: tuple[str, ...] | None = None
    ) -> None:
        """An error that says what the family takes, and what names from other libraries are called here."""
        known = tuple(cls.parameters) if parameters is None else parameters  # of an instance, for families of families
        unknown = [name for name in names if name not in cls._options and name not in known]
        if unknown:
            options = sorted(cls._options - set(known))
            raise error(unknown_parameters(cls.name, unknown, known, options, cls.scipy_parameters))

    def n_columns(self, params: Params) -> int:
        """Columns of a row."""
        told = (space.n_columns(params[name]) for name, space in self.spaces().items())
        return next(d for d in told if d is not None)

    def n_parameters(self, params: Params) -> int:
        """Number of parameters that a fit estimates."""
        spaces = self.spaces()
        return sum(spaces[name].size(params[name]) for name in self.free_names())
