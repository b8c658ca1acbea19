"""A checkpoint with the data that it is measured on."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import torch

from tetviz.commands.console import COMPILE, as_usage, command_line, note
from tetviz.commands.targets import checkpoint_name
from tetviz.errors import CheckpointError, DataError, TetvizError
from tetviz.models import ForeignNetwork, ForeignSpec, SpikingNetwork
from tetviz.results import Provenance
from tetviz.results.schema import IntArray
from tetviz.training import Checkpoint, DataSpec, LabelledDataset, file_sha256, load_data, select_balanced
from tetviz.training.importing import hold_to_contract
from tetviz.training.passes import compiling


@dataclass(frozen=True)
class Session:
    """What is measured, and what it is measured on.

    Attributes:
        path: the checkpoint's file.
        checkpoint: its content.
        model: the network, in eval mode, on its device.
        dataset: the data set.
        indices: the samples that count, in order.
        provenance: what is known of the origin so far.
        trusted: whether code that the checkpoint or the data name may run.
        calibration: the train split, for batch-norm statistics; None where they are not re-estimated.
        calibration_indices: the samples of it that count, in order.
    """

    path: Path
    checkpoint: Checkpoint
    model: SpikingNetwork | ForeignNetwork
    dataset: LabelledDataset
    indices: IntArray
    provenance: Provenance
    trusted: bool = False
    calibration: LabelledDataset | None = None
    calibration_indices: IntArray | None = None

    def trained_on(self) -> str | None:
        """The loss of the last epoch; None where the checkpoint does not tell."""
        training, history = self.checkpoint.training, self.checkpoint.history
        loss: str | None = history[-1].get("loss") if history else training.get("loss")
        return loss

    def changed_sources(self) -> str:
        """Which file of the samples was changed since the data set was opened; ``""`` while none was."""
        return self.dataset.sources.changed() or (self.calibration.sources.changed() if self.calibration else "")

    def check_sources(self) -> None:
        """Checks that the files of the samples were not changed while these were read."""
        if changed := self.changed_sources():
            raise DataError(f"{changed}: nothing was written; give the command again once the data are complete")

    def request(self, settings: Mapping[str, Any]) -> str:
        """SHA-256 of all that decides what is measured: the checkpoint, the samples and plain settings."""
        origin = ("checkpoint_sha256", "dataset", "data_settings", "split", "batch_size", "seed")
        texts = self.provenance.texts()
        weight = next(self.model.parameters())
        asked = {
            **{name: texts[name] for name in origin},
            "samples": self.indices.tolist(),
            "labels": self.dataset.labels[self.indices].tolist(),
            "dtype": str(weight.dtype),
            "device": weight.device.type,
            **({} if self.dataset.lengths is None else {"lengths": self.dataset.lengths[self.indices].tolist()}),
            **settings,
        }
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def compile_as_asked() -> None:
    """Has networks compiled in this command as its --compile says."""
    context = click.get_current_context()
    context.with_resource(compiling(context.meta.get(COMPILE, "off"), note))


def pick_device(name: str) -> torch.device:
    """The device of a run."""
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


def open_session(
    path: Path,
    *,
    samples: int,
    batch_size: int,
    data: str | None = None,
    data_root: Path | None = None,
    download: bool = False,
    trust: bool = False,
    split: str = "test",
    device: str = "auto",
    precision: str | None = None,
    seed: int | None = None,
    calibration: int = 0,
    normalise: str | None = None,
    axes: str | None = None,
    lengths: bool = False,
    **events: Any,
) -> Session:
    """Loads a checkpoint and the data to measure it on, and checks that they fit.

    Args:
        samples: how many samples, 0 for all.
        normalise: what is done to images; None for what the checkpoint records.
        axes: those of a sample of someone else's data; None for what the checkpoint records of the same data.
        lengths: whether its samples say their lengths, or what the checkpoint records of the same data does.
        **events: frames, framing and sensor, None where the command line does not say.
    """
    where = pick_device(device)
    checkpoint = Checkpoint.load(path)
    if not data and not checkpoint.data:
        raise CheckpointError(f"{path}: records no data set; name one with --data and --data-root")
    recorded = DataSpec(**checkpoint.data) if checkpoint.data else None
    spec = recorded if recorded and data in (None, recorded.name) else DataSpec(data or "")
    spec = dataclasses.replace(spec, normalise=spec.normalise or _published(checkpoint, spec.name))
    given = {name: value for name, value in events.items() if value is not None}
    spec = dataclasses.replace(spec, axes=axes or spec.axes, lengths=lengths or spec.lengths)
    root = str(data_root.expanduser().resolve()) if data_root else spec.root
    with as_usage():
        spec = dataclasses.replace(spec, image_size=checkpoint.spec.image_size, root=root, **given)
    announce(*([checkpoint.spec.name] if isinstance(checkpoint.spec, ForeignSpec) else []), spec.name, trust=trust)
    model = checkpoint.model(trust=trust).to(where)
    opening: dict[str, Any] = {"frames": spec.frames or checkpoint.timesteps, "download": download, "trust": trust}
    if normalise:
        opening["normalise"] = normalise
    dataset = load_data(spec, split=split, **opening)
    if given and not dataset.sequence:
        names = ", ".join(f"--{name}" for name in given)
        raise DataError(f"{names}: only for event data, {spec.name} holds images; leave it out")
    check_fit(path, checkpoint, dataset)
    dataset.attach(model)
    if recorded and spec.name != recorded.name:
        note(f"{path} was made with {recorded.name}, measured on {spec.name}")
        if recorded.encode and not dataset.sequence:
            spec = dataclasses.replace(spec, encode=recorded.encode)
            dataset = load_data(spec, split=split, **opening)
            note(f"images are shown as spikes, as those of {recorded.name}: --encode {recorded.encode}")
        if dataset.normalisation and recorded.normalise and not (spec.normalise or normalise):
            spec = dataclasses.replace(spec, normalise=recorded.normalise)
            dataset = load_data(spec, split=split, **opening)
            note(f"images are normalised as for {recorded.name}, --normalise {recorded.normalise}")
    if not dataset.sequence:
        dataset.spec = dataclasses.replace(dataset.spec, frames=0)
    if dataset.lengths is not None:
        note(f"{spec.name}: samples of {_range(dataset.lengths)} frames, what is behind is padding and counts nowhere")
    if isinstance(model, ForeignNetwork):
        hold_to_contract(model, str(path), dataset)
    if precision:
        model.to(getattr(torch, precision))
    indices = select_balanced(dataset.labels, samples)
    data_settings = dataset.spec.to_dict()
    if not (spec.normalise or normalise):  # as older files say it, so that a surface which they began goes on
        data_settings.pop("normalise", None)
    if dataset.lengths is not None:
        data_settings["lengths"] = f"{_range(dataset.lengths)} frames"
    provenance = dataclasses.replace(
        provenance_of(path, checkpoint),
        seed="" if seed is None else str(seed),
        dataset=dataset.spec.name,
        data_settings=data_settings,
        split=split,
        sample_order="balanced over classes, in data-set order" if samples else "data-set order",
        batch_size=str(batch_size),
    )
    session = Session(path, checkpoint, model, dataset, indices, provenance, trust)
    if not calibration:
        return session
    train = load_data(spec, split="train", **opening)
    chosen = select_balanced(train.labels, calibration)
    return dataclasses.replace(session, calibration=train, calibration_indices=chosen)


def _range(lengths: IntArray) -> str:
    return f"{lengths.min()} to {lengths.max()}"


def _published(checkpoint: Checkpoint, name: str) -> str:
    # How the code that published weights are from normalises a data set; "" where it is not recorded.
    layouts = checkpoint.training.get("normalise")
    return str(layouts.get(name, "")) if isinstance(layouts, Mapping) and not checkpoint.data else ""


def provenance_of(path: Path, checkpoint: Checkpoint) -> Provenance:
    """What a checkpoint tells of the origin of a result about it."""
    return Provenance(
        command=command_line(),
        checkpoint=str(path),
        checkpoint_sha256=file_sha256(path),
        label=checkpoint_name(path).encode(errors="replace").decode(),
        network=architecture(checkpoint),
        training=training_settings(checkpoint),
        neurons=neuron_settings(checkpoint),
    )


def architecture(checkpoint: Checkpoint) -> dict[str, Any]:
    """What decides the shapes of a network's weights, and with them the noise that a seed gives."""
    spec = checkpoint.spec.to_dict()
    names = ("name", "factory", "arguments", "num_classes", "in_channels", "image_size", "width", "options", "nodes")
    return {name: spec[name] for name in names if name in spec}


