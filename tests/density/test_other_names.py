"""Names of other libraries are errors that name the call, and what they name is there."""

import copy
import inspect
import pickle
import re

import numpy as np
import pytest
from scipy.stats import norm, weibull_min
from sklearn.base import clone

import fastkl
from fastkl import (
    DensityMLE,
    FactorAnalysisMLE,
    KernelDensityMLE,
    MixtureMLE,
    ProductDensity,
    ShapeConstrainedMLE,
    TransformedDensity,
)
from fastkl.density.other_names import HERE

X = np.random.default_rng(0).weibull(1.7, (200, 1))


@pytest.mark.parametrize("name", sorted(HERE))
def test_every_name_that_is_given_exists(name):
    """The error is one of a missing attribute; what it names is evaluated where it can be."""
    density = DensityMLE("weibull").fit(X)
    with pytest.raises(
        AttributeError, match=rf"'DensityMLE' object has no attribute '{name}'. Here it is (.+)\.$"
    ) as caught:
        getattr(density, name)
    here = re.search(r"Here it is (.+)\.$", str(caught.value)).group(1)
    for called in re.findall(r"fastkl\.(\w+)", here):
        assert hasattr(fastkl, called)
    if "fastkl" not in here and "of other rows" not in here:
        expression = here if here.startswith("numpy") else f"density.{here}"
        known = {
            "density": density,
            "numpy": np,
            "X": X,
            "q": 0.5,
            "n": 2,
            "level": 0.9,
            "period": 100,
            "a": 0.2,
            "b": 1.3,
            "function": np.sqrt,
        }
        assert eval(expression, known) is not None
    assert not hasattr(density, name)


def test_the_mean_of_the_worst_is_that_of_the_tail():
    density = DensityMLE.from_parameters("lognormal", meanlog=0.0, sdlog=1.0)
    worst = density.quantile((np.arange(0.5, 10_000) / 10_000) * (1 - 0.99), upper=True).mean()
    assert worst == pytest.approx(np.exp(0.5) * norm.cdf(1.0 - norm.ppf(0.99)) / 0.01, rel=1e-3)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: DensityMLE("weibull").fit(X).confidence_intervals(alpha=0.05), "level, which is 1 - alpha"),
        (lambda: DensityMLE("weibull").fit(X).bootstrap(X, n_bootstrap=9), "'n_resamples'"),
        (lambda: DensityMLE("weibull").fit(X).goodness_of_fit(X, n_resamples=9), "'n_bootstrap'"),
        (lambda: DensityMLE("weibull", truncation=(1, None)), "a few lines do it"),
        (lambda: DensityMLE("weibull", threshold=1.0), "fit X - threshold"),
        (lambda: DensityMLE("poisson").fit(X, exposure=X[:, 0]), "exposure.sum"),
        (lambda: DensityMLE("normal").fit(X, noise=0.5), r"MixtureMLE\(1\).fit\(X, noise_covariance="),
        (lambda: MixtureMLE(1).fit(X, noise=0.5), "noise_covariance"),
        (lambda: fastkl.choose_components(X, family="gamma"), r"mixture=MixtureMLE\(family="),
        (lambda: fastkl.fit_groups(X, group=X[:, 0]), "'by'"),
        (lambda: fastkl.rank_families(X, family="gamma"), "'families'"),
    ],
)
def test_keywords_that_are_guessed_first(call, said):
    with pytest.raises(TypeError, match=said):
        call()


def test_what_is_named_is_what_scipy_has():
    density = DensityMLE("weibull").fit(X)
    law = weibull_min(density.params_["shape"][0], scale=density.params_["scale"][0])
    assert np.exp(density.score_samples(X)) == pytest.approx(law.pdf(X[:, 0]), rel=1e-10)
    assert np.diff(density.cdf([[0.2], [1.3]]), axis=0).item() == pytest.approx(law.cdf(1.3) - law.cdf(0.2), rel=1e-10)
    hazard = np.exp(density.score_samples(X) - density.log_sf(X).ravel())
    assert hazard == pytest.approx(law.pdf(X[:, 0]) / law.sf(X[:, 0]), rel=1e-10)
    assert density.variance() ** 0.5 == pytest.approx([law.std()], rel=1e-10)
    assert density.quantile([0.025, 0.975])[:, 0] == pytest.approx(law.interval(0.95), rel=1e-10)


