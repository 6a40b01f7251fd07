"""
Does the best family fit at all?
================================

The best of several wrong families is still wrong. A goodness-of-fit test with the parametric bootstrap takes into
account that the parameters were fitted; quantiles against quantiles show where the fit fails.
"""

# %%
# Texture and radius of 569 cell nuclei, each with the family that suits it best among three.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer

from fastkl import DensityMLE

data = load_breast_cancer(as_frame=True).data
columns = {name: data[[name]] for name in ("mean texture", "mean radius")}

figure, axes = plt.subplots(1, 2, figsize=(10, 4.6), layout="constrained")
for ax, (name, column) in zip(axes, columns.items(), strict=True):
    models = [DensityMLE(family).fit(column) for family in ("normal", "lognormal", "gamma")]
    model = max(models, key=lambda one: one.score(column))
    test = model.goodness_of_fit(column, n_bootstrap=199, random_state=0)
    rows = np.sort(column.to_numpy().ravel())
    p = (np.arange(len(rows)) + 0.5) / len(rows)
    ax.plot(model.quantile(p).ravel(), rows, ".", color="0.4")
    ax.axline((rows[0], rows[0]), slope=1.0, color="C0", linewidth=1.0)
    p_value = float(np.ravel(test.p_values["ad"])[0])
    ax.set(xlabel=f"quantile of the fitted {model.family}", ylabel=f"quantile of {name}")
    ax.set_title(f"Anderson–Darling: p = {p_value:.3f}")
plt.show()

# %%
# Points on the line are values where the fit says they should be. On the right they leave it at both ends, and the
# test says that this is not chance: there are two kinds of nuclei, benign and malignant, and their radii need a
# mixture.
