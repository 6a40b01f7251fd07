"""The command line itself: errors of one line, help, an interrupt, and a process of its own."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

import fastkl
from fastkl.cli import main, parser
from fastkl.commands import fit as fit_command
from fastkl.commands.layout import number
from tests.commands.files import DATA, ROOT, run


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", DATA / "old_faithful.csv", "--columns", "eruption"], "Did you mean 'eruptions'?"),
        (["fit", DATA / "old_faithful.csv", "--columns", "waiting,1"], "twice"),
        (["fit", DATA / "old_faithful.csv", "--families", "gama"], "Did you mean 'gamma'"),
        (["fit", DATA / "old_faithful.csv", "--families", "gamma,poisson"], "can't be compared"),
        (["fit", DATA / "old_faithful.csv", "--families", ","], "names no family"),
        (["fit", DATA / "old_faithful.csv", "--folds", "1"], "--folds"),
        (["fit", DATA / "old_faithful.csv", "--folds", "1000"], "--folds: 272 rows .* 1000 parts; possible: 2 to 272"),
        (["fit", DATA / "old_faithful.csv", "-o", "model.csv"], "--output: model.csv is the name of a file of rows"),
        (["fit", DATA / "old_faithful.csv", "--figure", "fit.bmp"], "--figure: fit.bmp ends in none of"),
        (["show", DATA / "old_faithful.csv"], "not a fastkl density, .* fastkl fit -o wrote"),
        (["kl", DATA / "old_faithful.csv", DATA / "galaxies.csv"], "no name is in both files, so rename"),
        (["fit", DATA / "old_faithful.csv", "--weights", "mass"], "--weights"),
        (["fit", DATA / "newcomb_light.csv", "--weights", "value"], "numbers of at least 0|no column left"),
        (["score", DATA / "old_faithful.csv", DATA / "old_faithful.csv"], "not a fastkl density"),
        (["score", "nowhere", DATA / "old_faithful.csv"], "no file nowhere"),
        (["score", "nowhere", DATA / "old_faithful.csv", "--batch-rows", "0"], "--batch-rows"),
        (["kl", DATA / "old_faithful.csv", DATA / "old_faithful.csv", "--neighbors", "0"], "n_neighbors"),
        (["demo", "--rows", "0"], "--rows"),
    ],
)
def test_errors_are_one_line(capsys, arguments, message):
    assert re.search(message, run(capsys, *arguments, status=2))


@pytest.mark.parametrize(
    "arguments", [["fit"], ["fit", "a.csv", "--seed", "-1"], ["fly"], [], ["fit", "a.csv", "--speed", "3"]]
)
def test_wrong_arguments_are_one_line(capsys, arguments):
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith("fastkl: ")
    assert err.count("\n") == 1
    assert "--help" in err


@pytest.mark.parametrize("command", ["fit", "score", "show", "sample", "kl", "plot", "demo", "info"])
def test_help_has_an_example(capsys, command):
    with pytest.raises(SystemExit) as left:
        parser().parse_args([command, "--help"])
    assert left.value.code == 0
    assert f"Example:\n  fastkl {command}" in capsys.readouterr().out


def test_interrupt(capsys, monkeypatch):
    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(fit_command, "run", interrupted)
    assert run(capsys, "fit", "data.csv", status=130) == "fastkl: interrupted"


def test_in_a_process_of_its_own(tmp_path):
    """As a user calls it, with every warning an error; a reader that has seen enough is no error."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    fastkl_command = f"{sys.executable} -W error -m fastkl"
    data = DATA / "old_faithful.csv"
    script = (
        f"{fastkl_command} fit {data} --families normal,multivariate_normal -o model | head -1"
        f" && {fastkl_command} score model {data} --columns waiting"
    )
    done = subprocess.run(script, shell=True, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert done.stdout.count("\n") == 1
    assert fastkl.load(tmp_path / "model").family == "multivariate_normal"


def test_info_is_light():
    script = (
        "import sys; import sklearn.base; before = set(sys.modules); from fastkl.cli import main; main(['info'])\n"
        "new = {name for name in set(sys.modules) - before}\n"
        "assert not {n.split('.')[0] for n in new} & {'matplotlib', 'pandas', 'pyarrow'}, new\n"
        "assert not any(n.startswith(('sklearn.model_selection', 'fastkl.commands', 'fastkl.plotting')) for n in new), new"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.5000"),
        (-1.23456, "-1.2346"),
        (0.0, "0.0000"),
        (1.2e-7, "1.2e-07"),
        (3e8, "3e+08"),
        (np.inf, "inf"),
        (np.nan, "-"),
    ],
)
def test_figures(value, text):
    assert number(value) == text


def test_a_terminal_without_the_sign_of_an_error_gets_another(tmp_path):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "fastkl", "fit", str(DATA / "old_faithful.csv"), "--families", "gamma"]
    done = subprocess.run(
        [*command, "--columns", "waiting"], capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "+/-" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["fit", DATA / "ball_bearings.csv", "-o", "m"],
        ["fit", DATA / "ball_bearings.csv", "--figure", "m.png"],
        ["score", "model", DATA / "ball_bearings.csv", "-o", "s.csv"],
        ["sample", "model", "-o", "q.csv"],
        ["sample", "model", "-o", "q.npy"],
        ["sample", "model", "-o", "q.parquet"],
        ["plot", "model", "-o", "q.pdf"],
        ["demo", "--figure", "q.png"],
    ],
    ids=lambda arguments: " ".join(map(str, (arguments[0], *arguments[-2:]))),
)
def test_a_missing_folder_is_said_before_any_work(capsys, tmp_path, arguments):
    fastkl.DensityMLE.from_parameters("normal", loc=[0.0], scale=[1.0]).save(tmp_path / "model")
    given = [str(tmp_path / "model") if one == "model" else str(one) for one in arguments]
    given[-1] = str(tmp_path / "nodir" / arguments[-1])
    message = run(capsys, *given, status=2)
    assert message.endswith(f"There is no folder {tmp_path / 'nodir'} to write {arguments[-1]} in; make it first.")
    assert ".part" not in message
