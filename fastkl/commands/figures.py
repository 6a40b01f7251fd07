"""The figure of ``fastkl fit --figure``: the ranking with its errors, and the best density over the data."""

from collections.abc import Callable
from functools import partial
from typing import Any

from fastkl import Comparison, ComparisonDisplay, DensityDisplay, DensityMLE

# Columns drawn one by one, where there are more than two.
_MOST_COLUMNS = 4


def draw(path: str, ranking: Comparison | None, density: DensityMLE, rows: Any, weights: Any) -> None:
    """Write the figure; ImportError without matplotlib, ValueError for an ending that it does not know."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("--figure needs matplotlib: pip install 'fastkl[plot]'") from error
    panels: list[Callable[..., Any]] = []
    if ranking is not None and len(ranking.names) > 1:
        panels.append(partial(ComparisonDisplay.from_comparison, ranking))
    for column in _shown(density, rows.shape[1]):
        display = DensityDisplay.from_estimator(density, rows, sample_weight=weights, column=column, plot=False)
        panels.append(display.plot)
    if not panels:
        raise ValueError(f"--figure: the {density.family_.name} density of {rows.shape[1]} columns can't be drawn")
    across = min(len(panels), 3)
    down = -(-len(panels) // across)
    figure = Figure(figsize=(5.6 * across, 4.2 * down), layout="constrained")
    axes = figure.subplots(down, across, squeeze=False).ravel()
    for panel, ax in zip(panels, axes, strict=False):
        panel(ax=ax)
    for ax in axes[len(panels) :]:
        ax.remove()
    figure.savefig(path, dpi=110)


def _shown(density: DensityMLE, n_columns: int) -> list[Any]:
    """Two continuous columns together, others one by one; none where a column of several has no density in closed form."""
    if n_columns == 2 and not density.family_.discrete:
        return [(0, 1)]
    if n_columns > 1 and density.family_.name in ("dirichlet", "multinomial", "von_mises_fisher"):
        return []
    return list(range(min(n_columns, _MOST_COLUMNS)))
