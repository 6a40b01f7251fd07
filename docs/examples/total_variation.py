r"""Total variation distance of two models: exact for two discrete ones on a line, else by draws from the first.

.. math:: TV(p, q) = \tfrac12 \int |p - q| = E_p \left[ \max(0, 1 - q(x) / p(x)) \right]

The second form is a mean of numbers between 0 and 1: it needs no bound on q/p and its standard error is at most
1 / (2 sqrt(number of draws)), whatever the models are.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl.divergence.estimate import Estimate
from fastkl.divergence.models.draws import resolve_draws
from fastkl.divergence.models.model import Model
from fastkl.divergence.models.model_pair import Expectation
from fastkl.divergence.operands import ModelOperand, Rules, operands
from fastkl.divergence.options import Options, one_seed


def total_variation(
    p: Any, q: Any, *, n_draws: int | None = None, random_state: Any = None, rng: Any = None
) -> Estimate:
    r"""Total variation distance :math:`\tfrac12 \int |p - q|`: the largest difference of probabilities of one event.

    Parameters
    ----------
    p, q : model
        Objects with a log-density, of which p can be drawn from.
    n_draws : int, default=None
        Draws from p; by default 100 000.
    random_state : int, RandomState instance or None, default=None
        For the draws.
    rng : int, Generator or None, default=None
        In place of ``random_state``, as numpy and scipy name it.

    Returns
    -------
    Estimate
        Between 0 and 1, without a unit.

    Raises
    ------
    ValueError
        If one is discrete and the other has a density, or one is a sample.

    Examples
    --------
    >>> from fastkl import DensityMLE
    >>> p = DensityMLE.from_parameters("normal", loc=0.0, scale=1.0)
    >>> q = DensityMLE.from_parameters("normal", loc=1.0, scale=1.0)
    >>> estimate = total_variation(p, q, random_state=0)  # in closed form 2 Phi(1/2) - 1 = 0.382925
    >>> abs(estimate - 0.382925) < 3 * estimate.standard_error
    True
    """
    return _RULES(*operands(p, q), options=Options(n_draws=n_draws, random_state=one_seed(random_state, rng)))


def _terms(p: Model, q: Model, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 - q/p where q < p, else 0: without cancellation near p = q."""
    log_ratio = q.log_density(rows) - p.log_density(rows)
    return np.asarray(-np.expm1(np.minimum(log_ratio, 0.0)))


_expectation = Expectation(_terms, additive=False)


def _of_models(p: ModelOperand, q: ModelOperand, options: Options) -> Estimate:
    return _expectation(p.model, q.model, resolve_draws(options.n_draws), options.rng)


_RULES: Rules[Estimate] = Rules({(ModelOperand, ModelOperand): _of_models})
