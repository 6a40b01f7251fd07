"""What every display has: axes that are given or made, the figure they belong to, and ``plot``."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from fastkl.plotting.axes import figure_with_axes, shortened


class Display:
    """A picture of numbers that were computed before; a subclass says how large it is and draws."""

    # width and height in inches of a figure made for it
    _size: ClassVar[tuple[float, float]] = (5.6, 3.8)

    def plot(self, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        Display
            The display itself, with ``ax_``, ``figure_`` and the artists it drew.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        self.ax_ = figure_with_axes(1, 1, self._figure_size())[0, 0] if ax is None else ax
        self.figure_ = self.ax_.figure
        self._draw(self.ax_)
        return self

    def _figure_size(self) -> tuple[float, float]:
        return self._size

    def _draw(self, ax: Any) -> None:
        raise NotImplementedError

    def _plotted(self, ax: Any, plot: bool) -> Self:
        """What a ``from_`` method returns."""
        return self.plot(ax=ax) if plot else self


def right_labels(ax: Any, texts: list[str]) -> None:
    """A text on the right of every line, as ticks, so that the layout leaves room for them."""
    right = ax.secondary_yaxis("right")
    right.set_yticks(range(len(texts)), texts)
    right.tick_params(length=0.0)


def lines_from_above(ax: Any, names: list[str]) -> None:
    """One line for each name, the first on top, on a grid of vertical lines."""
    ax.set_yticks(range(len(names)), [shortened(name, 40) for name in names])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.grid(axis="x", alpha=0.3)


def at_right_edge(ax: Any, y: Any, color: str) -> None:
    """Arrows at the right edge for what lies beyond it."""
    # x in shares of the axis, y in data
    ax.plot([0.985] * len(y), y, ">", color=color, markersize=6.0, transform=ax.get_yaxis_transform())
