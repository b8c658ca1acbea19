"""Published event data sets through tonic: N-MNIST, CIFAR10-DVS, DVS Gesture."""

import contextlib
import importlib
import importlib.util
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tetviz.errors import UNREADABLE, DataError, reason
from tetviz.results.schema import IntArray
from tetviz.training.data.dataset import DOWNLOAD, DataSpec, LabelledDataset, split_validation
from tetviz.training.data.events import TEST_SHARE, EventDataset
from tetviz.training.data.recordings import EventArray
from tetviz.training.data.sources import Sources


@dataclass(frozen=True)
class TonicSet:
    """How tonic keeps a data set on disk."""

    kind: str
    suffix: str
    splits: tuple[str, str] | tuple[()] = ()
    needs: str = ""


TONIC = {
    "nmnist": TonicSet("NMNIST", ".bin", ("Train", "Test")),
    "cifar10-dvs": TonicSet("CIFAR10DVS", ".aedat4", needs="aedat"),
    "dvs-gesture": TonicSet("DVSGesture", ".npy", ("ibmGestureTrain", "ibmGestureTest")),
}


class TonicEvents(EventDataset):
    """Recordings that tonic reads."""

    def __init__(self, spec: DataSpec, recordings: Any, positions: IntArray, classes: list[str]) -> None:
        super().__init__(spec, [recordings.targets[i] for i in positions], classes)
        if len(self.labels) and not 0 <= self.labels.min() <= self.labels.max() < len(classes):
            raise DataError(
                f"data set {spec.name!r}: expected labels from 0 to {len(classes) - 1} in "
                f"{recordings.location_on_system}, got {self.labels.min()} to {self.labels.max()}: fetch it "
                "anew"
            )
        self.recordings, self.positions = recordings, positions
        self.sources = Sources(self.source(index) for index in range(len(positions)))

    def events(self, index: int) -> EventArray:
        """One recording as it is."""
        try:
            events: EventArray = self.recordings[self.positions[index]][0]
        except UNREADABLE as error:
            raise DataError(f"{self.source(index)}: tonic cannot read it ({reason(error)}): fetch it anew") from error
        return events

    def source(self, index: int) -> str:
        """Where a recording is from, for messages."""
        return str(self.recordings.data[self.positions[index]])


def load_tonic(spec: DataSpec, split: str, download: bool) -> LabelledDataset:
    """A published event data set: the official splits, for CIFAR10-DVS 9:1 per class by seed."""
    known = TONIC[spec.name]
    base = _tonic_class(spec.name, known)
    arguments = {"train": split == "train"} if known.splits else {}
    root = Path(spec.root).expanduser() if download and spec.root else spec.located(DOWNLOAD)
    if not download:
        folder = root / known.kind
        folder = folder / known.splits[split == "test"] if known.splits else folder
        if next(folder.rglob(f"*{known.suffix}"), None) is None:
            raise DataError(
                f"data set {spec.name!r}: looked for recordings (*{known.suffix}) in {folder}, found none: {DOWNLOAD}"
            )
    try:
        with contextlib.redirect_stdout(sys.stderr):
            recordings = base(str(root), **arguments) if download else _present(base)(str(root), **arguments)
    except (*UNREADABLE, ImportError) as error:
        cure = "check the connection and the place" if download else f"to fetch it anew, {DOWNLOAD}"
        raise DataError(
            f"data set {spec.name!r}: not readable in {root / known.kind} ({reason(error)}): {cure}"
        ) from error
    recordings.__class__ = base
    order = sorted(range(len(recordings.data)), key=lambda position: str(recordings.data[position]))
    recordings.data = [recordings.data[position] for position in order]
    recordings.targets = [recordings.targets[position] for position in order]
    positions = np.arange(len(order))
    if not known.splits:
        positions = split_validation(recordings.targets, TEST_SHARE, spec.split_seed)[split == "test"]
    width, height = base.sensor_size[:2]
    return TonicEvents(replace(spec, sensor=(height, width)), recordings, positions, list(base.classes))


def _tonic_class(name: str, known: TonicSet) -> Any:
    for package in ("tonic", known.needs):
        if package and importlib.util.find_spec(package) is None:
            cure = "pip install 'tetviz[events]'" if package == "tonic" else f"pip install {package}"
            raise DataError(f"data set {name!r} is read with the package {package}, which is not there: {cure}")
    return getattr(importlib.import_module("tonic.datasets"), known.kind)


def _present(base: Any) -> Any:
    # tonic downloads as soon as the archive or some of the recordings are gone; here what is there is used.
    # It names the folder after the class, so the class keeps its name.
    return type(base.__name__, (base,), {"_check_exists": lambda self: True})
