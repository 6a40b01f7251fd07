"""The laws that every family keeps. Families are discovered: a new one joins without an edit here (it brings its ``example``)."""

import itertools
import pickle

import numpy as np
import pytest
from scipy import integrate
from sklearn.base import clone

from fastkl import DensityMLE, load
from tests.families.discovered import density_of, examples, unfitted

N = 400
BLOCK = 4096


@pytest.fixture(params=examples())
def distribution(request):
    """A density with known parameters of the family."""
    return density_of(request.param)


def draws(distribution, n=N, seed=0):
    return distribution.sample(n, random_state=seed)


def flat(params):
    return np.concatenate([np.empty(0), *(np.ravel(value) for value in params.values())])


def assert_same_fit(a, b, rtol=1e-11):
    assert list(a.params_) == list(b.params_)
    for name in a.params_:
        np.testing.assert_allclose(a.params_[name], b.params_[name], rtol=rtol, atol=1e-300 + rtol * 1e-3, err_msg=name)
    np.testing.assert_allclose(a.log_likelihood_, b.log_likelihood_, rtol=1e-11)


def is_number_family(distribution):
    return not distribution.family_.labels


# -- likelihood ------------------------------------------------------------------------------------------------------------


def test_total_is_the_sum_of_the_rows(distribution):
    X = draws(distribution)
    w = np.random.default_rng(1).uniform(0.1, 3.0, N)
    rows = distribution.score_samples(X)
    assert rows.shape == (N,)
    np.testing.assert_allclose(distribution.log_likelihood(X), rows.sum(), rtol=1e-11)
    np.testing.assert_allclose(distribution.log_likelihood(X, w), rows @ w, rtol=1e-11)
    np.testing.assert_allclose(distribution.score(X, sample_weight=w), rows @ w / w.sum(), rtol=1e-11)


def test_density_integrates_to_one(distribution):
    family, params = distribution.family_, distribution.params_
    if family.joint or family.labels:
        pytest.skip("checked against references of their own")
    one = {name: value[:1] for name, value in params.items()}
    single = DensityMLE.from_parameters(type(family)(), **one)
    X = single.sample(4000, random_state=1)[:, 0]
    if family.discrete:
        values = np.arange(0.0, X.max() * 4 + 200.0)
        total = np.exp(single.score_samples(values[:, None])).sum()
    else:
        shares = np.array([0.0, 1e-3, 0.05, 0.3, 0.5, 0.7, 0.95, 1.0 - 1e-3, 1.0])
        edges = family.quantile(np.tile(shares[:, None], (1, 2)), params)[:, 0]

        def density(x):
            return np.exp(single.score_samples([[x]])[0])

        for (a, b), share in zip(itertools.pairwise(edges), np.diff(shares), strict=True):
            np.testing.assert_allclose(integrate.quad(density, a, b, limit=200)[0], share, rtol=2e-6, atol=1e-9)
        total = 1.0
    np.testing.assert_allclose(total, 1.0, rtol=2e-6)


def test_entropy_is_the_mean_surprise_of_draws(distribution):
    entropy = distribution.family_.entropy(distribution.params_)
    if entropy is None:
        pytest.skip("no closed form")
    surprise = -distribution.score_samples(draws(distribution, 20000, seed=3))
    assert abs(surprise.mean() - entropy) < 5.0 * surprise.std() / np.sqrt(len(surprise)) + 1e-12


def test_gradient_is_the_slope(distribution):
    """Against central differences of the mean log-likelihood, one parameter at a time, away from the maximum."""
    X = draws(distribution, seed=4)
    gradient = distribution.gradient(X)
    params = distribution.params_
    assert list(gradient) == list(params)
    if distribution.family_.joint or distribution.family_.labels:
        pytest.skip("constrained parameters; checked against references of their own")
    for name, value in params.items():
        for j in range(len(value)):
            step = 1e-7 * max(abs(value[j]), 0.1)
            score = []
            for sign in (1.0, -1.0):
                moved = {key: v.copy() for key, v in params.items()}
                moved[name][j] += sign * step
                score.append(DensityMLE.from_parameters(clone(distribution.family_), **moved).score(X))
            if not np.isfinite(score).all():
                continue  # a step over the edge of the support
            slope = (score[0] - score[1]) / (2.0 * step)
            np.testing.assert_allclose(gradient[name][j], slope, rtol=2e-5, atol=2e-6, err_msg=f"{name}[{j}]")


def test_value_and_gradient_in_one_call(distribution):
    X = draws(distribution, seed=5)
    for w in (None, np.random.default_rng(2).choice([0.0, 0.5, 3.0], N)):
        score, gradient = distribution.score_and_gradient(X, w)
        np.testing.assert_allclose(score, distribution.score(X, sample_weight=w), rtol=1e-13)
        expected = distribution.gradient(X, w)
        assert list(gradient) == list(expected)
        for name, value in expected.items():
            size = np.abs(value).max()
            np.testing.assert_allclose(gradient[name], value, rtol=1e-12, atol=1e-13 * size, err_msg=name)


def test_value_and_gradient_outside_the_support(distribution):
    """What has no slope raises, from either call alike; weight 0 takes such a row away."""
    X = draws(distribution)
    if not is_number_family(distribution) or any(space.irregular for space in distribution.family_.spaces().values()):
        pytest.skip("labels, or an end of the support that is a parameter")
    for bad in (-50.0, 0.3):
        outside = X.astype(np.float64)
        outside[5, 1] = bad
        if distribution.score(outside) > -np.inf:
            continue
        for call in (distribution.gradient, distribution.score_and_gradient):
            with pytest.raises(ValueError, match="row 5"):
                call(outside)
        w = np.arange(N) != 5.0
        assert distribution.score_and_gradient(outside, w)[0] == distribution.score(outside, sample_weight=w)


# -- the maximum -----------------------------------------------------------------------------------------------------------


def test_fit_is_a_maximum(distribution):
    X = draws(distribution)
    model = unfitted(distribution).fit(X)
    assert model.converged_
    np.testing.assert_allclose(model.log_likelihood_, model.log_likelihood(X), rtol=1e-12)
    assert model.log_likelihood_ >= distribution.log_likelihood(X) - 1e-9
    inner = [name for name in model.params_ if name not in model.boundary_]
    gradient = model.gradient(X)
    for name in inner:
        scale = np.maximum(np.abs(model.params_[name]), 1e-3)
        assert np.max(np.abs(gradient[name] * scale)) < 1e-8, name


def test_weights_are_repetitions(distribution):
    X = draws(distribution)
    w = np.random.default_rng(5).integers(0, 4, N)
    weighted = unfitted(distribution).fit(X, sample_weight=w)
    repeated = unfitted(distribution).fit(np.repeat(X, w, axis=0))
    assert_same_fit(weighted, repeated)
    for name, error in weighted.standard_errors_.items():
        np.testing.assert_allclose(error, repeated.standard_errors_[name], rtol=1e-8, err_msg=name)


def test_weight_zero_is_absence(distribution):
    X = draws(distribution)
    w = np.random.default_rng(6).uniform(0.5, 2.0, N) * (np.arange(N) % 3 > 0)
    with_zeros, without = (
        unfitted(distribution).fit(X, sample_weight=w),
        unfitted(distribution).fit(X[w > 0], sample_weight=w[w > 0]),
    )
    np.testing.assert_array_equal(flat(with_zeros.params_), flat(without.params_))


