"""Writing outputs: nothing is followed, nothing is left half written, names are refused before the work."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tetviz.errors import OutputError
from tetviz.results import holding, writable_target, write_whole
from tetviz.results.files import hidden_beside


def test_a_new_file_and_one_that_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    assert write_whole(path, b"one") == path and path.read_bytes() == b"one"
    write_whole(path, b"two" * 10**6)
    assert path.read_bytes() == b"two" * 10**6
    assert [each.name for each in tmp_path.iterdir()] == ["a.bin"]


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such modes")
def test_a_file_may_be_read_by_whom_the_umask_lets(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        assert write_whole(tmp_path / "a", b"").stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(before)


def test_no_name_that_can_be_foreseen_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    victim, path = tmp_path / "victim", tmp_path / "o.h5"
    victim.write_text("precious")
    for link in (tmp_path / ".o.h5.partial", hidden_beside(path, "-00.partial")):
        link.symlink_to(victim)
    write_whole(path, b"new")
    assert victim.read_text() == "precious" and not path.is_symlink() and path.read_bytes() == b"new"
    # not even one that somebody has guessed
    monkeypatch.setattr("secrets.token_hex", lambda _: "00")
    with pytest.raises(OutputError, match=r"o\.h5: cannot be written \(File exists\)"):
        write_whole(path, b"newer")
    assert victim.read_text() == "precious" and path.read_bytes() == b"new"


def test_it_is_on_the_disk_before_it_takes_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    path, sync = write_whole(tmp_path / "a", b"old"), os.fsync

    def watched(descriptor: int) -> None:
        seen.append((os.fstat(descriptor).st_size if not seen else None, path.read_bytes()))
        sync(descriptor)

    monkeypatch.setattr("os.fsync", watched)
    write_whole(path, b"newer")
    assert seen[0] == (5, b"old") and [each[1] for each in seen[1:]] == [b"newer"]


@pytest.mark.parametrize("length", [230, 245, 248, 255, 256, 300])
def test_a_long_name_is_written_or_refused_before_the_work(length: int, tmp_path: Path) -> None:
    path = tmp_path / ("é" + "x" * (length - 5) + ".h5")
    if length <= 245:
        assert write_whole(writable_target(path, False), b"x").read_bytes() == b"x"
        return
    with pytest.raises(OutputError, match=r"too long|name has"):
        writable_target(path, False)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name in ("pipe", "zero"):
        with pytest.raises(OutputError, match="is a device or a pipe"):
            writable_target(tmp_path / name, True)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of files differ")
def test_a_disk_that_is_full_leaves_what_was_there(tmp_path: Path) -> None:
    import resource

    path = write_whole(tmp_path / "a", b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OutputError, match=r"a: cannot be written \(File too large\); make room"):
            write_whole(path, bytes(2000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


# --- writers that are killed --------------------------------------------------------------------------------

unlocked = pytest.mark.skipif(os.name != "posix", reason="other systems have no such locks")
WRITE = """
import os, sys
from tetviz.results import write_whole
sync = os.fsync
def waiting(descriptor):
    sync(descriptor)
    print("written", flush=True)
    sys.stdin.readline()
os.fsync = waiting
write_whole(sys.argv[1], bytes(10**6))
"""


def writer(path: Path) -> "subprocess.Popen[str]":
    """A process that has written all of an output, and waits to be told to rename it."""
    command = [sys.executable, "-c", WRITE, str(path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "written\n"
    return process


def partials(folder: Path) -> list[Path]:
    return sorted(folder.glob(".tetviz-*.partial"))


@unlocked
@pytest.mark.parametrize("again", ["write", "hold"])
def test_what_a_killed_writer_left_goes_with_the_next_and_nothing_else(again: str, tmp_path: Path) -> None:
    path, victim = tmp_path / "o.h5", tmp_path / "victim"
    victim.write_text("precious")
    with writer(path) as killed, writer(path) as living, writer(tmp_path / "other.h5") as other:
        other.kill()
        killed.kill()
        killed.wait(), other.wait()
        assert [each.stat().st_size for each in partials(tmp_path)] == [10**6] * 3
        link, pipe, folder = (hidden_beside(path, f"-{name}.partial") for name in ("link", "pipe", "folder"))
        link.symlink_to(victim)
        os.mkfifo(pipe)
        folder.mkdir()
        if again == "write":
            write_whole(path, b"new")
            assert path.read_bytes() == b"new"
        else:
            with holding(path):
                pass
        left = set(partials(tmp_path)) - {link, pipe, folder}
        assert len(left) == 2 and victim.read_text() == "precious"
        assert link.is_symlink() and pipe.is_fifo() and folder.is_dir()
        assert living.communicate("go on\n\n")[0] == "written\n" and living.returncode == 0
    assert path.read_bytes() == bytes(10**6)
    (of_other,) = set(partials(tmp_path)) - {link, pipe, folder}
    assert of_other.name.startswith(hidden_beside(tmp_path / "other.h5", "").name)
    write_whole(tmp_path / "other.h5", b"")
    assert not of_other.exists()


@unlocked
@pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() != 0, reason="only root gives files away")
def test_what_another_user_left_stays(tmp_path: Path) -> None:
    path = tmp_path / "o.h5"
    of_other = hidden_beside(path, "-0.partial")
    of_other.touch()
    os.chown(of_other, 12345, 12345)
    write_whole(path, b"new")
    assert of_other.exists()


WRITE_ON = """
import sys
from tetviz.results import write_whole
print("on", flush=True)
while True:
    write_whole(sys.argv[1], sys.argv[2].encode() * 10**6)
"""


@unlocked
def test_writers_of_one_output_do_not_take_each_other_for_dead_and_kills_leave_one_of_their_files(
    tmp_path: Path,
) -> None:
    path, draw = tmp_path / "o", random.Random(0)
    running = {}
    for name in "ab":
        command = [sys.executable, "-c", WRITE_ON, str(path), name]
        running[name] = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for process in running.values():
        assert process.stdout is not None and process.stdout.readline() == "on\n"
    while not path.exists():
        time.sleep(0.01)
    for _ in range(20):
        time.sleep(draw.uniform(0, 0.05))
        assert path.read_bytes() in (b"a" * 10**6, b"b" * 10**6)
    for process in running.values():
        assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        assert process.communicate()[1] == ""
    write_whole(path, b"c")
    assert path.read_bytes() == b"c" and list(tmp_path.iterdir()) == [path]


def test_a_stop_right_behind_the_new_file_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = os.open

    def stopped(*arguments: Any) -> int:
        os.close(opened(*arguments))
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "open", stopped)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "a.h5", b"1")
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []
