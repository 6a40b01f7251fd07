"""``y`` is ignored, as scikit-learn has it; where it looks like the events among durations, that is said."""

import numpy as np
import pytest

from fastkl import DensityMLE


@pytest.mark.parametrize("kind", [int, float, bool])
@pytest.mark.parametrize("family", ["weibull", "exponential", "lognormal"])
def test_zeros_and_ones_beside_durations_are_said(family, kind):
    rng = np.random.default_rng(0)
    times, ends = rng.weibull(1.5, 60), rng.exponential(1.0, 60)
    durations, events = np.minimum(times, ends)[:, np.newaxis], (times <= ends).astype(kind)
    with pytest.warns(UserWarning, match="y of zeros and ones is not used: .*Censored"):
        DensityMLE(family).fit(durations, events)
    DensityMLE(family).fit(durations, np.arange(60))  # regressions and classes of a pipeline
    DensityMLE(family).fit(durations, np.where(events, "a", "b"))
    DensityMLE(family).fit(durations, np.ones(60))
    DensityMLE(family).fit(np.repeat(durations, 2, axis=1), events)


@pytest.mark.parametrize("family", ["normal", "beta", "poisson"])
def test_classes_beside_other_columns_are_not(family):
    X = np.random.default_rng(0).uniform(size=(60, 1))
    DensityMLE(family).fit(np.round(X * 5) if family == "poisson" else X, np.arange(60) % 2)
