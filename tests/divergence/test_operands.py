"""What the calls make of their arguments: kinds, pairs of kinds, and that each argument is read once."""

import itertools
import types
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from scipy import sparse, stats

import fastkl
from fastkl import (
    DegenerateDataError,
    DensityMLE,
    Estimate,
    ProductDensity,
    SharedRowsWarning,
    SourceError,
    cross_entropy,
    empirical,
    entropy,
    jeffreys,
    jensen_shannon,
    kl_divergence,
    make_product_density,
    permutation_test,
    subsampling_interval,
)
from fastkl.density.parametric import base as family_density
from fastkl.divergence import arguments, kl_divergence_sweep, operands
from fastkl.divergence.operands import DensityOperand, DiscreteOperand, EmpiricalOperand, Rules, SampleOperand, operand
from fastkl.divergence.options import Options

COUNTS = np.random.default_rng(0).poisson(3.0, 60).astype(float)
X = np.random.default_rng(1).normal(size=(60, 2))


def distribution(name, **parameters):
    return DensityMLE.from_parameters(name, **parameters)


MIXED = ProductDensity([("a", DensityMLE("poisson"), [0]), ("b", DensityMLE("normal"), [1])]).fit(
    np.column_stack([COUNTS, X[:, 0]])
)
KINDS = {
    "array": (X, SampleOperand),
    "list": ([1.0, 2.0], SampleOperand),
    "frame": (pd.DataFrame(X), SampleOperand),
    "labels": (["a", "b"], SampleOperand),
    "empirical": (empirical(COUNTS), EmpiricalOperand),
    "density": (distribution("normal", loc=0.0, scale=1.0), DensityOperand),
    "scipy": (stats.norm(), DensityOperand),
    "kde": (stats.gaussian_kde(X.T), DensityOperand),
    "mixed product": (MIXED, DensityOperand),
    "counts": (distribution("poisson", rate=3.0), DiscreteOperand),
    "scipy counts": (stats.poisson(3.0), DiscreteOperand),
}


@pytest.mark.parametrize("name", KINDS)
def test_kinds(name):
    thing, kind = KINDS[name]
    found = operand(thing, "p")
    assert type(found) is kind
    assert found.name == "p"
    if kind is not SampleOperand:
        with pytest.raises(ValueError, match="sample_weight_p belongs to the rows of a sample, which p is not"):
            operand(thing, "p", [1.0, 2.0])


SAMPLE, DENSITY, DISCRETE = (
    COUNTS + 0.1 * X[:, 0],
    distribution("normal", loc=3.0, scale=2.0),
    distribution("poisson", rate=3.0),
)
OTHER = {
    "sample": SAMPLE[:50] + 0.01,
    "density": distribution("laplace", loc=3.0, scale=1.0),
    "discrete": stats.geom(0.3),
}
FIRST = {"sample": SAMPLE, "density": DENSITY, "discrete": DISCRETE, "empirical": empirical(COUNTS)}
SECOND = {**OTHER, "empirical": empirical(COUNTS + 1.0)}
CALLS = {
    "kl": kl_divergence,
    "cross_entropy": cross_entropy,
    "jeffreys": jeffreys,
    "jensen_shannon": jensen_shannon,
    "permutation_test": lambda p, q: permutation_test(p, q, n_permutations=9),
    "subsampling_interval": lambda p, q: subsampling_interval(p, q, n_subsamples=2),
    "sweep": lambda p, q: kl_divergence_sweep(p, q, [2]),
}
OF_SAMPLES = ("permutation_test", "subsampling_interval", "sweep")


def refused(call, p, q):
    """The words of the error for a pair of kinds, or None where there is an estimate."""
    if (p, q) == ("empirical", "density") and call == "cross_entropy":
        return None
    if (p, q) == ("discrete", "sample") and call == "cross_entropy":
        return "repeated or rounded values"
    if (p, q) == ("empirical", "density") and call == "kl":
        return "does not exist: the empirical distribution puts mass"
    if p == "empirical" and not (q == "discrete" and call in ("kl", "cross_entropy")):
        return "p is an empirical distribution; only a discrete model"
    if q == "empirical":
        return "q is an empirical distribution; only a discrete model"
    if "sample" not in (p, q) and p != "empirical":
        if call in OF_SAMPLES:
            return "p and q are both models; pass at least one sample"
        if p != q:
            return "compares two discrete distributions or two densities"
    return None


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(("p", "q"), list(itertools.product(FIRST, SECOND)))
def test_every_pair_of_kinds(call, p, q):
    words = refused(call, p, q)
    first = COUNTS if (p, q) == ("sample", "discrete") and call in ("kl", "cross_entropy") else FIRST[p]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SharedRowsWarning)
        if words is None:
            found = CALLS[call](first, SECOND[q])
            assert not isinstance(found, Estimate) or not np.isnan(found)
        else:
            with pytest.raises((ValueError, DegenerateDataError), match=words):
                CALLS[call](first, SECOND[q])


