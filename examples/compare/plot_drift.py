"""
Since when do the data differ from what they were?
==================================================

A model in production meets rows that drift away from those it was made with. The KL divergence of each week from the
reference says how far, with an interval that says how sure.
"""

# %%
# Two sensors, 300 readings a week. After week 12 their correlation fades, which no column shows on its own.

import matplotlib.pyplot as plt
import numpy as np

from fastkl import kl_divergence

rng = np.random.default_rng(1)


def week(correlation, n=300):
    """Readings of one week."""
    return rng.multivariate_normal([20.0, 50.0], [[4.0, 6.0 * correlation], [6.0 * correlation, 9.0]], size=n)


reference = week(0.8, 3000)
correlations = [0.8] * 12 + [0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0]
weeks = [week(correlation) for correlation in correlations]
joint = [kl_divergence(rows, reference, random_state=0) for rows in weeks]
single = [[kl_divergence(rows[:, [j]], reference[:, [j]], random_state=0) for rows in weeks] for j in (0, 1)]

# %%
# Bars are 95 % intervals. The curve is the true divergence of the week, known here because the readings are
# simulated.

figure, ax = plt.subplots(figsize=(8, 4.2), layout="constrained")
number = np.arange(1, len(weeks) + 1)
bars = 1.96 * np.array([estimate.standard_error for estimate in joint])
truth = [0.5 * (2 * (1 - 0.8 * r) / 0.36 - 2 + np.log(0.36 / (1 - r * r))) for r in correlations]
ax.plot(number, truth, color="0.6", label="truth, both sensors")
ax.errorbar(number, joint, yerr=bars, fmt="o", capsize=3, label="both sensors")
for estimates, name, marker in zip(single, ("sensor 1 alone", "sensor 2 alone"), "^v", strict=True):
    ax.plot(number, estimates, marker, markersize=5, label=name)
ax.axhline(0.0, color="0.5", linestyle=":")
ax.set(xlabel="week", ylabel="KL(week ‖ reference), nats", xticks=number[::2])
ax.legend(frameon=False, loc="upper left")
plt.show()

# %%
# The first week whose interval lies above 0, and stays there:

low = np.array([estimate.confidence_interval()[0] for estimate in joint])
last_inside = np.flatnonzero(low <= 0.0).max()
print("drift since week", number[last_inside] + 1)
print(
    "neither sensor alone:",
    max(abs(e) / e.standard_error for estimates in single for e in estimates).__round__(1),
    "errors",
)
