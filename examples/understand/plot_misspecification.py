"""
Which standard errors stay right when the family is wrong?
==========================================================

A normal distribution fitted to skewed data estimates the normal distribution that is closest to them, which is a fine
thing to want. Its usual standard errors assume that the family is right; the robust ones, of the sandwich form, do
not.
"""

# %%
# The experiment: 400 data sets of 1,000 exponential waiting times, each fitted with a normal distribution. Both kinds
# of 95 % intervals of the scale should contain the scale of the closest normal distribution, which is 1, in 95 % of
# them. All 400 are fitted in one call, a column each.

import matplotlib.pyplot as plt
import numpy as np

from fastkl import DensityMLE

X = np.random.default_rng(0).exponential(size=(1000, 400))
model = DensityMLE("normal").fit(X)
plain = model.confidence_intervals()["scale"]
robust = model.confidence_intervals(robust=True, X=X)["scale"]

figure, axes = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained", sharey=True, sharex=True)
order = np.argsort(model.params_["scale"])[::8]
for ax, (low, high), title in zip(axes, (plain, robust), ("observed information", "sandwich"), strict=True):
    inside = (low <= 1.0) & (high >= 1.0)
    ax.hlines(range(len(order)), low[order], high[order], colors=np.where(inside[order], "C0", "C3"))
    ax.axvline(1.0, color="0.4", linestyle=":")
    ax.set_title(f"{title}: {100 * inside.mean():.0f} % contain it")
    ax.set(xlabel="scale, 95 % interval", yticks=[])
axes[0].set_ylabel("every eighth data set, by estimate")
plt.show()

# %%
# What the closest normal distribution looks like: it is what maximum likelihood finds with more and more rows, right
# or wrong.

x = np.linspace(-2.5, 5.0, 400)
closest = DensityMLE("normal").fit(X.reshape(-1, 1))
figure, ax = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
ax.hist(X.ravel(), bins=80, range=(0, 5), density=True, color="0.8", label="400,000 waiting times")
ax.plot(x, np.exp(closest.score_samples(x[:, None])), label="closest normal distribution")
ax.plot(x, np.where(x >= 0, np.exp(-x), 0.0), "--", label="truth")
ax.set(xlabel="waiting time", ylabel="density")
ax.legend(frameon=False)
plt.show()
