"""Components whose support has ends among their parameters: uniform and Pareto distributions."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from fastkl import MixtureMLE


def fitted(X, n_components, family, **options):
    return MixtureMLE(n_components, family=family, random_state=0, standard_errors=False, **options).fit(X)


def one_column(*parts):
    return np.concatenate(parts)[:, None]


@pytest.mark.parametrize("seed", range(3))
def test_uniforms_apart(seed):
    """The maximum is known: each component has the ends and the share of its own rows."""
    rng = np.random.default_rng(seed)
    parts = [rng.uniform(0.0, 1.0, 300), rng.uniform(3.0, 5.0, 300), rng.uniform(7.0, 7.5, 150)]
    for k in (2, 3):
        known = parts[:k]
        n = sum(map(len, known))
        height = sum(len(own) * np.log(len(own) / n / np.ptp(own)) for own in known)
        model = fitted(one_column(*known), k, "uniform")
        assert model.log_likelihood_ == pytest.approx(height, rel=1e-12)
        np.testing.assert_array_equal(np.sort(model.params_["high"].ravel()), [own.max() for own in known])
        assert model.converged_
        assert not model.spurious_components_


def pareto(weights, shape, scale):
    return {"weights": weights, "shape": np.c_[shape], "scale": np.c_[scale]}


def uniform(weights, low, high):
    return {"weights": weights, "low": np.c_[low], "high": np.c_[high]}


def with_normal(weights, low, high):
    known = {"normal_loc": [[0.0]], "normal_scale": [[1.0]], "uniform_low": [[low]], "uniform_high": [[high]]}
    return {"weights": weights, **known}


CASES = {
    "overlapping": ("uniform", lambda r: (r.uniform(0, 4, 300), r.uniform(3, 5, 300)), uniform([0.5, 0.5], [0, 3], [4, 5])),
    "nested": ("uniform", lambda r: (r.uniform(0, 10, 300), r.uniform(3, 5, 300)), uniform([0.5, 0.5], [0, 3], [10, 5])),
    "pareto": ("pareto", lambda r: (1 + r.pareto(3, 300), 10 * (1 + r.pareto(8, 300))), pareto([0.5, 0.5], [3, 8], [1, 10])),
    "beside": (["normal", "uniform"], lambda r: (r.normal(size=500), r.uniform(5, 9, 300)), with_normal([0.6, 0.4], 5, 9)),
    "noise": (["normal", "uniform"], lambda r: (r.normal(size=500), r.uniform(-9, 9, 300)), with_normal([0.6, 0.4], -9, 9)),
}  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", CASES)
def test_at_least_as_high_as_from_the_truth(name, seed):
    family, draw, truth = CASES[name]
    X = one_column(*draw(np.random.default_rng(seed)))
    model, from_truth = fitted(X, 2, family), fitted(X, 2, family, init=truth)
    assert model.converged_
    assert model.log_likelihood_ >= from_truth.log_likelihood_ - 1e-8 * len(X)


def test_ends_of_groups_of_columns():
    """The columns of a product have their own ends, wherever they stand in the table."""
    rng = np.random.default_rng(0)
    first, second = (
        np.c_[rng.normal(size=200), rng.uniform(0, 1, 200)],
        np.c_[rng.normal(size=300), rng.uniform(3, 5, 300)],
    )
    model = fitted(np.concatenate([first, second]), 2, [("a", "normal", [0]), ("b", "uniform", [1])])
    np.testing.assert_array_equal(np.sort(model.params_["b__low"].ravel()), [first[:, 1].min(), second[:, 1].min()])
    np.testing.assert_array_equal(np.sort(model.params_["b__high"].ravel()), [first[:, 1].max(), second[:, 1].max()])
    np.testing.assert_allclose(np.sort(model.params_["weights"]), [0.4, 0.6], rtol=1e-12)


def test_two_rows_near_each_other_are_no_component():
    """There the likelihood has no bound: a search does not end there, and a fit that was begun there says so."""
    rng = np.random.default_rng(0)
    X = one_column(rng.uniform(0, 1, 40), [0.5, 0.5 + 1e-9])
    model = fitted(X, 2, "uniform")
    assert not model.spurious_components_
    assert (model.params_["high"] - model.params_["low"]).min() > 0.01
    there = uniform([0.05, 0.95], [0.5, 0.0], [0.5 + 1e-9, 1.0])
    with pytest.warns(ConvergenceWarning, match="Component 0 holds 2 rows and is narrow"):
        narrow = fitted(X, 2, "uniform", init=there)
    assert narrow.log_likelihood_ > model.log_likelihood_
    assert list(narrow.spurious_components_) == [0]