def test_the_most_specific_rule_comes_first():
    rules = Rules(
        {
            (operands.ModelOperand, operands.ModelOperand): lambda p, q, options: "models",
            (SampleOperand, operands.Operand): lambda p, q, options: "sample",
            (SampleOperand, DiscreteOperand): lambda p, q, options: "sample, discrete",
        }
    )
    for p, q, expected in (
        (DENSITY, DISCRETE, "models"),
        (SAMPLE, DENSITY, "sample"),
        (SAMPLE, DISCRETE, "sample, discrete"),
    ):
        assert rules(*operands.operands(p, q), options=Options()) == expected


class CountsReads:
    """A fixture's counter of calls of a function."""

    def __init__(self, monkeypatch, module, name):
        original = getattr(module, name)
        self.calls = 0

        def counted(*given, **named):
            self.calls += 1
            return original(*given, **named)

        monkeypatch.setattr(module, name, counted)


@pytest.mark.parametrize("call", [kl_divergence, cross_entropy, lambda p, q: kl_divergence(p, q, route="draws")])
def test_rows_are_validated_once(monkeypatch, call):
    """By the divergence alone: a density of this library does not validate them again."""
    frame = pd.DataFrame(X, columns=["a", "b"])
    model = DensityMLE("normal").fit(frame)
    own = CountsReads(monkeypatch, arguments, "as_matrix")
    again = CountsReads(monkeypatch, family_density, "read_rows")
    call(frame, model)
    assert (own.calls, again.calls) == (1, 0)


def test_labels_are_validated_once(monkeypatch):
    labels = np.array([["a"], ["b"], ["a"], ["c"]], dtype=object)
    model = DensityMLE("categorical").fit(labels)
    again = CountsReads(monkeypatch, family_density, "read_rows")
    assert cross_entropy(labels, model) == pytest.approx(1.5 * np.log(2.0), rel=1e-14)
    assert again.calls == 0
    with pytest.raises(ValueError, match="row 1, column 0: a missing label"):
        kl_divergence([["a"], [np.nan]], model)


def test_a_table_of_labels_and_numbers_is_read_once(monkeypatch):
    table = pd.DataFrame({"a": X[:, 0], "b": np.where(X[:, 1] > np.median(X[:, 1]), "x", "y")})
    model = make_product_density(table).fit(table)
    own = CountsReads(monkeypatch, operands, "as_rows")
    for call in (kl_divergence, cross_entropy):
        assert np.isfinite(call(table, model))
    assert own.calls == 2


def test_a_density_of_ones_own_is_asked_itself():
    class Halved(DensityMLE):
        def score_samples(self, X):
            return 0.5 * super().score_samples(X)

    plain, halved = DensityMLE("normal").fit(X), Halved("normal").fit(X)
    assert cross_entropy(X, halved) == pytest.approx(0.5 * cross_entropy(X, plain), rel=1e-14)


def test_a_density_of_other_columns_says_so():
    with pytest.raises(ValueError, match="X has 2 features, but DensityMLE is expecting 1"):
        kl_divergence(X, DENSITY)


@pytest.mark.parametrize("call", [kl_divergence, cross_entropy, jeffreys, jensen_shannon, permutation_test])
def test_columns_are_compared_by_name_in_either_order(call):
    model = DensityMLE("normal").fit(pd.DataFrame(X, columns=["a", "b"]))
    other = pd.DataFrame(X, columns=["b", "a"])
    with pytest.raises(ValueError, match=r"q was fitted to the columns \['a', 'b'\], the sample has \['b', 'a'\]"):
        call(other, model)
    with pytest.raises(ValueError, match="p was fitted to the columns"):
        call(model, other)


@pytest.mark.parametrize("call", [kl_divergence, jeffreys, jensen_shannon, lambda p, q: kl_divergence_sweep(p, q, [3])])
def test_warnings_point_at_the_line_of_the_caller(call):
    with pytest.warns(SharedRowsWarning) as caught:
        call(X, X[:50] if call is not jensen_shannon else X)
    assert {warning.filename for warning in caught} == {__file__}


