"""Standard errors of nearest-neighbour estimates, from the searches already made.

The estimate of KL(p || q) is a mean over the rows of P, but its error has three sources:

* ``Var_p[log p/q] / n``, the sampling of the rows of P;
* ``Var_q[p/q] / m``, the sampling of the rows of Q: log q moves at all rows of P that share a row of Q. As
  ``E_q[(p/q)^2] = E_p[p/q]`` this is ``(E_p[p/q] - 1) / m``, so it needs no search around the rows of Q;
* the noise of counting few rows. A count of k has a log of variance ``psi'(k)``; it is part of the plain variance of the
  local terms once. That a row of P also serves as its neighbours' neighbour adds the same amount for P again.

So the square of the standard error is ``(Var(terms) + mean psi'(n_p)) / n + max(0, E_p[p/q] - 1) / m``, with Kish's
effective sizes when there are weights. Leaving out the second source (a habit) covers 57 % in place of 95 % on an easy case.
The variance is that of the estimator: no standard error says how far its expectation is from the divergence.
"""

from __future__ import annotations

import numpy as np

from fastkl._core.means import Mean
from fastkl._core.special.gamma_functions import trigamma
from fastkl.divergence.arguments import FloatArray, Totals
from fastkl.divergence.nearest.local_terms import at_numbers


def count_noise(numbers: FloatArray) -> FloatArray:
    """Variance of the logarithm of a density that rests on so many rows: psi'(number)."""
    return at_numbers(trigamma, np.maximum(numbers, 1.0))


def divergence_error(q: Totals, terms: Mean, noise: tuple[float, float], ratio: float) -> float:
    """Standard error of the mean of the local terms log p/q.

    ``noise`` are the mean count noises in P and in Q, ``ratio`` is the mean of p/q at the rows of p.
    """
    plain = max(terms.variance(), sum(noise))
    return float(np.sqrt((plain + noise[0]) / terms.size + reference_variance(q, ratio)))


def reference_variance(q: Totals, ratio: float) -> float:
    """The part of the variance that comes from the rows of Q, ``Var_q[p/q] / m``, from the mean of p/q at the rows of P."""
    return max(0.0, ratio - 1.0) / q.effective_size


def entropy_error(log_density: Mean, noise: float) -> float:
    """Standard error of a nearest-neighbour entropy: the terms' own variance, and their rows' use as neighbours."""
    return float(np.sqrt((max(log_density.variance(), noise) + noise) / log_density.size))
