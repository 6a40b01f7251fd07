"""A source folder without compiled kernels, which hides an installed package from ``python -m``, says what to do."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fastkl

ROOT = Path(fastkl.__file__).parent
pytestmark = pytest.mark.skipif(
    not ROOT.joinpath("_core", "_threads.pyx").exists(),
    reason="the package under test is installed, without its sources",
)


@pytest.mark.parametrize(
    "command", [["-c", "import fastkl"], ["-m", "fastkl", "demo"], ["-c", "import fastkl.families"]]
)
def test_kernels_that_are_missing(tmp_path, command):
    shutil.copytree(ROOT, tmp_path / "fastkl", ignore=shutil.ignore_patterns("*.so", "*.pyd", "__pycache__"))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: fastkl is being imported from its source folder")
    assert str(tmp_path) in last
    assert "pip install -e ." in last
    assert "circular" not in done.stderr


def test_a_kernel_that_came_later(tmp_path):
    shutil.copytree(
        ROOT, tmp_path / "fastkl", ignore=shutil.ignore_patterns("_mixture.*.so", "_mixture.*.pyd", "__pycache__")
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", "import fastkl"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: fastkl is being imported from its source folder")
    assert "kernels are missing (families/_mixture)" in last
