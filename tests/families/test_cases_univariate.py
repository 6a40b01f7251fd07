"""The table of known answers for complete data and one univariate continuous family (tests/data/cases/density.json)."""

import csv
import json
import pathlib

import numpy as np
import pytest

from fastkl import DensityMLE, families
from fastkl.families.univariate import UnivariateFamily

DATA = pathlib.Path(__file__).parents[1] / "data"


def is_mine(case):
    if case["family"] not in families.names() or case["data"].get("kind") == "interval":
        return False
    family = families.by_name(case["family"])
    return issubclass(family, UnivariateFamily) and not family.discrete


CASES = [case for case in json.loads((DATA / "cases" / "density.json").read_text()) if is_mine(case)]


def read(data):
    """Rows (n, 1) and counts or None."""
    if "values" in data:
        return np.array(data["values"], dtype=np.float64).reshape(len(data["values"]), -1), None
    with open(DATA / data["file"], newline="") as file:
        table = list(csv.DictReader(line for line in file if not line.startswith("#")))
    X = np.array([[float(row[name]) for name in data["columns"]] for row in table])
    counts = np.array([float(row[data["counts"]]) for row in table]) if "counts" in data else None
    return X / data.get("divide_by", 1.0), counts


def sums(family, given):
    """The family's statistics from plain sums, with as many digits as these leave."""
    n, mean, log = (given[key] / given["n"] for key in ("n", "sum_x", "sum_log_x"))
    n = given["n"]
    known = {
        "weight": n,
        "mean": mean,
        "log_excess": n * (np.log(mean) - log),
        "meanlog": log,
        "m2log": given["sum_log_x_squared"] - n * log**2,
    }
    return {name: np.array([float(known[name])]) for name in family.statistic_names}


def close(got, want, case, key):
    scale = np.asarray(want, dtype=np.float64)
    return np.all(
        np.abs(np.asarray(got) - scale) <= case["atol"].get(key, 0.0) + case["rtol"].get(key, 0.0) * np.abs(scale)
    )


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_known_answer(case):
    family = families.by_name(case["family"])(**case["options"].get("fixed", {}))
    expected = case["expected"]
    if "statistics" in case["data"]:
        statistics = sums(family, case["data"]["statistics"])
        params, errors = family.solve(statistics).params, None
        errors = family.standard_errors(statistics, params)
        total = family.statistics_log_likelihood(statistics, params)
    else:
        X, counts = read(case["data"])
        model = DensityMLE(family).fit(X, sample_weight=counts)
        params, errors, total = model.params_, model.standard_errors_, model.log_likelihood_
        assert model.converged_
        for key in ("aic", "bic"):
            if key in expected:
                assert close(getattr(model, key)(X, counts), expected[key], case, key), key
        if counts is not None:
            repeated = DensityMLE(family).fit(np.repeat(X, counts.astype(int), axis=0))
            np.testing.assert_allclose(repeated.log_likelihood_, total, rtol=1e-12)
    for name, want in expected["params"].items():
        assert close(params[name][0], want, case, "params"), (name, params[name], want)
    for name, want in expected.get("standard_errors", {}).items():
        assert close(errors[name][0], want, case, "standard_errors"), (name, errors[name], want)
    if "log_likelihood" in expected:
        assert close(total, expected["log_likelihood"], case, "log_likelihood")


def test_highest_of_four_maxima_by_multiples():
    """The same data with every row three times, and shifted and scaled."""
    case = next(case for case in CASES if case["id"].startswith("12-"))
    X, _ = read(case["data"])
    family = families.StudentT(df=0.05, scale=7.0)
    model = DensityMLE(family).fit(np.repeat(5.0 + 7.0 * X, 3, axis=0))
    np.testing.assert_allclose(model.params_["loc"], 5.0 + 7.0 * case["expected"]["params"]["loc"], rtol=1e-8)


def test_limit_of_infinite_degrees_of_freedom():
    """The stack-loss response has tails lighter than normal in the air flow column; the limit is the normal distribution."""
    X = np.random.default_rng(0).uniform(size=(500, 1))
    model, normal = DensityMLE("student_t").fit(X), DensityMLE("normal").fit(X)
    assert np.isinf(model.params_["df"]).all()
    assert "df" in model.boundary_
    assert list(model.standard_errors_) == ["loc", "scale"]
    np.testing.assert_allclose(model.log_likelihood_, normal.log_likelihood_, rtol=1e-14)
    np.testing.assert_allclose(model.standard_errors_["loc"], normal.standard_errors_["loc"], rtol=1e-12)
    np.testing.assert_allclose(model.score_samples(X), normal.score_samples(X), rtol=1e-13)
    assert model.param_names_ == ["loc[0]", "scale[0]"]
