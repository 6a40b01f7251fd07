"""Several columns of a fitted density: a panel for each, and on request one for every pair, as a corner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from fastkl.plotting.axes import figure_with_axes

# Panels side by side.
_ACROSS = 3


class DensityPanels:
    """Panels of a density over its data, made by ``DensityDisplay.from_estimator`` for several columns.

    Parameters
    ----------
    displays : dict of DensityDisplay
        By row and column of the grid.
    shape : tuple of int
        Rows and columns of the grid.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        The grid; None where there is no panel.
    figure_ : matplotlib Figure
        Their figure.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE
    >>> from fastkl.plotting import DensityDisplay
    >>> X = np.random.default_rng(0).normal(size=(200, 4))
    >>> panels = DensityDisplay.from_estimator(DensityMLE().fit(X), X, plot=False)
    >>> [display.columns for display in panels.displays.values()]
    [['column 0'], ['column 1'], ['column 2'], ['column 3']]
    """

    def __init__(self, displays: Mapping[tuple[int, int], Any], shape: tuple[int, int]):
        self.displays = dict(displays)
        self.shape = shape

    @classmethod
    def side_by_side(cls, displays: list[Any]) -> Self:
        """One panel after the other.

        Parameters
        ----------
        displays : list of DensityDisplay or GoodnessDisplay
            Not drawn yet, one for each panel.

        Returns
        -------
        DensityPanels
            The grid, not drawn yet.
        """
        across = min(len(displays), _ACROSS)
        places = {divmod(i, across): display for i, display in enumerate(displays)}
        return cls(places, (-(-len(displays) // across), across))

    def plot(self, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : array of matplotlib Axes, default=None
            As many as the grid has places; None makes a figure.

        Returns
        -------
        DensityPanels
            The panels themselves, with ``axes_`` and ``figure_``.

        Raises
        ------
        ValueError
            If there are not as many axes as places.
        """
        down, across = self.shape
        if ax is None:
            grid = figure_with_axes(down, across, (3.9 * across, 3.3 * down))
        else:
            grid = np.array(ax, dtype=object)
            if grid.size != down * across:
                raise ValueError(f"ax has {grid.size} axes; {down} x {across} panels need as many as there are places.")
            grid = grid.reshape(self.shape)
        self.axes_ = np.full(self.shape, None, dtype=object)
        self.figure_ = grid.ravel()[0].figure
        for place in np.ndindex(*self.shape):
            if place in self.displays:
                self.axes_[place] = grid[place]
                self.displays[place].plot(ax=grid[place])
            else:
                grid[place].remove()
        _keep_first_legends([ax for ax in self.axes_.ravel() if ax is not None])
        return self


def _keep_first_legends(axes: list[Any]) -> None:
    """Of panels whose legends say the same the first alone has one: a corner of five columns would have it fifteen times."""
    seen = set()
    for ax in axes:
        legend = ax.get_legend()
        if legend is None:
            continue
        entries = zip(legend.get_texts(), legend.legend_handles, strict=True)
        said = tuple((text.get_text(), type(handle)) for text, handle in entries)
        if said in seen:
            legend.remove()
        seen.add(said)
