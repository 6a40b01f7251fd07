"""Counts, compositions, directions and known probabilities beside scipy and numpy: ``python benchmarks/peers_counts.py``.

One thread on both sides.
"""

from collections.abc import Iterator

import numpy as np
from scipy import optimize, stats
from side_by_side import Row, compare, print_table

from fastkl import DensityMLE, discrete_kl

N = 1_000_000


def count_rows() -> Iterator[Row]:
    """Log-likelihood with gradient against scipy's value alone."""
    rng = np.random.default_rng(0)
    distributions = [
        ("poisson", rng.poisson(8.0, N), {"rate": 8.0}, stats.poisson(8.0)),
        ("geometric", rng.geometric(0.2, N), {"probability": 0.2}, stats.geom(0.2)),
        ("bernoulli", rng.random(N) < 0.2, {"probability": 0.2}, stats.bernoulli(0.2)),
        ("negative_binomial", rng.negative_binomial(2.5, 0.2, N), {"size": 2.5, "mean": 10.0}, stats.nbinom(2.5, 0.2)),
    ]
    for name, values, params, distribution in distributions:
        x = values.astype(np.float64)
        model = DensityMLE.from_parameters(name, **params).set_params(n_jobs=1)
        X = x[:, None]
        assert np.isclose(model.log_likelihood(X), distribution.logpmf(x).sum(), rtol=1e-11)
        yield compare(
            f"{name} log-likelihood and gradient, n = 10⁶",
            f"scipy.stats.{distribution.dist.name}.logpmf(x).sum(), value only",
            lambda model=model, X=X: model.score_and_gradient(X),
            lambda distribution=distribution, x=x: distribution.logpmf(x).sum(),
        )


def negative_binomial_rows() -> Iterator[Row]:
    """The fit, against the fastest way there is with scipy: the mean is known, Brent's method on the logarithm of the size."""
    x = np.random.default_rng(0).negative_binomial(2.5, 0.2, N).astype(np.float64)
    X, mean = x[:, None], x.mean()

    def by_scipy() -> float:
        def loss(t: float) -> float:
            size = np.exp(t)
            return float(-stats.nbinom.logpmf(x, size, size / (size + mean)).sum())

        return float(np.exp(optimize.minimize_scalar(loss, bracket=(0.0, 1.0)).x))

    model = DensityMLE("negative_binomial", n_jobs=1)
    assert np.isclose(model.fit(X).params_["size"][0], by_scipy(), rtol=1e-6)
    yield compare(
        "negative_binomial fit, n = 10⁶", "scipy: Brent on log size, nbinom.logpmf", lambda: model.fit(X), by_scipy
    )


def joint_rows() -> Iterator[Row]:
    """Log-densities of rows."""
    rng = np.random.default_rng(0)
    a, p, direction = np.array([2.0, 3.0, 5.0]), np.array([0.2, 0.3, 0.5]), np.array([0.0, 0.6, 0.8])
    fisher = stats.vonmises_fisher(direction, 20.0)
    student = stats.multivariate_t(np.zeros(3), np.eye(3), df=4.0)
    distributions = [
        ("dirichlet", rng.dirichlet(a, N), {"concentration": a}, lambda X: stats.dirichlet.logpdf(X.T, a)),
        ("multinomial", rng.multinomial(20, p, N), {"probabilities": p}, lambda X: stats.multinomial.logpmf(X, 20, p)),
        (
            "von_mises_fisher",
            fisher.rvs(N, random_state=rng),
            {"direction": direction, "concentration": 20.0},
            fisher.logpdf,
        ),
        (
            "multivariate_t",
            student.rvs(N, random_state=rng),
            {"df": 4.0, "loc": np.zeros(3), "scale": np.eye(3)},
            student.logpdf,
        ),
    ]
    for name, X, params, by_scipy in distributions:
        model = DensityMLE.from_parameters(name, **params).set_params(n_jobs=1)
        rows = X.astype(np.float64)
        assert np.allclose(model.score_samples(rows[:1000]), by_scipy(X[:1000]), rtol=1e-9)
        yield compare(
            f"{name} log-density, n = 10⁶, d = 3",
            f"scipy.stats.{name}",
            lambda model=model, rows=rows: model.score_samples(rows),
            lambda X=X, by_scipy=by_scipy: by_scipy(X),
        )


def divergence_of_logits(z: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Three lines of numpy for rows of logits."""
    log_p, log_q = (x - x.max(axis=-1, keepdims=True) for x in (z, t))
    log_p, log_q = (x - np.log(np.exp(x).sum(axis=-1, keepdims=True)) for x in (log_p, log_q))
    return (np.exp(log_p) * (log_p - log_q)).sum(axis=-1)


def logit_rows() -> Iterator[Row]:
    """Rows of logits as of a language model, in both precisions."""
    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        z, t = (2.0 * rng.normal(size=(2, 256, 50_000))).astype(dtype)
        assert np.allclose(discrete_kl(z, t, logits=True), divergence_of_logits(z, t), rtol=1e-3)
        yield compare(
            f"discrete_kl of 256 × 50,000 logits, {np.dtype(dtype)}",
            "three lines of numpy, in the precision of the logits",
            lambda z=z, t=t: discrete_kl(z, t, logits=True),
            lambda z=z, t=t: divergence_of_logits(z, t),
        )


def probability_rows() -> Iterator[Row]:
    """Divergences of known probabilities, which are checked, against numpy's sum, which checks nothing."""
    for shape in ((1000,), (100_000,), (10_000_000,), (100_000, 20)):
        rng = np.random.default_rng(0)
        p, q = (values / values.sum(axis=-1, keepdims=True) for values in (rng.random(shape), rng.random(shape)))
        assert np.allclose(discrete_kl(p, q), (p * np.log(p / q)).sum(axis=-1), rtol=1e-9)
        yield compare(
            f"discrete_kl of {' × '.join(f'{n:,}' for n in shape)} probabilities",
            "(p * numpy.log(p / q)).sum(-1)",
            lambda p=p, q=q: discrete_kl(p, q),
            lambda p=p, q=q: (p * np.log(p / q)).sum(axis=-1),
        )


if __name__ == "__main__":
    print("One thread; medians, ratio = median of peer / fastkl, pair by pair\n")
    print_table(
        row
        for section in (count_rows, negative_binomial_rows, joint_rows, probability_rows, logit_rows)
        for row in section()
    )
