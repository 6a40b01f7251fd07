"""How far two tables differ, column by column and jointly: divergences with their intervals, and the verdict of each line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from fastkl.divergence import Estimate, TableComparison, compare_tables
from fastkl.plotting.axes import BLUE, DARK_GREY, ORANGE, legend_above, numbers_in_full, shortened
from fastkl.plotting.display import Display, at_right_edge, lines_from_above, right_labels

# More lines than this are not drawn: those of the largest divergences are.
_MOST_LINES = 40
_FAR = 10.0  # times what is trusted


class DivergenceDisplay(Display):
    """Estimates of KL divergences with their intervals, a line for each column; made by one of the ``from_`` methods.

    A filled point is a significant difference: by the p-value where there is one, else by an interval above 0. Every line is
    tested by itself, so that of a hundred columns without a difference about five are significant at the level 0.95. An
    infinite divergence is an arrow at the edge, and ``*`` marks an estimate with a suspected bias.

    Parameters
    ----------
    names : sequence of str
        What is compared: columns, or groups.
    estimates : sequence of Estimate
        KL(P || Q) of each, in nats.
    reverse : sequence of Estimate, default=None
        KL(Q || P) of each, in nats.
    p_values : array-like, default=None
        Of tests that both distributions are the same; nan where there is none.
    n_joint : int, default=0
        How many of the last lines are of several columns together.
    labels : pair of str, default=("P", "Q")
        What both are called.
    level : float, default=0.95
        Of the intervals and verdicts.

    Attributes
    ----------
    verdicts : list of str
        "differ", "not told apart" or, without p-value and standard error, "no error known", line by line.
    ax_ : matplotlib Axes
        Where it was drawn.
    figure_ : matplotlib Figure
        The figure of these axes.
    lines_ : list of matplotlib ErrorbarContainer
        Points and intervals of KL(P || Q), and of KL(Q || P) where it is drawn.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl.plotting import DivergenceDisplay
    >>> rng = np.random.default_rng(1)
    >>> before, after = rng.normal(size=(300, 2)), rng.normal([0.0, 1.0], 1.0, size=(300, 2))
    >>> display = DivergenceDisplay.from_samples(before, after, plot=False)
    >>> display.names, display.verdicts
    (['column 0', 'column 1', 'joint (2 columns)'], ['not told apart', 'differ', 'differ'])
    """

    def __init__(
        self,
        names: Sequence[str],
        estimates: Sequence[Estimate],
        *,
        reverse: Sequence[Estimate] | None = None,
        p_values: ArrayLike | None = None,
        n_joint: int = 0,
        labels: tuple[str, str] = ("P", "Q"),
        level: float = 0.95,
    ):
        self.names = [str(name) for name in names]
        self.estimates = [_estimate(value) for value in estimates]
        self.reverse = None if reverse is None else [_estimate(value) for value in reverse]
        count = len(self.names)
        self.p_values = np.full(count, np.nan) if p_values is None else np.array(p_values, dtype=np.float64)
        lengths = [len(self.estimates), *self.p_values.shape, *([] if self.reverse is None else [len(self.reverse)])]
        if count == 0 or any(length != count for length in lengths):
            raise ValueError(
                f"There are {count} names, and {lengths} estimates and p-values; one for each name is needed."
            )
        self.n_joint = n_joint
        self.labels = labels
        self.level = level
        self._intervals = [np.array([e.confidence_interval(level) for e in some]).T for some in self._directions()]

    @property
    def verdicts(self) -> list[str]:
        """Whether the two differ, line by line."""
        found = []
        for i, p_value in enumerate(self.p_values):
            infinite = any(np.isposinf(float(some[i])) for some in self._directions())
            low = max(interval[0, i] for interval in self._intervals)
            if np.isnan(p_value) and np.isnan(low) and not infinite:
                found.append("no error known")
            elif p_value < 1.0 - self.level or (np.isnan(p_value) and (infinite or low > 0.0)):
                found.append("differ")
            else:
                found.append("not told apart")
        return found

    @classmethod
    def from_estimates(
        cls,
        estimates: Mapping[str, Estimate] | Sequence[tuple[str, Estimate]],
        *,
        p_values: Mapping[str, float] | None = None,
        labels: tuple[str, str] = ("P", "Q"),
        level: float = 0.95,
        ax: Any = None,
        plot: bool = True,
    ) -> Self:
        """Draw estimates that there are already.

        Parameters
        ----------
        estimates : mapping or sequence of (name, Estimate)
            As of ``kl_divergence``; their errors give the intervals.
        p_values : mapping from names, default=None
            Of tests, such as ``permutation_test(p, q).p_value``; without one the interval decides.
        labels : pair of str, default=("P", "Q")
            What is compared with what.
        level : float, default=0.95
            Of the intervals and verdicts.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        plot : bool, default=True
            False keeps the numbers only.

        Returns
        -------
        DivergenceDisplay
            The display.

        Raises
        ------
        ValueError
            If a p-value is of none of the estimates.
        """
        pairs = list(estimates.items()) if isinstance(estimates, Mapping) else list(estimates)
        known = dict(p_values or {})
        unknown = [name for name in known if name not in {name for name, _ in pairs}]
        if unknown:
            raise ValueError(f"p_values has {unknown[0]!r}, which is none of the estimates' names.")
        tested = [known.get(name, np.nan) for name, _ in pairs]
        names, values = [name for name, _ in pairs], [value for _, value in pairs]
        return cls(names, values, p_values=tested, labels=labels, level=level)._plotted(ax, plot)

    @classmethod
    def from_comparison(
        cls,
        comparison: TableComparison,
        *,
        both: bool = True,
        labels: tuple[str, str] = ("P", "Q"),
        level: float = 0.95,
        ax: Any = None,
        plot: bool = True,
    ) -> Self:
        """Draw the table of ``compare_tables``.

        Parameters
        ----------
        comparison : TableComparison
            The table.
        both : bool, default=True
            Whether KL(Q || P) is drawn beside KL(P || Q).
        labels : pair of str, default=("P", "Q")
            What both tables are called.
        level : float, default=0.95
            Of the intervals and verdicts.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        plot : bool, default=True
            False keeps the numbers only.

        Returns
        -------
        DivergenceDisplay
            The display; of more than 40 lines those with the largest divergences are drawn, and the label says so.
        """
        lines = comparison.lines
        display = cls(
            [f"column {line.name}" if isinstance(line.name, int) else str(line.name) for line in lines],
            [line.kl for line in lines],
            reverse=[line.kl_reverse for line in lines] if both else None,
            p_values=[np.nan if line.p_value is None else line.p_value for line in lines],
            n_joint=len(comparison.joint),
            labels=labels,
            level=level,
        )
        return display._plotted(ax, plot)

    @classmethod
    def from_samples(
        cls,
        p: Any,
        q: Any,
        *,
        both: bool = True,
        labels: tuple[str, str] = ("P", "Q"),
        level: float = 0.95,
        ax: Any = None,
        plot: bool = True,
        **options: Any,
    ) -> Self:
        """Compare two tables, and draw what is found.

        Parameters
        ----------
        p, q : data frame (pandas, polars, Arrow) or array-like of shape (n, d), (m, d)
            The tables.
        both : bool, default=True
            Whether KL(Q || P) is drawn beside KL(P || Q).
        labels : pair of str, default=("P", "Q")
            What both tables are called.
        level : float, default=0.95
            Of the intervals and verdicts.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        plot : bool, default=True
            False computes only.
        **options
            Passed on to :func:`fastkl.compare_tables`: ``columns``, ``drop_missing``, ``random_state`` and others.

        Returns
        -------
        DivergenceDisplay
            The display.
        """
        found = compare_tables(p, q, **options)
        return cls.from_comparison(found, both=both, labels=labels, level=level, ax=ax, plot=plot)

    # -- drawing -----------------------------------------------------------------------------------------------------------

    def _directions(self) -> list[list[Estimate]]:
        return [self.estimates] if self.reverse is None else [self.estimates, self.reverse]

    def _figure_size(self) -> tuple[float, float]:
        return 7.2, 1.4 + 0.36 * min(len(self.names), _MOST_LINES)

    def _draw(self, ax: Any) -> None:
        from matplotlib.lines import Line2D

        shown, limit = self._shown(), self._limit()
        differ = np.array([verdict == "differ" for verdict in self.verdicts])[shown]
        p, q = (shortened(label, 20) for label in self.labels)
        names, self.lines_, handles = [f"KL({p} ‖ {q})", f"KL({q} ‖ {p})"], [], []
        styles = ((BLUE, "o"), (ORANGE, "s"))
        directions = self._directions()
        apart = 0.0 if len(directions) == 1 else 0.17
        for some, interval, side, name, (colour, marker) in zip(
            directions, self._intervals, (-apart, apart), names, styles, strict=False
        ):
            values, y = np.array(some, dtype=np.float64)[shown], np.arange(len(shown)) + side
            finite = values <= limit
            bars = np.abs(interval[:, shown][:, finite] - values[finite])
            bars[~np.isfinite(bars)] = 0.0  # no error known, or none that could be drawn
            style = {"fmt": "none", "color": colour, "capsize": 3.0, "zorder": 3.0}
            self.lines_.append(ax.errorbar(values[finite], y[finite], xerr=bars, **style))
            for filled in (True, False):
                some_points = finite & (differ == filled)
                face = colour if filled else "white"
                ax.plot(values[some_points], y[some_points], marker, color=colour, mfc=face, markersize=5.5, zorder=4.0)
            at_right_edge(ax, y[~finite], colour)
            handles.append(Line2D([], [], color=colour, marker=marker, linestyle="none", label=name))
        ax.axvline(0.0, color=DARK_GREY, linewidth=1.0, linestyle=":")
        lines_from_above(ax, [self.names[i] for i in shown])
        own = sum(i < len(self.names) - self.n_joint for i in shown)
        if 0 < own < len(shown):
            ax.axhline(own - 0.5, color=DARK_GREY, linewidth=0.8)
        hidden = f"; the {len(shown)} largest of {len(self.names)}" if len(shown) < len(self.names) else ""
        doubt = "; * a bias is likely" if any(self._doubtful(i) for i in shown) else ""
        ax.set_xlabel(f"nats, with {100 * self.level:g} % interval{doubt}{hidden}", loc="right")
        numbers_in_full(ax.xaxis)
        right_labels(ax, [self._text(i) for i in shown])
        legend_above(ax, handles)

    def _shown(self) -> list[int]:
        """The lines that are drawn, in the order of the table."""
        count = len(self.names)
        own = count - self.n_joint
        if count <= _MOST_LINES:
            return list(range(count))
        largest = np.array([some[:own] for some in self._directions()], dtype=np.float64).max(axis=0)
        kept = np.argsort(-largest, kind="stable")[: _MOST_LINES - self.n_joint]
        return [*sorted(map(int, kept)), *range(own, count)]

    def _limit(self) -> float:
        """Where the view ends for doubted divergences, such as those of dates, beside which the others would be one point."""
        highs = [
            interval[1, i]
            for interval in self._intervals
            for i in range(len(self.names))
            if not self._doubtful(i) and np.isfinite(interval[1, i])
        ]
        trusted = max(highs, default=0.0)
        return _FAR * trusted if trusted > 0.0 else float(np.finfo(np.float64).max)

    def _doubtful(self, i: int) -> bool:
        return any(some[i].diagnostics["bias_suspected"] for some in self._directions())

    def _text(self, i: int) -> str:
        p_value = self.p_values[i]
        tested = "" if np.isnan(p_value) else f" (p = {p_value:.3g})"
        far = [f"{float(some[i]):.3g}" for some in self._directions() if self._limit() < some[i] < np.inf]
        sizes = f", {' and '.join(far)} nats" if far else ""
        return f"{self.verdicts[i]}{tested}{' *' if self._doubtful(i) else ''}{sizes}"


def _estimate(value: Any) -> Estimate:
    """An estimate; a plain number as one without an error."""
    return value if isinstance(value, Estimate) else Estimate(float(value))