@pytest.mark.parametrize(
    ("density", "name", "here"),
    [
        (DensityMLE("weibull"), "shape_", "params_['shape']"),
        (DensityMLE(), "means_", "params_['mean']"),
        (MixtureMLE(2, random_state=0), "covariances_", "params_['covariance']"),
        (MixtureMLE(2, random_state=0), "weights_", "params_['weights']"),
        (MixtureMLE(2, random_state=0), "precisions_", "the inverse of params_['covariance']"),
        (MixtureMLE(2, random_state=0), "log_prob", "score_samples(X)"),
        (KernelDensityMLE(), "evaluate", "score_samples(X)"),
        (ProductDensity([("a", DensityMLE("gamma"), [0])]), "rvs", "sample(n)"),
        (FactorAnalysisMLE(1), "plot", "DensityDisplay"),
    ],
)
def test_parameters_and_other_densities(density, name, here):
    rows = np.column_stack([X, X[::-1], X**2]) if isinstance(density, FactorAnalysisMLE) else X
    with pytest.raises(AttributeError, match=re.escape(here)):
        getattr(density.fit(rows), name)


def test_other_attributes_keep_their_own_errors():
    with pytest.raises(AttributeError, match="^'DensityMLE' object has no attribute 'nonsense'$"):
        _ = DensityMLE("weibull").fit(X).nonsense
    with pytest.raises(AttributeError, match="^'DensityMLE' object has no attribute 'shape_'$"):
        _ = DensityMLE("weibull").shape_  # not fitted
    with pytest.raises(AttributeError, match="This .DensityMLE. has no attribute"):  # of available_if
        DensityMLE("weibull").partial_fit(X)


def test_copies_and_mixtures_are_as_they_were():
    density = DensityMLE("weibull").fit(X)
    for other in (
        copy.copy(density),
        copy.deepcopy(density),
        pickle.loads(pickle.dumps(density)),
        clone(density).fit(X),
    ):
        assert other.score(X) == density.score(X)
    assert MixtureMLE(2, random_state=0).fit(X).predict(X).shape == (200,)


@pytest.mark.parametrize(
    "density",
    [
        DensityMLE("weibull"),
        KernelDensityMLE(0.3),
        MixtureMLE(2, random_state=0),
        ProductDensity([("a", DensityMLE("gamma"), [0])]),
        TransformedDensity(None, DensityMLE("weibull")),
        ShapeConstrainedMLE(),
    ],
)
def test_draws_by_rng(density):
    """SPEC 7: rng= is what default_rng takes, in place of random_state=."""
    density = density.fit(X)
    assert np.array_equal(density.sample(5, rng=3), density.sample(5, np.random.default_rng(3)))
    with pytest.raises(TypeError, match="two names of one thing"):
        density.sample(5, random_state=1, rng=3)


def test_every_call_with_a_random_state_shows_rng():
    """In its signature, where help and checkers of types look; constructors hold random_state alone, as scikit-learn's do.

    So do displays.
    """
    calls = {}
    for name in dir(fastkl):
        if name.endswith("Display"):
            continue
        thing = getattr(fastkl, name)
        members = inspect.getmembers(thing, callable) if inspect.isclass(thing) else [(name, thing)]
        calls |= {f"{name}.{member}": call for member, call in members if callable(call) and not member.startswith("_")}
    seeded = {name: inspect.signature(call) for name, call in calls.items() if _is_seeded(call)}
    assert len(seeded) > 30
    assert [name for name, signature in seeded.items() if "rng" not in signature.parameters] == []


def _is_seeded(call):
    try:
        return "random_state" in inspect.signature(call).parameters
    except ValueError:  # a method of Python's own
        return False


def test_imputed_by_rng():
    """One of the calls that lacked it: a draw, as by the generator of the number."""
    density, gaps = DensityMLE().fit(X), [[np.nan]] * 3
    assert np.array_equal(density.impute(gaps, rng=1), density.impute(gaps, np.random.default_rng(1)))
    assert np.ptp(density.impute(gaps, rng=1)) > 0.0
    with pytest.raises(TypeError, match="two names of one thing"):
        density.impute(gaps, 1, rng=1)


def test_refits_by_rng():
    density = DensityMLE("exponential").fit(X)
    first, second = (
        density.bootstrap(X, n_resamples=5, **seed)["scale"]
        for seed in ({"rng": 1}, {"random_state": np.random.default_rng(1)})
    )
    assert np.array_equal(first, second)


@pytest.mark.parametrize("wrong", [np.log, "log"])
def test_a_function_is_no_transformer(wrong):
    with pytest.raises(TypeError, match=r"FunctionTransformer\(numpy.log\)"):
        TransformedDensity(wrong, DensityMLE("normal")).fit(X)


def test_hours_go_around_by_their_boundary():
    with pytest.raises(ValueError, match=r"boundary=\('circular', 24\)"):
        KernelDensityMLE(column_types={0: "circular"}).fit(X)
