"""Warnings point at the line that called the library, however deep inside it they arise."""

import warnings

import numpy as np
import pandas as pd
import pytest

from fastkl import DensityMLE, KernelDensityMLE, MixtureMLE, kl_divergence
from fastkl._core.warned import warn

X = np.random.default_rng(0).normal(size=(40, 2))
TWINS = np.repeat(X[:20], 2, axis=0)
LABELS = pd.DataFrame({"label": ["a", "b"] * 20, "x": np.repeat(X[:20, 0], 2)})
GAPS = np.where(np.arange(80).reshape(40, 2) < 2, np.nan, X)


@pytest.mark.parametrize(
    "call",
    [
        lambda: warn("text"),
        lambda: DensityMLE("weibull", max_iter=1).fit(np.abs(X)),
        lambda: DensityMLE("multivariate_normal").fit(GAPS),
        lambda: MixtureMLE(2, max_iter=1, random_state=0).fit(X),
        lambda: KernelDensityMLE().fit(TWINS),
        lambda: KernelDensityMLE(bandwidth="likelihood_matrix").fit(TWINS),
        lambda: KernelDensityMLE(kernel="von_mises").fit(TWINS),
        lambda: KernelDensityMLE(column_types={"label": "categorical"}).fit(LABELS),
        lambda: KernelDensityMLE().fit_batches([TWINS]),
        lambda: kl_divergence(X, np.vstack([X[:20], X[20:] + 1.0])),
    ],
)
def test_line_of_the_caller(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    assert {one.filename for one in caught} == {__file__}
