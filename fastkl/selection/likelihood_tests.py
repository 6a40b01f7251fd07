"""Tests between two densities: Vuong's for any two, the likelihood-ratio test for one inside the other."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtrc, comb, ndtr

from fastkl._core.means import Mean
from fastkl._core.text_tables import html_facts
from fastkl._core.warned import warn
from fastkl.divergence.interval_picture import interval_picture
from fastkl.families import names
from fastkl.families.containments import Containment, containment
from fastkl.selection.log_densities import log_density_table, log_ratio, row_weights


@dataclass(frozen=True)
class TestResult:
    """What a test found.

    Parameters
    ----------
    statistic : float
        The test statistic; nan where it does not exist.
    p_value : float
        Probability of a statistic at least as extreme if the hypothesis holds.
    difference : float
        Mean log-density of the first density less that of the second, in nats per row: the estimated KL divergence of
        the second from the data distribution less that of the first.
    standard_error : float
        Of the difference, in nats per row.
    df : int
        Degrees of freedom of a likelihood-ratio test; 0 for others.
    hypothesis : str
        The hypothesis in words.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE, vuong_test
    >>> X = np.random.default_rng(0).gamma(2.0, size=(500, 1))
    >>> found = vuong_test(DensityMLE("gamma").fit(X), DensityMLE("normal").fit(X), X)
    >>> found.statistic > 4, found.p_value < 1e-4
    (True, True)
    """

    __test__ = False  # the name does not make it a test of this package

    statistic: float
    p_value: float
    difference: float
    standard_error: float
    df: int
    hypothesis: str

    @property
    def pvalue(self) -> float:
        """The p-value, as scipy names it."""
        return self.p_value

    def _repr_html_(self) -> str:
        half = 1.96 * self.standard_error
        low, high = self.difference - half, self.difference + half
        label = f"95 % interval from {low:.3g} to {high:.3g} nats per row"
        difference = (
            f"{self.difference:.4g} ± {self.standard_error:.2g} {interval_picture(self.difference, low, high, label)}"
        )
        facts = {
            "hypothesis": escape(self.hypothesis),
            "p-value": f"{self.p_value:.3g}",
            "statistic": f"{self.statistic:.4g}" + (f" (df = {self.df})" if self.df else ""),
            "difference, nats per row": difference,
        }
        return html_facts(facts)


def vuong_test(first: Any, second: Any, X: ArrayLike, sample_weight: ArrayLike | None = None) -> TestResult:
    r"""Whether two densities are equally close, in KL divergence, to the distribution of the rows.

    .. math:: z = \bar r \sqrt m / s, \quad r_i = \log p(x_i) - \log q(x_i)

    with mean and standard deviation s of the r_i, and m rows; with weights s / sqrt(m) is the error of the weighted mean.
    Under the hypothesis z is standard normal, if the two densities differ and the rows were not fitted to. On the rows of the
    fit the test leans towards the density with more parameters, and it does not hold for one density inside the other: that is
    ``likelihood_ratio_test``.

    Parameters
    ----------
    first, second : density
        Objects with ``score_samples``.
    X : array-like of shape (n, d)
        Rows, best ones that neither was fitted to.
    sample_weight : array-like of shape (n,), default=None
        Weights of at least 0.

    Returns
    -------
    TestResult
        A positive ``statistic`` speaks for the first; ``p_value`` is two-sided: nan for densities that agree on every
        row, 0 if one of them excludes a row.

    Raises
    ------
    ValueError
        If a row lies outside the support of both.

    References
    ----------
    Q. H. Vuong, "Likelihood ratio tests for model selection and non-nested hypotheses", Econometrica 57, 1989,
    doi:10.2307/1912557.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE
    >>> from fastkl.selection import vuong_test
    >>> X = np.random.default_rng(0).gamma(2.0, size=(1000, 1))
    >>> gamma, normal = DensityMLE("gamma").fit(X[:500]), DensityMLE("normal").fit(X[:500])
    >>> result = vuong_test(gamma, normal, X[500:])
    >>> result.difference > 0, result.p_value < 1e-6
    (True, True)
    """
    table = log_density_table([first, second], X)
    weights = row_weights(sample_weight, len(table), X)
    return vuong_test_of(Mean.of(log_ratio(table[:, 0], table[:, 1], weights), weights))


def vuong_test_of(difference: Mean) -> TestResult:
    """Vuong's test from the mean difference of the log-densities."""
    statistic, p_value = normal_test(difference)
    return TestResult(
        statistic, p_value, difference.value, difference.error, 0, "both are equally far from the data distribution"
    )


def normal_test(difference: Mean) -> tuple[float, float]:
    """z and its two-sided p-value."""
    mean, error = difference.value, difference.error
    if not np.isfinite(mean):
        return mean, 0.0
    if error == 0.0:
        return (float("nan"), float("nan")) if mean == 0.0 else (float(np.copysign(np.inf, mean)), 0.0)
    statistic = mean / error
    return statistic, float(2.0 * ndtr(-abs(statistic)))


