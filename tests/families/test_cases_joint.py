"""The acceptance cases of the families of counts, compositions and directions, and of the multivariate t."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn import datasets

from fastkl import DensityMLE, families

DATA = Path(__file__).parents[1] / "data"
FAMILIES = {
    "poisson", "bernoulli", "geometric", "negative_binomial", "zero_inflated_poisson", "multivariate_t", "dirichlet",
    "multinomial", "von_mises_fisher",
}  # fmt: skip


def is_mine(case):
    """Complete rows of one family; shrinkage is held to its cases beside the priors."""
    if case["family"] == "multivariate_normal":
        return "sklearn" in case["data"] and "shrinkage" not in case["options"]
    return case["family"] in FAMILIES


CASES = [case for case in json.loads((DATA / "cases/density.json").read_text()) if is_mine(case)]


def rows_of(data):
    if "sklearn" in data:
        X = getattr(datasets, data["sklearn"])().data
        return X[slice(*data["rows"])] if "rows" in data else X
    if "file" in data:
        table = np.genfromtxt(DATA / data["file"], delimiter=",", names=True)
        X = np.stack([table[name] for name in data["columns"]], axis=1)
        return np.repeat(X, table[data["counts"]].astype(int), axis=0) if "counts" in data else X
    X = np.array(data["values"], dtype=float)
    return X[:, None] if X.ndim == 1 else X


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_case(case):
    X = rows_of(case["data"])
    family = families.by_name(case["family"])(**case["options"].get("fixed", {}))
    model = DensityMLE(family).fit(X, sample_weight=case.get("weights"))
    found = {
        "params": model.params_,
        "standard_errors": model.standard_errors_,
        "log_likelihood": model.log_likelihood_,
        "aic": model.aic(X),
        "bic": model.bic(X),
    }
    assert model.converged_
    for key, wanted in case["expected"].items():
        rtol, atol = case["rtol"].get(key, 0.0), case["atol"].get(key, 0.0)
        pairs = (
            [(found[key][name], value) for name, value in wanted.items()]
            if isinstance(wanted, dict)
            else [(found[key], wanted)]
        )
        for got, value in pairs:
            value = np.reshape(value, np.shape(got))
            assert np.all(np.abs(got - value) <= atol + rtol * np.abs(value)), (key, got, value)


def test_there_are_cases_of_these_families():
    assert {case["family"] for case in CASES} >= {
        "poisson", "negative_binomial", "multivariate_normal", "multivariate_t", "dirichlet",
    }  # fmt: skip
