"""Summaries of fitted densities: the numbers of the fit under the names of columns, as text, HTML and a data frame."""

import copy
import pickle
import re

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import StandardScaler

from fastkl import DensityMLE, Estimate, MixtureMLE, ProductDensity, Summary, TransformedDensity, families
from tests.families.discovered import CLASSES

RNG = np.random.default_rng(2)
TABLE = pd.DataFrame({"height": RNG.gamma(5.0, size=200), "weight": RNG.gamma(2.0, size=200)})
TABLE["pet"] = RNG.choice(["cat", "dog"], 200)
NUMBERS = TABLE[["height", "weight"]]


@pytest.mark.parametrize("name", CLASSES)
def test_every_family_has_a_summary(name):
    """Every estimate stands in the table, and so does every standard error."""
    family, params = CLASSES[name].examples()[-1]
    known = DensityMLE.from_parameters(family, **params)
    X = known.sample(300, random_state=0)
    model = DensityMLE(
        type(family)(**{k: v for k, v in family.get_params().items() if k not in family.parameters})
    ).fit(X)
    table = model.summary().to_frame()
    errors = [error for value in model.standard_errors_.values() for error in np.ravel(value)]
    shown = table["standard_error"].dropna().to_numpy()
    known_errors = {
        error for error in errors if error == error
    }  # 0 for labels that a column with fewer of them does not have
    assert set(shown) - {0.0} == known_errors - {0.0}
    for value in model.params_.values():
        assert set(np.unique(value)) - {0.0} <= set(table["estimate"]) | {0.0}
    assert np.all((table["low"] <= table["estimate"]) | table["low"].isna())
    text = str(model.summary())
    assert text.splitlines()[0] == f"{name}: 300 rows, {X.shape[1]} columns"
    assert f"AIC {model.aic(X):.5g}" in text
    assert f"BIC {model.bic(X):.5g}" in text
    assert isinstance(known.summary(), Summary)
    assert "known parameters" in str(known.summary())


def test_columns_by_name():
    model = DensityMLE("gamma").fit(NUMBERS)
    table = model.summary(level=0.9).to_frame()
    assert list(table["column"]) == ["height", "height", "weight", "weight"]
    assert list(table["parameter"]) == ["shape", "scale"] * 2
    np.testing.assert_array_equal(table["estimate"].to_numpy().reshape(2, 2).T, list(model.params_.values()))
    np.testing.assert_array_equal(
        table["standard_error"].to_numpy().reshape(2, 2).T, list(model.standard_errors_.values())
    )
    low, high = model.confidence_intervals(0.9)["shape"]
    np.testing.assert_array_equal(table["low"][::2], low)
    np.testing.assert_array_equal(table["high"][::2], high)
    joint = DensityMLE().fit(NUMBERS).summary().to_frame()
    assert list(joint["column"]) == ["height", "weight", "height", "height, weight", "weight"]
    assert list(joint["parameter"]) == ["mean"] * 2 + ["covariance"] * 3


def test_a_page_of_text():
    model = DensityMLE("gamma").fit(NUMBERS)
    lines = str(model.summary()).splitlines()
    assert repr(model.summary()) == str(model.summary())
    assert lines[0] == "gamma: 200 rows, 2 columns"
    assert lines[1].startswith(f"log-likelihood {model.log_likelihood_:.5g}    parameters 4    AIC ")
    assert lines[1].endswith(f"converged after {model.n_iter_} iterations")
    assert lines[3].split() == ["column", "parameter", "estimate", "std.", "error", "95", "%", "interval"]
    assert re.fullmatch(r"height  shape +[\d.]+ +[\d.]+  [\d.]+ \.\.\. [\d.]+", lines[5])
    weighted = DensityMLE("gamma").fit(NUMBERS, sample_weight=np.full(200, 0.25))
    assert str(weighted.summary()).startswith("gamma: 50 rows, ")


def test_robust_errors():
    model = DensityMLE("gamma").fit(NUMBERS)
    table = model.summary(robust=True, X=NUMBERS).to_frame()
    robust = model.robust_standard_errors(NUMBERS)
    np.testing.assert_allclose(table["robust_standard_error"].to_numpy().reshape(2, 2).T, list(robust.values()))
    low, _ = model.confidence_intervals(0.95, robust=True, X=NUMBERS)["scale"]
    np.testing.assert_allclose(table["low"][1::2], low)
    kept = DensityMLE("gamma", robust_errors=True).fit(NUMBERS)
    pd.testing.assert_frame_equal(kept.summary(robust=True).to_frame(), table, rtol=1e-9)
    with pytest.raises(AttributeError, match="needs the rows"):
        model.summary(robust=True)
    with pytest.raises(AttributeError, match="need a fit"):
        DensityMLE.from_parameters("normal", loc=0.0, scale=1.0).summary(robust=True)


