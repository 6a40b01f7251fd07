"""Quantiles of any univariate distribution from its log_cdf and log_sf alone, to the last digit that those have.

A continuous quantile is the root of the logarithm of the smaller tail, so that p = 1e-300 is as good a question as p = 0.3. The
search runs over the double-precision numbers in their order (between 1 and 2 there are as many as between 2^-1000 and
2^-999), which makes it blind to units: Chandrupatla's method (1997, doi:10.1016/s0965-9978(96)00051-8), which bisects wherever
interpolation does not pay, until the logarithm agrees to rounding or two numbers are neighbours: some 20 evaluations, or one to
six from a good guess. A quantile of counts is found by doubling and bisection on the distribution function itself, so that it
is exact at the steps.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastkl._core.array_types import Floats, Params

Tail = Callable[[Floats, Params], Floats]

MOST_STEPS = 200  # bisection alone takes 64
LARGEST = float(np.finfo(np.float64).max)
# What the logarithm of a tail may differ from its target: relative where that is beyond 1, and nowhere more than the second.
ROUNDINGS, MOST_OFF = 2.0**-48, 2.0**-41
MOST_COUNT = 1e300
REACHES = (2**12, 2**22, 2**32, 2**42)  # how far from a guess to look, in numbers between


def continuous_quantile(
    log_cdf: Tail,
    log_sf: Tail,
    p: ArrayLike,
    params: Params,
    upper: bool,
    ends: tuple[float, float],
    guess: Floats | None = None,
) -> Floats:
    """The x with P(X <= x) = p, or with P(X > x) = p where ``upper``, elementwise; ``ends`` at 0 and 1, NaN outside [0, 1].

    Parameters
    ----------
    log_cdf, log_sf : callable
        ``tail(x, params)``, monotone in x, with any arrays that broadcast.
    p : array-like, broadcastable against the parameters
        Probabilities.
    params : dict of array of shape (d,)
        Parameters.
    upper : bool
        Whether p is the probability above.
    ends : tuple of float
        Lower and upper end of the support, which may be infinite.
    guess : ndarray, default=None
        A quantile that is likely, with the shape of the result; where it is NaN, infinite or off the search starts from the ends.
    """
    p = np.asarray(p, dtype=np.float64)
    shape = np.broadcast_shapes(p.shape, *(np.shape(value) for value in params.values()))
    p = np.broadcast_to(p, shape)
    result = np.full(shape, np.nan)
    at_zero, at_one = (1, 0) if upper else (0, 1)
    result[p == 0.0], result[p == 1.0] = ends[at_zero], ends[at_one]
    inside = (p > 0.0) & (p < 1.0)
    given = {name: np.broadcast_to(value, shape)[inside] for name, value in params.items()}
    share = p[inside]
    small = share <= 0.5
    target = np.where(small, np.log(share), np.log1p(-share))
    below = small != upper  # whether the tail that the target is the logarithm of lies below

    def excess(x: Floats, rows: NDArray[np.intp]) -> Floats:
        """Increasing in x, 0 at the quantile, in units of what counts as 0."""
        value = np.empty(len(x))
        for tail, sign, of in ((log_cdf, 1.0, below[rows]), (log_sf, -1.0, ~below[rows])):
            if not of.any():
                continue
            chosen = {name: column[rows[of]] for name, column in given.items()}
            value[of] = sign * (tail(x[of], chosen) - target[rows[of]])
        return but_for_rounding(value, target[rows])

    start = np.full(len(share), np.nan) if guess is None else guess[inside]
    result[inside] = _increasing_root(excess, start, ends)
    return result


def but_for_rounding(excess: Floats, target: Floats) -> Floats:
    """The logarithm of a tail less its target, in units of what counts as 0."""
    with np.errstate(over="ignore"):  # far out the tail's logarithm is as large as numbers go
        value = excess / np.minimum(ROUNDINGS * np.maximum(1.0, np.abs(target)), MOST_OFF)
    return np.where(np.abs(value) <= 1.0, 0.0, value)


def _increasing_root(
    function: Callable[[Floats, NDArray[np.intp]], Floats], guess: Floats, ends: tuple[float, float]
) -> Floats:
    """Root of every one of n increasing functions: of two neighbouring numbers about it the one with the smaller value.

    Infinite where the function has no root up to the largest number, and the end on that side is infinite.
    """
    root = _root_within(function, *_bracket(function, guess, ends))
    for end, sign in zip(ends, (-1.0, 1.0), strict=True):
        rows = np.flatnonzero(sign * root >= np.nextafter(LARGEST, 0.0))
        if np.isinf(end) and len(rows):
            root[rows[sign * function(np.full(len(rows), sign * LARGEST), rows) < 0.0]] = end
    return root


def root_between(function: Callable[[Floats, NDArray[np.intp]], Floats], low: Floats, high: Floats) -> Floats:
    """The same between two numbers each, where the functions are not positive at ``low`` and not negative at ``high``."""
    rows = np.arange(len(low))
    a, b, fa, fb = ordinal(low), ordinal(high), function(low, rows), function(high, rows)
    across = np.flatnonzero((a < 0) & (b > 0))  # no bracket may hold more numbers than an int64 counts
    if len(across):
        value = function(np.zeros(len(across)), across)
        below = value <= 0.0
        a[across[below]], fa[across[below]] = 0, value[below]
        b[across[~below]], fb[across[~below]] = 0, value[~below]
    return _root_within(function, a, b, fa, fb)


def _root_within(
    function: Callable[[Floats, NDArray[np.intp]], Floats],
    a: NDArray[np.int64],
    b: NDArray[np.int64],
    fa: Floats,
    fb: Floats,
) -> Floats:
    """The root between the places a and b, where the functions are fa and fb; all four change."""
    rows, share = np.arange(len(a)), np.full(len(a), 0.5)
    c, fc = a.copy(), fa.copy()
    for _ in range(MOST_STEPS):
        rows = rows[(np.abs(b[rows] - a[rows]) > 1) & (fa[rows] != 0.0) & (fb[rows] != 0.0)]
        if not len(rows):
            break
        # a and b bracket the root, a being the later one; c is what the latest point took the place of
        width = b[rows] - a[rows]
        step = np.clip(np.rint(share[rows] * np.abs(width)).astype(np.int64), 1, np.abs(width) - 1)
        middle = a[rows] + np.sign(width) * step
        value = function(number(middle), rows)
        same = (value < 0.0) == (fa[rows] < 0.0)
        kept, moved = rows[same], rows[~same]
        c[kept], fc[kept] = a[kept], fa[kept]
        c[moved], fc[moved] = b[moved], fb[moved]
        b[moved], fb[moved] = a[moved], fa[moved]
        a[rows], fa[rows] = middle, value
        share[rows] = _next_share(*(column[rows] for column in (a, b, c)), *(column[rows] for column in (fa, fb, fc)))
    root = number(np.where(np.abs(fa) <= np.abs(fb), a, b))
    # the quantile lies between 0 and the smallest number, nearer to 0 as far as can be seen
    return np.where((np.minimum(a, b) == 0) & (np.minimum(fa, fb) == -np.inf) & (root < 1e-300), 0.0, root)


def _bracket(
    function: Callable[[Floats, NDArray[np.intp]], Floats], guess: Floats, ends: tuple[float, float]
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats, Floats]:
    """Places on both sides of every root, and the functions there; both places the same where that is the root."""
    n = len(guess)
    first, last = (ordinal(np.clip(end, -LARGEST, LARGEST)) for end in ends)
    a, b, fa, fb = np.full(n, first), np.full(n, last), np.full(n, -np.inf), np.full(n, np.inf)

    def narrow(place: NDArray[np.int64], rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Look at these places of these rows; whether the root lies above."""
        value = function(number(place), rows)
        below, above = value <= 0.0, value >= 0.0
        a[rows[below]], fa[rows[below]] = place[below], value[below]
        b[rows[above]], fb[rows[above]] = place[above], value[above]
        return value < 0.0

    rows = np.flatnonzero((guess >= max(ends[0], -LARGEST)) & (guess <= min(ends[1], LARGEST)))
    place = ordinal(guess)
    upwards = narrow(place[rows], rows)
    for reach in REACHES:
        keep = a[rows] != b[rows]
        rows, upwards = rows[keep], upwards[keep]
        if not len(rows):
            break
        further = narrow(np.clip(place[rows] + np.where(upwards, reach, -reach), first, last), rows) == upwards
        rows, upwards = rows[further], upwards[further]
    # no bracket may hold more numbers than an int64 counts
    rows = np.flatnonzero((a < 0) & (b > 0))
    if len(rows):
        narrow(np.zeros(len(rows), dtype=np.int64), rows)
    return a, b, fa, fb


