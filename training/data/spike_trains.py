"""Spike trains of units, such as SHD and SSC: sequences of vectors, how often each unit fires in each window."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tetviz.errors import DataError
from tetviz.models.layers import filled
from tetviz.results.spike_files import SpikeTrains, read_spike_trains
from tetviz.training.data.dataset import MOST_UNITS, DataSpec, LabelledDataset
from tetviz.training.data.events import equal_shares
from tetviz.training.data.sources import Sources


class SpikeTrainDataset(LabelledDataset):
    """Spike trains that become T x F counts when asked for."""

    sequence = True
    sample_axes = 1

    def __init__(self, spec: DataSpec, trains: SpikeTrains, recorded: int, classes: Sequence[str]) -> None:
        self.trains, self.recorded = trains, recorded
        self.labels = trains.labels
        self.classes = list(classes)
        self.in_channels, self.image_size = spec.units, 1
        self.spec = replace(spec, image_size=1)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """One recording."""
        times, units = self.trains.times[index], self.trains.units[index]
        counts_TF = spikes_to_counts(times, units * self.spec.units // self.recorded, self.spec)
        return filled(torch.from_numpy(counts_TF), 1), int(self.labels[index])


def spikes_to_counts(
    times: npt.NDArray[np.float64], units: npt.NDArray[np.int64], spec: DataSpec
) -> npt.NDArray[np.float32]:
    """Counts the spikes of each unit in each of T frames.

    ``time``: T windows of equal length from 0 to D, the duration, for all recordings alike: a spike at t is in frame
    floor(t T / D), one at D in the last, and one after D in none. ``count``: of the N spikes up to D, in order of time,
    the i-th, from 0, is in frame floor(i T / N).
    """
    inside = times <= spec.duration
    times, units = times[inside], units[inside]
    if spec.framing == "count":
        frame = equal_shares(times, spec.frames)
    else:
        frame = np.minimum(times * spec.frames // spec.duration, spec.frames - 1).astype(np.int64)
    counts = np.bincount(frame * spec.units + units, minlength=spec.frames * spec.units)
    return counts.reshape(spec.frames, spec.units).astype(np.float32)


def load_spike_trains(spec: DataSpec, split: str, download: bool) -> LabelledDataset:
    """Files of the layout of SHD and SSC: one whose name holds ``train``, and one whose name holds ``test``."""
    root = spec.located()
    if not spec.frames:
        raise DataError(f"data set {spec.name!r}: say with --frames into how many windows to count a recording")
    files = {part: _file(root, part) for part in ("train", "test")} if root.is_dir() else {}
    if not files:
        raise DataError(f"{root}: is a file, expected the folder of two, such as shd_train.h5 and shd_test.h5")
    sources = Sources(files.values())
    every = {part: read_spike_trains(path) for part, path in files.items()}
    recorded = 1 + max((int(unit.max()) for trains in every.values() for unit in trains.units if len(unit)), default=0)
    longest = max((float(t.max()) for trains in every.values() for t in trains.times if len(t)), default=0.0)
    most = 1 + max((int(trains.labels.max()) for trains in every.values() if len(trains.labels)), default=0)
    low = min((int(part.min()) for t in every.values() for part in (*t.units, t.labels) if len(part)), default=0)
    if low < 0 or recorded > MOST_UNITS or most > MOST_UNITS:
        raise DataError(
            f"{root}: expected units and labels from 0 to {MOST_UNITS - 1}, got {low} to {max(recorded, most)}"
        )
    units = spec.units or recorded
    if recorded % units:
        raise DataError(f"{root}: has {recorded} units, which cannot be added up to {units}; give --units a divisor")
    names = next((trains.classes for trains in every.values() if len(trains.classes) >= most), [])
    spec = replace(spec, units=units, duration=spec.duration or longest or 1.0)
    dataset = SpikeTrainDataset(spec, every[split], recorded, names or [str(label) for label in range(most)])
    dataset.sources = sources
    return dataset


def _file(root: Path, part: str) -> Path:
    found = sorted(path for path in root.iterdir() if part in path.name.lower() and path.suffix in (".h5", ".hdf5"))
    if len(found) != 1:
        packed = any(path.name.endswith(".h5.gz") for path in root.iterdir())
        cure = "unpack it with gunzip" if packed and not found else "give --data-root a folder with one of each"
        raise DataError(f"{root}: expected one file *{part}*.h5, found {len(found)}: {cure}")
    return found[0]
