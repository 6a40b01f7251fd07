"""choose_components against fits one by one, published criteria, and draws from known mixtures."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.datasets import load_iris

from fastkl import ComponentChoice, DegenerateDataError, MixtureMLE, choose_components, families
from fastkl.plotting import ComponentsDisplay
from fastkl.selection import cross_validated_log_density
from tests.density.parametric.plain_mixtures import highest_log_likelihood

IRIS, SPECIES = load_iris(return_X_y=True)
TIED = MixtureMLE(family=families.MultivariateNormal("tied"), n_init=1)


@pytest.fixture(scope="module")
def line():
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(0.0, 1.0, (100, 1)), rng.normal(5.0, 1.0, (100, 1))])


def test_bic_of_iris():
    """mclust's table of BIC in this sign: 829.98, 574.02, 580.84 for full, and 688.10, 632.97 for tied."""
    choice = choose_components(IRIS, range(1, 4), ["full", "tied"], random_state=0)
    found = dict(zip(zip(choice.covariance_types, choice.n_components, strict=True), choice.value, strict=True))
    expected = {("full", 1): 829.98, ("full", 2): 574.02, ("full", 3): 580.84, ("tied", 2): 688.10, ("tied", 3): 632.97}
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, abs=0.011)
    assert (choice.best.n_components, choice.covariance_types[choice.best_index]) == (2, "full")
    assert choice.best.log_likelihood_ == pytest.approx(highest_log_likelihood(IRIS, SPECIES > 0), abs=1e-8)
    assert choice.best.standard_errors_["weights"].shape == (2,)
    assert choice.best.init is None
    assert "<- best" in repr(choice)
    assert "574.02" in choice._repr_html_()
    assert list(choice.to_frame()["n_components"]) == [1, 1, 2, 2, 3, 3]


def test_more_components_are_never_worse(line):
    choice = choose_components(line, range(1, 6), mixture=TIED, random_state=1)
    assert np.all(np.diff(choice.log_likelihood) > -1e-6)
    assert choice.best.n_components == 2
    alone = MixtureMLE(2, family=families.MultivariateNormal("tied"), random_state=0).fit(line)
    assert choice.best.bic(line) == pytest.approx(alone.bic(line), abs=1e-6)


def test_icl_and_weights(line):
    weights = np.random.default_rng(2).integers(1, 3, size=len(line))
    choice = choose_components(
        line, [1, 2], criterion="icl", sample_weight=weights, mixture=MixtureMLE(family="normal"), random_state=0
    )
    repeated = np.repeat(line, weights, axis=0)
    assert choice.value[1] == pytest.approx(choice.models[1].icl(repeated), rel=1e-10)
    assert choice.best.n_components == 2


def test_cross_validation(line):
    choice = choose_components(line, [1, 2], criterion="cv", cv=3, mixture=MixtureMLE(n_init=2), random_state=0)
    assert choice.best.n_components == 2
    logs = cross_validated_log_density(choice.models[0].set_params(n_init=2), line, cv=3)
    assert choice.value[0] == pytest.approx(-logs.mean(), abs=0.01)  # other folds
    assert np.isnan(choice.standard_error[1])
    assert choice.standard_error[0] > 0.0


@pytest.mark.parametrize(("n_resamples", "level"), [(9, 0.1), pytest.param(39, 0.05, marks=pytest.mark.slow)])
def test_bootstrap(line, n_resamples, level):
    heard = []
    choice = choose_components(
        line[::2], [1, 2, 3], criterion="bootstrap", mixture=TIED, level=level, n_resamples=n_resamples,
        random_state=0, progress=lambda done, total: heard.append((done, total)),
    )  # fmt: skip
    assert choice.best.n_components == 2
    assert choice.p_value[0] == pytest.approx(1.0 / (1 + n_resamples))
    assert choice.p_value[1] > level
    assert heard[0] == (1, 6)


def test_bootstrap_of_groups_that_go_by_names(line):
    """Draws carry the names, whatever kind of table there was."""
    columns = {"a": line[::5, 0], "b": line[::-5, 0]}

    def chosen(rows, first, second):
        mixture = MixtureMLE(family=[("x", "normal", first), ("y", "normal", second)], n_init=1)
        options = {"criterion": "bootstrap", "n_resamples": 5, "level": 0.2}
        return choose_components(rows, [1, 2], mixture=mixture, random_state=0, **options)

    expected = chosen(np.column_stack(list(columns.values())), [0], [1])
    for frame in (pd.DataFrame, pl.DataFrame):
        np.testing.assert_array_equal(chosen(frame(columns), ["a"], ["b"]).p_value, expected.p_value)


def test_picture(line):
    pytest.importorskip("matplotlib").use("Agg")
    choice = choose_components(line, [1, 2, 3], ["tied", "spherical"], mixture=MixtureMLE(n_init=1), random_state=0)
    display = ComponentsDisplay.from_choice(choice)
    assert len(display.lines_) == 2
    x, y = display.lines_[0][0].get_data()
    assert list(x) == [1, 2, 3]
    np.testing.assert_allclose(y, choice.value[[i for i, kind in enumerate(choice.covariance_types) if kind == "tied"]])


def test_what_makes_no_sense_is_said(line):
    with pytest.raises(ValueError, match="criterion is one of"):
        choose_components(line, [1], criterion="aic")
    with pytest.raises(ValueError, match="whole numbers"):
        choose_components(line, [0, 1])
    with pytest.raises(ValueError, match="multivariate_normal"):
        choose_components(np.abs(line), [1], ["full"], mixture=MixtureMLE(family="gamma"))
    with pytest.raises(ValueError, match="one type of covariance"):
        choose_components(line, [1], ["full", "tied"], criterion="bootstrap")
    with pytest.raises(ValueError, match="No p-value of 18 draws is below 0.053: no test rejects at level=0.05"):
        choose_components(line, [1, 2], criterion="bootstrap", n_resamples=18)
    with pytest.raises(DegenerateDataError, match="No candidate"):
        choose_components(np.ones((10, 1)), [1, 2])
    with pytest.raises(DegenerateDataError, match="No candidate can be chosen. no fit to a fold"):
        choose_components([[1.0], [1.0], [1.0], [2.0]], [1], criterion="cv", cv=2, random_state=0)
    few = choose_components(np.arange(3.0)[:, None], [1, 2, 5], random_state=0)
    assert isinstance(few, ComponentChoice)
    assert few.models[-1] is None
    assert "no fit" in few.notes[-1]
