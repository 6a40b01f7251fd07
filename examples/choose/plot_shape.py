"""
A density known by its shape
============================

One peak, or a density that only falls: where no more is known than that, the likelihood alone finds a density, with no family
and no bandwidth to choose.
"""

# %%
# Times until something happens, which are seldom long: one estimate decreases, the other is log-concave (one peak, tails that
# fall at least exponentially). The truth is an exponential distribution, which is both. A kernel density loses mass below 0.

import matplotlib.pyplot as plt
import numpy as np

from fastkl import KernelDensityMLE, ShapeConstrainedMLE

rng = np.random.default_rng(4)
X = rng.exponential(size=(150, 1))
x = np.linspace(-0.8, 5.0, 800)[:, None]
truth = np.where(x >= 0.0, np.exp(-np.maximum(x, 0.0)), 0.0)
densities = {
    'ShapeConstrainedMLE("decreasing")': ShapeConstrainedMLE("decreasing").fit(X),
    'ShapeConstrainedMLE("log_concave")': ShapeConstrainedMLE("log_concave").fit(X),
    "KernelDensityMLE()": KernelDensityMLE().fit(X),
}
figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained", sharey=True)
for ax, (name, density) in zip(axes, densities.items(), strict=True):
    ax.fill_between(x.ravel(), truth.ravel(), color="0.85", label="truth")
    ax.plot(x, np.exp(density.score_samples(x)), label="estimate")
    ax.plot(X, np.full(len(X), -0.03), "|", color="0.4", markersize=5)
    ax.set(title=name, xlabel="days", ylim=(-0.06, 1.7))
axes[0].set_ylabel("density (1/days)")
axes[2].legend(frameon=False)
plt.show()

# %%
# How much of the mass is in the wrong place, over 100 samples: half of the integral of the absolute difference of estimate and
# truth.

grid = np.arange(-3.0, 15.0, 0.01)[:, None] + 0.005
mass = np.where(grid >= 0.0, np.exp(-np.maximum(grid, 0.0)), 0.0).ravel()
for name, density in densities.items():
    wrong = []
    for _ in range(100):
        estimate = np.exp(density.fit(rng.exponential(size=(150, 1))).score_samples(grid))
        wrong.append(0.5 * np.sum(np.abs(estimate - mass)) * 0.01)
    print(f"{name:36} {np.mean(wrong):.3f}")
