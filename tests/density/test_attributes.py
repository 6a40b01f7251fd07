"""What a fit leaves behind is what the docstring of its class says, and no more: the page of a class shows nothing else."""

import inspect

import numpy as np
import pandas as pd
import pytest
from numpydoc.docscrape import FunctionDoc
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import StandardScaler

import fastkl
from fastkl import (
    DensityMLE,
    DensityOutlierDetector,
    FactorAnalysisMLE,
    KernelDensityMLE,
    KLDivergence,
    MixtureMLE,
    ProductDensity,
    ShapeConstrainedMLE,
    TransformedDensity,
    families,
)

RNG = np.random.default_rng(0)
POSITIVE = pd.DataFrame(RNG.gamma(2.0, size=(200, 1)), columns=["a"])
TABLE = pd.DataFrame(RNG.normal(size=(200, 4)), columns=list("abcd"))
LABELS = pd.DataFrame({"a": RNG.normal(size=100), "b": RNG.choice(["x", "y"], 100)})
CLUSTERS = TABLE[["a", "b"]] + np.repeat([[0.0], [6.0]], 100, axis=0)
FITS = {
    DensityMLE: [
        (DensityMLE("gamma", robust_errors=True), POSITIVE),
        (DensityMLE("categorical"), LABELS[["b"]]),
        (DensityMLE(families.MultivariateNormal(shrinkage="oas")), TABLE),
    ],
    MixtureMLE: [
        (MixtureMLE(2, random_state=0), CLUSTERS),
        (MixtureMLE(2, family=[("a", "normal", ["a"]), ("b", "categorical", ["b"])], random_state=0), LABELS),
    ],
    FactorAnalysisMLE: [(FactorAnalysisMLE(), TABLE)],
    KernelDensityMLE: [
        (KernelDensityMLE(bias_reduction="score"), POSITIVE),
        (KernelDensityMLE(boundary="reflect"), POSITIVE),
        (KernelDensityMLE(adaptive=True), POSITIVE),
        (KernelDensityMLE(column_types={"b": "categorical"}), LABELS),
    ],
    ShapeConstrainedMLE: [(ShapeConstrainedMLE(), POSITIVE)],
    ProductDensity: [
        (ProductDensity([("a", DensityMLE("normal"), ["a"]), ("b", DensityMLE("categorical"), ["b"])]), LABELS)
    ],
    TransformedDensity: [(TransformedDensity(StandardScaler(), DensityMLE("normal", robust_errors=True)), TABLE)],
    DensityOutlierDetector: [(DensityOutlierDetector(), TABLE)],
    KLDivergence: [(KLDivergence(), TABLE)],
}


def documented(kind):
    """Names under "Attributes"."""
    text = FunctionDoc(None, doc=inspect.getdoc(kind))["Attributes"]
    return {name.strip() for entry in text for name in entry.name.split(",")}


def left_behind(model):
    """Attributes of a fit, and properties that have a value."""
    found = {name for name in vars(model) if name.endswith("_") and not name.startswith("_")}
    properties = {name for name in dir(type(model)) if isinstance(inspect.getattr_static(type(model), name), property)}
    return found | {name for name in properties if name[0] != "_" and name.endswith("_") and hasattr(model, name)}


@pytest.mark.parametrize("kind", FITS, ids=lambda kind: kind.__name__)
def test_fitted_attributes_are_documented(kind):
    found = set().union(*(left_behind(model.fit(rows)) for model, rows in FITS[kind]))
    told = {name for name in documented(kind) if name.endswith("_")}
    if kind is MixtureMLE:
        told -= {"stream_"}  # after partial_fit
    assert found - told == set()
    assert told - found == set()


@pytest.mark.parametrize("name", [name for name in fastkl.__all__ if inspect.isclass(getattr(fastkl, name))])
def test_properties_of_results_are_documented(name):
    """Where a class lists attributes, its properties are among them; elsewhere numpydoc lists them by itself."""
    kind = getattr(fastkl, name)
    properties = {
        entry for entry, thing in vars(kind).items() if isinstance(thing, property) and not entry.endswith("_")
    }
    told = documented(kind)
    assert not told or not {entry for entry in properties if not entry.startswith("_")} - told


@pytest.mark.parametrize("kind", [kind for kind in FITS if kind is not KLDivergence], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("member", ["score_samples", "score", "log_likelihood", "cross_entropy", "cdf"])
def test_rows_before_a_fit(kind, member):
    density, rows = FITS[kind][0]
    if hasattr(kind, member):
        with pytest.raises(NotFittedError, match="is not fitted yet"):
            getattr(clone(density), member)(rows)
