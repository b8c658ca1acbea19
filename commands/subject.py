"""A checkpoint with the data that it is measured on, as the commands landscape and scale open it."""

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tetviz.commands.options import command_line
from tetviz.errors import CheckpointError, DataError, TetvizError
from tetviz.models import SpikingNetwork
from tetviz.results import Provenance
from tetviz.results.schema import IntArray
from tetviz.training import Checkpoint, DataSpec, LabelledDataset, file_sha256, load_data, select_balanced


@dataclass(frozen=True)
class Subject:
    """What is measured.

    Attributes:
        path: the checkpoint's file.
        checkpoint: its content.
        model: the network, in eval mode, on its device.
        dataset: the data set.
        indices: the samples that count, in order.
        provenance: what is known of the origin so far.
        calibration: the train split, for batch-norm statistics; None where they are not re-estimated.
        calibration_indices: the samples of it that count, in order.
    """

    path: Path
    checkpoint: Checkpoint
    model: SpikingNetwork
    dataset: LabelledDataset
    indices: IntArray
    provenance: Provenance
    calibration: LabelledDataset | None = None
    calibration_indices: IntArray | None = None


def pick_device(name: str) -> torch.device:
    """The device of a run.

    Args:
        name: ``auto`` takes CUDA if there is one, else the CPU.

    Returns:
        The device.

    Raises:
        TetvizError: no such device, or it is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise TetvizError(f"--device {name}: not a device; use auto, cpu, cuda or cuda:N") from None
    if device.type not in ("cpu", "cuda"):
        raise TetvizError(f"--device {name}: tetviz runs on cpu and cuda")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise TetvizError(
            f"--device {name}: this machine has {torch.cuda.device_count()} CUDA devices; use --device cpu"
        )
    return device


def open_subject(
    path: Path,
    *,
    samples: int,
    batch_size: int,
    data: str | None = None,
    data_root: Path | None = None,
    download: bool = False,
    split: str = "test",
    device: str = "auto",
    precision: str | None = None,
    seed: int | None = None,
    calibration: int = 0,
    **events: Any,
) -> Subject:
    """Loads a checkpoint and the data to measure it on, and checks that they fit.

    Args:
        path: the checkpoint.
        samples: how many samples, 0 for all.
        batch_size: samples a batch, to be recorded.
        data: name of the data set; the one that the checkpoint records by default.
        data_root: its folder; the recorded one by default.
        download: fetch it if it is missing.
        split: ``test`` or ``train``.
        device: as in :func:`pick_device`.
        precision: ``float32`` or ``float64``; the checkpoint's own by default.
        seed: seed of the measurement, to be recorded.
        calibration: how many train samples to open for batch-norm statistics.
        **events: frames, framing and sensor, None where the command line does not say.

    Returns:
        The subject.

    Raises:
        CheckpointError: the checkpoint records no data set and none is named.
        DataError: the data do not fit the network.
    """
    where = pick_device(device)
    checkpoint = Checkpoint.load(path)
    if not data and not checkpoint.data:
        raise CheckpointError(f"{path}: records no data set; name one with --data and --data-root")
    recorded = DataSpec(**checkpoint.data) if checkpoint.data else None
    spec = recorded if recorded and data in (None, recorded.name) else DataSpec(data or "")
    given = {name: value for name, value in events.items() if value is not None}
    root = str(data_root.expanduser().resolve()) if data_root else spec.root
    spec = dataclasses.replace(spec, image_size=checkpoint.spec.image_size, root=root, **given)
    dataset = load_data(spec, frames=spec.frames or checkpoint.timesteps, split=split, download=download)
    if not dataset.sequence:
        dataset.spec = dataclasses.replace(dataset.spec, frames=0)
        if given:
            names = ", ".join(f"--{name}" for name in given)
            raise DataError(f"{names}: only for event data, {spec.name} holds images; leave it out")
    _check_fit(path, checkpoint, dataset)
    model = checkpoint.model().to(where)
    if precision:
        model.to(getattr(torch, precision))
    indices = select_balanced(dataset.labels, samples)
    provenance = Provenance(
        command=command_line(),
        seed="" if seed is None else str(seed),
        checkpoint=str(path),
        checkpoint_sha256=file_sha256(path),
        label=path.stem.encode(errors="replace").decode(),
        dataset=dataset.spec.name,
        data_settings=json.dumps(dataset.spec.to_dict()),
        split=split,
        sample_order="balanced over classes, in data-set order" if samples else "data-set order",
        batch_size=str(batch_size),
        network=_architecture(checkpoint),
    )
    subject = Subject(path, checkpoint, model, dataset, indices, provenance)
    if not calibration:
        return subject
    train = load_data(spec, frames=spec.frames or checkpoint.timesteps, split="train", download=download)
    chosen = select_balanced(train.labels, calibration)
    return dataclasses.replace(subject, calibration=train, calibration_indices=chosen)


def _architecture(checkpoint: Checkpoint) -> str:
    # What decides the shapes of the weights, and with them the noise that a seed gives.
    spec = checkpoint.spec.to_dict()
    return json.dumps(
        {name: spec[name] for name in ("name", "num_classes", "in_channels", "image_size", "width", "options")}
    )


def _check_fit(path: Path, checkpoint: Checkpoint, dataset: LabelledDataset) -> None:
    expected, found = checkpoint.spec, dataset
    name = dataset.spec.name
    if expected.num_classes != found.num_classes:
        raise DataError(
            f"{path}: the network has {expected.num_classes} classes, the data set {name} has {found.num_classes}; "
            "name the data set that it was trained on with --data"
        )
    if expected.in_channels != found.in_channels:
        raise DataError(
            f"{path}: the network takes {expected.in_channels} channels, the data set {name} has {found.in_channels}; "
            "name the data set that it was trained on with --data"
        )


def duration(seconds: float) -> str:
    """A time span for people.

    Args:
        seconds: its length.

    Returns:
        Such as ``40 s``, ``3 min`` or ``2.5 h``.
    """
    if seconds < 90:
        return f"{math.ceil(seconds)} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
