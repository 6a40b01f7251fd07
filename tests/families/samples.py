"""Random samples on which searches for a maximum go astray: ties, groups, outliers, offsets, contaminated rows, few rows."""

import numpy as np

SIZES = (3, 4, 5, 7, 10, 20, 40, 100, 200)


def uneven_weights(n, seed=1):
    """Weights of n rows, none of them a whole number."""
    return np.random.default_rng(seed).uniform(0.1, 3.0, n)


def line(generator):
    """Numbers on the line."""
    n, kind = int(generator.choice(SIZES)), int(generator.integers(8))
    x = generator.normal(size=n)
    if kind == 1:
        x[: n // 2] = generator.choice([10, 50, 1e3, 1e6]) + generator.choice([0.01, 0.5, 1.0]) * x[: n // 2]
    elif kind == 2:
        x[0] = 10.0 ** generator.uniform(3.0, 300.0)
    elif kind == 3:
        x = np.round(3.0 * x)
    elif kind == 4:
        x = generator.standard_t(0.5, size=n)
    elif kind == 5:
        x[: int(n * generator.uniform(0.0, 0.5))] += 20.0 * generator.normal()
    elif kind == 6:
        x = generator.choice([0.0, 5.0, 100.0, 1e4], size=n) + x * 10.0 ** generator.uniform(-3.0, 0.0)
    elif kind == 7:
        x = x + 10.0 ** generator.uniform(3.0, 10.0)
    return generator.permutation(x)[:, None]


def positive(generator):
    """Positive numbers."""
    n, kind = int(generator.choice(SIZES)), int(generator.integers(9))
    x = np.exp(generator.normal(size=n) * generator.choice([0.1, 0.5, 1.0, 2.0]))
    if kind == 1:
        x = np.round(generator.normal(170.0, 8.0, size=n))
    elif kind == 2:
        x = generator.uniform(480.0, 1000.0, size=n)
    elif kind == 3:
        x = generator.choice([9, 12, 14, 16, 17, 20], p=[0.01, 0.2, 0.3, 0.2, 0.14, 0.15], size=n).astype(float)
    elif kind == 4:
        x = 1.0 + generator.pareto(3.0, size=n)
    elif kind == 5:
        x = generator.weibull(1.5, size=n)
    elif kind == 6:
        x[: n // 2] *= 10.0 ** generator.uniform(1.0, 6.0)
    elif kind == 7:
        x = generator.gamma(0.3, size=n)
    elif kind == 8:
        x = generator.beta(5.0, 1.0, size=n)
    return generator.permutation(np.maximum(x, 1e-12))[:, None]


def fractions(generator):
    """Numbers between 0 and 1, both excluded."""
    n = int(generator.choice(SIZES))
    a, b = 10.0 ** generator.uniform(-1.0, 3.0, size=2)
    return np.clip(generator.beta(a, b, size=(n, 1)), 1e-12, 1.0 - 1e-12)


def counts(generator):
    """Counts: over- and under-dispersed, with and without many zeros."""
    n, mean = int(generator.choice(SIZES)), 10.0 ** generator.uniform(-1.0, 3.0)
    kind = int(generator.integers(4))
    x = generator.poisson(mean, size=n)
    if kind == 1:
        x = generator.poisson(mean * generator.gamma(0.5, 2.0, size=n))
    elif kind == 2:
        x = x * (generator.random(n) < 0.5)
    elif kind == 3:
        x = generator.binomial(10, 0.4, size=n)
    return x[:, None].astype(float)


def compositions(generator, d=None):
    """Rows of counts: with equal and unequal totals, over- and under-dispersed, some with one outcome a row."""
    d = int(generator.choice([2, 3, 6])) if d is None else d
    n, kind = int(generator.choice(SIZES)), int(generator.integers(5))
    totals = generator.choice([2, 5, 30, 1000]) if kind != 1 else generator.integers(1, 40, size=n)
    shares = generator.dirichlet(np.full(d, 10.0 ** generator.uniform(-2.0, 4.0)), size=n)
    if kind == 2:
        shares = np.repeat(generator.dirichlet(np.ones(d))[None], n, axis=0)
    elif kind == 3:  # less than multinomial rows
        return generator.permutation(
            np.floor(totals * generator.dirichlet(np.ones(d))) + generator.integers(0, 2, (n, d))
        )
    elif kind == 4:
        shares[: n // 2] = np.eye(d)[generator.integers(d, size=n // 2)]
    return generator.permutation(generator.multinomial(totals, shares)).astype(float)


def plane(generator):
    """Rows of several columns."""
    d = int(generator.choice([2, 3, 5]))
    n, kind = int(generator.choice([d + 4, 15, 40, 100, 300])), int(generator.integers(6))
    X = generator.normal(size=(n, d)) @ generator.normal(size=(d, d))
    far = int(n * generator.uniform(0.0, 0.5))
    if kind == 1:
        X[:far] = generator.choice([10, 50, 1e3]) + generator.choice([0.01, 0.5, 1.0]) * generator.normal(size=(far, d))
    elif kind == 2:
        X[0] = 10.0 ** generator.uniform(3.0, 100.0)
    elif kind == 3:
        X = np.round(3.0 * X)
    elif kind == 4:
        X = generator.normal(size=(n, d)) / np.sqrt(generator.gamma(0.25, 4.0, size=(n, 1)))
    elif kind == 5:
        X[:far] += 20.0 * generator.normal(size=d)
    return generator.permutation(X)
