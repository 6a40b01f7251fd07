"""How well a fitted distribution fits its rows, as a picture: P-P, Q-Q and distribution functions, column by column."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaincinv

from fastkl._core.array_types import Floats
from fastkl._core.wording import plural
from fastkl.plotting.axes import BLUE, DARK_GREY, GREY, legend_above, shortened, unit_of, with_unit
from fastkl.plotting.density_panels import DensityPanels
from fastkl.plotting.display import Display
from fastkl.plotting.drawn_rows import chosen_columns, name_of, numbers_of, rows_and_names
from fastkl.plotting.marginals import marginal
from fastkl.rows.weights import read_weights

KINDS = ("pp", "qq", "cdf")
# The band holds so much of every order statistic by itself.
_LEVEL = 0.95


@dataclass(frozen=True)
class Points:
    """What is drawn of a column.

    Parameters
    ----------
    values : ndarray of shape (n,)
        The rows in order.
    shares : ndarray of shape (n,)
        The empirical distribution function there, in the middle of its steps: (i - 1/2) / n, with weights likewise.
    until : ndarray of shape (n,)
        The same after its steps.
    probabilities : ndarray of shape (n,)
        The fitted distribution function there.
    quantiles : ndarray of shape (n,) or None
        The fitted quantiles of the shares, for a Q-Q plot.
    band : ndarray of shape (2, n) or None
        Between these values of the fitted distribution function each order statistic of n rows falls with probability 0.95; none
        for rows with weights.
    """

    values: Floats
    shares: Floats
    until: Floats
    probabilities: Floats
    quantiles: Floats | None
    band: Floats | None


class GoodnessDisplay(Display):
    """Rows against the distribution fitted to them, made by ``GoodnessDisplay.from_estimator``.

    A P-P plot has the fitted distribution function at the rows against their share, which shows the middle of the distribution; a
    Q-Q plot the rows against fitted quantiles, which shows the tails; ``"cdf"`` both distribution functions. Rows of the fitted
    distribution lie near the line. The band is where each order statistic of so many rows would fall in 95 of 100 samples, if the
    parameters were known; with estimated ones rows stray less. ``goodness_of_fit`` is the test.

    Parameters
    ----------
    data : Points
        The numbers drawn.
    kind : {"pp", "qq", "cdf"}
        Which picture.
    column : str
        Name of the column.
    unit : str or None
        Its unit.
    name : str
        What the legend calls the density.
    n_rows : int
        Rows of the data.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn.
    figure_ : matplotlib Figure
        The figure of these axes.
    line_ : matplotlib Line2D
        The line that rows of the fitted distribution would follow: the diagonal, or the fitted distribution function.
    data_ : matplotlib Line2D
        The rows.
    columns : list of str
        The column, as displays of several name them.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE
    >>> from fastkl.plotting import GoodnessDisplay
    >>> X = np.random.default_rng(0).gamma(2.0, size=(200, 1))
    >>> display = GoodnessDisplay.from_estimator(DensityMLE("gamma").fit(X), X, kind="pp", plot=False)
    >>> bool(abs(display.data.probabilities - display.data.shares).max() < 0.1)
    True
    """

    _size = (5.0, 4.2)

    def __init__(self, *, data: Points, kind: str, column: str, unit: str | None, name: str, n_rows: int):
        self.data = data
        self.kind = kind
        self.column = column
        self.unit = unit
        self.name = name
        self.n_rows = n_rows

    @property
    def columns(self) -> list[str]:
        """The column, as displays of several name them."""
        return [self.column]

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        *,
        kind: str = "qq",
        column: Any = None,
        sample_weight: ArrayLike | None = None,
        units: str | Sequence[str] | Mapping[str, str] | None = None,
        name: str | None = None,
        ax: Any = None,
        plot: bool = True,
    ) -> Self | DensityPanels:
        """Compute the points, and draw them.

        Parameters
        ----------
        estimator : object
            A fitted density with ``cdf``, and for ``kind="qq"`` ``quantile``: of continuous columns one by one.
        X : array-like of shape (n, d)
            Rows.
        kind : {"pp", "qq", "cdf"}, default="qq"
            Probabilities against shares, rows against quantiles, or distribution functions.
        column : int, str or sequence of them, default=None
            Which columns to draw, by number or name; None takes all.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows, as masses.
        units : str, sequence or mapping from names, default=None
            Units of the columns, for the axes.
        name : str, default=None
            What the legend calls the density; by default its family.
        ax : matplotlib Axes or array of them, default=None
            Where to draw; None makes a figure.
        plot : bool, default=True
            False computes only; call ``plot`` later.

        Returns
        -------
        GoodnessDisplay or DensityPanels
            The second for several columns, with a ``GoodnessDisplay`` for each in ``displays``.

        Raises
        ------
        ValueError
            If ``kind`` is none of these, a column is discrete, or its distribution function or quantiles are not known.
        ImportError
            If matplotlib is not installed.

        References
        ----------
        M. B. Wilk, R. Gnanadesikan, "Probability plotting methods for the analysis of data", Biometrika 55, 1968,
        doi:10.1093/biomet/55.1.1.
        """
        if kind not in KINDS:
            raise ValueError(f"kind is one of {', '.join(map(repr, KINDS))}, not {kind!r}.")
        rows, names = rows_and_names(estimator, X)
        chosen = chosen_columns(column, names)
        weights = read_weights(sample_weight, len(rows), beside=X)
        n_rows = len(rows) if weights is None else int(np.count_nonzero(weights))
        displays = []
        for j, unit in zip(chosen, unit_of(units, [names[j] for j in chosen]), strict=True):
            part = marginal(estimator, [j], len(names))
            data = _points(part, numbers_of(rows[:, j]), weights, kind, names[j])
            displays.append(
                cls(data=data, kind=kind, column=names[j], unit=unit, name=name or name_of(part), n_rows=n_rows)
            )
        found = displays[0] if len(displays) == 1 else DensityPanels.side_by_side(displays)
        return found.plot(ax=ax) if plot else found

    def _draw(self, ax: Any) -> None:
        rows = f"data ({plural(self.n_rows, 'row')})"
        style = {"color": DARK_GREY, "marker": ".", "markersize": 4.0, "linestyle": "none", "label": rows}
        data, named = self.data, with_unit(self.column, self.unit)
        handles = []
        if self.kind == "cdf":
            (self.data_,) = ax.step(data.values, data.until, where="post", color=DARK_GREY, label=rows)
            (self.line_,) = ax.plot(data.values, data.probabilities, color=BLUE, linewidth=2.0, label=self.name)
            ax.set(xlabel=named, ylabel="share of rows, probability", ylim=(0.0, 1.02))
        elif self.kind == "pp":
            if data.band is not None:
                band = ax.fill_between(data.shares, *data.band, color=GREY, alpha=0.5, linewidth=0.0, label="95 %")
                handles.append(band)
            (self.line_,) = ax.plot([0.0, 1.0], [0.0, 1.0], color=BLUE, linewidth=1.5, label=self.name)
            (self.data_,) = ax.plot(data.shares, data.probabilities, **style)
            ax.set(
                xlabel=f"share of rows up to {shortened(self.column)}", ylabel="probability", xlim=(0, 1), ylim=(0, 1)
            )
        else:
            self._draw_quantiles(ax, data, style, handles)
            ax.set(xlabel=with_unit("fitted quantile", self.unit), ylabel=named)
        legend_above(ax, [self.data_, self.line_, *handles])

    def _draw_quantiles(self, ax: Any, data: Points, style: dict[str, Any], handles: list[Any]) -> None:
        assert data.quantiles is not None
        if data.band is not None:
            band = ax.fill_between(data.quantiles, *data.band, color=GREY, alpha=0.5, linewidth=0.0, label="95 %")
            handles.append(band)
        ends = [data.quantiles[0], data.quantiles[-1]]
        (self.line_,) = ax.plot(ends, ends, color=BLUE, linewidth=1.5, label=self.name)
        (self.data_,) = ax.plot(data.quantiles, data.values, **style)


def _points(density: Any, column: Floats, weights: Floats | None, kind: str, name: str) -> Points:
    """The numbers of one column."""
    family = getattr(density, "family_", None)
    if getattr(family, "discrete", False) or getattr(density, "discrete_", False):
        raise ValueError(
            f"Column {name!r} is discrete, and such a plot is for continuous distributions; DensityDisplay draws probabilities "
            "beside frequencies."
        )
    if weights is not None:
        column, weights = column[weights > 0.0], weights[weights > 0.0]
    order = np.argsort(column, kind="stable")
    values = column[order]
    masses = np.ones(len(values)) if weights is None else weights[order]
    until = np.cumsum(masses)
    shares = (until - 0.5 * masses) / until[-1]
    probabilities = _answer(density, "cdf", values[:, np.newaxis], name)
    n = np.arange(1.0, len(values) + 1.0)
    tails = np.array([0.5 * (1.0 - _LEVEL), 0.5 * (1.0 + _LEVEL)])
    # the i-th smallest of n uniform numbers has the distribution Beta(i, n + 1 - i)
    band = None if weights is not None else betaincinv(n, len(n) + 1.0 - n, tails[:, np.newaxis])
    quantiles = None
    if kind == "qq":
        quantiles = _answer(density, "quantile", shares, name)
        if band is not None:
            band = np.array([_answer(density, "quantile", own, name) for own in band])
    return Points(values, shares, until / until[-1], probabilities, quantiles, None if kind == "cdf" else band)


def _answer(density: Any, method: str, argument: Floats, name: str) -> Floats:
    """The distribution function or quantiles of the one column; ValueError where they are not known."""
    nameless = copy.copy(density)  # which takes arrays without a warning
    vars(nameless).pop("feature_names_in_", None)
    try:
        return np.asarray(getattr(nameless, method)(argument), dtype=np.float64).reshape(-1)
    except AttributeError as error:
        raise ValueError(f"The {method} of column {name!r} is not known: {error}") from error
