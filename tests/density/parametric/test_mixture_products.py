"""Mixtures of products: a family for each group of columns, against plain numpy and scipy, and the table around them."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.compose import make_column_selector

import fastkl
from fastkl import (
    DegenerateDataError,
    DensityMLE,
    MixtureMLE,
    ProductDensity,
    SupportError,
    choose_components,
    families,
)

pd = pytest.importorskip("pandas")

COLOURS = np.array(["blue", "green", "red"])
GROUPS = [
    ("body", "multivariate_normal", ["height", "weight"]),
    ("visits", "poisson", ["visits"]),
    ("colour", "categorical", ["colour"]),
]
NUMBERS = [("body", "multivariate_normal", [0, 2]), ("visits", "poisson", [1]), ("colour", "categorical", [3])]


@pytest.fixture(scope="module")
def people():
    """Two kinds of people, in columns of three kinds whose groups are not side by side."""
    rng = np.random.default_rng(3)
    z = rng.random(300) < 0.4
    height = np.where(z, 1.5, -0.5) + rng.normal(size=300)
    return pd.DataFrame(
        {
            "height": height,
            "visits": rng.poisson(np.where(z, 4.0, 1.0)),
            "weight": 0.5 * height + rng.normal(size=300),
            "colour": COLOURS[
                np.where(z, rng.choice(3, 300, p=[0.6, 0.2, 0.2]), rng.choice(3, 300, p=[0.1, 0.3, 0.6]))
            ],
        }
    )


@pytest.fixture(scope="module")
def model(people):
    return MixtureMLE(2, family=GROUPS, n_init=1, random_state=0).fit(people)


def joint_logs(table, params):
    """log(weight) + log-density of every component by scipy, (n, 2)."""
    body, colours = (
        table[["height", "weight"]].to_numpy(),
        np.searchsorted(COLOURS, table["colour"].to_numpy(dtype=str)),
    )
    return np.stack(
        [
            np.log(params["weights"][k])
            + stats.multivariate_normal(params["body__mean"][k], params["body__covariance"][k]).logpdf(body)
            + stats.poisson(params["visits__rate"][k, 0]).logpmf(table["visits"])
            + np.log(params["colour__probabilities"][k, 0])[colours]
            for k in range(2)
        ],
        axis=1,
    )


def plain_em(table, params, maps):
    """EM as a textbook has it."""
    body, visits = table[["height", "weight"]].to_numpy(), table["visits"].to_numpy()
    hot = table["colour"].to_numpy(dtype=str)[:, None] == COLOURS
    for _ in range(maps):
        logs = joint_logs(table, params)
        r = np.exp(logs - logsumexp(logs, axis=1, keepdims=True))
        sums = r.sum(axis=0)
        mean = r.T @ body / sums[:, None]
        shift = body[:, None, :] - mean
        params = {
            "weights": sums / len(table),
            "body__mean": mean,
            "body__covariance": np.einsum("nk,nki,nkj->kij", r, shift, shift) / sums[:, None, None],
            "visits__rate": (r.T @ visits / sums)[:, None],
            "colour__probabilities": (r.T @ hot / sums[:, None])[:, None, :],
        }
    return params


def test_maximum_is_that_of_plain_em(people, model):
    assert model.converged_
    begin = {name: value.copy() for name, value in model.params_.items()}
    begin["body__mean"] = begin["body__mean"] + 0.1
    found = plain_em(people, begin, 150)
    for name, value in found.items():
        np.testing.assert_allclose(model.params_[name], value, atol=1e-6)
    assert model.log_likelihood_ == pytest.approx(logsumexp(joint_logs(people, found), axis=1).sum(), abs=1e-8)


def test_scores_and_posteriors_are_those_of_scipy(people, model):
    logs = joint_logs(people, model.params_)
    evidence = logsumexp(logs, axis=1)
    np.testing.assert_allclose(model.score_samples(people), evidence, rtol=1e-12)
    np.testing.assert_allclose(model.predict_proba(people), np.exp(logs - evidence[:, None]), atol=1e-12)
    assert model.log_likelihood(people) == pytest.approx(model.log_likelihood_, rel=1e-13)
    assert model.n_parameters_ == 1 + 2 * (5 + 1 + 2)
    slopes = model.gradient(people)
    assert max(np.abs(slope).max() for slope in slopes.values()) < 1e-6


@pytest.mark.parametrize(
    "family",
    [
        {"body": ("multivariate_normal", [0, 2]), "visits": ("poisson", 1), "colour": ("categorical", [-1])},
        ProductDensity([(name, DensityMLE(family), columns) for name, family, columns in GROUPS]),
        [
            ("body", families.MultivariateNormal(), ["weight", "height"][::-1]),
            ("visits", "poisson", slice("visits", "visits")),
            ("colour", "categorical", make_column_selector(dtype_include=[object, "string"])),
        ],
    ],
    ids=["mapping", "product density", "selectors"],
)
def test_every_way_to_say_it(people, model, family):
    other = clone(MixtureMLE(2, family=family, n_init=1, random_state=0)).fit(people)
    for name, value in model.params_.items():
        np.testing.assert_array_equal(other.params_[name], value)


def test_one_component_is_the_product(people):
    one = MixtureMLE(1, family=GROUPS).fit(people)
    product = ProductDensity([(name, DensityMLE(family), columns) for name, family, columns in GROUPS]).fit(people)
    assert one.log_likelihood_ == pytest.approx(product.log_likelihood_, rel=1e-14)
    for name, params in product.params_.items():
        for key, value in params.items():
            np.testing.assert_array_equal(one.params_[f"{name}__{key}"][0], value)


def test_sample_marginal_and_conditional(people, model):
    rows, which = model.sample(4000, random_state=0, return_components=True)
    assert list(rows.dtypes) == list(people.dtypes)  # a frame like the one that was fitted, which can be fitted again
    assert list(rows.columns) == list(people.columns)
    assert set(rows["colour"]) == set(COLOURS)
    drawn = rows.loc[which == 0, ["height", "weight"]].to_numpy()
    np.testing.assert_allclose(drawn.mean(axis=0), model.params_["body__mean"][0], atol=0.15)
    margin = model.marginal(["visits"])
    assert margin.quantile(0.5)[0] == np.median(rows["visits"])
    unnamed = MixtureMLE.from_parameters(NUMBERS, **model.params_).sample(5, random_state=0)
    assert isinstance(unnamed, np.ndarray)  # of known parameters nobody has seen a table
    w, p = model.params_["weights"], model.params_["colour__probabilities"][:, 0, 2]
    given = model.conditional({"colour": "red"})
    np.testing.assert_allclose(given.params_["weights"], w * p / (w @ p), rtol=1e-13)
    assert list(given.feature_names_in_) == ["height", "visits", "weight"]
    both = model.conditional({"height": 0.3, "colour": "red"})
    mean, spread = model.params_["body__mean"][1], model.params_["body__covariance"][1]
    expected = mean[1] + spread[1, 0] / spread[0, 0] * (0.3 - mean[0])
    assert both.params_["body__mean"][1] == pytest.approx(expected, rel=1e-12)
    height, visits = model.params_["body__mean"][:, 0], model.params_["visits__rate"][:, 0]
    spread = np.sqrt(model.params_["body__covariance"][:, 0, 0])
    for known, logs in (  # numbers alone, of a table with labels
        ({"height": 0.3}, stats.norm.logpdf(0.3, height, spread)),
        ({"visits": 2}, stats.poisson.logpmf(2, visits)),
        (
            {"height": 0.3, "visits": 2},
            stats.norm.logpdf(0.3, height, spread) + stats.poisson.logpmf(2, visits),
        ),
    ):
        weighed = w * np.exp(logs)
        np.testing.assert_allclose(model.conditional(known).params_["weights"], weighed / weighed.sum(), rtol=1e-10)
    numbers = model.marginal(["weight", "visits", "height"])
    assert numbers.mean().shape == (3,)
    mean = model.params_["weights"] @ model.params_["body__mean"]
    np.testing.assert_allclose(numbers.mean()[[2, 0]], mean, rtol=1e-13)
    with pytest.raises(ValueError, match="density is 0 at column 3"):
        model.conditional({"colour": "pink"})


def test_file_holds_it_all(people, model, tmp_path):
    regularised = MixtureMLE(2, family=GROUPS, prior="default", init=model.params_).fit(people)
    for density in (model, regularised):
        density.save(tmp_path / "model")
        again = fastkl.load(tmp_path / "model")
        np.testing.assert_array_equal(again.score_samples(people), density.score_samples(people))
        assert again.bic(people) == density.bic(people)
        assert str(again.summary()) == str(density.summary())
    assert abs(regularised.log_likelihood_ - model.log_likelihood_) < 1.0
    text = str(model.summary())
    assert "component 1: P(green)" in text
    assert "height, weight" in text
    assert [list(labels) for labels in model.categories_] == [list(COLOURS)]


def test_standard_errors_are_curvature(people, model):
    """By differences of scipy's log-likelihood along one rate and one mean."""
    curvature = model.statistics_["curvature"][0]
    assert curvature.shape == (model.n_parameters_, model.n_parameters_)
    step, at = 1e-3, {name: value.copy() for name, value in model.params_.items()}

    def total(shift):
        moved = {**at, "visits__rate": at["visits__rate"] * np.exp([[shift], [0.0]])}
        return logsumexp(joint_logs(people, moved), axis=1).sum()

    second = -(total(step) - 2.0 * total(0.0) + total(-step)) / step**2
    place = [name for name in model.param_names_ if not name.startswith("weights")].index("visits__rate[0,0]")
    assert model.param_names_[-1].startswith("colour")
    coordinate = 1 + place
    assert curvature[coordinate, coordinate] == pytest.approx(second, rel=1e-4)


