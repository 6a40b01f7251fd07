"""Mean and covariance of a mixture: the covariance within components, and that of their means."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastkl._core.array_types import Floats


def mixed_moments(of_components: Sequence[tuple[Floats, Floats]], weights: Floats) -> tuple[Floats, Floats]:
    """Mean (d,) and covariance (d, d) from those of the components, whose covariances may be variances (d,)."""
    means = np.stack([mean for mean, _ in of_components])
    within = np.stack([np.diag(spread) if spread.ndim == 1 else spread for _, spread in of_components])
    mean = weights @ means
    shifts = means - mean
    between = shifts[:, :, None] * shifts[:, None, :]
    return mean, np.tensordot(weights, within + between, axes=1)
