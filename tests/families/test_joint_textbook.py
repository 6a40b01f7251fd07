"""Families of whole rows against their textbooks: log-density and entropy in 60-digit arithmetic.

Families are discovered; each carries its formula (``textbook``, ``textbook_entropy``), and is tried at its examples and its
``extreme`` parameters, on rows drawn from it and, where rows may be any numbers, on rows up to 100 times as far apart. As for
univariate families a log-density has to agree to 1e-13 relative, or absolute where it is below 1. Where a row fulfils an
equation to rounding alone (parts that sum to 1, directions of length 1) the formula is taken of the row as it is.
"""

import mpmath as mp
import numpy as np
import pytest

from fastkl import DensityMLE
from tests.families.discovered import CLASSES, UNIVARIATE

N = 12
DIGITS = 60


def distributions():
    for name in sorted(set(CLASSES) - set(UNIVARIATE)):
        cls = CLASSES[name]
        examples = [(family, params) for family, params in cls.examples() if not getattr(family, "categories", None)]
        for i, (family, params) in enumerate([*examples, *((examples[0][0], params) for params in cls.extreme)]):
            yield pytest.param(DensityMLE.from_parameters(family, **params), id=f"{name}-{i}")


@pytest.fixture(params=distributions())
def distribution(request):
    with mp.workdps(DIGITS):
        yield request.param


def exact(value):
    """A number, a list of numbers or a matrix of high precision."""
    value = np.asarray(value)
    if value.ndim == 2:
        return mp.matrix(value.tolist())
    return [mp.mpf(v) for v in value.tolist()] if value.ndim else mp.mpf(float(value))


def exact_parameters(distribution):
    return {name: exact(value) for name, value in distribution.params_.items()}


def rows_to_try(distribution):
    X = np.asarray(distribution.sample(N, random_state=0), dtype=np.float64)
    family = distribution.family_
    if family.equivariant and not family.discrete:
        X = np.concatenate([X[0] + factor * (X - X[0]) for factor in (1.0, 1e-3, 100.0)])
    return X


def test_log_density(distribution):
    X, params = rows_to_try(distribution), exact_parameters(distribution)
    got = distribution.score_samples(X)
    seen = np.isfinite(got)
    assert seen.sum() > len(X) // 4  # a part may be drawn as 0, which is outside
    want = np.array([float(distribution.family_.textbook(mp, exact(x), **params)) for x in X[seen]])
    np.testing.assert_allclose(got[seen], want, rtol=1e-13, atol=1e-13)


def test_entropy(distribution):
    got = distribution.family_.entropy(distribution.params_)
    if got is None:
        pytest.skip("not offered")
    want = float(distribution.family_.textbook_entropy(mp, **exact_parameters(distribution)))
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)
