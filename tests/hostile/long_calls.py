"""Calls that take seconds, with the rows and models that they need, made when this file is read: import it where they run."""

from pathlib import Path

import numpy as np
import pandas as pd

import fastkl
from fastkl import (
    DensityMLE,
    DensityOutlierDetector,
    FactorAnalysisMLE,
    KernelDensityMLE,
    MixtureMLE,
    ProductDensity,
    families,
)
from tests.hostile.promises import FOLDER

G = np.random.default_rng(0)
X = G.normal(size=(400_000, 8))
Y = G.normal(size=(400_000, 8)) + 0.1
GAPS = np.where(G.random(size=X.shape) < 0.2, np.nan, X)
GAPS[np.isnan(GAPS).all(axis=1), 0] = 0.0  # rows without any value are left out with a warning
MANY = np.tile(X, (10, 1))
WIDE = np.tile(X[:40_000], (1, 30)) + G.normal(size=(40_000, 240))
LABELS = G.integers(0, 40, size=2_000_000)
MORE = G.integers(0, 40, size=2_000_000)
NORMAL = DensityMLE.from_parameters(mean=np.zeros(8), covariance=np.eye(8))
GAMMA = DensityMLE.from_parameters("gamma", shape=2.0, scale=1.0)
ROWS = GAMMA.sample(2000, random_state=0)
PAIRS = X[:3000, :2]
MIXED = MixtureMLE(3, random_state=0, n_init=1, n_jobs=1).fit(X[:500])
KERNEL = KernelDensityMLE(0.3, n_jobs=1).fit(X[:20_000])


