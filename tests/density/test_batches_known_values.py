"""What holds wherever the rows are, in files or in batches: mean log-density, masses, log space, the cat and the dog."""

import numpy as np
import pandas as pd
import pytest

from fastkl import DensityMLE

VALUES = np.array([[0.0], [1.0], [3.0]])


@pytest.fixture(params=["x.npy", "x.parquet", "x.csv", "batches"])
def source(request, tmp_path):
    path = tmp_path / request.param
    if request.param == "batches":
        return [VALUES[:1], VALUES[1:]]
    if request.param == "x.npy":
        np.save(path, VALUES)
    else:
        table = pd.DataFrame(VALUES, columns=["x"])
        table.to_parquet(path) if request.param == "x.parquet" else table.to_csv(path, index=False)
    return path


def test_mean_and_total(source):
    """Mean 4/3, variance 14/9, log-likelihood -4.919565, minus the mean log-density 1.639855."""
    model = DensityMLE("normal").fit_batches(source)
    assert model.params_["loc"][0] == pytest.approx(4 / 3, rel=1e-15)
    assert model.params_["scale"][0] ** 2 == pytest.approx(14 / 9, rel=1e-15)
    assert model.log_likelihood_ == pytest.approx(-4.919565, abs=5e-7)
    assert -model.score_batches(source) == pytest.approx(1.639855, abs=5e-7)
    rows = model.score_samples_batches(source)
    assert rows.sum() == pytest.approx(model.log_likelihood_, rel=1e-14)
    assert np.argmin(rows) == 2  # the lowest row is the one farthest out


def test_known_parameters(source):
    """A standard normal on 0, 1, 3 has log-likelihood -7.756816."""
    known = DensityMLE.from_parameters("normal", loc=0.0, scale=1.0)
    assert 3 * known.score_batches(source) == pytest.approx(-7.756816, abs=5e-7)


def test_weights_are_masses(source):
    """Weights 2, 0, 1 are the rows 0, 0, 3."""
    weighted = DensityMLE("normal").fit_batches(source, sample_weight=[2.0, 0.0, 1.0])
    assert weighted.params_["loc"][0] == pytest.approx(1.0, rel=1e-15)
    assert weighted.params_["scale"][0] ** 2 == pytest.approx(2.0, rel=1e-15)


def test_log_space():
    """1000 standard normal rows, and a row at 100 of log-density -5000.918939."""
    known = DensityMLE.from_parameters("normal", loc=0.0, scale=1.0)
    assert known.score_samples_batches([[[100.0]]])[0] == pytest.approx(-5000.918939, abs=5e-7)
    far = known.score_batches([np.zeros((1000, 1)), np.full((1000, 1), 100.0)])
    assert float(far) == pytest.approx((-0.9189385332046727 - 5000.918938533205) / 2.0, rel=1e-14)


def test_cats_and_dogs(tmp_path):
    """6 cats and 4 dogs, in whichever batches: 0.6, log-likelihood -6.730117."""
    pd.DataFrame({"animal": ["cat"] * 6 + ["dog"] * 4}).to_parquet(tmp_path / "animals.parquet")
    model = DensityMLE("categorical").fit_batches(tmp_path / "animals.parquet", batch_rows=4)
    assert dict(zip(model.categories_[0], model.params_["probabilities"][0], strict=True)) == {"cat": 0.6, "dog": 0.4}
    assert model.log_likelihood_ == pytest.approx(-6.730117, abs=5e-7)
    assert -model.score_batches(tmp_path / "animals.parquet") == pytest.approx(0.673012, abs=5e-7)
