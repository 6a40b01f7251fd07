"""``ShapeConstrainedMLE``: the density of maximum likelihood among all that decrease, or all that are log-concave."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning

from fastkl._core.array_types import Floats
from fastkl._core.iterations import read_as
from fastkl._core.rows import Rows
from fastkl._core.warned import warn
from fastkl._core.wording import capital, did_you_mean
from fastkl.density.base import BaseDensity
from fastkl.density.callbacks import hears_callbacks
from fastkl.density.files.registry import register_density
from fastkl.density.shape.checks import check_shapes
from fastkl.density.shape.decreasing import decreasing_mle
from fastkl.density.shape.log_concave import log_concave_mle
from fastkl.density.shape.pieces import Pieces
from fastkl.density.summary import Line
from fastkl.density.validation import read_rows, unchanged_on_error
from fastkl.divergence import Estimate
from fastkl.exceptions import DegenerateDataError, SupportError
from fastkl.rows.checks import raise_if_nan, raise_if_not_finite, require_finite
from fastkl.rows.streamed import StreamedRows

SHAPES = ("decreasing", "log_concave")
LARGEST = float(np.finfo(np.float64).max)
CERTAIN = 1e-8  # largest certificate of a fit that has converged


class ShapeConstrainedMLE(BaseDensity):
    r"""Maximum likelihood among all densities of a shape on a line: no family and no bandwidth.

    ``"log_concave"`` takes all densities whose logarithm is concave: one peak, tails that fall at least exponentially (normal,
    logistic, gamma and beta of shapes from 1 on, uniform). ``"decreasing"`` takes all that decrease from ``lower`` on (times to
    an event, distances, sizes); the answer is Grenander's estimator. Columns are fitted one by one, as independent ones.

    Parameters
    ----------
    shape : {"log_concave", "decreasing"}, default="log_concave"
        The shape.
    lower : float or array-like of shape (d,), default=0.0
        Where a decreasing density begins; all values lie above. It has no effect on the other shape, whose support ends at the
        smallest and the largest value.

    Attributes
    ----------
    knots_ : list of ndarray
        For each column the places where the density jumps or its logarithm has a bend, with both ends of the support, increasing.
    log_heights_ : list of ndarray of shape (k - 1, 2)
        The log-density at the left and the right end of each of the pieces between knots, in nats. It is linear between them.
    certificate_ : float
        How far the conditions of the maximum are from being met, at most over the columns. Decreasing: a bound on what any
        other decreasing density could gain, in nats per row. Log-concave: the Karush-Kuhn-Tucker condition in shares of the
        sample, the largest excess of weight under a tent of height 1 between two knots.
    converged_ : bool
        Whether it is at most 1e-8.
    n_iter_ : int
        Sets of knots that were tried, at most over the columns.
    log_likelihood_ : float
        Weighted log-likelihood of the fitted rows, in nats.
    total_weight_ : float
        Sum of their weights: the number of rows without weights.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Column names, where the rows came as a table with names.

    See Also
    --------
    KernelDensityMLE : Several peaks, heavy tails, several columns together.

    Notes
    -----
    Both estimates are unchanged by units: rows times c have the same density but for the factor. A log-concave density is 0
    beyond the largest value of the sample, so that a test row out there scores -inf.

    References
    ----------
    U. Grenander, Skandinavisk Aktuarietidskrift 39, 1956, doi:10.1080/03461238.1956.10414944; L. Duembgen, K. Rufibach, Bernoulli
    15, 2009, doi:10.3150/08-BEJ141.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import ShapeConstrainedMLE
    >>> X = np.random.default_rng(0).gamma(3.0, size=(500, 1))
    >>> model = ShapeConstrainedMLE("log_concave").fit(X)
    >>> len(model.knots_[0]), model.certificate_ < 1e-12
    (9, True)
    >>> model.quantile([0.05, 0.5, 0.95]).ravel().round(3)
    array([0.878, 2.529, 6.043])
    >>> ShapeConstrainedMLE("decreasing").fit([[1.0], [2.0], [6.0]]).score_samples([[0.5], [2.0], [3.0], [7.0]]).round(4)
    array([-1.0986, -1.0986, -2.4849,    -inf])
    """

    def __init__(self, shape: str = "log_concave", *, lower: float | ArrayLike = 0.0):
        self.shape = shape
        self.lower = lower

    @hears_callbacks
    def fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Find the density of maximum likelihood of every column.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows.
        y : None
            Ignored.
        sample_weight : array-like of shape (n,), default=None
            Weights of at least 0.

        Returns
        -------
        ShapeConstrainedMLE
            The estimator itself.

        Raises
        ------
        SupportError
            If a value lies below ``lower`` and the density decreases from there on.
        DegenerateDataError
            If a column holds a single value (log-concave), or ``lower`` itself (decreasing): the likelihood has no maximum.
        """
        with unchanged_on_error(self):
            self._check_parameters()
            self._forget_fit()
            self._learn(read_rows(self, X, sample_weight, reset=True))
        return self

    def _check_parameters(self) -> None:
        """ValueError or TypeError for parameters out of their range."""
        if self.shape not in SHAPES:
            raise ValueError(
                f"shape is 'log_concave' or 'decreasing', not {self.shape!r}.{did_you_mean(self.shape, SHAPES)}"
            )
        try:
            lower = np.asarray(self.lower, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise TypeError(f"lower is a number, or one for each column, not {self.lower!r}.") from error
        if lower.ndim > 1 or not np.isfinite(lower).all():
            raise ValueError(f"lower is a finite number, or one for each column, not {self.lower!r}.")

    def _lower_ends(self, d: int) -> Floats:
        lower = np.asarray(self.lower, dtype=np.float64)
        if lower.ndim and lower.shape != (d,):
            raise ValueError(
                f"lower holds {lower.size} numbers for {d} columns; give one number, or one for each column."
            )
        return np.broadcast_to(lower, d)

    def _learn(self, rows: Rows) -> None:
        raise_if_not_finite(rows)
        ends = self._lower_ends(rows.n_columns)
        found: list[Pieces] = []
        self.certificate_, self.n_iter_ = 0.0, 1
        for j in range(rows.n_columns):
            with require_finite(rows):
                values, shares = _distinct(rows, j)
                if self.shape == "decreasing":
                    _raise_below(rows, j, float(ends[j]))
                    pieces, certificate = decreasing_mle(values, shares, float(ends[j]))
                else:
                    _raise_if_constant(rows, j, values)
                    with read_as(partial(_so_far, found, rows.n_columns)):
                        pieces, certificate, n_iter = log_concave_mle(values, shares)
                    self.n_iter_ = max(self.n_iter_, n_iter)
            found.append(pieces)
            self.certificate_ = max(self.certificate_, certificate)
        self.knots_, self.log_heights_ = [part.knots for part in found], [part.heights for part in found]
        self.converged_ = self.certificate_ <= CERTAIN
        if not self.converged_:
            warn(
                f"The conditions of the maximum are met to {self.certificate_:.2g} only, not to {CERTAIN:g}: weights or "
                "distances of values differ by more than double precision resolves.",
                ConvergenceWarning,
            )
        self.total_weight_ = rows.total_weight
        self.log_likelihood_ = rows.weighted_sum(self._log_density_of(rows))

    # -- rows that are not in memory ---------------------------------------------------------------------------------------

    def _learns_from_blocks(self) -> bool:
        return True

    def _fit_blocks(self, rows: StreamedRows) -> None:
        # the order of all values is what is learnt from
        self._check_parameters()
        self._learn(rows.in_memory())

    # -- scoring -----------------------------------------------------------------------------------------------------------

    @property
    def _columns(self) -> list[Pieces]:
        """The densities of the columns."""
        return [Pieces(knots, heights) for knots, heights in zip(self.knots_, self.log_heights_, strict=True)]

    def _log_density_of(self, rows: Rows) -> Floats:
        logs = np.zeros(len(rows.X))
        for j, pieces in enumerate(self._columns):
            logs += pieces.log_density(rows.X[:, j].astype(np.float64))
        return logs

    def _read(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> Rows:
        self._check_fitted()
        rows = read_rows(self, X, sample_weight)
        raise_if_not_finite(rows)
        return rows

    def score_samples(self, X: ArrayLike) -> Floats:
        """Log-density of every row.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows.

        Returns
        -------
        ndarray of shape (n,)
            In nats, the sum over the columns; -inf outside the support.
        """
        return self._log_density_of(self._read(X))

    def _scored(self, X: ArrayLike, sample_weight: ArrayLike | None) -> tuple[float, float]:
        rows = self._read(X, sample_weight)
        return rows.weighted_sum(self._log_density_of(rows)), rows.total_weight

    # -- the distribution --------------------------------------------------------------------------------------------------

    def _draw(self, n_samples: int, generator: np.random.Generator) -> Floats:
        shares = generator.random((n_samples, self.n_features_in_))
        return np.column_stack([pieces.quantile(shares[:, j]) for j, pieces in enumerate(self._columns)])

    def _by_column(self) -> bool:
        return True

    def _tail(self, which: str, X: Any) -> Floats:
        self._check_fitted()
        rows = read_rows(self, X)
        raise_if_nan(rows)
        x, upper = rows.X.astype(np.float64), which.endswith("sf")
        logs = np.empty(x.shape)
        for j, pieces in enumerate(self._columns):
            logs[:, j] = pieces.mirrored().log_cdf(-x[:, j]) if upper else pieces.log_cdf(x[:, j])
        return logs if which.startswith("log") else np.exp(logs)

    def _quantile(self, q: Floats, upper: bool) -> Floats:
        def of(pieces: Pieces) -> Floats:
            return -pieces.mirrored().quantile(q) if upper else pieces.quantile(q)

        return np.column_stack([of(pieces) for pieces in self._columns])

    def _moments(self) -> tuple[Floats, Floats]:
        means, variances = zip(*(pieces.mean_and_variance() for pieces in self._columns), strict=True)
        return np.array(means), np.array(variances)

    def _mode(self) -> NDArray[Any]:
        return np.array([pieces.mode() for pieces in self._columns])

    def entropy(self, **options: Any) -> Estimate:
        """Entropy -E log p(X) of the density itself, in closed form.

        Parameters
        ----------
        **options
            Options of :func:`fastkl.entropy` for draws, of which none is needed.

        Returns
        -------
        Estimate
            In nats; exact. Minus the mean log-density of the fitted rows is the same number, for both shapes.

        Examples
        --------
        >>> from fastkl import ShapeConstrainedMLE
        >>> ShapeConstrainedMLE().fit([[0.0], [1.0], [2.0]]).entropy()
        Estimate(0.693147 nats, method='exact', n_samples=0)
        """
        self._check_fitted()
        return Estimate(sum(pieces.entropy() for pieces in self._columns), 0.0)

    def _marginal(self, columns: list[int]) -> Any:
        part = type(self)(self.shape, lower=self._lower_ends(self.n_features_in_)[columns])
        part.knots_, part.log_heights_ = ([kept[j] for j in columns] for kept in (self.knots_, self.log_heights_))
        part.n_features_in_ = len(columns)
        return part

    def _conditional(self, kept: list[int], given: list[int], values: list[Any]) -> Any:
        return self._marginal(kept)

    # -- what it says of itself --------------------------------------------------------------------------------------------

    def _fitted_weight(self) -> float | None:
        return getattr(self, "total_weight_", None)

    def _summary_title(self) -> str:
        return f"{self.shape.replace('_', '-')} density of maximum likelihood"

    def _summary_lines(self, names: Sequence[str], figures: Any) -> list[Line]:
        lines = []
        for name, pieces in zip(names, self._columns, strict=True):
            lines += [Line(name, "knots", float(len(pieces.knots))), Line(name, "mode", pieces.mode())]
        return lines


def _so_far(found: list[Pieces], n_columns: int, pieces: Pieces) -> dict[str, Any] | None:
    """What is known with a column on its way; None where others have not begun."""
    columns = [*found, pieces]
    if len(columns) < n_columns:
        return None
    return {"knots_": [part.knots for part in columns], "log_heights_": [part.heights for part in columns]}


def _distinct(rows: Rows, column: int) -> tuple[Floats, Floats]:
    """The different values of a column, and the shares of their weights."""
    values, at = np.unique(rows.X[:, column].astype(np.float64), return_inverse=True)
    shares = np.bincount(at.reshape(-1), weights=rows.weights, minlength=len(values)) / rows.total_weight
    if 0.5 * values[-1] - 0.5 * values[0] > 0.5 * LARGEST:
        raise ValueError(f"{capital(rows.column(column))} spans more than the range of numbers; rescale it.")
    return values, shares


def _raise_if_constant(rows: Rows, column: int, values: Floats) -> None:
    """DegenerateDataError where a column holds a single value."""
    if len(values) == 1:
        raise DegenerateDataError(
            f"Column {column} is constant: {float(values[0]):.6g} in every row (n_samples={len(rows.X)}), so that the likelihood "
            "of a log-concave density grows without bound. Leave the column out.",
            column,
        )


def _raise_below(rows: Rows, column: int, lower: float) -> None:
    """SupportError for a value below the lower end, DegenerateDataError for one that is this end."""
    row = int(np.argmin(rows.X[:, column]))
    least = float(rows.X[row, column])
    if least < lower:
        raise SupportError(
            f"A decreasing density begins at lower={lower:.6g}; {rows.place(row, column)} holds {least!r}. Take a smaller "
            "lower, or remove the row."
        )
    if least == lower:
        raise DegenerateDataError(
            f"Column {column} holds {least!r} in {rows.row(row)}, which is where a decreasing density begins: a density that "
            "grows without bound there makes the likelihood arbitrarily large. Take a smaller lower, by the rounding of the "
            "values for instance, or remove such rows.",
            column,
        )


register_density(ShapeConstrainedMLE, check_shapes)
