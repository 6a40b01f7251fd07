"""Joint families (multivariate t, Dirichlet, multinomial, von Mises-Fisher): references, boundaries, bad rows."""

import mpmath as mp
import numpy as np
import pytest
from scipy import optimize, stats
from sklearn.datasets import load_iris

from fastkl import DensityMLE, families
from fastkl._core.rows import Rows
from fastkl.exceptions import DegenerateDataError, SupportError
from fastkl.families import closed_form
from fastkl.families._student import student_sums_of_rows
from tests.families.differences import close, slopes

mp.mp.dps = 50


# -- multivariate t --------------------------------------------------------------------------------------------------------

SCALE = np.array([[2.0, 0.6, 0.1], [0.6, 0.5, -0.2], [0.1, -0.2, 1.5]])
LOC = np.array([1.0, -2.0, 0.5])


@pytest.mark.parametrize("df", [0.1, 1.0, 4.0, 30.0, 1e4, 1e8])
def test_t_log_density(df):
    distribution = DensityMLE.from_parameters("multivariate_t", df=df, loc=LOC, scale=SCALE)
    S, precision = mp.matrix(SCALE.tolist()), mp.matrix(SCALE.tolist()) ** -1
    nu, d = mp.mpf(df), 3
    constant = (
        mp.loggamma((nu + d) / 2) - mp.loggamma(nu / 2) - mp.mpf(d) / 2 * mp.log(nu * mp.pi) - mp.log(mp.det(S)) / 2
    )
    for x in ([1.0, -2.0, 0.5], [1.1, -2.3, 0.4], [100.0, 7.0, -50.0], [1e8, 1e7, 0.0]):
        z = mp.matrix(x) - mp.matrix(LOC.tolist())
        want = constant - (nu + d) / 2 * mp.log1p((z.T * precision * z)[0] / nu)
        assert close(distribution.score_samples([x])[0], want), x


def test_t_with_infinite_df_is_normal():
    X = np.random.default_rng(0).normal(size=(50, 3))
    limit = DensityMLE.from_parameters("multivariate_t", df=np.inf, loc=LOC, scale=SCALE)
    normal = DensityMLE.from_parameters("multivariate_normal", mean=LOC, covariance=SCALE)
    np.testing.assert_allclose(limit.score_samples(X), normal.score_samples(X), rtol=1e-14)
    np.testing.assert_allclose(limit.family_.entropy(limit.params_), normal.family_.entropy(normal.params_), rtol=1e-14)
    gradient, want = limit.gradient(X), normal.gradient(X)
    np.testing.assert_allclose(gradient["loc"], want["mean"], rtol=1e-12)
    np.testing.assert_allclose(gradient["scale"], want["covariance"], rtol=1e-12)


def test_t_normal_limit_is_reported():
    X = load_iris().data
    model, normal = DensityMLE("multivariate_t").fit(X), DensityMLE("multivariate_normal").fit(X)
    assert np.isinf(model.params_["df"])
    assert "df" in model.boundary_
    assert "df" not in model.standard_errors_
    np.testing.assert_allclose(model.params_["scale"], normal.params_["covariance"], rtol=1e-12)
    np.testing.assert_allclose(model.log_likelihood_, normal.log_likelihood_, rtol=1e-13)
    np.testing.assert_allclose(model.standard_errors_["scale"], normal.standard_errors_["covariance"], rtol=1e-9)
    np.testing.assert_allclose(model.standard_errors_["loc"], normal.standard_errors_["mean"], rtol=1e-9)


