"""Columns of ProductDensity: which ones a group claims, tables, and the groups that are proposed for a table."""

import contextlib
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.compose import make_column_selector
from sklearn.mixture import GaussianMixture

from fastkl import DensityMLE, ProductDensity, entropy, kl_divergence, make_product_density
from fastkl.exceptions import DegenerateDataError, SupportError
from fastkl.rows.columns import column_numbers
from fastkl.selection.candidates import COUNTS, POSITIVE, REAL, candidates
from tests.density.composed.products import MIXED, NUMBERS, THREE, N, frame, mixed_columns

# -- columns ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ("b", [1]),
        (["c", "a"], [2, 0]),
        (2, [2]),
        (-1, [3]),
        ([0, -2], [0, 2]),
        (np.array([1, 3]), [1, 3]),
        (slice(1, 3), [1, 2]),
        (slice("b", "d"), [1, 2, 3]),
        (slice("c", None), [2, 3]),
        (slice(None, "b"), [0, 1]),
        ([True, False, False, True], [0, 3]),
        (np.array([False, True, False, False]), [1]),
        (lambda X: ["d"], [3]),
        (slice(None), [0, 1, 2, 3]),
    ],
)
def test_column_numbers(columns, expected):
    assert column_numbers(columns, None, list("abcd"), 4) == expected


@pytest.mark.parametrize(
    ("columns", "names", "error", "message"),
    [
        ("height", ["heigth", "b"], ValueError, "no column 'height'. Did you mean 'heigth'"),
        (["z"], ["a", "b"], ValueError, "columns are 'a', 'b'"),
        ("a", None, ValueError, "without names"),
        (2, None, ValueError, "no column 2.* from 0 to 1"),
        (-3, None, ValueError, "no column -3"),
        ([True], None, ValueError, "mask of 1"),
        ([1.0], None, TypeError, "not by 1.0"),
        ([True, 1, 0], None, TypeError, "not by True"),
    ],
)
def test_wrong_columns(columns, names, error, message):
    with pytest.raises(error, match=message):
        column_numbers(columns, None, names, 2)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([("a", DensityMLE(), [0, 1])], r"No group claims columns 2, 3"),
        ([("a", DensityMLE(), [0, 1]), ("b", DensityMLE(), [1, 2, 3])], "'a' and 'b' both claim column 1;"),
        ([("a", DensityMLE(), [0, 0, 1, 2, 3])], "'a' and 'a' both claim column 0"),
        ([("a", DensityMLE(), slice(None)), ("b", DensityMLE(), [])], r"Group 'b': columns=\[\] selects none"),
        ([("a", DensityMLE(), [0, 7])], "Group 'a': .*there is no column 7"),
        ([("a", DensityMLE(), slice(None)), ("a", DensityMLE(), [])], "unique"),
        ([("a__b", DensityMLE(), slice(None))], "must not contain __"),
        ([("groups", DensityMLE(), slice(None))], "conflict"),
        ([], "list of"),
        ([("a", DensityMLE())], "list of"),
        (None, "list of"),
    ],
)
def test_wrong_groups(groups, message):
    with pytest.raises(ValueError, match=message):
        ProductDensity(groups).fit(NUMBERS)


def test_a_part_that_is_no_density():
    with pytest.raises(TypeError, match="Group 'a': its density is a density such as"):
        ProductDensity([("a", 3, slice(None))]).fit(NUMBERS)
    with pytest.raises(ValueError, match=r"Group 'b' \(columns 1, 2, 3.* takes no sample_weight"):
        ProductDensity([("a", DensityMLE(), [0]), ("b", GaussianMixture(), [1, 2, 3])]).fit(
            NUMBERS, sample_weight=np.ones(N)
        )


def test_messages_name_group_and_column_and_nothing_is_changed():
    table = frame()
    model = clone(MIXED).fit(table)
    before = pickle.dumps(vars(model))
    cases = [
        (
            table.assign(visits=-1),
            SupportError,
            r"Group 'visits' \(column 'visits'\): .*row 0, column 0 \('visits'\) holds -1",
        ),
        (
            table.assign(height=2.0),
            DegenerateDataError,
            r"Group 'body' \(column 'height'\): Column 0 \('height'\) is constant",
        ),
        (table.assign(height=np.nan), ValueError, r"Group 'body'.*contains NaN: row 0, column 0 \('height'\)"),
        (table.assign(height="tall"), ValueError, r"Group 'body'.*Row 0, column 0 \('height'\) holds 'tall'"),
        (table.assign(colour=None), ValueError, r"Group 'labels'.*row 0, column 0 \('colour'\) holds"),
        (table.drop(columns="income"), ValueError, "both claim column 4"),
        (table.iloc[:0], ValueError, "0 sample"),
    ]
    for bad, error, message in cases:
        with pytest.raises(error, match=message):
            model.fit(bad)
        assert pickle.dumps(vars(model)) == before
    with pytest.raises(SupportError, match="Group 'visits'"):
        model.partial_fit(table.assign(visits=-1))
    assert pickle.dumps(vars(model)) == before
    rows = NUMBERS.copy()
    rows[5, 1] = 0.5
    with pytest.raises(
        SupportError, match=r"Group 'counts' \(column 1, counted from 0 in what follows\).*row 5, column 0"
    ):
        clone(THREE).fit(rows)
    with pytest.raises(ValueError, match="feature names"):
        model.score(table[table.columns[::-1]])


