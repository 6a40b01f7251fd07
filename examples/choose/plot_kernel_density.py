"""
Columns that end, go around, or hold labels
===========================================

A kernel density puts a bump at every row. Where a column ends at 0, goes around a clock or holds labels, the bumps have to
follow.
"""

# %%
# Waiting times are not negative, and most are short. Without a boundary, bumps near 0 reach below it: the density there is too
# low, and the likelihood makes up for it by narrow bumps everywhere. With ``boundary="reflect"`` the part beyond the end is
# reflected, and bumps can be twice as wide; ``"log"`` smooths the logarithms, for which 0 is far away.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from fastkl import KernelDensityMLE

rng = np.random.default_rng(0)
wait = rng.exponential(size=(500, 1))
x = np.linspace(-0.6, 4.0, 600)[:, None]
truth = np.where(x >= 0.0, np.exp(-np.maximum(x, 0.0)), 0.0)
figure, axes = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained", sharey=True)
for ax, boundary in zip(axes, (None, "reflect", "log"), strict=True):
    model = KernelDensityMLE(boundary=boundary).fit(wait)
    ax.fill_between(x.ravel(), truth.ravel(), color="0.85", label="truth")
    ax.plot(x, np.exp(model.score_samples(x)), label="estimate")
    ax.plot(wait, np.full(len(wait), -0.03), "|", color="0.4", markersize=4)
    held_out = model.leave_one_out().mean()
    ax.set(
        title=f"boundary={boundary!r}\n{held_out:.4f} nats a row",
        xlabel="waiting time (min)",
        xlim=(-0.6, 4.0),
        ylim=(-0.06, 1.3),
    )
axes[0].set_ylabel("density (1/min)")
axes[2].legend(frameon=False)
plt.show()

# %%
# Hours of the day go around: half past eleven at night is near one in the morning. Taken as a line, the peak at midnight is cut
# in two, and each half leaks beyond its end. On the circle it is one.

hours = np.concatenate([rng.normal(23.5, 1.0, 300), rng.normal(8.0, 0.5, 200)])[:, None] % 24.0
of_day = np.linspace(-2.0, 26.0, 1200)[:, None]
figure, ax = plt.subplots(figsize=(8, 3.2), layout="constrained")
ax.hist(hours, bins=np.arange(0.0, 24.1, 0.5), density=True, color="0.85", label="500 rows")
for boundary, name in ((None, "a line"), (("circular", 24.0), "a circle")):
    model = KernelDensityMLE(boundary=boundary).fit(hours)
    ax.plot(of_day, np.exp(model.score_samples(of_day)), label=name)
ax.set(xlabel="hour", ylabel="density (1/hour)", xticks=range(0, 25, 3), xlim=(-2.0, 26.0))
ax.legend(frameon=False)
plt.show()

# %%
# A table of labels, counts and numbers. Labels learn from each other as far as the likelihood gains by it: the crop matters
# (bandwidth 0: every crop by its own rows), the plot does not (3 / 4, where all four count alike). A conditional density given
# labels is a density again. The truth here is normal, with a mean that goes by crop and weeks.

crop = rng.choice(["barley", "oats", "wheat"], 400, p=[0.5, 0.3, 0.2])
table = pd.DataFrame({"crop": crop, "dry_weeks": rng.poisson(2.0, 400), "plot": rng.choice(list("abcd"), 400)})
table["yield"] = 5.0 + 2.0 * (crop == "wheat") - 0.4 * table["dry_weeks"] + rng.normal(size=400)
types = {"crop": "categorical", "plot": "categorical", "dry_weeks": "ordered"}
model = KernelDensityMLE(column_types=types).fit(table)
print(dict(zip(table.columns, model.bandwidth_.round(3).tolist(), strict=True)))

tonnes = np.linspace(0.0, 11.0, 400)
figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained", sharey=True)
for ax, given in zip(axes, ({"crop": "wheat"}, {"crop": "barley"}), strict=True):
    for weeks in (0, 2, 4):
        part = model.conditional({**given, "dry_weeks": weeks}).marginal("yield")
        (line,) = ax.plot(
            tonnes, np.exp(part.score_samples(pd.DataFrame({"yield": tonnes}))), label=f"{weeks} dry weeks"
        )
        mean = 5.0 + 2.0 * (given["crop"] == "wheat") - 0.4 * weeks
        ax.axvline(mean, color=line.get_color(), linestyle=":", linewidth=1)
    ax.set(title=given["crop"], xlabel="yield (t/ha)")
axes[0].set_ylabel("density (ha/t)")
axes[1].legend(frameon=False, title="dotted: true mean")
plt.show()

# sphinx_gallery_dummy_images = 3
