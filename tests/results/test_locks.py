"""Locks between processes: the second is told who holds an output, or waits; a dead one holds nothing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tetviz.errors import OutputError
from tetviz.results import holding
from tetviz.results.files import hidden_beside

HOLD = """
import sys, time
from tetviz.results import holding
with holding(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def holder(path: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_the_second_is_told_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "o.h5"
    with holder(path) as process:
        said = rf"o\.h5: process {process.pid} on \S+, since 20\S+, is writing it"
        with pytest.raises(OutputError, match=said), holding(path):
            pytest.fail("held twice")
        with holding(tmp_path / "other.h5"):
            pass
        process.kill()
    with holding(path):  # what a dead process held is free
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []


def test_who_waits_goes_on_when_the_first_has_ended(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 241 + ".h5")
    with holder(path) as process:
        waiting = subprocess.Popen(
            [sys.executable, "-c", HOLD.replace("argv[1]", "argv[1], wait=True"), str(path)],
            stdout=subprocess.PIPE,
            text=True,
        )
        time.sleep(0.5)
        assert waiting.poll() is None
        os.kill(process.pid, signal.SIGKILL)
        with waiting:
            assert waiting.stdout is not None and waiting.stdout.readline() == "held\n"
            waiting.kill()


def test_an_error_frees_it(tmp_path: Path) -> None:
    with pytest.raises(KeyError), holding(tmp_path / "a"):
        raise KeyError
    with holding(tmp_path / "a"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_takes_no_file_is_held_by_nobody() -> None:
    with pytest.raises(OutputError, match=r"takes no file|cannot be written"), holding("/proc/a.h5"):
        pass


def test_what_a_stop_has_left_of_a_write_goes_with_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with pytest.raises(KeyboardInterrupt), holding(path):
        hidden_beside(path, "-0123.partial").write_bytes(b"half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
