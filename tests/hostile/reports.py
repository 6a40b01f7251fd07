"""Calls that look at many samples, columns or families: matrices, sweeps, tables, groups, rankings, and jobs of engines."""

import os

import numpy as np

import fastkl
from fastkl import DensityMLE, KLDivergence, MixtureMLE, families
from tests.hostile.densities import NAMES, OF_ROWS_ALONE, offers
from tests.hostile.promises import FOLDER, attempt, complain
from tests.hostile.values import NO_NUMBERS, ODD, WILD, case, maybe

METRICS = ["jensen_shannon", "kl", "jeffreys", "symmetric_kl", "nonsense"]
QUICK = ["normal", "gamma", "laplace", "exponential", "poisson", "uniform", "bernoulli", "nonsense"]


def of_many(rng):
    """Matrices, sweeps and scores of several samples."""
    p = case(rng)
    q = case(rng, kind=p.kind, least=1 if np.ndim(p.X) != 2 else np.shape(p.X)[1])
    kind, which = f"({p.kind}, {q.kind})", rng.randrange(6)
    tame = p.tame and q.tame and np.shape(p.X)[1] == np.shape(q.X)[1]
    if which == 0:
        samples = rng.choice([[p.X, q.X], [p.X, q.X, p.X], {"a": p.X, "b": q.X}, p.X, [p.X], [], None])
        attempt(
            f"pairwise_divergence{kind}",
            fastkl.pairwise_divergence,
            samples,
            maybe(rng, rng.choice(METRICS)),
            n_neighbors=maybe(rng, None),
            return_errors=rng.random() < 0.2,
        )
    elif which == 1:
        attempt(
            f"kl_divergence_sweep{kind}",
            fastkl.kl_divergence_sweep,
            p.X,
            q.X,
            maybe(rng, rng.choice([2, [1, 2], [5], [], [0, 1], [1e9]]), NO_NUMBERS),
            method=rng.choice(["common_radius", "knn", "assisted", "bias_reduced", "nonsense"]),
            sample_weight_p=p.weights,
            sample_weight_q=q.weights,
            tame=tame,
        )
    elif which == 2:
        kept = KLDivergence(maybe(rng, rng.choice(["common_radius", "knn", "bias_reduced"])), n_neighbors=maybe(rng, 1))
        kept = attempt(f"KLDivergence.fit({q.kind})", kept.fit, q.X, sample_weight=q.weights, estimator=kept)
        if kept is not None:
            attempt(f"KLDivergence.estimate{kind}", kept.estimate, p.X, sample_weight=p.weights, estimator=kept)
            attempt(f"KLDivergence.score_samples{kind}", kept.score_samples, p.X, estimator=kept)
    elif which == 3:
        known = attempt(f"empirical({p.kind})", fastkl.empirical, p.X, p.weights)
        if known is not None:
            attempt(f"entropy of empirical({p.kind})", known.entropy)
            attempt(f"kl_divergence(empirical{kind})", fastkl.kl_divergence, known, q.X, random_state=0)
    elif which == 4:
        attempt(
            f"permutation_test{kind}",
            fastkl.permutation_test,
            p.X,
            q.X,
            sample_weight_p=p.weights,
            sample_weight_q=q.weights,
            n_permutations=maybe(rng, 9, NO_NUMBERS),
            random_state=maybe(rng, 0),
        )
    else:
        scorer = attempt("make_kl_scorer", fastkl.make_kl_scorer, method=maybe(rng, "auto"), n_neighbors=maybe(rng, 1))
        model = DensityMLE(rng.choice(["normal", "laplace"]))
        model = attempt(f"fit({q.kind})", model.fit, q.X, estimator=model)
        if scorer is not None and model is not None:
            attempt(f"KL scorer{kind}", scorer, model, p.X, estimator=model)


