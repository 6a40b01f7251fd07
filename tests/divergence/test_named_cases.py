"""Small inputs that once went wrong, each with its right value; the names of the tests say the kind.

Truths are closed forms, finite sums, or quadrature. Estimates are held to their own interval, or to a doubt said aloud.
"""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import fastkl
from fastkl import (
    DensityMLE,
    SourceError,
    categorical_entropy,
    categorical_kl,
    discrete_cross_entropy,
    discrete_kl,
    entropy,
    jensen_shannon,
    kl_divergence,
    kl_divergence_batches,
    permutation_test,
)

rng = np.random.default_rng
pytestmark = pytest.mark.filterwarnings("ignore::fastkl.SharedRowsWarning")


def known(family, **params):
    return DensityMLE.from_parameters(family, **params)


def covered_or_doubted(estimate, truth):
    low, high = estimate.confidence_interval(0.99)
    return low <= truth <= high or estimate.diagnostics["bias_suspected"]


def test_01_counts_by_index():
    p, q = (pd.Series(list(s)).value_counts(normalize=True) for s in ("aaaaaabbbc", "ccccccbbba"))
    assert discrete_kl(p, q) == pytest.approx(0.895880, abs=1e-6)
    assert discrete_cross_entropy(p, q) == pytest.approx(1.793825, abs=1e-6)


@pytest.mark.parametrize("call", [kl_divergence, jensen_shannon, fastkl.jeffreys, fastkl.kl_lower_bound])
def test_02_columns_by_name(call):
    r = rng(0)
    first, second = (pd.DataFrame({"a": r.normal(0, 1, 200), "b": r.normal(5, 1, 200)}) for _ in range(2))
    with pytest.warns(fastkl.ColumnOrderWarning):
        assert abs(call(first, second[["b", "a"]])) < 0.4
    with pytest.raises(SourceError, match="different columns"):
        call(first, second.rename(columns={"a": "c"}))


@pytest.mark.parametrize(
    ("p", "q", "truth"),
    [
        ([0.0, 1.0], [1.0, 0.0], 0.693147),
        ([1.0, 0.0], [0.5, 0.5], 0.215762),
        ([0.5, 0.5, 0.0], [0.0, 0.5, 0.5], 0.346574),
        ([0.9, 0.1, 0.0], [0.9, 0.0, 0.1], 0.069315),
    ],
)
def test_03_jensen_shannon_of_atoms(p, q, truth):
    x, y = (np.repeat(np.arange(len(w), dtype=float), np.round(1000 * np.array(w)).astype(int)) for w in (p, q))
    assert jensen_shannon(x, y) == pytest.approx(truth, abs=0.01)


def test_04_atoms_that_q_lacks():
    ones, zeros = np.ones(500), np.zeros(500)
    assert kl_divergence(ones, zeros) == np.inf
    assert kl_divergence(np.repeat([0.0, 1.0], 250), zeros) == np.inf
    codes = rng(0).integers(0, 5, 1000)
    assert kl_divergence(2.0 * codes + 1.0, 2.0 * codes) == np.inf


@pytest.mark.parametrize(
    ("p", "truth"), [(stats.norm(1, 2), 1.306853), (stats.t(5), 0.124796), (stats.norm(0, 3), 2.901388)]
)
def test_05_tails_of_p_beyond_q(p, truth):
    r = rng(0)
    assert covered_or_doubted(kl_divergence(p.rvs(4000, random_state=r), r.normal(size=4000)), truth)


def test_06_tails_that_are_joint():
    r = rng(0)
    x = stats.multivariate_t(np.zeros(6), np.eye(6), df=2).rvs(1000, random_state=r)
    assert covered_or_doubted(kl_divergence(x, r.standard_t(2, (1000, 6))), 0.2909)


@pytest.mark.parametrize("n", [100, 1000])
def test_07_a_narrow_q(n):
    r = rng(1)
    q = r.multivariate_normal([0.0, 0.0], [[1.0, 1.0], [1.0, 2.0]], n)
    assert covered_or_doubted(kl_divergence(r.normal(size=(n, 2)), q), 0.5)


