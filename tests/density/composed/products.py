"""Tables with columns of every kind, and the product densities of them that several tests share."""

import numpy as np
import pytest

from fastkl import DensityMLE, ProductDensity

N = 400


def mixed_columns(seed, n=N):
    rng = np.random.default_rng(seed)
    return {
        "height": rng.normal(170.0, 8.0, n),
        "visits": rng.poisson(3.0, n),
        "colour": rng.choice(["red", "green", "blue"], n, p=[0.5, 0.3, 0.2]),
        "smoker": rng.random(n) < 0.3,
        "heading": rng.vonmises(0.5, 2.0, n),
        "income": rng.lognormal(10.0, 0.5, n),
    }


def frame(seed=0, n=N):
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame(mixed_columns(seed, n))
    return table.assign(colour=table["colour"].astype("category"))


MIXED = ProductDensity(
    [
        ("visits", DensityMLE("poisson"), ["visits"]),
        ("body", DensityMLE("normal"), "height"),
        ("labels", DensityMLE("categorical"), ["colour"]),
        ("smoker", DensityMLE("bernoulli"), [3]),
        ("heading", DensityMLE("von_mises"), slice("heading", "heading")),
        ("money", DensityMLE("lognormal"), [-1]),
    ]
)
NUMBERS = np.column_stack([mixed_columns(3)[name].astype(float) for name in ("height", "visits", "income", "smoker")])
THREE = ProductDensity(
    [
        ("counts", DensityMLE("poisson"), [1]),
        ("joint", DensityMLE("multivariate_normal"), [0, 2]),
        ("bit", DensityMLE("bernoulli"), slice(3, None)),
    ]
)
