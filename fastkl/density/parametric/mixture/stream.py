"""``partial_fit`` of a mixture: rows that come once, by stepwise EM; an approximation, which says that it is one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.blas_threads import single_threaded_blas
from fastkl._core.rows import Rows
from fastkl._core.warned import warn
from fastkl.density.parametric.base import FamilyDensity
from fastkl.density.parametric.checks import check_statistics
from fastkl.density.parametric.incomplete import refit_with_missing
from fastkl.density.parametric.mixture.fit import resolved_mixture
from fastkl.density.parametric.mixture.order import by_parameter
from fastkl.density.parametric.mixture.spurious import spurious_components
from fastkl.density.parametric.products import coded, coded_mixture, learn_table, with_columns
from fastkl.density.validation import read_rows, unchanged_on_error
from fastkl.exceptions import DegenerateDataError, SourceError
from fastkl.families.base import Family
from fastkl.families.mixture import Mixture
from fastkl.families.mixture.climb import Climb
from fastkl.families.mixture.collapsed import CollapsedError
from fastkl.families.mixture.stepwise import Stepwise, Sums
from fastkl.families.product import Product
from fastkl.rows import Source
from fastkl.rows.checks import raise_if_not_finite, require_finite
from fastkl.rows.incomplete import marked, tell_of_empty

FIRST_ROWS, ROWS_EACH = 500, 50  # of the start: at least so many, and so many for each component and column (and one)
PATIENCE = 16  # times as many are waited for, where the first have no maximum
NOT_THE_MAXIMUM = (
    "Stepwise EM over rows that were seen once ends near the maximum of the likelihood, not at it. fit_batches (or fit) of the "
    "rows with init=params_ continues to the maximum."
)


def _sums_are_known(density: Any) -> bool:
    """Whether the components' families have sufficient statistics, and no prior; of a wrong family the call itself says so."""
    if density.prior is not None:
        return False  # whose weight beside sums in which later rows weigh more would be another with every row
    try:
        mixture = density._resolved_family()
    except (TypeError, ValueError):
        return True
    return all(family.has_statistics for family in mixture.component_families)


