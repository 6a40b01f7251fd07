"""scikit-learn's callbacks hear of every iteration, and change nothing."""

import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from fastkl import (
    DensityMLE,
    DensityOutlierDetector,
    FactorAnalysisMLE,
    KernelDensityMLE,
    MixtureMLE,
    ProductDensity,
    ShapeConstrainedMLE,
    TransformedDensity,
    families,
)

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn before 1.9 has no callbacks")

rng = np.random.default_rng(0)
TAILS = rng.standard_t(3, size=(400, 2))
POSITIVE = np.abs(TAILS)
IRIS = load_iris().data
MISSING = np.where(rng.random(IRIS.shape) < 0.1, np.nan, IRIS)
START = {"weights": [0.5, 0.5], "loc": [[-1.0, 0.0], [1.0, 0.0]], "scale": [[1.0, 1.0], [2.0, 2.0]]}
MANY = np.random.default_rng(1).standard_t(3, size=(40_000, 1))

ITERATIVE = {
    "student_t": (DensityMLE("student_t"), TAILS),
    "student_t_many": (DensityMLE("student_t"), MANY),
    "weibull": (DensityMLE("weibull"), POSITIVE),
    "weibull_prior": (DensityMLE("weibull", prior="default"), POSITIVE),
    "gamma_prior": (DensityMLE("gamma", prior="default"), POSITIVE),
    "multivariate_t": (DensityMLE("multivariate_t"), TAILS),
    "multivariate_t_many": (DensityMLE("multivariate_t"), np.column_stack([MANY[:20_000], MANY[20_000:]])),
    "missing": (DensityMLE("multivariate_normal"), MISSING),
    "mixture": (MixtureMLE(3, n_init=2, random_state=0), IRIS),
    "mixture_from_a_start": (MixtureMLE(2, family="cauchy", init=START), TAILS),
    "mixture_of_families": (MixtureMLE(2, family=["normal", "laplace"], n_init=2, random_state=0), TAILS[:, :1]),
    "mixture_of_one": (MixtureMLE(1, family="cauchy"), TAILS),
    "mixture_of_labels": (MixtureMLE(2, family="categorical", n_init=2, random_state=0), np.where(TAILS > 0, "a", "b")),
    "bandwidths": (KernelDensityMLE(), TAILS),
    "one_bandwidth": (KernelDensityMLE("likelihood_scalar"), TAILS),
    "bandwidth_matrix": (KernelDensityMLE("likelihood_matrix"), TAILS),
    "angles": (KernelDensityMLE(kernel="von_mises"), TAILS % 6.0),
    "boundary": (KernelDensityMLE(boundary="reflect"), POSITIVE[:, :1]),
    "labels": (
        KernelDensityMLE(column_types={1: "ordered"}),
        np.column_stack([TAILS[:80, 0], np.rint(TAILS[:80, 1])]),
    ),
    "factors": (FactorAnalysisMLE(), load_wine().data[:, [0, 5, 6, 9, 12]]),
    "shape": (ShapeConstrainedMLE(), TAILS[:, :1]),
}


class Recorder:
    """What callbacks are told, the densities scored as they come; asks for the end after so many iterations."""

    def __init__(self, most=None):
        self.tasks, self.scores, self.most, self.torn_down = [], [], most, 0

    def setup(self, estimator, context):
        self.estimator = estimator

    def teardown(self, estimator, context):
        self.torn_down += 1

    def on_fit_task_begin(self, estimator, context):
        self.tasks.append(("begin", context.task_name))

    def on_fit_task_end(self, estimator, context, *, X=None, metadata=None, fitted_estimator=None):
        self.tasks.append(("end", context.task_name))
        if X is not None and fitted_estimator is not None and context.task_name == "iteration":
            self.scores.append(fitted_estimator.score(X, **(metadata or {})))
        return self.most is not None and len(self.scores) >= self.most


class PassedOn(Recorder):
    max_propagation_depth = None


def learnt(density):
    """All that a fit has learnt, as text with every digit."""
    with np.printoptions(floatmode="unique", threshold=sys.maxsize):
        return {name: repr(value) for name, value in vars(density).items() if name.endswith("_")}


@pytest.mark.parametrize("case", ITERATIVE)
def test_every_iteration_is_heard_and_nothing_changes(case):
    density, X = ITERATIVE[case]
    alone, recorder = clone(density).fit(X), Recorder()
    heard = clone(density).set_callbacks(recorder).fit(X)
    assert learnt(heard) == learnt(alone)
    assert len(recorder.scores) >= 1
    assert np.isfinite(recorder.scores).all()
    assert max(recorder.scores) == pytest.approx(alone.score(X), rel=1e-9) or isinstance(density, KernelDensityMLE)
    assert recorder.scores[-1] == pytest.approx(alone.score(X), abs=1e-6)
    n = len(recorder.scores)
    assert recorder.tasks == [("begin", "fit"), *n * [("begin", "iteration"), ("end", "iteration")], ("end", "fit")]
    assert recorder.torn_down == 1


