r"""Total variation distance of two models, by draws from the first.

.. math:: TV(p, q) = \tfrac12 \int |p - q| = E_p \left[ \max(0, 1 - q(x) / p(x)) \right]

The second form is a mean of numbers between 0 and 1: it needs no bound on q/p and its standard error is at most
1 / (2 sqrt(number of draws)), whatever the models are.
"""

from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from fastkl.divergence.estimate import Estimate
from fastkl.divergence.model_pair import DEFAULT_DRAWS, refuse_mixed
from fastkl.divergence.models import Model
from fastkl.divergence.sample_model import resolve_draws


def total_variation(p: Any, q: Any, *, n_draws: int | None = None, random_state: Any = None) -> Estimate:
    r"""Total variation distance :math:`\tfrac12 \int |p - q|`: the largest difference of probabilities of one event.

    Parameters
    ----------
    p, q : model
        Objects with a log-density, of which p can be drawn from.
    n_draws : int, default=None
        Draws from p; by default 100 000.
    random_state : int, RandomState instance or None, default=None
        For the draws.

    Returns
    -------
    Estimate
        Between 0 and 1, without a unit.

    Raises
    ------
    ValueError
        If one is discrete and the other has a density.

    Examples
    --------
    >>> from fastkl import DensityMLE
    >>> p = DensityMLE.from_parameters("normal", loc=0.0, scale=1.0)
    >>> q = DensityMLE.from_parameters("normal", loc=1.0, scale=1.0)
    >>> estimate = total_variation(p, q, random_state=0)  # in closed form 2 Phi(1/2) - 1 = 0.382925
    >>> abs(estimate - 0.382925) < 3 * estimate.standard_error
    True
    """
    first, second = Model(p, "p"), Model(q, "q")
    refuse_mixed(first, second)
    rows = first.draw(resolve_draws(n_draws, DEFAULT_DRAWS), check_random_state(random_state))
    log_ratio = second.log_density(rows) - first.log_density(rows)
    terms = -np.expm1(np.minimum(log_ratio, 0.0))  # 1 - q/p where q < p, without cancellation near p = q
    error = float(terms.std(ddof=1) / np.sqrt(len(terms)))
    return Estimate(float(terms.mean()), error, len(terms), "monte_carlo", {"n_draws": len(terms)})
