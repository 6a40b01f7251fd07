"""Fits of Student's t, the Cauchy and the multivariate t where the likelihood has several maxima, a ridge, or a spike."""

import mpmath as mp
import numpy as np
import pytest
from scipy import stats

from fastkl import DegenerateDataError, DensityMLE, MixtureMLE, families
from fastkl._core.rows import Rows
from tests.families import samples


def exact(column):
    """A column as numbers of mpmath."""
    return [mp.mpf(float(x)) for x in column]


def two_groups(permuted=False):
    generator = np.random.default_rng(0)
    X = np.concatenate([generator.normal(size=100), 50.0 + 0.5 * generator.normal(size=100)])
    return (generator.permutation(X) if permuted else X)[:, None]


@pytest.mark.parametrize("permuted", [False, True])
def test_student_t_of_two_groups(permuted):
    """Against the best of 3,000 fixed (df, loc, scale) on a grid, by SciPy's log-density: far above the normal limit."""
    X = two_groups(permuted)
    model = DensityMLE("student_t").fit(X)
    highest = max(
        stats.t.logpdf(X, df, loc, scale).sum()
        for df in (0.2, 0.25, 0.289, 0.33, 0.5, 1.0, 3.0)
        for loc in np.linspace(49.9, 50.1, 21)
        for scale in (0.4, 0.446, 0.5, 1.0)
    )
    assert highest > stats.norm.logpdf(X, X.mean(), X.std()).sum() + 28.0
    assert highest <= model.log_likelihood_ < highest + 0.1
    assert model.boundary_ == {}
    params = {name: float(value[0]) for name, value in model.params_.items()}
    np.testing.assert_allclose(stats.t.logpdf(X, **params).sum(), model.log_likelihood_, rtol=1e-12)