class StreamMembers(FamilyDensity):
    """Members of a mixture about rows that come in batches: read several times, or once and not kept."""

    n_components: int
    weights: ArrayLike | None
    init: Any
    stream_: dict[str, Any]
    _partial_fit_is_fit: ClassVar[bool] = False  # responsibilities of earlier rows are those of their time
    _fit_finite: Any

    @available_if(_sums_are_known)
    def partial_fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Go on with further rows of a stream, which are not kept: stepwise EM.

        This is an approximation, unlike ``partial_fit`` of other densities: the rows so far were told apart by the
        parameters of their time. ``converged_`` is therefore False, and there are no standard errors and no
        ``log_likelihood_``. ``fit_batches`` (or ``fit``) with ``init=model.params_`` goes on to the maximum, where the
        rows can be had again. How the rows are cut into batches makes no difference but for rounding.

        The first rows are kept, at least 500 and 50 K (d + 1) of them, until they are enough for a fit with starts;
        ``params_`` are there from then on. The order of the rows should say nothing of their components: the start
        sees the first ones only, and later rows weigh somewhat more.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Further rows, one or more. For components with sufficient statistics and without a prior; others have no
            ``partial_fit``.
        y : None
            Ignored.
        sample_weight : array-like of shape (n,), default=None
            Weights of at least 0.

        Returns
        -------
        MixtureMLE
            The estimator itself.

        Raises
        ------
        SupportError
            If a row lies outside the support of every component; what was seen before stays.
        DegenerateDataError
            If a component loses its rows, or closes in on a few.

        References
        ----------
        O. Cappe, E. Moulines, "On-line expectation-maximization algorithm for latent data models", JRSS B 71, 2009,
        doi:10.1111/j.1467-9868.2009.00698.x; B. T. Polyak, A. B. Juditsky, "Acceleration of stochastic approximation by
        averaging", SIAM J. Control Optim. 30, 1992, doi:10.1137/0330046.

        Examples
        --------
        >>> import numpy as np
        >>> from fastkl import MixtureMLE
        >>> rng = np.random.default_rng(0)
        >>> model = MixtureMLE(2, family="normal", random_state=0)
        >>> for _ in range(40):
        ...     X = rng.normal(rng.choice([-3.0, 3.0], size=(250, 1)), 1.0)
        ...     model = model.partial_fit(X)
        >>> model.params_["loc"].ravel().round(1), model.converged_
        (array([-3.,  3.]), False)
        """
        with unchanged_on_error(self):
            first = "family_" not in vars(self)
            if not first and "stream_" not in vars(self):
                raise ValueError(
                    "This mixture has its parameters from fit or from_parameters, which keep no running sums for partial_fit "
                    "to continue from. Stream into a new one with init=model.params_, or fit all rows at once."
                )
            mixture = self._resolved_family()
            rows = read_rows(self, X, sample_weight, labels=mixture.labels, reset=first)
            if first:
                self.family_ = with_columns(mixture, X, rows.names, rows.n_columns)
                learn_table(self, X)
                self.stream_ = {}
            self._take_in(_known(self._mixture, rows))
        return self

    def _resolved_family(self) -> Mixture:
        return resolved_mixture(self.family, self.n_components, self.weights)

    def _learns_from_blocks(self) -> bool:
        return True

    def _raise_if_read_once(self, source: Source) -> None:
        if not source.repeatable:
            raise SourceError(
                "A mixture passes over the rows several times, and an iterator can be read once. Pass a list of batches, an "
                "object whose iter() starts anew, a function that makes the iterator (fit_batches(make), not "
                "fit_batches(make())), or the path of a file."
            )

    @property
    def _mixture(self) -> Mixture:
        mixture: Any = self.family_
        return mixture

    def _take_in(self, rows: Rows) -> None:
        """Wait for enough rows, start from those, and go on with the others."""
        with require_finite(rows), single_threaded_blas():
            if "at" not in self.stream_:
                left = self._start(rows)
                if left is None:
                    return
                rows = left
            mixture = self._mixture
            if mixture.labels:
                mixture, rows = coded(mixture, rows)
            fixed = None if self.weights is None else np.asarray(self.weights, dtype=np.float64)
            try:
                stream = _read(self.stream_, mixture).after(rows, fixed)
                best = stream.told(rows, fixed)
            except CollapsedError as error:
                raise DegenerateDataError(
                    f"Component {error.component} collapsed in the stream: {error} Use fewer components, or fit_batches with a "
                    "prior (prior='default')."
                ) from error
        self.stream_ = _written(stream)
        self._keep_stream(stream, best.params, by_parameter(best.boundary, mixture.layout))

    def _start(self, rows: Rows) -> Rows | None:
        """Fit the first rows, and give back the others; None where more rows have to come before."""
        waiting = self._with_those_before(rows)
        patience: int = self.stream_.get("patience", 1)
        least = max(FIRST_ROWS, ROWS_EACH * self._mixture.layout.size * (rows.n_columns + 1))
        while len(waiting.X) >= patience * least:
            chosen = waiting.part(0, patience * least)
            try:
                self._begin(chosen)
                return waiting.part(patience * least, len(waiting.X))
            except DegenerateDataError:
                if patience >= PATIENCE:
                    raise
                patience *= 2
        self.stream_ = {"rows": waiting.X, "weights": waiting.weights, "patience": patience}
        return None

    def _with_those_before(self, rows: Rows) -> Rows:
        """Further rows after those that are waited with."""
        before = self.stream_.get("rows")
        if before is None:
            return replace(rows, X=rows.X.copy())
        weights = self.stream_["weights"]
        if weights is not None or rows.weights is not None:
            given = [np.ones(len(before)) if weights is None else weights]
            given.append(np.ones(len(rows.X)) if rows.weights is None else rows.weights)
            weights = np.concatenate(given)
        X = np.concatenate([before, rows.X])
        incomplete = X.dtype.kind == "f" and bool(np.isnan(X).any())
        return replace(rows, X=X, weights=weights, index=None, incomplete=incomplete)

    def _begin(self, rows: Rows) -> None:
        start = clone(self).set_params(standard_errors=False)  # which takes over nothing that was learnt
        refit_with_missing(
            self._mixture, replace(rows, incomplete=False), lambda rows: start._fit_finite(self._mixture, rows)
        )
        self.family_ = start.family_
        mixture = self._mixture
        if mixture.labels:
            mixture, rows = coded(mixture, rows)
        self.stream_ = _written(Stepwise.from_start(mixture.layout, start.params_, rows))

    def _keep_stream(self, stream: Stepwise, params: Params, boundary: dict[str, str]) -> None:
        """Take over the parameters that the rows so far speak for."""
        self.params_, self.prior_, self.boundary_ = params, None, boundary
        self.n_iter_, self.converged_ = stream.n_moves, stream.is_exact
        seen = Rows(np.empty((0, self.n_features_in_)), np.array([stream.seen]))
        climb = Climb(params, sums=stream.slow.weights)
        self.spurious_components_ = spurious_components(self._mixture, climb, seen)
        for text in self.spurious_components_.values():
            warn(text, ConvergenceWarning)

    def _check_fitted(self) -> None:
        if "params_" in vars(self):
            return
        reason = "%(name)s is not fitted yet: call fit."
        if "stream_" in vars(self):
            reason = (
                f"The {len(self.stream_['rows'])} rows that this %(name)s has seen are too few for a start: pass more "
                f"to partial_fit, at least {FIRST_ROWS} and {ROWS_EACH} n_components (columns + 1) in all, or call fit."
            )
        check_is_fitted(self, "params_", msg=reason)

    @property
    def inference_(self) -> Any:
        """The uncertainty of the parameters, as an object of the fit: what the members for it ask."""
        if "stream_" in vars(self) and "params_" in vars(self):
            raise AttributeError(f"Standard errors need a fit. {NOT_THE_MAXIMUM}")
        return super().inference_

    def _fitted_weight(self) -> float | None:
        return float(self.stream_["seen"][1]) if "stream_" in vars(self) else super()._fitted_weight()

    def _determined(self) -> bool:
        return "stream_" in vars(self) or super()._determined()


def _known(mixture: Mixture, rows: Rows) -> Rows:
    """The rows, looked through for what is no number, marked where values are missing, without those that hold none."""
    if mixture.labels:
        return rows
    if not mixture.takes_missing or rows.X.dtype.kind != "f":
        raise_if_not_finite(rows)
        return rows
    rows = marked(rows)
    empty = np.isnan(rows.X).all(axis=1) if rows.incomplete else np.zeros(0, dtype=bool)
    if not empty.any():
        return rows
    tell_of_empty(int(np.count_nonzero(empty)), len(rows.X))
    weights = np.ones(len(rows.X)) if rows.weights is None else rows.weights
    return replace(rows, weights=np.where(empty, 0.0, weights)).of_positive_weight()


# -- in the form of a file -------------------------------------------------------------------------------------------------


def _written(stream: Stepwise) -> dict[str, Any]:
    """A stream as numbers, arrays and containers."""
    sums = {
        name: {"weights": own.weights, "statistics": [dict(one) for one in own.statistics]}
        for name, own in (("quick", stream.quick), ("slow", stream.slow))
    }
    seen = np.array([stream.begun, stream.seen, stream.moved])
    return {"at": stream.at, "seen": seen, "n_moves": stream.n_moves, **sums}


def _read(stored: dict[str, Any], mixture: Mixture) -> Stepwise:
    """The stream that was written."""
    quick, slow = (Sums(stored[name]["weights"], stored[name]["statistics"]) for name in ("quick", "slow"))
    begun, seen, moved = map(float, stored["seen"])
    return Stepwise(mixture.layout, stored["at"], begun, seen, moved, quick, slow, stored["n_moves"])


def check_stream(density: Any) -> None:
    """ValueError unless the stream that a file holds goes with the mixture beside it."""
    stored, mixture = density.stream_, density.family_
    if set(stored) != {"at", "seen", "n_moves", "quick", "slow"}:
        raise ValueError(f"the stream holds {sorted(stored)}")
    if type(stored["n_moves"]) is not int or not 0 <= stored["n_moves"] == density.n_iter_:
        raise ValueError(f"n_moves is {stored['n_moves']!r}")
    begun, seen, moved = _numbers(stored["seen"], 3, "the weight of the rows")
    if not 0.0 < begun <= moved <= seen:
        raise ValueError(f"the weights of the rows are {stored['seen']!r}")
    own = coded_mixture(mixture) if mixture.labels else mixture
    at = own.check_parameters(stored["at"])
    if own.n_columns(at) != density.n_features_in_:
        raise ValueError("the stream is of other columns")
    for name in ("quick", "slow"):
        if set(stored[name]) != {"weights", "statistics"}:
            raise ValueError(f"the {name} sums hold {sorted(stored[name])}")
        weights, found = stored[name]["weights"], stored[name]["statistics"]
        _numbers(weights, own.layout.size, f"the {name} weights")
        if np.any(weights <= 0.0) or len(found) != own.layout.size:
            raise ValueError(f"the {name} sums are those of {len(found)} components")
        for family, statistics, params in zip(own.component_families, found, own.split(at), strict=True):
            for one, sums, of_part in _parts(family, statistics, params):
                check_statistics(one, sums, of_part)


def _parts(family: Any, statistics: Statistics, params: Params) -> list[tuple[Family, Statistics, Params]]:
    """A family with its statistics and parameters; of a product those of each group."""
    if not isinstance(family, Product):
        return [(family, statistics, params)]
    return [(part.family, part.own(statistics), part.own(params)) for part in family.parts]


def _numbers(value: Any, count: int, what: str) -> Floats:
    found = np.asarray(value)
    if found.shape != (count,) or found.dtype != np.float64 or not np.isfinite(found).all():
        raise ValueError(f"{what}: {value!r} is no array of {count} numbers")
    return found