@pytest.mark.parametrize("d", [1, 3])
def test_t_gradient_and_information(d):
    distribution = DensityMLE.from_parameters("multivariate_t", df=4.0, loc=LOC[:d], scale=SCALE[:d, :d])
    X, w = distribution.sample(300, random_state=1), np.random.default_rng(2).uniform(0.5, 2.0, 300)
    model = DensityMLE("multivariate_t").fit(X, sample_weight=w)
    i, j = np.triu_indices(d)

    def unpack(x):
        scale = np.zeros((d, d))
        scale[i, j] = scale[j, i] = x[1 + d :]
        return DensityMLE.from_parameters("multivariate_t", df=x[0], loc=x[1 : 1 + d], scale=scale)

    def value(x):
        return unpack(x).log_likelihood(X, w)

    def gradient(x):
        g = unpack(x).gradient(X, w)
        return w.sum() * np.concatenate([[g["df"]], g["loc"], np.where(i == j, 1.0, 2.0) * g["scale"][i, j]])

    at = np.concatenate([[3.0], LOC[:d] + 0.1, (1.2 * SCALE[:d, :d])[i, j]])
    np.testing.assert_allclose(gradient(at), slopes(value, at), rtol=1e-6, atol=1e-6)
    best = np.concatenate([[model.params_["df"]], model.params_["loc"], model.params_["scale"][i, j]])
    np.testing.assert_allclose(gradient(best), 0.0, atol=1e-8 * w.sum())
    np.testing.assert_allclose(
        np.linalg.inv(-slopes(gradient, best)), model.covariance_of_params_, rtol=1e-4, atol=1e-7
    )


