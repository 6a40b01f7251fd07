"""Relatives of the divergence, and entropies, of tables of labels and numbers; truths by quadrature and sums over labels."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fastkl import (
    DensityMLE,
    ProductDensity,
    categorical_entropy,
    cross_entropy,
    entropy,
    jeffreys,
    jensen_shannon,
    kl_divergence,
    renyi_divergence,
)
from fastkl.exceptions import ColumnTypeError, DegenerateDataError

LABELS = np.array(["a", "b", "c"])
GRID = np.linspace(-14.0, 16.0, 40_001)
P = ((0.5, 0.3, 0.2), (0.0, 0.0, 0.0))
SETTINGS = {
    "equal": P,
    "labels": ((0.2, 0.3, 0.5), P[1]),
    "numbers": (P[0], (0.0, 0.5, 1.0)),
    "both": ((0.2, 0.3, 0.5), (0.0, 0.5, 1.0)),
}


def table(rng, n, shares, means):
    which = rng.choice(3, n, p=shares)
    return pd.DataFrame({"kind": LABELS[which], "x": np.array(means)[which] + rng.normal(size=n)})


def densities(shares, means):
    return np.array(shares)[:, np.newaxis] * stats.norm.pdf(GRID, np.array(means)[:, np.newaxis])


def integral(terms):
    return np.trapezoid(terms.sum(axis=0), GRID)


def truths(q):
    one, other = densities(*P), densities(*q)
    middle = 0.5 * (one + other)
    return {
        jensen_shannon: 0.5 * integral(one * np.log(one / middle) + other * np.log(other / middle)),
        jeffreys: integral((one - other) * np.log(one / other)),
        0.5: -2.0 * np.log(integral(np.sqrt(one * other))),
        1.5: 2.0 * np.log(integral(one**1.5 * other**-0.5)),
    }


@pytest.mark.parametrize("setting", list(SETTINGS))
def test_intervals_hold_the_truth(setting):
    expected = truths(SETTINGS[setting])
    covered = {key: [] for key in expected}
    for seed in range(10):
        rng = np.random.default_rng(seed)
        both = table(rng, 600, *P), table(rng, 500, *SETTINGS[setting])
        for key, truth in expected.items():
            found = renyi_divergence(*both, key) if isinstance(key, float) else key(*both)
            assert found.method == "by labels"
            covered[key].append(abs(found - truth) <= 2.0 * found.standard_error < 0.5)
    for key, held in covered.items():
        assert np.mean(held) >= 0.8, key


def test_laws_of_the_definitions():
    rng = np.random.default_rng(0)
    p, q = table(rng, 400, *P), table(rng, 300, *SETTINGS["both"])
    forward, backward = kl_divergence(p, q), kl_divergence(q, p)
    both = jeffreys(p, q)
    assert float(both) == pytest.approx(forward + backward, abs=1e-12)
    assert (both.diagnostics["forward"], both.diagnostics["backward"]) == (float(forward), float(backward))
    assert float(jensen_shannon(p, q)) == pytest.approx(
        float(jensen_shannon(q, p)), abs=1e-3
    )  # mixtures start elsewhere
    assert float(renyi_divergence(p, q, 0.5)) == pytest.approx(float(renyi_divergence(q, p, 0.5)), abs=0.02)
    assert float(renyi_divergence(p, q, 1.0)) == float(forward)
    assert float(renyi_divergence(p, q, 0.999)) == pytest.approx(float(forward), abs=0.02)
    scaled = [frame.assign(x=1e4 * frame["x"] + 7.0) for frame in (p, q)]
    for call in (jensen_shannon, jeffreys, lambda a, b: renyi_divergence(a, b, 0.5)):
        assert float(call(*scaled)) == pytest.approx(float(call(p, q)), abs=1e-9)
    weights = {"sample_weight_p": np.full(400, 0.3), "sample_weight_q": np.full(300, 2.0)}
    assert float(jensen_shannon(p, q, **weights)) == pytest.approx(float(jensen_shannon(p, q)), abs=1e-12)


def test_labels_that_one_table_lacks():
    rng = np.random.default_rng(0)
    p, q = table(rng, 500, *P), table(rng, 400, *P)
    apart = q.assign(kind="d")
    assert abs(jensen_shannon(p, apart) - np.log(2.0)) < 0.01
    assert renyi_divergence(p, apart, 0.5) == np.inf
    half = pd.concat([q, q.assign(kind="d")])
    found = jensen_shannon(p, half)
    # p(l) is twice q(l) for three labels, and 0 for the fourth
    truth = 0.5 * np.log(4.0 / 3.0) + 0.25 * np.log(2.0 / 3.0) + 0.25 * np.log(2.0)
    assert abs(found - truth) < 2.0 * found.standard_error < 0.06
    found = renyi_divergence(p, half, 0.5)
    assert abs(found - np.log(2.0)) < 2.0 * found.standard_error < 0.2
    assert renyi_divergence(half, p, 1.5) == np.inf


def test_entropy_is_that_of_labels_and_of_numbers():
    rng = np.random.default_rng(0)
    covered, cross = [], []
    truth = categorical_entropy(P[0], "plugin", counts=True) + stats.norm.entropy()
    for seed in range(12):
        rng = np.random.default_rng(seed)
        p, q = table(rng, 400, *P), table(rng, 400, *P)
        found, of_both = entropy(p), cross_entropy(p, q)
        covered.append(abs(found - truth) <= 2.0 * found.standard_error < 0.2)
        cross.append(abs(of_both - truth) <= 2.0 * of_both.standard_error < 0.3)
        assert float(of_both) == pytest.approx(found + kl_divergence(p, q), abs=1e-12)
        assert found.reasons == []
    assert min(np.mean(covered), np.mean(cross)) >= 0.8
    parts = [np.mean(p["kind"] == k) * entropy(p.loc[p["kind"] == k, "x"].to_numpy()) for k in LABELS]
    assert float(found) == pytest.approx(categorical_entropy(p["kind"]) + sum(parts), abs=1e-12)
    assert float(entropy(p.assign(x=np.e**2 * p["x"]))) == pytest.approx(found + 2.0, abs=1e-9)
    model = ProductDensity([("kind", DensityMLE("categorical"), ["kind"]), ("x", DensityMLE("normal"), ["x"])]).fit(p)
    # the identity: KL = cross-entropy less entropy
    divergence = kl_divergence(p, model)
    assert abs(cross_entropy(p, model) - found - divergence) < 2.0 * divergence.standard_error + 0.02


def test_rare_labels_whose_numbers_differ_are_said_to_make_an_entropy_too_large():
    rng = np.random.default_rng(0)
    kinds = np.arange(200).astype(str)[rng.integers(0, 100, 400)]
    x = rng.normal(size=400)
    assert not any("upper bound" in reason for reason in entropy(pd.DataFrame({"k": kinds, "x": x})).reasons)
    apart = entropy(pd.DataFrame({"k": kinds, "x": x + 3.0 * kinds.astype(float)}))
    assert any("upper bound" in reason for reason in apart.reasons)


def test_bad_tables():
    rng = np.random.default_rng(0)
    p = table(rng, 200, *P)
    with pytest.raises(DegenerateDataError, match="Of the rows with 'b': The distance from row 0 of p"):
        entropy(p.assign(x=np.where(p["kind"] == "b", 1.0, p["x"])))
    with pytest.raises(ValueError, match="labels have no distance"):
        cross_entropy(p, p.iloc[:100], method="knn")
    with pytest.raises(ValueError, match="missing values: 1 of 200 in column 'x' of p"):
        jensen_shannon(p.assign(x=p["x"].where(p.index != 3)), p)
    with pytest.raises(ValueError, match="labels have no distance"):
        entropy(p["kind"])
    # a text among numbers makes no column of labels by itself, nor a number among labels
    odd = p.assign(x=p["x"].astype(object).where(p.index != 3, "n.a."))
    for call in (entropy, lambda one: kl_divergence(one, p), lambda one: renyi_divergence(one, one, 0.5)):
        with pytest.raises(ColumnTypeError, match=r"p holds 'n.a.' in row 3, column 1 \('x'\), among numbers"):
            call(odd)
    with pytest.raises(ColumnTypeError, match=r"q holds 7 in row 5, column 0 \('kind'\), among labels"):
        jensen_shannon(p, p.assign(kind=p["kind"].astype(object).where(p.index != 5, 7)))