# -- tables ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_tables_of_other_libraries(library):
    table, module = frame(), pytest.importorskip(library)
    columns = {name: values.tolist() for name, values in mixed_columns(0).items()}
    other = module.table(columns) if library == "pyarrow" else module.DataFrame(columns)
    here, there = clone(MIXED).fit(table), clone(MIXED).fit(other)
    np.testing.assert_allclose(there.score_samples(other), here.score_samples(table), rtol=1e-12)
    np.testing.assert_allclose(here.score_samples(other), here.score_samples(table), rtol=1e-12)
    drawn = there.sample(20, random_state=0)
    assert isinstance(drawn, np.ndarray)
    assert drawn.dtype == object
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        assert np.isfinite(there.score_samples(drawn)).all()


def test_columns_by_type():
    table = frame()
    model = ProductDensity(
        [
            ("labels", DensityMLE("categorical"), make_column_selector(dtype_include="category")),
            ("bits", DensityMLE("bernoulli"), make_column_selector(dtype_include=bool)),
            ("counts", DensityMLE("poisson"), make_column_selector(dtype_include="int")),
            ("numbers", DensityMLE("normal"), make_column_selector(dtype_include="float")),
        ]
    ).fit(table)
    assert [numbers for _, _, numbers in model.groups_] == [[2], [3], [1], [0, 4, 5]]
    assert list(model.densities_["numbers"].feature_names_in_) == ["height", "heading", "income"]


def test_draws_are_a_table_like_the_fitted_one():
    table = frame()
    model = clone(MIXED).fit(table)
    drawn = model.sample(3000, random_state=0)
    assert list(drawn.columns) == list(table.columns)
    assert drawn.dtypes.astype(str).tolist() == table.dtypes.astype(str).tolist()
    assert drawn.equals(model.sample(3000, random_state=0))
    assert np.isfinite(model.score_samples(drawn)).all()
    again = clone(model).fit(drawn)
    assert float(kl_divergence(model, again)) < 0.01
    estimate = model.cross_entropy(drawn)
    assert abs(float(estimate) - float(entropy(model))) < 4 * estimate.standard_error
    numbers = clone(THREE).fit(NUMBERS).sample(5, random_state=np.random.default_rng(0))
    assert numbers.dtype == np.float64
    assert numbers.shape == (5, 4)


# -- proposals -------------------------------------------------------------------------------------------------------------


def test_proposal_for_a_table():
    table = frame()
    model = make_product_density(table, angles=["heading"])
    assert {name: density.family for name, density, _ in model.groups} == {
        "height": "normal",
        "visits": "poisson",
        "colour": "categorical",
        "smoker": "bernoulli",
        "heading": "von_mises",
        "income": "inverse_gaussian",  # drawn from a lognormal, which is 1.3 nats behind on these 400 rows
    }
    assert not hasattr(model, "groups_")
    assert np.isfinite(model.fit(table).score(table))
    polars = pytest.importorskip("polars")
    other = make_product_density(
        polars.DataFrame({k: v.tolist() for k, v in mixed_columns(0).items()}), angles="heading"
    )
    assert repr(other) == repr(make_product_density(table, angles="heading"))


@pytest.mark.parametrize(
    ("draw", "family"),
    [
        (lambda rng: rng.normal(size=2000), "normal"),
        (lambda rng: rng.standard_t(3, size=2000), "student_t"),
        (lambda rng: rng.laplace(size=2000), "laplace"),
        (lambda rng: rng.logistic(size=2000), "logistic"),
        (lambda rng: rng.gamma(2.0, size=2000), "gamma"),
        (lambda rng: rng.weibull(3.0, size=2000), "weibull"),
        (lambda rng: rng.lognormal(size=2000), "lognormal"),
        (lambda rng: rng.beta(0.5, 0.5, size=2000), "beta"),
        (lambda rng: rng.poisson(4.0, size=2000), "poisson"),
        (lambda rng: rng.negative_binomial(2, 0.3, size=2000), "negative_binomial"),
        (lambda rng: rng.poisson(4.0, size=2000) * (rng.random(2000) < 0.6), "zero_inflated_poisson"),
        (lambda rng: rng.integers(0, 2, size=2000), "bernoulli"),
        (lambda rng: rng.binomial(200, 0.5, size=2000) - 100, "normal"),
    ],
)
def test_proposal_finds_the_family(draw, family):
    values = draw(np.random.default_rng(0))[:, np.newaxis]
    assert make_product_density(values).groups[0][1].family == family


