"""Tables and tests of densities against numpy, exact distributions and simulation."""

import numpy as np
import pytest
from scipy import stats
from sklearn.mixture import GaussianMixture

from fastkl import DensityMLE, MixtureMLE, cross_entropy, families, kl_divergence
from fastkl.selection import TestResult, compare_densities, likelihood_ratio_test, vuong_test

RNG = np.random.default_rng(31)
TRAIN, TEST = RNG.gamma(2.0, size=(400, 1)), RNG.gamma(2.0, size=(600, 1))
FITTED = {name: DensityMLE(name).fit(TRAIN) for name in ("exponential", "gamma", "normal", "weibull")}
WEIGHTS = RNG.uniform(0.0, 2.0, 600) * (RNG.uniform(size=600) > 0.2)


def test_table_against_numpy():
    table = compare_densities(FITTED, TEST)
    logs = {name: model.score_samples(TEST) for name, model in FITTED.items()}
    order = sorted(FITTED, key=lambda name: -logs[name].mean())
    assert table.names == order
    assert table.best == order[0]
    best = logs[order[0]]
    for i, name in enumerate(order):
        assert table.mean_log_likelihood[i] == pytest.approx(FITTED[name].score(TEST), rel=1e-13)
        assert table.standard_error[i] == pytest.approx(stats.sem(logs[name]), rel=1e-12)
        assert table.kl_difference[i] == pytest.approx((best - logs[name]).mean(), rel=1e-12, abs=1e-15)
        assert table.n_parameters[i] == FITTED[name].n_parameters_
        if i:
            error = stats.sem(best - logs[name])
            assert table.kl_difference_error[i] == pytest.approx(error, rel=1e-12)
            z = (best - logs[name]).mean() / error
            assert table.p_value[i] == pytest.approx(2 * stats.norm.sf(z), rel=1e-10)
    assert np.isnan(table.p_value[0])
    assert table.n_rows == 600


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_differences_of_divergences_are_those_of_cross_entropies(weights):
    """On one sample differences of KL equal differences of cross-entropy, to 1e-12, and rank alike."""
    table = compare_densities(FITTED, TEST, sample_weight=weights)
    entropies = [float(cross_entropy(TEST, FITTED[name], sample_weight_p=weights)) for name in table.names]
    np.testing.assert_allclose(table.kl_difference, np.array(entropies) - entropies[0], atol=1e-12)
    divergences = [
        kl_divergence(TEST, FITTED[name], sample_weight_p=weights, route="density", standard_error=False)
        for name in table.names
    ]
    logs = [d.diagnostics["cross_entropy"] - d.diagnostics["entropy"] for d in divergences]
    np.testing.assert_allclose(logs, [float(d) for d in divergences], atol=1e-12)
    assert table.names == [name for _, name in sorted(zip(entropies, table.names, strict=True))]


def test_standard_error_is_that_of_the_estimate():
    table = compare_densities(FITTED, TEST, sample_weight=WEIGHTS)
    for i, name in enumerate(table.names):
        estimate = cross_entropy(TEST, FITTED[name], sample_weight_p=WEIGHTS)
        assert table.standard_error[i] == pytest.approx(estimate.standard_error, rel=1e-10)


