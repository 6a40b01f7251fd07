"""
In what do two groups differ, and is it more than chance?
=========================================================

Malignant and benign tumours, column by column: the KL divergence with its 95 % interval, and a permutation test.
"""

# %%
# The order of the arguments matters. KL(malignant ‖ benign) is how many nats per row the malignant ones tell against
# the distribution of the benign ones. The estimate is free of units, so columns can be put side by side.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer

from fastkl import kl_divergence, permutation_test

data = load_breast_cancer(as_frame=True)
columns = ["mean area", "mean concavity", "mean texture", "mean smoothness", "mean symmetry", "mean fractal dimension"]
malignant, benign = (data.data.loc[data.target == k, columns] for k in (0, 1))
noise = np.random.default_rng(0)
malignant, benign = (group.assign(noise=noise.normal(size=len(group))) for group in (malignant, benign))

estimates = {name: kl_divergence(malignant[[name]], benign[[name]], random_state=0) for name in malignant}
tests = {
    name: permutation_test(malignant[[name]], benign[[name]], random_state=0, n_permutations=499) for name in malignant
}

# %%
# Filled points are differences that the test calls more than chance at 1 %; the last column is noise that was added
# on purpose. A negative estimate is left as it is: clamping it to 0 would hide how uncertain it is.

figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
for i, (name, estimate) in enumerate(estimates.items()):
    low, high = estimate.confidence_interval()
    different = tests[name].p_value < 0.01
    ax.plot([low, high], [i, i], color="C0")
    ax.plot(float(estimate), i, "o", color="C0", markerfacecolor="C0" if different else "white")
    ax.text(1.01, i, f"p = {tests[name].p_value:.3f}", transform=ax.get_yaxis_transform(), va="center")
ax.axvline(0.0, color="0.5", linestyle=":")
ax.set_yticks(range(len(estimates)), list(estimates))
ax.invert_yaxis()
ax.set_xlabel("KL(malignant ‖ benign), nats, with 95 % interval")
plt.show()

# %%
# What an estimate says about itself:

for name, estimate in estimates.items():
    print(f"{name:24s} {estimate.value:6.3f} ± {estimate.standard_error:.3f}", *estimate.diagnostics["reasons"])
