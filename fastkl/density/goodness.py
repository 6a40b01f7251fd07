"""``goodness_of_fit``: how far the rows are from a fitted distribution, and how far rows of that distribution would be.

The usual tables of these statistics are for a distribution that is known. Where its parameters were estimated from the same rows
it is nearer to them, and p-values from the tables are far too large. Here the whole is repeated on rows drawn from the fitted
distribution, with its parameters estimated anew each time (the parametric bootstrap). Column by column the statistics are those
of ``column_goodness``; for the rows as a whole see ``joint_goodness``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastkl._core.array_types import Floats
from fastkl._core.other_keywords import knows_other_keywords
from fastkl._core.text_tables import html_table
from fastkl._core.whole_numbers import is_count
from fastkl._core.wording import did_you_mean
from fastkl.density.column_goodness import STATISTICS, edf_statistics
from fastkl.density.contract import Density
from fastkl.density.joint_goodness import JOINT, JointStatistics, bootstrap_statistics
from fastkl.density.p_value_doubts import ks_of_rounded, raise_or_warn_of_failed, warn_of_rounding
from fastkl.density.validation import as_generator, of_positive_weight
from fastkl.divergence import Estimate, kl_divergence
from fastkl.divergence.models.draws import refuse_other_sums
from fastkl.divergence.models.model import Model
from fastkl.divergence.options import one_seed
from fastkl.families.drawing import around
from fastkl.rows.reading import look, refuse_not_finite
from fastkl.rows.weights import read_weights


class GoodnessOfFit(Mapping[str, Floats]):
    """Statistics of ``goodness_of_fit`` by name, with their p-values.

    Parameters
    ----------
    statistics : dict of arrays
        ``"ks"``, ``"cvm"`` and ``"ad"``, each of shape (d,); ``"energy"`` and ``"kl"``, of the rows as a whole, of shape (1,).
    p_values : dict of arrays
        Of each: the share of bootstrap samples, the rows themselves among them, that are at least as far away. NaN where the
        statistic is infinite in all, as ``"ad"`` is where a fitted density ends at a row (``uniform``, a decreasing density).
        Empty without a bootstrap.
    n_bootstrap : int
        Bootstrap samples that were fitted.
    n_failed : int
        Those that had no maximum of the likelihood, and are left out, with a warning if they are more than a twentieth; where
        they are many, no more samples are tried.
    columns : list of str
        Names of the columns.
    kl : Estimate or None
        The KL divergence of the rows from the density with its standard error and verdict, where it is among the statistics.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE
    >>> X = np.random.default_rng(0).gamma(2.0, size=(200, 1))
    >>> report = DensityMLE("normal").fit(X).goodness_of_fit(X, n_bootstrap=99, random_state=0)
    >>> report["ks"].shape, bool(report.p_values["ad"][0] < 0.05)
    ((1,), True)
    """

    def __init__(
        self,
        statistics: dict[str, Floats],
        p_values: dict[str, Floats],
        n_bootstrap: int = 0,
        n_failed: int = 0,
        columns: list[str] | None = None,
        kl: Estimate | None = None,
    ):
        self.statistics = statistics
        self.p_values = p_values
        self.n_bootstrap = n_bootstrap
        self.n_failed = n_failed
        self.columns = columns or []
        self.kl = kl

    def __getitem__(self, name: str) -> Floats:
        return self.statistics[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.statistics)

    def __len__(self) -> int:
        return len(self.statistics)

    def __repr__(self) -> str:
        by_column, lines = [name for name in self if name in STATISTICS], []
        if by_column:
            width = max(6, *map(len, self.columns)) if self.columns else 6
            lines.append(f"{'column'.ljust(width)}  " + "  ".join(f"{name:>9}  {'p-value':>7}" for name in by_column))
            for j, column in enumerate(self.columns):
                lines.append(f"{column.ljust(width)}  " + "  ".join(self._cell(name, j) for name in by_column))
        return "\n".join([*lines, *self._of_all()])

    def to_frame(self) -> Any:
        """The table as a pandas DataFrame.

        Returns
        -------
        DataFrame
            A row for each column and statistic: column, statistic, value and p_value (NaN without a bootstrap). Statistics of the
            rows as a whole have an empty name of a column.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        import pandas as pd

        lines = []
        for name, values in self.items():
            columns = self.columns if name in STATISTICS else [""]
            p_values = self.p_values.get(name, np.full(len(values), np.nan))
            lines += [[*line] for line in zip(columns, [name] * len(values), values, p_values, strict=True)]
        return pd.DataFrame(lines, columns=["column", "statistic", "value", "p_value"])

    def _of_all(self) -> list[str]:
        """What is said of the rows as a whole, and of the bootstrap."""
        lines = []
        for name in self:
            if name not in STATISTICS:
                error = f" +/- {self.kl.standard_error:.2g} nats" if name == "kl" and self.kl is not None else ""
                tested = f", p-value {self.p_values[name][0]:.4f}" if self.p_values else ""
                lines.append(f"rows as a whole: {name} = {self[name][0]:.4g}{error}{tested}")
        if self.p_values:
            failed = f"{self.n_failed} without a maximum left out"
            lines.append(f"{self.n_bootstrap} bootstrap samples, parameters estimated anew in each, {failed}")
        return lines

    def _repr_html_(self) -> str:
        names = [name for name in self if name in STATISTICS]
        table = ""
        if names:
            head = ["column", *chain(*((name, "p-value") for name in names))]
            cells = (
                (column, *chain(*(self._cell(name, j).split() for name in names)))
                for j, column in enumerate(self.columns)
            )
            table = html_table(head, cells)
        return f"<div>{table}{''.join(f'<div>{escape(line)}</div>' for line in self._of_all())}</div>"

    def _cell(self, name: str, column: int) -> str:
        tested = f"{self.p_values[name][column]:7.4f}" if self.p_values else "      -"
        return f"{self[name][column]:9.4g}  {tested}"


