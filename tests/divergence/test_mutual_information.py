"""Mutual information: closed forms of normal and t copulas, no unit and no monotone map, groups of columns, bad input."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import xlogy

from fastkl import categorical_entropy, mutual_information
from fastkl.exceptions import DegenerateDataError


def correlated(correlation, n, rng, d=1):
    x = rng.normal(size=(n, d))
    return x, correlation * x + np.sqrt(1.0 - correlation**2) * rng.normal(size=(n, d))


@pytest.mark.parametrize(("correlation", "d"), [(0.0, 1), (0.6, 1), (0.99, 1), (0.0, 3), (0.6, 3)])
@pytest.mark.parametrize("n", [200, 1000])
def test_normal_distributions(correlation, d, n):
    truth, off = -0.5 * d * np.log1p(-(correlation**2)), []
    for seed in range(6):
        found = mutual_information(*correlated(correlation, n, np.random.default_rng(seed), d))
        off.append((found - truth) / found.standard_error)
        assert found.standard_error < 3.5 / np.sqrt(n) * d
    assert np.max(np.abs(off)) < 3.0
    assert abs(np.mean(off)) < 1.3


def test_groups_of_columns_that_depend_among_themselves():
    covariance = np.array([[1.0, 0.7, 0.5], [0.7, 1.0, 0.2], [0.5, 0.2, 1.0]])
    rows = np.random.default_rng(0).multivariate_normal(np.zeros(3), covariance, 2000)
    truth = 0.5 * np.log(np.linalg.det(covariance[:2, :2]) / np.linalg.det(covariance))
    found, back = mutual_information(rows[:, :2], rows[:, 2]), mutual_information(rows[:, 2], rows[:, :2])
    assert abs(found - truth) < 2.5 * found.standard_error < 0.2
    assert abs(found - back) < 0.02
    assert found.diagnostics["reasons"] == []


def test_columns_without_correlation():
    """Two columns of a bivariate t distribution: the entropies of one and of both are known."""
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(2000, 2)) / np.sqrt(rng.chisquare(1, (2000, 1)))
    truth = 2.0 * stats.t(1).entropy() - stats.multivariate_t(np.zeros(2), np.eye(2), df=1).entropy()
    found = mutual_information(rows[:, 0], rows[:, 1])
    assert abs(found - truth) < 2.5 * found.standard_error < 0.1


def test_an_edge_that_is_askew():
    """y is x and uniform noise of half width e: e - log 2e nats, of which neighbours see all but a twentieth."""
    rng = np.random.default_rng(0)
    x = rng.random(2000)
    found = mutual_information(x, x + rng.uniform(-0.1, 0.1, 2000))
    assert 0.93 < found / (0.1 - np.log(0.2)) < 1.02


def test_only_ranks_matter():
    x, y = correlated(0.8, 500, np.random.default_rng(2))
    plain = mutual_information(x, y)
    mapped = mutual_information(np.exp(3.0 * x), 1e200 * y**3)
    assert (float(mapped), mapped.standard_error) == (float(plain), plain.standard_error)
    assert float(mutual_information(x, -y)) == pytest.approx(float(plain), abs=0.03)  # by other draws for the bias
    assert float(mutual_information(x.astype(np.float32), y)) == pytest.approx(float(plain), abs=1e-3)


def test_tables_rows_threads_and_weights():
    rng = np.random.default_rng(3)
    x, y = correlated(0.5, 600, rng)
    plain = mutual_information(x, y)
    assert mutual_information(pd.DataFrame(x, columns=["a"]), y[:, 0].tolist()) == plain
    assert mutual_information(x, y, n_jobs=1) == mutual_information(x, y, n_jobs=2)
    assert mutual_information(x, y, sample_weight=np.full(600, 3.0)) == plain
    order = rng.permutation(600)
    assert float(mutual_information(x[order], y[order])) == pytest.approx(float(plain), abs=0.02)
    assert np.isnan(mutual_information(x, y, standard_error=False).standard_error)
    more = (np.concatenate([part, rng.normal(size=(50, 1))]) for part in (x, y))
    assert mutual_information(*more, sample_weight=np.repeat([1.0, 0.0], [600, 50])) == plain
    weighted = mutual_information(x, y, sample_weight=rng.lognormal(0.0, 0.5, 600))
    assert abs(weighted + 0.5 * np.log(0.75)) < 2.5 * weighted.standard_error < 0.3


def test_seeds():
    x, y = correlated(0.5, 300, np.random.default_rng(4))
    assert mutual_information(x, y, random_state=1) == mutual_information(x, y, random_state=1)
    assert mutual_information(x, y, rng=1) != mutual_information(x, y, rng=2)
    with pytest.raises(TypeError, match="two names"):
        mutual_information(x, y, random_state=1, rng=1)


def test_doubts():
    x, y = correlated(0.5, 12, np.random.default_rng(5))
    assert any("12 rows are few" in reason for reason in mutual_information(x, y).diagnostics["reasons"])
    x, y = correlated(0.5, 300, np.random.default_rng(6), d=6)
    assert any("12 columns" in reason for reason in mutual_information(x, y).diagnostics["reasons"])


@pytest.mark.parametrize(("noise", "told"), [(0.1, True), (0.001, False)])
def test_columns_closer_than_neighbouring_ranks(noise, told):
    """At a noise of .001 the 1000 rows keep their order nearly: ranks cannot tell by how little they differ."""
    x = np.random.default_rng(0).standard_normal(1000)
    estimate = mutual_information(x, x + noise * np.random.default_rng(1).standard_normal(1000))
    truth = 0.5 * np.log1p(noise**-2)
    assert (abs(estimate - truth) < 3.0 * estimate.standard_error) == told
    assert estimate.diagnostics["bias_suspected"] != told


@pytest.mark.parametrize(
    ("x", "y", "error", "words"),
    [
        (np.arange(9.0), np.arange(8.0), ValueError, "x has 9 rows and y 8"),
        (np.arange(4.0), np.arange(4.0) ** 2, DegenerateDataError, "4 rows are too few"),
        (np.arange(50.0), np.ones(50), DegenerateDataError, "Column 0 of y has one value only, 1.0"),
        (np.arange(50.0), np.exp(np.arange(50.0) / 9.0), DegenerateDataError, "function of those of columns before it"),
        (np.arange(9.0), np.r_[np.arange(8.0), np.nan], ValueError, "row 8"),
        (np.arange(12.0), list("abcdefghijkl"), DegenerateDataError, "No label of y occurs twice"),
        (np.arange(12.0), ["a"] * 12, DegenerateDataError, "y has one label only, 'a'"),
        (np.arange(9.0), list("ababababc"), DegenerateDataError, "9 rows are too few"),
        (np.arange(12.0), list("ababababcccc"), DegenerateDataError, "No label of y is in 10 rows"),
        (np.arange(20.0), list("ab") * 9, ValueError, "x has 20 rows and y 18"),
        (np.arange(10.0), ["a", None] * 5, ValueError, "y holds None in row 1, column 0: a missing label"),
    ],
    ids=["lengths", "few", "constant", "function", "missing", "all", "one", "rows", "rare", "sizes", "gap"],
)
def test_bad_input(x, y, error, words):
    with pytest.raises(error, match=words):
        mutual_information(x, y)


def _classes(rng, n):
    labels = rng.integers(0, 3, n)
    return 2.0 * labels + rng.normal(size=n), labels


def _zero_inflated(rng, n):
    x = rng.normal(size=n)
    return x, np.where(rng.random(n) < 0.4, 0.0, 0.8 * x + 0.6 * rng.normal(size=n))


def _of_classes():
    """The entropy of the mixture of three normal distributions less that of one, by quadrature."""
    grid = np.linspace(-9.0, 13.0, 100_001)
    mixture = sum(stats.norm.pdf(grid, mean) for mean in (0.0, 2.0, 4.0)) / 3.0
    return -np.trapezoid(mixture * np.log(mixture), grid) - stats.norm.entropy()


REPEATED = {
    "independent 0 and 1": (lambda rng, n: (rng.normal(size=n), rng.random(n) < 0.3), 0.0),
    "independent with zeros": (lambda rng, n: (rng.normal(size=n) * (rng.random(n) < 0.5), rng.normal(size=n)), 0.0),
    "independent scale of 5": (lambda rng, n: (rng.normal(size=n), rng.integers(1, 6, n)), 0.0),
    "classes": (_classes, _of_classes()),
    "zeros": (_zero_inflated, -0.3 * np.log(1.0 - 0.8**2)),
}


@pytest.mark.parametrize("kind", list(REPEATED))
def test_columns_with_repeated_values(kind):
    """They have no density: neighbours of a density make 5.3 of a number and an independent 0 or 1."""
    draw, truth = REPEATED[kind]
    for n in (300, 2000):
        found = [mutual_information(*draw(np.random.default_rng(seed), n)) for seed in range(20)]
        assert sum(abs(e - truth) > 3.0 * e.standard_error for e in found) <= 1
        assert abs(np.mean(found) - truth) < np.mean([e.standard_error for e in found])
        assert not any(e.bias_suspected for e in found)


def test_a_step_and_rounded_numbers():
    rng = np.random.default_rng(0)
    x = rng.normal(size=1000)
    found = mutual_information(x, x > 0.0)
    assert abs(found - np.log(2.0)) < 0.01
    assert mutual_information(np.exp(x), x > 0.0) == found == mutual_information(x > 0.0, x)
    y = 0.5 * x + np.sqrt(0.75) * rng.normal(size=1000)
    rounded = mutual_information(np.round(x, 1), y)
    assert abs(rounded + 0.5 * np.log(0.75)) < 3.0 * rounded.standard_error
    assert "few" in mutual_information(x[:50], x[:50] > 0.0).reasons[0]
    with pytest.raises(DegenerateDataError, match="Thin the rows first"):
        mutual_information(x, x > 0.0, sample_weight=np.exp(y))


def _zeros_of_both(rng, n):
    none, pair = rng.random(n) < 0.3, rng.multivariate_normal([0.0, 0.0], [[1.0, 0.7], [0.7, 1.0]], n)
    return [np.where(none, 0.0, np.exp(column)) for column in pair.T]


def _codes(rng, n):
    x = rng.integers(0, 4, n)
    return x, (x + rng.integers(0, 2, n)) % 4


def _parity(rng, n):
    pair = rng.integers(0, 2, (n, 2))
    return pair, pair.sum(axis=1) % 2


ROWS_REPEATED = {
    "zeros of both at a time": (_zeros_of_both, stats.entropy([0.3, 0.7]) - 0.35 * np.log(1.0 - 0.7**2)),
    "codes": (_codes, np.log(2.0)),
    "independent codes": (lambda rng, n: (rng.integers(0, 5, n), rng.integers(0, 5, n)), 0.0),
    "parity of two columns": (_parity, np.log(2.0)),
    "itself": (lambda rng, n: (rng.integers(0, 4, n),) * 2, np.log(4.0)),
}


@pytest.mark.parametrize("kind", list(ROWS_REPEATED))
def test_whole_rows_that_are_repeated(kind):
    """Where most are, numbers are symbols, with the bias of frequencies taken off; where one is, it is an atom of both."""
    draw, truth = ROWS_REPEATED[kind]
    found = [mutual_information(*draw(np.random.default_rng(seed), 500)) for seed in range(20)]
    assert sum(abs(e - truth) > 3.0 * e.standard_error for e in found) <= 1
    assert abs(np.mean(found) - truth) < np.mean([e.standard_error for e in found]) < 0.05
    assert not any(e.bias_suspected for e in found)


def test_codes_are_what_they_are_as_text_also_with_weights():
    x, y = _codes(np.random.default_rng(0), 300)
    weights = np.random.default_rng(1).integers(1, 4, 300)
    assert mutual_information(x, y) == mutual_information(x.astype(str), y.astype(str))
    with_weights = mutual_information(x, y, sample_weight=weights)
    assert with_weights == mutual_information(x.astype(str), y.astype(str), sample_weight=weights)
    assert np.isnan(mutual_information(x, y, standard_error=False).standard_error)


def test_conditional_information_is_a_difference():
    """As of the transfer entropy of two chains, in closed form."""
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(2, 2001))
    y = np.zeros(2001)
    for t in range(2000):
        y[t + 1] = 0.5 * y[t] + 0.5 * x[t] + noise[t]
    both = mutual_information(y[1:], np.column_stack([x, y])[:-1])
    past = mutual_information(y[1:], y[:-1])
    assert abs(both - past - 0.5 * np.log(1.25)) < 2.0 * np.hypot(both.standard_error, past.standard_error) < 0.1


def test_copies_of_rows_are_refused():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(500, 2))
    for copies in (rows[rng.integers(0, 500, 500)], np.repeat(rows[:60], 8, axis=0)):
        with pytest.raises(DegenerateDataError, match="copies of rows.* Give each row once, with sample_weight"):
            mutual_information(*copies.T)


NAMES = np.array(list("abcdefghij"))
LABELLED = {  # shares of labels, means and spreads of the numbers
    "independent": ([0.5, 0.5], [0.0, 0.0], [1.0, 1.0]),
    "three": ([0.5, 0.3, 0.2], [0.0, 1.0, 2.0], [1.0, 1.0, 1.0]),
    "rare": ([0.9, 0.1], [0.0, 2.0], [1.0, 1.0]),
    "spreads": ([0.4, 0.3, 0.3], [0.0, 0.0, 0.0], [1.0, 2.0, 3.0]),
    "apart": ([0.6, 0.4], [0.0, 30.0], [1.0, 1.0]),
}


def _of_labels(shares, means, spreads):
    """By quadrature."""
    grid = np.linspace(-15.0, 45.0, 200_001)
    densities = [stats.norm.pdf(grid, *of_label) for of_label in zip(means, spreads, strict=True)]
    mixture = sum(share * density for share, density in zip(shares, densities, strict=True))
    ratios = [np.divide(d, mixture, out=np.ones_like(d), where=mixture > 1e-300) for d in densities]
    return np.trapezoid(sum(s * xlogy(d, r) for s, d, r in zip(shares, densities, ratios, strict=True)), grid)


@pytest.mark.parametrize("kind", list(LABELLED))
def test_numbers_and_labels(kind):
    shares, means, spreads = LABELLED[kind]
    truth, covered, flagged = _of_labels(shares, means, spreads), [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        label = rng.choice(len(shares), 600, p=shares)
        x = np.array(means)[label] + np.array(spreads)[label] * rng.normal(size=600)
        found = mutual_information(x, NAMES[label])
        covered.append(abs(found - truth) <= 2.0 * found.standard_error < 0.15)
        flagged.append(found.bias_suspected)
    assert np.mean(covered) >= 0.8
    assert np.mean(flagged) <= 0.1
    back = mutual_information(NAMES[label], x)
    assert (float(back), back.standard_error) == (float(found), found.standard_error)
    assert float(mutual_information(1e6 * x - 3.0, NAMES[label])) == pytest.approx(float(found), abs=1e-9)
    weighted = mutual_information(
        np.r_[x, 50.0], np.r_[NAMES[label], ["new"]], sample_weight=np.r_[np.full(600, 2.0), 0.0]
    )
    assert float(weighted) == pytest.approx(float(found), abs=1e-12)
    # labels of few rows are few whatever their weight
    heavy = np.where(label == 0, 0.01, 1.0)
    assert mutual_information(x, NAMES[label], sample_weight=heavy).diagnostics["labels"] == len(shares)


def test_many_labels_of_few_rows_are_one_and_that_is_said():
    rng = np.random.default_rng(0)
    label = np.r_[np.repeat(["a", "b"], 200), np.arange(200).astype(str)]
    x = rng.normal(size=600) + 2.0 * (label == "a")
    assert "pooled into one" in " ".join(mutual_information(x, label).reasons)
    assert mutual_information(x[:400], label[:400]).reasons == []


@pytest.mark.parametrize(
    "table",
    [[[0.25, 0.25], [0.25, 0.25]], [[0.4, 0.1], [0.1, 0.4]], [[0.2, 0.1, 0.05], [0.05, 0.2, 0.1], [0.1, 0.05, 0.15]]],
)
def test_labels_and_labels(table):
    joint = np.array(table)
    truth = np.sum(joint * np.log(joint / (joint.sum(axis=1, keepdims=True) * joint.sum(axis=0))))
    covered, values = [], []
    for seed in range(60):
        drawn = np.random.default_rng(seed).choice(joint.size, 300, p=joint.ravel())
        x, y = NAMES[drawn // len(joint)], NAMES[drawn % len(joint)]
        found = mutual_information(x, y)
        values.append(float(found))
        covered.append(abs(found - truth) <= 2.0 * found.standard_error)
    assert np.mean(covered) >= 0.9
    assert abs(np.mean(values) - truth) < 0.01
    parts = [categorical_entropy(x), categorical_entropy(y), categorical_entropy(np.column_stack([x, y]))]
    assert float(found) == pytest.approx(parts[0] + parts[1] - parts[2], abs=1e-12)
    assert float(mutual_information(x, y, sample_weight=np.full(300, 0.2))) == pytest.approx(float(found), abs=1e-12)
