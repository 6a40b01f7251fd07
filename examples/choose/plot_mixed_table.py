"""
How is a table of numbers, counts and labels fitted?
====================================================

One density for the whole table: each column gets a family of its own kind, and the log-density of a row is the sum
over its columns.
"""

# %%
# ``make_product_density`` reads the types and values of the columns and proposes families. The table is a simulated
# shop.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from fastkl import DensityDisplay, make_product_density

rng = np.random.default_rng(0)
n = 1000
shop = pd.DataFrame(
    {
        "basket": rng.lognormal(3.0, 0.6, n),
        "visits": rng.poisson(2.5, n),
        "returned": rng.random(n) < 0.1,
        "channel": rng.choice(["web", "shop", "phone"], n, p=[0.6, 0.3, 0.1]),
        "rating": rng.beta(5.0, 2.0, n),
        "hour": rng.vonmises(0.5, 1.5, n),
    }
)
model = make_product_density(shop, angles=["hour"]).fit(shop)
{name: density.family for name, density, _ in model.groups}

# %%
# A part of the product is a density like any other and can be looked at:

figure, axes = plt.subplots(2, 3, figsize=(11, 6.5), layout="constrained")
for ax, (name, density) in zip(axes.ravel(), model.densities_.items(), strict=True):
    DensityDisplay.from_estimator(density, shop[[name]], units={"basket": "€", "hour": "rad"}, ax=ax)
plt.show()

# %%
# Which rows are the least likely, and which column makes them so? The log-density of the row is the sum of these
# parts.

parts = pd.DataFrame({name: density.score_samples(shop[[name]]) for name, density in model.densities_.items()})
parts["row"] = model.score_samples(shop)
parts.sort_values("row").head(3).round(1)
