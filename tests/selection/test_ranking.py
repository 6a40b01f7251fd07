"""rank_families against fits by scipy in the same folds, one column alone, and what it leaves out or refuses."""

import re
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.model_selection import KFold

from fastkl import DensityMLE, ProductDensity, UnknownFamilyError, families, make_product_density, rank_families
from fastkl.families.univariate import UnivariateFamily
from fastkl.selection import cross_validated_log_density
from fastkl.selection.column_kinds import Column, reason_to_leave_out

RNG = np.random.default_rng(3)
GAMMA = RNG.gamma(2.0, size=300)
NORMAL = RNG.normal(size=300)
FOLDS = list(KFold(5, shuffle=True, random_state=0).split(GAMMA))


def scipy_fit(name, x):
    if name == "normal":
        return stats.norm(x.mean(), x.std())
    if name == "lognormal":
        return stats.lognorm(np.log(x).std(), scale=np.exp(np.log(x).mean()))
    if name == "gamma":
        shape, _, scale = stats.gamma.fit(x, floc=0.0)
        return stats.gamma(shape, scale=scale)
    return stats.expon(scale=x.mean())


def held_out(name, x):
    found = np.empty(len(x))
    for train, test in FOLDS:
        found[test] = scipy_fit(name, x[train]).logpdf(x[test])
    return found


def test_one_column():
    names = ["normal", "gamma", "exponential", "lognormal", "beta", "uniform"]
    table = rank_families(GAMMA[:, None], families=names).joint
    values = {name: held_out(name, GAMMA) for name in names[:4]}
    order = sorted(values, key=lambda name: -values[name].mean())
    assert table.names == order
    for i, name in enumerate(order):
        total = scipy_fit(name, GAMMA).logpdf(GAMMA).sum()
        size = 1 if name == "exponential" else 2
        gap = values[order[0]] - values[name]
        assert table.mean_log_likelihood[i] == pytest.approx(values[name].mean(), abs=1e-6)
        assert table.standard_error[i] == pytest.approx(stats.sem(values[name]), rel=1e-5)
        assert table.kl_difference[i] == pytest.approx(gap.mean(), abs=1e-6)
        assert table.log_likelihood[i] == pytest.approx(total, rel=1e-9)
        assert table.aic[i] == pytest.approx(2 * size - 2 * total, rel=1e-9)
        assert table.bic[i] == pytest.approx(size * np.log(300) - 2 * total, rel=1e-9)
        assert table.n_parameters[i] == size
    row = int(np.argmax(GAMMA >= 1.0))
    assert f"row {row}, column 0 holds {GAMMA[row]}" in table.refused["beta"]
    assert "density 0 to" in table.refused["uniform"]


def test_columns_and_their_product():
    """Every column as alone; the product takes the lowest BIC of every fold; one family of both columns is a sum."""
    X = pd.DataFrame({"a": GAMMA, "b": np.exp(NORMAL), "c": np.exp(0.3 * NORMAL[::-1])})
    names = ["gamma", "lognormal", "exponential"]
    ranking = rank_families(X, families=names)
    product, size = np.zeros(300), 0
    for key in X:
        x = X[key].to_numpy()
        alone = rank_families(X[[key]], families=names)
        pd.testing.assert_frame_equal(ranking[key].to_frame(), alone[key].to_frame())

        def bic(name, x):
            return -2.0 * scipy_fit(name, x).logpdf(x).sum() + (1 if name == "exponential" else 2) * np.log(len(x))

        for train, test in FOLDS:
            chosen = min(names, key=lambda name: bic(name, x[train]))
            product[test] += scipy_fit(chosen, x[train]).logpdf(x[test])
        best = min(names, key=lambda name: bic(name, x))
        assert ranking.choices[key] == best
        size += 1 if best == "exponential" else 2
    joint = dict(zip(ranking.joint.names, ranking.joint.mean_log_likelihood, strict=True))
    assert joint["product"] == pytest.approx(product.mean(), abs=1e-6)
    assert joint["gamma"] == pytest.approx(sum(held_out("gamma", X[key].to_numpy()).mean() for key in X), abs=1e-6)
    assert ranking.joint.n_parameters[ranking.joint.names.index("product")] == size
    model = ranking.density("product").fit(X)
    assert {name: density.family for name, density in model.densities_.items()} == ranking.choices
    assert model.log_likelihood_ == pytest.approx(
        ranking.joint.log_likelihood[ranking.joint.names.index("product")], rel=1e-12
    )