@pytest.mark.parametrize("exponent", [4, -1000, -560, 900])
def test_factor_on_the_weights_changes_nothing_but_the_total(distribution, exponent):
    X = draws(distribution)
    w = np.random.default_rng(7).uniform(0.5, 2.0, N)
    one, many = (
        unfitted(distribution).fit(X, sample_weight=w),
        unfitted(distribution).fit(X, sample_weight=np.ldexp(w, exponent)),
    )
    assert (many.n_iter_, many.converged_) == (one.n_iter_, one.converged_)
    np.testing.assert_allclose(flat(many.params_), flat(one.params_), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(many.log_likelihood_, np.ldexp(one.log_likelihood_, exponent), rtol=1e-12)
    for name, error in one.standard_errors_.items():
        np.testing.assert_allclose(np.ldexp(many.standard_errors_[name], exponent // 2), error, rtol=1e-9, err_msg=name)


def test_order_of_rows_does_not_matter(distribution):
    X = draws(distribution)
    order = np.random.default_rng(8).permutation(N)
    assert_same_fit(unfitted(distribution).fit(X), unfitted(distribution).fit(X[order]), rtol=1e-10)


def test_threads_do_not_change_a_bit(distribution):
    X = draws(distribution, 17 * BLOCK + 17)  # enough blocks for a second thread
    one, two = unfitted(distribution).set_params(n_jobs=1).fit(X), unfitted(distribution).set_params(n_jobs=2).fit(X)
    np.testing.assert_array_equal(flat(one.params_), flat(two.params_))
    assert one.log_likelihood_ == two.log_likelihood_
    np.testing.assert_array_equal(one.score_samples(X), two.score_samples(X))
    assert one.log_likelihood(X) == two.log_likelihood(X)


@pytest.mark.parametrize("cuts", [[1], [1, 2, 3, 200], [N // 2], [N - 1]])
def test_chunks_are_the_whole(distribution, cuts):
    if not distribution.family_.has_statistics:
        pytest.skip("no sufficient statistics")
    X = draws(distribution)
    w = np.random.default_rng(9).uniform(0.5, 2.0, N)
    whole = unfitted(distribution).fit(X, sample_weight=w)
    chunked, parts = unfitted(distribution), []
    for chunk, weights in zip(np.split(X, cuts), np.split(w, cuts), strict=True):
        chunked.partial_fit(chunk, sample_weight=weights)
        parts.append(unfitted(distribution).partial_fit(chunk, sample_weight=weights))
    assert_same_fit(chunked, whole, rtol=1e-12)
    merged = parts[0]
    for part in parts[1:]:
        assert merged.merge(part) is merged
    assert_same_fit(merged, whole, rtol=1e-12)


def test_scale_equivariance(distribution):
    if distribution.family_.discrete or not distribution.family_.equivariant:
        pytest.skip("not a distribution on a scale")
    X = draws(distribution)
    model, d = unfitted(distribution).fit(X), X.shape[1]
    for factor in (2.0**-30, 2.0**-1, 2.0**30):
        try:
            scaled = unfitted(distribution).fit(X * factor)
        except ValueError as error:
            if "lives on" not in str(error):
                raise
            continue
        shifted = model.score_samples(X) - d * np.log(factor)
        np.testing.assert_allclose(scaled.score_samples(X * factor), shifted, rtol=1e-9, atol=1e-9)


# -- input -----------------------------------------------------------------------------------------------------------------


def test_float32_is_read_as_it_is(distribution):
    if not is_number_family(distribution):
        pytest.skip("labels")
    X = draws(distribution).astype(np.float32)
    try:
        wide = unfitted(distribution).fit(X.astype(np.float64))
    except ValueError:
        pytest.skip("rounding to float32 leaves the support")
    narrow = unfitted(distribution).fit(X)
    np.testing.assert_array_equal(flat(narrow.params_), flat(wide.params_))
    np.testing.assert_array_equal(narrow.score_samples(X), wide.score_samples(X.astype(np.float64)))


def test_any_memory_layout(distribution, tmp_path):
    X = draws(distribution)
    model = unfitted(distribution).fit(X)
    read_only = X.copy()
    read_only.flags.writeable = False
    layouts = [read_only, np.asfortranarray(X), np.repeat(X, 2, axis=0)[::2]]
    if is_number_family(distribution):
        np.save(tmp_path / "rows.npy", X)
        layouts.append(np.load(tmp_path / "rows.npy", mmap_mode="r"))
    for other in layouts:
        np.testing.assert_array_equal(flat(unfitted(distribution).fit(other).params_), flat(model.params_))
        np.testing.assert_array_equal(model.score_samples(other), model.score_samples(X))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(distribution, bad):
    if not is_number_family(distribution):
        pytest.skip("labels")
    X = draws(distribution).astype(np.float64)
    model = unfitted(distribution).fit(X)
    if np.isnan(bad) and model.family_.takes_missing:
        pytest.skip("what is known of the row counts: tests/density/parametric/test_missing_values.py")
    before = pickle.dumps(model)
    X[7, 1] = bad
    what = "NaN" if np.isnan(bad) else "infinity"
    calls = (
        model.fit,
        model.score_samples,
        model.score,
        model.log_likelihood,
        model.gradient,
        model.score_and_gradient,
    )
    for call in calls:
        with pytest.raises(ValueError, match=f"contains {what}: row 7, column 1"):
            call(X)
    assert pickle.dumps(model) == before


def test_wrong_number_of_columns(distribution):
    X = draws(distribution)
    model = unfitted(distribution).fit(X)
    with pytest.raises(ValueError, match="features"):
        model.score(X[:, :1])


def test_data_frames(distribution):
    pd = pytest.importorskip("pandas")
    X = draws(distribution)
    frame = pd.DataFrame(X, columns=[f"c{j}" for j in range(X.shape[1])])
    model = unfitted(distribution).fit(frame)
    np.testing.assert_array_equal(flat(model.params_), flat(unfitted(distribution).fit(X).params_))
    assert list(model.feature_names_in_) == list(frame.columns)
    np.testing.assert_array_equal(model.score_samples(frame), unfitted(distribution).fit(X).score_samples(X))


# -- state -----------------------------------------------------------------------------------------------------------------


def test_copies_and_files(distribution, tmp_path):
    X = draws(distribution)
    model = unfitted(distribution).fit(X)
    model.save(tmp_path / "model")
    for copy in (pickle.loads(pickle.dumps(model)), load(tmp_path / "model")):
        np.testing.assert_array_equal(copy.score_samples(X), model.score_samples(X))
        np.testing.assert_array_equal(flat(copy.standard_errors_), flat(model.standard_errors_))
    np.testing.assert_array_equal(flat(clone(model).fit(X).params_), flat(model.params_))


def test_known_parameters_score_alike(distribution):
    X = draws(distribution)
    model = unfitted(distribution).fit(X)
    known = DensityMLE.from_parameters(clone(model.family_), **model.params_)
    np.testing.assert_array_equal(known.score_samples(X), model.score_samples(X))


def test_seeded_draws_repeat(distribution):
    np.testing.assert_array_equal(draws(distribution, 10), draws(distribution, 10))
    assert draws(distribution, 10).shape == (10, distribution.n_features_in_)
    assert not np.array_equal(draws(distribution, 50, seed=1), draws(distribution, 50, seed=2))


def test_fixed_parameters_stay(distribution):
    family, X = distribution.family_, draws(distribution)
    free = unfitted(distribution).fit(X)
    for name in family.parameter_names:
        held = clone(unfitted(distribution).family).set_params(**{name: distribution.params_[name]})
        model = DensityMLE(held).fit(X)
        np.testing.assert_array_equal(model.params_[name], distribution.params_[name])
        assert name not in model.standard_errors_
        assert not any(label.startswith(f"{name}[") or label == name for label in model.param_names_)
        assert model.n_parameters_ < free.n_parameters_
        assert model.log_likelihood_ <= free.log_likelihood_ + 1e-9 * abs(free.log_likelihood_)


def test_standard_errors_are_the_diagonal(distribution):
    model = unfitted(distribution).fit(draws(distribution))
    covariance, errors = model.covariance_of_params_, model.standard_errors_
    assert covariance.shape == (len(model.param_names_),) * 2
    np.testing.assert_allclose(covariance, covariance.T, rtol=1e-9, atol=1e-300)
    for i, label in enumerate(model.param_names_):
        name, _, index = label.partition("[")
        at = tuple(int(k) for k in index.rstrip("]").split(",")) if index else ()
        error = np.asarray(errors[name])[at]
        if np.isnan(error):  # a probability at its boundary, which is as good as known, and nothing else
            assert covariance[i, i] == 0.0, label
            assert name == "probabilities", label
            assert model.params_[name][at] in (0.0, 1.0), label
        else:
            np.testing.assert_allclose(error**2, covariance[i, i], rtol=1e-9, err_msg=label)


def test_observed_information_is_minus_the_hessian(distribution):
    """Inverse covariance against central differences of the analytic gradient at the maximum."""
    if distribution.family_.joint or distribution.family_.labels or not distribution.family_.smooth:
        pytest.skip("constrained parameters or a kink; checked against references of their own")
    X = draws(distribution)
    model = unfitted(distribution).fit(X)
    names = [name for name in model.params_ if name in model.standard_errors_]
    d = X.shape[1]
    hessian = np.zeros((len(names) * d, len(names) * d))
    for a, name in enumerate(names):
        for j in range(d):
            step = 1e-5 * max(abs(model.params_[name][j]), 1e-2)
            ends = []
            for sign in (1.0, -1.0):
                moved = {key: value.copy() for key, value in model.params_.items()}
                moved[name][j] += sign * step
                gradient = DensityMLE.from_parameters(clone(model.family_), **moved).gradient(X)
                ends.append(np.concatenate([gradient[other] for other in names]))
            hessian[a * d + j] = N * (ends[0] - ends[1]) / (2.0 * step)
    if names:
        np.testing.assert_allclose(np.linalg.inv(-hessian), model.covariance_of_params_, rtol=2e-4, atol=1e-9)
