"""What a divergence is taken of: each argument is resolved once, to one of four kinds, and the kinds say what is computed.

==================  =====================================================================================
Sample              rows of numbers (or labels, for a discrete model), checked when they are asked for
Empirical           point masses on the rows of a sample, asked for as such (``empirical(X)``)
Density             a model whose log-density is with respect to volume
Discrete            a model whose log-density is a log-probability
==================  =====================================================================================

A density and a discrete model are both a `ModelOperand`. A definition (a divergence, an entropy, a test) is a table from kinds to
functions, `Rules`: no function asks what its arguments are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any, ClassVar, Generic, TypeVar, cast

from numpy.typing import ArrayLike, NDArray

from fastkl.divergence.arguments import FloatArray, Sample, as_sample, same_columns
from fastkl.divergence.column_words import errors_by_names, estimate_by_names, text_names
from fastkl.divergence.estimate import Estimate, doubted
from fastkl.divergence.matching import match_columns, warn_of_probabilities
from fastkl.divergence.models.draws import default_draws, drawn_sample, resolve_draws
from fastkl.divergence.models.model import Model, is_model
from fastkl.divergence.models.scipy_families import refuse_unsettled
from fastkl.divergence.nearest.neighbors import SamplePair
from fastkl.divergence.options import Options
from fastkl.divergence.symbols.empirical import EmpiricalDistribution, as_rows
from fastkl.rows.indexes import refuse_other_rows
from fastkl.rows.reading import refuse_sparse
from fastkl.rows.weights import read_weights

T = TypeVar("T")


@dataclass(frozen=True)
class Operand:
    """One argument of a divergence.

    Parameters
    ----------
    name : str
        Name of the argument, for messages.
    """

    kind: ClassVar[str]
    name: str


@dataclass(frozen=True)
class SampleOperand(Operand):
    """Rows, as they were passed."""

    kind = "a sample"
    data: Any
    weights: ArrayLike | None = None
    n_jobs: int | None = None

    @cached_property
    def sample(self) -> Sample:
        """The rows as numbers, with their weights; checked."""
        return as_sample(self.data, self.name, self.weights, self.n_jobs)

    @cached_property
    def rows(self) -> NDArray[Any]:
        """The rows as they are, labels included; checked."""
        return as_rows(self.data)

    def masses(self, n_rows: int) -> FloatArray | None:
        """Weights of the rows, of which there are so many, those of weight 0 included; checked."""
        refuse_other_rows(self.data, self.weights, (self.name, f"sample_weight of {self.name}"))
        return read_weights(self.weights, n_rows, f"sample_weight of {self.name}")

    @cached_property
    def frequencies(self) -> EmpiricalDistribution:
        """The distinct rows, labels included, with their frequencies; checked."""
        return EmpiricalDistribution(self.data, self.weights)


@dataclass(frozen=True)
class EmpiricalOperand(Operand):
    """Point masses."""

    kind = "an empirical distribution"
    frequencies: EmpiricalDistribution


@dataclass(frozen=True)
class ModelOperand(Operand):
    """An object with a log-density."""

    model: Model


@dataclass(frozen=True)
class DensityOperand(ModelOperand):
    """A model with a density, in some columns at least."""

    kind = "a density"


@dataclass(frozen=True)
class DiscreteOperand(ModelOperand):
    """A model of probabilities."""

    kind = "a discrete model"


def operand(
    thing: Any,
    name: str,
    weights: ArrayLike | None = None,
    n_jobs: int | None = None,
    *,
    discrete_call: str | None = None,
) -> Operand:
    """The kind of an argument, by the methods it has; a warning where it is the probabilities that ``discrete_call`` takes."""
    known: Operand
    if isinstance(thing, type) and is_model(thing):
        raise TypeError(f"{name} is the class {thing.__name__}, which has no parameters yet; pass an instance of it.")
    if isinstance(thing, EmpiricalDistribution):
        known = EmpiricalOperand(name, thing)
    elif is_model(thing):
        refuse_unsettled(thing, name)
        model = Model(thing, name)
        known = DiscreteOperand(name, model) if model.discrete else DensityOperand(name, model)
    else:
        refuse_sparse(thing, name)
        if discrete_call is not None and weights is None:
            warn_of_probabilities([thing], discrete_call)
        return SampleOperand(name, thing, weights, n_jobs)
    if weights is not None:
        raise ValueError(f"sample_weight_{name} belongs to the rows of a sample, which {name} is not.")
    return known


def operands(
    p: Any,
    q: Any,
    sample_weight_p: ArrayLike | None = None,
    sample_weight_q: ArrayLike | None = None,
    n_jobs: int | None = None,
    *,
    discrete_call: str | None = None,
) -> tuple[Operand, Operand]:
    """Both arguments, with the columns of two tables matched by name.

    An error for a table or a model with other columns than those of the other, or than those the other was fitted to; a warning
    for two vectors of probabilities, which ``discrete_call`` takes.
    """
    first, second = operand(p, "p", sample_weight_p, n_jobs), operand(q, "q", sample_weight_q, n_jobs)
    if isinstance(first, SampleOperand) and isinstance(second, SampleOperand):
        if discrete_call is not None and sample_weight_p is None and sample_weight_q is None:
            warn_of_probabilities([p, q], discrete_call)
        return first, replace(second, data=match_columns(p, q))
    for one, other in ((first, second), (second, first)):
        if isinstance(one, ModelOperand) and isinstance(other, SampleOperand):
            one.model.same_names(other.data)
    if isinstance(first, ModelOperand) and isinstance(second, ModelOperand):
        first.model.same_names(second.model)
    return first, second


Kinds = tuple[type[Operand], ...]


class Rules(Generic[T]):
    """What a definition computes, by the kinds of its operands.

    Parameters
    ----------
    rules : mapping of tuple of Operand classes to functions
        A function takes the operands and the options. Where several rows of the table fit, that of the first operand's own kind
        comes first.
    """

    def __init__(self, rules: Mapping[Kinds, Callable[..., T]]) -> None:
        self._rules = dict(rules)

    def __call__(self, *given: Operand, options: Options) -> T:
        """The value of the definition; ValueError for kinds that it does not exist for."""
        for kinds in product(*(type(one).__mro__ for one in given)):
            if kinds in self._rules:
                names = names_of(*given)
                with errors_by_names(names):
                    found: Any = self._rules[kinds](*given, options)
                if isinstance(found, Estimate):
                    if not options.standard_error and found.standard_error > 0.0:  # one that came with the value
                        found = doubted(found, found.reasons, error=float("nan"))
                    found = estimate_by_names(found, names)
                return cast("T", found)
        raise ValueError(_refusal(given))


def names_of(*given: Operand) -> list[str]:
    """The names of the columns, where a sample is a table whose columns have names; else none."""
    return next((names for one in given if isinstance(one, SampleOperand) and (names := text_names(one.data))), [])


def _refusal(given: tuple[Operand, ...]) -> str:
    """Why there is no rule, and what there is instead."""
    for one in given:
        if isinstance(one, EmpiricalOperand):
            return (
                f"{one.name} is an empirical distribution; only a discrete model can be compared with it. For two samples of "
                f"symbols use fastkl.categorical_kl; for numbers pass the samples themselves."
            )
    if all(isinstance(one, ModelOperand) for one in given):
        return f"{' and '.join(one.name for one in given)} are both models; pass at least one sample."
    return (
        f"There is no estimator of this for {' and '.join(f'{one.name}, {one.kind}' for one in given)}; pass models with a "
        "log-density."
    )


# Pairs with at least one sample: draws may take the place of the other operand.
WITH_A_SAMPLE: tuple[Kinds, ...] = (
    (SampleOperand, SampleOperand),
    (SampleOperand, ModelOperand),
    (ModelOperand, SampleOperand),
)


def sample_pair(p: Operand, q: Operand, options: Options, *, draws_per_row: int | None = None) -> SamplePair:
    """Both operands as samples; a model gives draws, by default as many as befit the other sample."""
    if isinstance(p, SampleOperand) and isinstance(q, SampleOperand):
        options.refuse_those_of_models()
    first, second = (_as_sample(one, like, options, draws_per_row) for one, like in ((p, q), (q, p)))
    return SamplePair(*same_columns(first, second))


def _as_sample(one: Operand, like: Operand, options: Options, draws_per_row: int | None) -> Sample:
    """An operand as a sample, where one of the two is one."""
    if isinstance(one, SampleOperand):
        return one.sample
    assert isinstance(one, ModelOperand)
    assert isinstance(like, SampleOperand)
    rows = like.sample.n_rows
    default = default_draws(rows) if draws_per_row is None else draws_per_row * rows
    return drawn_sample(one.model, resolve_draws(options.n_draws, default), like.sample, options.rng)


# For what is known of samples alone.
SAMPLES: Rules[SamplePair] = Rules(dict.fromkeys(WITH_A_SAMPLE, sample_pair))
