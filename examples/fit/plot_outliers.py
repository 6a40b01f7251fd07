"""
Which rows are outliers?
========================

Rows where the density is low. The density has to be fitted to data with the outliers among them: a family with heavy
tails is moved by them far less than a normal distribution.
"""

# %%
# 300 good rows and 30 bad ones that lie to one side, just outside.

import matplotlib.pyplot as plt
import numpy as np

from fastkl import DensityMLE, DensityOutlierDetector

rng = np.random.default_rng(0)
good = rng.multivariate_normal([0.0, 0.0], [[1.0, 0.7], [0.7, 1.0]], size=300)
bad = rng.normal([1.9, -1.9], 0.4, size=(30, 2))
X = np.concatenate([good, bad])

# %%
# ``contamination`` is the share of rows to give up: here the 30 of 330 where the fitted density is lowest. The normal
# distribution is pulled towards the bad rows and turned by them, so that it gives up good rows at its narrow ends
# instead of bad ones; the t distribution keeps the shape of the good rows.

grid = np.linspace(-4.5, 4.5, 200)
plane = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
figure, axes = plt.subplots(1, 2, figsize=(10, 4.8), layout="constrained", sharey=True)
for ax, family in zip(axes, ("multivariate_normal", "multivariate_t"), strict=True):
    detector = DensityOutlierDetector(DensityMLE(family), contamination=30 / 330).fit(X)
    out = detector.predict(X) == -1
    decision = detector.decision_function(plane).reshape(200, 200)
    ax.contourf(grid, grid, decision, levels=[0.0, np.inf], colors=["C0"], alpha=0.12)
    ax.contour(grid, grid, decision, levels=[0.0], colors="C0")
    ax.plot(*X[~out].T, ".", color="0.4", label="inside")
    ax.plot(*X[out].T, "x", color="C3", label="outlier")
    caught, lost = out[300:].sum(), out[:300].sum()
    ax.set(
        title=f"{family}\n{caught} of 30 bad rows found, {lost} of 300 good ones lost",
        xlabel="first column",
        aspect="equal",
    )
axes[0].set_ylabel("second column")
axes[1].legend(frameon=False, loc="upper left")
plt.show()
