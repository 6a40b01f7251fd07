"""The picture of responsibilities in the guide to mixtures: python docs/examples/responsibilities.py."""

from pathlib import Path

import matplotlib
import numpy as np
from sklearn.datasets import load_iris

from fastkl import MixtureMLE, families

matplotlib.use("Agg")
from matplotlib import pyplot as plt

X = load_iris().data[:, [2, 1]]
tied = families.MultivariateNormal("tied")
model = MixtureMLE(3, family=tied, random_state=0).fit(X)
colours = np.array([[0.0, 0.45, 0.7], [0.84, 0.37, 0.0], [0.0, 0.62, 0.45]])

figure, (rows, bound) = plt.subplots(1, 2, figsize=(10.0, 4.2), layout="constrained")
grid = np.stack(np.meshgrid(np.linspace(0.5, 7.5, 281), np.linspace(1.8, 4.6, 225)), axis=-1)
shares = model.predict_proba(grid.reshape(-1, 2)) @ colours
rows.imshow(shares.reshape(*grid.shape[:2], 3), origin="lower", extent=(0.5, 7.5, 1.8, 4.6), aspect="auto", alpha=0.25)
rows.contour(
    grid[..., 0], grid[..., 1], model.score_samples(grid.reshape(-1, 2)).reshape(grid.shape[:2]),
    levels=[-6.0, -5.0, -4.0, -3.0, -2.0, -1.0], colors="0.4", linewidths=0.7, linestyles="solid",
)  # fmt: skip
rows.scatter(*X.T, c=model.predict_proba(X) @ colours, s=22, edgecolor="white", linewidth=0.4)
places = [(3.7, 4.2), (1.9, 1.92), (6.1, 4.4)]
for k, (mean, weight) in enumerate(zip(model.params_["mean"], model.params_["weights"], strict=True)):
    rows.annotate(
        f"component {k}, weight {weight:.2f}", mean, xytext=places[k], ha="center", fontsize=9, color=0.7 * colours[k],
        arrowprops={"arrowstyle": "-", "color": 0.7 * colours[k]},
    )  # fmt: skip
rows.set(xlabel="petal length (cm)", ylabel="sepal width (cm)", title="Responsibilities of three normal components")

# The lower bound as the responsibilities move from those of other parameters to the posterior
other = {**model.params_, "mean": model.params_["mean"] + np.array([0.9, 0.0])}
before = MixtureMLE.from_parameters(tied, **other).predict_proba(X)
posterior = model.predict_proba(X)
along = np.linspace(0.0, 1.0, 101)
heights = np.array([model.elbo(X, (1.0 - t) * before + t * posterior) for t in along])
evidence = model.log_likelihood(X)
bound.axhline(evidence, color="0.2", linewidth=1.2)
bound.fill_between(along, heights, evidence, color=colours[1], alpha=0.2)
bound.plot(along, heights, color=colours[0], linewidth=2.0)
bound.annotate("log-likelihood (log-evidence)", (0.02, evidence), xytext=(0, 4), textcoords="offset points", fontsize=9)
bound.annotate("KL(responsibilities ‖ posterior)", (0.05, 0.75 * evidence + 0.25 * heights[0]), fontsize=9)
bound.annotate(
    "evidence lower bound", (along[40], heights[40]), xytext=(10, -14), textcoords="offset points", fontsize=9
)
bound.set(xlabel="from responsibilities of other parameters to the posterior", ylabel="nats")
bound.set_title("Evidence = lower bound + divergence")
bound.set_ylim(top=evidence + 0.12 * (evidence - heights[0]))
figure.savefig(Path(__file__).parents[1] / "static" / "responsibilities.png", dpi=100)
