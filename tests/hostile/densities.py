"""Calls on densities: fitted to anything, made from any parameters, and then asked for all that they offer."""

import os

import numpy as np
from sklearn.base import clone
from sklearn.preprocessing import StandardScaler

import fastkl
from fastkl import (
    DensityMLE,
    DensityOutlierDetector,
    FactorAnalysisMLE,
    KernelDensityMLE,
    KLDivergence,
    MixtureMLE,
    ProductDensity,
    ShapeConstrainedMLE,
    TransformedDensity,
    families,
    load,
)
from tests.hostile.promises import FOLDER, attempt, complain
from tests.hostile.values import NO_NUMBERS, ODD, WILD, case, maybe

NAMES = families.names()
# what a density says of its own distribution: NaN is an answer where there is no mean, no single mode, no standard error
ASKED = [
    "mean",
    "variance",
    "covariance",
    "mode",
    "entropy",
    "summary",
    "to_scipy",
    "confidence_intervals",
    "standard_errors_",
    "covariance_of_params_",
    "n_parameters_",
    "boundary_",
    "param_names_",
    "robust_standard_errors_",
    "component_params_",
    "components_",
    "noise_variance_",
    "test_n_components",
    "get_covariance",
]
# of rows and weights
OF_ROWS = [
    "score",
    "log_likelihood",
    "aic",
    "bic",
    "tic",
    "gradient",
    "score_and_gradient",
    "robust_standard_errors",
    "icl",
]
OF_ROWS_ALONE = [
    "score_samples",
    "cdf",
    "sf",
    "log_cdf",
    "log_sf",
    "predict",
    "predict_proba",
    "transform",
    "decision_function",
]
BOUNDARIES = [
    "reflect",
    "log",
    "logit",
    (0.0, 1.0),
    (None, 5.0),
    ("circular", 6.3),
    ("circular", 0.0),
    ("logit", 0.0, 10.0),
    {0: "reflect"},
    {"c0": "log", 1: (0, None)},
    {7: "log"},
    (1.0, 0.0),
    (0.0, float("nan")),
    *ODD,
]
MAY_BE_NAN = {"tic", "gradient", "score_and_gradient", "robust_standard_errors", "icl"}


def an_estimator(rng):
    """Any estimator, with options that make sense as a rule."""
    kind = rng.choice(
        ["one"] * 24 + ["mixture", "factors", "product", "behind", "outliers", "reference", "kernel", "kernel", "shape"]
    )
    family = rng.choice(NAMES)
    if kind == "one":
        prior = rng.choice([None, None, None, "default", "nonsense"]) if rng.random() < 0.3 else None
        return DensityMLE(
            maybe(rng, family, [*ODD, "nonsense", families.Normal(loc=float("nan")), families.Gamma(shape=-1.0)], 0.03),
            prior=prior,
            tol=maybe(rng, 1e-12, ODD, 0.03),
            max_iter=maybe(rng, 100, ODD, 0.03),
            n_jobs=maybe(rng, 1, ODD, 0.03),
            robust_errors=rng.random() < 0.1,
        )
    if kind == "mixture":
        return MixtureMLE(
            maybe(rng, rng.choice([2, 1, 3]), NO_NUMBERS),
            family=rng.choice(["normal", "gamma", "multivariate_normal", "poisson", "categorical"]),
            n_init=maybe(rng, 1, NO_NUMBERS),
            max_iter=maybe(rng, 20),
            random_state=maybe(rng, 0),
        )
    if kind == "factors":
        return FactorAnalysisMLE(maybe(rng, 1), noise=maybe(rng, rng.choice(["diagonal", "isotropic"])))
    if kind == "kernel":
        rules = ["likelihood", "scott", 0.5, "silverman", "sheather_jones", [0.3, 0.5], "likelihood_matrix", "nonsense"]
        return KernelDensityMLE(
            maybe(rng, rng.choice(rules)),
            kernel=rng.choice(["gaussian", "epanechnikov", "exponential", "von_mises", "von_mises_fisher", "nonsense"])
            if rng.random() < 0.3
            else "gaussian",
            boundary=rng.choice(BOUNDARIES) if rng.random() < 0.4 else None,
            adaptive=rng.random() < 0.1,
            bias_reduction=maybe(rng, rng.choice([None, "score"])) if rng.random() < 0.2 else None,
        )
    if kind == "shape":
        return ShapeConstrainedMLE(
            maybe(rng, rng.choice(["log_concave", "decreasing"])), lower=maybe(rng, rng.choice([0.0, -1.0]), ODD, 0.1)
        )
    one = DensityMLE(rng.choice(["normal", "gamma", "student_t", "multivariate_normal", "categorical", "poisson"]))
    if kind == "product":
        second = rng.choice([slice(1, None), [1], "c1", lambda X: [1], [0], [7], "no", True, None])
        return ProductDensity([("a", one, [0]), (maybe(rng, "b"), clone(one), second)])
    if kind == "behind":
        return TransformedDensity(rng.choice([StandardScaler(), None, "passthrough", "no"]), one)
    if kind == "outliers":
        return DensityOutlierDetector(one, contamination=maybe(rng, 0.1))
    return KLDivergence(maybe(rng, "common_radius"), n_neighbors=maybe(rng, 1))


