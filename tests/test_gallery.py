"""The examples of the gallery run without a warning, and draw figures whose axes say what they show."""

import contextlib
import io
import runpy
from pathlib import Path

import matplotlib as mpl
import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").rglob("plot_*.py"))


def test_there_are_examples():
    assert len(EXAMPLES) >= 14


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(path, monkeypatch):
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.extend(map(plt.figure, plt.get_fignums())))
    try:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            runpy.run_path(str(path))
        assert shown
        for figure in shown:
            assert figure.axes
            for ax in figure.axes:
                assert ax.has_data() or ax.get_title(), path.name
            assert any(ax.get_xlabel() for ax in figure.axes), path.name
            assert any(ax.get_ylabel() or ax.get_yticklabels() for ax in figure.axes), path.name
            figure.draw_without_rendering()
        assert "nan" not in out.getvalue(), path.name
    finally:
        plt.close("all")