@pytest.mark.parametrize("criterion", ["aic", "bic"])
def test_no_candidate_has_a_lower_criterion(criterion):
    for values in NUMBERS.T[:3, :, np.newaxis]:
        chosen = make_product_density(values, criterion=criterion).groups[0][1].family
        tried = candidates(values).names
        found = {}
        for name in tried:
            with contextlib.suppress(SupportError):  # a geometric distribution gives no zeros
                found[name] = getattr(DensityMLE(name).fit(values), criterion)(values)
        assert chosen == min(found, key=found.get)


@pytest.mark.parametrize("dtype", [float, int])
def test_whole_centimetres_are_no_counts(dtype):
    """The Poisson distribution is 84 nats behind the normal one on these heights, whose variance is a third of their mean."""
    heights = np.random.default_rng(0).normal(170.0, 8.0, (500, 1)).round().astype(dtype)
    family = make_product_density(heights).groups[0][1].family
    assert family in ("normal", "gamma", "lognormal", "inverse_gaussian", "logistic", "student_t")
    ahead = DensityMLE(family).fit(heights).log_likelihood_ - DensityMLE("poisson").fit(heights).log_likelihood_
    assert ahead > 80.0


def test_proposal_reads_weights():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(5, 1, 500), rng.lognormal(0, 1, 500)])[:, np.newaxis]
    values = np.abs(values)
    for half, family in ((slice(0, 500), "normal"), (slice(500, 1000), "lognormal")):
        weights = np.zeros(1000)
        weights[half] = 1.0
        assert make_product_density(values, sample_weight=weights).groups[0][1].family == family


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"height": 3.0}, DegenerateDataError, r"Column 0 \('height'\) is constant: 3.0"),
        ({"colour": "red"}, DegenerateDataError, r"Column 2 \('colour'\) is constant: red"),
        ({"height": np.nan}, ValueError, r"Row 0, column 0 \('height'\) holds nan"),
        ({"colour": None}, ValueError, r"Row 0, column 2 \('colour'\) is missing"),
        ({"height": np.datetime64("2020-01-01")}, TypeError, r"Column 0 \('height'\) holds datetime64"),
    ],
)
def test_proposal_refuses(change, error, message):
    with pytest.raises(error, match=message):
        make_product_density(frame().assign(**change), angles="heading")


def test_proposal_goes_by_types():
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "code": pd.Categorical(rng.integers(1, 4, N)),
            "nullable": pd.array(rng.poisson(3.0, N), dtype="Int64"),
            "whole": np.rint(rng.normal(70.0, 10.0, N)),
            "flag": pd.array(rng.random(N) < 0.5, dtype="boolean"),
            "text": pd.array(rng.choice(["a", "b"], N), dtype="string"),
        }
    )
    model = make_product_density(table)
    found = [density.family for _, density, _ in model.groups]
    assert found[:2] == ["categorical", "poisson"]
    assert found[2] in REAL + POSITIVE
    assert found[3:] == ["bernoulli", "categorical"]
    model.fit(table)
    drawn = model.sample(50, random_state=0)
    assert drawn.dtypes.astype(str).tolist() == table.dtypes.astype(str).tolist()
    assert np.isfinite(model.score_samples(drawn)).all()
    with pytest.raises(ValueError, match=r"Row 3, column 0 \('code'\) is missing"):
        make_product_density(table.assign(code=table["code"].where(np.arange(N) != 3)))
    with pytest.raises(TypeError, match=r"\('text'\) holds dates"):
        make_product_density(table.assign(text=np.array([pd.Timestamp("2020-01-01").date()] * N, dtype=object)))


def test_proposal_checks_its_options():
    with pytest.raises(ValueError, match="criterion"):
        make_product_density(NUMBERS, criterion="score")
    with pytest.raises(ValueError, match="no column 'x'"):
        make_product_density(frame(), angles="x")
    with pytest.raises(ValueError, match="0 sample|needs rows"):
        make_product_density(frame().iloc[:0])


def test_proposal_names():
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame(NUMBERS[:, :3], columns=["a__b", "groups", "a_b"])
    model = make_product_density(table)
    assert [name for name, _, _ in model.groups] == ["a_b", "groups_", "a_b_2"]
    assert np.isfinite(model.fit(table).score(table))
    numbered = pd.DataFrame({0: NUMBERS[:, 0], 1: NUMBERS[:, 1]})
    assert [name for name, _, _ in make_product_density(numbered).fit(numbered).groups] == ["x0", "x1"]
    objects = np.array([["a", 1.5, 1], ["b", 2.5, 4], ["a", 0.5, 9]] * 9, dtype=object)
    mixed = make_product_density(objects)
    label, _, whole = (density.family for _, density, _ in mixed.groups)
    assert label == "categorical"
    assert whole in COUNTS
    assert np.isfinite(mixed.fit(objects).score(objects))


def test_angles_in_degrees_are_told():
    angles = np.random.default_rng(0).vonmises(1.0, 0.5, (200, 1))
    with pytest.warns(UserWarning, match=r"Column 0 holds angles of up to .* numpy\.radians"):
        make_product_density(np.rad2deg(angles), angles=0)
    for radians in (angles, np.mod(angles, 2.0 * np.pi), angles * 1000.0):
        make_product_density(radians, angles=0)  # warnings are errors here