@pytest.mark.parametrize("d", [1, 2, 3, 4, 5, 9])
@pytest.mark.parametrize("k", [0.0, 1e-6, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
def test_t_sums_of_one_pass(d, k, weighted):
    """Against numpy row by row, over several blocks; the same for any number of threads."""
    generator = np.random.default_rng(d)
    X, w = generator.standard_t(3.0, size=(9000, d)), generator.uniform(0.5, 2.0, 9000)
    lower = np.linalg.cholesky(np.cov(generator.normal(size=(50, d)).T).reshape(d, d) + np.eye(d))
    loc, weights = np.linspace(0.1, 0.4, d), w if weighted else None
    rises, (weight, mean, scatter) = student_sums_of_rows(X, weights, loc, lower, k, 2)
    s = np.sum(np.linalg.solve(lower, (X - loc).T) ** 2, axis=0)
    own = (w if weighted else 1.0) * (1.0 + k * d) / (1.0 + k * s)
    log = -0.5 * s if k == 0.0 else -0.5 * (1.0 / k + d) * np.log1p(k * s)
    np.testing.assert_allclose(rises[0], np.sum((w if weighted else 1.0) * log), rtol=1e-10)
    np.testing.assert_allclose(weight, own.sum(), rtol=1e-12)
    np.testing.assert_allclose(mean, own @ X / own.sum(), rtol=1e-9, atol=1e-12)
    expected = (own[:, None] * (X - mean)).T @ (X - mean)
    np.testing.assert_allclose(scatter, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())
    again = student_sums_of_rows(X, weights, loc, lower, k, 1)
    np.testing.assert_array_equal(again[0], rises)
    np.testing.assert_array_equal(again[1][2], scatter)


def test_t_in_one_dimension_against_an_optimiser():
    x = stats.t(2.5, loc=3.0, scale=0.4).rvs(200, random_state=3)
    model = DensityMLE("multivariate_t").fit(x[:, None])

    def loss(t):
        return -stats.t(np.exp(t[0]), loc=t[1], scale=np.exp(t[2])).logpdf(x).sum()

    best = optimize.minimize(loss, [1.0, 3.0, -1.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-11})
    np.testing.assert_allclose(np.log(model.params_["df"]), best.x[0], atol=1e-6)
    np.testing.assert_allclose(model.params_["loc"][0], best.x[1], atol=1e-7)
    np.testing.assert_allclose(model.params_["scale"][0, 0], np.exp(2.0 * best.x[2]), rtol=1e-6)


@pytest.mark.parametrize(
    "fixed", [{"df": 3.0}, {"loc": LOC}, {"scale": SCALE}, {"df": np.inf}, {"loc": LOC, "scale": SCALE}]
)
def test_t_with_parameters_held(fixed):
    distribution = DensityMLE.from_parameters("multivariate_t", df=5.0, loc=LOC, scale=SCALE)
    X = distribution.sample(300, random_state=5)
    model = DensityMLE(families.MultivariateT(**fixed)).fit(X)
    gradient = model.gradient(X)
    for name, value in model.params_.items():
        if name in fixed:
            np.testing.assert_array_equal(value, fixed[name])
            assert name not in model.standard_errors_
        else:
            assert np.max(np.abs(gradient[name])) < 1e-9
            assert np.all(np.asarray(model.standard_errors_[name]) > 0.0)


def test_t_shifted_data():
    distribution = DensityMLE.from_parameters("multivariate_t", df=5.0, loc=LOC, scale=SCALE)
    X = np.round(distribution.sample(300, random_state=6) * 2**20) / 2**20
    near, far = DensityMLE("multivariate_t").fit(X), DensityMLE("multivariate_t").fit(X + 2.0**27)
    np.testing.assert_allclose(far.params_["scale"], near.params_["scale"], rtol=1e-7)
    np.testing.assert_allclose(far.params_["df"], near.params_["df"], rtol=1e-7)


def test_t_that_does_not_exist():
    rng = np.random.default_rng(7)
    with pytest.raises(DegenerateDataError, match="no more rows than columns"):
        DensityMLE("multivariate_t").fit(rng.normal(size=(3, 5)))
    X = rng.normal(size=(20, 3))
    X[:, 1] = 4.0
    with pytest.raises(DegenerateDataError, match="Column 1 is constant"):
        DensityMLE("multivariate_t").fit(X)
    X = rng.normal(size=(30, 2))
    X[:25] = [0.0, 1.0]
    with pytest.raises(DegenerateDataError, match="collapses"):
        DensityMLE("multivariate_t").fit(X)


# -- Dirichlet -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("a", [[1e-3, 2e-3, 1e-3], [0.5, 1.0, 7.0], [1e6, 2e6, 0.5e6], [1e-3, 1e6, 3.0]])
def test_dirichlet_log_density(a):
    distribution = DensityMLE.from_parameters("dirichlet", concentration=a)
    X = np.array(
        [[0.25, 0.5, 0.25], [1e-300, 0.5, 0.5], [0.1, 0.2, 0.7], [1e-5, 1e-5, 0.99998], [0.285, 0.5715, 0.1435]]
    )
    A = [mp.mpf(v) for v in a]
    constant = mp.loggamma(mp.fsum(A)) - mp.fsum(mp.loggamma(v) for v in A)
    for x, got in zip(X, distribution.score_samples(X), strict=True):
        want = constant + mp.fsum((v - 1) * mp.log(mp.mpf(float(part))) for v, part in zip(A, x, strict=True))
        assert close(got, want), (x, got, want)


@pytest.mark.parametrize("a", [[1e-2, 2e-2, 4e-2], [0.3, 4.0, 90.0, 1.0], [1e4, 3e4], [1e6, 2e6, 3e6]])
def test_dirichlet_score_is_zero_at_the_fit(a):
    X = np.random.default_rng(1).dirichlet(a, size=500)
    X = X[(X > 0.0).all(axis=1)]
    model = DensityMLE("dirichlet").fit(X)
    c = [mp.mpf(float(v)) for v in model.params_["concentration"]]
    g = [mp.fsum(mp.log(mp.mpf(float(v))) for v in column) / len(X) for column in X.T]
    total = mp.digamma(mp.fsum(c))
    # the score over its slope: how far the fit is from the root, relative to it
    for value, mean_log in zip(c, g, strict=True):
        assert abs((total - mp.digamma(value) + mean_log) / (mp.psi(1, value) * value)) < 1e-9
    assert model.converged_
    exact = len(X) * (
        mp.loggamma(mp.fsum(c))
        - mp.fsum(mp.loggamma(v) for v in c)
        + mp.fsum((v - 1) * m for v, m in zip(c, g, strict=True))
    )
    np.testing.assert_allclose(model.log_likelihood_, float(exact), rtol=1e-10)
    np.testing.assert_allclose(model.log_likelihood(X), model.score_samples(X).sum(), rtol=1e-9)


def test_dirichlet_standard_errors():
    X = np.random.default_rng(2).dirichlet([1.0, 2.0, 3.0], size=200)
    model = DensityMLE("dirichlet").fit(X)

    def gradient(a):
        return 200.0 * DensityMLE.from_parameters("dirichlet", concentration=a).gradient(X)["concentration"]

    want = np.linalg.inv(-slopes(gradient, model.params_["concentration"]))
    np.testing.assert_allclose(model.covariance_of_params_, want, rtol=1e-8)


def test_rows_that_are_no_composition():
    X = np.random.default_rng(3).dirichlet([1.0, 2.0, 3.0], size=100)
    model = DensityMLE("dirichlet").fit(X)
    bad = X.copy()
    bad[60] *= 1.001
    with pytest.raises(SupportError, match=r"row 60 sums to 1\.001"):
        DensityMLE("dirichlet").fit(bad)
    assert model.score_samples(bad)[60] == -np.inf
    assert model.log_likelihood(bad) == -np.inf
    bad = X.copy()
    bad[61] = [0.0, 0.5, 0.5]
    with pytest.raises(SupportError, match="row 61, column 0 holds 0"):
        DensityMLE("dirichlet").fit(bad)
    assert model.score_samples(bad)[61] == -np.inf
    np.testing.assert_allclose(
        DensityMLE("dirichlet").fit(X * (1.0 + 5e-8)).params_["concentration"],
        model.params_["concentration"],
        rtol=1e-4,
    )
    with pytest.raises(DegenerateDataError, match="All rows are equal"):
        DensityMLE("dirichlet").fit(X[:1])


# -- multinomial -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("d", [2, 3, 5, 40])
def test_likelihood_of_rows_that_fulfil_an_equation(d, dtype, weighted):
    """The sums that likelihood and slope need are those of the fit, and the likelihood is that of the rows one by one."""
    generator = np.random.default_rng(d)
    w = generator.uniform(0.5, 2.0, 9000) if weighted else None
    compositions = generator.dirichlet(np.linspace(0.3, 3.0, d), size=9000).clip(1e-30)
    directions = generator.normal(size=(9000, d)) + 1.0
    for name, X in (
        ("dirichlet", compositions / compositions.sum(axis=1, keepdims=True)),
        ("von_mises_fisher", directions / np.linalg.norm(directions, axis=1, keepdims=True)),
    ):
        X = X.astype(dtype)
        model = DensityMLE(name).fit(X, sample_weight=w)
        rows = Rows(X, w, n_threads=2)
        less, all_of_them = model.family_.likelihood_statistics(rows), model.family_.statistics(rows)
        assert set(less) <= set(all_of_them)
        for key, value in less.items():
            np.testing.assert_allclose(value, all_of_them[key], rtol=1e-12, atol=1e-14)
        want = np.average(model.score_samples(X), weights=w)
        np.testing.assert_allclose(model.score(X, sample_weight=w), want, rtol=1e-11, atol=1e-11)


def test_parts_that_need_care_and_rows_that_are_none():
    """Two negative parts whose logarithms would multiply to a positive number, subnormal parts, and rows just off."""
    model = DensityMLE.from_parameters("dirichlet", concentration=[1.0, 2.0, 1.5, 0.5])
    good = np.tile([0.1, 0.2, 0.3, 0.4], (40, 1))
    tiny = good.copy()
    tiny[7] = [5e-324, 0.5, 0.25, 0.25]
    np.testing.assert_allclose(model.score(tiny), model.score_samples(tiny).mean(), rtol=1e-13)
    score, gradient = model.score_and_gradient(tiny)
    np.testing.assert_allclose(score, model.score(tiny), rtol=1e-14)
    np.testing.assert_allclose(gradient["concentration"], model.gradient(tiny)["concentration"], rtol=1e-13)
    for bad in ([-0.1, 0.2, -0.3, 1.2], [0.0, 0.2, 0.4, 0.4], [0.1, 0.2, 0.3, 0.4 + 3e-7], [-0.1, -0.2, 0.5, 0.8]):
        rows = good.copy()
        rows[30] = bad
        assert model.score(rows) == -np.inf
        with pytest.raises(SupportError, match="row 30"):
            model.score_and_gradient(rows)
    sphere = DensityMLE.from_parameters("von_mises_fisher", direction=[1.0, 0.0], concentration=2.0)
    rows = np.tile([0.6, 0.8], (40, 1))
    rows[30] = [0.6, 0.8 + 3e-7]
    assert sphere.score(rows) == -np.inf
    with pytest.raises(SupportError, match="row 30"):
        sphere.score_and_gradient(rows)
    rows[30] = [0.6, np.nan]
    with pytest.raises(ValueError, match="NaN"):
        sphere.score_and_gradient(rows)


def test_multinomial_log_density():
    p = np.array([0.2, 0.3, 0.5])
    distribution = DensityMLE.from_parameters("multinomial", probabilities=p)
    for x in ([0, 0, 0], [1, 0, 0], [3, 4, 5], [200, 300, 500], [10**9, 2, 3], [2 * 10**15, 3 * 10**15, 5 * 10**15]):
        want = mp.loggamma(sum(x) + 1) + mp.fsum(
            c * mp.log(mp.mpf(float(q))) - mp.loggamma(c + 1) for c, q in zip(x, p, strict=True)
        )
        # probabilities that sum to 1 but for rounding: what is left over is multiplied by the total
        assert abs(mp.mpf(distribution.score_samples(np.array([x]))[0]) - want) <= 1e-13 * max(
            1, abs(want)
        ) + 1e-16 * sum(x), x
    zero = DensityMLE.from_parameters("multinomial", probabilities=[1.0, 0.0])
    assert zero.score_samples([[3, 0], [3, 1]]).tolist() == [0.0, -np.inf]


@pytest.mark.parametrize("p", [1e-150, 1e-160, 1e-272, 1e-300, 5e-324])
def test_multinomial_with_hardly_possible_counts(p):
    distribution = DensityMLE.from_parameters("multinomial", probabilities=[p, 1.0])
    found = distribution.score_samples([[1, 0], [2, 3], [0, 5], [0, 0]])
    np.testing.assert_allclose(found, [np.log(p), 2.0 * np.log(p) + np.log(10.0), 0.0, 0.0], rtol=1e-15, atol=1e-15)


def test_multinomial_with_totals_that_differ():
    rng = np.random.default_rng(0)
    X = np.array([rng.multinomial(n, [0.1, 0.2, 0.7]) for n in rng.integers(0, 30, 9000)])
    model = DensityMLE("multinomial").fit(X)
    np.testing.assert_allclose(model.params_["probabilities"], X.sum(axis=0) / X.sum(), rtol=1e-15)
    want = stats.multinomial(X.sum(axis=1), model.params_["probabilities"]).logpmf(X).sum()
    np.testing.assert_allclose(model.log_likelihood_, want, rtol=1e-11)
    np.testing.assert_allclose(model.score_samples(X).sum(), want, rtol=1e-11)
    assert model.family_.n_trials == round(X.sum() / len(X))
    with pytest.raises(SupportError, match="row 8000, column 1"):
        DensityMLE("multinomial").fit(np.where((np.arange(9000) == 8000)[:, None] & (np.arange(3) == 1), 0.5, X))


def test_multinomial_entropy_and_divergence():
    distribution = DensityMLE.from_parameters(families.Multinomial(n_trials=6), probabilities=[0.1, 0.2, 0.7])
    np.testing.assert_allclose(
        distribution.family_.entropy(distribution.params_), stats.multinomial(6, [0.1, 0.2, 0.7]).entropy(), rtol=1e-12
    )
    other = DensityMLE.from_parameters(families.Multinomial(n_trials=6), probabilities=[0.3, 0.3, 0.4])
    want = 6.0 * np.sum(
        distribution.params_["probabilities"]
        * np.log(distribution.params_["probabilities"] / other.params_["probabilities"])
    )
    np.testing.assert_allclose(
        closed_form.kl(distribution.family_, distribution.params_, other.family_, other.params_), want, rtol=1e-13
    )
    unknown = families.Multinomial()
    assert closed_form.kl(unknown, distribution.params_, unknown, other.params_) is None
    with pytest.raises(DegenerateDataError, match="All counts are 0"):
        DensityMLE("multinomial").fit(np.zeros((3, 2)))


def test_a_multivariate_t_whose_scale_has_no_factor():
    """An outlier in all columns, and weights of next to nothing: the scale is singular to rounding."""
    X = [[1e12, 1e12], [-0.232292913, 0.321480017], [-0.157688410, -1.14124005]]
    with pytest.raises(DegenerateDataError):
        DensityMLE("multivariate_t").fit(X, sample_weight=[1.42970515e-300, 1.72855713e-300, 8.89630086e-301])


@pytest.mark.parametrize(
    ("row", "advice"),
    [
        ([50.0, 30.0, 20.0], "Divide every row by its sum .* counts are for"),
        ([0.5, 0.5, 0.0], "Replace zeros by a small part"),
    ],
)
def test_shares_in_per_cent_and_shares_of_0_are_told_apart(row, advice):
    with pytest.raises(SupportError, match=f"rows of positive parts that sum to 1; row 0, column .*{advice}"):
        DensityMLE("dirichlet").fit([row, [0.2, 0.3, 0.5]])
