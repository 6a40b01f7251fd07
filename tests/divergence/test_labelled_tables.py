"""Two tables of labels and numbers: by labels, and numbers among rows with equal ones."""

import numpy as np
import pandas as pd
import pytest

from fastkl import DensityMLE, ProductDensity, categorical_kl, kl_divergence
from fastkl.exceptions import ColumnTypeError

LABELS = np.array(["a", "b", "c"])
CHOLESKY = np.array([[1.0, 0.5], [0.0, 1.0]])


def table(rng, n, shares=(0.5, 0.3, 0.2), shift=0.0, second=False):
    """Labels, and numbers that are moved from one label to the next; a second column of labels that tells nothing."""
    which = rng.choice(3, n, p=shares)
    numbers = rng.normal(size=(n, 2)) @ CHOLESKY + shift * which[:, np.newaxis]
    frame = pd.DataFrame({"kind": LABELS[which], "x": numbers[:, 0], "y": np.exp(numbers[:, 1])})
    return frame.assign(other=np.array(list("wxyz"))[rng.choice(4, n)]) if second else frame


# KL of the shares (.5, .3, .2) from (.2, .3, .5); the numbers of "b" are moved by 1.25 shift^2 / 2, those of "c" by 4 times that.
OF_SHARES = 0.5 * np.log(2.5) + 0.2 * np.log(0.4)


def of_shift(shift):
    return 0.5 * 1.25 * shift**2 * (0.3 + 4.0 * 0.2)


SETTINGS = [
    ({}, {}, 0.0),
    ({}, {"shares": (0.2, 0.3, 0.5)}, OF_SHARES),
    ({}, {"shift": 0.5}, of_shift(0.5)),
    ({}, {"shares": (0.2, 0.3, 0.5), "shift": 0.5}, OF_SHARES + of_shift(0.5)),
]


@pytest.mark.parametrize("second", [False, True])
@pytest.mark.parametrize(("of_p", "of_q", "truth"), SETTINGS)
def test_intervals_hold_the_truth(of_p, of_q, truth, second):
    covered, flagged = [], []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        estimate = kl_divergence(table(rng, 1200, second=second, **of_p), table(rng, 1000, second=second, **of_q))
        covered.append(abs(estimate - truth) <= 2.0 * estimate.standard_error < 0.15)
        flagged.append(estimate.diagnostics["bias_suspected"])
    assert np.mean(covered) >= 0.8
    assert np.mean(flagged) <= 0.2


def test_it_is_the_sum_over_the_labels_by_hand():
    rng = np.random.default_rng(0)
    p, q = table(rng, 500), table(rng, 400, shift=0.3)
    estimate = kl_divergence(p, q)
    parts = [
        np.mean(p["kind"] == label)
        * kl_divergence(*(one.loc[one["kind"] == label, ["x", "y"]].to_numpy() for one in (p, q)))
        for label in LABELS
    ]
    np.testing.assert_allclose(float(estimate), categorical_kl(p["kind"], q["kind"]) + sum(parts), rtol=1e-12)
    assert estimate.diagnostics["groups"] == 3
    by_name = kl_divergence(p, q, method="common_radius")
    assert by_name.diagnostics["of_labels"] == estimate.diagnostics["of_labels"]


def test_rare_labels_stand_together_and_no_difference_of_shares_is_taken_for_one_of_numbers():
    """150 rows of 12 combinations: shares that differ move the numbers of all rows, not those of rows with equal labels."""
    found = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        p, q = table(rng, 150, second=True, shift=2.0), table(rng, 150, (0.2, 0.3, 0.5), second=True, shift=2.0)
        estimate = kl_divergence(p, q)
        assert estimate.diagnostics["groups"] <= 4
        found.append(float(estimate))
    assert abs(np.mean(found) - OF_SHARES) < 0.12
    numbers = ["x", "y"]
    assert kl_divergence(p[numbers].to_numpy(), q[numbers].to_numpy()) > 0.1  # what of them the labels explain


def test_differences_for_one_rare_label_otherwise_than_for_another_are_said():
    rng = np.random.default_rng(0)
    p, q = (pd.DataFrame({"kind": np.arange(400) % 20, "x": rng.normal(size=400)}).astype({"kind": str}) for _ in "pq")
    assert kl_divergence(p, q).reasons == []
    moved = q.assign(x=q["x"] + np.where(q["kind"].astype(int) < 10, 2.0, -2.0))
    assert "are pooled" in " ".join(kl_divergence(p, moved).reasons)


