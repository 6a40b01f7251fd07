"""Distinct values in blocks are those of numpy.unique, of every kind of value, wherever the blocks begin."""

import numpy as np
import pytest

from fastkl._core import distinct as module
from fastkl._core.distinct import distinct

RNG = np.random.default_rng(0)
N = 1000
VALUES = {
    "few": RNG.integers(0, 5, N),
    "all different": RNG.permutation(N),
    "large": RNG.integers(2**62, 2**63 - 1, N, dtype=np.uint64),
    "numbers": RNG.normal(size=N).round(1),
    "signs of zero": RNG.choice([0.0, -0.0, 1.0], N),
    "infinite": RNG.choice([np.inf, -np.inf, 1.0], N),
    "texts": RNG.choice(["a", "bb", "c", ""], N),
    "bytes": RNG.choice([b"a", b"bb"], N),
    "truth": RNG.random(N) < 0.5,
    "strided": RNG.integers(0, 5, (N, 2))[:, 0],
    "objects": RNG.choice(np.array(["a", "b"], dtype=object), N),
    "none": np.empty(0),
}


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("block", [1, 7, 500, 1000])
def test_blocks(kind, block, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", block)
    found, codes = distinct(VALUES[kind])
    expected, places = np.unique(VALUES[kind], return_inverse=True)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(codes, places)
    assert found.dtype == expected.dtype
    assert codes.dtype == np.intp


def test_objects_of_several_kinds():
    with pytest.raises(TypeError):
        distinct(np.array(["a", 1], dtype=object))
