r"""The decreasing density of maximum likelihood: Grenander's estimator.

It is the slope of the least concave function above the empirical distribution function. That is isotonic regression of
:math:`w_i / (x_i - x_{i-1})` with the weights :math:`x_i - x_{i-1}`, which scipy's pool-adjacent-violators does in linear time.

For a density g that decreases too, log t <= t - 1 bounds what it could gain over the estimate f by
:math:`\sum_i w_i g(x_i) / f(x_i) - 1`. That is linear in g and therefore largest at a uniform density from the start to a value
of the sample: its maximum over these certifies the answer, in nats per row.

U. Grenander, "On the theory of mortality measurement II", Skandinavisk Aktuarietidskrift 39, 1956,
doi:10.1080/03461238.1956.10414944.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import isotonic_regression

from fastkl._core.array_types import Floats
from fastkl.density.shape.pieces import Pieces


def decreasing_mle(values: Floats, shares: Floats, start: float) -> tuple[Pieces, float]:
    """The estimate and its certificate.

    Parameters
    ----------
    values : ndarray of shape (m,)
        Different values above ``start``, increasing.
    shares : ndarray of shape (m,)
        Their weights, which sum to 1.
    start : float
        Where the support begins.
    """
    ends = np.concatenate([[start], values])
    gaps = np.diff(ends) / (values[-1] - start)
    blocks = isotonic_regression(shares / gaps, weights=gaps, increasing=False).blocks
    knots = ends[blocks]
    heights = np.log(np.add.reduceat(shares, blocks[:-1])) - np.log(np.diff(knots))
    pieces = Pieces(knots, np.column_stack([heights, heights])).normalised()
    gains = np.cumsum(np.exp(np.log(shares) - pieces.log_density(values) - np.log(values[-1] - start)))
    return pieces, max(float(np.max(gains / ((values - start) / (values[-1] - start)))) - 1.0, 0.0)
