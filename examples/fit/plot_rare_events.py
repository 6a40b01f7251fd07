"""
How high is the flood of a century?
===================================

Higher than any in 50 years of records, most likely: it has to be extrapolated by a family, and the answer is only as
good as its interval.
"""

# %%
# Yearly maxima of a river, simulated, with a Gumbel distribution fitted to them. The level that is exceeded once in T
# years is the quantile of 1 − 1/T.

import matplotlib.pyplot as plt
import numpy as np

from fastkl import DensityMLE

maxima = np.random.default_rng(7).gumbel(4.0, 0.8, size=(50, 1))
model = DensityMLE("gumbel").fit(maxima)
years = np.geomspace(1.05, 1000.0, 200)
levels = model.quantile(1.0 - 1.0 / years).ravel()

# %%
# The interval: 300 data sets of the same size are drawn from the fitted distribution and fitted in one call, a column
# each.

again = DensityMLE("gumbel").fit(model.sample(50 * 300, random_state=0).reshape(50, 300))
low, high = np.quantile(again.quantile(1.0 - 1.0 / years), [0.025, 0.975], axis=1)

figure, ax = plt.subplots(figsize=(7.5, 4.4), layout="constrained")
ax.fill_between(years, low, high, color="C0", alpha=0.15, label="95 % interval")
ax.plot(years, levels, label="fitted Gumbel distribution")
ax.plot(
    1.0 / (1.0 - (np.arange(1, 51) - 0.44) / 50.12),
    np.sort(maxima.ravel()),
    "o",
    color="0.4",
    markersize=4,
    label="50 records",
)
ax.plot(years, 4.0 - 0.8 * np.log(-np.log1p(-1.0 / years)), "--", color="C1", label="truth")
ax.axvline(100.0, color="0.6", linestyle=":")
ax.set(xscale="log", xlabel="exceeded once in so many years", ylabel="level (m)")
ax.set_xticks([2, 5, 10, 20, 50, 100, 200, 500, 1000], [2, 5, 10, 20, 50, 100, 200, 500, 1000])
ax.set_xticks([], minor=True)
ax.legend(frameon=False, loc="upper left")
plt.show()

# %%
# The hundred-year level, and the probability that next year's maximum is above 8 m:

i = np.searchsorted(years, 100.0)
print(f"{levels[i]:.2f} m, between {low[i]:.2f} and {high[i]:.2f} m; P(above 8 m) = {model.sf([[8.0]])[0, 0]:.4f}")
