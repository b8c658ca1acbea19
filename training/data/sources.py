"""The files that samples are read from, and whether they are still those that a data set was opened with."""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tetviz.results.schema import IntArray

_GONE = -1


class Sources:
    """Files as they are when this is made: their size, their time of change and their inode.

    Args:
        paths: the files.
    """

    def __init__(self, paths: Iterable[str | Path] = ()) -> None:
        self.paths = list(paths)
        self._then = self._stamps()

    def _stamps(self) -> IntArray:
        return np.array([_stamp(path) for path in self.paths], dtype=np.int64)

    def changed(self) -> str:
        """Which file is another one by now, and how many more; ``""`` while none is."""
        found = np.flatnonzero(self._stamps() != self._then)
        if not len(found):
            return ""
        more = f" (and {len(found) - 1} more of the {len(self.paths)} files)" if len(found) > 1 else ""
        return f"{self.paths[found[0]]}: changed during the run{more}"


def _stamp(path: str | Path) -> int:
    # One number for a file, so that those of a million images are small.
    try:
        found = os.stat(path)  # noqa: PTH116 (a path object takes most of the time)
    except OSError:
        return _GONE
    return hash((found.st_size, found.st_mtime_ns, found.st_ino))
