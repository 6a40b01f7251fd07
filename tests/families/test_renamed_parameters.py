"""A parameter's name has no meaning: families with nonsense names keep the whole contract and get the same numbers."""

import inspect

import mpmath as mp
import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import MaxAbsScaler, PowerTransformer, StandardScaler

from fastkl import DensityMLE, TransformedDensity, families, kl_divergence, load
from fastkl.density.composed.affine import family_affine_invariances
from fastkl.families import Gamma, HalfNormal, Lognormal, MultivariateNormal, Normal, StudentT, closed_form
from fastkl.families.priors import GammaPrior, NormalInverseWishart, NormalPrior
from fastkl.families.solvers.coordinates import chart_at
from fastkl.plotting.marginals import marginal
from tests.families import test_contract, test_textbook
from tests.families.discovered import density_of, examples
from tests.families.renaming import renamed, translated

NAMES = {
    HalfNormal: {"scale": "sigma"},
    Gamma: {"shape": "scale", "scale": "rate"},  # names that mean something else elsewhere
    Normal: {"loc": "df", "scale": "probabilities"},
    StudentT: {"df": "foo", "loc": "bar", "scale": "baz"},
    Lognormal: {"meanlog": "size", "sdlog": "low"},
    MultivariateNormal: {"mean": "direction", "covariance": "xi"},
}
RENAMED = {original.name: renamed(original, names, __name__) for original, names in NAMES.items()}
globals().update({cls.__name__: cls for cls in RENAMED.values()})  # where pickle looks for them


@pytest.fixture(autouse=True)
def registry(monkeypatch):
    """The renamed families in the places of the originals, for this file alone."""
    found = {**{name: families.by_name(name) for name in families.names()}, **RENAMED}
    monkeypatch.setattr(families, "_registry", lambda: found)


# -- the contract, as it stands --------------------------------------------------------------------------------------------


@pytest.fixture(params=examples(RENAMED))
def distribution(request):
    return density_of(request.param)


@pytest.fixture(params=[name for name, cls in RENAMED.items() if not cls.joint])
def case(request):
    cls = RENAMED[request.param]
    with mp.workdps(test_textbook.DIGITS):
        yield test_textbook.Case(cls, {name: value[0] for name, value in cls.example.items()})


for _module, _fixture in ((test_contract, "distribution"), (test_textbook, "case")):
    for _name, _test in vars(_module).items():
        if _name.startswith("test_") and _fixture in inspect.signature(_test).parameters:
            globals()[_name] = _test


def test_the_contract_is_here():
    """The tests above are collected under this file's families."""
    assert sum(name.startswith("test_") for name in globals()) > 35


# -- the same numbers ------------------------------------------------------------------------------------------------------


def pairs():
    """Each family with its renamed twin, which hold the same parameters fixed: none, or one."""
    for original, names in NAMES.items():
        for i, (family, params) in enumerate(original.examples()):
            for held in (None, *original.parameter_names):
                fixed = {} if held is None else {held: params[held]}
                options = {k: v for k, v in family.get_params().items() if k not in original.parameters}
                twin = RENAMED[original.name](**options, **translated(fixed, names))
                yield pytest.param((type(family)(**options, **fixed), twin, params), id=f"{original.name}-{i}-{held}")


@pytest.fixture(params=pairs())
def pair(request):
    """The original, its twin, and rows."""
    family, twin, params = request.param
    known = DensityMLE.from_parameters(
        type(family)(**{k: v for k, v in family.get_params().items() if k not in params}), **params
    )
    return family, twin, known.sample(200, random_state=0)


