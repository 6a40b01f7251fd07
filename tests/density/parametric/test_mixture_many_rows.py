"""Large tables, of which the search sees a sample: what a sample may lack or mistake, all rows put right."""

import numpy as np
import pytest

from fastkl import MixtureMLE
from fastkl._core.rows import Rows
from fastkl.density.parametric.mixture.search import SAMPLE_ROWS

N = 16384


def in_a_period():
    """Four groups of rows that take turns with a period of 8, the length of the stretches of which a sample has one row each."""
    rng, phase = np.random.default_rng(0), np.arange(N) % 8
    first = np.where(phase < 4, 0.0, 6.0) + rng.normal(size=N)
    return np.c_[first, np.where(phase % 2 == 0, 0.0, 5.0) + rng.normal(size=N)]


def test_the_order_of_rows_may_be_periodic():
    X = in_a_period()
    model = MixtureMLE(4, random_state=0, standard_errors=False).fit(X)
    shuffled = MixtureMLE(4, random_state=0, standard_errors=False).fit(np.random.default_rng(1).permutation(X))
    assert model.log_likelihood_ == pytest.approx(shuffled.log_likelihood_, rel=1e-12)
    np.testing.assert_allclose(model.params_["weights"], 0.25, atol=0.02)  # as the rows were made
    batches = MixtureMLE(4, random_state=0).fit_batches([X[at : at + 1000] for at in range(0, N, 1000)])
    assert batches.log_likelihood_ == pytest.approx(model.log_likelihood_, rel=1e-12)


# -- what a sample lacks ---------------------------------------------------------------------------------------------------

RARE = {
    "bernoulli": ("bernoulli", lambda z, rng: np.c_[rng.random((N, 3)) < np.where(z, 0.7, 0.2)]),
    "poisson": ("poisson", lambda z, rng: np.c_[rng.poisson(np.where(z, 6.0, 1.0), (N, 2))]),
    "categorical": ("categorical", lambda z, rng: rng.choice(3, (N, 2)) + np.where(z, 1, 0) * rng.integers(0, 2, (N, 2))),
    "product": (
        [("size", "normal", [0]), ("flag", "bernoulli", [1])],
        lambda z, rng: np.where(z, 4.0, 0.0) + rng.normal(size=(N, 1)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RARE)
def test_rare_labels_flags_and_counts(name):
    """A last column of zeros with six ones: the fit is at least as high as that without it plus its own best.

    One column that does not depend on the component, at a rate p of its own, is a mixture of the same family.
    """
    rng = np.random.default_rng(0)
    family, draw = RARE[name]
    others = draw(rng.random((N, 1)) < 0.5, rng).astype(float)
    flag = np.zeros(N)
    flag[rng.choice(N, 6, replace=False)] = 1.0
    X = np.c_[others, flag]
    model = MixtureMLE(2, family=family, random_state=0, standard_errors=False).fit(X)
    without = MixtureMLE(
        2, family="normal" if name == "product" else family, random_state=0, standard_errors=False
    ).fit(others)
    p = 6 / N
    alone = 6 * np.log(p) - N * p if name == "poisson" else 6 * np.log(p) + (N - 6) * np.log1p(-p)
    assert model.converged_
    assert model.log_likelihood_ >= without.log_likelihood_ + alone - 1e-6 * N
    batches = MixtureMLE(2, family=family, random_state=0, standard_errors=False).fit_batches(
        [X[at : at + 3000] for at in range(0, N, 3000)]
    )
    assert batches.log_likelihood_ == pytest.approx(model.log_likelihood_, abs=1e-5 * N)


def test_a_single_flag_in_all_rows():
    rng = np.random.default_rng(0)
    X = (rng.random((8192, 4)) < 0.4).astype(float)
    X[:, 3], X[777, 3] = 0.0, 1.0
    model = MixtureMLE(2, family="bernoulli", random_state=0).fit(X)
    shares = model.params_["weights"] @ model.params_["probability"]
    # At a maximum the mixture has the means of the rows; how near it is to one its certificate says, as a slope per row.
    np.testing.assert_allclose(shares, X.mean(axis=0), rtol=1e-6, atol=model.certificate_["gradient"])
    assert model.certificate_["gradient"] < 1e-8
    assert shares[3] == pytest.approx(1.0 / 8192.0, rel=1e-4)


@pytest.mark.parametrize("family", ["pareto", "uniform", "generalized_pareto"])
def test_ends_of_supports_are_those_of_all_rows(family):
    rng = np.random.default_rng(3)
    draws = {
        "pareto": np.r_[1.0 + rng.pareto(3.0, N // 2), 10.0 * (1.0 + rng.pareto(8.0, N // 2))],
        "uniform": np.r_[rng.uniform(0.0, 1.0, N // 2), rng.uniform(3.0, 5.0, N // 2)],
        "generalized_pareto": np.r_[1.0 - rng.random(N // 2) ** 0.4, 6.0 * (1.0 - rng.random(N // 2) ** 0.6)],
    }
    X = rng.permutation(draws[family])[:, None]
    model = MixtureMLE(2, family=family, random_state=0, standard_errors=False).fit(X)
    assert np.isfinite(model.score_samples(X)).all()
    assert model.converged_
    if family == "pareto":
        assert model.params_["scale"].min() == X.min()
        assert model.params_["scale"].max() == pytest.approx(10.0, rel=1e-3)
    if family == "uniform":  # apart: each has the ends of its own rows, and the likelihood is known
        low, high = X[X < 2.0], X[X > 2.0]
        np.testing.assert_array_equal(np.sort(model.params_["low"].ravel()), [low.min(), high.min()])
        np.testing.assert_array_equal(np.sort(model.params_["high"].ravel()), [low.max(), high.max()])
        known = sum(len(own) * np.log(len(own) / N / np.ptp(own)) for own in (low, high))
        assert model.log_likelihood_ == pytest.approx(known, rel=1e-12)
        batches = MixtureMLE(2, family=family, random_state=0).fit_batches([X[:5000], X[5000:]])
        assert batches.log_likelihood_ == pytest.approx(known, rel=1e-12)


def test_all_rows_are_seen_before_a_mixture_is_said_to_have_no_maximum():
    """A column that is 0 in all rows of the first sample, and in no others."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, 2))
    X[: N // 2, 0] += 6.0
    X[Rows(X).sample(SAMPLE_ROWS).index, 1] = 0.0
    model = MixtureMLE(2, random_state=0, standard_errors=False).fit(X)
    assert model.converged_
    np.testing.assert_allclose(np.sort(model.params_["weights"]), 0.5, atol=0.01)