def test_weights_of_zero_leave_rows_out():
    kept = WEIGHTS > 0.0
    table = compare_densities(FITTED, TEST, sample_weight=WEIGHTS)
    fewer = compare_densities(FITTED, TEST[kept], sample_weight=WEIGHTS[kept])
    assert table.n_rows == fewer.n_rows == kept.sum()
    np.testing.assert_allclose(table.kl_difference, fewer.kl_difference, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(table.p_value, fewer.p_value, rtol=1e-9)
    outside = np.r_[TEST, [[-1.0]]]
    table = compare_densities(FITTED, outside, sample_weight=np.r_[WEIGHTS, 0.0])
    np.testing.assert_allclose(table.kl_difference, fewer.kl_difference, rtol=1e-12, atol=1e-15)


def test_a_density_that_excludes_a_row():
    outside = np.r_[TEST, [[-1.0]]]
    table = compare_densities(FITTED, outside)
    assert table.best == "normal"
    assert table.kl_difference[1:].tolist() == [np.inf] * 3
    assert table.p_value[1:].tolist() == [0.0] * 3
    assert np.isnan(table.kl_difference_error[1:]).all()
    with pytest.raises(ValueError, match="Row 600 lies outside the support of both"):
        table.test("gamma", "weibull")
    with pytest.raises(ValueError, match="excludes a row"):
        compare_densities({"gamma": FITTED["gamma"]}, outside)


def test_table_prints():
    table = compare_densities(list(FITTED.items()), TEST)
    text = repr(table)
    assert text.splitlines()[0] == "600 rows, nats per row, best first"
    assert len(text.splitlines()) == 6
    assert max(map(len, text.splitlines())) < 100
    assert f"{table.kl_difference[1]:.4f}" in text
    assert table._repr_html_().count("<tr>") == 5
    frame = table.to_frame()
    assert list(frame.index) == table.names
    np.testing.assert_array_equal(frame["kl_difference"], table.kl_difference)


def test_other_densities_join():
    """Whatever has score_samples."""
    mixture = GaussianMixture(1).fit(TRAIN)
    table = compare_densities({"scikit-learn": mixture, "fastkl": DensityMLE().fit(TRAIN)}, TEST)
    assert table.kl_difference[1] == pytest.approx(0.0, abs=1e-6)  # its reg_covar
    assert table.n_parameters[table.names.index("scikit-learn")] is None
    assert "scikit-learn" in repr(table)


def test_bad_tables():
    with pytest.raises(ValueError, match="at least one"):
        compare_densities({}, TEST)
    with pytest.raises(ValueError, match="name of its own"):
        compare_densities([("a", FITTED["gamma"]), ("a", FITTED["normal"])], TEST)
    with pytest.raises(TypeError, match="score_samples"):
        compare_densities({"a": 3.0}, TEST)
    with pytest.raises(ValueError, match="no density named 'cauchy'"):
        compare_densities(FITTED, TEST).test("gamma", "cauchy")
    with pytest.raises(ValueError, match="sample_weight"):
        compare_densities(FITTED, TEST, sample_weight=-WEIGHTS)


def test_vuong():
    result = vuong_test(FITTED["gamma"], FITTED["normal"], TEST)
    ratio = FITTED["gamma"].score_samples(TEST) - FITTED["normal"].score_samples(TEST)
    reference = stats.ttest_1samp(ratio, 0.0)
    assert result.statistic == pytest.approx(reference.statistic, rel=1e-10)
    assert result.difference == pytest.approx(ratio.mean(), rel=1e-12)
    assert result.p_value == pytest.approx(2 * stats.norm.sf(abs(reference.statistic)), rel=1e-10)
    back = vuong_test(FITTED["normal"], FITTED["gamma"], TEST)
    assert back.statistic == -result.statistic
    table = compare_densities(FITTED, TEST)
    assert table.test("gamma", "normal") == result
    same = vuong_test(FITTED["gamma"], FITTED["gamma"], TEST)
    assert np.isnan(same.p_value)
    assert same.difference == 0.0
    excluded = vuong_test(FITTED["gamma"], FITTED["normal"], np.r_[TEST, [[-1.0]]])
    assert excluded.statistic == -np.inf
    assert excluded.p_value == 0.0


def test_two_wrong_families():
    """gamma(2,1) rows: KL 0.115932 to the exponential, 0.188296 to the normal; the difference is found with its error."""
    X = np.random.default_rng(5).gamma(2.0, size=(200_000, 1))
    exponential = DensityMLE.from_parameters("exponential", scale=2.0)
    normal = DensityMLE.from_parameters("normal", loc=2.0, scale=np.sqrt(2.0))
    result = vuong_test(exponential, normal, X)
    assert abs(result.difference - (0.188296 - 0.115932)) < 4 * result.standard_error
    assert result.p_value < 1e-6


def test_vuong_level():
    """Two densities equally far from the data distribution, N(-1, 1) and N(1, 1) for N(0, 1) rows: 5 % of rejections at 5 %."""
    left, right = (DensityMLE.from_parameters("normal", loc=m, scale=1.0) for m in (-1.0, 1.0))
    generator = np.random.default_rng(6)
    p_values = [vuong_test(left, right, generator.standard_normal((60, 1))).p_value for _ in range(800)]
    assert np.mean(np.array(p_values) < 0.05) == pytest.approx(0.05, abs=0.03)


def test_likelihood_ratio():
    nested, full = DensityMLE(families.Gamma(shape=1.0)).fit(TRAIN), FITTED["gamma"]
    result = likelihood_ratio_test(nested, full, TRAIN)
    expected = 2 * (full.log_likelihood_ - nested.log_likelihood_)
    assert result.statistic == pytest.approx(expected, rel=1e-12)
    assert result.df == 1
    assert result.p_value == pytest.approx(stats.chi2.sf(expected, 1), rel=1e-12)
    weights = np.r_[np.zeros(100), np.full(300, 2.0)]
    pair = [
        DensityMLE(distribution).fit(TRAIN, sample_weight=weights)
        for distribution in (families.Gamma(shape=1.0), "gamma")
    ]
    twice = [
        DensityMLE(distribution).fit(np.repeat(TRAIN[100:], 2, axis=0))
        for distribution in (families.Gamma(shape=1.0), "gamma")
    ]
    assert likelihood_ratio_test(*pair, TRAIN, weights).statistic == pytest.approx(
        likelihood_ratio_test(*twice, np.repeat(TRAIN[100:], 2, axis=0)).statistic, rel=1e-10
    )
    with pytest.raises(ValueError, match="needs more"):
        likelihood_ratio_test(full, nested, TRAIN)
    with pytest.raises(ValueError, match="less well"):
        likelihood_ratio_test(FITTED["exponential"], DensityMLE("normal").fit(TRAIN), TRAIN)
    with pytest.raises(ValueError, match="n_boundary"):
        likelihood_ratio_test(nested, full, TRAIN, n_boundary=2)


def test_likelihood_ratio_level():
    """Under the nested distribution the p-values are uniform: gamma with shape 1 is exponential."""
    X = np.random.default_rng(7).exponential(size=(200, 500))
    p_values = []
    for j in range(500):
        pair = [DensityMLE(distribution, n_jobs=1).fit(X[:, [j]]) for distribution in ("exponential", "gamma")]
        p_values.append(likelihood_ratio_test(*pair, X[:, [j]]).p_value)
    assert stats.kstest(p_values, "uniform").pvalue > 1e-3


@pytest.mark.parametrize(
    ("nested", "full", "draw"),
    [
        ("poisson", "zero_inflated_poisson", lambda rng: rng.poisson(1.0, size=(300, 1))),
        ("poisson", "negative_binomial", lambda rng: rng.poisson(4.0, size=(300, 1))),
        ("normal", "student_t", lambda rng: rng.normal(size=(300, 1))),
    ],
)
def test_likelihood_ratio_at_the_edge(nested, full, draw):
    """No zero inflation, an infinite size: half of the samples have statistic 0, the rest are chi-squared with one degree."""
    rng = np.random.default_rng(8)
    p_values, statistics = [], []
    for _ in range(400):
        X = draw(rng).astype(float)
        result = likelihood_ratio_test(*(DensityMLE(name, n_jobs=1).fit(X) for name in (nested, full)), X)
        p_values.append(result.p_value)
        statistics.append(result.statistic)
        tail = stats.chi2.sf(max(result.statistic, 0.0), 1)
        assert result.p_value == pytest.approx(0.5 * tail + 0.5 * (result.statistic <= 0.0), rel=1e-9)
    assert np.mean(np.array(statistics) < 1e-8) == pytest.approx(0.5, abs=0.12)
    assert np.mean(np.array(p_values) < 0.05) == pytest.approx(0.05, abs=0.04)


def test_likelihood_ratio_of_densities_that_are_not_inside_each_other(recwarn):
    """Chi-squared is for one density inside the other: lognormal is no Student distribution, and of one component more
    any parameters will do where its weight is 0."""
    fitted = {name: DensityMLE(name).fit(TRAIN) for name in ("exponential", "burr12")}
    likelihood_ratio_test(fitted["exponential"], fitted["burr12"], TRAIN)  # by way of weibull
    pairs = np.random.default_rng(1).normal(size=(50, 2))
    likelihood_ratio_test(DensityMLE("normal").fit(pairs), DensityMLE("multivariate_normal").fit(pairs), pairs)
    assert not recwarn.list
    rows = np.random.default_rng(3).standard_t(3.0, size=(200, 1)) + 20.0
    with pytest.warns(UserWarning, match="lognormal is not known to be inside student_t.* vuong_test"):
        likelihood_ratio_test(DensityMLE("lognormal").fit(rows), DensityMLE("student_t").fit(rows), rows)
    one, two = (MixtureMLE(k, family="normal", random_state=0).fit(TRAIN) for k in (1, 2))
    for nested in (one, DensityMLE("normal").fit(TRAIN)):
        with pytest.warns(UserWarning, match="One of 2 components .* choose_components"):
            likelihood_ratio_test(nested, two, TRAIN)


def test_likelihood_ratio_of_a_component_without_free_parameters(recwarn):
    """Its weight alone is tested, at its edge 0: zeros beside counts, a background beside a normal distribution."""
    counts = np.random.default_rng(5).negative_binomial(2, 0.3, size=(300, 1))
    zeros = MixtureMLE(family=[families.Poisson(rate=0), "negative_binomial"], random_state=0).fit(counts)
    found = likelihood_ratio_test(DensityMLE("negative_binomial").fit(counts), zeros, counts)
    assert found.p_value == pytest.approx(0.5 * stats.chi2.sf(found.statistic, 1) + 0.5 * (found.statistic <= 0.0))
    assert found.hypothesis.endswith("at the edge of the full one")
    assert not recwarn.list
    with pytest.warns(UserWarning, match="One of 2 components"):  # what is held is not what the nested one lacks
        likelihood_ratio_test(DensityMLE("poisson").fit(counts), zeros, counts)


def test_likelihood_ratio_of_a_signal_on_a_background_both_of_which_are_known(recwarn):
    """Only a share is fitted: under a share of 0, half of the samples have no signal at all, and the rest half a chi-squared."""
    signal, background = families.Normal(loc=5.0, scale=0.3), families.Uniform(low=0.0, high=10.0)
    rng, found = np.random.default_rng(7), []
    for _ in range(200):
        rows = rng.uniform(0.0, 10.0, size=(300, 1))
        both = MixtureMLE(family=[signal, background], random_state=0, n_jobs=1).fit(rows)
        found.append(likelihood_ratio_test(DensityMLE(background).fit(rows), both, rows).p_value)
    assert not recwarn.list
    assert np.mean(np.array(found) < 0.1) == pytest.approx(0.1, abs=0.05)
    other = DensityMLE(families.Uniform(low=-1.0, high=11.0)).fit(rows)
    with pytest.warns(UserWarning, match="One of 2 components"):  # another background than that of the mixture
        likelihood_ratio_test(other, both, rows)


def test_densities_and_probabilities_are_not_compared():
    counts = np.random.default_rng(5).poisson(3.0, size=(50, 1)).astype(float)
    pair = {name: DensityMLE(name).fit(counts) for name in ("poisson", "normal")}
    with pytest.raises(ValueError, match="no common measure"):
        compare_densities(pair, counts)


def test_densities_without_names_are_refused_with_the_way_out():
    X = np.random.default_rng(0).normal(size=(50, 1))
    with pytest.raises(TypeError, match="compare_densities takes a dict of names and densities"):
        compare_densities([DensityMLE("normal").fit(X)], X)


def test_a_notebook_shows_what_a_test_found():
    rows = np.random.default_rng(0).gamma(2.0, size=(200, 1))
    found = vuong_test(DensityMLE("gamma").fit(rows), DensityMLE("normal").fit(rows), rows)
    text = found._repr_html_()
    assert f"<th>p-value</th><td>{found.p_value:.3g}</td>" in text
    assert f"{found.difference:.4g} ± {found.standard_error:.2g} <svg" in text
    assert "df =" not in text
    nested = TestResult(3.0, 0.08, 0.1, 0.0, 1, "shape < 1")._repr_html_()
    assert "3 (df = 1)" in nested
    assert "shape &lt; 1" in nested
