"""Goodness of fit of rows as a whole: energy distances against scipy, divergences, dependence that no column shows."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from fastkl import DensityMLE, KernelDensityMLE, MixtureMLE, ProductDensity, kl_divergence
from fastkl.density.joint_goodness import MOST_ROWS, JointStatistics

RNG = np.random.default_rng(8)
NORMAL = RNG.multivariate_normal([0.0, 5.0, 1e3], [[1.0, 0.6, 0.0], [0.6, 2.0, 0.3], [0.0, 0.3, 1e4]], 300)
SKEWED = np.exp(NORMAL / NORMAL.std(axis=0) - NORMAL.mean(axis=0) / NORMAL.std(axis=0))


class Drawn:
    """A density whose draws are known."""

    def __init__(self, draws):
        self.draws = draws

    def sample(self, n, random_state=None):
        return self.draws[:n]


@pytest.mark.parametrize("weighted", [False, True])
def test_the_energy_distance_is_scipys(weighted):
    x, y = RNG.normal(size=(80, 1)), RNG.gamma(2.0, size=(80, 1))
    w = RNG.integers(1, 4, 80).astype(float) if weighted else None
    statistics = JointStatistics(["energy"], x, np.random.default_rng(0))
    found = statistics.of(Drawn(y), x, w)["energy"][0]
    unit = np.std(x)
    reference = scipy.stats.energy_distance(x[:, 0] / unit, y[:, 0] / unit, u_weights=w)
    assert found == pytest.approx(80 * reference**2, rel=1e-10)


def test_what_is_reported_is_the_estimate_with_its_error():
    model = DensityMLE().fit(NORMAL)
    report = model.goodness_of_fit(NORMAL, n_bootstrap=0)
    assert list(report) == ["energy", "kl"]
    again = kl_divergence(NORMAL, model, random_state=0)
    assert report["kl"][0] == float(again)
    assert report.kl.standard_error == again.standard_error
    assert "nats" in repr(report)
    assert report.p_values == {}


def test_the_divergence_of_a_normal_fit_is_the_same_in_any_units_and_directions():
    """What is compared with samples is then a pivot, and its p-value exact; elongated samples had too large an entropy."""
    X = RNG.normal(size=(20, 3))
    turned = X @ np.array([[1.0, 0.9, 0.0], [0.0, 0.2, 5.0], [0.0, 0.0, 100.0]])
    units = JointStatistics(["kl"], NORMAL, RNG)  # of other rows: those of the fit, when samples of it are compared
    found = [units.of(DensityMLE().fit(rows), rows, None)["kl"][0] for rows in (X, turned)]
    assert found[0] == pytest.approx(found[1], rel=1e-9)


@pytest.mark.parametrize("name", ["energy", "kl"])
def test_a_right_model_passes_and_a_wrong_one_does_not(name):
    passed = DensityMLE().fit(NORMAL).goodness_of_fit(NORMAL, statistic=name, n_bootstrap=49, random_state=0)
    failed = DensityMLE().fit(SKEWED).goodness_of_fit(SKEWED, statistic=name, n_bootstrap=49, random_state=0)
    assert passed.p_values[name][0] > 0.1
    assert failed.p_values[name][0] == 1.0 / 50.0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["energy", "kl"])
def test_p_values_are_uniform_under_the_model(name):
    found = []
    for seed in range(150):
        X = np.random.default_rng(seed).multivariate_normal([0.0, 0.0], [[1.0, 0.5], [0.5, 1.0]], 100)
        report = DensityMLE().fit(X).goodness_of_fit(X, statistic=name, n_bootstrap=39, random_state=seed)
        found.append(report.p_values[name][0] - 0.5 / 40.0)
    assert scipy.stats.kstest(found, "uniform").pvalue > 1e-3


def test_dependence_that_no_column_shows():
    x = RNG.gamma(2.0, size=300)
    X = np.column_stack([x, RNG.permutation(x)])
    X[:, 1] = np.where(RNG.random(300) < 0.8, x, X[:, 1])
    report = (
        DensityMLE("gamma").fit(X).goodness_of_fit(X, statistic=["ad", "energy", "kl"], n_bootstrap=39, random_state=0)
    )
    assert list(report) == ["ad", "energy", "kl"]
    assert np.all(report.p_values["ad"] > 0.05)
    assert report.p_values["energy"][0] == report.p_values["kl"][0] == 1.0 / 40.0
    assert [line.split()[0] for line in repr(report).splitlines()] == [
        "column",
        "column",
        "column",
        "rows",
        "rows",
        "39",
    ]


def test_units_seeds_weights_and_names():
    table = pd.DataFrame(NORMAL, columns=["a", "b", "c"])
    model = DensityMLE().fit(table)
    first, second = (model.goodness_of_fit(table, n_bootstrap=9, random_state=1) for _ in range(2))
    assert all(first[name] == second[name] and first.p_values[name] == second.p_values[name] for name in first)
    scaled = NORMAL * [1e-5, 1e6, 3.0]
    other = DensityMLE().fit(scaled).goodness_of_fit(scaled, n_bootstrap=0, random_state=1)
    assert other["energy"][0] == pytest.approx(first["energy"][0], rel=1e-6)
    with pytest.raises(ValueError, match="feature names"):
        model.goodness_of_fit(table[["b", "a", "c"]])
    weights = np.where(np.arange(300) < 100, 2.0, 1.0)
    weighted = DensityMLE().fit(NORMAL, sample_weight=weights).goodness_of_fit(NORMAL, weights, n_bootstrap=9)
    assert weighted.n_bootstrap == 9
    assert len(table) < MOST_ROWS


@pytest.mark.parametrize("density", [MixtureMLE(2), KernelDensityMLE(bandwidth="scott")])
def test_other_joint_densities(density):
    X = np.concatenate([NORMAL[:, :2], NORMAL[:, :2] + 9.0])[::4]
    report = density.fit(X).goodness_of_fit(X, statistic="energy", n_bootstrap=9, random_state=0)
    assert 0.0 < report.p_values["energy"][0] <= 1.0


def test_rows_on_a_surface_are_those_of_no_density():
    x, y = np.random.default_rng(0).normal(size=(2, 100))
    rows = np.column_stack([x, y, x])
    columns = ProductDensity([("two", DensityMLE(), [0, 1]), ("third", DensityMLE(), [2])]).fit(rows)
    assert columns.goodness_of_fit(rows, n_bootstrap=19, random_state=0).p_values["kl"][0] == pytest.approx(0.05)


@pytest.mark.parametrize("kind", ["array", "frame", "arrow"])
@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_rows_of_weight_zero_are_absent(kind, factor):
    """They had a say in the units, in the number of draws, and in how many neighbours there are."""
    X, far = NORMAL[:9], np.vstack([NORMAL[:4], np.full((30, 3), 1e6), NORMAL[4:9]])
    weights = np.where(far[:, 0] < 1e6, factor, 0.0)
    make = {
        "array": np.asarray,
        "frame": lambda rows: pd.DataFrame(rows, columns=["a", "b", "c"]),
        "arrow": lambda rows: pytest.importorskip("pyarrow").table(list(rows.T), names=["a", "b", "c"]),
    }[kind]
    model = DensityMLE().fit(make(X))
    few = model.goodness_of_fit(make(X), np.full(9, factor), n_bootstrap=9, random_state=0)
    many = model.goodness_of_fit(make(far), weights, n_bootstrap=9, random_state=0)
    for name in few:
        np.testing.assert_array_equal(many[name], few[name])
        np.testing.assert_array_equal(many.p_values[name], few.p_values[name])
    assert list(few) == ["energy", "kl"]


@pytest.mark.parametrize("weighted", [False, True])
def test_discrete_rows_are_compared_by_their_frequencies(weighted):
    """The divergence is G / (2 n) of a G-test; counts of another distribution are seen, and those of the same are not."""
    rng = np.random.default_rng(0)
    same, other = rng.poisson(3.0, (200, 1)), rng.negative_binomial(2, 0.4, (200, 1))
    weights = rng.integers(1, 3, 200) if weighted else np.ones(200)
    p_values = []
    for rows in (same, other):
        model = DensityMLE("poisson").fit(rows, sample_weight=weights)
        found = JointStatistics(["kl"], rows.astype(float), rng).of(model, rows.astype(float), weights)["kl"][0]
        masses = np.bincount(rows[:, 0], weights=weights)
        expected = (
            2.0
            * masses.sum()
            * scipy.stats.entropy(masses, scipy.stats.poisson(model.params_["rate"]).pmf(np.arange(len(masses))))
        )
        tail = 2.0 * masses.sum() * np.log(scipy.stats.poisson(model.params_["rate"][0]).cdf(len(masses) - 1))
        assert 2.0 * weights.sum() * found == pytest.approx(
            expected - tail, rel=1e-10
        )  # scipy scales pmf to a sum of 1
        report = model.goodness_of_fit(rows, sample_weight=weights, statistic="kl", n_bootstrap=39, random_state=0)
        p_values.append(report.p_values["kl"][0])
    assert p_values[1] <= 0.05
    if not weighted:  # repeated rows are no rows of a Poisson distribution
        assert p_values[0] > 0.05


def test_counts_are_asked_as_whole_rows_where_no_statistic_is_named():
    """Overdispersed counts reject the Poisson family and not their own."""
    rows = np.random.default_rng(0).negative_binomial(2, 0.4, size=(150, 1))
    for family, fits in (("poisson", False), ("negative_binomial", True)):
        report = DensityMLE(family).fit(rows).goodness_of_fit(rows, n_bootstrap=39, random_state=0)
        assert list(report) == ["energy", "kl"]
        assert all((report.p_values[name][0] > 0.05) == fits for name in report)
    with pytest.raises(ValueError, match="statistics of continuous distributions"):
        DensityMLE("poisson").fit(rows).goodness_of_fit(rows, statistic="ks")


@pytest.mark.parametrize("family", ["von_mises_fisher", "dirichlet"])
def test_rows_on_a_surface_have_a_p_value_of_the_divergence(family):
    """The entropy that has no meaning there left p-values NaN."""
    rng = np.random.default_rng(0)
    if family == "dirichlet":
        one, other = rng.dirichlet([2.0, 3.0, 9.0], 150), rng.dirichlet([9.0, 3.0, 2.0], 150)
    else:
        one, other = (scipy.stats.vonmises_fisher(way, 10.0).rvs(150, random_state=rng) for way in np.eye(3)[:2])
    for rows, right in ((one, True), (np.concatenate([one, other]), False)):
        found = DensityMLE(family).fit(rows).goodness_of_fit(rows, statistic="kl", n_bootstrap=39, random_state=0)
        assert (found.p_values["kl"][0] > 0.05) == right
