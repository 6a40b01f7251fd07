"""An estimate of a divergence over the number of neighbours: flat where the samples are large enough, else drifting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self

import numpy as np

from fastkl.divergence import Estimate, NeighborSweep, kl_divergence_sweep
from fastkl.divergence.nearest.samples import check_method, default_neighbors
from fastkl.plotting.axes import BLUE, DARK_GREY, ORANGE, legend_above
from fastkl.plotting.display import Display

# Numbers of neighbours that are looked at by default, as far as the samples have them.
_NUMBERS = (1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 120)


class KSweepDisplay(Display):
    """KL(P || Q) over the number of neighbours with the band of its intervals; made by one of the ``from_`` methods.

    The standard error sees only chance. An estimate that moves by more than its band as the number of neighbours grows has a bias
    that the band doesn't contain: take more rows, fewer columns, or ``method="assisted"``.

    Parameters
    ----------
    sweep : mapping from int to Estimate
        As of ``kl_divergence_sweep``.
    chosen : int, default=None
        The number of neighbours that is marked.
    level : float, default=0.95
        Of the band.

    Attributes
    ----------
    drift : float
        The largest difference of two estimates of the sweep, in units of the larger of their two standard errors.
    ax_ : matplotlib Axes
        Where it was drawn.
    figure_ : matplotlib Figure
        The figure of these axes.
    line_ : matplotlib Line2D
        The estimates.
    band_ : matplotlib PolyCollection
        Their intervals.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl.plotting import KSweepDisplay
    >>> rng = np.random.default_rng(0)
    >>> display = KSweepDisplay.from_samples(rng.normal(size=500), rng.normal(1.0, 1.0, size=500), plot=False)
    >>> display.chosen, list(display.sweep)[:4]
    (5, [1, 2, 3, 5])
    """

    def __init__(self, sweep: Mapping[int, Estimate], *, chosen: int | None = None, level: float = 0.95):
        if not sweep:
            raise ValueError("The sweep has no number of neighbours.")
        if chosen is not None and chosen not in sweep:
            raise ValueError(
                f"chosen={chosen} is none of the numbers of neighbours: {', '.join(map(str, sorted(sweep)))}."
            )
        self.sweep = dict(sorted(sweep.items()))
        self.chosen = chosen
        self.level = level

    @property
    def drift(self) -> float:
        """How far the estimate moves over the sweep, in standard errors; nan without errors."""
        return NeighborSweep(self.sweep).drift

    @classmethod
    def from_sweep(
        cls,
        sweep: Mapping[int, Estimate],
        *,
        chosen: int | None = None,
        level: float = 0.95,
        ax: Any = None,
        plot: bool = True,
    ) -> Self:
        """Draw what ``kl_divergence_sweep`` found.

        Parameters
        ----------
        sweep : mapping from int to Estimate
            The estimates by their number of neighbours.
        chosen : int, default=None
            The number that is marked, one of them.
        level : float, default=0.95
            Of the band.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        plot : bool, default=True
            False keeps the numbers only.

        Returns
        -------
        KSweepDisplay
            The display.
        """
        return cls(sweep, chosen=chosen, level=level)._plotted(ax, plot)

    @classmethod
    def from_samples(
        cls,
        p: Any,
        q: Any,
        *,
        n_neighbors: Iterable[int] | None = None,
        chosen: int | None = None,
        method: str = "common_radius",
        level: float = 0.95,
        ax: Any = None,
        plot: bool = True,
        **options: Any,
    ) -> Self:
        """Estimate with every number of neighbours, from one search, and draw.

        Parameters
        ----------
        p, q : array-like of shape (n,) or (n, d)
            Samples; one of them may be a model that can be drawn from.
        n_neighbors : iterable of int, default=None
            The numbers; by default 1 to 120 on a scale of powers, as far as a quarter of the smaller sample has them.
        chosen : int, default=None
            The number that is marked; by default the one that ``kl_divergence`` takes with this method.
        method : {"common_radius", "knn", "bias_reduced"}, default="common_radius"
            As in `kl_divergence_sweep`.
        level : float, default=0.95
            Of the band.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        plot : bool, default=True
            False computes only.
        **options
            Passed on to :func:`fastkl.kl_divergence_sweep`.

        Returns
        -------
        KSweepDisplay
            The display.

        Raises
        ------
        ValueError
            As `kl_divergence_sweep`.
        """
        usual = default_neighbors(check_method(method))
        rows = min((len(one) for one in (p, q) if hasattr(one, "__len__")), default=1)  # a model is drawn from
        numbers = {k for k in _NUMBERS if k <= max(1, rows // 4)} if n_neighbors is None else set(n_neighbors)
        chosen = min(usual, max(1, rows - 1)) if chosen is None else chosen
        sweep = kl_divergence_sweep(p, q, sorted(numbers | {chosen}), method=method, **options)
        return cls(sweep, chosen=chosen, level=level)._plotted(ax, plot)

    def _draw(self, ax: Any) -> None:
        numbers = np.array(list(self.sweep))
        low, high = np.array([estimate.confidence_interval(self.level) for estimate in self.sweep.values()]).T
        values = np.array(list(self.sweep.values()), dtype=np.float64)
        label = f"{100 * self.level:g} % interval"
        handles = []
        self.band_ = ax.fill_between(numbers, low, high, color=BLUE, alpha=0.2, linewidth=0.0, label=label)
        moved = "" if np.isnan(self.drift) else f", moves by {self.drift:.1f} standard errors"
        (self.line_,) = ax.plot(numbers, values, "o-", color=BLUE, markersize=4.0, label=f"estimate{moved}")
        if self.chosen is not None:
            estimate = self.sweep[self.chosen]
            error = f" ± {estimate.standard_error:.3f}" if estimate.standard_error > 0.0 else ""
            label = f"k = {self.chosen}: {float(estimate):.3f}{error}"
            handles += ax.plot(
                [self.chosen], [float(estimate)], "D", color=ORANGE, markersize=7.0, zorder=4.0, label=label
            )
        bottom, top = ax.get_ylim()
        if bottom <= 0.0 <= top:
            ax.axhline(0.0, color=DARK_GREY, linewidth=1.0, linestyle=":")
        ax.set(xscale="log", xlabel="neighbours k", ylabel="KL(P ‖ Q), nats")
        ax.set_xticks(numbers, [str(k) for k in numbers])
        ax.set_xticks([], minor=True)
        legend_above(ax, [*handles, self.line_, self.band_])
