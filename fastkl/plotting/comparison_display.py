"""Densities compared on held-out rows: how far each lies behind the best, with error bars, best on top."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastkl._core.array_types import Floats
from fastkl._core.wording import plural
from fastkl.families.base import Family
from fastkl.plotting.axes import BLUE, DARK_GREY, numbers_in_full
from fastkl.plotting.display import Display, at_right_edge, lines_from_above, right_labels
from fastkl.selection import Comparison, FamilyRanking, FamilyTable, compare_densities

# A density so many times further behind than the median of them is off the axis.
_FAR = 20.0


class ComparisonDisplay(Display):
    """Densities in order, best first, by their held-out mean log-likelihood; made by one of the ``from_`` methods.

    The axis is the mean log-likelihood of the best minus that of the density, in nats per row, which is the difference of their
    KL divergences from the data distribution. A density so far behind that the others could not be told apart is an
    arrow at the edge.

    Parameters
    ----------
    names : sequence of str
        Names of the densities.
    differences : array-like of shape (k,)
        Nats per row behind the best: 0 for the best, inf for a density that excludes a row.
    standard_errors : array-like of shape (k,)
        Of the differences; nan where there is none.
    note : str, default="rows"
        Where the numbers come from, for the label of the axis.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn.
    figure_ : matplotlib Figure
        The figure of these axes.
    line_ : matplotlib ErrorbarContainer
        Points and bars of two standard errors.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE
    >>> from fastkl.plotting import ComparisonDisplay
    >>> X = np.random.default_rng(0).gamma(2.0, size=(1000, 1))
    >>> fitted = {name: DensityMLE(name).fit(X[:500]) for name in ("normal", "gamma")}
    >>> ComparisonDisplay.from_estimators(fitted, X[500:], plot=False).names
    ['gamma', 'normal']
    """

    def __init__(self, names: Sequence[str], differences: ArrayLike, standard_errors: ArrayLike, *, note: str = "rows"):
        values = np.asarray(differences, dtype=np.float64)
        errors = np.asarray(standard_errors, dtype=np.float64)
        if values.ndim != 1 or len(values) == 0 or not len(names) == len(values) == len(errors):
            raise ValueError(
                f"There are {len(names)} names, {values.shape} differences and {errors.shape} errors; one of each is needed "
                "for every density."
            )
        order = np.argsort(values, kind="stable")
        self.names = [str(names[i]) for i in order]
        self.differences: Floats = values[order]
        self.standard_errors: Floats = errors[order]
        self.note = note

    @classmethod
    def from_estimators(
        cls,
        densities: Mapping[str, Any] | Sequence[tuple[str, Any]],
        X: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        ax: Any = None,
        plot: bool = True,
    ) -> Self:
        """Compare fitted densities on rows that they were not fitted to.

        Parameters
        ----------
        densities : mapping or sequence of (name, density)
            Fitted densities with ``score_samples``.
        X : array-like of shape (n, d)
            Held-out rows.
        sample_weight : array-like of shape (n,), default=None
            Weights of at least 0.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        plot : bool, default=True
            False computes only.

        Returns
        -------
        ComparisonDisplay
            The display.
        """
        return cls.from_comparison(compare_densities(densities, X, sample_weight), ax=ax, plot=plot)

    @classmethod
    def from_comparison(
        cls, comparison: Comparison | FamilyTable | FamilyRanking, *, ax: Any = None, plot: bool = True
    ) -> Self:
        """Draw the table of ``compare_densities``, or one of ``rank_families``.

        Parameters
        ----------
        comparison : Comparison, FamilyTable or FamilyRanking
            The table; of a ranking that of whole rows, ``ranking.joint``. That of a column is ``ranking[column]``.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        plot : bool, default=True
            False keeps the numbers only.

        Returns
        -------
        ComparisonDisplay
            The display.

        Raises
        ------
        TypeError
            If it is none of these tables.
        ValueError
            If none of its densities could be ranked.
        """
        if isinstance(comparison, FamilyRanking):
            comparison = comparison.joint
        if not isinstance(comparison, Comparison | FamilyTable):
            raise TypeError(
                f"comparison is what compare_densities or rank_families gives, not {type(comparison).__name__}; the results of a "
                "search are drawn by from_cv_results, fitted densities by from_estimators."
            )
        if not comparison.names:
            raise ValueError("There is nothing to draw: no density of the comparison could be ranked.")
        note = plural(comparison.n_rows, "row")
        display = cls(comparison.names, comparison.kl_difference, comparison.kl_difference_error, note=note)
        return display._plotted(ax, plot)

    @classmethod
    def from_cv_results(
        cls,
        cv_results: Any,
        *,
        names: Sequence[str] | None = None,
        metric: str = "score",
        ax: Any = None,
        plot: bool = True,
    ) -> Self:
        """Draw the results of a search whose score is a mean log-likelihood per row (or minus a divergence).

        The differences are taken fold by fold, where what is easy or hard about a fold cancels. Their standard error is the
        standard deviation over the folds divided by the root of their number: a rough one, since folds share training rows.

        Parameters
        ----------
        cv_results : mapping or fitted search
            ``GridSearchCV`` or its kin, fitted, or its ``cv_results_``.
        names : sequence of str, default=None
            Names of the candidates in their order; by default their parameters.
        metric : str, default="score"
            The metric, where there are several.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        plot : bool, default=True
            False computes only.

        Returns
        -------
        ComparisonDisplay
            The display; a candidate that failed or excludes a row has the difference inf.

        Raises
        ------
        TypeError
            If it is no fitted search and none of its results.
        ValueError
            If there is no such metric, or every candidate failed or excludes a row.
        """
        cv_results = getattr(cv_results, "cv_results_", cv_results)
        if not isinstance(cv_results, Mapping):
            unfitted = " before fit" if hasattr(cv_results, "fit") else ""
            raise TypeError(
                "cv_results is a fitted search, such as GridSearchCV(...).fit(X), or its cv_results_; not "
                f"{type(cv_results).__name__}{unfitted}."
            )
        folds = sorted(key for key in cv_results if key.startswith("split") and key.endswith(f"_test_{metric}"))
        if not folds:
            metrics = sorted({key.split("_test_")[1] for key in cv_results if key.startswith("split0_test_")})
            raise ValueError(
                f"cv_results has no metric {metric!r}; it has {', '.join(metrics) or 'no results of folds'}."
            )
        scores = np.column_stack([np.asarray(cv_results[key], dtype=np.float64) for key in folds])
        scores = np.where(np.isfinite(scores), scores, -np.inf)
        best = int(np.argmax(scores.mean(axis=1)))
        if not np.isfinite(scores[best]).all():
            raise ValueError(
                "Every candidate failed or excludes a row in some fold: there is no best one to compare with."
            )
        behind = scores[best] - scores
        with np.errstate(invalid="ignore"):
            errors = (
                behind.std(axis=1, ddof=1) / np.sqrt(len(folds)) if len(folds) > 1 else np.full(len(scores), np.nan)
            )
        if names is None:
            names = _names_of(cv_results["params"])
        display = cls(names, behind.mean(axis=1), errors, note=f"{len(folds)} folds")
        return display._plotted(ax, plot)

    def _figure_size(self) -> tuple[float, float]:
        return 6.4, 1.3 + 0.33 * len(self.names)

    def _draw(self, ax: Any) -> None:
        shown = self._near()
        bars = 2.0 * np.nan_to_num(self.standard_errors)
        self.line_ = ax.errorbar(
            self.differences[shown],
            np.flatnonzero(shown),
            xerr=bars[shown],
            fmt="o",
            color=BLUE,
            capsize=3.0,
            markersize=5.0,
            zorder=3.0,
        )
        at_right_edge(ax, np.flatnonzero(~shown), BLUE)
        ax.axvline(0.0, color=DARK_GREY, linewidth=1.0, linestyle=":")
        lines_from_above(ax, self.names)
        # set against the right end: beside long names the axis is shorter than its label, which would run off the figure
        ax.set_xlabel(f"nats per row behind the best (± 2 s.e., {self.note})", loc="right")
        numbers_in_full(ax.xaxis)
        right_labels(ax, self._texts())

    def _near(self) -> NDArray[np.bool_]:
        """Which densities have their point on the axis."""
        finite = np.isfinite(self.differences)
        positive = self.differences[finite & (self.differences > 0.0)]
        reach = _FAR * float(np.median(positive)) if len(positive) else 0.0
        return finite & (self.differences <= reach)

    def _texts(self) -> list[str]:
        texts = []
        for difference, error in zip(self.differences, self.standard_errors, strict=True):
            if difference == 0.0:
                texts.append("best")
            elif not np.isfinite(difference):
                texts.append("excludes rows")
            else:
                form = ".4f" if difference < 100.0 else ".3g"
                texts.append(f"{difference:{form}}" + (f" ± {error:{form}}" if np.isfinite(error) else ""))
        return texts


def _names_of(candidates: Sequence[Mapping[str, Any]]) -> list[str]:
    """Candidates by their parameters: the values alone where each has but one."""
    texts = [{key: value.name if _is_plain(value) else str(value) for key, value in one.items()} for one in candidates]
    if all(len(one) == 1 for one in texts):
        return [next(iter(one.values())) for one in texts]
    return [", ".join(f"{key.split('__')[-1]}={value}" for key, value in one.items()) for one in texts]


def _is_plain(value: Any) -> bool:
    """A family with nothing held fixed or chosen."""
    return isinstance(value, Family) and repr(value) == repr(type(value)())
