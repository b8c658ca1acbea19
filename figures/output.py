"""A figure or a table as files, with its caption."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from tetviz.errors import OutputError
from tetviz.figures.plots.picture import Picture
from tetviz.figures.plots.style import SUFFIXES, save_figure
from tetviz.figures.table import TABLE_SUFFIXES, Table, save_table
from tetviz.results import Result, writable_target, write_whole


def check_suffix(path: Path, what: str, *, table: bool) -> None:
    """Checks, before anything is drawn, that a name is one of a figure or of a table."""
    known = TABLE_SUFFIXES if table else SUFFIXES
    if path.suffix.lower() not in known:
        kind = "table" if table else "figure"
        about = f"{what} is a {kind}, written as {', '.join(known)}"
        if not what:
            about = f"a figure is written as {', '.join(SUFFIXES)}, a table as {', '.join(TABLE_SUFFIXES)}"
        raise OutputError(f"{path}: {about}, got {path.suffix or 'no suffix'!r}; choose another name")


def source_digest(results: Sequence[Result]) -> str:
    """SHA-256 of the results that a figure is drawn from."""
    return hashlib.sha256("".join(result.digest() for result in results).encode()).hexdigest()


def save_with_caption(drawn: Picture | Table, path: str | Path, *, force: bool = False, source: str = "") -> list[Path]:
    """Writes a figure or a table, with its caption.

    A caption is text beside a figure, ``figure2.txt`` for ``figure2.pdf``; one that is there already, word for word, is
    left as it is, so that one figure may be written in several formats. Of a table it is within .tex and .md, and
    beside a .csv, which has no place for it: ``table4.csv.txt``. So a figure and a table may have the same stem.

    Args:
        drawn: a figure of tetviz, or a table.
        path: of the figure or table.
        force: whether existing files may be replaced.
        source: of :func:`source_digest`, which a .png keeps.

    Returns:
        The files.

    Raises:
        OutputError: a file cannot be written, or exists and ``force`` is off; nothing is written then.
    """
    path = writable_target(path, force)
    if isinstance(drawn, Table) and path.suffix.lower() != ".csv":
        return [save_table(drawn, path)]
    write_caption(path, drawn.caption, force=force, write=False)
    written = save_table(drawn, path) if isinstance(drawn, Table) else save_figure(drawn, path, source)
    return [written, write_caption(path, drawn.caption, force=True)]


def write_caption(path: Path, caption: str, *, force: bool = False, write: bool = True) -> Path:
    """Writes the caption of a picture or a .csv beside it."""
    beside = path.with_name(f"{path.name}.txt") if path.suffix.lower() == ".csv" else path.with_suffix(".txt")
    text = f"{caption}\n"
    same = beside.is_file() and beside.read_bytes() == text.encode()
    target = writable_target(beside, force or same)
    if write and not same:
        write_whole(target, text.encode())
    return beside