def test_choose_components(people):
    choice = choose_components(people, [1, 2], mixture=MixtureMLE(family=GROUPS, n_init=1), random_state=0)
    assert choice.best.family_.layout.size == 2


def test_columns_without_labels_and_without_statistics():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal([0.0, 2.0], 0.5, (200, 2)), rng.normal([6.0, 9.0], 0.5, (200, 2))])
    X[:, 1] = np.abs(X[:, 1])
    family = [("first", "student_t", [0]), ("second", "gamma", [1])]
    model = MixtureMLE(2, family=family, random_state=0, n_init=2).fit(X)
    labels = model.predict(X)
    assert len(set(labels[:200])) == len(set(labels[200:])) == 1
    t, gamma = model.params_["first__loc"].ravel(), model.params_["second__shape"] * model.params_["second__scale"]
    np.testing.assert_allclose(t, [0.0, 6.0], atol=0.15)
    np.testing.assert_allclose(gamma.ravel(), [X[:200, 1].mean(), X[200:, 1].mean()], rtol=1e-6)
    held = MixtureMLE(2, family=[("first", families.Normal(scale=0.5), [0]), ("second", "gamma", [1])], random_state=0)
    np.testing.assert_array_equal(held.fit(X).params_["first__scale"], [[0.5], [0.5]])


