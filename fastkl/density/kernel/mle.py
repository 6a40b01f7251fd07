"""``KernelDensityMLE``: a density without a family, the sum of a kernel at every row."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from fastkl._core.iterations import read_as
from fastkl._core.rows import Rows
from fastkl.density.callbacks import hears_callbacks
from fastkl.density.files.registry import register_density
from fastkl.density.kernel.bandwidths.mixed_bandwidths import mixed_bandwidth
from fastkl.density.kernel.bandwidths.rules import Bandwidth, chosen_bandwidth, given_bandwidth, is_rule
from fastkl.density.kernel.checks import check_kernel_density
from fastkl.density.kernel.columns.column_types import ColumnTypes, declared_types, given_types
from fastkl.density.kernel.columns.directional import support_of
from fastkl.density.kernel.debiased import moves, widened_moves
from fastkl.density.kernel.fitted import FittedKernelDensity
from fastkl.density.validation import read_rows, unchanged_on_error
from fastkl.rows.checks import raise_if_not_finite, require_finite
from fastkl.rows.streamed import StreamedRows
from fastkl.rows.tables import table_kind

OF_LABELS = ("column_types_", "categories_", "dtypes_")


class KernelDensityMLE(FittedKernelDensity):
    r"""Kernel density estimate, its bandwidths chosen by maximum likelihood.

    .. math:: \log p(x) = \log \sum_j \frac{w_j}{W} \frac{k(\|u_j\|)}{c_d \prod_s h_s}, \quad u_{js} = (x_s - x_{js}) / h_s

    Every log-density is within ``error`` of that of the full sum, far out too: sums are relative to their largest term, and
    what is left out for speed is bounded for each row.

    Parameters
    ----------
    bandwidth : float, array-like of shape (d,) or (d, d), or str, default="likelihood"
        A number, one for each column, or a matrix, which is the covariance of a Gaussian kernel (its diagonal holds squares of
        bandwidths). Or a rule; all of them go by the scale of the data. ``"likelihood"`` maximises the leave-one-out
        log-likelihood with one bandwidth for each column, ``"likelihood_scalar"`` with one for all columns,
        ``"likelihood_matrix"`` with a full matrix, for columns that depend on each other along a slope. ``"scott"`` and
        ``"silverman"`` are standard deviations times :math:`n^{-1 / (d + 4)}` and :math:`(n (d + 2) / 4)^{-1 / (d + 4)}`, best
        for normal data. ``"sheather_jones"`` solves the equation of Sheather and Jones for every column (the ``bw.SJ`` of R). For
        kernels other than the Gaussian these three are divided by the kernel's standard deviation.
    kernel : str, default="gaussian"
        ``"gaussian"``, ``"epanechnikov"``, ``"tophat"``, ``"exponential"``, ``"linear"`` or ``"cosine"``: radial functions of the
        distance in bandwidths, normalised in any number of columns. Or ``"von_mises"`` where every column is an angle in radians,
        and ``"von_mises_fisher"`` where rows are unit vectors, with the concentration :math:`1 / h^2`: a density of the circles,
        or of the sphere.
    error : float, default=1e-9
        Largest error of any log-density against the full sum, in nats. 0 adds every term.
    boundary : None, str, tuple or dict, default=None
        Where columns end: one entry for all of them, or a dict of entries by column (name or number). ``(low, high)`` reflects
        the density at these ends, of which one may be None; ``"reflect"`` is ``(0, None)``. ``"log"`` smooths the logarithms of
        values above 0, ``"logit"`` the log-odds of values between 0 and 1 (``("log", low)`` and ``("logit", low, high)`` of
        values above or between others), and bandwidths of such a column are those of what is smoothed. ``("circular", period)``
        goes around a circle: hours of a day, degrees. The density integrates to 1 over the support and is 0 outside.
    adaptive : bool, default=False
        Whether each row has a bandwidth of its own: that of ``bandwidth`` times :math:`(\tilde p(x_j) / g)^{-1/2}`, with
        :math:`\tilde p` the density of equal bandwidths and g its geometric mean over the rows (Abramson). Narrow where rows are
        dense and wide in the tails.
    bias_reduction : {None, "score"}, default=None
        ``"score"`` moves every kernel by half the bandwidth matrix times the slope of the log-density at its row,
        :math:`x_j + \tfrac{1}{2} H \nabla \log \tilde p(x_j)`, to where rows are denser, against the flattening of peaks:
        the leading term of the bias is gone, and nothing is negative. :math:`\tilde p` is the density of kernels moved by the
        slope of the density without the shift. With a rule the bandwidth is multiplied by a factor from 1 to 4, and
        a mixture of normal distributions (the best by BIC) is tried for :math:`\tilde p` too, by which kernels follow the
        slope all the way (see ``docs/kernel_densities.md``): the choice is by four-fold cross-validation, in log-likelihood and
        squared error together.
    column_types : None, dict or list, default=None
        What columns hold: "continuous", "categorical" or "ordered", by column (name or number; the others are continuous) or
        one for each. A categorical column has the kernel of Aitchison and Aitken, with a bandwidth from 0, where rows stand for
        their own label alone, to (c - 1) / c for c labels, where the label does not matter. An ordered column has that of Wang
        and van Ryzin, with a bandwidth from 0 up to 1: of whole numbers as they are, or of labels in the order that is given,
        ``("ordered", ["low", "high"])``, or that an ordered categorical column of pandas has. Labels that rows may have later can
        be given, too, ``("categorical", [...])``; any other has density 0. ``bandwidth`` is then "likelihood", for all columns
        together, or one number for each.
    n_jobs : int, default=None
        Threads: None for all cores the process may use (1 inside a joblib worker), -1 likewise, or a number. The result is the
        same bit for bit whatever the number.

    Attributes
    ----------
    bandwidth_ : float or ndarray of shape (d,) or (d, d)
        The bandwidths: a number where one is for all columns.
    loo_log_likelihood_ : float
        Leave-one-out log-likelihood of the fitted rows in nats, where the bandwidth maximises it; with ``bias_reduction`` that of
        the shifted kernels, which have seen the row.
    converged_ : bool
        Whether the slopes of that likelihood vanish (at most 1e-6 per row), where it was maximised.
    n_iter_ : int
        How often it was evaluated.
    references_ : ndarray of shape (m, d)
        The rows, without those of weight 0.
    reference_weights_ : ndarray of shape (m,) or None
        Their weights.
    shifts_ : ndarray of shape (m, d)
        By how much the kernels are moved, with ``bias_reduction``.
    column_types_, categories_ : dict
        Types by column number, of those that are not continuous, and the labels of those that have some. In ``references_`` a
        label is its place among them.
    discrete_columns_, discrete_ : frozenset of int, bool
        Numbers of these columns, and whether they are all: log-densities are then log-probabilities.
    dtypes_ : list of str or None
        With ``column_types``: the dtypes of the DataFrame that was fitted, which draws are given.
    ends_ : dict or None
        Entries of ``boundary`` by column number, where columns end.
    local_bandwidths_ : ndarray of shape (m,)
        Factors of the bandwidth at each of them, with ``adaptive``.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Column names, where the rows came as a table with names.

    See Also
    --------
    DensityMLE : A density of a family, which needs fewer rows where the family is right.

    Notes
    -----
    With weights the likelihood leaves out each row with all of its weight; rules read weights as numbers of rows.

    The leave-one-out likelihood may have several maxima: for ``"likelihood"`` and ``"likelihood_scalar"`` a lattice of bandwidths
    is looked at, and the highest maximum reached from its peaks counts. Of a kernel with an end it has a kink wherever
    a kernel reaches another row, and many maxima: what is found is a high one of them.

    ``bias_reduction="score"`` is of the Gaussian kernel in columns of numbers without an end, with ``adaptive=False``; the
    kernels of angles and of directions take neither ``boundary``, ``adaptive`` nor ``column_types``.

    In many columns a kernel density is poor: for n rows from a normal distribution its divergence from the truth falls like
    n^(-4 / (d + 4)). The guide has a table.

    References
    ----------
    B. W. Silverman, *Density Estimation for Statistics and Data Analysis*, 1986, doi:10.1201/9781315140919; leave-one-out
    likelihood: R. P. W. Duin, IEEE Transactions on Computers C-25, 1976, doi:10.1109/TC.1976.1674577; adaptive: I. S. Abramson,
    Annals of Statistics 10, 1982, doi:10.1214/aos/1176345986; shifted by the score: E. L. Epstein and
    others, 2025, arXiv:2504.19084; with the score of the density itself: the same, 2026, arXiv:2602.10378.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import KernelDensityMLE
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(0.0, 1.0, (300, 1)), rng.normal(6.0, 0.5, (200, 1))])
    >>> model = KernelDensityMLE().fit(X)
    >>> model.bandwidth_.round(4)
    array([0.204])
    >>> model.score_samples([[0.0], [3.0], [30.0]]).round(3)
    array([-1.544000e+00, -5.114000e+00, -6.328212e+03])
    """

    def __init__(
        self,
        bandwidth: Any = "likelihood",
        *,
        kernel: str = "gaussian",
        error: float = 1e-9,
        boundary: Any = None,
        adaptive: bool = False,
        bias_reduction: str | None = None,
        column_types: Any = None,
        n_jobs: int | None = None,
    ):
        self.bandwidth = bandwidth
        self.kernel = kernel
        self.error = error
        self.boundary = boundary
        self.adaptive = adaptive
        self.bias_reduction = bias_reduction
        self.column_types = column_types
        self.n_jobs = n_jobs

    @hears_callbacks
    def fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Keep the rows, and choose the bandwidths.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows; they are copied.
        y : None
            Ignored.
        sample_weight : array-like of shape (n,), default=None
            Weights of at least 0. Rows of weight 0 are as good as absent. Rules by scales read them as numbers of rows;
            leave-one-out likelihood leaves a row out with all its weight, where one of two equal rows would tell the other.

        Returns
        -------
        KernelDensityMLE
            The estimator itself.

        Raises
        ------
        DegenerateDataError
            If a rule finds no bandwidth: a single row, a constant column, every row with a twin.
        ValueError
            If a bandwidth is not above 0, parameters do not go together (see Notes of the class), or a value is not finite.
        SupportError
            If a value lies beyond an end of its column.
        """
        with unchanged_on_error(self):
            self._check_parameters()
            self._forget_fit()
            self._learn(read_rows(self, X, sample_weight, labels=self._takes_labels(), reset=True), X)
        return self

    def _typed(self, rows: Rows, X: Any) -> Rows:
        """Rows of numbers; of columns of labels, what they are is learnt."""
        given = declared_types(X, given_types(self.column_types, rows.names, rows.n_columns))
        types = ColumnTypes.learnt(given, rows)
        if given:
            self.column_types_, self.categories_, self.dtypes_ = types.kinds, types.labels, table_kind(X)
        return types.coded(rows, strict=True)

    def _learn(self, rows: Rows, X: Any) -> None:
        if self.column_types is not None:
            rows = self._typed(rows, X)
        raise_if_not_finite(rows)
        rule, d = is_rule(self.bandwidth), rows.n_columns
        support = support_of(self.kernel, self.boundary, d, rows.names, self._types)
        support.refuse(rows)
        self.ends_ = None if self.boundary is None else support.part(list(range(d)))
        chosen = Bandwidth(None if rule else given_bandwidth(self.bandwidth, d, self.kernel, support.kernels))
        if rule:
            choose = mixed_bandwidth if support.kernels else chosen_bandwidth
            with require_finite(rows), read_as(lambda value: self._at(rows, value)):
                chosen = choose(self.bandwidth, rows, self.kernel, support.inner(rows.X)[0], support)
        self.bandwidth_, self._sums = chosen.value, None
        if chosen.log_likelihood is not None:
            slopes = np.broadcast_to(support.log_slope(rows.X), len(rows.X))
            self.loo_log_likelihood_ = chosen.log_likelihood + rows.weighted_sum(slopes)
            self.converged_, self.n_iter_ = chosen.converged, chosen.n_iter
        self.references_ = np.array(rows.X)
        self.reference_weights_ = copy.copy(rows.weights)
        self._sums_of(rows.n_threads)
        if self.adaptive:
            pilot = self._log_density_at(rows) - support.log_slope(rows.X)
            self.local_bandwidths_ = np.exp(-0.5 * (pilot - np.average(pilot, weights=rows.weights)))
            self._sums = None
            self._sums_of(rows.n_threads)
        if self.bias_reduction:
            self._move(rows, bool(rule))

    def _at(self, rows: Rows, bandwidth: Any) -> dict[str, Any]:
        """What a density with these bandwidths, on the way to others, has learnt."""
        one = self.bandwidth == "likelihood_scalar" or self.kernel == "von_mises_fisher"
        return {
            "bandwidth_": float(bandwidth[0]) if one else bandwidth,
            "references_": rows.X,
            "reference_weights_": rows.weights,
            "_sums": None,
            **{name: vars(self)[name] for name in OF_LABELS if name in vars(self)},
        }

    def _move(self, rows: Rows, rule: bool) -> None:
        """Move the kernels against their bias, wider ones where the bandwidth is that of a rule."""
        options = {"error": self.error, "n_threads": rows.n_threads}
        if rule:
            self.bandwidth_, self.shifts_ = widened_moves(rows, self.bandwidth_, **options)
        else:
            self.shifts_ = moves(rows.X.astype(np.float64), rows.weights, self.bandwidth_, **options)
        self._sums = None
        if hasattr(self, "loo_log_likelihood_"):
            self.loo_log_likelihood_ = rows.weighted_sum(self._leave_one_out(rows.n_threads))

    # -- rows that are not in memory ---------------------------------------------------------------------------------------

    def _learns_from_blocks(self) -> bool:
        return True

    def _fit_blocks(self, rows: StreamedRows) -> None:
        # the rows themselves are what a kernel density learns
        self._check_parameters()
        self._learn(replace(rows.in_memory(), n_threads=self._all_threads()), None)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = tags.input_tags.categorical = self.column_types is not None
        return tags


register_density(KernelDensityMLE, check_kernel_density)
