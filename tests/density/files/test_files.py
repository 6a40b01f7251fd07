"""Files of densities: what is saved is read, what could not be read is not saved, and no file can hurt.

Edited files are made by changing the header or the arrays of a good one; each has to be a ``ModelFileError``, whatever it holds.
"""

import ast
import json
import os
import stat
import zipfile
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.neighbors import KernelDensity
from sklearn.preprocessing import StandardScaler

import fastkl.density
from fastkl import DensityMLE, ModelFileError, ProductDensity, TransformedDensity, families, load, priors
from fastkl.density.files import persistence, registry
from fastkl.density.parametric.checks import check_statistics
from tests.density.files.editing import edited

RNG = np.random.default_rng(0)
X = RNG.gamma(2.0, size=(60, 2))
COUNTS = RNG.poisson(3.0, size=(60, 2)).astype(float)
NORMAL = DensityMLE("normal").fit(X)


def fitted():
    """A fit of every family, and fits whose maximum sits at a boundary or whose columns differ in unit."""
    for name in families.names():
        for i, (family, params) in enumerate(families.by_name(name).examples()):
            known = DensityMLE.from_parameters(clone(family), **params)
            yield pytest.param(DensityMLE(clone(family)), known.sample(80, random_state=0), id=f"{name}-{i}")
    uniform = RNG.uniform(-1.0, 1.0, size=(80, 2))
    yield pytest.param(DensityMLE("student_t"), uniform, id="student_t, df = inf")
    yield pytest.param(DensityMLE("multivariate_t"), uniform, id="multivariate_t, df = inf")
    yield pytest.param(DensityMLE("negative_binomial"), np.tile([[2.0], [3.0]], (9, 1)), id="size = inf")
    yield pytest.param(DensityMLE("zero_inflated_poisson"), COUNTS + 1.0, id="no zeros")
    yield pytest.param(DensityMLE("bernoulli"), np.ones((5, 1)), id="probability = 1")
    yield pytest.param(DensityMLE("geometric"), np.ones((5, 1)), id="geometric, probability = 1")
    yield pytest.param(DensityMLE("poisson"), np.zeros((5, 1)), id="rate = 0")
    yield pytest.param(DensityMLE(), X * [1e-70, 1e70], id="units")
    yield pytest.param(DensityMLE(), np.c_[X, X.sum(axis=1) + 1e-5 * RNG.normal(size=60)], id="nearly singular")
    yield pytest.param(DensityMLE(families.MultivariateNormal(shrinkage="ledoit_wolf")), X, id="shrinkage")
    yield pytest.param(DensityMLE(families.Gamma(shape=2.0), robust_errors=True), X, id="fixed, robust errors")
    yield pytest.param(DensityMLE("weibull", prior="default"), X, id="prior")
    yield pytest.param(DensityMLE("gamma", prior=priors.GammaPrior(2.0, 1.0)), X, id="gamma prior")
    product = ProductDensity([("a", DensityMLE("gamma"), [1]), ("b", DensityMLE("normal"), [0])])
    yield pytest.param(TransformedDensity(StandardScaler(with_mean=False), product), X, id="product within")
    yield pytest.param(ProductDensity([("both", product, [0, 1])]), X, id="product in a product")


@pytest.mark.parametrize(("density", "rows"), list(fitted()))
def test_what_is_saved_is_read(density, rows, tmp_path):
    model = density.fit(rows)
    model.save(tmp_path / "model")
    read = load(tmp_path / "model")
    assert repr(read) == repr(model)
    assert list(vars(read)) == list(vars(model))
    for name, value in model.params_.items():
        np.testing.assert_array_equal(read.params_[name], value)
    np.testing.assert_array_equal(read.score_samples(rows), model.score_samples(rows))
    assert list(read.standard_errors_) == list(model.standard_errors_)
    if hasattr(model, "partial_fit"):
        more, expected = read.partial_fit(rows), model.partial_fit(rows)
        for name, value in expected.params_.items():
            np.testing.assert_array_equal(more.params_[name], value)


# -- what is refused -------------------------------------------------------------------------------------------------------


class Mine(DensityMLE):
    """A subclass, of which ``load`` knows nothing."""


class MyGamma(families.Gamma):
    """A family of the same name as one that is known."""


class Unknown(families.HalfNormal):
    name = "unknown_to_load"


class MyPrior(priors.GammaPrior):
    """A prior that ``load`` does not know."""


class MyScaler(StandardScaler):
    """A transformer that ``load`` does not know."""