def test_text_labels_are_codes():
    rng = np.random.default_rng(1)
    codes = np.concatenate([rng.choice(3, (80, 4), p=[0.8, 0.1, 0.1]), rng.choice(3, (80, 4), p=[0.1, 0.1, 0.8])])
    text = MixtureMLE(2, family="categorical", n_init=1, random_state=0).fit(COLOURS[codes])
    plain = MixtureMLE(2, family="categorical", n_init=1, random_state=0).fit(codes)
    np.testing.assert_array_equal(text.params_["probabilities"], plain.params_["probabilities"])
    np.testing.assert_array_equal(text.predict(COLOURS[codes]), plain.predict(codes))


@pytest.mark.parametrize("labels", [False, True])
def test_batches_are_one_table(people, labels):
    columns = ["height", "visits", "weight"] + ["colour"] * labels
    family = NUMBERS if labels else NUMBERS[:2]
    X = people[columns].to_numpy()
    start = MixtureMLE(2, family=family, random_state=0, max_iter=50, n_init=1).fit(X)
    batches = [X[:100], X[100:250], X[250:]]
    streamed = MixtureMLE(2, family=family, init=start.params_).fit_batches(batches)
    assert streamed.converged_
    assert streamed.log_likelihood_ == pytest.approx(start.log_likelihood_, rel=1e-12)
    np.testing.assert_allclose(streamed.params_["visits__rate"], start.params_["visits__rate"], rtol=1e-6)


