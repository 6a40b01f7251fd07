"""
Which columns tell of a class?
==============================

Mutual information measures how much a column tells about labels, in nats, whatever the kind of dependence. Its standard error
separates columns that carry information from those that seem to by chance.
"""

# %%
# 178 wines of three cultivars, 13 measurements of each, and two columns of noise. No measurement can tell more than the
# entropy of the labels.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_wine

from fastkl import categorical_entropy, mutual_information

wine = load_wine(as_frame=True)
cultivar = np.array(["first", "second", "third"])[wine.target]
columns = wine.data.assign(**{f"noise {i}": np.random.default_rng(i).normal(size=178) for i in (1, 2)})
told = {name: mutual_information(values, cultivar) for name, values in columns.items()}
told = dict(sorted(told.items(), key=lambda item: item[1]))
ceiling = categorical_entropy(cultivar)

# %%
# Bars are 95 % intervals. Columns whose interval reaches 0 are hollow.

figure, ax = plt.subplots(figsize=(7, 5), layout="constrained")
for place, estimate in enumerate(told.values()):
    low, high = estimate.confidence_interval()
    face = "white" if low <= 0.0 else "C0"
    ax.errorbar(estimate, place, xerr=[[estimate - low], [high - estimate]], fmt="oC0", capsize=3, markerfacecolor=face)
ax.axvline(0.0, color="0.5", linestyle=":")
ax.axvline(ceiling, color="C1", linestyle="--", label=f"entropy of the labels, {ceiling:.2f}")
ax.set(yticks=range(len(told)), yticklabels=told, xlabel="mutual information with the cultivar, nats")
figure.legend(frameon=False, loc="outside upper right")
plt.show()

# %%
# Two columns together tell more than either, and less than the sum, since they tell some of the same:

for names in (["flavanoids"], ["color_intensity"], ["flavanoids", "color_intensity"]):
    estimate = mutual_information(columns[names], cultivar)
    print(f"{' and '.join(names):32} {estimate:.2f} ± {estimate.standard_error:.2f}")
