"""A lower bound of KL(P || Q) as a number with a level: what of a divergence can be signed."""

from __future__ import annotations

import html
from collections.abc import Mapping
from math import log
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastkl._core.other_keywords import knows_other_keywords
from fastkl._core.text_tables import html_facts
from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.assisted.learned_ratio import MixedRows
from fastkl.divergence.labelled.mixed_rows import mixed_columns_or_draws
from fastkl.divergence.operands import SAMPLES, operands
from fastkl.divergence.options import Options, one_seed
from fastkl.divergence.significance.held_out_bound import held_out_bound
from fastkl.rows.indexes import refuse_other_rows
from fastkl.rows.weights import read_weights

__all__ = ["LowerBound", "kl_lower_bound"]


class LowerBound(float):
    """A number that a divergence is not below, but for a stated probability.

    It is a float, at least 0, since no divergence is below that.

    Parameters
    ----------
    value : float
        The bound, in nats.
    level : float
        Probability with which the divergence is not below the bound.
    n_samples : tuple of int, default=(0, 0)
        Rows of both samples.
    diagnostics : mapping, default=None
        ``"unclamped"``: the bound before 0 took its place; ``"reasons"``: a list of sentences, why it says little.

    Attributes
    ----------
    value : float
        The bound as a plain float.
    level : float
        As given.
    n_samples : tuple of int
        As given.
    diagnostics : mapping
        As given, read-only.
    bits : float
        The bound in bits: nats over log 2.

    Examples
    --------
    >>> from fastkl import LowerBound
    >>> LowerBound(0.25, level=0.95, n_samples=(400, 400))
    LowerBound(KL >= 0.25 nats at level 0.95, n_samples=(400, 400))
    """

    level: float
    n_samples: tuple[int, int]
    diagnostics: Mapping[str, Any]

    def __new__(
        cls,
        value: float,
        level: float,
        n_samples: tuple[int, int] = (0, 0),
        diagnostics: Mapping[str, Any] | None = None,
    ) -> LowerBound:
        self = super().__new__(cls, value)
        self.level = float(level)
        self.n_samples = n_samples
        self.diagnostics = MappingProxyType({"reasons": [], **(diagnostics or {})})
        return self

    @property
    def value(self) -> float:
        """The bound as a plain float, in nats."""
        return float(self)

    @property
    def bits(self) -> float:
        """The bound in bits: nats over log 2."""
        return float(self) / log(2.0)

    def __repr__(self) -> str:
        return f"LowerBound(KL >= {self.value:.6g} nats at level {self.level:g}, n_samples={self.n_samples})"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        facts = {"level": f"{100.0 * self.level:g} %", "rows": str(self.n_samples)}
        reasons = "".join(f"<div>{html.escape(str(reason))}</div>" for reason in self.diagnostics["reasons"])
        return f"<div><strong>KL ≥ {self.value:.6g} nats</strong>{html_facts(facts)}{reasons}</div>"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.value, self.level, self.n_samples, dict(self.diagnostics))


