"""The recipes of the guide give the same model from every engine, bit for bit; ``pytest -m engines`` for Spark and Ray."""

import importlib.util
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fastkl import DensityMLE

ROOT = Path(__file__).parents[2]
N = 70_001  # a sample that is less than the rows, and several blocks
FRAME = pd.DataFrame(np.random.default_rng(0).standard_t(5.0, size=(N, 2)), columns=["a", "b"])


@pytest.fixture(scope="module")
def engines():
    spec = importlib.util.spec_from_file_location("engines", ROOT / "docs" / "examples" / "engines.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["engines"] = module  # where workers look for what is pickled by its name
    spec.loader.exec_module(module)
    yield module
    del sys.modules["engines"]


@pytest.fixture(scope="module")
def expected(engines):
    return engines.by_loop(job(), [FRAME])


@pytest.fixture
def agrees(expected):
    def check(model):
        for name, value in expected.params_.items():
            np.testing.assert_array_equal(model.params_[name], value)
        assert model.log_likelihood_ == expected.log_likelihood_

    return check


def job():
    return DensityMLE("student_t").start()


def parts(n):
    return [FRAME[i * N // n : (i + 1) * N // n] for i in range(n)]


def test_loop_and_fit(engines, agrees, expected):
    agrees(engines.by_loop(job(), parts(3)))
    np.testing.assert_allclose(expected.params_["df"], DensityMLE("student_t").fit(FRAME).params_["df"], rtol=1e-8)


def test_joblib(engines, agrees):
    agrees(engines.by_joblib(job(), parts(2)))


def test_polars(engines, agrees):
    polars = pytest.importorskip("polars")
    agrees(engines.by_polars(job(), polars.from_pandas(FRAME).lazy(), 30_000))


def test_duckdb(engines, agrees):
    duckdb = pytest.importorskip("duckdb")
    connection = duckdb.connect()
    connection.register("rows", FRAME)
    agrees(engines.by_duckdb(job(), connection, "SELECT a, b FROM rows", 20_000))


def test_dask(engines, agrees):
    frames = pytest.importorskip("dask.dataframe")
    agrees(engines.by_dask(job(), frames.from_pandas(FRAME, npartitions=3)))


@pytest.mark.engines
@pytest.mark.filterwarnings("ignore")
def test_ray(engines, agrees, monkeypatch):
    ray = pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=200_000_000)
    try:
        agrees(engines.by_ray(job(), parts(3)))
    finally:
        ray.shutdown()


@pytest.mark.engines
@pytest.mark.filterwarnings("ignore")
def test_spark(engines, agrees, monkeypatch):
    sql = pytest.importorskip("pyspark.sql")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    session = sql.SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    try:
        agrees(engines.by_spark(job(), session.createDataFrame(FRAME).persist()))
    finally:
        session.stop()