def test_08_09_10_samples_against_models():
    r = rng(0)
    normal = known("multivariate_normal", mean=np.zeros(4), covariance=np.eye(4))
    wrong = kl_divergence(r.standard_t(5, (1000, 4)), normal)
    assert abs(wrong - 0.499) < 4.0 * wrong.standard_error + 0.05
    right = kl_divergence(r.normal(size=(1000, 4)), normal)
    assert abs(right) < 3.5 * right.standard_error


def test_11_12_units_of_columns():
    r = rng(0)
    x, y = (np.column_stack([r.lognormal(10.0, 0.6, 1000), r.normal(age, 10.0, 1000)]) for age in (40.0, 50.0))
    estimate = kl_divergence(x, y)
    assert covered_or_doubted(estimate, 0.5)
    assert kl_divergence(x * [1e-3, 10.0], y * [1e-3, 10.0]) == pytest.approx(float(estimate), rel=1e-9)
    assert permutation_test(x, y, n_permutations=199, random_state=0).p_value == 0.005


def test_13_ties_are_no_reason_for_doubt():
    r = rng(0)
    for x, y in ((r.random((2, 10_000)) < [[0.3], [0.5]]), (r.poisson([[1.0], [1.3]], (2, 10_000)))):
        assert not kl_divergence(x.astype(float), y.astype(float)).diagnostics["bias_suspected"]


def test_14_a_constant_column():
    with pytest.raises(ValueError, match="Column 1"):
        entropy(np.column_stack([rng(0).normal(size=500), np.full(500, 2.0)]))


def test_15_16_entropies_of_skewed_and_bounded_columns():
    assert abs(entropy(rng(0).gamma(0.4, size=(1000, 3))) - -1.0205) < 0.4
    bounded = entropy(rng(0).uniform(size=(1000, 3)))
    assert covered_or_doubted(bounded, 0.0)


def test_17_dates_of_several_units_are_refused_or_equal():
    days = np.repeat(np.arange("2026-01-01", "2026-01-06", dtype="datetime64[D]"), [5, 4, 3, 2, 1])
    with pytest.raises((TypeError, ValueError), match="datetime64"):
        categorical_kl(days.astype("datetime64[ns]"), days.astype("datetime64[us]"))


def test_18_blocks_of_one_dimension():
    values = rng(0).normal(size=1000)
    with pytest.raises(ValueError, match="block 0"):
        kl_divergence_batches(list(values.reshape(4, 250)), list(values.reshape(4, 250) + 2.0))


def test_19_closed_forms_keep_their_digits():
    for k in (1e8, 1e12, 1e15):
        p, q = (known("gamma", shape=shape, scale=1.0) for shape in (k, k + np.sqrt(k)))
        # psi'(k) s^2 / 2 for a step of s = sqrt(k), and the next term
        assert kl_divergence(p, q) == pytest.approx(0.5, rel=2.0 / np.sqrt(k) + 1e-12)
    p, q = (known("gamma", shape=shape, scale=1.0) for shape in (1e8, 1e8 + 1.0))
    assert kl_divergence(p, q) == pytest.approx(5e-9, rel=1e-6)
    p, q = (known("dirichlet", concentration=np.array([1e12 + step, 1e12, 1e12])) for step in (0.0, 1e6))
    assert kl_divergence(p, q) == pytest.approx(1.0 / 3.0, rel=1e-5)  # 1e12 (psi'(1e12) - psi'(3e12)) / 2
    p, q = (known("cauchy", loc=loc, scale=1.0) for loc in (0.0, 1e200))
    assert kl_divergence(p, q) == pytest.approx(400.0 * np.log(10.0) - np.log(4.0), rel=1e-12)
    p, q = (known("normal", loc=0.0, scale=scale) for scale in (1e300, 1e-300))
    assert kl_divergence(p, q) == np.inf


