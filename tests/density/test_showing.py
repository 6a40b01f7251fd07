"""Showing a fitted density in a notebook: no pass over rows, little memory, no exception, whatever stands around it.

scikit-learn from 1.9 on lists the learnt attributes of what it shows, for which it would evaluate every property that ends in an
underscore; the tests for that are skipped where it does not.
"""

import tracemalloc

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from fastkl import DensityMLE, KernelDensityMLE, ProductDensity, TransformedDensity, families
from fastkl._core.rows import Rows
from fastkl.rows.streamed import StreamedRows

pytestmark = pytest.mark.skipif(
    not hasattr(BaseEstimator, "_get_fitted_attr_html"), reason="this scikit-learn does not list learnt attributes"
)

X = np.random.default_rng(0).gamma(2.0, size=(300, 100))
FEW = X[:, :2]
PRODUCT = ProductDensity([("joint", DensityMLE(), slice(0, 60)), ("rest", DensityMLE("gamma"), slice(60, None))])
MODELS = {
    "joint": (DensityMLE(), X),
    "prior": (DensityMLE(prior="default"), X[:90]),
    "columns": (DensityMLE("student_t"), X),
    "robust": (DensityMLE("gamma", robust_errors=True), FEW),
    "kernel": (KernelDensityMLE("silverman"), FEW),
    "product": (PRODUCT, X),
    "transformed": (TransformedDensity(StandardScaler(), DensityMLE()), X),
    "labels": (DensityMLE("categorical"), X[:, :3].round().astype(str)),
    "pipeline": (make_pipeline(StandardScaler(), DensityMLE()), X),
    "grid": (GridSearchCV(TransformedDensity(None, DensityMLE()), {"density__n_jobs": [1, 2]}, cv=2), X),
}


@pytest.fixture
def passes(monkeypatch):
    """Passes over rows, in memory or not."""
    counted = []
    for kind in (Rows, StreamedRows):
        for name in ("total", "sample"):
            plain = getattr(kind, name)

            def counting(self, *args, _plain=plain, **options):
                counted.append(self)
                return _plain(self, *args, **options)

            monkeypatch.setattr(kind, name, counting)
    return counted


@pytest.mark.parametrize("name", MODELS)
def test_showing_costs_nothing(name, passes):
    model, rows = MODELS[name]
    model = clone(model).fit(rows)
    model._repr_html_()  # imports and caches of scikit-learn's own
    passes.clear()
    tracemalloc.start()
    text = model._repr_html_()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert passes == []
    assert peak < 3e6  # the covariance of all parameters of 100 columns would take 200 megabytes
    assert "Fitted attributes" in text
    assert "text/html" in model._repr_mimebundle_()


@pytest.mark.parametrize("prior", [None, "default"])
def test_names_cost_next_to_nothing(prior, passes):
    model = DensityMLE(prior=prior).fit(X)
    passes.clear()
    tracemalloc.start()
    names = model.param_names_
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (len(names), names[0], names[-1]) == (5150, "mean[0]", "covariance[99,99]")
    assert passes == []
    assert peak < 5e6


def test_what_is_shown():
    text = DensityMLE("gamma").fit(FEW)._repr_html_()
    for name in ("params_", "log_likelihood_", "n_parameters_", "converged_", "n_features_in_"):
        assert name in text
    assert "covariance_of_params_" not in text.split("Fitted attributes")[1]
    assert "discrete_" in PRODUCT.fit(X)._repr_html_()


def test_showing_after_batches_passes_over_no_source():
    class Blocks:
        passes = 0

        def __iter__(self):
            type(self).passes += 1
            return iter([FEW[:100], FEW[100:]])

    for model in (DensityMLE("gamma", robust_errors=True), DensityMLE("weibull")):
        model.fit_batches(Blocks())
        before = Blocks.passes
        model._repr_html_()
        assert Blocks.passes == before


def test_showing_what_is_not_there():
    """Unfitted, without a maximum, of known parameters, after the rows were changed, of parts that are no densities of ours."""
    from sklearn.neighbors import KernelDensity

    rows = FEW.copy()
    changed = DensityMLE("gamma").fit(rows)
    rows /= 10.0
    foreign = ProductDensity([("a", KernelDensity(), [0]), ("b", DensityMLE("normal"), [1])]).fit(FEW)
    waiting = DensityMLE("normal").partial_fit(FEW[:1])
    behind = TransformedDensity(FunctionTransformer(np.log), DensityMLE("normal"))
    for model in (
        DensityMLE(),
        DensityMLE("no family"),
        changed,
        waiting,
        foreign,
        behind,
        behind.fit(FEW),
        ProductDensity([("a", DensityMLE("normal"), slice(None))]).partial_fit(FEW[:1]),
        DensityMLE.from_parameters(families.Gamma(), shape=2.0, scale=1.0),
        TransformedDensity.from_fitted(None, DensityMLE.from_parameters("normal", loc=0.0, scale=1.0)),
    ):
        assert "<style>" in model._repr_html_()
