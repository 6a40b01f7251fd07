"""Mean and covariance of a mixture: the covariance within components, and that of their means."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastkl._core.array_types import Floats, Params
from fastkl.families.base import Family


def mixed_moments(components: Sequence[tuple[Family, Params]], weights: Floats) -> tuple[Floats, Floats] | None:
    """Mean (d,) and covariance (d, d) from those of the components; None where one of them has none in closed form."""
    found = [family.moments(own) for family, own in components]
    known = [moments for moments in found if moments is not None]
    if len(known) < len(found):
        return None
    means = np.stack([mean for mean, _ in known])
    within = np.stack([np.diag(spread) if spread.ndim == 1 else spread for _, spread in known])
    mean = weights @ means
    shifts = means - mean
    between = shifts[:, :, None] * shifts[:, None, :]
    return mean, np.tensordot(weights, within + between, axes=1)
