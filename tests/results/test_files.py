"""Writing outputs: nothing is followed, nothing is left half written, names are refused before the work."""

import os
import sys
from pathlib import Path

import pytest

from tetviz.errors import OutputError
from tetviz.results import writable_target, write_whole


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
    for name in (".o.h5.partial", ".tetviz-00.partial"):
        (tmp_path / name).symlink_to(victim)
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