def long_rows(name):
    """Rows of a family whose fit takes seconds."""
    family, params = families.by_name(name).examples()[0]
    rows = DensityMLE.from_parameters(family, **params).sample(20_000, random_state=0)
    return family, np.tile(rows, (3_000_000 // len(rows) // (1 if rows.shape[1] == 1 else 2), 1))


def endless():
    """Batches without an end."""
    while True:
        yield X[:10_000]


def files(ending):
    """A list of as many files as take seconds, which is one file again and again."""
    path = Path(FOLDER) / f"long{ending}"
    table = pd.DataFrame(X[:50_000], columns=list("abcdefgh"))
    if ending == ".npy":
        np.save(path, X[:50_000])
    elif ending == ".csv":
        table.to_csv(path, index=False)
    else:
        table.to_parquet(path)
    return [path] * 3000


NPY, CSV, PARQUET = files(".npy"), files(".csv"), files(".parquet")

# what is called, and whose state is looked at
CALLS = {
    "MixtureMLE.fit": (lambda e: e.fit(X), MixtureMLE(6, random_state=0, n_jobs=1)),
    "MixtureMLE.fit gamma": (lambda e: e.fit(np.abs(X)), MixtureMLE(3, family="gamma", random_state=0, n_jobs=1)),
    "MixtureMLE.fit_batches": (lambda e: e.fit_batches(lambda: iter([X] * 9)), MixtureMLE(3, random_state=0, n_jobs=1)),
    "FactorAnalysisMLE.fit": (
        lambda e: e.fit(WIDE),
        FactorAnalysisMLE(20, n_jobs=1),
    ),
    "KernelDensityMLE.fit": (lambda e: e.fit(X[:50_000]), KernelDensityMLE(n_jobs=1)),
    "KernelDensityMLE.fit adaptive": (lambda e: e.fit(X[:50_000]), KernelDensityMLE(0.5, adaptive=True, n_jobs=1)),
    "KernelDensityMLE.score_samples": (lambda e: e.score_samples(X), KERNEL),
    "KernelDensityMLE.leave_one_out": (lambda e: e.leave_one_out(), KernelDensityMLE(0.5, n_jobs=1).fit(X[:100_000])),
    "KernelDensityMLE.score_gradient": (lambda e: e.score_gradient(X), KERNEL),
    "KernelDensityMLE.cdf": (
        lambda e: e.cdf(np.tile(X[:, :1], (1, 1))),
        KernelDensityMLE(0.3, n_jobs=1).fit(X[:20_000, :1]),
    ),
    "KernelDensityMLE.entropy": (lambda e: e.entropy(), KernelDensityMLE(0.3, n_jobs=1).fit(X[:100_000])),
    "KernelDensityMLE.sample": (lambda e: e.sample(20_000_000, random_state=0), KERNEL),
    "ProductDensity.fit": (
        lambda e: e.fit(X),
        ProductDensity(
            [("a", MixtureMLE(4, random_state=0, n_jobs=1), [0, 1, 2, 3]), ("b", DensityMLE("normal"), [4, 5, 6, 7])]
        ),
    ),
    "DensityOutlierDetector.fit": (lambda e: e.fit(X), DensityOutlierDetector(MixtureMLE(6, random_state=0, n_jobs=1))),
    "DensityMLE.fit_batches": (lambda e: e.fit_batches(endless()), DensityMLE("normal", n_jobs=1)),
    "DensityMLE.score_batches": (lambda e: e.score_batches(endless()), NORMAL),
    "DensityMLE.fit_batches NPY": (lambda e: e.fit_batches(NPY), DensityMLE("student_t")),
    "DensityMLE.score_batches NPY": (lambda e: e.score_batches(NPY), NORMAL),
    "DensityMLE.fit_batches CSV": (lambda e: e.fit_batches(CSV), DensityMLE("normal")),
    "DensityMLE.score_batches CSV": (lambda e: e.score_batches(CSV), NORMAL),
    "DensityMLE.fit_batches Parquet": (lambda e: e.fit_batches(PARQUET), DensityMLE("normal")),
    "DensityMLE.score_samples_batches Parquet": (lambda e: e.score_samples_batches(PARQUET), NORMAL),
    "DensityMLE.goodness_of_fit": (
        lambda e: e.goodness_of_fit(ROWS, n_bootstrap=100_000, random_state=0),
        DensityMLE("gamma", n_jobs=1).fit(ROWS),
    ),
    "DensityMLE.bootstrap": (
        lambda e: e.bootstrap(ROWS, n_resamples=100_000, random_state=0),
        DensityMLE("gamma", n_jobs=1).fit(ROWS),
    ),
    "MixtureMLE.bootstrap": (lambda e: e.bootstrap(X[:500], n_resamples=10_000, random_state=0), MIXED),
    "MixtureMLE.score_samples": (lambda e: [e.score_samples(MANY) for _ in range(50)], MIXED),
    "MixtureMLE.sample": (lambda e: e.sample(20_000_000, random_state=0), MIXED),
    "MixtureMLE.kl_divergence": (lambda e: e.kl_divergence(NORMAL, n_draws=30_000_000, random_state=0), MIXED),
    "DensityMLE.sample": (lambda e: e.sample(200_000_000, random_state=0), GAMMA),
    "DensityMLE.cdf": (
        lambda e: e.cdf(X[:5000, :3]),
        DensityMLE.from_parameters("multivariate_t", df=3.0, loc=np.zeros(3), scale=np.eye(3)),
    ),
    "DensityMLE.fit with missing": (
        lambda e: e.fit(np.tile(GAPS, (8, 1))),
        DensityMLE("multivariate_normal", n_jobs=1),
    ),
    "choose_components": (
        lambda _: fastkl.choose_components(X[:50_000], range(1, 9)),
        None,
    ),
    "rank_families": (lambda _: fastkl.rank_families(np.abs(X[:100_000]), n_jobs=1), None),
    "compare_densities": (
        lambda _: fastkl.compare_densities(
            {"a": MixtureMLE(5, random_state=0, n_jobs=1).fit(X[:300]), "b": NORMAL}, np.tile(X, (9, 1))
        ),
        None,
    ),
    "fit_groups": (lambda _: fastkl.fit_groups(X[:, :1], G.integers(0, 30_000, len(X)), "student_t"), None),
    "make_product_density": (lambda _: fastkl.make_product_density(np.abs(X[:100_000])), None),
    "cross_validated_log_density": (
        lambda _: fastkl.selection.cross_validated_log_density(MixtureMLE(5, random_state=0, n_jobs=1), X[:100_000]),
        None,
    ),
    "kl_divergence": (lambda _: fastkl.kl_divergence(X, Y, n_jobs=1), None),
    "kl_divergence assisted": (lambda _: fastkl.kl_divergence(X, Y, method="assisted", n_jobs=1), None),
    "kl_divergence knn": (lambda _: fastkl.kl_divergence(X, Y, method="knn", n_jobs=1), None),
    "kl_divergence bias_reduced": (
        lambda _: fastkl.kl_divergence(X[:20_000, :3], Y[:20_000, :3] + 2.0, method="bias_reduced", n_jobs=1),
        None,
    ),
    "kl_divergence to a model": (lambda _: fastkl.kl_divergence(X, NORMAL, n_jobs=1), None),
    "kl_divergence by draws": (lambda _: fastkl.kl_divergence(X, NORMAL, route="draws", n_jobs=1), None),
    "kl_divergence of models": (
        lambda _: fastkl.kl_divergence(MIXED, NORMAL, n_draws=30_000_000, random_state=0),
        None,
    ),
    "kl_divergence_sweep": (lambda _: fastkl.kl_divergence_sweep(X, Y, n_jobs=1), None),
    "kl_divergence_batches": (lambda _: fastkl.kl_divergence_batches([X] * 9, [X]), None),
    "jeffreys": (lambda _: fastkl.jeffreys(X, Y, n_jobs=1), None),
    "jensen_shannon": (lambda _: fastkl.jensen_shannon(X, Y, n_jobs=1), None),
    "pairwise_divergence": (lambda _: fastkl.pairwise_divergence([X[i::20] for i in range(20)], n_jobs=1), None),
    "entropy": (lambda _: fastkl.entropy(X, n_jobs=1), None),
    "entropy marginal_split": (lambda _: fastkl.entropy(X, method="marginal_split", n_jobs=1), None),
    "entropy weighted_knn": (lambda _: fastkl.entropy(X, method="weighted_knn", n_jobs=1), None),
    "entropy_batches": (lambda _: fastkl.entropy_batches([X] * 9), None),
    "cross_entropy_batches": (lambda _: fastkl.cross_entropy_batches([X] * 9, [Y]), None),
    "subsampling_interval": (lambda _: fastkl.subsampling_interval(X, Y, n_jobs=1), None),
    "permutation_test": (
        lambda _: fastkl.permutation_test(PAIRS, PAIRS + 0.1, n_permutations=1_000_000, random_state=0, n_jobs=1),
        None,
    ),
    "permutation_test combined": (
        lambda _: fastkl.permutation_test(X[:3000], Y[:3000], n_permutations=1_000_000, random_state=0, n_jobs=1),
        None,
    ),
    "compare_tables": (lambda _: fastkl.compare_tables(X, Y), None),
    "population_stability_index": (
        lambda _: fastkl.population_stability_index(np.tile(X[:, 0], 50), np.tile(Y[:, 0], 50)),
        None,
    ),
    "categorical_entropy": (lambda _: fastkl.categorical_entropy(np.tile(LABELS.astype("U9"), 5)), None),
    "categorical_entropy nsb": (lambda _: fastkl.categorical_entropy(np.tile(LABELS, 20), "nsb"), None),
    "categorical_kl": (lambda _: fastkl.categorical_kl(np.tile(LABELS, 20), np.tile(MORE, 20)), None),
    "vuong_test": (lambda _: [fastkl.vuong_test(MIXED, NORMAL, MANY) for _ in range(50)], None),
}
