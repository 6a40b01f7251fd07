r"""A lower bound of a difference of means that holds at every sample size, for terms that are bounded on one side.

For x with x - c >= -b, where the centre c and the bound b are known before x is seen, and any rate r in [0, 1 / b),

    exp(r (x - E x) - (x - c)^2 psi(r b) / b^2),   psi(s) = -log(1 - s) - s,

has expectation at most 1 (Fan, Grama and Liu 2015, doi:10.1214/EJP.v20-3496; Waudby-Smith and Ramdas 2024,
doi:10.1093/jrsssb/qkad009). So has the product over independent rows, with centres from the rows before; and that over the rows
of two samples, with rates that sum to one number R in either: it speaks of R times the difference of the two means alone. An
average of such products has expectation at most 1 too, so by Markov's inequality it reaches 1 / alpha with probability alpha at
most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import logsumexp

from fastkl.divergence.arguments import FloatArray

# The largest rate times its bound, and how many rows the first guess of a mean is worth.
FASTEST, _GUESS = 0.9, 20.0
_SMALL = 1e-9
_HALVINGS = 50


@dataclass(frozen=True)
class Evidence:
    """Logarithm of a product as above: ``gain`` - ``slope`` (E x - E y) - ``cost``.

    Attributes
    ----------
    slope : float
        R.
    gain : float
        R times the difference of the means of the rows.
    cost : float
        What the spread of the rows takes off.
    """

    slope: float
    gain: float
    cost: float

    def __add__(self, other: Evidence) -> Evidence:
        """With that of further independent rows."""
        return Evidence(self.slope + other.slope, self.gain + other.gain, self.cost + other.cost)


def evidence_of_difference(
    x: FloatArray, low: float, y: FloatArray, high: float, guesses: tuple[float, float], slope: float
) -> Evidence:
    """What independent rows x, none below ``low``, and y, none above ``high``, say of E x - E y.

    The bounds, ``guesses`` of the two means, and ``slope``, which is R > 0, are known before the rows.
    """
    cost = _cost(x - low, guesses[0] - low, slope / len(x)) + _cost(high - y, high - guesses[1], slope / len(y))
    return Evidence(slope, slope * float(x.mean() - y.mean()), cost)


def _cost(above: FloatArray, guess: float, rate: float) -> float:
    """Sum of (x - c)^2 psi(r b) / b^2 over rows that are given by how far they are above their bound; then b is c."""
    before = np.concatenate([[0.0], np.cumsum(above[:-1])])
    centre = (_GUESS * guess + before) / (_GUESS + np.arange(len(above)))
    centre = np.clip(centre, _SMALL, FASTEST / rate)
    return float(np.sum(np.square(above - centre) * cost_of_square(rate, centre)))


def cost_of_square(rate: Any, b: Any) -> Any:
    """psi(r b) / b^2, which is r^2 / 2 for small r b."""
    s = rate * b
    near = s < 1e-4
    return np.where(near, 0.5 * rate**2, (-np.log1p(-s) - s) / np.where(near, 1.0, b) ** 2)


def lower_end(several: Sequence[Evidence], alpha: float) -> float:
    """The largest difference of means that the average of the products refuses, all smaller ones with it: E x - E y is larger.

    It fails with probability ``alpha`` at most.
    """
    slope, most = (np.array(values) for values in zip(*((e.slope, e.gain - e.cost) for e in several), strict=True))
    needed = float(np.log(len(several) / alpha))
    low = float(((most - needed) / slope).max())  # one product alone reaches the threshold there
    high = float(((most + np.log(alpha)) / slope).max())  # all of them together do not beyond
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        if logsumexp(most - slope * middle) >= needed:
            low = middle
        else:
            high = middle
    return low