def mixed(n=400):
    rng = np.random.default_rng(8)
    z = rng.normal(size=n)
    return pd.DataFrame(
        {
            "id": np.arange(n) * 7 + 3,
            "x": z,
            "day": pd.date_range("2024-01-01", periods=n),
            "y": z + rng.normal(size=n),
            "visits": rng.poisson(1.2, n),
            "member": rng.random(n) < 0.3,
            "city": rng.choice(["Bern", "Basel"], n),
            "level": pd.Categorical(rng.choice([1, 2, 3], n)),
            "unit": 1.0,
            "name": [f"person {i}" for i in range(n)],
        }
    )


def test_a_table_of_mixed_type():
    X = mixed()
    ranking = rank_families(X)
    assert list(ranking.left_out) == ["id", "day", "unit", "name"]
    assert [ranking.left_out[key].split(":")[0].split(",")[0] for key in ("id", "day", "unit", "name")] == [
        "looks like numbers of the rows",
        "holds dates or times",
        "constant",
        "looks like an identifier or free text",
    ]
    assert list(ranking) == ["x", "y", "visits", "member", "city", "level"]
    kept = X[list(ranking)]
    assert ranking.best == "multivariate_normal x product"
    groups = [(key, DensityMLE(ranking.choices[key]), [key]) for key in ("visits", "member", "city", "level")]
    by_hand = ProductDensity([("joint", DensityMLE("multivariate_normal"), ["x", "y"]), *groups])
    expected = cross_validated_log_density(by_hand, kept, cv=5, random_state=0)
    assert ranking.joint.mean_log_likelihood[0] == pytest.approx(expected.mean(), rel=1e-12)
    assert ranking.joint.n_parameters[0] == by_hand.fit(kept).n_parameters_
    model = ranking.density().fit(kept)
    assert model.score(kept) == pytest.approx(by_hand.score(kept), rel=1e-12)
    assert ranking["member"].best == "bernoulli"
    assert ranking["level"].kind == "labels"
    text = repr(ranking)
    assert "day left out: holds dates" in text
    assert max(map(len, text.splitlines())) < 130
    frame = ranking.to_frame()
    assert frame.loc[("visits", "poisson"), "n_parameters"] == 1
    assert frame.loc[("(joint)", ranking.best), "kl_difference"] == 0.0
    assert ranking._repr_html_().count("<table>") == 2
    assert "poisson" in rank_families(X, keep=["id", "name"])["visits"].names
    assert {"id", "name"} <= set(rank_families(X, keep=["id", "name"]))


def test_a_label_that_occurs_once_leaves_the_joint_table_without_its_row():
    X = mixed()[["x", "visits", "city"]].astype({"city": object})
    X.loc[17, "city"] = "Genf"
    ranking = rank_families(X)
    assert ranking["city"].names == []
    assert "density 0 to 1 held-out row" in ranking["city"].refused["categorical"]
    assert ranking.n_excluded == 1
    assert ranking.joint.n_rows == 399
    assert ranking.density().fit(X).densities_["city"].family == "categorical"


def test_columns_that_a_family_refuses_leave_the_others_as_they_are():
    """Fitted many at a time, a family that fails on some columns is as it would be on each alone."""
    rng = np.random.default_rng(2)
    X = rng.gamma(2.0, size=(60, 23))
    X[5, [4, 11]] = 0.0
    X[:, 7] = np.where(np.arange(60) % 2, 1.0, 2.5)
    ranking = rank_families(X, families=["gamma", "weibull", "student_t", "normal"])
    for j in (0, 4, 7, 11, 22):
        alone = rank_families(X[:, [j]], families=["gamma", "weibull", "student_t", "normal"])
        together, single = ranking[j], alone[0]
        assert together.names == single.names
        assert list(together.refused) == list(single.refused)
        np.testing.assert_allclose(together.mean_log_likelihood, single.mean_log_likelihood, rtol=1e-12)
    assert f"row 5, column 11 holds {X[5, 11]}" in ranking[11].refused["gamma"]
    assert "column 4" in ranking.joint.refused["gamma"]


