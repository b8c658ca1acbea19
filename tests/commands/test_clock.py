"""A wall clock that runs backwards: every command ends, with the numbers of one whose clock is right."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from cli_runs import bytes_in
from data_sets import write_digits

from tetviz.results import load

# Every look at the clock finds it an hour earlier, and so is every file that a process writes or renames.
BACKWARDS = """
import itertools, os, pathlib, time

hours = itertools.count()
NOW = 1_700_000_000

def early(): return NOW - 3600.0 * next(hours)

replaced = pathlib.Path.replace
def replace(self, target):
    os.utime(self, (early(), early()))
    return replaced(self, target)

time.time, time.time_ns, pathlib.Path.replace = early, lambda: int(early() * 1e9), replace
"""
TRAIN = ("train", "--data", "npz", "--data-root", "small.npz", "--width", 0.0625, "--timesteps", 2, "--batch-size", 16)
COMMANDS = (
    (*TRAIN, "--epochs", 2, "--keep-every", 1, "-o", "tet.pt"),
    ("scale", "tet.pt", "--tmax", 3),
    ("landscape", "tet.pt", "--grid", 3, "--samples", 20, "--allow-chance"),
)


def run(folder: Path, *args: Any, clock: Path | None) -> str:
    paths = [str(clock)] if clock else []
    ended = subprocess.run(
        [sys.executable, "-c", "from tetviz.cli import main; main()", *map(str, args)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)},
    )
    assert ended.returncode == 0, f"{args}: {ended.stderr}"
    return ended.stderr


@pytest.fixture(scope="module")
def backwards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clock")
    (folder / "sitecustomize.py").write_text(BACKWARDS)
    return folder


def test_no_clock_decides(backwards: Path, tmp_path: Path) -> None:
    whole, early = tmp_path / "whole", tmp_path / "early"
    for folder, clock in ((whole, None), (early, backwards)):
        folder.mkdir()
        write_digits(folder / "small.npz", train=80, test=40)
        for command in COMMANDS:
            run(folder, *command, clock=clock)
    dates = [(folder / "tet.scale.h5").stat().st_mtime for folder in (early, whole)]
    assert dates[0] < 1_700_000_000 < dates[1]
    assert (early / "tet.scale.png").stat().st_mtime < dates[0]

    found, wanted = bytes_in(early), bytes_in(whole)
    assert set(found) == set(wanted)
    for name in found:
        if name.endswith(".h5"):  # these say when they were made
            assert load(early / name).digest() == load(whole / name).digest(), name
        else:
            assert found[name] == wanted[name], name

    for command in ((*COMMANDS[0], "--resume"), *COMMANDS[1:]):  # nothing is left to do
        assert "wrote" not in run(early, *command, clock=backwards)
    assert bytes_in(early) == found


def test_a_second_command_does_not_wait_longer(backwards: Path, tmp_path: Path) -> None:
    write_digits(tmp_path / "small.npz", train=80, test=40)
    hold = "from tetviz.results import holding\nwith holding('tet.pt'): print('held', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", hold], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdin and holder.stdout and holder.stdout.readline() == "held\n"
        command = [sys.executable, "-c", "from tetviz.cli import main; main()", *map(str, COMMANDS[0]), "--wait"]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(backwards)}
        with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE) as waiting:
            time.sleep(5)
            assert waiting.poll() is None and not (tmp_path / "tet.last.pt").exists()
            holder.communicate("go on\n")
            waiting.communicate(timeout=120)
            assert waiting.returncode == 0