def of_tables(rng):
    """Two tables compared, rows by groups, families ranked, components chosen, products proposed."""
    p, which = case(rng), rng.randrange(7)
    if which == 0:
        q = case(rng, kind=p.kind, least=1 if np.ndim(p.X) != 2 else np.shape(p.X)[1])
        attempt(
            f"compare_tables({p.kind})",
            fastkl.compare_tables,
            p.X,
            q.X,
            columns=maybe(rng, None),
            labels=maybe(rng, ()),
            drop_missing=rng.random() < 0.3,
            n_permutations=maybe(rng, 9, NO_NUMBERS),
        )
    elif which == 1:
        q = case(rng, kind=p.kind)
        x, y = (np.asarray(one.X)[:, 0] if np.ndim(one.X) == 2 and np.size(one.X) else one.X for one in (p, q))
        attempt(
            f"population_stability_index({p.kind})",
            fastkl.population_stability_index,
            x,
            y,
            bins=maybe(rng, rng.choice(["auto", 3, [0.0, 1.0], [1.0, 0.0], "nonsense"]), NO_NUMBERS),
            unseen=maybe(rng, rng.choice(["inf", "smooth"])),
            counts=rng.random() < 0.2,
        )
    elif which in (2, 3):
        n = len(p.X) if hasattr(p.X, "__len__") else 1
        by = rng.choice([np.arange(n) % 3, np.zeros(n), ["a"] * n, np.arange(n + 1), None, "c0", np.full(n, np.nan)])
        groups = attempt(
            f"fit_groups({p.kind})",
            fastkl.fit_groups,
            p.X,
            by,
            maybe(rng, rng.choice([*NAMES, ["normal", "gamma"], ["normal", families.StudentT(df=4)]])),
            criterion=maybe(rng, rng.choice(["bic", "aic"])),
            min_rows=maybe(rng, 2),
        )
        for name in ("to_frame", "params_", "summary"):
            if groups is not None and offers(groups, name):
                attempt(f"fit_groups({p.kind}).{name}", lambda name=name: getattr(groups, name), estimator=groups)
    elif which == 4:
        attempt(
            f"rank_families({p.kind})",
            fastkl.rank_families,
            p.X,
            families=maybe(rng, rng.sample(QUICK, 2)),
            sample_weight=p.weights,
            angles=maybe(rng, ()),
            keep=maybe(rng, ()),
            cv=maybe(rng, 2),
            random_state=0,
        )
    elif which == 5:
        attempt(
            f"choose_components({p.kind})",
            fastkl.choose_components,
            p.X,
            maybe(rng, rng.choice([range(1, 3), [2], [], [0], range(1, 2)])),
            criterion=maybe(rng, rng.choice(["bic", "aic", "icl", "cv"])),
            mixture=MixtureMLE(n_init=1, max_iter=10, tol=1e-2, family=rng.choice(["normal", "multivariate_normal"])),
            sample_weight=p.weights,
            cv=2,
            n_resamples=3,
            random_state=0,
        )
    else:
        attempt(
            f"make_product_density({p.kind})",
            fastkl.make_product_density,
            p.X,
            angles=maybe(rng, ()),
            criterion=maybe(rng, "bic"),
            sample_weight=p.weights,
        )


def of_log_probabilities(rng):
    """Divergences from log-probabilities, and relatives of labels."""
    g, n = np.random.default_rng(rng.randrange(1000)), rng.choice([9, 3, 1, 0])
    values = [-g.gamma(1.0, size=n), -g.gamma(1.0, size=n), -g.gamma(1.0, size=(n, 2)), np.full(n, -np.inf)]
    values += [np.full(n, np.nan), g.choice(WILD, n), rng.choice(ODD)]
    p, q = (rng.choice(values[:2]) if rng.random() < 0.6 else rng.choice(values) for _ in range(2))
    if rng.random() < 0.5:
        attempt(
            f"kl_from_log_probs({p!r:.60}, {q!r:.60})",
            fastkl.kl_from_log_probs,
            p,
            q,
            form=maybe(rng, rng.choice(["low_variance", "plain", "nonsense"])),
            lengths=maybe(rng, None),
            sample_weight=rng.choice([None, None, np.ones(n), g.uniform(size=n), np.full(n, 1e-300), -np.ones(n), "a"]),
        )
        return
    labels = [g.choice(["a", "b"], n), g.integers(0, 3, n), g.normal(size=n), g.integers(0, 3, (n, 2)), rng.choice(ODD)]
    counts = rng.random() < 0.3
    x, y = (rng.choice([g.integers(0, 6, 4), g.choice(WILD, 4)] if counts else labels) for _ in range(2))
    name = rng.choice(["categorical_jeffreys", "categorical_jensen_shannon"])
    weights = rng.choice([None, None, np.ones(n), np.zeros(n), -np.ones(n), "a"])
    attempt(f"{name}({x!r:.60}, {y!r:.60})", getattr(fastkl, name), x, y, counts=counts, sample_weight_p=weights)