def assert_same(own, theirs, names):
    """Dicts by parameter, one under its new names."""
    expected = translated(own, names)
    assert list(theirs) == list(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(theirs[name], value, err_msg=name)


def entry(label, names):
    name, bracket, rest = label.partition("[")
    return names[name] + bracket + rest


def assert_same_fit(own, theirs, names):
    assert_same(own.params_, theirs.params_, names)
    assert own.log_likelihood_ == theirs.log_likelihood_
    assert own.n_parameters_ == theirs.n_parameters_
    assert_same(own.standard_errors_, theirs.standard_errors_, names)
    assert_same(own.confidence_intervals(), theirs.confidence_intervals(), names)
    assert [entry(label, names) for label in own.param_names_] == theirs.param_names_
    np.testing.assert_array_equal(own.covariance_of_params_, theirs.covariance_of_params_)


@pytest.mark.parametrize("prior", [None, "default"])
def test_fit_errors_intervals_and_criteria(pair, prior):
    family, twin, X = pair
    own, theirs = DensityMLE(family, prior=prior).fit(X), DensityMLE(twin, prior=prior).fit(X)
    assert_same_fit(own, theirs, twin.names)
    assert (own.prior_ is None) == (theirs.prior_ is None)
    assert own.aic(X) == theirs.aic(X)
    assert own.bic(X) == theirs.bic(X)
    np.testing.assert_array_equal(own.score_samples(X), theirs.score_samples(X))


def test_charts(pair):
    family, twin, X = pair
    params = DensityMLE(family).fit(X).params_
    own, theirs = chart_at(family, params), chart_at(twin, translated(params, twin.names))
    assert [entry(label, twin.names) for label in own.names] == theirs.names
    u = own.to(params)
    np.testing.assert_array_equal(theirs.to(translated(params, twin.names)), u)
    assert_same(own.back(u + 0.3), theirs.back(u + 0.3), twin.names)
    np.testing.assert_array_equal(own.jacobian(params), theirs.jacobian(translated(params, twin.names)))


@pytest.mark.parametrize(
    "transformer",
    [StandardScaler(), StandardScaler(with_std=False), MaxAbsScaler(), PCA(), PowerTransformer()],
    ids=repr,
)
def test_number_of_parameters_behind_a_transformer(pair, transformer):
    """A scaler that a family absorbs adds nothing to AIC and BIC."""
    family, twin, X = pair
    assert family_affine_invariances(family) == family_affine_invariances(twin)
    own, theirs = (TransformedDensity(transformer, DensityMLE(part)) for part in (family, twin))
    try:
        own.fit(X)
    except ValueError as error:
        with pytest.raises(type(error)):
            theirs.fit(X)
        return
    theirs.fit(X)
    assert own.n_parameters_ == theirs.n_parameters_
    assert own.aic(X) == theirs.aic(X)


def test_scale_behind_a_scaler():
    """One parameter: the scale absorbs the scaler's."""
    X = np.abs(np.random.default_rng(0).normal(size=(100, 1)))
    model = TransformedDensity(MaxAbsScaler(), DensityMLE("half_normal")).fit(X)
    assert isinstance(model.density_.family_, RENAMED["half_normal"])
    assert model.n_parameters_ == 1


@pytest.mark.parametrize("shape", ["full", "diag", "spherical"])
def test_a_shift_is_absorbed_by_a_free_mean(shape):
    """With the covariance held fixed, a density of d means behind a centring still has d parameters, as one of columns."""
    X = np.random.default_rng(0).normal(size=(50, 2))
    covariance = {"full": np.eye(2), "diag": np.ones(2), "spherical": 1.0}[shape]
    columns = TransformedDensity(StandardScaler(with_std=False), DensityMLE(Normal(scale=1.0))).fit(X)
    for family in (
        MultivariateNormal(shape, covariance=covariance),
        RENAMED["multivariate_normal"](shape, xi=covariance),
    ):
        joint = TransformedDensity(StandardScaler(with_std=False), DensityMLE(family)).fit(X)
        assert joint.n_parameters_ == columns.n_parameters_ == 2


@pytest.mark.parametrize(
    ("name", "prior"),
    [
        ("gamma", GammaPrior(3.0, 0.5)),
        ("half_normal", GammaPrior(3.0, 0.5)),
        ("student_t", NormalPrior(0.3, 0.2)),
        ("lognormal", NormalPrior(0.3, 0.2)),
        ("multivariate_normal", NormalPrior(0.3, 0.2)),
        ("normal", NormalInverseWishart(0.0, 2.0, 5.0, 2.0)),
        ("multivariate_normal", NormalInverseWishart(0.0, 2.0, 5.0, 2.0)),
    ],
)
def test_priors_find_their_parameter(name, prior):
    original = RENAMED[name].original
    X = DensityMLE.from_parameters(original(), **original.example).sample(60, random_state=0)
    own, theirs = DensityMLE(original(), prior=prior).fit(X), DensityMLE(name, prior=prior).fit(X)
    assert_same_fit(own, theirs, RENAMED[name].names)
    plain = DensityMLE(original()).fit(X)
    assert plain.log_likelihood_ > own.log_likelihood_


@pytest.mark.parametrize("name", RENAMED)
@pytest.mark.parametrize("prior", [None, "default"])
def test_files(name, prior, tmp_path):
    cls = RENAMED[name]
    X = DensityMLE.from_parameters(cls(), **cls.example).sample(60, random_state=0)
    model = DensityMLE(name, prior=prior).fit(X)
    model.save(tmp_path / "model")
    copy = load(tmp_path / "model")
    assert isinstance(copy.family_, cls)
    assert repr(copy.prior_) == repr(model.prior_)
    assert_same_fit(model, copy, {new: new for new in cls.parameters})


@pytest.mark.parametrize("name", RENAMED)
def test_one_of_two_columns(name):
    cls = RENAMED[name]
    own = DensityMLE.from_parameters(cls.original(), **cls.original.example)
    theirs = DensityMLE.from_parameters(cls(), **cls.example)
    x = own.sample(20, random_state=0)[:, [1]]
    np.testing.assert_array_equal(marginal(theirs, [1], 2).score_samples(x), marginal(own, [1], 2).score_samples(x))


def test_closed_forms_belong_to_classes(monkeypatch):
    """A formula for other names is not used by mistake, and may be registered under the new ones."""
    own, cls = Gamma, RENAMED["gamma"]
    p, q = ({"shape": np.array([a]), "scale": np.array([s])} for a, s in ((2.0, 3.0), (1.5, 1.0)))
    exact = closed_form.kl(own(), p, own(), q)
    twins = [translated(params, cls.names) for params in (p, q)]
    assert closed_form.kl(cls(), twins[0], cls(), twins[1]) is None
    drawn = kl_divergence(*(DensityMLE.from_parameters(cls(), **params) for params in twins), random_state=0)
    assert abs(drawn - exact) < 5.0 * drawn.standard_error

    def formula(p_family, p, q_family, q):
        old = {new: old for old, new in cls.names.items()}
        return closed_form.kl(own(), translated(p, old), own(), translated(q, old))

    monkeypatch.setitem(closed_form._KL, (cls, cls), formula)
    assert closed_form.kl(cls(), twins[0], cls(), twins[1]) == exact

    class Plain(own):
        """A subclass with the same parameters."""

    assert closed_form.kl(Plain(), p, own(), q) == exact
