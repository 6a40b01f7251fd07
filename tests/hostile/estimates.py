"""Calls of the functions that estimate: of samples, of samples and models, of probabilities, of labels and counts."""

import numpy as np

import fastkl
import fastkl.divergence
from fastkl import DensityMLE
from tests.hostile.promises import attempt, complain
from tests.hostile.values import NO_NUMBERS, ODD, WILD, case, maybe

METHODS = ["assisted", "common_radius", "knn", "bias_reduced", "nonsense"]
ENTROPY_METHODS = ["auto", "knn", "weighted_knn", "spacings", "marginal_split", "nonsense"]
MODELS = [
    DensityMLE.from_parameters("normal", loc=[0.0, 1.0], scale=[1.0, 2.0]),
    DensityMLE.from_parameters("gamma", shape=[2.0], scale=[1.0]),
    DensityMLE.from_parameters(mean=[0.0, 0.0, 0.0], covariance=np.eye(3)),
    DensityMLE.from_parameters("poisson", rate=[3.0, 3.0]),
    DensityMLE.from_parameters("uniform", low=[0.0], high=[1.0]),
]
LABEL_METHODS = [
    "chao_wang_jost",
    "zhang",
    "plugin",
    "grassberger",
    "nsb",
    "james_stein",
    "chao_shen",
    "miller_madow",
    "no",
]


def of_samples(rng):
    """Divergences of two samples, and relatives of them."""
    p, q = case(rng), case(rng)
    if rng.random() < 0.7:
        q = case(rng, kind=p.kind, least=1 if np.ndim(p.X) != 2 else np.shape(p.X)[1])
    tame = p.tame and q.tame and np.shape(p.X)[1] == np.shape(q.X)[1]
    shared = {
        "sample_weight_p": p.weights,
        "sample_weight_q": q.weights,
        "n_neighbors": maybe(rng, rng.choice([None, 1, 2])),
        "n_jobs": maybe(rng, 1, ODD, 0.03),
    }
    kind = f"({p.kind}, {q.kind})"
    which = rng.randrange(8)
    if which == 7:
        attempt(
            f"kl_lower_bound{kind}",
            fastkl.kl_lower_bound,
            p.X,
            q.X,
            level=maybe(rng, 0.95),
            sample_weight_p=p.weights,
            sample_weight_q=q.weights,
            random_state=0,
            tame=tame,
        )
    elif which < 3:
        found = attempt(
            f"kl_divergence{kind}",
            fastkl.kl_divergence,
            p.X,
            q.X,
            method=maybe(rng, rng.choice(METHODS), ODD, 0.03),
            standard_error=rng.random() < 0.7,
            random_state=maybe(rng, 0, ODD, 0.03),
            tame=tame,
            **shared,
        )
        complain(tame and found is not None and np.isnan(found.value), f"kl_divergence{kind}", f"is NaN: {found!r}")
    elif which == 3:
        attempt(f"jeffreys{kind}", fastkl.jeffreys, p.X, q.X, tame=tame, **shared)
    elif which == 4:
        attempt(f"jensen_shannon{kind}", fastkl.jensen_shannon, p.X, q.X, tame=tame, **shared)
    elif which == 5:
        attempt(
            f"permutation_test{kind}",
            fastkl.permutation_test,
            p.X,
            q.X,
            n_permutations=maybe(rng, 9, NO_NUMBERS),
            random_state=0,
        )
    else:
        shared = {"n_neighbors": maybe(rng, 1)}
        attempt(
            f"subsampling_interval{kind}",
            fastkl.subsampling_interval,
            p.X,
            q.X,
            n_subsamples=maybe(rng, 3, NO_NUMBERS),
            **shared,
        )


def of_one(rng):
    """Entropies, cross-entropies, and samples against models."""
    rows, model = case(rng), rng.choice(MODELS)
    which = rng.randrange(5)
    options = {"n_neighbors": maybe(rng, rng.choice([None, 1, 3])), "n_jobs": maybe(rng, 1, ODD, 0.03)}
    if which < 2:
        found = attempt(
            f"entropy({rows.kind})",
            fastkl.entropy,
            rows.X,
            method=maybe(rng, rng.choice(ENTROPY_METHODS), ODD, 0.03),
            sample_weight=rows.weights,
            tame=rows.tame,
            **options,
        )
        complain(
            rows.tame and found is not None and np.isnan(found.value), f"entropy({rows.kind})", f"is NaN: {found!r}"
        )
    elif which == 2:
        attempt(
            f"cross_entropy({rows.kind}, model)",
            fastkl.cross_entropy,
            rows.X,
            model,
            sample_weight_p=rows.weights,
            tame=rows.tame,
        )
    elif which == 3:
        attempt(
            f"kl_divergence({rows.kind}, model)",
            fastkl.kl_divergence,
            rows.X,
            model,
            sample_weight_p=rows.weights,
            route=maybe(rng, rng.choice(["auto", "density", "draws"]), ODD, 0.05),
            n_draws=maybe(rng, rng.choice([None, 50]), NO_NUMBERS),
            random_state=0,
            tame=rows.tame,
        )
    else:
        attempt(
            f"kl_divergence(model, {rows.kind})",
            fastkl.kl_divergence,
            model,
            rows.X,
            n_draws=maybe(rng, 50, NO_NUMBERS),
            random_state=0,
        )