def test_labels_that_one_table_lacks():
    rng = np.random.default_rng(0)
    p, q = table(rng, 1000), table(rng, 800)
    lacking = q[q["kind"] != "c"]
    estimate = kl_divergence(p, lacking)
    assert estimate == np.inf
    assert "no row with the labels 'c'" in estimate.reasons[0]
    back = kl_divergence(lacking, p)
    assert abs(back + np.log(0.8)) <= 2.0 * back.standard_error
    # a few rows may be missing by chance
    few = pd.concat([p[p["kind"] != "c"], p[p["kind"] == "c"].iloc[:2]])
    assert np.isfinite(kl_divergence(few, lacking))


def test_weights_are_masses_and_rows_of_weight_0_are_absent():
    rng = np.random.default_rng(0)
    p, q = table(rng, 500), table(rng, 400)
    plain = kl_divergence(p, q)
    same = kl_divergence(p, q, sample_weight_p=np.full(500, 3.0), sample_weight_q=np.full(400, 0.1))
    np.testing.assert_allclose([same, same.standard_error], [plain, plain.standard_error], rtol=1e-9)
    longer = pd.concat([p, p.assign(kind="new")])
    absent = kl_divergence(longer, q, sample_weight_p=np.repeat([1.0, 0.0], 500))
    np.testing.assert_allclose(float(absent), float(plain), rtol=1e-9)
    # half of the mass of "a"
    weights = np.where(p["kind"] == "a", 0.5, 1.0)
    weighed = kl_divergence(p, q, sample_weight_p=weights)
    shares, of_q = (
        np.array([mass[frame["kind"] == k].sum() for k in LABELS]) for frame, mass in ((p, weights), (q, np.ones(400)))
    )
    shares, of_q = shares / shares.sum(), of_q / of_q.sum()
    assert abs(weighed.diagnostics["of_labels"] - shares @ np.log(shares / of_q)) < 0.01
    assert weighed.standard_error > plain.standard_error


def test_units_orders_and_kinds_of_tables():
    rng = np.random.default_rng(0)
    p, q = table(rng, 500), table(rng, 400)
    plain = kl_divergence(p, q)
    for moved in (lambda frame: frame.assign(x=1000.0 * frame["x"] - 5.0), lambda frame: frame.astype(object)):
        np.testing.assert_allclose(float(kl_divergence(moved(p), moved(q))), float(plain), rtol=1e-9)
    renamed = {"a": "zebra", "b": "yak", "c": "ant"}
    np.testing.assert_allclose(
        float(kl_divergence(p.replace({"kind": renamed}), q.replace({"kind": renamed}))), float(plain), rtol=1e-9
    )
    categories = [frame.astype({"kind": "category"}) for frame in (p, q)]
    assert float(kl_divergence(*categories)) == float(plain)
    assert float(kl_divergence(p.to_numpy(), q.to_numpy())) == float(plain)


def test_a_model_in_place_of_p_gives_draws():
    rng = np.random.default_rng(0)
    groups = [("kind", DensityMLE("categorical"), ["kind"]), ("xy", DensityMLE("multivariate_normal"), ["x", "y"])]
    model = ProductDensity(groups).fit(table(rng, 3000).assign(y=lambda frame: np.log(frame["y"])))
    sample = table(rng, 1000).assign(y=lambda frame: np.log(frame["y"]))
    estimate = kl_divergence(model, sample, random_state=0)
    assert abs(estimate) <= 2.0 * estimate.standard_error < 0.1


def test_bad_tables():
    rng = np.random.default_rng(0)
    p, q = table(rng, 100), table(rng, 100)
    with pytest.raises(ValueError, match="missing values: 1 of 100 in column 'x' of p"):
        kl_divergence(p.assign(x=np.where(np.arange(100) == 3, np.nan, p["x"])), q)
    with pytest.raises(ColumnTypeError, match="datetime64"):
        kl_divergence(*(frame.assign(day=pd.Timestamp("2020-01-01")) for frame in (p, q)))
    with pytest.raises(ValueError, match="categorical_kl"):
        kl_divergence(p[["kind"]], q[["kind"]])
    with pytest.raises(ValueError, match="kl_divergence or fastkl.compare_tables for two tables of numbers and labels"):
        kl_divergence(p, q.assign(kind=1.0))
    with pytest.raises(ValueError, match="n_draws= is for a sample and a model"):
        kl_divergence(p, q, n_draws=100)
