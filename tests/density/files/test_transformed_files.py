"""Files of TransformedDensity: what is read is what was saved, and nothing else is built."""

import json
import zipfile

import numpy as np
import pytest
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from fastkl import DensityMLE, TransformedDensity, load
from fastkl.exceptions import ModelFileError
from tests.density.bijections.transformers import QUANTILES, SMOOTH, Cube, X, short


@pytest.mark.parametrize("transformer", SMOOTH + QUANTILES, ids=short)
def test_files(transformer, tmp_path):
    model = TransformedDensity(transformer, DensityMLE("laplace")).fit(X)
    model.save(tmp_path / "model")
    read = load(tmp_path / "model")
    assert repr(read) == repr(model)
    np.testing.assert_array_equal(read.score_samples(X), model.score_samples(X))
    np.testing.assert_array_equal(read.sample(5, random_state=0), model.sample(5, random_state=0))
    assert (read.n_parameters_, read.log_likelihood_) == (model.n_parameters_, model.log_likelihood_)
    with zipfile.ZipFile(tmp_path / "model") as archive:
        json.loads(archive.read("fastkl.json"))
        assert all(name == "fastkl.json" or name.endswith(".npy") for name in archive.namelist())


def test_what_can_not_be_stored(tmp_path):
    model = TransformedDensity(Cube(), DensityMLE("normal")).fit(X)
    with pytest.raises(TypeError, match="type Cube can't be saved without pickle"):
        model.save(tmp_path / "model")
    with pytest.raises(TypeError, match="type KernelDensity can't be saved"):
        TransformedDensity(None, KernelDensity()).fit(X).save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("good", "bad"), [("StandardScaler", "OneHotEncoder"), ("StandardScaler", "os.system"), ("log", "eval")]
)
def test_files_build_nothing_that_is_not_listed(good, bad, tmp_path):
    transformer = make_pipeline(FunctionTransformer(np.log), StandardScaler())
    TransformedDensity(transformer, DensityMLE("normal")).fit(X).save(tmp_path / "model")
    with zipfile.ZipFile(tmp_path / "model") as source, zipfile.ZipFile(tmp_path / "bad", "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name).replace(f'"{good}"'.encode(), f'"{bad}"'.encode()))
    with pytest.raises(ModelFileError):
        load(tmp_path / "bad")
