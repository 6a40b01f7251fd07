"""Cross-validated log-densities against normal distributions fitted by hand, and what they refuse."""

import numpy as np
import pytest
from scipy import stats
from sklearn.model_selection import GroupKFold, KFold, ShuffleSplit
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastkl import DensityMLE, SourceError, SupportError, demo
from fastkl.selection import cross_validated_log_density

X = np.random.default_rng(0).gamma(3.0, size=(60, 1))
W = np.random.default_rng(1).uniform(0.0, 2.0, 60)


def by_hand(cv, weights=None):
    out = np.empty(len(X))
    for train, test in cv.split(X):
        w = np.ones(len(train)) if weights is None else weights[train]
        mean = np.average(X[train, 0], weights=w)
        sd = np.sqrt(np.average((X[train, 0] - mean) ** 2, weights=w))
        out[test] = stats.norm.logpdf(X[test, 0], mean, sd)
    return out


@pytest.mark.parametrize("weights", [None, W])
def test_rows_are_scored_by_the_fit_to_the_other_folds(weights):
    density = DensityMLE("normal")
    found = cross_validated_log_density(density, X, weights, cv=4, random_state=7)
    np.testing.assert_allclose(found, by_hand(KFold(4, shuffle=True, random_state=7), weights), rtol=1e-12)
    assert not hasattr(density, "params_")
    again = cross_validated_log_density(density, X, weights, cv=KFold(6))
    np.testing.assert_allclose(again, by_hand(KFold(6), weights), rtol=1e-12)


def test_tables_pipelines_and_foreign_densities():
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame(X, columns=["dose"])
    expected = cross_validated_log_density(DensityMLE("normal"), X)
    np.testing.assert_array_equal(cross_validated_log_density(DensityMLE("normal"), table), expected)
    assert np.isfinite(cross_validated_log_density(make_pipeline(StandardScaler(), DensityMLE("normal")), X)).all()
    assert np.isfinite(cross_validated_log_density(KernelDensity(), X)).all()


def test_what_is_refused():
    with pytest.raises(ValueError, match="between 2 and the number of rows, 60; it is 1"):
        cross_validated_log_density(DensityMLE(), X, cv=1)
    with pytest.raises(ValueError, match=r"row \d+ belongs to 0"):
        cross_validated_log_density(DensityMLE(), X, cv=ShuffleSplit(1, random_state=0))
    with pytest.raises(ValueError, match="groups"):
        cross_validated_log_density(DensityMLE(), X, cv=GroupKFold(2))
    with pytest.raises(SupportError, match="gamma"):
        cross_validated_log_density(DensityMLE("gamma"), X - 1.0)
    with pytest.raises(ValueError, match="for 60 rows; expected one weight for each row"):
        cross_validated_log_density(DensityMLE(), X, W[:5])
    with pytest.raises(SourceError, match="masked values, the first in row 3"):
        cross_validated_log_density(DensityMLE(), np.ma.array(X, mask=np.arange(60)[:, None] == 3))


def test_every_run_of_the_demonstration_prints_the_same(capsys, tmp_path):
    figure = tmp_path / "figure.png"
    runs = []
    for _ in range(2):
        demo.run(str(figure), n_rows=1000)
        runs.append(capsys.readouterr().out)
    assert runs[0] == runs[1]
    assert f"Figure: {figure.absolute()}" in runs[0] or "pip install 'fastkl[plot]'" in runs[0]
