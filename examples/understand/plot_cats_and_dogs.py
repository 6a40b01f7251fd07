"""
What does the likelihood estimate?
==================================

Ten animals, six cats and four dogs, and a model that says "cat" with probability θ. Counting, following the gradient
of the log-likelihood, and minimising the cross-entropy or the KL divergence all end at θ = 0.6, and the picture shows
why.
"""

# %%
# The data distribution puts 0.6 on cats. The cross-entropy from it to the model is its entropy, which knows nothing
# of θ, plus the KL divergence: two curves at a constant distance, with their minimum at the same place.

import matplotlib.pyplot as plt
import numpy as np

from fastkl import DensityMLE, cross_entropy, entropy, kl_divergence

animals = np.array([["cat"]] * 6 + [["dog"]] * 4)
data = DensityMLE("categorical").fit(animals)  # counts: 0.6, 0.4


def model(theta):
    """Says "cat" with probability theta."""
    return DensityMLE.from_parameters("categorical", probabilities=[theta, 1.0 - theta], categories=["cat", "dog"])


grid = np.linspace(0.05, 0.95, 91)
cross = [float(cross_entropy(data, model(theta))) for theta in grid]
divergence = [float(kl_divergence(data, model(theta))) for theta in grid]
minus_score = [-model(theta).score(animals) for theta in grid]

# %%
# Gradient ascent from θ = 0.1, in log-odds so that θ stays between 0 and 1: the slope of the mean log-likelihood in
# θ, times θ (1 − θ).

path, logit = [0.1], np.log(0.1 / 0.9)
for _ in range(12):
    theta = path[-1]
    slope_in_probabilities = model(theta).gradient(animals)["probabilities"].ravel()
    slope = (slope_in_probabilities[0] - slope_in_probabilities[1]) * theta * (1.0 - theta)
    logit += 2.0 * slope
    path.append(1.0 / (1.0 + np.exp(-logit)))

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
left.plot(grid, cross, label="cross-entropy")
left.plot(grid, minus_score, ":", color="black", linewidth=1.0, label="minus the mean log-likelihood: the same")
left.plot(grid, divergence, label="KL(data ‖ model)")
left.plot(
    path, [-model(theta).score(animals) for theta in path], "o", color="C2", markersize=5, label="gradient ascent"
)
left.annotate(
    "",
    (0.6, 0.0),
    (0.6, float(entropy(data))),
    arrowprops={"arrowstyle": "<->", "color": "0.4", "shrinkA": 0, "shrinkB": 0},
)
left.text(0.59, 0.5, "entropy of the data", color="0.4", ha="right", va="center")
left.axvline(0.6, color="0.6", linestyle=":", zorder=0)
left.set(xlabel="θ, probability of a cat", ylabel="nats per animal", ylim=(-0.05, 1.9))
left.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False)
right.plot(path, "o-", color="C2", markersize=4)
right.axhline(0.6, color="0.6", linestyle=":")
right.set(xlabel="step", ylabel="θ", title="the ascent ends where counting begins")
plt.show()

# %%
# The identity in numbers:

print(f"{cross_entropy(data, model(0.5)):.6f} = {entropy(data):.6f} + {kl_divergence(data, model(0.5)):.6f}")