def test_entropy_of_every_kind():
    exact = entropy(DISCRETE), entropy(DENSITY), entropy(empirical(["a", "a", "b", "b"]))
    assert [found.standard_error for found in exact] == [0.0] * 3
    assert exact[2] == pytest.approx(np.log(2.0), rel=1e-15)
    assert entropy(X).method == "marginal_split"


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.coo_array])
def test_a_sparse_matrix_is_refused_by_one_sentence_everywhere(kind):
    X = np.eye(6)[:, :2]
    S = kind(X)
    pairs = [
        fastkl.kl_divergence,
        fastkl.jeffreys,
        fastkl.jensen_shannon,
        fastkl.cross_entropy,
        fastkl.kl_lower_bound,
        fastkl.permutation_test,
        fastkl.kl_divergence_batches,
        fastkl.categorical_kl,
        fastkl.categorical_jensen_shannon,
        fastkl.discrete_kl,
        fastkl.population_stability_index,
    ]
    for call in pairs:
        for given in ((S, X), (X, S)):
            with pytest.raises(SourceError, match="is a sparse matrix; pass a dense array"):
                call(*given)
    for call in (fastkl.entropy, fastkl.categorical_entropy, fastkl.discrete_entropy):
        with pytest.raises(SourceError, match="is a sparse matrix; pass a dense array"):
            call(S)


@pytest.mark.parametrize("call", [kl_divergence, jensen_shannon, jeffreys, cross_entropy])
def test_models_of_other_columns_are_refused(call):
    rng = np.random.default_rng(0)
    p, q = (pd.DataFrame(rng.normal([0.0, 5.0], 1.0, (100, 2)), columns=["a", "b"]) for _ in range(2))
    first = DensityMLE().fit(p)
    for other in (q[["b", "a"]], q.set_axis(["a", "c"], axis=1)):
        with pytest.raises(ValueError, match=r"p was fitted to the columns \['a', 'b'\], q to"):
            call(first, DensityMLE().fit(other))
    assert np.isfinite(call(first, DensityMLE().fit(q)))
    assert np.isfinite(call(first, DensityMLE().fit(q.to_numpy())))


@pytest.mark.parametrize(
    "model", [stats.multivariate_normal([0.0, 0.0]), stats.multivariate_t([0.0, 0.0], np.eye(2), 5)]
)
@pytest.mark.parametrize("columns", [1, 3])
def test_scipy_does_not_stretch_columns(model, columns):
    X = np.random.default_rng(0).normal(size=(50, columns))
    for call in (kl_divergence, cross_entropy):
        with pytest.raises(ValueError, match=f"q is a model of 2 columns, and the rows have {columns}"):
            call(X, model)


def test_models_of_scipy_that_are_not_one_distribution_of_numbers():
    x = np.arange(1.0, 20.0)
    with pytest.raises(TypeError, match=r"q is scipy's gamma without its parameters .*gamma\(a=...\)"):
        kl_divergence(x, stats.gamma)
    with pytest.raises(TypeError, match="p is scipy's poisson"):
        entropy(stats.poisson)
    with pytest.raises(ValueError, match=r"p is scipy's norm with parameters of shape \(2,\)"):
        kl_divergence(stats.norm([0.0, 1.0]), stats.norm())
    with pytest.raises(ValueError, match="labels, such as 'a', and q is a distribution of numbers"):
        kl_divergence(["a", "a", "b"], stats.poisson(3))
    counts = [1, 3, 3]
    assert kl_divergence([Decimal(n) for n in counts], stats.poisson(3)) == kl_divergence(counts, stats.poisson(3))


@pytest.mark.parametrize(
    ("wrong", "advice"),
    [
        (lambda rows: -0.5 * (rows**2).sum(axis=1), "SimpleNamespace"),
        (np.zeros((4, 10, 2)), "one below the other"),
        (["a", "b", "a"], r"Use fastkl\.categorical_kl"),
    ],
)
def test_what_is_no_sample_is_told_how_to_be_one(wrong, advice):
    with pytest.raises(ValueError, match=advice):
        kl_divergence(np.random.default_rng(0).normal(size=(40, 2)), wrong)
    as_object = types.SimpleNamespace(logpdf=lambda rows: stats.norm.logpdf(rows).sum(axis=1))
    assert abs(kl_divergence(np.random.default_rng(0).normal(size=(400, 2)), as_object)) < 0.2
