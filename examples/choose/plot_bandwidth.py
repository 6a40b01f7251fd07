"""
How smooth should a kernel density be?
======================================

A kernel density lays a small bump over every row. Its bandwidth, the width of the bumps, decides what is seen: too wide hides a
peak, too narrow invents some. The likelihood of each row under the bumps of the others chooses without a rule of thumb.
"""

# %%
# Waiting times of two kinds, a narrow peak beside a wide one. Scott's rule assumes one normal distribution and takes the
# spread of both together.

import matplotlib.pyplot as plt
import numpy as np

from fastkl import KernelDensityMLE

rng = np.random.default_rng(0)
X = np.concatenate([rng.normal(2.0, 0.15, 150), rng.normal(5.0, 1.0, 250)])[:, None]
new = np.concatenate([rng.normal(2.0, 0.15, 1500), rng.normal(5.0, 1.0, 2500)])[:, None]
densities = {name: KernelDensityMLE(bandwidth=name).fit(X) for name in ("scott", "likelihood")}
densities["narrow"] = KernelDensityMLE(bandwidth=0.02).fit(X)

x = np.linspace(0.5, 8.5, 600)[:, None]
truth = 0.375 * np.exp(-0.5 * ((x - 2.0) / 0.15) ** 2) / (0.15 * np.sqrt(2 * np.pi))
truth += 0.625 * np.exp(-0.5 * (x - 5.0) ** 2) / np.sqrt(2 * np.pi)
titles = {"scott": "Scott's rule: too wide", "likelihood": "likelihood", "narrow": "0.02: too narrow"}
figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained", sharey=True)
for ax, (name, density) in zip(axes, densities.items(), strict=True):
    ax.fill_between(x.ravel(), truth.ravel(), color="0.85", label="truth")
    ax.plot(x, np.exp(density.score_samples(x)), label="kernel density")
    ax.set(title=titles[name], xlabel="minutes")
axes[0].set_ylabel("density (1/min)")
axes[2].legend(frameon=False)
plt.show()

# %%
# The mean log-density of 4,000 new rows over the bandwidth, which nobody has when it is chosen; dots are the choices.

bandwidths = np.geomspace(0.02, 1.2, 30)
scores = [KernelDensityMLE(bandwidth=h).fit(X).score(new) for h in bandwidths]
figure, ax = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
ax.plot(bandwidths, scores, color="0.5")
for name, marker in (("scott", "s"), ("likelihood", "o")):
    density = densities[name]
    ax.plot(np.ravel(density.bandwidth_)[0], density.score(new), marker, markersize=8, label=f'bandwidth="{name}"')
ax.set(xscale="log", xlabel="bandwidth (min)", ylabel="mean log-density of new rows (nats)")
ax.legend(frameon=False)
plt.show()
