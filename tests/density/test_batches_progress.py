"""Progress of passes over batches, and interrupts: the estimator and the old output stay, what was done is kept."""

import signal
import threading

import numpy as np
import pytest

from fastkl import DensityMLE

N = 3000


def test_progress_by_function(tmp_path):
    np.save(tmp_path / "X.npy", np.random.default_rng(12).weibull(2.0, size=(N, 1)))
    heard = []
    DensityMLE("normal", n_jobs=2).fit_batches(
        tmp_path / "X.npy", batch_rows=1000, progress=lambda done, total: heard.append((done, total))
    )
    assert heard == [(1000, N), (2000, N), (3000, N)]
    heard.clear()
    batches = (np.ones((10, 1)) * i for i in range(1, 3))
    DensityMLE("normal").fit_batches(batches, progress=lambda done, total: heard.append((done, total)))
    assert heard == [(10, None), (20, None)]
    heard.clear()
    model = DensityMLE("weibull").fit_batches(
        tmp_path / "X.npy", progress=lambda done, total: heard.append((done, total))
    )
    assert set(heard) == {(N, N)}
    assert len(heard) >= model.n_iter_  # a pass for each iteration


def test_progress_bar(capsys):
    X = np.random.default_rng(13).weibull(2.0, size=(N, 1))
    model = DensityMLE("weibull").fit_batches(X, progress=True)
    written = capsys.readouterr().err
    assert "fit:" in written
    assert "fit, pass 2" in written
    assert "3.00k/3.00k" in written
    model.score_batches(X)
    assert capsys.readouterr().err == ""
    with pytest.raises(TypeError, match="progress is True, False or a function"):
        model.score_batches(X, progress="yes")


def test_bar_without_tqdm_says_what_to_do(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tqdm.auto", None)
    with pytest.raises(ImportError, match=r"fastkl\[progress\]"):
        DensityMLE("normal").fit_batches(np.zeros((2, 1)), progress=True)


@pytest.fixture
def heeded_interrupts():
    """SIGINT raises KeyboardInterrupt, also in a process that was started to ignore it (by nohup, or in the background)."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded_interrupts")
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_interrupt_leaves_estimator_and_partial_file(tmp_path, n_jobs):
    X = np.random.default_rng(14).normal(size=(N, 1))
    np.save(tmp_path / "X.npy", X)
    model = DensityMLE("normal", n_jobs=n_jobs).fit(X[:100])
    before = dict(vars(model))

    def interrupt(done, total):
        if done == 1000:
            signal.raise_signal(signal.SIGINT)

    out = tmp_path / "scores.npy"
    out.write_bytes(b"the scores of last week")
    with pytest.raises(KeyboardInterrupt):
        model.fit_batches(tmp_path / "X.npy", batch_rows=500, progress=interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.score_samples_batches(tmp_path / "X.npy", out, batch_rows=500, progress=interrupt)
    assert vars(model) == before
    assert out.read_bytes() == b"the scores of last week"
    with open(tmp_path / "scores.npy.partial", "rb") as stream:
        np.testing.assert_array_equal(np.load(stream), model.score_samples(X[:1000]))
    assert not [thread for thread in threading.enumerate() if "fastkl" in thread.name]
    assert model.score_samples_batches(tmp_path / "X.npy", out) == out
    assert not (tmp_path / "scores.npy.partial").exists()
    np.testing.assert_array_equal(np.load(out), model.score_samples(X))
