"""A wall clock that runs backwards: every command ends, with the numbers of one whose clock is right."""

import itertools
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from cli_runs import bytes_in, tetviz
from data_sets import write_digits

from tetviz.results import holding, load

NOW = 1_700_000_000
TRAIN = ("train", "--data", "npz", "--width", 0.0625, "--timesteps", 2, "--batch-size", 16, "--epochs", 2)
COMMANDS = (
    (*TRAIN, "--data-root", "../small.npz", "--keep-every", 1, "-o", "tet.pt"),
    ("scale", "tet.pt", "--tmax", 3),
    ("landscape", "tet.pt", "--grid", 3, "--samples", 20, "--allow-chance"),
)


@pytest.fixture
def backwards(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Every look at the clock finds it an hour earlier, and so is every file that is written, since it is renamed."""
    hours, replaced = itertools.count(), Path.replace

    def early() -> float:
        return NOW - 3600.0 * next(hours)

    def replace(self: Path, target: Any) -> Path:
        os.utime(self, (early(), early()))
        return replaced(self, target)

    monkeypatch.setattr(time, "time", early)
    monkeypatch.setattr(time, "time_ns", lambda: int(early() * 1e9))
    monkeypatch.setattr(Path, "replace", replace)
    return monkeypatch


def run_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """What the commands leave."""
    folder.mkdir()
    monkeypatch.chdir(folder)
    for command in COMMANDS:
        tetviz(*command)
    return contents(folder)


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of every file; of results, which say when they were made, what they hold."""
    results = {path.name: load(path).digest().encode() for path in folder.glob("*.h5")}
    return bytes_in(folder) | results


def test_no_clock_decides(tmp_path: Path, backwards: pytest.MonkeyPatch) -> None:
    write_digits(tmp_path / "small.npz", train=80, test=40)
    early, whole = tmp_path / "early", tmp_path / "whole"
    found = run_in(early, backwards)
    result, figure = ((early / f"tet.scale.{suffix}").stat().st_mtime for suffix in ("h5", "png"))
    assert figure < result < NOW  # drawn "before" it was measured
    for command in ((*COMMANDS[0], "--resume"), *COMMANDS[1:]):  # nothing is left to do
        assert "wrote" not in tetviz(*command).stderr
    assert contents(early) == found

    backwards.undo()
    with pytest.MonkeyPatch.context() as patch:
        assert run_in(whole, patch) == found


def test_who_waits_waits_for_the_other_and_for_no_time(tmp_path: Path, backwards: pytest.MonkeyPatch) -> None:
    waited = threading.Event()

    def wait() -> None:
        with holding(tmp_path / "o.h5", wait=True):
            waited.set()

    with holding(tmp_path / "o.h5"):
        second = threading.Thread(target=wait, daemon=True)
        second.start()
        assert not waited.wait(0.5)
    assert waited.wait(30)
    second.join()