def test_a_column_without_a_family_leaves_no_density_of_whole_rows():
    """Counts that bernoulli excludes: the joint density of the others would be one of fewer columns."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"visits": rng.poisson(3.0, 200), "x": rng.normal(size=200), "y": rng.normal(size=200)})
    ranking = rank_families(X, families=["bernoulli", "normal", "multivariate_normal"])
    assert ranking.joint.names == []
    reason = "none of the families could be ranked on column 0 ('visits')"
    assert ranking.joint.refused["multivariate_normal x product"] == reason
    with pytest.raises(ValueError, match="None of the families fits these rows"):
        ranking.density()
    with pytest.raises(ValueError, match=re.escape(reason)):
        ranking.density("multivariate_normal x product")
    with pytest.raises(ValueError, match="None of the families fits these rows"):
        rank_families(X[["visits", "x"]], families=["bernoulli", "normal"]).density()


@pytest.mark.parametrize("kind", ["continuous", "counts"])
def test_all_families(kind):
    x = GAMMA if kind == "continuous" else RNG.negative_binomial(3, 0.4, 300)
    table = rank_families(x[:, None], families="all").joint
    known = {name: families.by_name(name) for name in families.names()}
    of_kind = {
        name
        for name, family in known.items()
        if issubclass(family, UnivariateFamily) and family.discrete == (kind == "counts") and not family.periodic
    }
    assert {*table.names, *table.refused} == of_kind - {"bernoulli"}
    for i, name in enumerate(table.names):
        expected = cross_validated_log_density(DensityMLE(name), x[:, None].astype(float))
        assert table.mean_log_likelihood[i] == pytest.approx(expected.mean(), abs=1e-7)


def test_weights():
    weights = np.random.default_rng(4).uniform(size=300)
    weights[:40] = 0.0
    X = np.column_stack([GAMMA, np.exp(NORMAL)])
    X[3, 1] = -1.0  # of weight 0
    ranking = rank_families(X, families=["gamma", "lognormal"], sample_weight=weights)
    alone = rank_families(X[40:], families=["gamma", "lognormal"], sample_weight=weights[40:])
    pd.testing.assert_frame_equal(ranking.to_frame(), alone.to_frame())
    assert str(ranking) == str(alone)  # nor do they say what a column holds, and so which families suit it
    suited = rank_families(X[:, 1:], sample_weight=weights).joint
    assert suited.names == rank_families(X[40:, 1:], sample_weight=weights[40:]).joint.names
    assert "lognormal" in suited.names
    fit = DensityMLE("gamma").fit(X[40:, :1], sample_weight=weights[40:])
    table = ranking[0]
    assert table.log_likelihood[table.names.index("gamma")] == pytest.approx(fit.log_likelihood_, rel=1e-12)
    values = cross_validated_log_density(DensityMLE("gamma"), X[40:, :1], weights[40:])
    assert table.mean_log_likelihood[table.names.index("gamma")] == pytest.approx(
        np.average(values, weights=weights[40:]), rel=1e-12
    )


def test_rows_drawn_for_the_ranking():
    """Said in the result, the same every time; what a family excludes is looked for in all rows."""
    x = np.random.default_rng(5).gamma(2.0, size=20_000)
    x[123] = 0.0
    ranking = rank_families(x[:, None], families=["gamma", "normal", "exponential"], max_rows=2000)
    assert (ranking.n_rows, ranking.n_ranked_rows) == (20_000, 2000)
    assert "20,000 rows, 2,000 of them drawn" in repr(ranking)
    assert "row 123" in ranking.joint.refused["gamma"]
    again = rank_families(x[:, None], families=["gamma", "normal", "exponential"], max_rows=2000)
    assert again.joint.mean_log_likelihood.tolist() == ranking.joint.mean_log_likelihood.tolist()
    whole = rank_families(x[:, None], families=["normal"], max_rows=None)
    errors = np.hypot(ranking.joint.standard_error[-1], whole.joint.standard_error[0])
    assert abs(ranking.joint.mean_log_likelihood[-1] - whole.joint.mean_log_likelihood[0]) < 4.0 * errors


def test_many_rows_start_from_the_fit_to_all_of_them():
    x = np.random.default_rng(6).standard_t(4.0, size=(15_000, 1))
    table = rank_families(x, families=["student_t", "cauchy"]).joint
    for name, mean in zip(table.names, table.mean_log_likelihood, strict=True):
        expected = cross_validated_log_density(DensityMLE(name), x).mean()
        assert mean == pytest.approx(expected, abs=1e-9)


def test_other_tables():
    pl = pytest.importorskip("polars")
    frame = mixed()[["x", "visits", "city"]]
    expected = rank_families(frame).to_frame()
    pd.testing.assert_frame_equal(rank_families(pl.DataFrame(frame.to_dict("list"))).to_frame(), expected)
    objects = rank_families(frame.to_numpy(dtype=object))
    assert objects.joint.mean_log_likelihood.tolist() == rank_families(frame).joint.mean_log_likelihood.tolist()
    single = rank_families(GAMMA[:, None].astype(np.float32), families=["gamma"]).joint
    assert single.mean_log_likelihood[0] == pytest.approx(held_out("gamma", GAMMA).mean(), abs=1e-4)


def test_parts_of_a_whole_and_angles():
    parts = np.random.default_rng(7).dirichlet([2.0, 3.0, 4.0], size=200)
    ranking = rank_families(parts)
    assert ranking.joint.names == ["dirichlet"]
    assert ranking.density().fit(parts).family == "dirichlet"
    turning = np.random.default_rng(7).vonmises(0.0, 2.0, size=(200, 1))
    assert rank_families(turning, angles=[0]).best == "von_mises"


def test_joint_families_alone():
    X = np.random.default_rng(9).normal(size=(200, 3))
    ranking = rank_families(X, families=["multivariate_normal", "multivariate_t"])
    assert set(ranking.joint.names) == {"multivariate_normal", "multivariate_t"}
    values = cross_validated_log_density(DensityMLE("multivariate_normal"), X)
    i = ranking.joint.names.index("multivariate_normal")
    assert ranking.joint.mean_log_likelihood[i] == pytest.approx(values.mean(), rel=1e-12)
    few = rank_families(np.random.default_rng(1).normal(size=(8, 12)), cv=2)
    assert "multivariate_normal" in few.joint.refused


@pytest.mark.parametrize(
    ("key", "values", "reason"),
    [
        ("paid", np.array([5, 9, 2, 11]), None),
        ("userId", np.array([5, 9, 2, 11]), "identifier"),
        ("user_id", np.array([5, 9, 2, 5]), None),
        ("KEY", np.array([5, 9, 2, 11]), "identifier"),
        ("when", np.array([20240100 + i for i in (3, 1, 4, 15, 9, 26, 5, 8, 12, 30)]), "dates"),
        ("when", np.array([20240100 + i for i in (3, 1, 4, 15, 9, 26, 5, 8, 12, 35)]), None),
        ("n", np.arange(9), None),
        ("n", np.arange(10), "numbers of the rows"),
        ("n", np.arange(10.0), None),
        ("t", np.array(["1.2.2024", "3.4.2024"], dtype=object), "dates"),
        ("t", np.array(["a", "b"] * 6, dtype=object), None),
    ],
)
def test_what_is_left_out(key, values, reason):
    found = reason_to_leave_out(Column(key, f"column 0 ({key!r})", values), alone=False)
    assert (found is None) if reason is None else (reason in found)


def test_bad_input():
    X = pd.DataFrame({"a": GAMMA, "b": np.r_[np.nan, GAMMA[1:]], "c": np.r_[np.nan, GAMMA[1:-1], np.nan]})
    with pytest.raises(ValueError, match=r"among 300 rows: column 1 \('b'\) \(1\), column 2 \('c'\) \(2\)"):
        rank_families(X)
    with pytest.raises(ValueError, match="No column is left to rank: column 'day' holds dates"):
        rank_families(mixed()[["day"]])
    with pytest.raises(ValueError, match="No column is left to rank: column 'name' looks like"):
        rank_families(mixed()[["name"]])
    with pytest.raises(UnknownFamilyError, match="gama"):
        rank_families(X[["a"]], families=["gama"])
    with pytest.raises(ValueError, match="can't be compared: poisson"):
        rank_families(X[["a"]], families=["gamma", "poisson"])
    with pytest.raises(ValueError, match="multinomial: distributions of whole rows of counts"):
        rank_families([[1, 2], [0, 3]] * 10, families=["poisson", "multinomial"])
    with pytest.raises(ValueError, match="names no family"):
        rank_families(X[["a"]], families=[])
    with pytest.raises(ValueError, match="cv is a number of parts"):
        rank_families(X[["a"]], cv=1)
    with pytest.raises(ValueError, match="None of the families fits"):
        rank_families(-X[["a"]], families=["gamma"]).density()
    with pytest.raises(ValueError, match="no density named 'weibull'"):
        rank_families(X[["a"]], families=["gamma"]).density("weibull")
    with pytest.raises(ValueError, match="infinite|inf"):
        rank_families([[1.0], [np.inf], [2.0]], cv=2)


def test_columns_whose_names_are_numbers_go_by_their_place():
    """As in scikit-learn, such names are none."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({5: rng.gamma(2.0, size=200), 7: rng.normal(size=200)})
    ranking = rank_families(table)
    assert list(ranking) == [0, 1]
    assert np.isfinite(ranking.density("product").fit(table).log_likelihood_)