def of_sources(rng):
    """Estimates of rows in batches."""
    p, q = case(rng), case(rng)
    batches = rng.choice([[p.X], [p.X, q.X], iter([p.X]), (lambda: [p.X]), [], None, "no_such_file.npy", 3, {}])
    attempt("entropy_batches", fastkl.entropy_batches, batches, batch_rows=maybe(rng, None, ODD, 0.1))
    attempt("cross_entropy_batches", fastkl.cross_entropy_batches, batches, rng.choice(MODELS))
    attempt("kl_divergence_batches", fastkl.kl_divergence_batches, batches, [q.X], n_neighbors=maybe(rng, 1))


def of_probabilities(rng):
    """Exact divergences of probability vectors and tables."""
    g = np.random.default_rng(rng.randrange(1000))
    size = rng.choice([3, 2, 1, 0])
    vectors = [
        g.dirichlet(np.ones(size)) if size else np.zeros(0),
        g.dirichlet(np.ones(size), size=2) if size else np.zeros((2, 0)),
        np.eye(1, size).ravel() if size else np.zeros(0),
        g.choice(WILD, size),
        np.full(size, np.nan),
        -np.ones(size),
        rng.choice(ODD),
    ]
    p, q = (rng.choice(vectors[:2]) if rng.random() < 0.6 else rng.choice(vectors) for _ in range(2))
    name = rng.choice(
        ["discrete_kl", "discrete_cross_entropy", "discrete_jeffreys", "discrete_jensen_shannon", "discrete_entropy"]
    )
    arguments = (p,) if name == "discrete_entropy" else (p, q)
    options = (
        {"logits": True, "temperature": maybe(rng, 1.0, ODD, 0.3)} if rng.random() < 0.3 and "j" not in name else {}
    )
    attempt(f"{name}{arguments!r:.100} {options}", getattr(fastkl, name), *arguments, **options)


def of_labels(rng):
    """Estimates from labels and from counts."""
    g, n = np.random.default_rng(rng.randrange(1000)), rng.choice([9, 3, 1, 0, 30])
    labels = [
        g.choice(["a", "b", "c"], n),
        g.integers(0, 4, n),
        g.choice(["a", "b"], n).astype(object).tolist(),
        g.choice(np.array(["a", 1, None, 2.5], dtype=object), n),
        g.normal(size=n),
        g.integers(0, 3, (n, 2)),
        rng.choice(ODD),
    ]
    counts = rng.random() < 0.4
    numbers = [
        g.integers(0, 6, 4),
        g.uniform(0, 5, 4),
        g.choice(WILD, 4),
        np.zeros(4),
        -np.ones(4),
        np.full(4, 1e14),
        rng.choice(ODD),
    ]
    x, y = (
        (rng.choice(numbers[:2] if rng.random() < 0.6 else numbers)) if counts else rng.choice(labels) for _ in range(2)
    )
    which = rng.randrange(3)
    weights = (
        None
        if counts or rng.random() < 0.7
        else rng.choice([np.ones(n), np.zeros(n), g.uniform(0, 2, n), -np.ones(n), "a"])
    )
    if which == 0:
        attempt(
            f"categorical_entropy({x!r:.80})",
            fastkl.categorical_entropy,
            x,
            maybe(rng, rng.choice(LABEL_METHODS), ODD, 0.03),
            counts=counts,
            sample_weight=weights,
            n_symbols=maybe(rng, None, ODD, 0.2),
        )
    elif which == 1:
        attempt(
            f"categorical_kl({x!r:.60}, {y!r:.60})",
            fastkl.categorical_kl,
            x,
            y,
            method=maybe(rng, rng.choice(["zhang_grabchak", "plugin"]), ODD, 0.05),
            unseen=maybe(rng, rng.choice(["inf", "estimate", "smooth", "raise"]), ODD, 0.05),
            counts=counts,
        )
    else:
        attempt(
            f"categorical_cross_entropy({x!r:.60}, {y!r:.60})", fastkl.categorical_cross_entropy, x, y, counts=counts
        )