@knows_other_keywords
def kl_lower_bound(
    p: Any,
    q: Any,
    *,
    level: float = 0.95,
    sample_weight_p: ArrayLike | None = None,
    sample_weight_q: ArrayLike | None = None,
    n_draws: int | None = None,
    random_state: Any = None,
    rng: Any = None,
    n_jobs: int | None = None,
) -> LowerBound:
    r"""A lower bound of KL(P to Q) from two samples that holds with probability ``level``, whatever P and Q are.

    An estimate of a divergence depends on how smooth the densities are; this bound does not. It holds for heavy tails, atoms,
    labels, few rows and many columns alike, as long as the rows of either sample are independent draws from its distribution.
    The price is that it is lower than the estimate: it does not replace `kl_divergence`, but is the part of it that is certain
    at that level.

    Parameters
    ----------
    p, q : array-like of shape (n,) or (n, d), data frame, or model
        Samples of numbers, of labels, or of columns of each; columns of two tables are matched by name. A model is drawn
        from.
    level : float, default=0.95
        Probability with which the divergence is not below the bound, between 0 and 1.
    sample_weight_p, sample_weight_q : array-like of shape (n,), default=None
        Masses of the rows. Rows are kept with probability weight / largest weight, which makes them draws from the weighted
        distribution.
    n_draws : int, default=None
        Draws from a model; by default five for each row of the sample, at least 1000 and at most 100 000 or as many as there
        are rows.
    random_state : int, RandomState, Generator or None, default=None
        For the order of the rows, which is that of a fixed seed by default, for draws and for weights.
    rng : int, Generator or None, default=None
        Another name of ``random_state``, as in numpy and scipy; a number seeds `numpy.random.default_rng`.
    n_jobs : int or None, default=None
        Threads of models; the bound itself takes one.

    Returns
    -------
    LowerBound
        A float, at least 0.

    Raises
    ------
    ValueError
        Missing values, different columns, two models, a level that is not between 0 and 1.

    Notes
    -----
    For every function T, KL >= E_P T + 1 - E_Q exp T. A log-ratio T is learnt from a part of the rows (a logistic regression on
    polynomials, logarithms, ranks, neighbours, atoms and frequencies of labels), clipped, and bounded by rows that it has not
    seen, by an empirical Bernstein inequality in the form of a product of terms with expectation at most 1; three quarters of
    the rows are judged so, by what those before them taught. No bound from m rows of Q can be much beyond log m (McAllester and
    Stratos 2020), and none says anything of a tail of P that Q's rows do not reach.

    Several bounds of one pair of samples (other seeds, other columns) are each right with probability ``level``, not the
    largest of them.

    References
    ----------
    Nguyen, X., Wainwright, M. J. and Jordan, M. I. (2010). Estimating divergence functionals and the likelihood ratio by convex
    risk minimization. IEEE Transactions on Information Theory 56, 5847-5861. doi:10.1109/TIT.2010.2068870. Waudby-Smith, I. and
    Ramdas, A. (2024). Estimating means of bounded random variables by betting. Journal of the Royal Statistical Society B 86,
    1-27. doi:10.1093/jrsssb/qkad009. McAllester, D. and Stratos, K. (2020). Formal limitations on the measurement of mutual
    information. arXiv:1811.04251.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import kl_lower_bound
    >>> rng = np.random.default_rng(0)
    >>> bound = kl_lower_bound(rng.normal(0, 1, 1000), rng.normal(1, 1, 1000))  # the truth is 0.5
    >>> 0.2 < bound <= 0.5
    True
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"A level lies between 0 and 1; {level!r} does not.")
    seed = one_seed(random_state, rng)
    options = Options(n_draws=n_draws, random_state=0 if seed is None else seed)
    P, Q = _both(p, q, (sample_weight_p, sample_weight_q), options, n_jobs)
    found = held_out_bound(P, Q, 1.0 - level, options.rng)
    reasons = []
    if not found > 0.0:
        reasons.append("Nothing above 0 can be said at this level: the divergence is small, or the rows are few.")
    return LowerBound(max(found, 0.0), level, (len(P), len(Q)), {"unclamped": found, "reasons": reasons})


def _both(
    p: Any, q: Any, weights: tuple[ArrayLike | None, ArrayLike | None], options: Options, n_jobs: int | None
) -> list[MixedRows]:
    """Both samples as numbers and codes of labels; rows with weights thinned."""
    mixed = mixed_columns_or_draws(p, q, options)
    if mixed is None:
        pair = SAMPLES(*operands(p, q, *weights, n_jobs, discrete_call="discrete_kl"), options=options)
        return [
            _thinned(_of_numbers(side.X.astype(np.float64, copy=False)), side.weights, options.rng)
            for side in (pair.p, pair.q)
        ]
    found = []
    for data, numbers, labels, mass, name in zip((p, q), mixed.numbers, mixed.labels, weights, "pq", strict=True):
        rows, whose = MixedRows(numbers, labels), f"sample_weight of {name}"
        refuse_other_rows(data, mass, (name, whose))
        found.append(_thinned(rows, read_weights(mass, len(rows), whose), options.rng))
    return found


def _of_numbers(X: FloatArray) -> MixedRows:
    return MixedRows(X, np.empty((len(X), 0), dtype=np.intp))


def _thinned(rows: MixedRows, weights: FloatArray | None, rng: np.random.RandomState) -> MixedRows:
    """Rows kept with probability weight / largest weight."""
    return rows if weights is None else rows[rng.random_sample(len(rows)) * weights.max() < weights]
