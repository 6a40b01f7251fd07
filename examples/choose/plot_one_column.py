"""
Which distribution does a column follow?
========================================

The areas of 569 cell nuclei. Six families of positive numbers are fitted to one half of the rows and compared on the
other half, by the mean log-density of rows that they have not seen.
"""

# %%
# ``compare_densities`` gives a table: how many nats per row each lies behind the best, which is the difference of
# their KL divergences from the distribution of the data, with the standard error of that *difference*.

import matplotlib.pyplot as plt
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from fastkl import ComparisonDisplay, DensityDisplay, DensityMLE, compare_densities

area = load_breast_cancer(as_frame=True).data[["mean area"]]
train, test = train_test_split(area, test_size=0.5, random_state=0)
names = ["normal", "gamma", "lognormal", "weibull", "inverse_gaussian", "loglogistic"]
fitted = {name: DensityMLE(name).fit(train) for name in names}
table = compare_densities(fitted, test)
table

# %%
# The same as a picture. An interval that reaches the dotted line is a family that these rows can't tell from the
# best.

ComparisonDisplay.from_comparison(table)
plt.show()

# %%
# The best of them over the data, beside the normal distribution, which has to be symmetric: it puts rows where there
# are none, even below 0, and misses the peak.

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained", sharey=True)
for name, ax in ((table.best, left), ("normal", right)):
    DensityDisplay.from_estimator(fitted[name], test, units="px", ax=ax)
right.set_ylabel("")
plt.show()

# %%
# What was found for the best, with errors and intervals:

fitted[table.best].summary()
