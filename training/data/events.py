"""Event recordings: from events to frames, and the base of the event data sets."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tetviz.errors import DataError
from tetviz.results.schema import IntArray
from tetviz.training.data.dataset import FRAMINGS, DataSpec, LabelledDataset, resize, split_validation
from tetviz.training.data.folders import class_names, find_samples
from tetviz.training.data.recordings import READERS, EventArray, check_fields, holds_frames, read_events, read_frames
from tetviz.training.data.sources import Sources

MOST_TIME = 2**62
TEST_SHARE = 0.1
MOST_PIXELS = 4096


def events_to_frames(
    events: EventArray, sensor: Sequence[int], frames: int, framing: str = "time"
) -> npt.NDArray[np.float32]:
    """Counts the events of each pixel and polarity in each of T frames; every event is in exactly one.

    ``time``: windows of equal length from the first to the last event: with D between these two, an event at
    t is in frame floor((t - t_first) * T / D), and the last one in the last frame. ``count``: of N events in
    order of time the i-th, from 0, is in frame floor(i * T / N), so frames differ by at most one event.
    Channel 0 counts the events of polarity 0 (or -1, or False), channel 1 those of polarity 1 (or True).
    """
    if frames < 1 or framing not in FRAMINGS:
        raise ValueError(f"expected at least 1 frame, by time or count, got {frames} by {framing!r}")
    check_fields(events)
    height, width = sensor
    x, y = events["x"].astype(np.int64), events["y"].astype(np.int64)
    for name, values, side in (("x", x, width), ("y", y, height)):
        if len(values) and (values.min() < 0 or values.max() >= side):
            raise ValueError(
                f"{name} runs from {values.min()} to {values.max()}, outside the sensor of height {height} "
                f"and width {width} pixels"
            )
    if not (np.isin(events["p"], (0, 1)).all() or np.isin(events["p"], (-1, 1)).all()):
        raise ValueError(f"expected polarities 0 and 1, or -1 and 1, got {np.unique(events['p'])[:5].tolist()}")
    if not np.isfinite(events["t"]).all():
        raise ValueError("its times are not all finite")
    frame = _windows(events["t"], frames) if framing == "time" else equal_shares(events["t"], frames)
    cell = ((frame * 2 + (events["p"] > 0)) * height + y) * width + x
    counts = np.bincount(cell, minlength=frames * 2 * height * width)
    return counts.reshape(frames, 2, height, width).astype(np.float32)


def _windows(t: EventArray, frames: int) -> IntArray:
    if not len(t) or t.min() == t.max():
        return np.zeros(len(t), dtype=np.int64)
    if t.dtype.kind == "f":
        elapsed = t.astype(np.float64) - float(t.min())
        windows: IntArray = np.minimum(elapsed * frames // elapsed.max(), frames - 1).astype(np.int64)
        return windows
    # Whole numbers stay whole, however late they start; nothing may wrap around.
    if int(t.max()) - int(t.min()) > MOST_TIME // frames:
        raise ValueError(f"its times run from {t.min()} to {t.max()}, too far apart for a recording")
    whole = t if t.dtype.kind == "u" else t.astype(np.int64)
    passed: IntArray = (whole - whole.min()).astype(np.int64)
    return np.minimum(passed * frames // int(passed.max()), frames - 1)


def equal_shares(t: EventArray, frames: int) -> IntArray:
    """The frame of every event where all frames hold as many, up to one."""
    order = np.argsort(t, kind="stable")
    share = np.empty(len(t), dtype=np.int64)
    share[order] = np.arange(len(t), dtype=np.int64) * frames // max(1, len(t))
    return share


def resize_frames(frames_TCHW: npt.NDArray[np.float32], size: int) -> Tensor:
    """Resizes every polarity of every frame by itself, bilinear and antialiased.

    Values stay events per pixel of the sensor, averaged: shrinking keeps the mean of a channel, not its sum.
    A sensor that is not square is stretched.
    """
    return resize(torch.from_numpy(frames_TCHW), (size, size))


class EventDataset(LabelledDataset):
    """Base of the event data sets: a recording becomes T frames of two channels when asked for."""

    sequence = True

    def __init__(self, spec: DataSpec, labels: npt.ArrayLike, classes: Sequence[str]) -> None:
        if not spec.frames:
            raise DataError(f"data set {spec.name!r}: say with --frames into how many to cut a recording")
        height, width = spec.sensor
        if height != width and not spec.image_size:
            raise DataError(
                f"data set {spec.name!r}: its sensor is not square ({height} x {width} pixels): say with "
                "--image-size what to make of it"
            )
        self.labels = np.asarray(labels, dtype=np.int64)
        self.classes = list(classes)
        self.in_channels = 2
        self.image_size = spec.image_size or height
        self.spec = replace(spec, image_size=self.image_size)

    def events(self, index: int) -> EventArray:
        """One recording as it is."""
        raise NotImplementedError

    def source(self, index: int) -> str:
        """Where a recording is from, for messages."""
        raise NotImplementedError

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """One recording as frames."""
        events = self.events(index)
        try:
            frames_TCHW = events_to_frames(events, self.spec.sensor, self.spec.frames, self.spec.framing)
        except ValueError as error:
            raise DataError(f"{self.source(index)}: {error}") from error
        return resize_frames(frames_TCHW, self.image_size), int(self.labels[index])


class EventFolder(EventDataset):
    """Recordings in files that :func:`tetviz.training.data.recordings.read_events` reads."""

    def __init__(self, spec: DataSpec, paths: Sequence[Path], labels: npt.ArrayLike, classes: Sequence[str]) -> None:
        super().__init__(spec, labels, classes)
        self.paths = [str(path) for path in paths]
        self.sources = Sources(self.paths)

    def events(self, index: int) -> EventArray:
        """One recording as it is."""
        return read_events(self.paths[index])

    def source(self, index: int) -> str:
        """Where a recording is from, for messages."""
        return self.paths[index]


class FrameFolder(LabelledDataset):
    """Frames that somebody made of recordings already, in .npz files with an array ``frames``, T x C x H x W."""

    sequence = True

    def __init__(self, spec: DataSpec, paths: Sequence[Path], labels: npt.ArrayLike, classes: Sequence[str]) -> None:
        self.paths = [str(path) for path in paths]
        self.sources = Sources(self.paths)
        self.labels = np.asarray(labels, dtype=np.int64)
        self.classes = list(classes)
        self.shape = read_frames(self.paths[0]).shape
        frames, self.in_channels, height, width = self.shape
        if height != width and not spec.image_size:
            raise DataError(
                f"data set {spec.name!r}: its frames are not square ({height} x {width} pixels): say with --image-size "
                "what to make of them"
            )
        self.image_size = spec.image_size or height
        self.spec = replace(spec, image_size=self.image_size, frames=frames, sensor=(height, width))

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """One recording as frames."""
        frames_TCHW = read_frames(self.paths[index])
        if frames_TCHW.shape != self.shape:
            raise DataError(
                f"{self.paths[index]}: its frames are {frames_TCHW.shape}, those of {self.paths[0]} {self.shape}; "
                "integrate all into as many frames"
            )
        return resize_frames(frames_TCHW, self.image_size), int(self.labels[index])


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
        found = {part: find_samples(root / part, classes, READERS) for part in ("train", "test")}
        paths, labels = found[split]
        every = [path for part in found.values() for path in part[0]]
    else:
        classes = class_names(root)
        every, every_label = find_samples(root, classes, READERS)
        parts = split_validation(every_label, TEST_SHARE, spec.split_seed)
        chosen = parts[0] if split == "train" else parts[1]
        paths, labels = [every[i] for i in chosen], every_label[chosen]
    if every and holds_frames(every[0]):
        return FrameFolder(spec, paths, labels, classes)
    spec = replace(spec, sensor=spec.sensor or scan_sensor(every))
    return EventFolder(spec, paths, labels, classes)