def of_jobs(rng):
    """A fit or score whose passes somebody else makes, by batches that may be missing, twice there or no rows at all."""
    rows, other = case(rng), case(rng)
    density = DensityMLE(rng.choice(NAMES), max_iter=20) if rng.random() < 0.8 else MixtureMLE(2, max_iter=5, n_init=1)
    batches = rng.choice([[rows.X], [rows.X, rows.X], [rows.X, other.X], [], [rows.X, None]])
    job = attempt("start", density.start, columns=maybe(rng, None), sample_weight=maybe(rng, None), estimator=density)
    for _ in range(12):
        if job is None or job.done:
            break
        parts = [attempt("map", job.map, batch) for batch in batches]
        if rng.random() < 0.1:
            parts = rng.choice([[], parts[:1], [*parts, *parts], [b"x"], [None], parts[::-1]])
        if attempt("reduce", lambda job=job, parts=parts: [job.reduce(parts)]) is None:
            return  # the job has ended with this error, and has no result
    if job is not None and job.done:
        attempt("finish", job.finish)


def of_noise(rng):
    """Mixtures of rows with noise, rows that are completed, and files of scores of any density."""
    rows, d = case(rng, least=2), 2
    noise = rng.choice([np.eye(d), 0.1 * np.eye(d), np.zeros((d, d)), -np.eye(d), np.full((d, d), np.nan), *ODD])
    model = MixtureMLE(maybe(rng, 1), n_init=1, max_iter=10, tol=1e-3, random_state=0)
    options = {"noise_covariance": noise} if rng.random() < 0.5 else {}
    model = attempt(
        f"MixtureMLE.fit({rows.kind})", model.fit, rows.X, sample_weight=rows.weights, estimator=model, **options
    )
    if model is None:
        return
    attempt(f"MixtureMLE.denoise({rows.kind})", model.denoise, rows.X, noise, estimator=model)
    gaps = rows.X
    if isinstance(gaps, np.ndarray) and gaps.dtype == np.float64 and gaps.size:
        gaps = np.where(np.random.default_rng(0).random(gaps.shape) < 0.3, np.nan, gaps)
    attempt(f"MixtureMLE.impute({rows.kind})", model.impute, gaps, random_state=0, estimator=model)
    name = rng.choice(["elbo", "posterior_divergence"])
    shares = rng.choice([np.full((len(rows.X), 1), 1.0) if np.ndim(rows.X) else None, np.eye(3), None, "a"])
    attempt(f"MixtureMLE.{name}({rows.kind})", getattr(model, name), rows.X, shares, estimator=model)
    name = rng.choice(OF_ROWS_ALONE)
    if offers(model, name):
        attempt(f"MixtureMLE.{name}({rows.kind})", getattr(model, name), gaps, estimator=model)
    path = os.path.join(FOLDER, rng.choice(["out.npy", "out.csv", "out.parquet", "out", "out.txt", "none/out.npy"]))
    attempt(f"score_samples_batches to {path[-7:]}", model.score_samples_batches, [rows.X], path, estimator=model)
    left = [name for name in os.listdir(FOLDER) if name.startswith(("out", "."))]
    complain(len(left) > 1, "score_samples_batches", f"left {left}")
    for name in left:
        os.unlink(os.path.join(FOLDER, name))
