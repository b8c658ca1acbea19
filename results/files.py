"""Writing outputs: refused before any work is done, and then whole or not at all."""

import hashlib
import os
import secrets
import stat
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from tetviz.errors import OutputError

if sys.platform != "win32":
    import fcntl

_HIDDEN = ".tetviz-"
LONGEST_NAME = 255  # bytes, where a file system does not say
BESIDE = 10  # bytes that the names of files beside an output are longer by, such as that of .epochs.h5


def known_suffix(path: Path, what: str, known: Sequence[str]) -> str:
    """The suffix of an output, in small letters.

    Args:
        what: what is written, with its article.
        known: the suffixes that it may have.

    Raises:
        OutputError: it has another one.
    """
    suffix = path.suffix.lower()
    if suffix not in known:
        found = suffix or "no suffix"
        raise OutputError(f"{path}: {what} is written as {', '.join(known)}, got {found!r}; choose another name")
    return suffix


def writable_target(path: str | Path, force: bool) -> Path:
    """Checks, before any work is done, that an output may be written.

    Args:
        path: the file to be written.
        force: whether an existing file may be replaced.

    Returns:
        The path.

    Raises:
        OutputError: the file exists and ``force`` is off, is none that can be replaced, or has too long a name; or
            its folder is missing or not writable.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise OutputError(f"{path}: is a folder, expected a file name to write to")
        if path.exists() and not path.is_file():
            raise OutputError(f"{path}: is a device or a pipe, expected a file name to write to")
        if path.exists() and not force:
            raise OutputError(f"{path}: exists already; choose another name with -o, or replace it with --force")
        if not path.parent.is_dir():
            raise OutputError(f"{path}: the folder {path.parent} does not exist; create it first")
        longest = (os.pathconf(path.parent, "PC_NAME_MAX") if hasattr(os, "pathconf") else LONGEST_NAME) - BESIDE
    except (OSError, ValueError) as error:  # ValueError: a byte of 0
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{path}: cannot be written ({reason}); choose another name with -o") from error
    if len(os.fsencode(path.name)) > longest:
        raise OutputError(
            f"{path}: the name has {len(os.fsencode(path.name))} bytes, an output may have {longest} here; choose a "
            "shorter one with -o"
        )
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"{path}: the folder {path.parent} is not writable; choose another with -o")
    return path


def hidden_beside(path: Path, ending: str) -> Path:
    """A hidden file that belongs to an output, whatever the length of its name."""
    return path.with_name(f"{_HIDDEN}{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}{ending}")


def write_whole(path: str | Path, content: bytes) -> Path:
    """Writes a file, whole or not at all; an existing one is replaced.

    The content goes to a new file beside it, of a name that nobody can foresee, is brought to the disk, and takes the
    place of the old one at the end. No link is followed. What a writer that was killed has left beside it goes.

    Args:
        path: the file to be written.
        content: all that it is to hold.

    Returns:
        The path.

    Raises:
        OutputError: the file cannot be written; what was there before is left as it was.
    """
    path = Path(path)
    remove_abandoned(path)
    try:
        while not _write_new(path, content):
            pass
        _sync_folder(path.parent)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror or error}); make room, or choose another place with -o"
        ) from error
    return path


def remove_abandoned(path: Path) -> None:
    """Removes what writers of an output have left beside it when they were killed.

    A living writer holds a lock on its file. Without such locks, as on Windows, all files stay.
    """
    _remove_partials(path.parent, hidden_beside(path, "").name)


def remove_abandoned_in(folder: Path) -> None:
    """The same of all outputs in a folder of ours."""
    _remove_partials(folder, _HIDDEN)


def _remove_partials(folder: Path, beginning: str) -> None:
    for partial in folder.glob(f"{beginning}*-*.partial"):
        with suppress(OSError):  # written just now, gone, or not ours
            _remove_unlocked(partial)


def _remove_unlocked(partial: Path) -> None:
    if sys.platform == "win32":
        return
    descriptor = os.open(partial, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid():
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            partial.unlink()
    finally:
        os.close(descriptor)


def _write_new(path: Path, content: bytes) -> bool:
    # Opened exclusively: neither a file that is there nor a link is ever written to. False if another process took the
    # new file for an abandoned one, before it was locked.
    partial = hidden_beside(path, f"-{secrets.token_hex(8)}.partial")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    try:  # also around what creates it: a stop may fall in behind that
        descriptor = os.open(partial, flags, 0o666)
        with open(descriptor, "wb") as file:  # noqa: PTH123 (a descriptor)
            if not _locked(file):
                return False
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            if sys.platform == "win32":
                file.close()  # what is open cannot be renamed there
            partial.replace(path)
            return True
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _locked(file: BinaryIO) -> bool:
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks, where nobody removes what is abandoned
        return True
    return os.fstat(file.fileno()).st_nlink > 0


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":  # elsewhere a folder cannot be opened
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some file systems of networks cannot
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