def training_settings(checkpoint: Checkpoint) -> dict[str, Any]:
    """How a network was trained: loss, lambda, seed, stages and what else `tetviz train` records."""
    return dict(checkpoint.training)


def neuron_settings(checkpoint: Checkpoint) -> dict[str, Any]:
    """The neurons of a network and its normalisation, which its weights do not tell."""
    spec = checkpoint.spec.to_dict()
    names = ("neuron", "leak", "threshold", "reset", "detach_reset", "surrogate", "gamma", "norm")
    carry = {"detach_carry": True} if spec.get("detach_carry") else {}  # which results of before do not have
    return {name: spec[name] for name in names if name in spec} | carry


def announce(*names: str, trust: bool) -> None:
    """Says which modules are about to be imported.

    Args:
        *names: networks and data sets; those of the form ``module:function`` are code.
    """
    for name in dict.fromkeys(names):
        if trust and ":" in name:
            note(f"trusted: importing {name.partition(':')[0]} to call {name}")


def check_fit(path: Path, checkpoint: Checkpoint, dataset: LabelledDataset) -> None:
    """Checks that a network and a data set have the same classes and channels."""
    expected, found = checkpoint.spec, dataset
    name = dataset.spec.name
    differ = expected.num_classes != found.num_classes
    if differ and (found.states_classes or found.num_classes > expected.num_classes):
        raise DataError(
            f"{path}: the network has {expected.num_classes} classes, the data set {name} has {found.num_classes}; "
            "name the data set that it was trained on with --data"
        )
    if expected.in_channels != found.in_channels:
        raise DataError(
            f"{path}: the network takes {expected.in_channels} channels, the data set {name} has {found.in_channels}; "
            "name the data set that it was trained on with --data"
        )