@pytest.mark.parametrize("df", [0.2, 0.5, 0.7, 1.0, 2.0, 5.0, 30.0])
def test_a_free_df_is_never_below_a_fixed_one(df):
    for seed in range(12):
        generator = np.random.default_rng(seed)
        n, far = int(generator.integers(20, 120)), 10.0 ** generator.uniform(0.5, 6.0)
        X = generator.normal(size=(n, 1))
        X[: n // 2] = far + generator.choice([0.01, 0.5, 1.0]) * X[: n // 2]
        free, fixed = DensityMLE("student_t").fit(X), DensityMLE(families.StudentT(df=df)).fit(X)
        assert free.log_likelihood_ >= fixed.log_likelihood_ - 1e-6
        assert free.converged_
        assert fixed.converged_


def test_cauchy_of_half_its_rows_tied():
    """log-likelihood at the tie falls with the scale everywhere: its least upper bound is no value of it."""
    for X, w in (
        ([[0.0], [0.0], [1.0], [2.0]], None),
        ([[0.0], [1.0], [2.0]], [2.0, 1.0, 1.0]),
        ([[0.0]] * 3 + [[5.0]], None),
    ):
        with pytest.raises(DegenerateDataError, match="too many rows with the same value"):
            DensityMLE("cauchy").fit(X, sample_weight=w)
    assert DensityMLE("cauchy").fit([[0.0], [0.0], [1.0], [2.0], [3.0]]).converged_


def test_a_few_rows_apart_are_normal_where_no_other_maximum_is():
    """Every ascent in df runs into a row; of df = inf, a maximum to smaller df, and a few between that is the highest."""
    X = np.array([[1.0], [2.0], [4.0], [9.0]])
    model = DensityMLE("student_t").fit(X)
    assert model.params_["df"][0] == np.inf
    assert model.log_likelihood_ == pytest.approx(DensityMLE("normal").fit(X).log_likelihood_, rel=1e-13)
    for df in (0.5, 1.0, 3.0):
        assert model.log_likelihood_ >= DensityMLE(families.StudentT(df=df)).fit(X).log_likelihood_


def test_rows_apart_are_not_said_to_be_tied():
    with pytest.raises(
        DegenerateDataError, match=r"of these 4 rows has no maximum inside; it grows without bound as scale goes to 0"
    ):
        DensityMLE("student_t").fit([[0.0], [0.01], [5.0], [300.0]])


def test_cauchy_of_two_values_is_a_ridge():
    model = DensityMLE("cauchy").fit([[1.0], [2.0]])
    assert "flat along a ridge" in model.boundary_["loc"]
    assert model.standard_errors_ == {}
    np.testing.assert_allclose(model.log_likelihood_, -2.0 * np.log(np.pi), rtol=1e-12)


def groups_of_two_columns():
    generator = np.random.default_rng(0)
    return np.vstack([generator.normal(size=(320, 2)), 30.0 + 0.5 * generator.normal(size=(80, 2))])


@pytest.mark.parametrize("permuted", [False, True])
def test_multivariate_t_of_two_groups(permuted):
    """A free df is never below a fixed one, and far above the normal distribution, where one start ended."""
    X = groups_of_two_columns()
    X = np.random.default_rng(1).permutation(X) if permuted else X
    model = DensityMLE("multivariate_t").fit(X)
    assert model.converged_
    assert model.boundary_ == {}
    fixed = [DensityMLE(families.MultivariateT(df=df)).fit(X).log_likelihood_ for df in (0.5, 0.7, 0.8, 1.0, 3.0, 30.0)]
    assert model.log_likelihood_ >= max(fixed)
    assert model.log_likelihood_ > -2026.0
    params = model.params_
    scored = stats.multivariate_t.logpdf(X, params["loc"], params["scale"], df=float(params["df"])).sum()
    np.testing.assert_allclose(scored, model.log_likelihood_, rtol=1e-12)
    np.testing.assert_allclose(float(params["df"]), 0.824555858, rtol=1e-6)  # EM of 20,000 steps from (0, I)


@pytest.mark.parametrize("far", [1e4, 1e8, 1e9, 1e30])
@pytest.mark.parametrize("place", [0, 150])
def test_multivariate_t_with_one_outlier(far, place):
    """With df held at 4 a row beyond reach has lost its influence: the others' maximum, whatever its distance and place."""
    X = np.random.default_rng(0).normal(size=(300, 2))
    X[place] = far
    model, free = DensityMLE(families.MultivariateT(df=4.0)).fit(X), DensityMLE("multivariate_t").fit(X)
    z = X.copy()
    z[place] = 1e4
    near = DensityMLE(families.MultivariateT(df=4.0)).fit(z)
    np.testing.assert_allclose(model.params_["scale"], near.params_["scale"], rtol=1e-6)
    assert free.log_likelihood_ >= model.log_likelihood_
    assert 1.0 < free.params_["df"] < 4.0
    slopes = free.gradient(X)
    assert np.max(np.abs(slopes["scale"])) < 1e-6
    assert np.max(np.abs(slopes["loc"])) < 1e-6


def test_multivariate_t_of_few_degrees_of_freedom():
    for seed in range(20):
        generator = np.random.default_rng(seed)
        X = generator.normal(size=(300, 2)) / np.sqrt(generator.gamma(0.15, 1.0 / 0.15, size=(300, 1)))
        model = DensityMLE("multivariate_t").fit(X)
        assert model.converged_
        assert 0.2 < model.params_["df"] < 0.45
        assert model.log_likelihood_ >= stats.multivariate_t.logpdf(X, [0.0, 0.0], np.eye(2), df=0.3).sum()


def test_multivariate_t_of_a_group_that_is_tight():
    """Half of the rows within 1e-9 of a point are a group, not a collapse; rows in a line are none."""
    generator = np.random.default_rng(2)
    X = generator.normal(size=(100, 2))
    X[::2] = 3.0 + 1e-9 * X[::2]
    model = DensityMLE(families.MultivariateT(df=1.5)).fit(X)
    assert model.converged_
    assert np.sqrt(model.params_["scale"][0, 0]) < 1e-7
    line = np.c_[X[:, 0], 2.0 * X[:, 0]]
    line[0] = [1e6, -1e6]
    with pytest.raises(DegenerateDataError):
        DensityMLE(families.MultivariateT(df=1.5)).fit(line)


def test_rows_on_which_only_a_cauchy_distribution_has_a_high_maximum():
    """Four of seven rows within .002: from the Cauchy maximum the likelihood rises without bound, the rest is far lower."""
    x = np.array([-0.0008, 4.9997, 99.9994032, 99.9994164, 100.000307, 100.001834, 10000.0])
    high, low = DensityMLE("cauchy").fit(x[:, None]), DensityMLE(families.StudentT(df=2.0)).fit(x[:, None])
    assert high.log_likelihood_ > low.log_likelihood_ + 10.0
    with pytest.raises(
        DegenerateDataError, match="Column 1: .* these 7 rows has no maximum inside that is as high as .*Cauchy"
    ):
        DensityMLE("student_t").fit(np.column_stack([np.arange(7.0), x]))


@pytest.mark.parametrize(
    "x",
    [[0.148, 0.731, 0.714, -16.702, -15.977], [-0.0008, 4.9997, 99.9994032, 99.9994164, 100.000307, 100.001834, 1e4]],
)
def test_few_rows_in_batches_are_refused_as_those_in_memory(x):
    """Both ways of reading look at the Cauchy distribution, whose maximum is above all others of Student's t."""
    X = np.array(x)[:, None]
    for read in (DensityMLE("student_t").fit, lambda X: DensityMLE("student_t").fit_batches([X[:2], X[2:]])):
        with pytest.raises(DegenerateDataError, match="as high as .*Cauchy"):
            read(X)


def test_few_rows_are_not_refused_for_a_df_at_which_all_such_rows_have_no_maximum():
    """Six rows of three columns have none at df = .5: a row is a sixth of the weight, and .5 / 3.5 is less.

    At every df held at which there is one it is lower than that of the normal distribution; in batches it is no other.
    """
    X = np.random.default_rng(26).standard_t(1.0, size=(6, 3))
    with pytest.raises(DegenerateDataError, match="collapses"):
        DensityMLE(families.MultivariateT(df=0.5)).fit(X)
    normal = stats.multivariate_normal(X.mean(axis=0), np.cov(X.T, bias=True)).logpdf(X).sum()
    held = [DensityMLE(families.MultivariateT(df=df)).fit(X).log_likelihood_ for df in (0.7, 1.0, 3.0, 30.0)]
    assert max(held) < normal
    for read in (DensityMLE("multivariate_t").fit, lambda X: DensityMLE("multivariate_t").fit_batches([X[:2], X[2:]])):
        model = read(X)
        assert model.params_["df"] == np.inf
        np.testing.assert_allclose(model.log_likelihood_, normal, rtol=1e-12)


def test_few_rows_of_several_columns_in_batches_are_refused_as_those_in_memory():
    """The normal limit is a maximum here, but a df of 1 is higher, and from there it rises as df and scale go to 0."""
    X = np.random.default_rng(2).standard_t(1.0, size=(6, 3))
    cauchy, normal = (DensityMLE(families.MultivariateT(df=df)).fit(X).log_likelihood_ for df in (1.0, np.inf))
    assert cauchy > normal
    for read in (DensityMLE("multivariate_t").fit, lambda X: DensityMLE("multivariate_t").fit_batches([X[:2], X[2:]])):
        with pytest.raises(DegenerateDataError, match="collapses"):
            read(X)


@pytest.mark.parametrize("df", [0.3, 0.4, 0.49])
def test_ties_are_refused_where_df_is_held_below_1_whatever_other_maxima_there_are(df):
    """At a value with a third of the weight the likelihood grows without bound for df / (1 + df) < 1/3."""
    X = np.array([[7.0], [7.0], [-3.0], [1.0], [-4.0], [9.0]])
    scores = [stats.t.logpdf(X, df, 7.0, scale).sum() for scale in (1e-60, 1e-80, 1e-100)]
    assert scores[0] < scores[1] < scores[2]
    with pytest.raises(DegenerateDataError, match=r"too many rows with the same value, near 7 .* grows without bound"):
        DensityMLE(families.StudentT(df=df)).fit(X)
    with pytest.raises(DegenerateDataError, match="grows without bound as scale goes to 0 at any of them"):
        DensityMLE(families.StudentT(df=0.1)).fit(X[1:])
    assert DensityMLE(families.StudentT(df=df)).fit(X[1:]).converged_
    assert DensityMLE(families.StudentT(df=0.51)).fit(X).converged_


def test_a_maximum_between_two_rows_of_few_with_weights():
    x, w = np.array([5.0, 4.0, -6.0, -3.0, -3.0]), np.array([1.0, 1.0, 1.0, 1.0, 0.3])
    model = DensityMLE(families.StudentT(df=0.5)).fit(x[:, None], sample_weight=w)
    highest = max(
        w @ stats.t.logpdf(x, 0.5, loc, scale)
        for loc in np.linspace(3.5, 5.5, 81)
        for scale in np.geomspace(0.5, 2.0, 41)
    )
    assert model.log_likelihood_ >= highest


def test_a_normal_limit_beside_ties_is_not_said_to_be_the_highest_likelihood():
    """Two equal rows of 32 make it unbounded at small df; what the limit is above are maxima inside."""
    X = np.concatenate([np.full((2, 2), 7.0), 5.0 * np.random.default_rng(0).normal(size=(30, 2))])
    model = DensityMLE("multivariate_t").fit(X)
    assert np.isinf(model.params_["df"])
    assert model.boundary_["df"].startswith("No maximum at a finite df is as high as that of the normal distribution")


@pytest.mark.parametrize("factor", [1e-300, 1e-150, 1e150])
def test_rows_far_out_count_whatever_the_unit_of_the_weights(factor):
    """Every row tells a direction, however far it is; its weight over its squared distance may be below all numbers."""
    X = samples.plane(np.random.default_rng([23, 14]))
    assert np.abs(X).max() > 1e80
    plain = DensityMLE("multivariate_t").fit(X)
    weighted = DensityMLE("multivariate_t").fit(X, sample_weight=np.full(len(X), factor))
    np.testing.assert_allclose(weighted.log_likelihood_ / factor, plain.log_likelihood_, rtol=1e-9)
    np.testing.assert_allclose(weighted.params_["scale"], plain.params_["scale"], rtol=1e-5)


@pytest.mark.parametrize("apart", [1e-3, 1e-4, 1e-5, 1e-6])
def test_columns_that_are_next_to_each_other(apart):
    """By entries the information had a condition of 1 / apart^4 and more, and no inverse, so that the errors were NaN.

    From 1e-5 on the search ended before the maximum, and said to raise max_iter. The reference is the fit to columns that do not
    depend on each other: a linear map of the rows is one of the estimates.
    """
    generator = np.random.default_rng(0)
    z = generator.standard_t(3.0, size=(300, 1))
    X = np.hstack([z, z + apart * generator.normal(size=(300, 1))])
    back = np.array([[1.0, 0.0], [1.0, apart]])
    own, other = (DensityMLE("multivariate_t").fit(rows) for rows in (X, np.linalg.solve(back, X.T).T))
    names = own.param_names_
    loc, df = [names.index("loc[0]"), names.index("loc[1]")], names.index("df")
    expected = back @ other.covariance_of_params_[np.ix_(loc, loc)] @ back.T
    rounded = (
        3e-9 / apart
    )  # the entries of the scale are rounded, and with them what the maximum is between the columns
    np.testing.assert_allclose(own.covariance_of_params_[np.ix_(loc, loc)], expected, rtol=rounded)
    np.testing.assert_allclose(own.covariance_of_params_[df, df], other.covariance_of_params_[df, df], rtol=rounded)
    assert own.converged_
    assert own.boundary_ == {}
    np.testing.assert_allclose(own.params_["df"], other.params_["df"], rtol=1e-9)
    np.testing.assert_allclose(own.log_likelihood_, other.log_likelihood_ - 300 * np.log(apart), rtol=1e-10)
    # what is rounded moves the likelihood in second order, since it is that at the maximum
    moved = 300 * (4 * np.finfo(float).eps / apart**2) ** 2
    np.testing.assert_allclose(own.score_samples(X).sum(), own.log_likelihood_, rtol=1e-12, atol=moved)


def test_an_information_that_is_singular_is_named():
    X = np.array([[3.2e18, -1.3e19], [22732.0, 97970.5], [0.5, -1.3], [9.4, -8.6], [0.0, 0.4]])
    model = DensityMLE(families.MultivariateT(df=np.inf)).fit(X)
    assert model.standard_errors_ == {}
    assert all("singular to rounding" in model.boundary_[name] for name in ("loc", "scale"))


@pytest.mark.parametrize("kind", ["plain", "weighted", "float32", "oblique", "far row first", "held"])
def test_steps_of_a_mixture_are_those_of_a_fit(kind, monkeypatch):
    """The same steps from a start, without medians of all rows and the information, which took most of the time."""
    rng = np.random.default_rng(0)
    X = rng.standard_t(4.0, size=(200, 3)) @ rng.normal(size=(3, 3)) + 5.0
    if kind == "oblique":
        X[:, 2] = X[:, 0] + 1e-4 * X[:, 2]
    if kind == "far row first":
        X[0] = 1e9
    if kind == "float32":
        X = X.astype(np.float32)
    family = families.MultivariateT(df=3.0) if kind == "held" else families.MultivariateT()
    rows = Rows(X, rng.exponential(size=200) * 1e-30 if kind == "weighted" else None)
    start = family.check_parameters({"df": 3.0, "loc": X[1:].mean(axis=0), "scale": np.cov(X[1:].T)})
    expected = family.fit(rows, 1e-12, 4, start)[0]

    def refused(*args):
        raise AssertionError("no information is needed")

    monkeypatch.setattr("fastkl.families.multivariate_t.family.observed_information", refused)
    found = family.fit_alone(rows, 1e-12, 4, start)
    assert found.n_iter == expected.n_iter
    assert found.log_likelihood == pytest.approx(expected.log_likelihood, rel=1e-12)
    for name, value in expected.params.items():
        np.testing.assert_allclose(found.params[name], value, rtol=1e-9, atol=1e-12)


def test_maps_of_t_components_form_no_information(monkeypatch):
    """Of a table too large for maps side by side: starts and maps are steps alone."""
    asked = []
    monkeypatch.setattr("fastkl.families.multivariate_t.family.observed_information", lambda *args: asked.append(1))
    rng = np.random.default_rng(1)
    X = np.concatenate([rng.standard_t(5.0, size=(700, 16)), 4.0 + rng.standard_t(5.0, size=(700, 16))])
    X = np.concatenate([X, [[1e6] * 16] * 2])  # rows far out change nothing
    mixture = MixtureMLE(3, family=families.MultivariateT(df=5.0), n_init=1, random_state=0, standard_errors=False)
    assert mixture.fit(X).converged_
    assert not asked
