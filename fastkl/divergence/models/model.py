"""Models as the divergences meet them: through what they offer, from any library.

A model has a log-density per row (``score_samples``, ``logpdf``, ``logpmf``, ``log_prob`` or ``log_pdf``) and perhaps draws
(``sample``, ``rvs`` or ``resample``). That covers the densities of this library, those of scikit-learn, frozen distributions of
scipy, distributions of torch, numpyro and skpro, and anything written alike. All answers are checked: a shape that does not fit
or a NaN is an error that names the row.
"""

from __future__ import annotations

import copy
import inspect
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl._core._threads import effective_n_threads
from fastkl._core.rows import Rows
from fastkl._core.warned import names_compared
from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.models import foreign_models
from fastkl.divergence.models.scipy_families import family_of_frozen
from fastkl.families.drawing import turn_of
from fastkl.rows.tables import column_names, with_fitted_names

_LOG_DENSITIES = ("score_samples", "logpdf", "logpmf", *foreign_models.LOG_DENSITIES)


def is_model(thing: object) -> bool:
    """Whether the argument of a divergence is a model, by the methods it has."""
    return any(callable(getattr(thing, name, None)) for name in _LOG_DENSITIES)


class Model:
    """One face for all models.

    Parameters
    ----------
    thing : object
        The model as it was passed.
    name : str
        Name of the argument, for messages.
    """

    def __init__(self, thing: Any, name: str) -> None:
        foreign_models.refuse_batch(thing, name)
        self.thing = thing
        self.name = name

    @property
    def discrete(self) -> bool:
        """Whether the log-density is a log-probability (with respect to counting)."""
        own = getattr(self.thing, "discrete_", None)
        if own is not None:
            return bool(own)
        family = getattr(self.thing, "family_", None)
        if family is not None:
            return bool(getattr(family, "discrete", False))
        if hasattr(self.thing, "logpmf") and hasattr(self.thing, "logpdf"):
            return any(base.__name__ == "DiscreteDistribution" for base in type(self.thing).__mro__)
        return hasattr(self.thing, "logpmf") or foreign_models.is_discrete(self.thing)

    @property
    def factors(self) -> list[tuple[tuple[int, ...], Model]] | None:
        """Columns and models of the independent parts of a product; None for any other model."""
        factors = getattr(self.thing, "factors_", None)
        return None if factors is None else [(columns, Model(part, self.name)) for columns, part in factors]

    @property
    def discrete_columns(self) -> frozenset[int] | None:
        """The discrete columns of a model that has columns of both kinds; None for any other model."""
        factors = self.factors
        if self.discrete:
            return None
        if factors is None:
            own = getattr(self.thing, "discrete_columns_", None)
            return own or getattr(self.family, "discrete_columns", None) or None
        of_parts = [(columns, part, part.discrete_columns or ()) for columns, part in factors]
        return (
            frozenset(j for columns, part, own in of_parts for i, j in enumerate(columns) if part.discrete or i in own)
            or None
        )

    @property
    def given_sums(self) -> list[tuple[int, ...]]:
        """Columns whose sum is given: the model is one of rows with this sum, and says nothing of it."""
        if self.factors is None:
            return _given_sums(self.family, self.n_columns or 0)
        return [tuple(columns[j] for j in own) for columns, part in self.factors for own in part.given_sums]

    @property
    def dimensions_lost(self) -> int:
        """How many dimensions fewer than columns the rows have, on a simplex or a sphere, where balls are smaller."""
        if self.factors is not None:
            return sum(part.dimensions_lost for _, part in self.factors)
        if self.law is None:
            return int(getattr(self.thing, "_on_surface", False))
        return max(map(_dimensions_lost, _components(self.law[0])))

    @property
    def family(self) -> Any:
        """The family's descriptor, or None for a model from elsewhere."""
        return getattr(self.thing, "family_", None)

    @property
    def params(self) -> Any:
        """The family's parameters, or None for a model of no family, whose parameters may be those of other variables."""
        return None if self.family is None else getattr(self.thing, "params_", None)

    @property
    def law(self) -> tuple[Any, Any] | None:
        """Family and parameters, of a frozen scipy distribution too; None for a model of no family."""
        if self.family is not None:
            return None if self.params is None else (self.family, self.params)
        return family_of_frozen(self.thing)

    @property
    def turn(self) -> tuple[float, float] | None:
        """Between which angles draws of a model of angles lie, of which the log-density goes on beyond; None for any other."""
        if self.family is not None and self.params is not None:
            mixed = hasattr(self.family, "component_families")
            return turn_of(_components(self.family), self.family.split(self.params) if mixed else [self.params])
        return getattr(self.thing, "_turn", None) if self.family is None else None

    @property
    def behind_a_transformer(self) -> tuple[Any, Model] | None:
        """The transformer of a density behind one, and that density; None for any other model."""
        transformer, inner = (getattr(self.thing, name, None) for name in ("transformer_", "density_"))
        return None if inner is None or transformer is None else (transformer, Model(inner, self.name))

    @property
    def n_columns(self) -> int | None:
        """The number of columns, where the model says it."""
        known = getattr(self.thing, "n_features_in_", getattr(self.thing, "dim", None))
        if known is None and hasattr(getattr(self.thing, "dist", None), "_parse_args"):
            return 1  # a univariate distribution of scipy
        if known is None:
            return foreign_models.n_columns_of(self.thing)
        return int(known) if isinstance(known, (int, np.integer)) else None

    def quantiles(self, levels: FloatArray) -> FloatArray | None:
        """Quantiles of a model of one column, where it knows them."""
        for name in ("ppf", "quantile", "icdf"):
            known = getattr(self.thing, name, None)
            if callable(known):
                try:
                    values = foreign_models.as_numbers(known(foreign_models.as_given(self.thing, levels)))
                    values = np.asarray(values, dtype=np.float64).reshape(-1)
                except (TypeError, ValueError, NotImplementedError, AttributeError):  # the last one: a mixture
                    continue
                if values.shape == levels.shape:
                    return values
        return None

    @property
    def can_draw(self) -> bool:
        """Whether it offers draws."""
        # scikit-learn's KernelDensity has the method for every kernel, and draws for two.
        if type(self.thing).__name__ == "KernelDensity" and self.thing.kernel not in ("gaussian", "tophat"):
            return False
        return any(callable(getattr(self.thing, name, None)) for name in ("sample", "rvs", "resample"))

    def log_density(self, X: NDArray[Any]) -> FloatArray:
        """Log-density of each row of X (n, d): (n,); -inf where the density is 0."""
        self._refuse_other_columns(X)
        with names_compared():
            values = self._asked(self._as_it_takes_them(X))
        values = self._checked(np.asarray(values, dtype=np.float64), X)
        if self.family is None and np.isneginf(values).any() and self.law is not None and X.dtype.kind in "fiub":
            # some of scipy's are logarithms of densities, which are rounded to 0 in a tail
            family, params = self.law
            rows = Rows(np.ascontiguousarray(X, dtype=np.float64), n_threads=1)
            values = np.where(np.isneginf(values), family.log_density(rows, params), values)
        return values

    @property
    def fitted_names(self) -> list[Any] | None:
        """Names of the columns that it was fitted to; None where they had none."""
        fitted = getattr(self.thing, "feature_names_in_", None)
        return None if fitted is None else list(fitted)

    def same_names(self, other: Any) -> None:
        """Refuse a data frame, or another model, of other columns than those the model was fitted to."""
        fitted, of_model = self.fitted_names, isinstance(other, Model)
        given = other.fitted_names if of_model else column_names(other)
        if fitted is not None and given is not None and fitted != given:
            whose = f"{other.name} to" if of_model else "the sample has"
            raise ValueError(
                f"{self.name} was fitted to the columns {fitted}, {whose} {given}; the same names in the same order are expected."
            )

    def _refuse_other_columns(self, X: NDArray[Any]) -> None:
        """ValueError for rows of other columns than a model of several has, which scipy stretches over all of its own."""
        known = None if hasattr(self.thing, "n_features_in_") else self.n_columns
        if known is not None and known > 1 and known != X.shape[1]:
            raise ValueError(
                f"{self.name} is a model of {known} columns, and the rows have {X.shape[1]}; they must have the same columns."
            )

    def _as_it_takes_them(self, X: NDArray[Any]) -> NDArray[Any]:
        """Rows as numbers for scipy's distributions, which know no labels; as they are for others."""
        if X.dtype.kind not in "USO" or not type(self.thing).__module__.startswith("scipy."):
            return X
        label = next((value for value in X.ravel().tolist() if isinstance(value, str | bytes)), None)
        if label is not None:
            raise ValueError(
                f"The sample holds labels, such as {label!r}, and {self.name} is a distribution of numbers. Compare labels with "
                "labels (fastkl.categorical_kl), or encode them as the numbers that they stand for."
            )
        return X.astype(np.float64)

    def _asked(self, X: NDArray[Any]) -> Any:
        """The model's own answer."""
        thing = self.thing
        rows = self._rows_as_validated(X)
        if rows is not None:
            return thing._log_density_of(rows)
        if hasattr(thing, "score_samples"):
            # a density of this library knows that names have been compared; one from elsewhere is given them
            return thing.score_samples(X if hasattr(thing, "_log_density_of") else with_fitted_names(thing, X))
        if type(thing).__name__.startswith("dirichlet") and type(thing).__module__.startswith("scipy."):
            raise ValueError(
                f"{self.name} is scipy's dirichlet, which takes one row in each column; pass "
                f'DensityMLE.from_parameters("dirichlet", concentration=...), which takes rows as rows.'
            )
        if hasattr(thing, "resample"):
            return thing.logpdf(X.T)  # scipy's gaussian_kde takes columns of points
        if hasattr(thing, "logpmf") and self.discrete:
            return thing.logpmf(X)
        return thing.logpdf(X) if hasattr(thing, "logpdf") else foreign_models.log_densities(thing, X, self.discrete)

    def _rows_as_validated(self, X: NDArray[Any]) -> Rows | None:
        """X as a density of this library has it once it is validated, for X has been; None if the model is to do it itself."""
        thing, family = self.thing, self.family
        if family is None or self.params is None or X.shape[1] != getattr(thing, "n_features_in_", None):
            return None
        if not (family.labels or X.dtype.kind in "fiub"):
            return None
        # A subclass may give log-densities of its own.
        givers = [set(vars(cls)) & {"score_samples", "_log_density_of"} for cls in type(thing).__mro__]
        if "_log_density_of" not in next(filter(None, givers), ()):
            return None
        if not family.labels:
            X = np.ascontiguousarray(X, dtype=np.float32 if X.dtype == np.float32 else np.float64)
        threads = effective_n_threads(getattr(thing, "n_jobs", None))
        return Rows(X, n_threads=threads, names=getattr(thing, "feature_names_in_", None))

    def _checked(self, values: FloatArray, X: NDArray[Any]) -> FloatArray:
        """One log-density for each row, none of them nan or +inf."""
        n = len(X)
        if values.shape == (n, 1) or (n == 1 and values.size == 1):
            values = values.reshape(n)
        if values.shape != (n,):
            raise ValueError(
                f"{self.name} gives log-densities of shape {values.shape} for {n} rows of {X.shape[1]} columns; one number "
                f"per row is expected. A univariate model describes one column: for several independent columns use "
                f"fastkl.ProductDensity, or a multivariate model."
            )
        bad = np.isnan(values) | (values == np.inf)
        if bad.any():
            row = int(np.argmax(bad))
            raise ValueError(
                f"The log-density of {self.name} is {values[row]} in row {row}, at {np.asarray(X[row]).tolist()}; "
                f"a finite number, or -inf where the density is 0, is expected."
            )
        return values

    def draw(self, n_draws: int, rng: np.random.RandomState) -> NDArray[Any]:
        """A matrix of ``n_draws`` rows drawn from the model."""
        thing = self.thing
        if not self.can_draw:
            raise ValueError(
                f"{self.name} cannot be drawn from: it has neither a `sample` nor an `rvs` method (for its kernel, if it is a "
                f"KernelDensity). Give it one, or pass a sample of it."
            )
        if hasattr(thing, "rvs"):
            drawn = thing.rvs(size=n_draws, random_state=rng)
        elif hasattr(thing, "resample"):
            drawn = np.asarray(thing.resample(n_draws, seed=rng)).T
        else:
            drawn = self._sample(n_draws, rng)
        rows = np.asarray(drawn[0] if isinstance(drawn, tuple) else drawn).reshape(n_draws, -1)
        inner = self._inner_ends(rows)
        return rows if inner is None else np.clip(rows, *inner)

    def n_at_ends(self, rows: NDArray[Any]) -> int:
        """How many draws are the first or last number within the support: the density may have a pole there, cut short by it."""
        inner = self._inner_ends(rows)
        return 0 if inner is None else int((np.isin(rows, inner) & np.isfinite(rows)).sum())

    def _inner_ends(self, rows: NDArray[Any]) -> tuple[Any, Any] | None:
        """The first and last number inside the support of one continuous column, where the ends are known.

        Draws are rounded, and may land on an end itself, where a density with a pole is infinite.
        """
        if rows.shape[1] != 1 or rows.dtype.kind != "f" or self.discrete:
            return None
        behind = self.behind_a_transformer
        if (self if behind is None else behind[1]).turn is not None:
            return None  # quantiles of angles begin elsewhere than draws do
        ends = self.quantiles(np.array([0.0, 1.0]))
        if ends is None or np.isnan(ends).any():
            return None
        inward = np.nextafter(ends.astype(rows.dtype), np.array([np.inf, -np.inf], dtype=rows.dtype))
        low, high = np.where(np.isinf(ends), ends.astype(rows.dtype), inward)
        return low, high

    def _sample(self, n_draws: int, rng: np.random.RandomState) -> Any:
        """Draw by a method called ``sample``, which has a different signature in every library."""
        known = inspect.signature(self.thing.sample).parameters
        if "random_state" in known:
            return self.thing.sample(n_draws, random_state=rng)
        if "rng" in known:
            return self.thing.sample(n_draws, rng=np.random.default_rng(rng.randint(2**31)))
        if hasattr(self.thing, "random_state"):
            # scikit-learn's mixtures keep their generator in a parameter; the caller's object is left as it is.
            seeded = copy.copy(self.thing)
            seeded.random_state = rng
            return seeded.sample(n_draws)
        return foreign_models.draws(self.thing, n_draws, known, rng)

    def covariance(self, n_columns: int) -> FloatArray | None:
        """A covariance to whiten by: the model's own, else that of draws with a fixed seed; None without either."""
        candidates = [getattr(self.thing, name, None) for name in ("covariance_", "cov")]
        if getattr(self.family, "gaussian", False):
            from fastkl.families.spaces import PositiveDefinite

            spaces = self.family.spaces()
            candidates += [self.params[name] for name in spaces if isinstance(spaces[name], PositiveDefinite)]
        for own in candidates:
            if own is not None and not callable(own):
                matrix = np.asarray(own, dtype=np.float64)
                if matrix.ndim < 2:
                    matrix = np.diag(np.broadcast_to(matrix, (n_columns,)))
                if matrix.shape == (n_columns, n_columns):
                    return matrix
        if not self.can_draw:
            return None
        drawn = self.draw(1000 + 100 * n_columns, np.random.RandomState(0))
        return np.atleast_2d(np.cov(drawn, rowvar=False)) if drawn.shape[1] == n_columns else None


def _components(family: Any) -> list[Any]:
    """The families that a mixture is made of; any other one by itself."""
    return list(getattr(family, "component_families", [family]))


def _dimensions_lost(family: Any) -> int:
    parts = [part.family for part in getattr(family, "parts", ())] or [family]
    return sum(getattr(part, "on_surface", False) for part in parts)


def _given_sums(family: Any, d: int) -> list[tuple[int, ...]]:
    """Columns whose sum is given: all, or those of groups of a product, of a component of a mixture too."""
    for one in _components(family):
        if getattr(one, "given_sum", False):
            groups = [part for part in getattr(one, "parts", ()) if getattr(part.family, "given_sum", False)]
            return [tuple(part.columns) for part in groups] or [tuple(range(d))]
    return []