def likelihood_ratio_test(
    nested: Any, full: Any, X: ArrayLike, sample_weight: ArrayLike | None = None, *, n_boundary: int | None = None
) -> TestResult:
    r"""Test whether a density with fewer parameters, nested in the family of another, is sufficient.

    .. math:: 2 (\log L_{\text{full}} - \log L_{\text{nested}}) \sim \chi^2_{\text{df}}

    with df the difference of ``n_parameters_``, if the nested density holds (S. S. Wilks 1938,
    doi:10.1214/aoms/1177732360).

    Parameters
    ----------
    nested, full : density
        Fitted by maximum likelihood to these very rows, with ``log_likelihood`` and ``n_parameters_``.
    X : array-like of shape (n, d)
        The rows of both fits.
    sample_weight : array-like of shape (n,), default=None
        The weights of both fits; they count as repetitions.
    n_boundary : int, default=None
        How many of the restrictions put a parameter at the edge of its range (no zero inflation; infinite degrees of
        freedom). The statistic is then 0 in part of all samples, and its distribution the mixture of chi-squared
        distributions with df - n_boundary, ..., df degrees of freedom and binomial weights: exact in the limit for one
        such parameter, and for several that are independent. None takes one for each column where the family of the full
        density ends with that of the nested one (``negative_binomial`` with ``poisson``, ``student_t`` with ``normal``, ...),
        and one for a component more without free parameters, whose weight is 0 there (a background, zeros); else 0.

    Returns
    -------
    TestResult
        ``p_value`` of the hypothesis that the nested density holds.

    Raises
    ------
    ValueError
        If the full density has no more parameters, or fits these rows less well: then it does not contain the other, or
        one of them was not fitted to these rows.
    TypeError
        If one of them has no ``n_parameters_``.

    Warns
    -----
    UserWarning
        If the family of the full density does not hold that of the nested one, or is a mixture of more components: the
        statistic has another distribution then, and the p-value means nothing.

    References
    ----------
    S. G. Self, K.-Y. Liang, "Asymptotic properties of maximum likelihood estimators and likelihood ratio tests under
    nonstandard conditions", 1987, doi:10.1080/01621459.1987.10478472.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE, families
    >>> from fastkl.selection import likelihood_ratio_test
    >>> X = np.random.default_rng(0).gamma(2.0, size=(200, 1))
    >>> exponential, gamma = DensityMLE(families.Gamma(shape=1.0)).fit(X), DensityMLE("gamma").fit(X)
    >>> result = likelihood_ratio_test(exponential, gamma, X)
    >>> result.df, result.p_value < 1e-6
    (1, True)
    """
    for density in (nested, full):
        if not hasattr(density, "n_parameters_"):
            raise TypeError(f"A likelihood-ratio test compares fitted densities with parameters; {density!r} has none.")
    df = int(full.n_parameters_) - int(nested.n_parameters_)
    if df < 1:
        raise ValueError(
            f"The full density has {full.n_parameters_} parameters, the nested one {nested.n_parameters_}; it needs more. "
            "Densities that are not inside each other are compared by vuong_test."
        )
    if n_boundary is not None and not 0 <= n_boundary <= df:
        raise ValueError(f"n_boundary lies between 0 and the degrees of freedom, {df}; {n_boundary!r} does not.")
    large = full.log_likelihood(X, sample_weight)
    statistic = 2.0 * (large - nested.log_likelihood(X, sample_weight))
    if not statistic >= -1e-8 * max(1.0, abs(large)):
        raise ValueError(
            f"The full density fits these rows less well than the nested one (2 log ratio = {statistic:.6g}). Either it does not "
            "contain the nested one, or they were not both fitted to these rows by maximum likelihood."
        )
    holds = _containment(nested, full)
    if n_boundary is None:
        at_edge = holds is not None and holds.edge and df in (1, getattr(full, "n_features_in_", 1))
        n_boundary = df if at_edge else 0
    table = log_density_table([full, nested], X)
    weights = row_weights(sample_weight, len(table), X)
    difference = Mean.of(log_ratio(table[:, 0], table[:, 1], weights), weights)
    extra = np.arange(n_boundary + 1)
    tails = np.where(
        df - n_boundary + extra == 0,
        statistic <= 0.0,
        chdtrc(np.maximum(df - n_boundary + extra, 1), max(statistic, 0.0)),
    )
    p_value = float(np.sum(comb(n_boundary, extra) * 0.5**n_boundary * tails))
    where = ", at the edge of the full one" if n_boundary else ""
    return TestResult(statistic, p_value, difference.value, difference.error, df, f"the nested density holds{where}")


def _containment(nested: Any, full: Any) -> Containment | None:
    """How the family of the full density holds that of the nested one; a warning where it is another, and does not."""
    inner, outer = (getattr(getattr(one, "family_", None), "name", "") for one in (nested, full))
    if outer == "mixture" and full.n_components > getattr(nested, "n_components", 1):
        if _one_component_more_is_held(nested, full):
            return Containment(outer, inner, "the weight of the component that is held fixed = 0", edge=True)
        warn(
            f"One of {full.n_components} components may have any parameters where its weight is 0, so that 2 log L has no "
            "chi-squared distribution, and this p-value is too small. Test their number by "
            "choose_components(X, criterion='bootstrap').",
            UserWarning,
        )
    elif inner != outer and {inner, outer} <= set(names()):
        found = containment(outer, inner)
        if found is None:
            warn(
                f"{inner} is not known to be inside {outer}: 2 log L then has no chi-squared distribution, and this p-value "
                "means nothing. Two densities that are not inside each other are compared by vuong_test.",
                UserWarning,
            )
        return found
    return None


def _one_component_more_is_held(nested: Any, full: Any) -> bool:
    """Whether a mixture has one component more, without free parameters, such as a background: only its weight is tested."""
    more, fewer = (Counter(_components(density)) for density in (full, nested))
    added = more - fewer
    return added.total() == 1 and not fewer - more and all(held for held, _ in added)


def _components(density: Any) -> list[tuple[bool, str]]:
    """Of each component whether all of its parameters are held, and then it with them, else the name of its family."""
    held = [
        (not family.free_names(), family)
        for family in getattr(density.family_, "component_families", [density.family_])
    ]
    return [(of_values, repr(family) if of_values else family.name) for of_values, family in held]
