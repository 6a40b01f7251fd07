"""Rows and transformers that the tests of TransformedDensity share."""

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA, FastICA, IncrementalPCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

RNG = np.random.default_rng(0)
X = RNG.gamma(3.0, size=(300, 3)) @ np.array([[1, 0.2, 0], [0, 1, 0.3], [0, 0, 1]]) + 0.1

BY_COLUMN = ColumnTransformer([("a", StandardScaler(), [2]), ("b", "passthrough", [0])], remainder=PowerTransformer())
SMOOTH = [
    None,
    "passthrough",
    StandardScaler(),
    StandardScaler(with_mean=False),
    StandardScaler(with_std=False),
    MinMaxScaler((1, 3)),
    MaxAbsScaler(),
    RobustScaler(unit_variance=True),
    RobustScaler(with_scaling=False),
    PowerTransformer(),
    PowerTransformer(standardize=False),
    PowerTransformer("box-cox"),
    PowerTransformer("box-cox", standardize=False),
    PCA(),
    PCA(whiten=True),
    IncrementalPCA(whiten=True),
    FastICA(random_state=0),
    FunctionTransformer(),
    FunctionTransformer(np.log, np.exp),
    make_pipeline(StandardScaler(), PowerTransformer(), PCA(whiten=True)),
    make_pipeline(FunctionTransformer(np.log), None, StandardScaler()),
    BY_COLUMN,
]
QUANTILES = [
    QuantileTransformer(n_quantiles=40, output_distribution="normal"),
    QuantileTransformer(n_quantiles=40),
]


def short(transformer):
    return repr(transformer).replace("\n", "")[:60]


class Cube(FunctionTransformer):
    """x^3 for positive rows."""

    def __init__(self):
        super().__init__(lambda x: x**3, np.cbrt)

    def log_abs_det_jacobian(self, X):
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where((X > 0).all(axis=1), np.log(3 * X**2).sum(axis=1), -np.inf)
