"""Writing outputs: refused before any work is done, and then whole or not at all."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tetviz.errors import OutputError


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
        OutputError: the file exists and ``force`` is off, or its folder is missing or not writable.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise OutputError(f"{path}: is a folder, expected a file name to write to")
        if path.exists() and not force:
            raise OutputError(f"{path}: exists already; choose another name with -o, or replace it with --force")
        if not path.parent.is_dir():
            raise OutputError(f"{path}: the folder {path.parent} does not exist; create it first")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); choose another name with -o") from error
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"{path}: the folder {path.parent} is not writable; choose another with -o")
    return path


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Writes a file under a temporary name beside it, which takes its place at the end.

    Args:
        path: the file to be written; an existing one is replaced.

    Yields:
        The temporary name, to be written to.

    Raises:
        OutputError: the file cannot be written; what was there before is left as it was.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.partial")
    try:
        yield partial
        partial.replace(path)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise OutputError(f"{path}: cannot be written ({reason}); choose another place with -o") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