def test_20_mass_that_draws_do_not_meet():
    assert kl_divergence(stats.uniform(0.0, 1.0 + 1e-7), stats.uniform(0.0, 1.0)) == np.inf

    class Apart:
        def __init__(self, share):
            self.share = share

        def logpdf(self, X):
            near, far = (stats.norm.logpdf(X - middle).sum(axis=1) for middle in (0.0, 1e4))
            with np.errstate(divide="ignore"):
                return np.logaddexp(np.log1p(-self.share) + near, np.log(self.share) + far)

        def rvs(self, size, random_state):
            return random_state.normal(size=(size, 2)) + 1e4 * (random_state.random_sample((size, 1)) < self.share)

    assert kl_divergence(Apart(1e-6), Apart(0.0), n_draws=5000).diagnostics["bias_suspected"]


def test_21_one_sample_rounded():
    r = rng(0)
    estimate = kl_divergence(r.normal(size=1000).round(1), r.normal(size=1000))
    assert any("rounded" in reason for reason in estimate.diagnostics["reasons"])


def test_22_24_few_rows_of_q():
    r = rng(0)
    x, y = r.normal(size=(1000, 1)), r.normal(size=(5, 1))
    for call in (kl_divergence, jensen_shannon, fastkl.jeffreys):
        assert np.isfinite(call(x, y))
    assert covered_or_doubted(kl_divergence(x, r.normal(size=(10, 1))), 0.0)


def test_23_the_same_sample_twice():
    x = rng(0).normal(size=(500, 2))
    assert any("share rows" in reason for reason in jensen_shannon(x, x).diagnostics["reasons"])


def test_26_decimals():
    values = [Decimal(str(v)) for v in rng(0).normal(size=60).round(6)]
    x, y = np.array(values, dtype=object), rng(1).normal(size=60)
    assert kl_divergence(x, y) == kl_divergence(x.astype(float), y)
    assert kl_divergence(pd.DataFrame({"a": values}), pd.DataFrame({"a": y})) == kl_divergence(x.astype(float), y)


def test_27_probabilities_given_to_a_call_for_samples():
    with pytest.warns(fastkl.ProbabilityVectorWarning, match="discrete_kl"):
        kl_divergence([0.1, 0.6, 0.3], [0.2, 0.3, 0.5])
    with pytest.warns(fastkl.ProbabilityVectorWarning, match="discrete_entropy"):
        entropy([0.1, 0.6, 0.3])
    assert discrete_kl([0.1, 0.6, 0.3], [0.2, 0.3, 0.5]) == pytest.approx(0.193326, abs=1e-6)


def test_28_memory_of_many_logits():
    import tracemalloc

    a, b = rng(0).normal(size=(2, 64, 20_000)).astype(np.float32)
    tracemalloc.start()
    try:
        found = discrete_kl(a, b, logits=True)
        beyond = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert beyond < 0.5 * (a.nbytes + b.nbytes)
    log_p, log_q = (one.astype(float) - np.log(np.exp(one.astype(float)).sum(axis=1, keepdims=True)) for one in (a, b))
    np.testing.assert_allclose(found, (np.exp(log_p) * (log_p - log_q)).sum(axis=1), rtol=1e-12)


def test_30_one_symbol_seen():
    estimate = categorical_entropy(["a"] * 50)
    assert estimate.confidence_interval().high > 0.0 or estimate.diagnostics["bias_suspected"]


def test_refused_by_name():
    x = rng(0).normal(size=(20, 2))
    masked = np.ma.masked_array(x, mask=np.arange(40).reshape(20, 2) == 7)
    twice = pd.DataFrame(x, columns=["a", "a"])
    dated = pd.DataFrame({"a": x[:, 0], "day": [dt.date(2026, 1, 1)] * 20})
    many = 2**53 + np.arange(20)[:, np.newaxis]
    for bad, said in ((masked, "row 3, column 1"), (twice, "'a'"), (dated, "'day'"), (many, r"2\*\*53")):
        with pytest.raises((ValueError, TypeError), match=said):
            kl_divergence(bad, x[:, : bad.shape[1]])
    with pytest.raises(ValueError, match=r"2\*\*53"):
        fastkl.KLDivergence().fit(many)
    with pytest.raises(TypeError, match="class"):
        kl_divergence(x, DensityMLE)
    for option in ({"route": "draws"}, {"n_draws": 5}):
        with pytest.raises(ValueError, match="both samples"):
            kl_divergence(x, x + 1.0, **option)
