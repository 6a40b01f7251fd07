"""The support of a discrete model on a line as a list of whole numbers, for sums in place of draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.models.model import Model

# A sum is given up (for Monte Carlo) where the support needs more terms than this.
_MOST_TERMS = 1 << 22
_MOST_TRIED = 1 << 15
_NEGLIGIBLE = 1e-18


@dataclass(frozen=True)
class Support:
    """The whole numbers that carry all of a discrete distribution but a negligible part, and their log-probabilities."""

    points: FloatArray
    log_p: FloatArray


def listed_support(p: Model) -> Support | None:
    """The support of a discrete distribution on a line, or None where it cannot be listed."""
    if not p.discrete:
        return None
    known = all(hasattr(p.thing, name) for name in ("support", "sf", "cdf"))
    ends = _ends(p.thing) if known else (0.0, 255.0)
    if ends is None or ends[1] - ends[0] > _MOST_TERMS:
        return None
    # A distribution without a known support is tried on 0, 1, 2, ...; one on other points never sums to 1 over them.
    low, high = ends
    while True:
        points = np.arange(low, high + 1.0)
        try:
            log_p = p.log_density(points[:, np.newaxis])
        except ValueError:
            return None
        # Where the support is known, a difference is rounding; else it may be what is still missing.
        if abs(np.exp(log_p).sum() - 1.0) <= (1e-9 if known else 1e-12):
            carried = np.exp(log_p) > 0.0
            return Support(points[carried], log_p[carried])
        if known or high >= _MOST_TRIED:
            return None
        high = 4.0 * high


def _ends(distribution: Any) -> tuple[float, float] | None:
    """The ends of what carries all of a distribution but a negligible part; None beyond reach."""
    low, high = (float(np.squeeze(end)) for end in distribution.support())
    reach = 64.0
    while (not np.isfinite(high)) or (not np.isfinite(low)):
        if not np.isfinite(high) and float(distribution.sf(reach)) < _NEGLIGIBLE:
            high = reach
        if not np.isfinite(low) and float(distribution.cdf(-reach)) < _NEGLIGIBLE:
            low = -reach
        reach *= 2.0
        if reach > _MOST_TERMS:
            return None
    return low, high
