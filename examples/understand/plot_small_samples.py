"""
What does a prior do for few rows?
==================================

Maximum likelihood believes what it sees: three tosses, three heads, and the probability of heads is 1. The maximum a
posteriori (MAP) adds the logarithm of a prior density, which counts for a few rows and is forgotten as more come in.
"""

# %%
# A coin with probability 0.6, tossed up to 100 times. The Beta(2, 2) prior counts as two tosses more, one of each
# side.

import matplotlib.pyplot as plt
import numpy as np

from fastkl import DensityMLE, priors

rng = np.random.default_rng(26)
tosses = (rng.random((100, 1)) < 0.6).astype(float)
sizes = np.arange(1, 101)
likelihood = [DensityMLE("bernoulli").fit(tosses[:n]).params_["probability"][0] for n in sizes]
prior = priors.BetaPrior(2, 2)
posterior = [DensityMLE("bernoulli", prior=prior).fit(tosses[:n]).params_["probability"][0] for n in sizes]

figure, ax = plt.subplots(figsize=(7.5, 3.8), layout="constrained")
ax.plot(sizes, likelihood, label="maximum likelihood")
ax.plot(sizes, posterior, label="MAP with a Beta(2, 2) prior")
ax.axhline(0.6, color="0.5", linestyle=":", label="truth")
ax.set(xlabel="tosses", ylabel="probability of heads", xscale="log", ylim=(-0.05, 1.05))
ax.legend(frameon=False)
plt.show()

# %%
# The same in 10 columns: a covariance matrix estimated from few rows is too wide in some directions and too narrow in others,
# and singular with 10 rows or fewer. Shrinkage by Ledoit and Wolf, and the library's own weak prior, give one from any number
# of rows, which is better as long as rows are few; with many rows maximum likelihood is better.

from fastkl import families  # noqa: E402

d = 10
root = rng.normal(size=(d, d)) / np.sqrt(d) + 0.5 * np.eye(d)
test = rng.normal(size=(5000, d)) @ root.T
sizes = [6, 12, 15, 20, 30, 50, 100, 200, 500]
candidates = {
    "maximum likelihood": DensityMLE("multivariate_normal"),
    "Ledoit–Wolf shrinkage": DensityMLE(families.MultivariateNormal(shrinkage="ledoit_wolf")),
    "MAP with the default prior": DensityMLE("multivariate_normal", prior="default"),
}
figure, ax = plt.subplots(figsize=(7.5, 4), layout="constrained")
best = DensityMLE.from_parameters(mean=np.zeros(d), covariance=root @ root.T).score(test)  # the truth
for (name, density), marker in zip(candidates.items(), "os^", strict=True):
    behind = []
    for n in sizes:
        if n <= d and name == "maximum likelihood":
            behind.append(np.nan)  # refused: no maximum
            continue
        runs = [best - density.fit(rng.normal(size=(n, d)) @ root.T).score(test) for _ in range(5)]
        behind.append(np.mean(runs))
    ax.plot(sizes, behind, marker=marker, label=name)
ax.set(xscale="log", yscale="log", xlabel="rows fitted to", ylabel="nats per new row behind the truth")
ax.set_xticks(sizes, sizes)
ax.set_xticks([], minor=True)
ax.legend(frameon=False)
plt.show()
