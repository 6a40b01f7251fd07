"""The figure of ``fastkl fit --figure``: the ranking with its errors, and the best density over the data."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from fastkl import ComparisonDisplay, DensityDisplay, DensityMLE, ProductDensity
from fastkl.rows.tables import columns_of
from fastkl.selection import FamilyTable

# Columns drawn one by one, where there are more than two.
_MOST_COLUMNS = 4


def check_ending(path: str, option: str) -> None:
    """ImportError without matplotlib, ValueError for a kind of picture that it doesn't write."""
    try:
        import matplotlib as mpl
        from matplotlib.backend_bases import FigureCanvasBase
    except ImportError as error:
        raise ImportError(f"{option} {path} needs matplotlib: pip install 'fastkl[plot]'") from error
    endings = sorted(FigureCanvasBase.get_supported_filetypes())
    if os.path.splitext(path)[1][1:].lower() not in endings:
        raise ValueError(f"{option}: {path} ends in none of {', '.join(f'.{ending}' for ending in endings)}")
    mpl.use("Agg")  # a file is written, no window opened


def draw(path: str, ranking: FamilyTable, density: DensityMLE | ProductDensity, rows: Any, weights: Any) -> None:
    """Write the figure, to a file whose ending was checked."""
    from matplotlib.figure import Figure

    panels: list[Callable[..., Any]] = []
    if len(ranking.names) > 1:
        panels.append(partial(ComparisonDisplay.from_comparison, ranking))
    for part, some_rows, column in _shown(density, rows):
        display = DensityDisplay.from_estimator(part, some_rows, sample_weight=weights, column=column, plot=False)
        panels.append(display.plot)
    if not panels:
        family = density.family_.name if isinstance(density, DensityMLE) else "product"
        raise ValueError(f"--figure: the {family} density of {rows.shape[1]} columns can't be drawn")
    across = min(len(panels), 3)
    down = -(-len(panels) // across)
    figure = Figure(figsize=(5.6 * across, 4.2 * down), layout="constrained")
    axes = figure.subplots(down, across, squeeze=False).ravel()
    for panel, ax in zip(panels, axes, strict=False):
        panel(ax=ax)
    for ax in axes[len(panels) :]:
        ax.remove()
    figure.savefig(path, dpi=110)


def _shown(density: DensityMLE | ProductDensity, rows: Any) -> Iterator[tuple[DensityMLE, Any, Any]]:
    """Densities with rows and columns to draw: of a product those of its parts."""
    if isinstance(density, DensityMLE):
        for column in _columns(density, rows.shape[1]):
            yield density, rows, column
        return
    for _, part, numbers in density.groups_[:_MOST_COLUMNS]:
        own = columns_of(rows, numbers)
        for column in _columns(part, len(numbers)):
            yield part, own if part.family_.labels else np.asarray(own, dtype=np.float64), column


def _columns(density: DensityMLE, n_columns: int) -> list[Any]:
    """Two continuous columns together, others one by one; none where a column of several has no density in closed form."""
    if n_columns == 2 and not density.family_.discrete:
        return [(0, 1)]
    if n_columns > 1 and density.family_.marginal(density.params_, [0]) is None:
        return []
    return list(range(min(n_columns, _MOST_COLUMNS)))