def test_what_has_no_standard_error_says_why():
    model = DensityMLE(families.StudentT(df=4.0)).fit(NUMBERS)
    table = model.summary().to_frame()
    assert list(table["note"]) == ["held fixed", "", ""] * 2
    assert str(model.summary()).count("held fixed") == 2
    under = DensityMLE("negative_binomial").fit([[0.0], [1.0], [1.0], [2.0], [2.0], [3.0]]).summary()
    sentence = under.to_frame()["note"][0]
    assert "size is infinite" in sentence
    assert str(under).endswith(f"[1] {sentence}")
    assert "see [1]" in str(under)
    both = DensityMLE("uniform").fit(NUMBERS).summary()
    assert len(re.findall(r"^\[\d\]", str(both), re.MULTILINE)) == 2


def test_a_fit_that_did_not_converge():
    model = DensityMLE("student_t").fit(NUMBERS)
    model.converged_ = False
    assert "NOT CONVERGED after" in str(model.summary())


def test_products_and_transformed_densities():
    product = ProductDensity(
        [("body", DensityMLE("gamma"), ["weight", "height"]), ("pets", DensityMLE("categorical"), ["pet"])]
    ).fit(TABLE)
    table = product.summary().to_frame()
    assert list(table["column"]) == ["weight"] * 2 + ["height"] * 2 + ["pet"] * 2
    assert list(table["parameter"][3:]) == ["body__scale", "pets__P(cat)", "pets__P(dog)"]
    assert str(product.summary()).startswith("product of 2 groups: 200 rows, 3 columns")
    robust = product.summary(robust=True, X=TABLE).to_frame()["robust_standard_error"]
    np.testing.assert_allclose(robust[1], product.robust_standard_errors(TABLE)["body"]["scale"][0])
    scaled = TransformedDensity(StandardScaler(), DensityMLE("logistic")).fit(NUMBERS)
    text = str(scaled.summary())
    assert text.startswith("logistic behind StandardScaler: 200 rows")
    assert "The parameters are those of the rows behind StandardScaler" in text
    np.testing.assert_array_equal(scaled.summary().to_frame()["estimate"][::2], scaled.params_["loc"])
    assert f"AIC {scaled.aic(NUMBERS):.5g}" in text
    nested = ProductDensity([("scaled", scaled, ["height", "weight"])])
    nested.fit(NUMBERS)
    assert list(nested.summary().to_frame()["parameter"])[:2] == ["scaled__loc", "scaled__scale"]


@pytest.mark.parametrize("kind", ["one", "product", "passed on"])
def test_refits_of_a_bootstrap_are_shown_as_a_table(kind):
    """A dict of arrays, printed with the estimates of the fit, spreads and the intervals of the bootstrap; also of copies."""
    X = pd.DataFrame(np.random.default_rng(7).gamma(2.0, size=(80, 2)), columns=["length", "width"])
    gamma = DensityMLE(families.Gamma(scale=0.5))
    density = {
        "one": DensityMLE("gamma"),
        "product": ProductDensity([("own", gamma, ["width"]), ("other", DensityMLE("weibull"), ["length"])]),
        "passed on": TransformedDensity(None, DensityMLE("gamma")),
    }[kind].fit(X)
    refits = density.bootstrap(X, n_resamples=50, random_state=0)
    table, own = refits.to_frame(), density.summary().to_frame()
    for name in ("column", "parameter", "estimate", "note"):
        assert table[name].tolist() == own[name].tolist()
    low, high = density.confidence_intervals(method="bootstrap", X=X, n_resamples=50, random_state=0), refits
    line = table[(table.column == "length") & table.parameter.str.endswith("shape")].iloc[0]
    if kind == "product":
        low, high = low["other"], high["other"]
    place = 0
    assert [line.low, line.high] == [end[place] for end in low["shape"]]
    assert line.standard_error == pytest.approx(np.std(high["shape"][:, place], ddof=1), rel=1e-12)
    assert "bootstrap, 50 refits" in repr(refits)
    assert f"{line.standard_error:.5g}" in repr(refits)
    assert "<table>" in refits._repr_html_()
    assert "behind None" not in repr(refits)
    for other in (pickle.loads(pickle.dumps(refits)), copy.deepcopy(refits)):
        assert repr(other) == repr(refits)
        assert list(other) == list(refits)
    single = density.bootstrap(X, n_resamples=1, random_state=0)
    assert single.to_frame().standard_error.isna().all()
    assert "1 refit\n" in repr(single)