def test_what_is_wrong_is_said(people):
    def fails(family, match, error=ValueError, table=people):
        with pytest.raises(error, match=match):
            MixtureMLE(2, family=family, n_init=1).fit(table)

    fails(GROUPS[1:], r"No group claims columns 0 \('height'\), 2 \('weight'\)")
    fails([*GROUPS, ("again", "normal", ["height"])], r"'body' and 'again' both claim column 0 \('height'\)")
    fails([*GROUPS[:2], ("visits", "categorical", ["colour"])], "Two groups are named 'visits'")
    fails([*GROUPS[:2], ("a__b", "categorical", ["colour"])], "name of a group")
    fails([*GROUPS[:2], ("one", "categorical", ["colour", "size"])], "no column 'size'", fastkl.SourceError)
    fails([*GROUPS[:2], ("colour", "normal", ["colour"])], "column 3 .*not a number")
    fails([("all", families.Categorical(), [])], "selects none of the 4 columns")
    tied = [("body", families.MultivariateNormal("tied"), ["height", "weight"]), *GROUPS[1:]]
    fails(tied, "can't be tied")
    low = people.assign(visits=np.where(people.index == 7, -1, people["visits"]))
    fails(GROUPS, r"Group 'visits': .*row 7, column 1 \('visits'\)", SupportError, low)
    fails({"body": "normal"}, "product of families")
    still = people.assign(height=1.0)
    with pytest.raises(DegenerateDataError, match="Group 'body'"):
        MixtureMLE(1, family=GROUPS).fit(still)
    gap = people.assign(height=np.where(people.index == 5, np.inf, people["height"]))
    fails(GROUPS, r"infinity: row 5, column 0 \('height'\)", ValueError, gap)


def test_unknown_labels_have_density_zero(people, model):
    strange = people.head(3).assign(colour=["red", "pink", "blue"])
    scores = model.score_samples(strange)
    assert scores[1] == -np.inf
    assert np.isfinite(scores[[0, 2]]).all()
    with pytest.raises(SupportError, match="Row 1 lies outside"):
        model.predict(strange)


def test_weights_are_repeats(people, model):
    counts = np.random.default_rng(0).integers(0, 3, len(people))
    options = {"family": GROUPS, "init": model.params_}
    weighted = MixtureMLE(2, **options).fit(people, sample_weight=counts)
    repeated = MixtureMLE(2, **options).fit(people.loc[people.index.repeat(counts)])
    assert weighted.log_likelihood_ == pytest.approx(repeated.log_likelihood_, rel=1e-12)
    assert weighted.n_iter_ == repeated.n_iter_
    np.testing.assert_allclose(weighted.params_["visits__rate"], repeated.params_["visits__rate"], rtol=1e-8)


def test_divergences_know_the_kinds_of_columns(people, model):
    one = MixtureMLE(1, family=GROUPS).fit(people)
    estimate = fastkl.kl_divergence(model, one, random_state=0)
    rows = model.sample(20000, random_state=1)
    ratios = model.score_samples(rows) - one.score_samples(rows)
    assert abs(float(estimate) - ratios.mean()) < 5.0 * ratios.std() / np.sqrt(20000)
    cross = one.cross_entropy(people)
    assert float(cross) == pytest.approx(-one.score(people), rel=1e-12)
