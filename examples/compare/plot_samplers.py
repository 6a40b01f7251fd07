"""
Which sampler gets there first?
===============================

Two Markov chains draw from one known density. How far is what they have drawn from it, after so many steps? The KL
divergence from the draws to the density answers in nats, and is 0 for a sampler that does its work.
"""

# %%
# The target is a strongly correlated normal distribution, which a random walk with steps of equal size in all
# directions explores slowly. Each sampler runs 400 chains from nearby starts at one end of the target; their states
# after a number of steps are a sample.

import matplotlib.pyplot as plt
import numpy as np

from fastkl import DensityMLE, kl_divergence

covariance = np.array([[1.0, 0.95], [0.95, 1.0]])
target = DensityMLE.from_parameters("multivariate_normal", mean=[0.0, 0.0], covariance=covariance)


def metropolis(root, steps, rng, n_chains=400):
    """States of all chains after each number of steps; proposals have the covariance root @ root.T."""
    x, found = rng.normal(3.0, 0.1, size=(n_chains, 2)), {}
    score = target.score_samples(x)
    for i in range(1, max(steps) + 1):
        proposal = x + rng.normal(size=x.shape) @ root.T
        new = target.score_samples(proposal)
        accepted = np.log(rng.random(n_chains)) < new - score
        x, score = np.where(accepted[:, None], proposal, x), np.where(accepted, new, score)
        if i in steps:
            found[i] = x
    return found


steps = [5, 10, 20, 40, 80, 160, 320]
rng = np.random.default_rng(0)
runs = {
    "equal steps in all directions": metropolis(0.3 * np.eye(2), steps, rng),
    "steps shaped as the target": metropolis(1.2 * np.linalg.cholesky(covariance), steps, rng),
}

# %%
# The dotted line is 0. An interval that covers it is a sample that can't be told from exact draws.

figure, ax = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
for (name, found), marker in zip(runs.items(), "os", strict=True):
    estimates = [kl_divergence(found[i], target, random_state=0) for i in steps]
    bars = [1.96 * estimate.standard_error for estimate in estimates]
    ax.errorbar(steps, estimates, yerr=bars, marker=marker, capsize=3, label=name)
ax.axhline(0.0, color="0.5", linestyle=":")
ax.set(xscale="log", xlabel="steps of each chain", ylabel="KL(draws ‖ target), nats")
ax.set_xticks(steps, steps)
ax.set_xticks([], minor=True)
ax.legend(frameon=False)
plt.show()

# %%
# What is behind the numbers: the states after 20 steps over contours of the target.

figure, axes = plt.subplots(1, 2, figsize=(9, 4.4), layout="constrained", sharey=True)
grid = np.linspace(-4.2, 4.2, 120)
plane = np.stack(np.meshgrid(grid, grid), axis=-1)
density = np.exp(target.score_samples(plane.reshape(-1, 2))).reshape(120, 120)
for ax, (name, found) in zip(axes, runs.items(), strict=True):
    ax.contour(grid, grid, density, levels=5, colors="0.6", linewidths=1.0)
    ax.plot(*found[20].T, ".", markersize=4)
    ax.set(title=name, xlabel="first coordinate", aspect="equal", xlim=(-4, 4), ylim=(-4, 4))
axes[0].set_ylabel("second coordinate")
plt.show()
