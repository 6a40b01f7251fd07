"""The picture at the top of the README, one call a panel: python docs/examples/at_a_glance.py."""

from pathlib import Path

import matplotlib
from sklearn.datasets import load_breast_cancer, load_iris

from fastkl import DensityDisplay, DensityMLE, DivergenceDisplay, MixtureMLE, compare_tables

matplotlib.use("Agg")
from matplotlib import pyplot as plt

tumours = load_breast_cancer(as_frame=True)
texture = tumours.data[["mean texture"]]
petals = load_iris(as_frame=True).data[["petal length (cm)", "petal width (cm)"]]
columns = ["mean area", "mean concavity", "mean texture", "mean smoothness", "mean symmetry", "mean fractal dimension"]
malignant, benign = (tumours.data.loc[tumours.target == k, columns] for k in (0, 1))

figure, (left, middle, right) = plt.subplots(
    1, 3, figsize=(13.0, 3.9), layout="constrained", width_ratios=(1.0, 1.0, 1.15)
)
DensityDisplay.from_estimator(DensityMLE("lognormal").fit(texture), texture, ax=left)
DensityDisplay.from_estimator(MixtureMLE(3, random_state=0).fit(petals), petals, ax=middle, name="mixture of 3")
DivergenceDisplay.from_comparison(compare_tables(malignant, benign), labels=("malignant", "benign"), ax=right)
figure.savefig(Path(__file__).parents[1] / "static" / "at_a_glance.png", dpi=90)
