"""How many components: the criterion of every candidate over its number of components, the chosen one marked."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from fastkl.plotting.axes import BLUE, DARK_GREY, GREY, ORANGE
from fastkl.plotting.display import Display
from fastkl.selection import ComponentChoice

_LABELS = {
    "bic": "BIC (nats × 2)",
    "icl": "ICL (nats × 2)",
    "cv": "cross-entropy of held-out rows (nats per row)",
    "bootstrap": "BIC (nats × 2)",
}
_STYLES = ((BLUE, "o"), (DARK_GREY, "s"), (ORANGE, "^"), (GREY, "D"))


class ComponentsDisplay(Display):
    """A criterion over the number of components, a line for each type of covariance; lower is better.

    Parameters
    ----------
    choice : ComponentChoice
        What ``choose_components`` found.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn.
    figure_ : matplotlib Figure
        The figure of these axes.
    lines_ : list of matplotlib ErrorbarContainer
        Of each type of covariance, with bars of two standard errors where there are some.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import choose_components
    >>> from fastkl.plotting import ComponentsDisplay
    >>> X = np.random.default_rng(0).normal(size=(100, 1))
    >>> ComponentsDisplay.from_choice(choose_components(X, [1, 2], random_state=0), plot=False).choice.best.n_components
    1
    """

    def __init__(self, choice: ComponentChoice):
        self.choice = choice

    @classmethod
    def from_choice(cls, choice: ComponentChoice, *, ax: Any = None, plot: bool = True) -> Self:
        """Draw what ``choose_components`` found.

        Parameters
        ----------
        choice : ComponentChoice
            The table.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        plot : bool, default=True
            False keeps the table only.

        Returns
        -------
        ComponentsDisplay
            The display.
        """
        return cls(choice)._plotted(ax, plot)

    def _draw(self, ax: Any) -> None:
        choice, self.lines_ = self.choice, []
        types = list(dict.fromkeys(choice.covariance_types))
        for i, kind in enumerate(types):
            own = [j for j, other in enumerate(choice.covariance_types) if other == kind and not choice.notes[j]]
            colour, marker = _STYLES[i % len(_STYLES)]
            errors = None if np.isnan(choice.standard_error).all() else 2.0 * np.nan_to_num(choice.standard_error[own])
            self.lines_.append(
                ax.errorbar(
                    [choice.n_components[j] for j in own], choice.value[own], yerr=errors, color=colour, marker=marker,
                    capsize=3, label=kind,
                )
            )  # fmt: skip
        best = choice.best_index
        ax.annotate(
            f"best: {choice.n_components[best]}", (choice.n_components[best], choice.value[best]), xytext=(0, -26),
            textcoords="offset points", ha="center", arrowprops={"arrowstyle": "-", "color": DARK_GREY},
        )  # fmt: skip
        ax.margins(y=0.22)
        ax.set_xticks(sorted(set(choice.n_components)))
        ax.set(xlabel="components", ylabel=_LABELS[choice.criterion])
        if len(types) > 1:
            ax.legend(frameon=False, title="covariance")
