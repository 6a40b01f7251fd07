"""A fitted density over its data: curve on a histogram, probabilities on frequencies, or contours on points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from fastkl._core.array_types import Floats
from fastkl._core.wording import plural
from fastkl.divergence.models.model import Model
from fastkl.divergence.options import as_random_state, one_seed
from fastkl.plotting.axes import BLUE, DARK_GREY, GREY, legend_above, shortened, unit_of, with_unit
from fastkl.plotting.density_data import Bars, Curve, Plane, bars, curve, plane
from fastkl.plotting.density_panels import DensityPanels
from fastkl.plotting.display import Display
from fastkl.plotting.drawn_rows import chosen_columns, name_of, numbers_of, rows_and_names
from fastkl.plotting.marginals import marginal
from fastkl.rows.weights import read_weights

# More points than this overlap so much that their counts are shown instead.
_MANY_POINTS = 5000
# More labels than this: the least frequent ones are drawn together.
_MANY_LABELS = 20
# More discrete values than this: a line through the probabilities, not a stem for each.
_MANY_VALUES = 60
# So many letters fit below axes, those of a panel too.
_LETTERS = 36


class DensityDisplay(Display):
    """A density drawn over data, to be made by ``DensityDisplay.from_estimator``.

    One continuous column gives a histogram with the curve of the density, one discrete column bars with a stem for each
    probability (of more than 20 labels the rarest together), two continuous columns points (many: counts) with contours that
    enclose given shares of the model. More columns are ``DensityPanels``: one for each, and with ``pairs=True`` the contours of
    every pair below them.

    Parameters
    ----------
    data : Curve, Bars or Plane
        The numbers drawn.
    columns : sequence of str
        Names of the columns drawn.
    units : sequence of str or None
        Their units, None where there is none.
    name : str
        What the legend calls the density.
    n_rows : int
        Rows of the data.
    rows_name : str, default="data"
        What the legend calls the rows.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn.
    figure_ : matplotlib Figure
        The figure of these axes.
    line_ : matplotlib artist
        The curve (``Line2D``), the stems (``StemContainer``, a ``Line2D`` for many values) or the contours
        (``QuadContourSet``).
    data_ : matplotlib artist
        The histogram (``StepPatch``), the bars (``BarContainer``), the points (``PathCollection``) or their counts
        (``PolyCollection``).

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE
    >>> from fastkl.plotting import DensityDisplay
    >>> X = np.random.default_rng(0).gamma(2.0, size=(500, 1))
    >>> display = DensityDisplay.from_estimator(DensityMLE("gamma").fit(X), X, units="h", plot=False)
    >>> heights, edges = display.data.heights, display.data.edges
    >>> float(np.sum(heights * np.diff(edges)).round(12))
    1.0
    """

    def __init__(
        self,
        *,
        data: Curve | Bars | Plane,
        columns: Sequence[str],
        units: Sequence[str | None],
        name: str,
        n_rows: int,
        rows_name: str = "data",
    ):
        self.data = data
        self.columns = list(columns)
        self.units = list(units)
        self.name = name
        self.n_rows = n_rows
        self.rows_name = rows_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        *,
        column: Any = None,
        sample_weight: ArrayLike | None = None,
        bins: int | ArrayLike | None = None,
        masses: Sequence[float] = (0.5, 0.9, 0.99),
        units: Any = None,
        pairs: bool = False,
        name: str | None = None,
        n_points: int | None = None,
        n_draws: int = 100_000,
        random_state: Any = 0,
        rng: Any = None,
        ax: Any = None,
        plot: bool = True,
    ) -> Self | DensityPanels:
        """Compute what there is to see, and draw it.

        Parameters
        ----------
        estimator : object
            A fitted density: of this library, or with ``score_samples`` (and ``sample`` for two columns).
        X : array-like of shape (n, d)
            Rows.
        column : int, str or sequence of them, default=None
            Which columns to draw, by number or name; None takes all. Two continuous ones are drawn together, others with a panel
            for each. A part of the columns can be drawn where ``estimator.marginal`` gives its density.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows.
        bins : int or array-like, default=None
            Number of bins or their edges. By default the width of Freedman and Diaconis, aligned with rounded values.
        masses : sequence of float, default=(0.5, 0.9, 0.99)
            Shares of the model that the contours enclose.
        units : str, sequence or mapping from names, default=None
            Units of the columns, for the axes.
        pairs : bool, default=False
            Whether a panel for every pair of continuous columns is drawn below those of the columns (a corner plot).
        name : str, default=None
            What the legend calls the density; by default its family.
        n_points : int, default=None
            Points of the curve (default 500), or of either side of the grid of contours (default 150).
        n_draws : int, default=100_000
            Draws from the model that give the levels of the contours; the error of a mass m is sqrt(m (1 - m) / n_draws).
        random_state : int, RandomState, Generator or None, default=0
            For these draws.
        rng : int, Generator or None, default=None
            Another name of ``random_state``, as in numpy and scipy; a number seeds `numpy.random.default_rng`.
        ax : matplotlib Axes or array of them, default=None
            Where to draw; None makes a figure.
        plot : bool, default=True
            False computes only; call ``plot`` later.

        Returns
        -------
        DensityDisplay or DensityPanels
            With the numbers in ``data``; the second where there are several panels, with a ``DensityDisplay`` for each in
            ``displays``.

        Raises
        ------
        ValueError
            If there are more than 30 columns and none is chosen, or the density of a column has no closed form.
        ImportError
            If matplotlib is not installed.
        """
        rows, names = rows_and_names(estimator, X)
        chosen = chosen_columns(column, names)
        weights = read_weights(sample_weight, len(rows), beside=X)
        kept = slice(None) if weights is None else weights > 0.0
        weights = None if weights is None else weights[kept]
        draws_of = as_random_state(one_seed(random_state, rng, default=0))

        def one(columns: list[int], model: Model) -> DensityDisplay:
            labels, values = [names[j] for j in columns], rows[:, columns]
            data: Curve | Bars | Plane
            if len(columns) == 2:
                data = plane(model, numbers_of(values)[kept], weights, masses, n_points or 150, n_draws, draws_of)
            elif model.discrete:
                of_labels = bool(getattr(model.family, "labels", False))
                data = bars(model, (values[:, 0] if of_labels else numbers_of(values[:, 0]))[kept], weights)
            else:
                data = curve(model, numbers_of(values[:, 0])[kept], weights, bins, n_points or 500)
            known = name or name_of(estimator if len(chosen) <= 2 and not pairs else model.thing)
            own = [unit for j, unit in zip(chosen, units_of, strict=True) if j in columns]
            return cls(data=data, columns=labels, units=own, name=known, n_rows=len(rows[kept]))

        units_of = unit_of(units, [names[j] for j in chosen])
        displays = _panels(
            lambda columns: Model(marginal(estimator, columns, len(names)), "estimator"), chosen, pairs, one
        )
        return displays.plot(ax=ax) if plot else displays

    def _figure_size(self) -> tuple[float, float]:
        return (5.2, 4.4) if isinstance(self.data, Plane) else self._size

    def _draw(self, ax: Any) -> None:
        if isinstance(self.data, Curve):
            self._draw_curve(ax, self.data)
        elif isinstance(self.data, Bars):
            self._draw_bars(ax, self.data)
        else:
            self._draw_plane(ax, self.data)

    def _rows_label(self, beyond: int = 0, more: str = "") -> str:
        hidden = f", {beyond:,} outside the view" if beyond else ""
        return f"{self.rows_name} ({plural(self.n_rows, 'row')}{hidden}{more})"

    def _draw_curve(self, ax: Any, data: Curve) -> None:
        unit = self.units[0]
        label = self._rows_label(sum(data.beyond))
        self.data_ = ax.stairs(data.heights, data.edges, fill=True, color=GREY, label=label)
        (self.line_,) = ax.plot(data.grid, data.density, color=BLUE, linewidth=2.0, label=self.name)
        top, peak = float(data.heights.max()), float(data.density.max())
        if 0.0 < 3.0 * top < peak:  # a density without bound would flatten the histogram
            peak = 1.5 * top
        ax.set_ylim(0.0, 1.08 * max(top, peak))
        ax.set_xlim(data.grid[0], data.grid[-1])
        ax.set(xlabel=with_unit(self.columns[0], unit), ylabel=with_unit("density", f"1/{unit}" if unit else None))
        legend_above(ax, [self.data_, self.line_])

    def _draw_bars(self, ax: Any, data: Bars) -> None:
        labels = data.values.dtype.kind not in "fiu"
        if labels:
            data = _most_frequent(data)
        x = np.arange(len(data.values)) if labels else data.values
        few = len(x) <= _MANY_VALUES and data.width == 1
        label = self._rows_label(data.beyond, f", each bar {data.width:,} values" if data.width > 1 else "")
        self.data_ = ax.bar(x, data.frequencies, width=0.8 if few else data.width, color=GREY, label=label)
        if few:
            self.line_ = ax.stem(x, data.probabilities, linefmt="-", markerfmt="o", basefmt=" ", label=self.name)
            self.line_.stemlines.set(color=BLUE, linewidth=1.5)
            self.line_.markerline.set(color=BLUE, markersize=5)
        else:
            (self.line_,) = ax.plot(x, data.probabilities, color=BLUE, linewidth=1.5, label=self.name)
        if labels:
            style = {"rotation": 45 if len(x) <= 10 else 90, "ha": "right", "va": "center", "rotation_mode": "anchor"}
            texts = [shortened(str(value), 20) for value in data.values]
            crowded = len(x) > 6 or len(x) * max(map(len, texts)) > _LETTERS
            ax.set_xticks(x, texts, **(style if crowded else {}))
        else:
            ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set_ylim(0.0, 1.08 * float(max(data.frequencies.max(), data.probabilities.max())))
        ax.set(xlabel=with_unit(self.columns[0], self.units[0]), ylabel="probability")
        legend_above(ax, [self.data_, self.line_])

    def _draw_plane(self, ax: Any, data: Plane) -> None:
        from matplotlib.lines import Line2D

        x, y = data.points[:, 0], data.points[:, 1]
        box = (data.grid_x[0], data.grid_x[-1], data.grid_y[0], data.grid_y[-1])
        label = self._rows_label(data.beyond)
        if len(data.points) <= _MANY_POINTS:
            size = 14.0 if data.weights is None else 14.0 * data.weights / data.weights.mean()
            self.data_ = ax.scatter(x, y, s=size, color=DARK_GREY, alpha=0.5, linewidths=0.0, label=label)
            handles = [self.data_]
        else:
            counts = {"C": data.weights, "reduce_C_function": np.sum}
            self.data_ = ax.hexbin(x, y, **counts, gridsize=50, extent=box, cmap="Greys", bins="log", mincnt=1)
            # neither white for one row nor so dark that the contours drown
            found = self.data_.get_array()
            self.data_.set_clim(0.2 * found.min(), 5.0 * found.max())
            handles = [Line2D([], [], color=DARK_GREY, marker="h", linestyle="none", label=label)]
        # ascending levels: the largest mass first; contours must lie strictly between the extremes of the grid
        order = np.argsort(data.levels, kind="stable")
        levels = data.levels[order] - 1e-9 * np.arange(len(order), 0, -1)
        shown = np.where(np.isfinite(data.log_density), data.log_density, levels[0] - 10.0)
        self.line_ = ax.contour(data.grid_x, data.grid_y, shown, levels=levels, colors=BLUE, linestyles="solid")
        self.line_.set_linewidth(np.linspace(1.0, 2.0, len(levels)))
        self._label_contours(levels, [data.masses[i] for i in order])
        handles.append(Line2D([], [], color=BLUE, label=f"{self.name}, % enclosed"))
        ax.set(
            xlim=box[:2],
            ylim=box[2:],
            xlabel=with_unit(self.columns[0], self.units[0]),
            ylabel=with_unit(self.columns[1], self.units[1]),
        )
        legend_above(ax, handles)

    def _label_contours(self, levels: Floats, masses: Sequence[float]) -> None:
        """The share that each contour encloses, at the lower side of its widest part, from left to right where they coincide."""
        data = self.data
        assert isinstance(data, Plane)
        corner = np.array([data.grid_x[0], data.grid_y[0]])
        size = np.array([data.grid_x[-1], data.grid_y[-1]]) - corner
        for lines, mass, angle in zip(self.line_.allsegs, masses, np.linspace(-2.0, -1.1, len(levels)), strict=True):
            places = [(line - corner) / size for line in lines if len(line)]
            if not places:
                continue
            # around a small cluster contours lie so close that their labels would cover each other
            place = max(places, key=lambda part: float(np.ptp(part, axis=0).sum()))
            # where a contour leaves the view it has no room
            place = place[np.all((place > 0.04) & (place < 0.96), axis=1)]
            if len(place):
                x, y = corner + size * place[np.argmax(place @ [np.cos(angle), np.sin(angle)])]
                box = {"facecolor": self.ax_.get_facecolor(), "edgecolor": "none", "pad": 0.6}
                self.ax_.text(x, y, f"{100 * mass:g} %", fontsize=8, color=BLUE, ha="center", va="center", bbox=box)


def _most_frequent(data: Bars) -> Bars:
    """Labels as they are, or the most frequent of many in their order and all others together: names of more would overlap."""
    if len(data.values) <= _MANY_LABELS:
        return data
    ranked = np.lexsort((-data.probabilities, -data.frequencies))
    kept, others = np.sort(ranked[: _MANY_LABELS - 1]), ranked[_MANY_LABELS - 1 :]
    names = [*data.values[kept].tolist(), f"{len(others)} others"]
    frequencies, probabilities = (
        np.append(shares[kept], shares[others].sum()) for shares in (data.frequencies, data.probabilities)
    )
    return Bars(np.array(names, dtype=object), frequencies, probabilities)


def _panels(model: Any, chosen: list[int], pairs: bool, one: Any) -> Any:
    """One display, or panels: of a column each, and below them of pairs."""
    if len(chosen) == 1:
        return one(chosen, model(chosen))
    if len(chosen) == 2 and not pairs:
        both = model(chosen)
        if not both.discrete and not both.discrete_columns:
            return one(chosen, both)
    singles = {j: model([j]) for j in chosen}
    if not pairs:
        return DensityPanels.side_by_side([one([j], single) for j, single in singles.items()])
    found = {(i, i): one([j], singles[j]) for i, j in enumerate(chosen)}
    for i, below in enumerate(chosen):
        for k, left in enumerate(chosen[:i]):
            if not singles[below].discrete and not singles[left].discrete:
                found[i, k] = one([left, below], model([left, below]))
    return DensityPanels(found, (len(chosen), len(chosen)))