def _next_share(
    a: NDArray[np.int64], b: NDArray[np.int64], c: NDArray[np.int64], fa: Floats, fb: Floats, fc: Floats
) -> Floats:
    """Where between a and b to look next: by inverse quadratic interpolation where Chandrupatla's test allows, or halfway."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        xi, phi = (a - b) / (c - b), (fa - fb) / (fc - fb)
        fits = (phi * phi < xi) & ((1.0 - phi) ** 2 < 1.0 - xi)
        inverse = fa / (fb - fa) * fc / (fb - fc) + (c - a) / (b - a) * fa / (fc - fa) * fb / (fc - fb)
    return np.where(fits & np.isfinite(inverse), np.clip(inverse, 0.0, 1.0), 0.5)


def ordinal(x: ArrayLike) -> NDArray[np.int64]:
    """The place of x among the double-precision numbers in their order, 0 for 0."""
    bits = np.asarray(x, dtype=np.float64).view(np.int64)
    return np.where(bits < 0, np.int64(-(2**63)) - bits, bits)


def number(ordinal: NDArray[np.int64]) -> Floats:
    """The number at that place."""
    bits: NDArray[np.int64] = np.where(ordinal < 0, np.int64(-(2**63)) - ordinal, ordinal)
    return bits.view(np.float64)


def count_quantile(
    enough: Callable[[Floats, NDArray[np.intp]], NDArray[np.bool_]], guess: Floats, lowest: float
) -> Floats:
    """The smallest whole number k >= ``lowest`` that is enough, for every one of n; inf where none is up to the largest number.

    Parameters
    ----------
    enough : callable
        ``enough(k, rows)`` for some of the n, true from some k on.
    guess : ndarray of shape (n,)
        Where to look first, each time twice as far from there as before; NaN and infinite ones count as ``lowest``.
    lowest : float
        The lowest value of the distribution.
    """
    high = np.clip(np.rint(np.where(np.isfinite(guess), guess, lowest)), lowest, MOST_COUNT)
    low = np.full(len(guess), lowest - 1.0)
    found = enough(high, np.arange(len(guess)))
    up, down, step = np.flatnonzero(~found), np.flatnonzero(found & (high > lowest)), 1.0
    low[up] = high[up]
    while len(up) or len(down):
        high[up] += step
        done = enough(high[up], up) | (high[up] > MOST_COUNT)
        low[up[~done]] = high[up[~done]]
        place = np.maximum(high[down] - step, lowest)
        still = enough(place, down)
        high[down[still]], low[down[~still]] = place[still], place[~still]
        up, down, step = up[~done], down[still & (place > lowest)], 2.0 * step
    while len(rows := np.flatnonzero(high - low > np.maximum(1.0, np.spacing(high)))):
        middle = np.floor(0.5 * low[rows] + 0.5 * high[rows])
        found = enough(middle, rows)
        low[rows[~found]], high[rows[found]] = middle[~found], middle[found]
    return np.where(high > MOST_COUNT, np.inf, high)