def fitted_to_anything(rng):
    """An estimator is fitted to some rows and asked about others."""
    rows = case(rng)
    estimator = an_estimator(rng)
    learn = rng.choice(["fit", "fit", "partial_fit", "fit_batches"])
    if not hasattr(estimator, learn):
        learn = "fit"
    what = f"{titled(estimator)}.{learn}({rows.kind})"
    if learn == "fit_batches":
        model = attempt(what, estimator.fit_batches, rows.X, sample_weight=rows.weights, estimator=estimator)
    else:
        model = attempt(
            what,
            getattr(estimator, learn),
            rows.X,
            sample_weight=rows.weights,
            estimator=estimator,
            tame=rows.tame,
        )
    if model is None:
        return
    for name in ("log_likelihood_", "params_"):
        if rows.tame and hasattr(model, name):
            attempt(f"{what}.{name}", getattr, model, name, tame=True, whole=True)
    asked(rng, model, rows, rows.tame)


def of_any_parameters(rng):
    """A density of known parameters, in and out of range, and rows of any kind."""
    cls = families.by_name(rng.choice(NAMES))
    family, params = rng.choice(cls.examples())
    family, given = clone(family), {}
    wild = rng.random() < 0.5
    for name, value in params.items():
        array = np.array(value, dtype=float)
        if wild and rng.random() < 0.6:
            if array.ndim and rng.random() < 0.5:
                array.flat[rng.randrange(array.size)] = rng.choice(WILD)
            else:
                array = rng.choice([*ODD, *WILD, array * 1e300, array * 1e-300, array[..., None], array.ravel()[:1]])
        given[name] = array
    what = f"from_parameters({cls.name}, {given!r:.200})"
    model = attempt(what, DensityMLE.from_parameters, family, **given)
    if model is None:
        return
    asked(rng, model, case(rng, least=1), False)
    if not wild:
        drawn = attempt(f"{what}.sample", model.sample, 7, random_state=rng.randrange(100), tame=True, whole=True)
        scores = attempt(f"{what}.score_samples(drawn)", model.score_samples, drawn, tame=True, whole=True)
        complain(not np.all(scores < np.inf), what, f"log-densities of draws are {scores}")


def asked(rng, model, rows, tame):
    """A density is asked for a few of its members, among them those of rows, of files and of batches."""
    label = titled(model)
    for _ in range(rng.choice([3, 6, 9])):
        which = rng.randrange(9)
        if which < 2:
            name = rng.choice(ASKED)
            if offers(model, name):
                member = getattr(model, name) if not name.endswith("_") else lambda name=name: getattr(model, name)
                attempt(f"{label}.{name}", member, estimator=model, tame=tame)
        elif which < 5:
            of_rows(rng, label, model, rows if rng.random() < 0.7 else case(rng), tame)
        elif which == 5:
            q = rng.choice(
                [[0.0, 0.25, 1.0], 0.5, [[0.1], [0.9]], [1e-300, 1.0 - 1e-16], [-0.1], [np.nan], "a", None, []]
            )
            if offers(model, "quantile"):
                attempt(f"{label}.quantile({q})", model.quantile, q, estimator=model)
        elif which == 6 and offers(model, "sample"):
            n = maybe(rng, rng.choice([1, 5]), NO_NUMBERS)
            attempt(f"{label}.sample({n!r})", model.sample, n, random_state=maybe(rng, 0), estimator=model)
        elif which == 7:
            parts_of(rng, label, model)
        else:
            stored(label, model)