def test_a_prior_is_named():
    assert "prior" in str(DensityMLE("gamma", prior="default").fit(NUMBERS).summary()).splitlines()[-1]


def test_html_is_escaped_and_long_tables_are_cut():
    table = pd.DataFrame({"<b>": RNG.normal(size=50), "a" * 40: RNG.normal(size=50)})
    summary = DensityMLE("normal").fit(table).summary()
    html = summary._repr_html_()
    assert "<b>" not in html
    assert "&lt;b&gt;" in html
    assert html.count("<tr>") == 5
    assert "a" * 21 + "..." in str(summary)
    wide = DensityMLE().fit(RNG.normal(size=(100, 12))).summary()
    assert "... and 30 more: to_frame() has all." in str(wide)
    assert len(wide.to_frame()) == 90


def test_before_a_fit():
    with pytest.raises(NotFittedError, match="not fitted yet"):
        DensityMLE("gamma").summary()


def test_estimates_show_themselves():
    html = Estimate(0.25, 0.05, 400, "knn", {"reasons": ["few < rows"], "bias_suspected": True})._repr_html_()
    for part in ("0.25 nats", "0.05", "0.152002 ... 0.347998", "knn", "400", "few &lt; rows", "bias suspected"):
        assert part in html
    exact = Estimate(0.25, 0.0)._repr_html_()
    assert "exact" in exact
    assert "interval" not in exact


@pytest.mark.parametrize("form", ["full", "tied"])
def test_components_of_a_mixture_are_named(form):
    """The leading axis is the component, not a column."""
    family = families.MultivariateNormal(covariance_type=form)
    model = MixtureMLE(2, family=family, random_state=0).fit(NUMBERS)
    table = model.summary().to_frame()
    lines = {(line.column, line.parameter): line.estimate for line in table.itertuples()}
    params = model.params_
    assert lines["", "component 1: weight"] == params["weights"][1]
    assert lines["weight", "component 0: mean"] == params["mean"][0, 1]
    if form == "tied":
        assert lines["height, weight", "all components: covariance"] == params["covariance"][0, 1]
    else:
        assert lines["height, weight", "component 1: covariance"] == params["covariance"][1, 0, 1]
    assert len(lines) == len(table) == 2 + 4 + (3 if form == "tied" else 6)
    assert list(table["parameter"][:2]) == ["component 0: weight", "component 0: mean"]


def test_components_of_several_families_and_of_labels():
    mixed = MixtureMLE(family=["normal", "exponential"], random_state=0).fit(NUMBERS[["height"]]).summary().to_frame()
    assert list(mixed["parameter"]) == [
        f"component {k}: {name}"
        for k, names in enumerate((["weight", "loc", "scale"], ["weight", "scale"]))
        for name in names
    ]
    # one share, three parameters
    summary = MixtureMLE(2, family="categorical", random_state=0).fit(TABLE[["pet"]]).summary()
    assert "the rows do not determine all parameters" in str(summary)
    pets = summary.to_frame()
    assert pets["standard_error"].isna().all()
    assert set(pets["parameter"]) == {
        f"component {k}: {name}" for k in (0, 1) for name in ("weight", "P(cat)", "P(dog)")
    }


def test_a_table_of_many_lines_is_not_gone_through_for_each_that_is_shown():
    """A covariance of 1000 columns has 500,000 lines, of which text and HTML show 60."""

    class Counted(list):
        rounds = 0

        def __iter__(self):
            self.rounds += 1
            return super().__iter__()

    lines = Counted([DensityMLE("normal").fit(NUMBERS).summary().lines[0]] * 200)
    table = Summary("normal", [], lines, [], 0.95)
    assert "and 140 more" in str(table)
    assert "and 140 more" in table._repr_html_()
    assert lines.rounds <= 2
