"""
What does the order of the arguments change?
============================================

KL(p ‖ q) is an expectation under p. Fitted to two clusters, a normal distribution q that minimises KL(p ‖ q) covers
both; one that minimises KL(q ‖ p) sits on one of them.
"""

# %%
# The first is what maximum likelihood does. The second is what variational inference does, by an optimiser over the
# location and the scale of q, here with the divergence from fastkl, which integrates it numerically.

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize

from fastkl import DensityMLE, MixtureMLE, kl_divergence

draws = np.random.default_rng(0).choice([-2.0, 2.0], size=20_000, p=[0.4, 0.6]) + np.random.default_rng(1).normal(
    scale=0.7, size=20_000
)
p = MixtureMLE(2, family="normal", random_state=0).fit(draws[:, None])


def normal(theta):
    """A normal distribution from its location and the logarithm of its scale."""
    return DensityMLE.from_parameters("normal", loc=theta[0], scale=np.exp(theta[1]))


forward = DensityMLE("normal").fit(draws[:, None])
reverse = [
    normal(minimize(lambda theta: float(kl_divergence(normal(theta), p)), [start, 0.0], method="Nelder-Mead").x)
    for start in (1.0, -1.0)
]

# %%
# Both normal distributions of the second kind are local minima; the one on the larger cluster is the global one.

x = np.linspace(-5.0, 5.0, 500)[:, None]
figure, ax = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
ax.fill_between(x.ravel(), np.exp(p.score_samples(x)), color="0.85", label="p")
ax.plot(x, np.exp(forward.score_samples(x)), label="least KL(p ‖ q): maximum likelihood")
ax.plot(x, np.exp(reverse[0].score_samples(x)), "--", label="least KL(q ‖ p)")
ax.plot(x, np.exp(reverse[1].score_samples(x)), ":", label="a local minimum of KL(q ‖ p)")
ax.set(xlabel="x", ylabel="density", ylim=(0.0, 0.75))
ax.legend(frameon=False, loc="upper left")
plt.show()

# %%
# The two divergences of each, in nats:

for name, q in (("covers both", forward), ("sits on the larger", reverse[0]), ("sits on the smaller", reverse[1])):
    print(f"{name:20s} KL(p ‖ q) = {kl_divergence(p, q):6.3f}   KL(q ‖ p) = {kl_divergence(q, p):.3f}")
