"""Rows, weights and options as nobody should pass them, and some as everybody does: drawn by choices that are recorded.

Lists of choices begin with the plainest, since a case that breaks a promise is made small by choosing earlier ones.
Values of a matrix come from a seed of its own.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

WILD = [
    0.0,
    1.0,
    -1.0,
    0.5,
    5e-324,
    1e-308,
    -1e-300,
    1e-160,
    1e160,
    1e300,
    -1e300,
    1.7e308,
    -1.7e308,
    1e16,
    2.0**53,
    1e-17,
]
ODD = [
    None,
    -1,
    0,
    1,
    2,
    3,
    2.5,
    -0.5,
    1e300,
    float("nan"),
    float("inf"),
    "abc",
    "",
    True,
    [],
    [1],
    {},
    (0, 1),
    b"x",
    10**12,
    1 + 1j,
]
NO_NUMBERS = [
    odd for odd in ODD if not isinstance(odd, int) or odd < 10**6
]  # of numbers of draws: a trillion is an order, not a mistake

# values by kind, all finite: each has a reason to occur
KINDS = {
    "normal": lambda g, n, d: g.normal(size=(n, d)),
    "positive": lambda g, n, d: g.gamma(2.0, size=(n, d)),
    "shares": lambda g, n, d: g.uniform(0.05, 0.95, size=(n, d)),
    "counts": lambda g, n, d: g.poisson(3.0, size=(n, d)).astype(float),
    "coins": lambda g, n, d: g.integers(0, 2, size=(n, d)).astype(float),
    "simplex": lambda g, n, d: g.dirichlet(np.ones(d), size=n),
    "sphere": lambda g, n, d: _unit(g.normal(size=(n, d))),
    "constant": lambda g, n, d: np.full((n, d), 1.5),
    "few": lambda g, n, d: g.choice([1.0, 2.0, 4.0], size=(n, d)),
    "shifted": lambda g, n, d: 1e8 + g.normal(size=(n, d)),
    "tiny": lambda g, n, d: 1e-200 * g.gamma(2.0, size=(n, d)),
    "huge": lambda g, n, d: 1e200 * g.gamma(2.0, size=(n, d)),
    "heavy": lambda g, n, d: np.sign(g.normal(size=(n, d))) * np.exp(8.0 * g.normal(size=(n, d))),
    "outlier": lambda g, n, d: np.where(np.arange(n)[:, None] == 0, 1e12, g.normal(size=(n, d))),
    "line": lambda g, n, d: g.normal(size=(n, 1)) * np.arange(1.0, d + 1.0),
    "wild": lambda g, n, d: g.choice(WILD, size=(n, d)),
}
TAME = ("normal", "positive", "shares", "counts", "coins", "simplex", "sphere")


def _unit(X):
    return X / np.linalg.norm(X, axis=1, keepdims=True)


@dataclass
class Case:
    """Rows as they are passed, their weights, and whether a call with them may not give NaN or warn."""

    X: Any
    weights: Any
    tame: bool
    kind: str


def case(rng, kind=None, least=0):
    """Rows and weights; two in three are in order."""
    tidy = rng.random() < 0.67
    kind = kind or rng.choice(TAME if tidy else list(KINDS))
    n = rng.choice([20, 9, 40, 3, 2, 1, 5] if tidy else [9, 20, 3, 2, 1, 0])
    d = max(least, rng.choice([2, 1, 3]))
    X = KINDS[kind](np.random.default_rng(rng.randrange(1000)), n, d)
    weights, valid = given_weights(rng, n, tidy)
    if not tidy and rng.random() < 0.4:
        X = disfigured(rng, X)
        return Case(X, weights, False, kind)
    return Case(packed(rng, X), weights, tidy and valid and kind in TAME, kind)


def given_weights(rng, n, tidy):
    """Weights, and whether they are valid."""
    g = np.random.default_rng(rng.randrange(100))
    which = rng.randrange(5 if tidy else 14)
    valid = [None, None, g.uniform(0.1, 2.0, n), g.integers(0, 3, n).astype(float), np.ones(n, dtype=int)]
    if which < len(valid):
        weights = valid[which]
        return weights, weights is None or bool(np.any(weights)) or n == 0
    strange = [
        np.zeros(n),
        -np.ones(n),
        np.full(n, np.nan),
        g.choice(WILD, n),
        np.ones(n + 1),
        np.ones((n, 1)),
        rng.choice(ODD),
        1e-300 * g.uniform(0.1, 2.0, n),
        np.array(["a"] * n, dtype=object),
    ]
    return strange[which - len(valid)], False


def packed(rng, X):
    """The same rows in another container, or at another place of memory."""
    which = rng.randrange(11)
    if which == 1:
        return X.astype(np.float32) if np.abs(X).max(initial=0.0) < 1e30 else X
    if which == 2:
        return np.asfortranarray(X)
    if which == 3:
        return X.tolist()
    if which == 4:
        return pd.DataFrame(X, columns=[f"c{j}" for j in range(X.shape[1])])
    if which == 5:
        X = X.copy()
        X.flags.writeable = False
    if which == 6:
        return X[::-1]
    if which == 7:
        odd = np.ndarray(X.shape, dtype=np.float64, buffer=np.zeros(X.nbytes + 1, dtype=np.uint8), offset=1)
        odd[...] = X
        return odd
    if which == 8:
        return X.astype(">f8")
    if which == 9:
        return np.repeat(X, 2, axis=1)[:, ::2]
    return X


def disfigured(rng, X):
    """Rows with something in them that is no finite number, or that are no rows."""
    which, at = rng.randrange(14), (rng.randrange(max(len(X), 1)), 0)
    if which < 3 and X.size:
        X = X.copy()
        X[at] = (np.nan, np.inf, -np.inf)[which]
        return X
    if which == 3:
        return np.ma.masked_array(X, mask=np.median(X) < X if X.size else False)
    if which == 4:
        return X.astype(complex)
    if which == 5:
        return X.astype(object)
    if which == 6:
        texts = X.astype(object)
        if X.size:
            texts[at] = rng.choice(["a", None, "1.5", b"x", pd.NA, [1]])
        return texts
    if which == 7:
        return X[:, :0]
    if which == 8:
        return X[..., None]
    if which == 9:
        return X.ravel()
    if which == 10:
        return rng.choice(ODD)
    if which == 11:
        return pd.DataFrame(X, columns=["a"] * X.shape[1])
    if which == 12:
        return np.where(np.abs(X) < 1e18, X, 0.0).astype("datetime64[s]")
    with np.errstate(all="ignore"):
        return X.astype(rng.choice([np.int8, np.uint64, bool, np.float16, np.longdouble]))


def maybe(rng, plain, odd=ODD, share=0.08):
    """An option: as a rule the plain value, now and then one that makes no sense."""
    return rng.choice(odd) if rng.random() < share else plain
