"""
Which cluster does a row belong to, and how many are there?
===========================================================

A mixture gives every row a probability for each cluster, its responsibilities. How many clusters there are is asked
of rows that were held out, not of the fit, which always gains.
"""

# %%
# Four measurements of 150 irises. The species are not shown to the mixture, whose three components find them nearly
# all.

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb
from sklearn.datasets import load_iris

from fastkl import MixtureMLE

data = load_iris()
X = data.data
mixture = MixtureMLE(3, random_state=0).fit(X)
responsibilities = mixture.predict_proba(X)
table = np.zeros((3, 3), dtype=int)
np.add.at(table, (data.target, mixture.predict(X)), 1)
print("species x cluster", *table, sep="\n")

# %%
# The marker of a row is that of its cluster, and its colour mixes those of the clusters in proportion to its
# responsibilities; circles mark the rows that belong to their cluster with less than 95 %.

colours = np.array([to_rgb(name) for name in ("C0", "C1", "C2")])
unsure = responsibilities.max(axis=1) < 0.95
figure, axes = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained")
for ax, (i, j) in zip(axes, ((0, 1), (2, 3)), strict=True):
    for k, marker in enumerate("os^"):
        own = mixture.predict(X) == k
        ax.scatter(X[own, i], X[own, j], c=responsibilities[own] @ colours, s=22, marker=marker, label=f"cluster {k}")
    ax.scatter(
        X[unsure, i], X[unsure, j], s=110, facecolors="none", edgecolors="black", label=f"{unsure.sum()} unsure rows"
    )
    ax.set(xlabel=data.feature_names[i], ylabel=data.feature_names[j])
axes[1].legend(frameon=False, loc="upper left")
plt.show()

# %%
# 100 rows are fitted, the others scored, for one to five clusters. The log-likelihood of the fitted rows rises on and
# on; that of the others has its peak where more clusters begin to describe these rows instead of irises.

order = np.random.default_rng(0).permutation(150)
train, test = X[order[:100]], X[order[100:]]
numbers = range(1, 6)
models = [MixtureMLE(k, random_state=0, n_init=1, standard_errors=False).fit(train) for k in numbers]
figure, ax = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
ax.plot(numbers, [model.score(test) for model in models], "o-", label="50 rows held out")
ax.plot(numbers, [model.score(train) for model in models], "s--", color="0.6", label="100 rows of the fit")
ax.set(xlabel="clusters", ylabel="mean log-likelihood (nats)", xticks=numbers)
ax.legend(frameon=False, loc="upper left")
plt.show()
