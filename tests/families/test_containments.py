"""A maximum is never below that of a family held fixed in part, of a family it holds, or of a search from many starts.

The normal suite takes a few samples of each; ``pytest -m slow -s tests/families/test_containments.py`` takes some hundred
thousand fits, prints how many, and what fell short.
"""

import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from fastkl import DegenerateDataError, DensityMLE, families
from fastkl._core.rows import Rows
from fastkl.families.containments import CONTAINMENTS
from tests.families import samples

NATS = 1e-6
SAMPLES = {
    "beta": samples.fractions,
    "beta_binomial": partial(samples.compositions, d=2),
    "burr12": samples.positive,
    "dirichlet_multinomial": samples.compositions,
    "gamma": samples.positive,
    "generalized_extreme_value": samples.line,
    "generalized_normal": samples.line,
    "generalized_pareto": samples.positive,
    "lomax": samples.positive,
    "multivariate_normal": samples.plane,
    "multivariate_t": samples.plane,
    "negative_binomial": samples.counts,
    "skew_normal": samples.line,
    "student_t": samples.line,
    "weibull": samples.positive,
    "zero_inflated_poisson": samples.counts,
}
# a grid of values at which one parameter is held
HELD = {
    "student_t": {"df": (0.5, 1.0, 3.0, 30.0)},
    "multivariate_t": {"df": (0.7, 1.0, 3.0, 30.0)},
    "gamma": {"shape": (0.3, 1.0, 20.0)},
    "weibull": {"shape": (0.5, 1.0, 5.0)},
    "lomax": {"shape": (0.5, 2.0, 50.0)},
    "burr12": {"d": (0.1, 1.0, 20.0), "c": (0.5, 3.0)},
    "beta": {"a": (0.5, 1.0, 30.0)},
    "dirichlet_multinomial": {"concentration": (0.0, 0.1, 1.0, 30.0, 1e4)},
    "negative_binomial": {"size": (0.3, 1.0, 30.0)},
    "zero_inflated_poisson": {"zero_probability": (0.1, 0.5)},
    "generalized_extreme_value": {"shape": (-1.0, -0.6, -0.2, 0.0, 0.3, 1.0), "scale": (0.5, 2.0)},
    "generalized_pareto": {"shape": (-1.0, -0.6, -0.2, 0.0, 0.3, 1.0, 3.0), "scale": (0.5, 2.0)},
    "generalized_normal": {"shape": (0.3, 0.6, 1.0, 1.5, 4.0, 50.0, np.inf), "scale": (0.5, 2.0)},
    "skew_normal": {"shape": (-30.0, -3.0, -0.5, 0.0, 0.5, 3.0, 30.0), "scale": (0.5, 2.0)},
    "logistic": {"scale": (0.5, 2.0)},
    "gumbel": {"scale": (0.5, 2.0)},
    "cauchy": {"scale": (0.5, 2.0)},
    "loglogistic": {"shape": (0.5, 3.0)},
}