@pytest.mark.parametrize("case", ITERATIVE)
def test_a_callback_ends_the_fit(case):
    density, X = ITERATIVE[case]
    recorder = Recorder(most=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        stopped = clone(density).set_callbacks(recorder).fit(X)
    assert np.isfinite(stopped.score(X))
    assert len(recorder.scores) <= 2, "a fit with missing values begins anew"


def test_a_fit_that_was_ended_says_that_it_has_not_converged():
    with pytest.warns(ConvergenceWarning):
        density = DensityMLE("student_t").set_callbacks(Recorder(most=2)).fit(TAILS)
    assert not density.converged_


def test_many_iterations_in_compiled_loops_are_told_of_in_strides():
    ridge, recorder = DensityMLE("burr12", max_iter=500), Recorder()
    X = np.random.default_rng(3).exponential(size=(60, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        alone, heard = clone(ridge).fit(X), clone(ridge).set_callbacks(recorder).fit(X)
    assert learnt(heard) == learnt(alone)
    assert 1 <= len(recorder.scores) < 64


@pytest.mark.parametrize("family", ["student_t", "generalized_extreme_value"])
@pytest.mark.parametrize("seed", [1, 3, 8, 13])
def test_several_ascents_in_compiled_loops(family, seed):
    """Told of, the fit ended where the highest ascent so far had converged, while others still climbed."""
    X = np.random.default_rng(seed).standard_t(1.5, size=(20, 1))
    alone, heard = DensityMLE(family).fit(X), DensityMLE(family).set_callbacks(Recorder()).fit(X)
    assert learnt(heard) == learnt(alone)


def test_the_monitor_of_scores_with_weights():
    monitor = callback.ScoringMonitor(scoring=lambda density, X, y, **weights: {"nats": density.score(X, **weights)})
    weights = np.random.default_rng(2).random(len(TAILS))
    density = DensityMLE("student_t").set_callbacks(monitor).fit(TAILS, sample_weight=weights)
    rows = monitor.get_logs().data
    assert [row["task_name"] for row in rows] == ["fit"] + (len(rows) - 1) * ["iteration"]
    scores = [row["nats"] for row in rows[1:]]
    assert len(scores) >= 3
    assert np.all(np.diff(scores) >= -1e-12)
    assert scores[-1] == pytest.approx(density.score(TAILS, sample_weight=weights), rel=1e-12)


def test_closed_forms_are_one_task():
    recorder = Recorder()
    DensityMLE("normal").set_callbacks(recorder).fit(TAILS)
    assert recorder.tasks == [("begin", "fit"), ("end", "fit")]


def test_rows_from_a_source():
    recorder, seen = Recorder(), []
    recorder.on_fit_task_end = lambda estimator, context, *, X=None, fitted_estimator=None: seen.append(
        (X, None if fitted_estimator is None else fitted_estimator.params_["df"][0])
    )
    density = DensityMLE("student_t").set_callbacks(recorder).fit_batches([TAILS[:150], TAILS[150:]])
    assert len(seen) >= 3
    assert all(X is None for X, _ in seen)
    assert seen[-1][1] == density.params_["df"][0]


def test_parts_of_a_density_share_a_callback():
    groups = [("a", DensityMLE("student_t"), [0]), ("b", DensityMLE("weibull"), [1])]
    for density in (
        ProductDensity(groups),
        TransformedDensity(StandardScaler(), DensityMLE("student_t")),
        DensityOutlierDetector(DensityMLE("student_t")),
    ):
        table = np.column_stack([TAILS[:, 0], POSITIVE[:, 1]])
        recorder = PassedOn()
        density.set_callbacks(recorder).fit(table)
        assert len(recorder.scores) >= 3
        assert recorder.torn_down == 1
        assert recorder.tasks[-1] == ("end", "fit")


def test_a_grid_search_passes_callbacks_on():
    recorder = PassedOn()
    grid = GridSearchCV(DensityMLE(), {"family": ["student_t", families.StudentT(df=4)]}, cv=2)
    grid.set_callbacks(recorder).fit(TAILS)
    assert len(recorder.scores) >= 10


def test_an_error_leaves_the_density_as_it_was_and_ends_the_callbacks():
    recorder = Recorder()
    density = DensityMLE("weibull").set_callbacks(recorder).fit(POSITIVE)
    before = learnt(density)
    with pytest.raises(ValueError, match="row 1"):
        density.fit([[1.0], [-1.0], [2.0]])
    assert recorder.torn_down == 2
    assert learnt(density) == before
    assert not hasattr(density, "_callback_fit_ctx")


def test_fits_at_the_same_time_do_not_hear_each_other():
    recorders = [Recorder() for _ in range(4)]
    threads = [
        threading.Thread(target=DensityMLE("student_t", n_jobs=1).set_callbacks(recorder).fit, args=(TAILS,))
        for recorder in recorders
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({tuple(recorder.scores) for recorder in recorders}) == 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_progress_bar(capsys):
    pytest.importorskip("rich")
    MixtureMLE(2, n_init=1, random_state=0).set_callbacks(callback.ProgressBar()).fit(TAILS)
    assert "MixtureMLE - fit" in capsys.readouterr().out


def test_scikit_learn_without_callbacks():
    code = """
import sys
import sklearn.linear_model, sklearn.model_selection, sklearn.pipeline  # which ask for callbacks themselves
sys.modules["sklearn.callback"] = None
from fastkl import DensityMLE
model = DensityMLE("student_t").fit([[0.0], [1.0], [2.0], [50.0]])
assert not hasattr(model, "set_callbacks")
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_sparse_rows_behind_an_encoder_are_refused_in_words():
    """A pipeline is heard: what scipy says of the length of a sparse matrix came first."""
    rows = np.array([["a"], ["b"], ["a"]])
    with pytest.raises(TypeError, match=r"Sparse data was passed for X.*toarray"):
        make_pipeline(OneHotEncoder(), DensityMLE("normal")).fit(rows)
