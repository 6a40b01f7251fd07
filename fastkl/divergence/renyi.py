"""The Rényi divergence of two samples, two models, or one of each."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastkl._core.other_keywords import knows_other_keywords
from fastkl.divergence.assisted.renyi_samples import renyi_of_pair
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.functions import kl_divergence
from fastkl.divergence.labelled.mixed_rows import mixed_operands
from fastkl.divergence.labelled.two_tables import renyi_of_tables
from fastkl.divergence.models.renyi_models import model_renyi
from fastkl.divergence.nearest.diagnostics import warn_of_shared_rows
from fastkl.divergence.operands import WITH_A_SAMPLE, ModelOperand, Operand, Rules, operands, sample_pair
from fastkl.divergence.options import Options, one_seed


@knows_other_keywords
def renyi_divergence(
    p: Any,
    q: Any,
    alpha: float,
    *,
    sample_weight_p: ArrayLike | None = None,
    sample_weight_q: ArrayLike | None = None,
    standard_error: bool = True,
    random_state: Any = None,
    rng: Any = None,
    n_jobs: int | None = None,
    n_draws: int | None = None,
) -> Estimate:
    r"""Rényi divergence :math:`\frac{1}{\alpha - 1} \log \int p^\alpha q^{1 - \alpha}` of order alpha, in nats.

    It grows with alpha and is the Kullback-Leibler divergence at 1. At 1/2 it is symmetric, and -2 times the logarithm of
    Bhattacharyya's coefficient; at 2 the logarithm of 1 plus the chi-square divergence.

    Parameters
    ----------
    p, q : array-like of shape (n,) or (n, d), or model
        Samples, or objects with a log-density. With one model, rows drawn from it take its place. Tables may hold labels too.
    alpha : float
        The order, a number above 0; 1 gives `kl_divergence`.
    sample_weight_p, sample_weight_q : array-like, default=None
        Masses of the rows of a sample; only ratios matter.
    standard_error : bool, default=True
        Whether to give it.
    random_state : int, RandomState, Generator or None, default=None
        For draws. Those that measure a bias have a fixed seed by default.
    rng : int, Generator or None, default=None
        Another name of ``random_state``, as in numpy and scipy; a number seeds `numpy.random.default_rng`.
    n_jobs : int or None, default=None
        Threads; None means all cores the process may use.
    n_draws : int, default=None
        Draws from a model, as in `kl_divergence`; for two models a number asks for draws in place of quadrature.

    Returns
    -------
    Estimate
        +inf where alpha > 1 and p has mass where q has none, or a tail that is too heavy beside that of q, and where the two have
        nowhere mass in common. Of two samples its
        ``diagnostics["bias_suspected"]`` is true where the log-ratio behind it is in doubt, from alpha = 3/4 on where
        `kl_divergence` doubts the tails, and beyond 1 where the mean over q depends on few rows, as it often does: prefer
        orders up to 1 for samples.

    Raises
    ------
    ValueError
        An alpha that is not a number above 0; values that are missing, labels alone, different columns, wrong weights.

    See Also
    --------
    kl_divergence : Order 1.
    jensen_shannon : Bounded, for samples that hardly overlap.

    Notes
    -----
    Two models: closed forms of members of one exponential family, of uniform and of Pareto distributions, else sums and
    quadrature on a line, else draws of both. Two samples: the variational formula of Birrell and others at a log-ratio that a
    regression makes of those behind `kl_divergence`, and what neighbours see beyond it as alpha goes to 1; of more than 20,000
    rows the means are over 10,000 of either sample. Samples of symbols are compared by their frequencies.

    References
    ----------
    van Erven, T. and Harremoës, P. (2014). Rényi divergence and Kullback-Leibler divergence. IEEE Transactions on Information
    Theory 60, 3797-3820. doi:10.1109/TIT.2014.2320500. Birrell, J., Dupuis, P., Katsoulakis, M., Rey-Bellet, L. and Wang, J.
    (2021). Variational representations and neural network estimation of Rényi divergences. SIAM Journal on Mathematics of Data
    Science 3, 1093-1116. doi:10.1137/20M1368926.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.stats import norm
    >>> from fastkl import renyi_divergence
    >>> float(renyi_divergence(norm(0, 1), norm(1, 1), 0.5))
    0.25
    >>> rng = np.random.default_rng(0)
    >>> estimate = renyi_divergence(rng.normal(0, 1, 1000), rng.normal(1, 1, 1000), 0.5)
    >>> abs(estimate - 0.25) < 2 * estimate.standard_error
    True
    """
    random_state = one_seed(random_state, rng)
    order = _order(alpha)
    if order == 1.0:
        return kl_divergence(
            p,
            q,
            sample_weight_p=sample_weight_p,
            sample_weight_q=sample_weight_q,
            standard_error=standard_error,
            random_state=random_state,
            n_jobs=n_jobs,
            n_draws=n_draws,
        )
    options = _OfOrder("assisted", None, standard_error, n_draws, random_state=random_state, alpha=order)
    return _RENYI(
        *operands(p, q, sample_weight_p, sample_weight_q, n_jobs, discrete_call="discrete_kl"), options=options
    )


@dataclass(frozen=True)
class _OfOrder(Options):
    """How to estimate, and the order of the divergence."""

    alpha: float = 0.5


def _order(alpha: Any) -> float:
    known = isinstance(alpha, Real) and not isinstance(alpha, bool | np.bool_)
    # numbers that are none in double precision compare all the same
    if not known or not 0.0 < alpha <= sys.float_info.max:
        raise ValueError(
            f"alpha, the order of the divergence, is a number above 0 (1 gives kl_divergence); {alpha!r} is not."
        )
    return float(alpha)


def _of_samples(p: Operand, q: Operand, options: _OfOrder) -> Estimate:
    """Two samples, or draws in place of one."""
    tables = mixed_operands(p, q, options)
    if tables is None:
        estimate = renyi_of_pair(sample_pair(p, q, options), options.alpha, options)
    else:
        estimate = renyi_of_tables(tables, options.alpha, lambda pair: renyi_of_pair(pair, options.alpha, options))
    warn_of_shared_rows(estimate.diagnostics.get("shared_rows", 0))
    return estimate


def _of_models(p: ModelOperand, q: ModelOperand, options: _OfOrder) -> Estimate:
    """Two models."""
    return model_renyi(p.model, q.model, options.alpha, options.n_draws, options.rng)


_RENYI: Rules[Estimate] = Rules({**dict.fromkeys(WITH_A_SAMPLE, _of_samples), (ModelOperand, ModelOperand): _of_models})