def refused():
    behind = TransformedDensity(None, DensityMLE("gamma"))
    product = ProductDensity([("a", DensityMLE("gamma"), [0]), ("b", KernelDensity(), [1])])
    columns = namedtuple("Columns", "first second")(0, 1)
    for model, message in (
        (Mine("gamma"), "type Mine can't be saved.*save a DensityMLE instead.*Pickle"),
        (ProductDensity([("a", Mine("gamma"), [0, 1])]), "type Mine can't be saved"),
        (clone(behind).set_params(density=Mine("gamma")), "type Mine can't be saved"),
        (DensityMLE(MyGamma()), r"family MyGamma can't be saved.*families.names\(\).*Pickle"),
        (DensityMLE("gamma", prior=MyPrior(2.0, 1.0)), "type MyPrior can't be saved.*Pickle"),
        (TransformedDensity(MyScaler(), DensityMLE("normal")), "type MyScaler can't be saved.*Pickle"),
        (product, "type KernelDensity can't be saved.*Pickle"),
        (ProductDensity([("a", DensityMLE("gamma"), columns)]), "type Columns can't be saved"),
    ):
        yield pytest.param(model.fit(X), TypeError, message, id=message[:30])
    known = DensityMLE.from_parameters("half_normal", scale=1.0)
    known.family_ = Unknown()
    yield pytest.param(known, TypeError, "family Unknown can't be saved", id="family")
    known = DensityMLE.from_parameters("poisson", rate=1.0)
    known.tol = {1.5: 1e-9}
    yield pytest.param(known, TypeError, "key 1.5 can't be saved; keys have to be text", id="key")
    waiting = ProductDensity([("a", DensityMLE("normal"), slice(None))]).partial_fit(X[:1])
    yield pytest.param(waiting, NotFittedError, "no maximum of the likelihood: pass more rows", id="no maximum yet")
    for name, params in (("poisson", {"rate": -1.0}), ("normal", {"loc": 0.0, "scale": np.nan})):
        known = DensityMLE.from_parameters(name, **dict.fromkeys(params, 1.0))
        known.params_ = {key: np.array([value]) for key, value in params.items()}
        yield pytest.param(known, ModelFileError, "load would refuse it.*has to", id=f"{name} out of range")