@pytest.mark.parametrize("library", ["pandas", "pyarrow", "array"])
def test_decimals_and_fractions_are_numbers(library):
    """Data bases give decimals; they were taken for labels, one for nearly every row."""
    numbers = np.round(RNG.gamma(2.0, size=(60, 2)), 3) + 0.001
    exact = [[Decimal(repr(float(value))) for value in column] for column in numbers.T]
    table, plain = pd.DataFrame(dict(zip("ab", exact, strict=True))), pd.DataFrame(numbers, columns=["a", "b"])
    if library == "pyarrow":
        table = pytest.importorskip("pyarrow").table(dict(zip("ab", exact, strict=True)))
    elif library == "array":
        table = np.array([[Fraction(float(value)) for value in row] for row in numbers], dtype=object)
    found, expected = rank_families(table), rank_families(plain)
    assert list(found.choices.values()) == list(expected.choices.values())
    assert found.joint.names == expected.joint.names
    product, other = make_product_density(table), make_product_density(plain)
    assert [density.family for _, density, _ in product.groups] == [density.family for _, density, _ in other.groups]
    np.testing.assert_allclose(product.fit(table).score_samples(table), other.fit(plain).score_samples(plain))


def test_whole_numbers_of_python_beyond_64_bits_are_numbers():
    large = [int(value) for value in 1e25 * RNG.gamma(2.0, size=60)]
    table = pd.DataFrame({"wei": pd.Series(large, dtype=object), "x": RNG.normal(size=60)})
    plain = table.astype({"wei": float})
    assert rank_families(table).choices == rank_families(plain).choices
    assert [density.family for _, density, _ in make_product_density(table).groups] == [
        density.family for _, density, _ in make_product_density(plain).groups
    ]


def test_an_infinity_among_objects_is_refused():
    table = pd.DataFrame({"x": pd.Series([1.0, np.inf, 2.0, 4.0], dtype=object)})
    with pytest.raises(ValueError, match=r"(?i)row 1, column 0 \('x'\) holds inf"):
        make_product_density(table)
