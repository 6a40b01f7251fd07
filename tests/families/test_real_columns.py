"""Every univariate family on every column of the tables that come with scikit-learn (and with statsmodels, where installed).

Against scipy's own ``fit`` and simplex searches over scipy's log-densities from several starts: no likelihood is higher, and
every fit that could be made has converged. ``pytest -m slow -s tests/families/test_real_columns.py`` prints the counts.
"""

import importlib
import pkgutil
import warnings
from collections import Counter
from functools import cache

import numpy as np
import pytest
from scipy import optimize, stats
from sklearn import datasets

from fastkl import DegenerateDataError, DensityMLE, SupportError, families
from fastkl._core.rows import Rows
from fastkl.families.univariate import UnivariateFamily
from tests.families.test_containments import log_likelihood_at, shortfall

ROWS = 500  # of a column at most, drawn at random
FAMILIES = [name for name in families.names() if issubclass(families.by_name(name), UnivariateFamily)]


@cache
def columns():
    """Every column of numbers with more than two values, by table and name."""
    found = {}
    for name in ("iris", "wine", "breast_cancer", "diabetes", "linnerud", "digits"):
        table = getattr(datasets, f"load_{name}")()
        found |= {f"{name}.{label}": table.data[:, j] for j, label in enumerate(table.feature_names)}
    raw = datasets.load_diabetes(scaled=False)
    found |= {f"diabetes raw.{label}": raw.data[:, j] for j, label in enumerate(raw.feature_names)}
    try:
        tables = importlib.import_module("statsmodels.datasets")
    except ImportError:
        tables = None
    for module in pkgutil.iter_modules(tables.__path__) if tables else ():
        try:
            frame = importlib.import_module(f"statsmodels.datasets.{module.name}").load_pandas().data
        except (AttributeError, ImportError, OSError):
            continue  # a helper or template, no table
        for label in frame.columns:
            try:
                found[f"{module.name}.{label}"] = frame[label].to_numpy(float)
            except (TypeError, ValueError):
                continue  # text
    generator = np.random.default_rng(0)
    clean = {}
    for label, values in found.items():
        finite = values[np.isfinite(values)]
        if len(np.unique(finite)) > 2:
            clean[label] = finite if len(finite) <= ROWS else generator.choice(finite, ROWS, replace=False)
    return clean


def log_densities(family, params, x):
    """By scipy's formula where it has the family, else by ours."""
    if (
        family.scipy_name is None or np.isinf(np.concatenate(list(params.values()))).any()
    ):  # a limit that scipy does not have
        return family.log_density(Rows(x[:, None]), params)
    distribution = getattr(stats, family.scipy_name)
    log_density = distribution.logpmf if family.discrete else distribution.logpdf
    return log_density(x, **family.to_scipy(params))


def scipy_likelihood(family, params, x):
    return float(np.sum(log_densities(family, params, x)))


def owed_to_one_value(family, params, ours, x):
    """Whether all that a reference gains is gained at one value, where its density is far higher: a likelihood without bound.

    Families whose density has a free narrow place (a scale that goes to 0, an end that goes to the smallest value) grow
    without bound there; their fits are the highest maximum elsewhere, and their documents say so.
    """
    gain = log_densities(family, params, x) - log_densities(family, ours, x)
    values, which = np.unique(x, return_inverse=True)
    by_value = np.bincount(which, gain)
    highest = int(by_value.argmax())
    return gain.sum() <= by_value[highest] and gain[which == highest].max() > 3.0


def by_simplex(family, params, x, generator, n_starts=3):
    """The highest of some simplex searches in unconstrained coordinates from places around the parameters."""
    spaces = family.spaces()
    inside = {name: spaces[name].inside(value, 1e-6) for name, value in params.items()}
    blocks = {name: spaces[name].block(name, value) for name, value in inside.items()}
    centre = np.concatenate([blocks[name].to(value) for name, value in inside.items()])

    def at(u):
        return {name: block.back(u[i : i + 1]) for i, (name, block) in enumerate(blocks.items())}

    def loss(u):
        try:
            value = scipy_likelihood(family, at(u), x)
        except (ValueError, OverflowError):
            return np.inf
        return -value if np.isfinite(value) else np.inf

    best = (-np.inf, params)
    for _ in range(n_starts):
        start = centre + generator.normal(0.0, 0.5, len(centre))
        found = optimize.minimize(
            loss, start, method="Nelder-Mead", options={"maxiter": 400, "xatol": 1e-6, "fatol": 1e-9}
        )
        best = max(best, (-found.fun, at(found.x)), key=lambda one: one[0])
    return best


def by_scipy(family, x):
    """scipy's fit, with what the family does not have held at its neutral value."""
    if family.scipy_name is None or family.discrete:
        return -np.inf, {}
    distribution = getattr(stats, family.scipy_name)
    names = [name for name in (distribution.shapes or "").replace(" ", "").split(",") if name] + ["loc", "scale"]
    location = {} if "loc" in family.parameter_names else {"floc": 0.0}
    for held in (location, location | {"fscale": 1.0}):
        try:
            arguments = dict(zip(names, distribution.fit(x, **held), strict=True))
            params = family.check_parameters({key: [value] for key, value in family.from_scipy(arguments).items()})
        except Exception:  # what scipy cannot fit, or fits outside the family's space, is no reference
            continue
        return scipy_likelihood(family, params, x), params
    return -np.inf, {}


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.filterwarnings("ignore")
def test_no_reference_is_higher(name):
    family, generator, counts, faults = families.by_name(name)(), np.random.default_rng(1), Counter(), []
    for label, x in columns().items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = DensityMLE(name).fit(x[:, None])
        except SupportError:
            counts["outside the support"] += 1
            continue
        except DegenerateDataError:
            counts["without a maximum"] += 1
            continue
        counts["fits"] += 1
        if not model.converged_:
            counts["not converged"] += 1
            faults.append(f"{label} has not converged")
        for likelihood, params in (by_scipy(family, x), by_simplex(family, model.params_, x, generator)):
            if shortfall(model.log_likelihood_, likelihood) > 0.0:
                without_bound = log_likelihood_at(family, x[:, None], params) is None
                if without_bound or owed_to_one_value(family, params, model.params_, x):
                    counts["on a branch without bound"] += 1
                else:
                    faults.append(f"{label}: {likelihood - model.log_likelihood_:.3g} nats short at {params}")
    print(f"{name}: {dict(counts)}", *faults[:5], sep="\n  ")
    assert counts["fits"] > 0
    assert not faults
