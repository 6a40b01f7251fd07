"""Side by side with scipy: ``python benchmarks/peers.py``. Same run, same data, as many threads on both sides.

scipy's numbers run on the threads its BLAS takes (the same count) and on one where it has no threads to offer.
"""

from collections.abc import Iterator

import numpy as np
from scipy import stats
from side_by_side import Row, compare, print_table

from fastkl import DensityMLE
from fastkl._core._threads import build_info

N = 1_000_000


def multivariate_normal_rows() -> Iterator[Row]:
    """Log-density of a million rows."""
    rng = np.random.default_rng(0)
    for d in (2, 8, 32):
        X = rng.normal(size=(N, d)) @ rng.normal(size=(d, d))
        model = DensityMLE("multivariate_normal").fit(X)
        distribution = stats.multivariate_normal(model.params_["mean"], model.params_["covariance"])
        assert np.allclose(model.score_samples(X[:1000]), distribution.logpdf(X[:1000]), rtol=1e-10)
        yield compare(
            f"multivariate normal log-density, n = 10⁶, d = {d}",
            "scipy.stats.multivariate_normal.logpdf",
            lambda model=model, X=X: model.score_samples(X),
            lambda distribution=distribution, X=X: distribution.logpdf(X),
        )


def gamma_rows() -> Iterator[Row]:
    """Value with gradient against the value alone, and the fit."""
    X = np.random.default_rng(0).gamma(3.0, 2.0, size=(N, 1))
    x = X[:, 0]
    model = DensityMLE("gamma").fit(X)
    shape, scale = model.params_["shape"][0], model.params_["scale"][0]
    assert np.isclose(model.log_likelihood(X), stats.gamma.logpdf(x, shape, scale=scale).sum(), rtol=1e-12)
    yield compare(
        "gamma log-likelihood and gradient, n = 10⁶",
        "scipy.stats.gamma.logpdf(x).sum(), value only",
        lambda: model.score_and_gradient(X),
        lambda: stats.gamma.logpdf(x, shape, scale=scale).sum(),
    )
    yield compare(
        "gamma fit, n = 10⁶",
        "scipy.stats.gamma.fit(x, floc=0)",
        lambda: DensityMLE("gamma").fit(X),
        lambda: stats.gamma.fit(x, floc=0),
    )


if __name__ == "__main__":
    info = build_info()
    print(
        f"{info['threads']} threads, {info['instruction_set']}; medians, ratio = median of peer / fastkl, pair by pair\n"
    )
    print_table(row for section in (multivariate_normal_rows, gamma_rows) for row in section())