@pytest.mark.parametrize(("model", "error", "message"), list(refused()))
def test_what_could_not_be_read_is_not_saved(model, error, message, tmp_path):
    NORMAL.save(tmp_path / "old")
    before = (tmp_path / "old").read_bytes()
    for name in ("old", "new"):
        with pytest.raises(error, match=message):
            model.save(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert (tmp_path / "old").read_bytes() == before


def test_a_density_of_your_own_can_be_registered(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "KINDS", dict(registry.KINDS))
    for module in ("values",):
        monkeypatch.setattr(f"fastkl.density.files.{module}.KINDS", registry.KINDS)
    registry.register_density(Mine, registry.KINDS["DensityMLE"].check)
    model = ProductDensity([("mine", Mine("gamma"), slice(None))]).fit(X)
    model.save(tmp_path / "model")
    assert type(load(tmp_path / "model").densities_["mine"]) is Mine
    with pytest.raises(ValueError, match="another density named Mine"):
        registry.register_density(Mine, registry.KINDS["DensityMLE"].check)


def test_files_know_no_density():
    """Each kind registers itself; what reads and writes files imports none of them."""
    folder = Path(fastkl.density.__file__).parent / "files"
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            module = getattr(node, "module", None) or ""
            assert not module.startswith(
                ("fastkl.density.parametric", "fastkl.density.composed", "fastkl.density.base")
            )


# -- the file and its folder -----------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_permissions_are_those_of_any_new_file(mask, tmp_path):
    before = os.umask(mask)
    try:
        NORMAL.save(tmp_path / "model")
        NORMAL.save(tmp_path / "model")
        (tmp_path / "plain").touch()
    finally:
        os.umask(before)
    mode = stat.S_IMODE((tmp_path / "model").stat().st_mode)
    assert mode == stat.S_IMODE((tmp_path / "plain").stat().st_mode) == 0o666 & ~mask


@pytest.mark.skipif(os.name != "posix", reason="links and pipes of POSIX")
def test_links_and_devices_stay_what_they_are(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder" / "model")
    NORMAL.save(tmp_path / "link")
    NORMAL.save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert load(tmp_path / "folder" / "model").n_features_in_ == 2
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["model"]
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="Not a regular file"):
        NORMAL.save(tmp_path / "pipe")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_large_arrays_are_stored_as_they_are(tmp_path, monkeypatch):
    """What a file unpacks to is bounded; what is beyond the bound is not compressed, and so as large in the file."""
    monkeypatch.setattr(persistence, "LARGEST_UNPACKED", 40_000)
    model = DensityMLE.from_parameters(mean=np.zeros(80), covariance=np.eye(80))
    model.save(tmp_path / "model")
    with zipfile.ZipFile(tmp_path / "model") as archive:
        assert all(i.compress_type == zipfile.ZIP_STORED for i in archive.infolist() if i.filename.endswith(".npy"))
    np.testing.assert_array_equal(load(tmp_path / "model").params_["covariance"], np.eye(80))


# -- files that were edited ------------------------------------------------------------------------------------------------


def numbered(path):
    """Number of the array behind each dotted place in the state."""
    with zipfile.ZipFile(path) as archive:
        state = json.loads(archive.read(persistence.HEADER))["state"]["dict"]
    found = {}

    def walk(value, place):
        if isinstance(value, dict) and "array" in value:
            found[place] = "a" + value["array"].split(".")[0]
        elif isinstance(value, dict):
            for key, item in value.get("dict", {}).items():
                walk(item, f"{place}.{key}")

    for key, item in state.items():
        walk(item, key)
    return found


EDITS = [
    ("bernoulli", COUNTS.clip(0, 1), "params_.probability", [1.7, 0.2], "probability has to"),
    ("student_t", X, "params_.scale", [-2.0, 1.0], "scale has to"),
    ("pareto", X, "params_.scale", [-2.0, 1.0], "scale has to"),
    ("weibull", X, "params_.shape", [np.nan, 1.0], "shape has to"),
    ("negative_binomial", COUNTS, "params_.size", [2.0], None),
    ("normal", X, "params_.loc", [1, 2], "loc is no float64"),
    ("normal", X, "params_.loc", np.float32([1, 2]), "loc is no float64"),
    ("normal", X, "params_.loc", [1.0, 2.0], "log_likelihood_ is"),
    ("normal", X, "params_.loc", [["a", "b"]], None),
    ("multivariate_normal", X, "params_.covariance", [[1.0, 2.0], [2.0, 1.0]], "positive definite"),
    ("multivariate_normal", X, "params_.covariance", [[1.0, 0.2], [0.1, 1.0]], "symmetric"),
    ("multivariate_normal", X, "statistics_.mean", np.zeros(100_000), "statistic 'mean' has shape"),
    ("normal", X, "statistics_.mean", np.zeros(100_000), "statistic 'mean' has shape"),
    ("normal", X, "statistics_.mean", np.zeros(2), "log_likelihood_ is"),
    ("normal", X, "statistics_.weight", [-1.0, -1.0], "weight of the rows"),
    ("weibull", X, "statistics_.weight", [np.nan, 1.0], "weight of the rows"),
    ("normal", X[:, :1], "statistics_.weight", [[40.0]], "statistic 'weight' has shape"),
    ("normal", X[:, :1], "statistics_.mean", [[1.0]], "statistic 'mean' has shape"),
    ("uniform", X, "statistics_.minimum", [np.inf, 0.0], "statistic 'minimum' is not finite"),
    ("multivariate_normal", X, "statistics_.mean", np.zeros(2, complex), "statistic 'mean' is of type complex128"),
    ("normal", X, "statistics_.mean", np.zeros(2, np.float32), "statistic 'mean' is of type float32"),
    ("multivariate_normal", X, "statistics_.n_rows", np.inf, "statistic 'n_rows' is not finite"),
    ("weibull", X, "statistics_.information", np.zeros((2, 1, 2)), "statistic 'information' has shape"),
    ("weibull", X, "statistics_.information", np.zeros((3, 2, 2)), "information has shape"),
    ("multivariate_t", X, "statistics_.information", np.zeros((3, 3)), "information has shape"),
    (DensityMLE("student_t", prior="default"), X, "statistics_.curvature", np.zeros((1, 2, 2)), "curvature has shape"),
    ("categorical", COUNTS[:, :1].clip(2, 3), "params_.probabilities", [[5.0, 5.0]], "sum to 1"),
]


@pytest.mark.parametrize(("family", "rows", "place", "value", "message"), EDITS)
def test_arrays_that_do_not_belong_there(family, rows, place, value, message, tmp_path):
    (DensityMLE(family) if isinstance(family, str) else family).fit(rows).save(tmp_path / "model")
    bad = edited(tmp_path / "model", tmp_path / "bad", **{numbered(tmp_path / "model")[place]: value})
    with pytest.raises(ModelFileError, match=message):
        load(bad)


def changed(path, value):
    """A function that sets an entry of the header."""

    def change(header):
        at = header
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = value
        return header

    return change


LABELS = DensityMLE("categorical").fit([["a"], ["b"], ["b"]])
PRODUCT = ProductDensity([("a", DensityMLE("gamma"), [0]), ("b", DensityMLE("normal"), [1])]).fit(X)
BEHIND = TransformedDensity(StandardScaler(), DensityMLE("normal")).fit(X)
HEADERS = [
    (NORMAL, ["version"], 0, "version is 0"),
    (NORMAL, ["version"], -1, "version is -1"),
    (NORMAL, ["version"], True, "version is True"),
    (NORMAL, ["version"], 0.5, "version is 0.5"),
    (NORMAL, ["version"], 1, "before 0.1.0 .*; fit and save the density again"),
    (NORMAL, ["version"], 99, "later fastkl"),
    (NORMAL, ["format"], "another", "is not a fastkl density"),
    (NORMAL, ["estimator"], "Mine", "'Mine' is no density"),
    (NORMAL, ["state", "dict"], {}, "not fitted"),
    (NORMAL, ["state", "dict", "n_features_in_"], 3, "those of 2 columns"),
    (NORMAL, ["state", "dict", "n_features_in_"], True, "n_features_in_ is True"),
    (NORMAL, ["state", "dict", "feature_names_in_"], {"labels": ["a"], "shape": [1]}, "not 2 names"),
    (NORMAL, ["state", "dict", "score_samples"], 1, "'score_samples' is nothing that"),
    (NORMAL, ["state", "dict", "standard_errors_"], 1, "'standard_errors_' is nothing that"),
    (NORMAL, ["state", "dict", "__class__"], 1, "'__class__' is nothing that"),
    (NORMAL, ["state", "dict", "family_"], 1, "family_ is 1"),
    (NORMAL, ["state", "dict", "family_", "family"], "os.system", "no family named"),
    (NORMAL, ["state", "dict", "family_", "family"], "gamma", "gamma has no parameter named loc"),
    (NORMAL, ["state", "dict", "prior_"], {"prior": "Popen", "options": {"dict": {}}}, "no prior named 'Popen'"),
    (NORMAL, ["state", "dict", "prior_"], {"code": "1"}, "no known kind: 'code'"),
    (NORMAL, ["state", "dict", "prior_"], {"array": "0.npy", "scalar": False}, None),
    (NORMAL, ["state", "dict", "statistics_", "dict"], {}, None),
    (NORMAL, ["parameters", "dict", "no"], 1, None),
    (PRODUCT, ["state", "dict", "n_features_in_"], 3, "are not the 3 columns"),
    (PRODUCT, ["state", "dict", "groups_", "list", 0, "tuple", 2, "list"], [1], "are not the 2 columns"),
    (PRODUCT, ["state", "dict", "groups_", "list", 0, "tuple", 2, "list"], [0, 1], "its density 1"),
    (PRODUCT, ["state", "dict", "groups_", "list", 0, "tuple", 1, "state", "dict"], {}, None),
    (PRODUCT, ["state", "dict", "dtypes_"], {"list": ["float64"]}, "1 dtypes for 2 columns"),
    (BEHIND, ["state", "dict", "n_features_in_"], 3, "the density has 2 columns"),
    (BEHIND, ["state", "dict", "transformer_"], None, None),
    (
        LABELS,
        ["state", "dict", "family_", "options", "dict", "categories", "list"],
        [{"labels": ["a"]}],
        "1 categories",
    ),
    (
        LABELS,
        ["state", "dict", "family_", "options", "dict", "categories", "list"],
        [{"labels": ["a", "a"]}],
        "'a' twice",
    ),
    (
        LABELS,
        ["state", "dict", "family_", "options", "dict", "categories", "list"],
        [{"labels": ["a", "b", "c"]}],
        "3 cat",
    ),
]


@pytest.mark.parametrize(("model", "path", "value", "message"), HEADERS, ids=lambda value: str(value)[:40])
def test_headers_that_were_edited(model, path, value, message, tmp_path):
    model.save(tmp_path / "model")
    bad = edited(tmp_path / "model", tmp_path / "bad", changed(path, value))
    if message is None and path[-1] == "transformer_":
        assert load(bad).transformer_ is None  # another density, and a good one
        return
    with pytest.raises(ModelFileError, match=message) as caught:
        load(bad)
    assert str(bad) in str(caught.value)


def test_a_sum_that_is_missing_is_missed():
    model = DensityMLE("multivariate_normal").fit(np.random.default_rng(0).normal(size=(20, 2)))
    statistics = {name: value for name, value in model.statistics_.items() if name != "n_rows"}
    with pytest.raises(KeyError, match="n_rows"):  # which load reports with the name of the file
        check_statistics(model.family_, statistics, model.params_)