class GoodnessMembers(Density):
    """The member that says how well a fitted density fits."""

    @knows_other_keywords
    def goodness_of_fit(
        self,
        X: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        statistic: str | Sequence[str] | None = None,
        n_bootstrap: int | None = None,
        random_state: Any = None,
        rng: Any = None,
    ) -> GoodnessOfFit:
        r"""Distances between the rows and the fitted distribution, column by column or of whole rows, with p-values.

        With :math:`F` the fitted distribution function and :math:`F_n` that of the n rows, ``"ks"`` is Kolmogorov and Smirnov's
        :math:`\max |F_n - F|`, ``"cvm"`` Cramér and von Mises' :math:`n \int (F_n - F)^2 dF`, and ``"ad"`` Anderson and Darling's
        :math:`n \int (F_n - F)^2 / (F (1 - F)) \, dF`, which looks harder at the tails: as the R package fitdistrplus has them.

        Of the rows as a whole, ``"energy"`` is n times their energy distance to draws of the distribution, columns in units of
        their standard deviations, with at most 1,000 rows at random, and ``"kl"`` the estimated divergence of the rows from the
        distribution: both see a dependence that no column shows.

        Parameters
        ----------
        X : array-like of shape (n, d)
            The rows the density was fitted to.
        sample_weight : array-like of shape (n,), default=None
            Their weights, as masses: a row of weight 2 is two rows. Where all weights are whole, as many rows are drawn; else as
            many as there are, each with its weight.
        statistic : str or sequence of str, default=None
            Some of ``"ks"``, ``"cvm"``, ``"ad"``, ``"energy"`` and ``"kl"``. None takes the first three where there is a
            distribution function column by column, and the last two for counts, for a joint density and for a mixture of several
            columns, which depend on each other.
        n_bootstrap : int, default=None
            Samples of n rows drawn from the fitted distribution, to each of which the density is fitted anew; 0 leaves p-values
            out. Parameters that are held fixed stay. None takes 999, or 99 for mixtures and where ``"energy"`` or ``"kl"`` is
            asked for, each of which takes its time.
        random_state : int, RandomState, Generator or None, default=None
            A number gives the same p-values every time.
        rng : int, Generator or None, default=None
            Another name of ``random_state``, as in numpy and scipy; a number seeds `numpy.random.default_rng`.

        Returns
        -------
        GoodnessOfFit
            A mapping of the statistics to arrays of shape (d,), or (1,) for rows as a whole, with ``p_values`` likewise. A small
            p-value says that the fitted distribution is not that of the rows; a large one that these rows can't tell.

        Raises
        ------
        AttributeError
            If the density has no distribution function column by column, and one of the first three is asked for.
        ValueError
            If the distribution is discrete, and one of the first three is asked for; if a statistic is not known, or
            ``n_bootstrap`` negative.
        DegenerateDataError
            If none of the bootstrap samples could be fitted, so that there are no p-values.

        Warns
        -----
        UserWarning
            If more than a twentieth of the bootstrap samples could not be fitted: p-values are of the others. If a column is
            rejected, and not at places halfway between its values: they are rounded, and their steps are what no density has.

        References
        ----------
        M. A. Stephens, "EDF statistics for goodness of fit and some comparisons", J. Am. Stat. Assoc. 69, 1974,
        doi:10.2307/2286009. W. Stute, W. González-Manteiga, M. Presedo-Quindimil, "Bootstrap based goodness-of-fit tests",
        Metrika 40, 1993, doi:10.1007/BF02613687. G. J. Székely, M. L. Rizzo, "A new test for
        multivariate normality", J. Multivar. Anal. 93, 2005, doi:10.1016/j.jmva.2003.12.002.

        Examples
        --------
        >>> import numpy as np
        >>> from fastkl import DensityMLE
        >>> X = np.random.default_rng(0).gamma(2.0, size=(200, 1))
        >>> report = DensityMLE("gamma").fit(X).goodness_of_fit(X, n_bootstrap=99, random_state=0)
        >>> bool(report.p_values["ad"][0] > 0.05)
        True
        """
        random_state = one_seed(random_state, rng)
        self._check_fitted()
        names = self._chosen_statistics(statistic)
        joint = [name for name in names if name in JOINT]
        if n_bootstrap is None:
            n_bootstrap = 99 if joint or hasattr(self, "n_components") else 999
        if not is_count(n_bootstrap, least=0):
            raise ValueError(f"n_bootstrap is a number of samples of at least 0, not {n_bootstrap!r}.")
        density: Any = self
        values = look(X, "X")
        values, weights = of_positive_weight(values, read_weights(sample_weight, len(values), beside=X))
        feature_names = getattr(self, "feature_names_in_", None)
        if type(values) is np.ndarray and values.ndim == 2 and values.dtype.kind == "f":
            # before they are sorted, which moves them; others are read by ``cdf``
            refuse_not_finite(values, "X", feature_names)
        columns = (
            [f"column {j}" for j in range(self.n_features_in_)] if feature_names is None else [*map(str, feature_names)]
        )
        generator = as_generator(random_state)
        of_columns = [name for name in names if name in STATISTICS]
        found: dict[str, Floats] = edf_statistics(density, values, weights) if of_columns else {}
        divergence, whole = None, None
        if joint:
            rows, model = self._numbers(values), Model(density, "The density")
            refuse_other_sums(model, rows)
            rows = around(rows, model.turn)  # angles as draws have them
            whole = JointStatistics(joint, rows, generator)
            found |= whole.of(density, rows, weights, values)
            divergence = (
                kl_divergence(rows, density, sample_weight_p=weights, random_state=0) if "kl" in joint else None
            )
        said = {name: found[name] for name in names}
        if divergence is not None:
            said["kl"] = np.array([float(divergence)])
        if not n_bootstrap:
            return GoodnessOfFit(said, {}, columns=columns, kl=divergence)
        n_rows = len(values)
        if weights is not None and np.all(weights == np.rint(weights)):
            n_rows, weights = int(weights.sum()), None
        samples = [self._bootstrap_statistics(n_rows, weights, n_bootstrap, generator)] if of_columns else []
        if whole is not None:
            samples.append(bootstrap_statistics(density, whole.of, n_rows, weights, n_bootstrap, generator))
        compared = {name: found[name] for name in names}
        if of_columns and weights is None:
            compared |= {"ks": found["ks"], "rounded": ks_of_rounded(density, self._numbers(values))}
        p_values, fitted, failed = _p_values(compared, chain.from_iterable(samples))
        raise_or_warn_of_failed(fitted, failed, n_rows)
        if "rounded" in compared:
            warn_of_rounding(p_values["ks"], p_values["rounded"], columns)
        return GoodnessOfFit(said, {name: p_values[name] for name in names}, fitted, failed, columns, divergence)

    def _chosen_statistics(self, statistic: str | Sequence[str] | None) -> list[str]:
        """Names of the statistics that are asked for; an error for those that are not known, or that the density has not."""
        if statistic is None:
            return list(self._default_statistics())
        names = [statistic] if isinstance(statistic, str) else list(statistic)
        known = (*STATISTICS, *JOINT)
        unknown = [name for name in names if name not in known]
        if unknown or not names:
            meant = "".join(did_you_mean(name, known) for name in unknown[:1])
            raise ValueError(f"statistic is one or more of {', '.join(known)}, not {statistic!r}.{meant}")
        if set(names) & set(STATISTICS):
            self._refuse_discrete()
            if not self._by_column():
                raise AttributeError(
                    f"{self._what()} describes the row as a whole, and has no ks, cvm and ad; statistic='energy' and 'kl' are of "
                    "the row as a whole."
                )
        return list(dict.fromkeys(names))

    def _default_statistics(self) -> tuple[str, ...]:
        """Those that are taken where none is named."""
        self._refuse_discrete()
        return STATISTICS if self._is_tested_by_column() else JOINT

    def _is_tested_by_column(self) -> bool:
        """Whether the statistics of columns are those that are taken where none is named."""
        return self._by_column()

    def _what(self) -> str:
        """What describes a row, as the subject of a sentence."""
        return f"This {type(self).__name__}"

    def _numbers(self, values: Any) -> Floats:
        """The rows as numbers, in the order of the columns of the fit."""
        density: Any = self
        density.score_samples(values[:1])  # refuses other columns by name
        try:
            return np.asarray(values, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError("energy and kl are statistics of numbers; X holds labels.") from error

    def _refuse_discrete(self) -> None:
        """ValueError for a discrete distribution."""
        discrete = getattr(self, "_is_discrete", None)
        if discrete is not None and discrete():
            where, whose = "columns of this density are discrete", "marginal(columns)"
            if hasattr(self, "densities_"):
                where, whose = "a group of this product is discrete", "densities_[name]"
            raise ValueError(
                f"ks, cvm and ad are statistics of continuous distributions, and {where}. Ask the others one by one: "
                f"{whose}.goodness_of_fit(columns)."
            )

    def _bootstrap_statistics(
        self, n: int, weights: Floats | None, n_bootstrap: int, generator: np.random.Generator
    ) -> Iterator[tuple[dict[str, Floats], int]]:
        """Statistics (m, d) of some of the bootstrap samples at a time, and how many had no maximum: one fit after the other."""
        return bootstrap_statistics(self, edf_statistics, n, weights, n_bootstrap, generator)


def _p_values(
    found: dict[str, Floats], samples: Iterable[tuple[dict[str, Floats], int]]
) -> tuple[dict[str, Floats], int, int]:
    """Shares of the bootstrap samples with statistics as large, the rows' own among them; how many were fitted, and were not."""
    reached = {name: np.ones(len(value)) for name, value in found.items()}
    told = {name: np.isfinite(value) for name, value in found.items()}  # where it is infinite in all it tells nothing
    fitted, failed = dict.fromkeys(found, 0), 0
    for draws, missed in samples:
        if "rounded" in found and "ks" in draws:
            draws = {**draws, "rounded": draws["ks"]}
        for name in draws.keys() & found.keys():
            told[name] |= np.isfinite(draws[name]).any(axis=0)
            reached[name] += np.sum(draws[name] >= found[name], axis=0)
            fitted[name] += len(draws[name])
        failed += missed
    p_values = {name: np.where(told[name], reached[name] / (fitted[name] + 1.0), np.nan) for name in found}
    return p_values, min(fitted.values()), failed
