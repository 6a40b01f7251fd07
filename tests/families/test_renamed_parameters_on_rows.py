"""What every family keeps on rows themselves holds for families with nonsense names of parameters too."""

import inspect

import pytest
from sklearn.base import clone

from fastkl import families
from tests.families import test_rows_contract
from tests.families.discovered import examples
from tests.families.test_renamed_parameters import RENAMED


@pytest.fixture(autouse=True)
def registry(monkeypatch):
    """The renamed families in the places of the originals, for this file alone."""
    found = {**{name: families.by_name(name) for name in families.names()}, **RENAMED}
    monkeypatch.setattr(families, "_registry", lambda: found)


@pytest.fixture(params=examples(RENAMED))
def distribution(request):
    """A family, and parameters of it."""
    family, params = request.param
    family = clone(family)
    return family, family.check_parameters(params)


for _name, _test in vars(test_rows_contract).items():
    if _name.startswith("test_") and "distribution" in inspect.signature(_test).parameters:
        globals()[_name] = _test


def test_the_contract_is_here():
    """The tests above are collected under this file's families."""
    assert sum(name.startswith("test_") for name in globals()) > 4
