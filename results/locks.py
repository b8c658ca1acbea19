"""One process at a time on an output: who comes second is told who holds it, or waits."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from tetviz.errors import OutputError, printable
from tetviz.results.contents import open_regular
from tetviz.results.files import hidden_beside, remove_abandoned


@contextmanager
def holding(path: str | Path, *, wait: bool = False) -> Iterator[None]:
    """Keeps an output to this process, from before the work on it until it is written.

    The lock is a hidden file beside the output, which goes with it. The system frees the lock of a process that has
    died, and what that one has left half written is removed. Where a file system of a network knows no locks, the file
    itself is the lock.

    Args:
        path: the output.
        wait: whether to wait while another process holds it.

    Raises:
        OutputError: another process holds it, or its folder takes no lock.
    """
    path = Path(path)
    place = hidden_beside(path, ".lock")
    lock = FileLock(place)
    try:
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout:
        if not place.exists():
            raise OutputError(f"{path}: its folder takes no file beside it; choose another place") from None
        raise OutputError(
            f"{path}: {_holder(place)} is writing it; wait for it with --wait, or choose another name with -o"
        ) from None
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error}); choose another place") from error
    try:
        _sign(place)
        remove_abandoned(path)
        yield
    finally:
        remove_abandoned(path)  # where a stop fell into the end of a write
        with suppress(OSError):
            place.unlink()  # held, so that nobody else holds a file of this name
        lock.release()


def _sign(place: Path) -> None:
    holder = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    with suppress(OSError):  # a help for others, no need
        descriptor = os.open(place, os.O_WRONLY | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0))
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 (a descriptor)
            json.dump(holder, file)


def _holder(place: Path) -> str:
    try:
        with open_regular(place) as file:
            holder = json.loads(file.read(1000))
        return printable(f"process {holder['pid']} on {holder['host']}, since {holder['since']},")
    except (OSError, ValueError, LookupError, TypeError):
        return "another process"
