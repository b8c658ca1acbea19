"""Samples in a folder per class, with or without folders train and test above them."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from tetviz.errors import DataError
from tetviz.results.schema import IntArray


def class_names(folder: Path) -> list[str]:
    """The classes of a folder: the names of the folders in it."""
    if not folder.is_dir():
        raise DataError(f"looked for a folder per class in {folder}, which is not a folder: give --data-root")
    names = [entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    if not names:
        raise DataError(f"{folder}: expected a folder per class, found none: check --data-root")
    return sorted(names, key=int) if all(name.isdecimal() for name in names) else sorted(names)


def find_samples(folder: Path, classes: Sequence[str], suffixes: Iterable[str]) -> tuple[list[Path], IntArray]:
    """The sample files of a folder, class by class, each class in the order of its names."""
    here = class_names(folder)
    unknown = [name for name in here if name not in classes]
    if unknown:
        raise DataError(
            f"{folder}: {len(unknown)} of its {len(here)} class folders, such as {unknown[0]!r}, have no "
            f"equal in the training split (such as {classes[0]!r}): name the folders of both splits alike"
        )
    endings = tuple(suffixes)
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        if name not in here:
            continue
        files = (file for file in (folder / name).rglob("*") if file.name.lower().endswith(endings))
        found = sorted(file for file in files if not file.name.startswith("."))
        if not found:
            raise DataError(
                f"{folder / name}: expected samples of this class ({', '.join(endings)}), found none: fill "
                "the folder or remove it"
            )
        paths += found
        labels += [label] * len(found)
    return paths, np.array(labels, dtype=np.int64)
