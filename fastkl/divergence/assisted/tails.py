r"""What p has beyond the rows of q: how far the estimate may miss it, and why.

The log-ratio of the estimate goes on beyond the last row of q as working distributions or a regression do. Another way to go on
is that of the tail of q itself: a generalised Pareto distribution that is fitted to its last rows in a column has a mass beyond
them, and with the share of the rows of p that are there,

.. math:: \pi \log \frac{\pi}{\rho} + \pi \, (a - 1 - \log a)

of the divergence is from there, where pi and rho are the shares of p and q, and a is how many times heavier the tail of p is than
that of q goes on. What the log-ratio gives for the same rows less than that is what the estimate may miss. The shape of the tail
of q is taken from the upper side of what the fit leaves open, and no bounded one is.
"""

from __future__ import annotations

import numpy as np

from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.assisted.two_samples import TwoSamples
from fastkl.divergence.models.ratio_tails import pareto_tail

# Rows of Q that its tail is fitted to, and a part of the standard error of its shape.
_FEWEST_OF_TAIL, _MOST_OF_TAIL, _UPPER = 10, 0.2, 0.5
# What a tail may add is told from so many standard errors on.
_TOLD = 0.6


def missed_beyond(samples: TwoSamples, log_ratio: FloatArray) -> float:
    """What a log-ratio at the rows that are learnt from gives less than the tails of q say: the most in a column, at least 0."""
    p, q = samples.learnt.p, samples.learnt.q
    if q.n_rows * _MOST_OF_TAIL < _FEWEST_OF_TAIL:
        return 0.0
    mass_p, mass_q = (
        np.full(side.n_rows, 1.0 / side.n_rows) if side.weights is None else side.weights / side.weights.sum()
        for side in (p, q)
    )
    at_p, found = log_ratio[: samples.n], 0.0
    with np.errstate(all="ignore"):  # of numbers that are no normal ones
        for x, y in zip(p.X.T.astype(np.float64), q.X.T.astype(np.float64), strict=True):
            sides = [_missed(sign * x, sign * y, at_p, mass_p, mass_q) for sign in (1.0, -1.0)]
            if min(x.min(), y.min()) > 0.0:  # 0 may be as far away as infinity
                sides[1] = max(sides[1], _missed(-np.log(x), -np.log(y), at_p, mass_p, mass_q))
            found = max(found, sum(sides))
    return found


def _missed(x: FloatArray, y: FloatArray, log_ratio: FloatArray, mass_p: FloatArray, mass_q: FloatArray) -> float:
    """The same above the largest value of a column of q."""
    beyond, m = x > y.max(), len(y)
    of_p, count = float(mass_p[beyond].sum()), int(np.count_nonzero(mass_p[beyond]))
    if not count:
        return 0.0
    size = int(np.clip(3.0 * np.sqrt(m), _FEWEST_OF_TAIL, _MOST_OF_TAIL * m))
    order = np.argpartition(y, m - size - 1)[m - size - 1 :]
    order = order[np.argsort(y[order])]
    ordered = y[order]
    if not ordered[-1] > ordered[0]:
        return 0.0
    shape, scale = pareto_tail(ordered[1:] - ordered[0])
    shape = max(shape, 0.0)
    shape += _UPPER * (1.0 + shape) / np.sqrt(size)
    reach = float(ordered[-1] - ordered[0])
    of_q = float(mass_q[order[1:]].sum()) * (1.0 + shape * reach / scale) ** (-1.0 / shape)
    # under q exponential with mean 1; that of a single row says nothing
    further = np.log1p(shape * (x[beyond] - ordered[-1]) / (scale + shape * reach)) / shape
    share = mass_p[beyond] / of_p
    heavier = float(share @ further)
    of_shape = (heavier - 1.0 - np.log(heavier)) * (count - 1.0) / count
    missed = of_p * float(np.log(of_p / of_q) + of_shape - share @ log_ratio[beyond])
    return max(missed, 0.0) if np.isfinite(missed) else 0.0


def missed_reasons(missed: float, error: float) -> list[str]:
    """Why the estimate may be too small by what tails may add to it, beside an error without that."""
    if missed <= _TOLD * error:
        return []
    return [
        f"p extends beyond the last rows of q, where the tail of q, extrapolated from its rows, would add {missed:.2g} nats: "
        "the estimate is probably too small."
    ]
