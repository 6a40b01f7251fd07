"""
What do a million rows in a file tell?
======================================

The name of a file stands for its rows: they are read block by block, in some tens of megabytes of memory whatever
their number.
"""

# %%
# A million pairs with heavy tails go to a file; in real life they are there already, as NPY, Parquet or CSV.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from fastkl import DensityDisplay, DensityMLE

rng = np.random.default_rng(0)
file = Path(tempfile.mkdtemp()) / "rows.npy"
shape = np.linalg.cholesky([[1.0, 0.6], [0.6, 2.0]])
np.save(file, rng.normal(size=(1_000_000, 2)) @ shape.T / np.sqrt(rng.chisquare(4.0, size=(1_000_000, 1)) / 4.0))

model = DensityMLE("multivariate_t").fit_batches(file)
print("degrees of freedom", model.params_["df"].round(3), "±", model.standard_errors_["df"].round(3))
print("mean log-density of the file:", model.score_batches(file))

# %%
# A memory map is an array without being read; the picture counts rows in hexagons, with contours of the fitted
# density.

rows = np.load(file, mmap_mode="r")
DensityDisplay.from_estimator(model, rows[:200_000])
plt.show()

# %%
# What more rows buy: the error of the degrees of freedom falls with the square root of their number.

sizes = np.array([1000, 10_000, 100_000, 1_000_000])
fits = [DensityMLE("multivariate_t").fit_batches(rows[:n]) for n in sizes]
df = np.array([float(fit.params_["df"]) for fit in fits])
errors = np.array([float(fit.standard_errors_["df"]) for fit in fits])
figure, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
ax.errorbar(sizes, df, yerr=1.96 * errors, fmt="o", capsize=4, label="estimate, 95 % interval")
ax.axhline(4.0, color="0.5", linestyle=":", label="truth")
ax.set(xscale="log", xlabel="rows", ylabel="degrees of freedom")
ax.legend(frameon=False)
plt.show()

# %%
# The least likely rows of the million, from scores that went to a file as well:

scores = np.load(model.score_samples_batches(file, file.with_name("scores.npy")), mmap_mode="r")
lowest = np.sort(np.argpartition(scores, 3)[:3])
print(rows[lowest].round(1), scores[lowest].round(1), sep="\n")
