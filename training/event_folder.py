"""A user's event recordings: a folder per class of .npy arrays."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tetviz.errors import DataError
from tetviz.training.dataset import DataSpec, LabelledDataset, reason, split_validation
from tetviz.training.events import EventArray, EventDataset, check_fields
from tetviz.training.folders import class_names, find_samples

TEST_SHARE = 0.1
MOST_PIXELS = 4096


class EventFolder(EventDataset):
    """Recordings in .npy files of structured arrays with the fields x, y, t, p."""

    def __init__(self, spec: DataSpec, paths: Sequence[Path], labels: npt.ArrayLike, classes: Sequence[str]) -> None:
        super().__init__(spec, labels, classes)
        self.paths = [str(path) for path in paths]

    def events(self, index: int) -> EventArray:
        """One recording as it is."""
        return read_events(self.paths[index])

    def source(self, index: int) -> str:
        """Where a recording is from, for messages."""
        return self.paths[index]


def read_events(path: str | Path) -> EventArray:
    """Reads a recording, without running pickles."""
    try:
        events: EventArray = np.load(path, allow_pickle=False)
        check_fields(events)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: not a recording of events ({reason(error)}): save one with numpy.save") from error
    return events


def scan_sensor(paths: Sequence[Path]) -> tuple[int, int]:
    """Finds a sensor by reading every recording."""
    side = 1
    for path in paths:
        events = read_events(path)
        if len(events):
            side = max(side, int(events["x"].max()) + 1, int(events["y"].max()) + 1)
        if side > MOST_PIXELS:
            raise DataError(
                f"{path}: has events as far out as {side - 1} pixels, farther than a sensor reaches: repair it, "
                "or give --sensor"
            )
    return side, side


def load_events(spec: DataSpec, split: str, download: bool) -> LabelledDataset:
    """A user's recordings, in ``train/CLASS`` and ``test/CLASS``, or in ``CLASS`` and split 9:1 by seed."""
    root = spec.located()
    if (root / "train").is_dir() or (root / "test").is_dir():
        classes = class_names(root / "train")
        found = {part: find_samples(root / part, classes, (".npy",)) for part in ("train", "test")}
        paths, labels = found[split]
        every = [path for part in found.values() for path in part[0]]
    else:
        classes = class_names(root)
        every, every_label = find_samples(root, classes, (".npy",))
        parts = split_validation(every_label, TEST_SHARE, spec.split_seed)
        chosen = parts[0] if split == "train" else parts[1]
        paths, labels = [every[i] for i in chosen], every_label[chosen]
    spec = replace(spec, sensor=spec.sensor or scan_sensor(every))
    return EventFolder(spec, paths, labels, classes)
