"""Panels of densities: one for each factor of a product, and a corner of pairs."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy import stats

from fastkl import DensityDisplay, DensityMLE, ProductDensity

mpl.use("Agg")
RNG = np.random.default_rng(0)
PAIRS = pd.DataFrame(RNG.normal(size=(300, 2)) @ [[1.0, 0.7], [0.0, 2.0]], columns=["time", "dose"])


def test_two_discrete_columns_are_two_panels():
    X = RNG.poisson(2.0, size=(50, 2)).astype(float)
    model = DensityMLE("poisson").fit(X)
    panels = DensityDisplay.from_estimator(model, X, ax=Figure().subplots(1, 2))
    for j in range(2):
        display = panels.displays[0, j]
        rate = model.params_["rate"][j]
        np.testing.assert_allclose(display.data.probabilities, stats.poisson(rate).pmf(display.data.values), rtol=1e-10)
        assert panels.axes_[0, j].get_xlabel() == f"column {j}"


def test_panels_of_a_product_are_its_factors():
    table = PAIRS.assign(visits=RNG.poisson(2.0, 300), city=RNG.choice(["Bern", "Genf"], 300))
    joint = [("both", DensityMLE(), ["time", "dose"]), ("visits", DensityMLE("poisson"), ["visits"])]
    model = ProductDensity([*joint, ("city", DensityMLE("categorical"), ["city"])]).fit(table)
    panels = DensityDisplay.from_estimator(model, table, units={"dose": "mg"}, plot=False)
    assert panels.shape == (2, 3)
    assert [display.columns[0] for display in panels.displays.values()] == ["time", "dose", "visits", "city"]
    dose = panels.displays[0, 1]
    normal = model.densities_["both"].params_
    reference = stats.norm(normal["mean"][1], np.sqrt(normal["covariance"][1, 1]))
    np.testing.assert_allclose(dose.data.density, reference.pdf(dose.data.grid), rtol=1e-10)
    assert dose.units == ["mg"]
    shares = table["city"].value_counts(normalize=True)
    np.testing.assert_allclose(panels.displays[1, 0].data.probabilities, shares[["Bern", "Genf"]], rtol=1e-12)
    panels.plot(ax=Figure().subplots(2, 3))
    assert panels.axes_[1, 1] is None
    assert len(panels.figure_.axes) == 4
    with pytest.raises(ValueError, match="2 axes; 2 x 3 panels"):
        panels.plot(ax=Figure().subplots(1, 2))


def test_corner():
    X = RNG.normal(size=(200, 3)) @ np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 0.3], [0.0, 0.0, 2.0]])
    model = DensityMLE().fit(X)
    panels = DensityDisplay.from_estimator(model, X, pairs=True, n_points=30, n_draws=1000, ax=Figure().subplots(3, 3))
    assert sorted(panels.displays) == [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]
    pair = panels.displays[2, 0]
    assert pair.columns == ["column 0", "column 2"]
    block = np.ix_([0, 2], [0, 2])
    distribution = stats.multivariate_normal(model.params_["mean"][[0, 2]], model.params_["covariance"][block])
    at = [pair.data.grid_x[4], pair.data.grid_y[7]]
    assert pair.data.log_density[7, 4] == pytest.approx(distribution.logpdf(at), rel=1e-10)
    assert panels.axes_[0, 1] is None
    with_counts = np.column_stack([X[:, :2], RNG.poisson(2.0, 200)])
    product = ProductDensity([("xy", DensityMLE(), [0, 1]), ("n", DensityMLE("poisson"), [2])]).fit(with_counts)
    corner = DensityDisplay.from_estimator(product, with_counts, pairs=True, n_points=20, n_draws=500, plot=False)
    assert sorted(corner.displays) == [(0, 0), (1, 0), (1, 1), (2, 2)]


def test_a_corner_says_what_is_drawn_once():
    X = np.random.default_rng(0).normal(size=(100, 4))
    panels = DensityDisplay.from_estimator(DensityMLE().fit(X), X, pairs=True)
    said = [
        legend.get_texts()[1].get_text()
        for ax in panels.axes_.ravel()
        if ax is not None and (legend := ax.get_legend())
    ]
    assert said == ["multivariate_normal", "multivariate_normal, % enclosed"]
    positive = np.exp(X[:, :2])
    different = ProductDensity([("a", DensityMLE("gamma"), [0]), ("b", DensityMLE("lognormal"), [1])]).fit(positive)
    panels = DensityDisplay.from_estimator(different, positive, pairs=True)
    names = [panels.axes_[j, j].get_legend().get_texts()[1].get_text() for j in (0, 1)]
    assert names == ["gamma", "lognormal"]