def of_rows(rng, label, model, rows, tame):
    """A member that takes rows, with weights where it does."""
    tame, weighted = tame and rows.tame, rng.random() < 0.6
    name = rng.choice(OF_ROWS if weighted else OF_ROWS_ALONE)
    if not offers(model, name):
        name, weighted = "score_samples", False
    if not offers(model, name):
        return
    options = {"sample_weight": rows.weights} if weighted and rows.weights is not None else {}
    result = attempt(
        f"{label}.{name}({rows.kind})",
        getattr(model, name),
        rows.X,
        estimator=model,
        tame=tame,
        whole=name not in MAY_BE_NAN,
        **options,
    )
    if name == "score_samples" and result is not None:
        complain(tame and not np.all(result < np.inf), label, f"a log-density is not below infinity: {result}")
        if not offers(model, "score_samples_batches") or getattr(rows.X, "ndim", 0) != 2 or len(rows.X) < 3:
            return
        streamed = attempt(
            f"{label}.score_samples_batches", model.score_samples_batches, [rows.X[:2], rows.X[2:]], estimator=model
        )
        # sums over hundreds of references and their images go by groups of near rows, so the last digit depends on the others
        rounding = 1e-13 if isinstance(model, KernelDensityMLE) else 0.0
        same = streamed is None or np.allclose(streamed, result, rtol=rounding, atol=rounding, equal_nan=True)
        complain(tame and not same, label, f"in batches {streamed}, at once {result}")


def parts_of(rng, label, model):
    """Marginal and conditional densities, of columns that are there and others."""
    if rng.random() < 0.5 and offers(model, "marginal"):
        attempt(
            f"{label}.marginal",
            model.marginal,
            rng.choice([[0], 0, [0, 1], "c0", [5], [], None, -1, [0, 0]]),
            estimator=model,
        )
    elif offers(model, "conditional"):
        given = rng.choice([{0: 0.5}, {"c0": 0.5}, {0: np.nan}, {0: "a"}, {7: 1.0}, {}, None, {0: 1e300}])
        attempt(f"{label}.conditional({given})", model.conditional, given, estimator=model)


def stored(label, model):
    """What ``save`` accepts, ``load`` reads."""
    if not offers(model, "save"):
        return
    path = os.path.join(FOLDER, "model")
    attempt(f"{label}.save", model.save, path, estimator=model)
    if os.path.exists(path):
        read = attempt(f"{label}: load", load, path)
        os.unlink(path)
        complain(type(read) is not type(model), label, f"what was saved is read as {read!r:.200}")
        complain(
            repr(getattr(read, "params_", 0)) != repr(getattr(model, "params_", 0)), label, "other parameters are read"
        )


def titled(model):
    """A model in a message: its class and its family."""
    family = getattr(model, "family", "")
    return f"{type(model).__name__}({family if isinstance(family, str) else type(family).__name__})"


def offers(model, name):
    """Whether a model has a member, by hasattr, as scikit-learn asks."""
    try:
        return hasattr(model, name)
    except Exception:  # hasattr lets through what is no AttributeError: the call itself is looked at
        return True


def compared(rng):
    """Comparisons of several densities on the same rows."""
    rows, others = case(rng), [an_estimator(rng) for _ in range(2)]
    models = []
    for estimator in others:
        model = attempt(
            f"{titled(estimator)}.fit({rows.kind})",
            estimator.fit,
            rows.X,
            sample_weight=rows.weights,
            estimator=estimator,
        )
        if model is None:
            return
        models.append(model)
    which = rng.randrange(4)
    if which == 0:
        attempt("vuong_test", fastkl.vuong_test, *models, rows.X, rows.weights)
    elif which == 1:
        attempt("likelihood_ratio_test", fastkl.likelihood_ratio_test, *models, rows.X, rows.weights)
    elif which == 2:
        attempt(
            "compare_densities", fastkl.compare_densities, dict(enumerate(models)), rows.X, sample_weight=rows.weights
        )
    else:
        attempt("kl_divergence of models", fastkl.kl_divergence, *models, n_draws=50, random_state=0)
    if offers(models[0], "merge"):
        attempt("merge", models[0].merge, models[1], estimator=models[0])


def goodness(rng):
    """Goodness of fit and bootstrap, with few resamples."""
    rows = case(rng)
    model = DensityMLE(rng.choice(NAMES))
    model = attempt(f"{titled(model)}.fit", model.fit, rows.X, sample_weight=rows.weights, estimator=model)
    if model is None:
        return
    attempt(
        f"{titled(model)}.goodness_of_fit({rows.kind})",
        model.goodness_of_fit,
        rows.X,
        n_bootstrap=maybe(rng, 5, NO_NUMBERS),
        random_state=0,
        estimator=model,
    )
    attempt(
        f"{titled(model)}.bootstrap",
        model.bootstrap,
        rows.X,
        rows.weights,
        n_resamples=maybe(rng, 3, NO_NUMBERS),
        random_state=0,
        estimator=model,
    )
    attempt(f"{titled(model)} shown", repr, model)
