"""What a density says of the rows it takes, held against what it does with them; and what it is in a notebook."""

import importlib.metadata
import re

import numpy as np
import pytest
from sklearn.preprocessing import FunctionTransformer, PowerTransformer, StandardScaler
from sklearn.utils import get_tags

from fastkl import DensityMLE, DensityOutlierDetector, MixtureMLE, ProductDensity, TransformedDensity, families
from fastkl.density import contract
from fastkl.exceptions import MissingValueError, SupportError


def rows_of(name):
    """Forty rows of the distribution of the contract tests."""
    family = families.by_name(name)
    return np.asarray(DensityMLE.from_parameters(name, **family.example).sample(40, random_state=0))


def refuses(density, X, error):
    try:
        density.fit(X)
    except error:
        return True
    except ValueError:  # another objection, such as one to repeated values
        return False
    return False


@pytest.mark.parametrize("name", [name for name in families.names() if not families.by_name(name).labels])
def test_tags_of_every_family_are_true(name):
    X = rows_of(name).astype(float)
    tags = get_tags(DensityMLE(name)).input_tags
    moved = X.copy()
    moved[0] -= moved.max() + 1.0  # below 0
    assert (moved[0] < 0.0).all()
    if name not in ("von_mises_fisher",):  # a row of any other length is none of its directions
        assert tags.positive_only == refuses(DensityMLE(name), moved, SupportError)
    gap = X.copy()
    gap[0, 0] = np.nan
    assert tags.allow_nan != refuses(DensityMLE(name), gap, MissingValueError)
    assert not tags.string
    assert not tags.categorical
    assert not tags.sparse


def test_tags_of_labels():
    tags = get_tags(DensityMLE("categorical")).input_tags
    assert (tags.string, tags.categorical, tags.positive_only, tags.allow_nan) == (True, True, False, False)


def test_tags_of_what_is_composed():
    gamma, normal, labels = DensityMLE("gamma"), DensityMLE("normal"), DensityMLE("categorical")
    product = ProductDensity([("a", gamma, [0]), ("b", normal, [1]), ("c", labels, [2])])
    tags = get_tags(product).input_tags
    assert (tags.positive_only, tags.string, tags.categorical) == (True, True, True)
    assert not get_tags(ProductDensity([("b", normal, [0])])).input_tags.positive_only
    assert get_tags(MixtureMLE(2, family="gamma")).input_tags.positive_only
    assert not get_tags(MixtureMLE(2, family=["gamma", "normal"])).input_tags.positive_only
    assert get_tags(DensityOutlierDetector(gamma)).input_tags.positive_only
    assert not get_tags(DensityOutlierDetector(DensityMLE())).input_tags.allow_nan
    assert get_tags(TransformedDensity(PowerTransformer("box-cox"), normal)).input_tags.positive_only
    assert not get_tags(TransformedDensity(FunctionTransformer(np.exp), gamma)).input_tags.positive_only
    assert not get_tags(TransformedDensity(None, normal)).input_tags.positive_only


def test_groups_and_steps_in_a_notebook():
    X = np.random.default_rng(0).gamma(2.0, size=(50, 3))
    product = ProductDensity([("size", DensityMLE("gamma"), [0]), ("rest", DensityMLE("normal"), [1, 2])])
    for model in (product, product.fit(X)):
        html = model._repr_html_()
        assert html.count('<div class="sk-parallel-item">') == 2
        assert re.search(r"<div>size</div>.*<div>rest</div>", html, re.DOTALL)
    moved = TransformedDensity(StandardScaler(), DensityMLE("normal"))
    for model in (moved, moved.fit(X)):
        html = model._repr_html_()
        assert '<div class="sk-serial">' in html
        assert '<div class="sk-parallel-item">' not in html
        assert html.index("StandardScaler</div>") < html.rindex("DensityMLE</div>")
    assert "passthrough" in TransformedDensity(None, DensityMLE())._repr_html_()


def test_links_to_the_documentation(monkeypatch):
    """They are those of the project's metadata, the one place that knows an address, and none without it."""
    contract.documentation_address.cache_clear()
    known = {"Project-URL": ["Source, https://src.invalid", "Documentation, https://docs.invalid/"]}

    class Known(dict):
        def get_all(self, name):
            return self.get(name)

    monkeypatch.setattr(importlib.metadata, "metadata", lambda name: Known(known))
    assert DensityMLE()._get_doc_link() == "https://docs.invalid/api/fastkl.DensityMLE.html"
    assert "https://docs.invalid/api/fastkl.DensityMLE.html" in DensityMLE()._repr_html_()
    contract.documentation_address.cache_clear()
    known.clear()
    assert DensityMLE()._get_doc_link() == ""
    assert "href" not in re.sub(r"<style>.*?</style>", "", DensityMLE()._repr_html_(), flags=re.DOTALL)
    contract.documentation_address.cache_clear()
