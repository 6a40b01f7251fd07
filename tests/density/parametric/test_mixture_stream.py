"""``partial_fit`` of a mixture: near the maximum of all rows, whatever the batches, and it says that it is not at it."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_dict_unchanged,
    check_estimators_partial_fit_n_features,
    check_fit2d_1sample,
    check_n_features_in_after_fitting,
)

from fastkl import (
    DegenerateDataError,
    DensityMLE,
    MixtureMLE,
    ModelFileError,
    ProductDensity,
    SupportError,
    TransformedDensity,
    families,
    load,
)
from fastkl._core.rows import Rows
from fastkl.families.mixture import Mixture
from fastkl.families.mixture.stepwise import GROWTH, QUICK, SLOW, Stepwise

N = 6000
RNG = np.random.default_rng(0)
FIRST = RNG.random(N) < 0.3
NORMAL = np.where(FIRST, -2.0, 2.0)[:, None] + RNG.normal(size=(N, 2))
COUNTS = RNG.poisson(np.where(FIRST, 1.0, 9.0)).astype(float)[:, None]
LABELS = np.where(RNG.random((N, 5)) < np.where(FIRST, 0.9, 0.2)[:, None], "yes", "no")
TABLE = pd.DataFrame({"height": NORMAL[:, 0], "visits": COUNTS[:, 0], "answer": LABELS[:, 0]})
PRODUCT = [("h", "normal", ["height"]), ("v", "poisson", ["visits"]), ("a", "categorical", ["answer"])]
GAPS = np.where(RNG.random((N, 2)) < 0.1, np.nan, NORMAL)
GAPS[np.isnan(GAPS).all(axis=1)] = 0.0


def streamed(model, X, step, weights=None):
    for first in range(0, len(X), step):
        part = X.iloc[first : first + step] if isinstance(X, pd.DataFrame) else X[first : first + step]
        model.partial_fit(part, sample_weight=None if weights is None else weights[first : first + step])
    return model


@pytest.mark.parametrize(
    ("family", "X"),
    [
        ("multivariate_normal", NORMAL),
        (families.MultivariateNormal("diag"), NORMAL.astype(np.float32)),
        (families.MultivariateNormal("tied"), NORMAL),
        ("poisson", COUNTS),
        ("gamma", np.exp(0.3 * NORMAL)),
        (families.Normal(scale=[1.0, 1.0]), NORMAL),
        ("categorical", LABELS),
        (PRODUCT, TABLE),
        ("multivariate_normal", GAPS),
    ],
    ids=["full", "diag", "tied", "poisson", "gamma", "held", "labels", "product", "missing"],
)
def test_it_comes_near_the_maximum(family, X):
    """Three nats of thousands of rows, where the start, a maximum of the first 500 or so, is farther off."""
    full = MixtureMLE(2, family=family, random_state=0, n_init=1, standard_errors=False).fit(X)
    model = streamed(MixtureMLE(2, family=family, random_state=0, n_init=1), X, 700)
    lost = full.log_likelihood_ - model.log_likelihood(X)
    assert -1e-8 * N < lost < 3.0
    start = X.iloc[:500] if isinstance(X, pd.DataFrame) else X[:500]
    alone = MixtureMLE(2, family=family, random_state=0, n_init=1, standard_errors=False).fit(start)
    assert lost < full.log_likelihood_ - alone.log_likelihood(X)
    assert not model.converged_
    assert np.all(np.diff([model.params_["weights"].sum(), 1.0]) == pytest.approx(0.0, abs=1e-12))
    # what is left is a few maps away
    done = MixtureMLE(2, family=family, init=model.params_, standard_errors=False).fit(X)
    assert done.converged_
    assert done.log_likelihood_ == pytest.approx(full.log_likelihood_, abs=1e-6)


@pytest.mark.parametrize("step", [N, 1500, 233])
def test_the_batches_make_no_difference(step):
    model, expected = (
        streamed(MixtureMLE(2, random_state=0, n_init=1), NORMAL[:3000], size) for size in (step, 499)
    )  # fmt: skip
    for name, value in expected.params_.items():
        np.testing.assert_allclose(model.params_[name], value, rtol=1e-11)
    assert model.n_iter_ == expected.n_iter_


def test_no_unit_of_rows_or_weights_matters():
    weights = RNG.gamma(2.0, size=N)
    model, scaled = (
        streamed(MixtureMLE(2, random_state=0, n_init=1), NORMAL * unit, 900, weights * unit) for unit in (1.0, 1e6)
    )
    np.testing.assert_allclose(
        scaled.score_samples(NORMAL * 1e6), model.score_samples(NORMAL) - 2.0 * np.log(1e6), atol=1e-9
    )


def test_rows_of_weight_zero_are_absent():
    weights = (RNG.random(N) < 0.5).astype(float)
    model = streamed(MixtureMLE(2, random_state=0, n_init=1), NORMAL, 900, weights)
    expected = streamed(MixtureMLE(2, random_state=0, n_init=1), NORMAL[weights > 0.0], 900)
    np.testing.assert_allclose(model.params_["mean"], expected.params_["mean"], rtol=1e-11)


def test_one_component_is_the_maximum():
    model = streamed(MixtureMLE(1, family="gamma"), np.exp(NORMAL), 450)
    expected = DensityMLE("gamma").fit(np.exp(NORMAL))
    np.testing.assert_allclose(model.params_["shape"][0], expected.params_["shape"], rtol=1e-10)
    assert model.converged_


def test_the_sums_are_the_recursion_of_stochastic_approximation():
    """s <- s + step * (expected statistics of the row - s), row by row, in plain arithmetic of two normal components."""
    X, begun = NORMAL[:800, 0].copy(), 200
    start = {"weights": np.array([0.4, 0.6]), "loc": np.array([[-1.5], [1.5]]), "scale": np.array([[1.0], [1.5]])}
    stream = Stepwise.from_start(_layout(), start, Rows(X[:begun, None]))
    stream = stream.after(Rows(X[begun:, None]), None)

    def shares(x, at):
        terms = at["weights"] * norm.pdf(x, at["loc"].ravel(), at["scale"].ravel())
        return terms / terms.sum()

    def expected(x, at):
        r = shares(x, at)
        return np.stack([r, r * x, r * x * x])

    def maximum(s):
        mean = s[1] / s[0]
        scale = np.sqrt(s[2] / s[0] - mean**2)
        return {"weights": s[0] / s[0].sum(), "loc": mean[:, None], "scale": scale[:, None]}

    sums = {power: np.mean([expected(x, start) for x in X[:begun]], axis=0) for power in (QUICK, SLOW)}
    at, moved = start, begun
    for n, x in enumerate(X[begun:], begun + 1):
        for power in sums:
            step = 1.0 - (1.0 - 1.0 / n) ** power
            sums[power] = sums[power] + step * (expected(x, at) - sums[power])
        if n >= moved * (1.0 + GROWTH):
            at, moved = maximum(sums[QUICK]), n
    told, slow = stream.told(Rows(X[:1, None]), None).params, maximum(sums[SLOW])
    for name in slow:
        np.testing.assert_allclose(told[name], slow[name], rtol=1e-9)
        np.testing.assert_allclose(stream.at[name], at[name], rtol=1e-9)


def _layout():
    return Mixture([families.Normal(), families.Normal()]).layout


@pytest.mark.parametrize(("family", "X"), [("normal", NORMAL), ("categorical", LABELS), (PRODUCT, TABLE)])
def test_files_and_pickles_go_on(family, X, tmp_path):
    model = streamed(MixtureMLE(2, family=family, random_state=0, n_init=1), X[:1000], 300)
    model.save(tmp_path / "model")
    for read in (load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
        more = read.partial_fit(X[1000:2000])
        expected = streamed(MixtureMLE(2, family=family, random_state=0, n_init=1), X[:2000], 500)
        for name, value in expected.params_.items():
            np.testing.assert_allclose(more.params_[name], value, rtol=1e-11)
    model.stream_["seen"] = -model.stream_["seen"]
    with pytest.raises(ModelFileError, match="weights of the rows"):
        model.save(tmp_path / "damaged")


def test_it_waits_for_enough_rows():
    model = MixtureMLE(2, random_state=0).partial_fit(NORMAL[:499])
    with pytest.raises(NotFittedError, match=r"The 499 rows .* too few for a start"):
        model.score(NORMAL)
    model = pickle.loads(pickle.dumps(model)).partial_fit(NORMAL[499:500])
    expected = MixtureMLE(2, random_state=0).fit(NORMAL[:500])
    np.testing.assert_allclose(model.params_["mean"], expected.params_["mean"], rtol=1e-6)
    assert model.n_iter_ == 0
    # first rows that tell nothing apart are waited with, up to sixteen times as many
    model = streamed(MixtureMLE(2, family="normal", random_state=0), np.r_[np.ones((700, 1)), NORMAL[:2000, :1]], 100)
    assert hasattr(model, "params_")
    with pytest.raises(DegenerateDataError, match="1 different row"):
        MixtureMLE(2, family="normal").partial_fit(np.ones((8000, 1)))


def test_a_row_of_a_later_batch_is_named_and_nothing_changes():
    model = MixtureMLE(2, family="gamma", random_state=0, n_init=1).partial_fit(np.exp(NORMAL[:1000]))
    before = pickle.dumps(model.params_)
    for bad, error in ((-1.0, SupportError), (np.nan, ValueError), (np.inf, ValueError)):
        X = np.exp(NORMAL[1000:1010])
        X[7, 1] = bad
        with pytest.raises(error, match=r"(?i)row 7"):
            model.partial_fit(X)
        assert pickle.dumps(model.params_) == before
    with pytest.raises(ValueError, match="features"):
        model.partial_fit(np.ones((3, 5)))
    labels = MixtureMLE(2, family="categorical", random_state=0, n_init=1).partial_fit(LABELS[:1000])
    with pytest.raises(SupportError, match="perhaps.*which is not among its categories"):
        labels.partial_fit([["perhaps"] * 5])


def test_what_it_does_not_claim():
    model = MixtureMLE(2, random_state=0, n_init=1).partial_fit(NORMAL[:1000])
    with pytest.raises(AttributeError, match="near the maximum of the likelihood, not at it"):
        _ = model.standard_errors_
    assert not hasattr(model, "log_likelihood_")
    assert "near the maximum of the likelihood, not at it" in str(model.summary())
    assert "1,000 rows" in str(model.summary())
    # only from nothing, without a prior, and where families have sufficient statistics
    with pytest.raises(ValueError, match="init=model.params_"):
        MixtureMLE(2, random_state=0, n_init=1).fit(NORMAL[:500]).partial_fit(NORMAL)
    assert not hasattr(MixtureMLE(2, prior="default"), "partial_fit")
    assert not hasattr(MixtureMLE(2, family="student_t"), "partial_fit")
    # other densities promise that partial_fit is fit, and do not pass on one that is not
    assert not hasattr(ProductDensity([("a", MixtureMLE(2), [0])]), "partial_fit")
    assert not hasattr(TransformedDensity(None, MixtureMLE(2)), "partial_fit")


def test_a_fit_starts_anew():
    model = streamed(MixtureMLE(2, random_state=0, n_init=1), NORMAL, 2000).fit(NORMAL[:500])
    assert not hasattr(model, "stream_")
    assert model.converged_
    model = streamed(MixtureMLE(2, random_state=0, n_init=1), NORMAL, 2000)
    assert model.set_params(init=model.params_).fit_batches([NORMAL[:3000], NORMAL[3000:]]).converged_
    assert not hasattr(model, "stream_")


def test_weights_that_are_held():
    model = streamed(MixtureMLE(2, family="normal", weights=[0.5, 0.5], random_state=0, n_init=1), NORMAL, 1000)
    np.testing.assert_array_equal(model.params_["weights"], [0.5, 0.5])


@pytest.mark.parametrize(
    "check",
    [
        check_estimators_partial_fit_n_features,
        check_n_features_in_after_fitting,
        check_dataframe_column_names_consistency,
        check_fit2d_1sample,
        check_dict_unchanged,
    ],
)
def test_scikit_learn_checks_of_partial_fit(check):
    check("MixtureMLE", MixtureMLE(2, family="normal", n_init=1, random_state=0, standard_errors=False))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_held_out_rows_are_scored_as_by_the_full_fit(seed):
    """Three clusters that touch, 2e5 rows: a loss of at most 2e-4 nats a row, where the full fit itself is off by 7e-5."""
    rng = np.random.default_rng(seed)
    X, held = (rng.normal(size=(n, 3)) + 3.0 * np.eye(3)[rng.integers(3, size=n)] for n in (200_000, 100_000))
    full = MixtureMLE(3, random_state=0, n_init=1, standard_errors=False).fit(X)
    model = streamed(MixtureMLE(3, random_state=0, n_init=2), X, 10_000)
    assert full.score(held) - model.score(held) < 2e-4
