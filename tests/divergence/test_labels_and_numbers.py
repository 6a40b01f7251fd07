"""A table of labels and numbers against a product of models: by labels, and numbers among rows with equal ones."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fastkl import (
    DensityMLE,
    KLDivergence,
    MixtureMLE,
    ProductDensity,
    compare_tables,
    kl_divergence,
    kl_lower_bound,
    permutation_test,
)

LABELS, SHARES = np.array(["a", "b", "c"]), np.array([0.5, 0.3, 0.2])
CHOLESKY = np.array([[1.0, 0.0], [0.5, 1.0]])


def table(rng, n, shift=0.0):
    """Labels, and normal numbers that are shifted from one label to the next."""
    which = rng.choice(3, n, p=SHARES)
    numbers = rng.normal(size=(n, 2)) @ CHOLESKY.T + shift * which[:, np.newaxis]
    return pd.DataFrame({"kind": LABELS[which], "x": numbers[:, 0], "y": numbers[:, 1]})


def product(frame):
    groups = [("kind", DensityMLE("categorical"), ["kind"]), ("xy", DensityMLE("multivariate_normal"), ["x", "y"])]
    return ProductDensity(groups).fit(frame)


@pytest.mark.parametrize("n", [200, pytest.param(2000, marks=pytest.mark.slow)])
def test_a_correct_model_covers_zero(n):
    model = product(table(np.random.default_rng(99), 100_000))
    covered, flagged = [], []
    for seed in range(20):
        estimate = kl_divergence(table(np.random.default_rng(seed), n), model)
        covered.append(abs(estimate) <= 1.96 * estimate.standard_error)
        flagged.append(estimate.diagnostics["bias_suspected"])
    assert np.mean(covered) >= 0.85
    assert np.mean(flagged) <= 0.1


def test_what_labels_tell_of_numbers_is_in_it():
    large = table(np.random.default_rng(98), 200_000, shift=1.0)
    model = product(large)
    which = pd.Categorical(large["kind"]).codes
    numbers = large[["x", "y"]].to_numpy() - which[:, np.newaxis]
    log_p = np.log(SHARES[which]) + stats.multivariate_normal(np.zeros(2), CHOLESKY @ CHOLESKY.T).logpdf(numbers)
    truth = float(np.mean(log_p - model.score_samples(large)))
    assert truth > 0.2
    covered = []
    for seed in range(10):
        estimate = kl_divergence(table(np.random.default_rng(seed), 600, shift=1.0), model)
        covered.append(abs(estimate - truth) <= 2.0 * estimate.standard_error < 0.1)
        parts = [estimate.diagnostics[name] for name in ("of_labels", "of_numbers")]
        np.testing.assert_allclose(sum(parts), float(estimate), rtol=1e-12)
    assert np.mean(covered) >= 0.8


def test_it_is_the_sum_over_the_labels_by_hand():
    frame = table(np.random.default_rng(1), 400)
    model = product(table(np.random.default_rng(2), 5000))
    labels, numbers = model.marginal(["kind"]), model.marginal(["x", "y"])
    shares = frame["kind"].value_counts(normalize=True)
    expected = float(kl_divergence(frame[["kind"]], labels)) + sum(
        share * float(kl_divergence(frame.loc[frame["kind"] == kind, ["x", "y"]], numbers))
        for kind, share in shares.items()
    )
    np.testing.assert_allclose(float(kl_divergence(frame, model)), expected, rtol=1e-12)


def test_weights_units_and_rows_of_weight_0():
    frame = table(np.random.default_rng(1), 400)
    model = product(frame)
    plain = kl_divergence(frame, model)
    weights = np.ones(400)
    np.testing.assert_allclose(
        float(kl_divergence(frame, model, sample_weight_p=7.0 * weights)), float(plain), rtol=1e-9
    )
    weights[::4] = 0.0
    left_out = kl_divergence(frame, model, sample_weight_p=weights)
    np.testing.assert_allclose(float(left_out), float(kl_divergence(frame[weights > 0.0], model)), rtol=1e-9)
    assert left_out.n_samples == 300
    # nor do they say which labels come first, and so which draws of the model are whose
    late = pd.concat([frame.assign(kind=frame["kind"].map({"a": "b", "b": "c", "c": "a"})), frame], ignore_index=True)
    seeded = {"route": "draws", "random_state": 0}
    absent = kl_divergence(late, model, sample_weight_p=np.repeat([0.0, 1.0], 400), **seeded)
    assert float(absent) == pytest.approx(float(kl_divergence(frame, model, **seeded)), rel=1e-12)
    scaled = frame.assign(x=1e6 * frame["x"])
    np.testing.assert_allclose(float(kl_divergence(scaled, product(scaled))), float(plain), rtol=1e-6)


def test_rare_labels_are_taken_together_and_said():
    rng = np.random.default_rng(3)
    frame = table(rng, 200)
    model = product(frame.assign(kind=frame["kind"].where(rng.random(200) > 0.3, "rare" + frame.index.astype(str))))
    rare = frame.assign(kind=frame["kind"].where(rng.random(200) > 0.3, "rare" + frame.index.astype(str)))
    known = rare[rare["kind"].isin(model.marginal(["kind"]).categories_[0])]
    estimate = kl_divergence(known, model)
    assert np.isfinite(estimate)
    assert any("are pooled" in reason for reason in estimate.diagnostics["reasons"])
    assert kl_divergence(frame.assign(kind="new"), model) == np.inf


def test_a_mixture_has_other_numbers_for_other_labels():
    """Rows of the mixture itself cover 0; the divergence of another one is that of a large sample of its rows."""
    family = [("kind", "categorical", ["kind"]), ("x", "normal", ["x"]), ("y", "normal", ["y"])]
    rng = np.random.default_rng(0)
    first = rng.random(3000) < 0.4
    frame = pd.DataFrame(
        {
            "kind": np.where(
                first, rng.choice(LABELS, 3000, p=[0.7, 0.2, 0.1]), rng.choice(LABELS, 3000, p=[0.1, 0.2, 0.7])
            ),
            "x": rng.normal(np.where(first, 0.0, 3.0)),
            "y": rng.normal(0.0, np.where(first, 1.0, 2.0)),
        }
    )
    model = MixtureMLE(2, family=family, random_state=0).fit(frame)
    moved = MixtureMLE(2, family=family, random_state=0).fit(frame.assign(y=frame["y"] + np.where(first, 1.0, 0.0)))
    covered, values = [], []
    for seed in range(12):
        drawn = model.sample(800, random_state=seed)
        own, other = kl_divergence(drawn, model), kl_divergence(drawn, moved)
        covered.append(abs(own) <= 2.0 * own.standard_error)
        assert other.standard_error < 0.1
        values.append(float(other))
    assert np.mean(covered) >= 0.8
    drawn = model.sample(200_000, random_state=99)
    truth = np.mean(model.score_samples(drawn) - moved.score_samples(drawn))
    assert truth > 0.1
    assert abs(np.mean(values) - truth) < 0.04


def test_rare_labels_beside_a_mixture_are_said():
    frame = table(np.random.default_rng(1), 200)
    family = [("kind", "categorical", ["kind"]), ("xy", "multivariate_normal", ["x", "y"])]
    mixture = MixtureMLE(2, family=family, random_state=0).fit(frame)
    assert kl_divergence(frame, mixture).diagnostics["groups"] == 3
    few = pd.concat([frame[frame["kind"] == "a"].iloc[:80], frame[frame["kind"] != "a"].iloc[:20]])
    estimate = kl_divergence(few, mixture)
    assert estimate.diagnostics["groups"] == 1
    assert "20% of the rows, have fewer than 30 rows each" in estimate.reasons[-1]


def test_models_without_conditional_distributions_are_refused():
    frame = table(np.random.default_rng(1), 200)
    plain = SimpleNamespace(score_samples=lambda X: np.zeros(len(X)), discrete_=False, discrete_columns_=frozenset({0}))
    with pytest.raises(
        ValueError, match="holds labels beside numbers.*no distribution of the numbers given.*compare_tables"
    ):
        kl_divergence(frame, plain)


def test_the_test_and_the_bound_take_draws_in_place_of_the_model():
    model = product(table(np.random.default_rng(99), 50_000))
    samples = [table(np.random.default_rng(seed), 150) for seed in range(40)]
    options = {"n_permutations": 199, "random_state": 0}
    p_values = np.array([permutation_test(sample, model, **options).p_value for sample in samples])
    assert np.mean(p_values <= 0.05) <= 0.15
    assert 0.3 < p_values.mean() < 0.7
    other = table(np.random.default_rng(0), 1000, shift=1.0).assign(kind="a")
    assert (
        permutation_test(other, model, **options).p_value == permutation_test(model, other, **options).p_value == 0.005
    )
    assert kl_lower_bound(samples[0], model, random_state=0) == 0.0
    # all labels "a": log 2 at least
    assert 0.3 < kl_lower_bound(other, model, n_draws=1000, random_state=0) < kl_divergence(other, model)
    labels = model.marginal(["kind"])
    assert permutation_test(other["kind"].to_numpy(), labels, **options).p_value == 0.005
    with pytest.raises(ValueError, match="p has 3 columns and q draws rows of 1"):
        permutation_test(other, stats.norm())


def test_a_model_where_samples_are_expected():
    frame = table(np.random.default_rng(0), 50)
    model = product(frame)
    with pytest.raises(TypeError, match="Q is a model; .*kl_divergence"):
        KLDivergence().fit(model)
    with pytest.raises(TypeError, match="q is a model; .* draws"):
        compare_tables(frame, model)
