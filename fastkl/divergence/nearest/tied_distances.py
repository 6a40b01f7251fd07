"""What rows at equal distances do to common balls: numbers rounded to a lattice lie in shells.

A ball ends at the k-th row of the sample that sets its radius. Of a density that is the only row at that distance, and log of
the mass within is psi(k) on average. On a lattice the ball ends at a shell with other rows, of both samples, and holds n >= k
rows of the one that set it. Neither psi(k) nor psi(n) is right then, and what is wrong does not cancel between samples of
different size.

Were the rows of a shell spread over it, the k-th would lie at a part U of the mass of the ball, and psi(k) - E[log U] is right:
summed over all shells at which the ball may end, it makes the terms of the other sample, psi(n + 1) in balls that it did not
set, unbiased, as psi(k) does for a density. With a rows of n inside the shell, that hold a part v of the mass, U = v + (1 - v) B,
where B is the (k - a)-th of n - a uniform numbers in order. The other sample, which did not choose the ball, says v: 1 where none
of its rows is at that distance, so that samples with a density are left alone.
"""

from __future__ import annotations

import numpy as np
from scipy.special import digamma

from fastkl.divergence.arguments import FloatArray


def log_mass_at_shell(k: int, closed: FloatArray, inside: FloatArray, part: FloatArray) -> FloatArray:
    """psi(k) - E[log U] to second order: log of the mass of balls, in rows, that end at a shell with their k-th row.

    ``closed`` rows of the sample that set the radius are in the ball, ``inside`` of them not in its shell, and the mass without
    the shell is a ``part`` of that of the ball.
    """
    shell, place = closed - inside, k - inside
    outer = 1.0 - part
    mean = part + outer * place / (shell + 1.0)
    variance = outer**2 * place * (shell + 1.0 - place) / ((shell + 1.0) ** 2 * (shell + 2.0))
    found: FloatArray = digamma(float(k)) - np.log(mean) + 0.5 * variance / mean**2
    return found
