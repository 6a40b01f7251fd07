"""
In what do two groups differ, and is it more than chance?
=========================================================

Malignant and benign tumours, column by column: the KL divergence with its 95 % interval, and a permutation test.
"""

# %%
# The order of the arguments matters. KL(malignant ‖ benign) is the evidence, in nats per row, that malignant rows give against
# the distribution of the benign ones. The estimate is free of units, so columns can be put side by side.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer

from fastkl import DivergenceDisplay, compare_tables

data = load_breast_cancer(as_frame=True)
columns = ["mean area", "mean concavity", "mean texture", "mean smoothness", "mean symmetry", "mean fractal dimension"]
malignant, benign = (data.data.loc[data.target == k, columns] for k in (0, 1))
noise = np.random.default_rng(0)
malignant, benign = (group.assign(noise=noise.normal(size=len(group))) for group in (malignant, benign))

found = compare_tables(malignant, benign)

# %%
# Filled points are differences that are significant in the permutation test; the last column is noise that was added on
# purpose. A negative estimate is left as it is: clamping it to 0 would hide how uncertain it is. ``*`` marks estimates that
# warn of a bias.

DivergenceDisplay.from_comparison(found, labels=("malignant", "benign"))
plt.show()

# %%
# The same numbers as a table, with what the estimates say about themselves:

print(found)
