"""A small picture of every family that has a line in ``SHAPES``: curves or stems of some of its members, or draws of a joint one.

They go to ``docs/api/pictures`` at each build, for the family's page and for the table of "Which family?".
"""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from sphinx.application import Sphinx

from fastkl import DensityMLE, families

COLOURS = ("#0072B2", "#D55E00", "#009E73")  # of Okabe and Ito's palette
# Parameters of up to three members each.
SHAPES = {
    "normal": [{"loc": 0, "scale": 1}, {"loc": 1, "scale": 2}],
    "student_t": [{"df": 1.5, "loc": 0, "scale": 1}, {"df": 30, "loc": 0, "scale": 1}],
    "laplace": [{"loc": 0, "scale": 1}, {"loc": 1, "scale": 2}],
    "logistic": [{"loc": 0, "scale": 1}, {"loc": 1, "scale": 2}],
    "cauchy": [{"loc": 0, "scale": 1}, {"loc": 1, "scale": 2}],
    "gumbel": [{"loc": 0, "scale": 1}, {"loc": 1, "scale": 2}],
    "gamma": [{"shape": 1, "scale": 2}, {"shape": 2, "scale": 1.5}, {"shape": 6, "scale": 1}],
    "weibull": [{"shape": 0.8, "scale": 2}, {"shape": 1.5, "scale": 3}, {"shape": 4, "scale": 5}],
    "lognormal": [{"meanlog": 0, "sdlog": 0.5}, {"meanlog": 0.7, "sdlog": 0.8}],
    "loglogistic": [{"shape": 1.5, "scale": 2}, {"shape": 4, "scale": 3}],
    "lomax": [{"shape": 1.5, "scale": 2}, {"shape": 5, "scale": 10}],
    "burr12": [{"c": 3, "d": 1, "scale": 2}, {"c": 1.5, "d": 4, "scale": 6}],
    "generalized_extreme_value": [{"shape": s, "loc": 0, "scale": 1} for s in (-0.4, 0, 0.4)],
    "generalized_pareto": [{"shape": s, "scale": 1} for s in (-0.4, 0.5)],
    "inverse_gamma": [{"shape": 2, "scale": 2}, {"shape": 4, "scale": 8}],
    "generalized_normal": [{"shape": s, "loc": 0, "scale": 1} for s in (0.7, 1.5, 8)],
    "skew_normal": [{"shape": 4, "loc": 0, "scale": 1}, {"shape": -2, "loc": 0, "scale": 1.5}],
    "exponential": [{"scale": 1}, {"scale": 3}],
    "rayleigh": [{"scale": 1}, {"scale": 2}],
    "half_normal": [{"scale": 1}, {"scale": 2}],
    "pareto": [{"shape": 3, "scale": 1}, {"shape": 2, "scale": 2}],
    "inverse_gaussian": [{"mean": 1, "shape": 1}, {"mean": 3, "shape": 10}],
    "beta": [{"a": 0.5, "b": 0.5}, {"a": 2, "b": 5}, {"a": 5, "b": 2}],
    "uniform": [{"low": 0, "high": 1}],
    "von_mises": [{"loc": 0, "concentration": 1}, {"loc": 1, "concentration": 5}],
    "bernoulli": [{"probability": 0.3}],
    "poisson": [{"rate": 2}, {"rate": 7}],
    "geometric": [{"probability": 0.3}],
    "negative_binomial": [{"size": 1.5, "mean": 5}, {"size": 20, "mean": 7}],
    "zero_inflated_poisson": [{"zero_probability": 0.3, "rate": 5}],
    "multivariate_normal": [{"mean": [0, 0], "covariance": [[1, 0.7], [0.7, 1]]}],
    "multivariate_t": [{"df": 3, "loc": [0, 0], "scale": [[1, 0.7], [0.7, 1]]}],
    "dirichlet": [{"concentration": [2, 3, 5]}],
    "dirichlet_multinomial": [{"probabilities": [0.2, 0.3, 0.5], "concentration": 10, "n_trials": 40}],
    "beta_binomial": [{"probabilities": [0.4, 0.6], "concentration": 3, "n_trials": 20}],
    "von_mises_fisher": [{"direction": [0.6, 0.8], "concentration": 4}],
}


def path_of(name: str) -> str | None:
    """Where the picture of a family is, from ``docs/api``; None if it has none."""
    return f"pictures/{name}.svg" if name in SHAPES else None


def draw(name: str) -> Figure:
    """The picture of one family."""
    figure = Figure(figsize=(1.8, 1.1), layout="constrained")
    ax = figure.subplots()
    ax.set_axis_off()
    members = [DensityMLE.from_parameters(name, **parameters) for parameters in SHAPES[name]]
    if families.by_name(name).joint:
        ax.plot(*members[0].sample(300, random_state=0)[:, :2].T, ".", color=COLOURS[0], markersize=2.0)
        return figure
    q = np.array([member.quantile([0.002, 0.25, 0.75, 0.985]).ravel() for member in members])
    reach = 3.0 * (q[:, 2] - q[:, 1])  # a heavy tail would leave no room for the rest
    low, high = np.maximum(q[:, 0], q[:, 1] - reach).min(), np.minimum(q[:, 3], q[:, 2] + reach).max()
    discrete = families.by_name(name).discrete
    x = np.arange(np.floor(low), high + 1) if discrete else np.linspace(low - 0.03 * (high - low), high, 400)
    for i, (member, colour) in enumerate(zip(members, COLOURS, strict=False)):
        density = np.exp(member.score_samples(x[:, None]))
        if discrete:
            ax.vlines(x + 0.25 * i, 0.0, density, color=colour, linewidth=1.6)
        else:
            ax.plot(x, np.minimum(density, 3.0), color=colour, linewidth=1.5)
    ax.axhline(0.0, color="0.6", linewidth=0.8)
    ax.set_ylim(bottom=0.0)
    return figure


def write_pictures(app: Sphinx) -> None:
    """Write them all; the same bytes at every build."""
    folder = Path(app.srcdir) / "api/pictures"
    folder.mkdir(parents=True, exist_ok=True)
    for name in SHAPES:
        with mpl.rc_context({"svg.hashsalt": "fastkl"}):
            draw(name).savefig(folder / f"{name}.svg", transparent=True, metadata={"Date": None})


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("builder-inited", write_pictures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
