"""
When is an estimate of a divergence not to be trusted?
======================================================

Estimates from two samples have a bias that no standard error contains: it grows with the divergence itself and with
the number of columns. They say so; and a sweep over the number of neighbours shows it.
"""

# %%
# Two normal distributions, 500 rows each, moved apart step by step. The truth is known: half the squared shift.

import matplotlib.pyplot as plt
import numpy as np

from fastkl import KSweepDisplay, kl_divergence

rng = np.random.default_rng(0)
q = rng.normal(size=(500, 2))
shifts = np.linspace(0.0, 5.0, 11)
samples = [rng.normal(size=(500, 2)) + [shift, 0.0] for shift in shifts]
estimates = {
    method: [kl_divergence(p, q, method=method, random_state=0) for p in samples]
    for method in ("common_radius", "assisted")
}

figure, ax = plt.subplots(figsize=(7.5, 4.4), layout="constrained")
ax.plot(shifts, 0.5 * shifts**2, color="0.5", label="truth")
for (method, found), marker in zip(estimates.items(), "os", strict=True):
    flagged = np.array([estimate.diagnostics["bias_suspected"] for estimate in found])
    values, bars = np.array(found, dtype=float), 1.96 * np.array([estimate.standard_error for estimate in found])
    line = ax.errorbar(shifts, values, yerr=bars, fmt=marker, capsize=3, markersize=6, label=f'method="{method}"')
    ax.plot(
        shifts[flagged],
        values[flagged],
        marker,
        markersize=6,
        markerfacecolor="white",
        color=line[0].get_color(),
        zorder=5,
    )
ax.plot([], [], "o", color="0.3", markerfacecolor="white", label="says that a bias is likely")
ax.set(xlabel="shift in standard deviations", ylabel="KL, nats, with 95 % interval")
ax.legend(frameon=False, loc="upper left")
plt.show()

# %%
# Sweeping the number of neighbours is one search. Where the estimate moves by more than its error, the samples are
# too small for it.

figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
for ax, i in zip(axes, (2, 8), strict=True):
    KSweepDisplay.from_samples(samples[i], q, ax=ax)
    truth = 0.5 * shifts[i] ** 2
    ax.axhline(truth, color="0.5")
    ax.text(120, truth, "truth", color="0.4", ha="right", va="top")
    ax.set_title(f"shift {shifts[i]:g}", pad=58)
    ax.set_ylim(bottom=min(0.0, ax.get_ylim()[0]))
plt.show()

# %%
# In words:

print(*estimates["common_radius"][8].diagnostics["reasons"], sep="\n")