def fitted(family, X):
    """A fit; None where there is no maximum, or the fit says that it has not reached it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = DensityMLE(family).fit(X)
    except DegenerateDataError:
        return None
    return model if model.converged_ else None


def likelihood(family, X):
    """Its log-likelihood."""
    model = fitted(family, X)
    return None if model is None else model.log_likelihood_


def log_likelihood_at(family, X, params):
    """The highest that an ascent from these parameters reaches; None where it collapses or does not end."""
    shaped = np.asarray if family.joint else np.atleast_1d
    start = {name: shaped(np.asarray(value, dtype=float)) for name, value in params.items()}
    try:
        fit, _ = family.fit(Rows(X), 1e-9, 500, start)
    except DegenerateDataError:
        return None
    return fit.log_likelihood if fit.converged else None


def shortfall(highest, other):
    """By how much another likelihood is above one that ought to be the highest."""
    if highest is None or other is None:
        return 0.0
    return max(0.0, other - highest - NATS * max(1.0, 1e-6 * abs(highest)))


def held_shortfalls(name, seed):
    X = SAMPLES.get(name, samples.positive if name == "loglogistic" else samples.line)(np.random.default_rng(seed))
    free, family = likelihood(name, X), families.by_name(name)
    for parameter, values in HELD[name].items():
        for value in values:
            held = fitted(family(**{parameter: value}), X)
            short = 0.0 if held is None else shortfall(free, held.log_likelihood_)
            if short > 0.0 and log_likelihood_at(family(), X, held.params_) is None:
                short = 0.0  # on a branch along which the likelihood grows without bound
            yield short, f"{name} {parameter}={value} seed {seed}"


def member_shortfalls(containment, seed):
    draw = samples.positive if containment.member == "half_normal" else SAMPLES[containment.family]
    X = draw(np.random.default_rng(seed))
    member = families.by_name(containment.member)(**containment.fixed)
    rounding = 0.0
    if (containment.family, containment.member) == ("generalized_normal", "uniform") and np.ptp(X) > 0.0:
        # loc and scale hold the ends of the rows to the rounding of loc, which far from 0 is some nats in 1e6
        rounding = len(X) * np.spacing(np.abs(X).max()) / np.ptp(X)
    yield (
        max(0.0, shortfall(likelihood(containment.family, X), likelihood(member, X)) - rounding),
        f"{containment.family} >= {containment.member} seed {seed}",
    )


def start_shortfalls(name, seed, n_starts=12):
    """Against ascents from rows and spreads drawn at random."""
    generator = np.random.default_rng(seed)
    X = samples.line(generator) if name in ("student_t", "cauchy") else samples.positive(generator)
    highest, family = likelihood(name, X), families.by_name(name)()
    for _ in range(n_starts):
        centre = X[generator.integers(len(X)), 0]
        distances = np.sort(np.abs(X[:, 0] - centre))
        spread = max(distances[generator.integers(1, len(X))], 1e-12)
        start = {"loc": centre, "scale": spread, "df": 10.0 ** generator.uniform(-0.5, 1.5)}
        if name == "burr12":
            steepness = 10.0 ** generator.uniform(-0.5, 1.7) / max(np.std(np.log(X)), 1e-3)
            start = {"scale": centre, "c": steepness, "d": 10.0 ** generator.uniform(-2.0, 1.5)}
        if name == "lomax":
            start = {"scale": centre, "shape": 10.0 ** generator.uniform(-0.5, 2.0)}
        start = {parameter: start[parameter] for parameter in family.parameter_names}
        yield shortfall(highest, log_likelihood_at(family, X, start)), f"{name} start {start} seed {seed}"


CHECKS = {
    **{f"{name} held": partial(held_shortfalls, name) for name in HELD},
    **{f"{one.family} >= {one.member}": partial(member_shortfalls, one) for one in CONTAINMENTS},
    **{
        f"{name} from many starts": partial(start_shortfalls, name)
        for name in ("student_t", "cauchy", "burr12", "lomax")
    },
}


@pytest.mark.parametrize("check", CHECKS)
def test_never_below(check):
    for seed in range(8):
        for short, what in CHECKS[check](seed):
            assert short == 0.0, what


@pytest.mark.slow
@pytest.mark.parametrize("check", CHECKS)
def test_search_for_shortfalls(check):
    count, found = 0, []
    for seed in range(1000, 2500):
        for short, what in CHECKS[check](seed):
            count += 1
            found += [(short, what)] if short > 0.0 else []
    print(f"{check}: {count} comparisons, {len(found)} short", *found[:5], sep="\n  ")
    assert not found


@pytest.mark.parametrize("containment", CONTAINMENTS, ids=lambda one: f"{one.family} >= {one.member}")
def test_families_of_the_table(containment):
    family, member = families.by_name(containment.family), families.by_name(containment.member)
    assert set(containment.fixed) <= set(member.parameter_names)
    assert family.discrete == member.discrete


def test_table_of_the_documents():
    lines = ["| family | holds | at |", "|---|---|---|"]
    for one in CONTAINMENTS:
        held = ", ".join(f"{name} = {value:g}" for name, value in one.fixed.items())
        lines.append(f"| `{one.family}` | `{one.member}`{f' with {held}' if held else ''} | {one.at} |")
    assert "\n".join(lines) in (Path(__file__).parents[2] / "docs" / "theory.md").read_text()


@pytest.mark.parametrize(
    "x", [[1.81141307e-4, 1.29710393, 1.63101612], [1.07993987e-6, 0.0685654, 0.0884432, 0.7445067, 1.5694038]]
)
def test_a_value_far_below_the_others_has_a_maximum_of_its_own(x):
    """The profile likelihood of lomax over a fine grid of scales is nowhere higher than the fit."""
    x = np.array(x)
    scales = np.geomspace(1e-9, 1e6, 4000)
    sums = np.log1p(x / scales[:, None]).sum(axis=1)
    profile = len(x) * (np.log(len(x) / sums) - np.log(scales) - 1.0) - sums
    assert DensityMLE("lomax").fit(x[:, None]).log_likelihood_ >= profile.max()


def test_few_rows_without_a_maximum_as_high_as_a_gumbel_distribution():
    x = np.array([[0.26178], [1.49406417], [7.07214838]])
    assert DensityMLE("gumbel").fit(x).converged_
    with pytest.raises(DegenerateDataError, match="as high as that of the Gumbel distribution"):
        DensityMLE("generalized_extreme_value").fit(x)
