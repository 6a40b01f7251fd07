"""Multivariate normal distribution with full, diagonal or spherical covariance, by mean and scatter in one pass."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import cho_solve, eigh

from fastkl._core._linalg import component_moments, merge_moments, moments, whitened_squares
from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.rows import Rows
from fastkl._core.special.gamma_functions import HALF_LOG_2PI
from fastkl.exceptions import DegenerateDataError
from fastkl.families import incomplete
from fastkl.families.base import Family, Fit
from fastkl.families.closed_form import register_kl, register_renyi, renyi_by_mean
from fastkl.families.matrices import (
    cholesky_solve,
    covariance_of_sums,
    dependence,
    dependent_column,
    log_determinant,
    triangular_solve,
)
from fastkl.families.normal import Normal
from fastkl.families.normal_vector import NormalVector
from fastkl.families.solvers.shrinkage import (
    check_shrinkage,
    coefficient,
    fourth_moments,
    merged_moments,
    moved_moments,
    shrunk,
    unit_of,
)
from fastkl.families.spaces import PositiveDefinite, Real, Space

COVARIANCE_TYPES = ("full", "diag", "spherical")


class MultivariateNormal(NormalVector):
    r"""Normal distribution of a row of d columns.

    .. math:: \log p(x) = -\tfrac12 (x - \mu)^T \Sigma^{-1} (x - \mu) - \tfrac12 \log \det \Sigma - \tfrac d2 \log 2\pi

    Parameters
    ----------
    covariance_type : {"full", "diag", "spherical"}, default="full"
        ``params_["covariance"]`` is then (d, d), (d,) or a number; ``MixtureMLE`` also takes "tied". The estimate has divisor n.
    mean : array-like of shape (d,), default=None
        Held fixed where given.
    covariance : array-like, default=None
        Held fixed where given, in the shape of the covariance type.
    shrinkage : {"ledoit_wolf", "oas"} or float, default=None
        For a full covariance: how far the estimate S is shrunk, (1 - s) S + s mu I with mu the mean variance. A number from 0 to
        1, or chosen by the method of that name. The fitted density has it as ``shrinkage_``.

    References
    ----------
    O. Ledoit, M. Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", 2004,
    doi:10.1016/S0047-259X(03)00096-4; Y. Chen, A. Wiesel, Y. C. Eldar, A. O. Hero, "Shrinkage algorithms for MMSE covariance
    estimation", 2010, doi:10.1109/TSP.2010.2053029.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE, families
    >>> X = np.array([[0.0, 1.0], [2.0, 1.0], [1.0, 4.0]])
    >>> DensityMLE(families.MultivariateNormal("diag")).fit(X).params_["covariance"].round(4)
    array([0.6667, 2.    ])
    """

    name = "multivariate_normal"
    aliases = ("mvn", "multinormal", "multivariate_gaussian")
    scipy_name = "multivariate_normal"
    scipy_parameters = {"mean": "mean", "cov": "covariance"}
    gaussian = True
    parameters = {"mean": Real(role="location", spread="covariance"), "covariance": PositiveDefinite()}
    joint = True
    example = {"mean": [1.0, -1.0], "covariance": [[2.0, 0.6], [0.6, 0.5]]}
    extreme = [
        {"mean": [1e8, -1e-8], "covariance": [[1e10, 3.0], [3.0, 1e-8]]},
        {"mean": [0.3, -0.2, 7.0], "covariance": [[2.0, 1.0, 5e-4], [1.0, 0.8, 0.0], [5e-4, 0.0, 1e-6]]},
    ]

    @classmethod
    def examples(cls) -> list[tuple[Family, Params]]:
        mean = cls.example["mean"]
        diag, spherical = {"mean": mean, "covariance": [2.0, 0.5]}, {"mean": mean, "covariance": 1.5}
        return [(cls(), cls.example), (cls("diag"), diag), (cls("spherical"), spherical)]

    def __init__(
        self,
        covariance_type: str = "full",
        *,
        mean: ArrayLike | None = None,
        covariance: ArrayLike | None = None,
        shrinkage: str | float | None = None,
    ):
        self.covariance_type = covariance_type
        self.mean = mean
        self.covariance = covariance
        self.shrinkage = shrinkage

    # -- rows to sums ------------------------------------------------------------------------------------------------------

    def statistics(self, rows: Rows) -> Statistics:
        self._check_type()
        if self.covariance_type == "full":
            return self._of_moments(rows, moments(rows.X, rows.weights, rows.n_threads))
        return self._of_columns(rows, Normal().statistics(rows))

    def component_statistics(self, rows: Rows, weights: Floats) -> list[Statistics]:
        self._check_type()
        if self.covariance_type != "full":
            return [self._of_columns(rows, columns) for columns in Normal().component_statistics(rows, weights)]
        found = component_moments(rows.X, rows.component_weights(weights), rows.n_threads)
        return [self._of_moments(part, own) for part, own in zip(rows.components(weights), found, strict=True)]

    def _of_moments(self, rows: Rows, found: tuple[float, Floats, Floats]) -> Statistics:
        weight, mean, scatter = found
        counted = len(rows.X) if rows.weights is None else np.count_nonzero(rows.weights)
        statistics: Statistics = {
            "weight": np.float64(weight), "mean": mean, "scatter": scatter, "n_rows": np.float64(counted)
        }  # fmt: skip
        statistics = self._finite(rows, statistics)
        if self.shrinkage == "ledoit_wolf":
            statistics.update(fourth_moments(rows.of_positive_weight(), mean, unit_of(scatter / weight)))
        return statistics

    def _of_columns(self, rows: Rows, columns: Statistics) -> Statistics:
        with np.errstate(over="ignore"):  # the next line's error names the column
            scatter = columns["deviation"] ** 2
        return self._finite(rows, {"weight": columns["weight"][0], "mean": columns["mean"], "scatter": scatter})

    def _finite(self, rows: Rows, statistics: Statistics) -> Statistics:
        """The statistics; DegenerateDataError where they overflow."""
        if not np.isfinite(statistics["scatter"]).all():
            column = int(np.flatnonzero(~np.isfinite(np.atleast_2d(statistics["scatter"]).sum(axis=0)))[0])
            raise DegenerateDataError(
                f"The sums of {rows.column(column)} overflow: it holds values up to {np.abs(rows.X[:, column]).max():.3g}. "
                "Rescale the column, for instance to unit size, or remove the outlier.",
                column,
            )
        return statistics

    def merge_statistics(self, first: Statistics, second: Statistics) -> Statistics:
        if first["weight"] == 0.0 or second["weight"] == 0.0:
            return second if first["weight"] == 0.0 else first
        if self.covariance_type == "full":
            names = ("weight", "mean", "scatter")
            weight, mean, scatter = merge_moments(*(first[name] for name in names), *(second[name] for name in names))
            unit = unit_of(scatter / weight)
            fourth = merged_moments(first, second, mean, unit) if "fourth" in first else {}
            counted = first["n_rows"] + second["n_rows"]
            return {"weight": np.float64(weight), "mean": mean, "scatter": scatter, "n_rows": counted, **fourth}
        d = len(first["mean"])
        sides = [
            {"weight": np.full(d, s["weight"]), "mean": s["mean"], "deviation": np.sqrt(s["scatter"])}
            for s in (first, second)
        ]
        columns = Normal().merge_statistics(*sides)
        return {"weight": columns["weight"][0], "mean": columns["mean"], "scatter": columns["deviation"] ** 2}

    # -- sums to parameters ------------------------------------------------------------------------------------------------

    def solve(self, statistics: Statistics) -> Fit:
        d = len(statistics["mean"])
        params = self.fixed_columns(d)
        params.setdefault("mean", statistics["mean"].copy())
        if "covariance" not in params:
            scatter = self._scatter_about(statistics, params["mean"])
            covariance: Any = covariance_of_sums(scatter, statistics["weight"])
            if self.covariance_type == "spherical":
                covariance = np.float64(np.mean(covariance))
            if self.shrinkage is not None:
                covariance = shrunk(covariance, self._coefficient(statistics, params["mean"], covariance))
            self._check_positive(covariance, statistics)
            params["covariance"] = covariance
        return Fit({name: params[name] for name in self.parameter_names})

    def shrinkage_of(self, statistics: Statistics, params: Params) -> float:
        """How far the covariance is shrunk on these statistics."""
        covariance = self._scatter_about(statistics, params["mean"]) / statistics["weight"]
        return self._coefficient(statistics, params["mean"], covariance)

    def _coefficient(self, statistics: Statistics, mean: Floats, covariance: Floats) -> float:
        fourth = moved_moments(statistics, mean, unit_of(covariance))[1] if "fourth" in statistics else 0.0
        return coefficient(self.shrinkage, covariance, float(statistics["weight"]), fourth)

    def starting_parameters(self, statistics: Statistics) -> Params:
        # fewer rows than columns have variances, though no covariance; a constant column has 0
        params = self.fixed_columns(len(statistics["mean"]))
        mean = params["mean"] if "mean" in params else statistics["mean"]
        variances = self._scatter_about(statistics, mean) / statistics["weight"]
        kinds: dict[str, Any] = {"full": lambda v: np.diag(np.diag(v)), "diag": np.array, "spherical": np.mean}
        return {"mean": mean, "covariance": params.get("covariance", kinds[self.covariance_type](variances))}

    def score_rows(self, rows: Rows, params: Params) -> Params | None:
        if rows.incomplete:
            return None
        covariance, shift = params["covariance"], rows.X - params["mean"]
        if self.covariance_type == "full":
            factor = (np.linalg.cholesky(covariance), True)
            z = cho_solve(factor, shift.T).T
            by_covariance = 0.5 * (z[:, :, None] * z[:, None, :] - cho_solve(factor, np.eye(len(covariance))))
        else:
            z = shift / covariance
            by_covariance = 0.5 * (z**2 - 1.0 / covariance)
            if self.covariance_type == "spherical":
                by_covariance = by_covariance.sum(axis=1)
        return {"mean": z, "covariance": by_covariance}

    def _scatter_about(self, statistics: Statistics, point: Floats) -> Floats:
        """Scatter about a point: a matrix, or its diagonal."""
        shift = statistics["mean"] - point
        with np.errstate(over="ignore"):  # as the log-densities of such rows do
            product = shift[:, None] * shift if self.covariance_type == "full" else shift**2
            return statistics["scatter"] + statistics["weight"] * product

    def _check_positive(self, covariance: Any, statistics: Statistics) -> None:
        """DegenerateDataError if the covariance is singular, judged on its correlation matrix, so that scales do not matter."""
        d = len(statistics["mean"])
        variances = covariance.diagonal() if self.covariance_type == "full" else np.atleast_1d(covariance)
        if (variances <= 0.0).any():
            column = int(np.flatnonzero(variances <= 0.0)[0])
            which = "All columns are" if self.covariance_type == "spherical" else f"Column {column} is"
            raise DegenerateDataError(
                f"{which} constant: {statistics['mean'][column]:.6g} in every row (n_samples={statistics['weight']:g}). The "
                "normal likelihood has no maximum, since it grows without bound as the variance goes to 0. Leave constant "
                "columns out, rescale columns so small that their squares underflow, or hold the covariance fixed.",
                None if self.covariance_type == "spherical" else column,
            )
        if self.covariance_type != "full":
            return
        root = np.sqrt(variances)
        dependent = dependent_column(covariance / (root[:, None] * root))
        if dependent is None and self.mean is None and self.shrinkage is None and statistics["n_rows"] <= d:
            dependent = int(statistics["n_rows"]) - 1  # rounding alone has made the last pivots positive
        if dependent is not None:
            raise DegenerateDataError(
                f"{dependence('covariance', dependent, statistics['n_rows'], d, statistics['weight'])} The likelihood of a full "
                "covariance then has no maximum. Use a prior (DensityMLE(prior='default')), shrinkage "
                "(families.MultivariateNormal(shrinkage='ledoit_wolf')), covariance_type='diag' or 'spherical', or leave "
                "columns out.",
                dependent,
            )

    def statistics_log_likelihood(self, statistics: Statistics, params: Params) -> float:
        weight, d = statistics["weight"], len(statistics["mean"])
        scatter, covariance = self._scatter_about(statistics, params["mean"]), params["covariance"]
        if self.covariance_type == "full":
            lower = np.linalg.cholesky(covariance)
            trace, logs = cholesky_solve(lower, scatter).trace(), log_determinant(lower)
        else:
            trace, logs = np.sum(scatter / covariance), self._log_determinant(params, d)
        if not trace < np.inf:  # a scatter about a point so far away overflows, and may leave no number
            return -np.inf
        return float(-0.5 * trace - weight * (d * HALF_LOG_2PI + 0.5 * logs))

    def statistics_gradient(self, statistics: Statistics, params: Params) -> Params:
        weight, mean, covariance = statistics["weight"], params["mean"], params["covariance"]
        shift, scatter = statistics["mean"] - mean, self._scatter_about(statistics, mean)
        if self.covariance_type == "full":
            factor = (np.linalg.cholesky(covariance), True)
            precision = cho_solve(factor, np.eye(len(mean)))
            half = 0.5 * (cho_solve(factor, cho_solve(factor, scatter).T) - weight * precision)
            return {"mean": weight * cho_solve(factor, shift), "covariance": 0.5 * (half + half.T)}
        by_variance = 0.5 * (scatter / covariance - weight) / covariance
        if self.covariance_type == "spherical":
            by_variance = np.float64(np.sum(by_variance))
        return {"mean": weight * shift / covariance, "covariance": by_variance}

    def log_density(self, rows: Rows, params: Params) -> Floats:
        if rows.incomplete:
            return incomplete.log_density(rows, *self.moments(params))
        d = len(params["mean"])
        if self.covariance_type == "full":
            lower = np.linalg.cholesky(params["covariance"])
            constant = -d * HALF_LOG_2PI - 0.5 * log_determinant(lower)
            return whitened_squares(rows.X, params["mean"], lower, rows.n_threads, -0.5, constant)
        scale = np.broadcast_to(np.sqrt(params["covariance"]), (d,))
        return Normal().log_density(rows, {"loc": params["mean"], "scale": scale})

    def _log_determinant(self, params: Params, d: int) -> float:
        covariance = params["covariance"]
        if self.covariance_type == "full":
            return log_determinant(np.linalg.cholesky(covariance))
        return float(np.sum(np.log(np.broadcast_to(covariance, (d,)))))

    # -- parameters --------------------------------------------------------------------------------------------------------

    def spaces(self) -> dict[str, Space]:
        self._check_type()
        return {**self.parameters, "covariance": PositiveDefinite(form=self.covariance_type)}

    def _check_type(self) -> None:
        if self.covariance_type not in COVARIANCE_TYPES:
            raise ValueError(f"covariance_type is one of {', '.join(COVARIANCE_TYPES)}, not {self.covariance_type!r}.")
        check_shrinkage(self.shrinkage)
        if self.shrinkage is not None and self.covariance_type != "full":
            raise ValueError(f"shrinkage is for a full covariance, not covariance_type={self.covariance_type!r}.")

    def standard_errors(self, statistics: Statistics, params: Params) -> Params:
        # the variances alone: the covariances of all entries of a matrix are d^4 / 4 numbers
        weight, covariance, d = statistics["weight"], params["covariance"], len(params["mean"])
        if self.covariance_type == "full":
            variances = np.diag(covariance)
            squares = np.outer(variances, variances) + covariance**2
        else:
            variances = np.broadcast_to(covariance, (d,))
            squares = 2.0 * covariance**2 / (d if self.covariance_type == "spherical" else 1)
        errors = {"mean": np.sqrt(variances / weight), "covariance": np.sqrt(squares / weight)}
        return {name: errors[name] for name in self.free_names()}

    def covariance_of(self, name: str, statistics: Statistics, params: Params) -> Floats:
        # At the maximum the observed information equals the expected one, whose inverse is closed form: the mean is
        # independent of the covariance, and Cov(S_ij, S_kl) = (S_ik S_jl + S_il S_jk) / n.
        weight, s, d = statistics["weight"], params["covariance"], len(params["mean"])
        if name == "mean":
            return np.asarray((s if self.covariance_type == "full" else np.diag(np.broadcast_to(s, (d,)))) / weight)
        if self.covariance_type == "full":
            i, j = np.triu_indices(d)
            return np.asarray((s[np.ix_(i, i)] * s[np.ix_(j, j)] + s[np.ix_(i, j)] * s[np.ix_(j, i)]) / weight)
        repeated = d if self.covariance_type == "spherical" else 1
        return np.diag(np.atleast_1d(2.0 * s**2 / (repeated * weight)))

    # -- the distribution itself -------------------------------------------------------------------------------------------

    def entropy(self, params: Params) -> float:
        d = len(params["mean"])
        return float(d * (0.5 + HALF_LOG_2PI) + 0.5 * self._log_determinant(params, d))

    @staticmethod
    def textbook(mp: Any, x: Any, mean: Any, covariance: Any) -> Any:
        matrix = _textbook_matrix(mp, covariance, len(x))
        away = mp.matrix(x) - mp.matrix(mean)
        return -(len(x) * mp.log(2 * mp.pi) + mp.log(mp.det(matrix)) + (away.T * matrix**-1 * away)[0]) / 2

    @staticmethod
    def textbook_entropy(mp: Any, mean: Any, covariance: Any) -> Any:
        determinant = mp.det(_textbook_matrix(mp, covariance, len(mean)))
        return (len(mean) * (1 + mp.log(2 * mp.pi)) + mp.log(determinant)) / 2


def full_covariance(family: Any, params: Params) -> tuple[Floats, Floats]:
    """Mean and covariance matrix of any normal distribution."""
    mean, spread = family.moments(params)
    return mean, np.diag(spread) if spread.ndim == 1 else spread


@register_kl(MultivariateNormal, MultivariateNormal)
@register_kl(Normal, MultivariateNormal)
@register_kl(MultivariateNormal, Normal)
def multivariate_normal_kl(p_family: Family, p: Params, q_family: Family, q: Params) -> float:
    """Sum of (v - 1 - log v) / 2 over the eigenvalues v of S_q^-1 S_p, plus half the squared shift: no term is negative."""
    (p_mean, p_covariance), (q_mean, q_covariance) = full_covariance(p_family, p), full_covariance(q_family, q)
    q_lower = np.linalg.cholesky(q_covariance)
    if np.array_equal(p_covariance, q_covariance):
        excess = 0.0
    else:
        ratio = triangular_solve(q_lower, np.linalg.cholesky(p_covariance))
        values = np.linalg.svd(ratio, compute_uv=False) ** 2
        excess = float(np.maximum((values - 1.0) - np.log(values), 0.0).sum())
    shift = triangular_solve(q_lower, p_mean - q_mean)
    return 0.5 * (excess + float(shift @ shift))


def _textbook_matrix(mp: Any, covariance: Any, d: int) -> Any:
    """A covariance of any type as a matrix."""
    if isinstance(covariance, mp.matrix):
        return covariance
    return mp.diag(covariance if isinstance(covariance, list) else [covariance] * d)


@register_renyi(MultivariateNormal, MultivariateNormal)
@register_renyi(Normal, MultivariateNormal)
@register_renyi(MultivariateNormal, Normal)
def multivariate_normal_renyi(p_family: Family, p: Params, q_family: Family, q: Params, alpha: float) -> float:
    """By the normal distribution whose precision is alpha S_p^-1 + (1 - alpha) S_q^-1; inf where that is none."""
    (p_mean, p_covariance), (q_mean, q_covariance) = full_covariance(p_family, p), full_covariance(q_family, q)
    # In coordinates where the covariance of q is one and that of p is diagonal.
    values, to = eigh(p_covariance, q_covariance)
    part = alpha + (1.0 - alpha) * values
    if np.any(part <= 0.0):
        return np.inf
    back = q_covariance @ to
    mean = p_mean + back @ ((1.0 - alpha) * values / part * (to.T @ (q_mean - p_mean)))
    between = {"mean": mean, "covariance": (back * (values / part)) @ back.T}
    family = MultivariateNormal()
    first, second = ({"mean": m, "covariance": S} for m, S in ((p_mean, p_covariance), (q_mean, q_covariance)))
    return renyi_by_mean(multivariate_normal_kl, family, between, first, second, alpha)
