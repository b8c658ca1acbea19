"""Graphs of NIR on the command line: the options of ``tetviz import`` for them, and ``tetviz export --to nir``."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import tetviz
from tetviz.commands.console import note
from tetviz.commands.values import POSITIVE

if TYPE_CHECKING:
    from tetviz.models import GraphSpec
    from tetviz.training import Checkpoint, LabelledDataset

step_option = click.option(
    "--dt",
    type=POSITIVE,
    help="NIR: the step in seconds of its equations.  [default: the graph's dt, or 0.0001 as snnTorch, SpikingJelly]",
)

_SAID = ("surrogate", "gamma", "detach_reset")  # of published weights too: what a graph does not say


def is_graph(path: Path) -> bool:
    """Whether a file is named as a graph of NIR."""
    return path.suffix == ".nir"


def check_options(published: dict[str, Any], *, factory: bool, key: str) -> None:
    """Checks that nothing is asked for that the graph decides."""
    given = {"factory": factory, "key": key} | {name: v for name, v in published.items() if name not in _SAID}
    strange = [name for name, value in given.items() if value not in (None, (), "", False)]
    if strange:
        option = f"--{strange[0].removesuffix('s') if strange[0] == 'model_options' else strange[0]}".replace("_", "-")
        raise click.UsageError(f"{option}: a graph of NIR decides that; leave it out")


def open_graph(
    path: Path, timesteps: int, image_size: int | None, dt: float | None, said: dict[str, Any]
) -> "Checkpoint":
    """Reads a graph of NIR and says what it is."""
    neurons = {name: said[name] for name in _SAID if said[name] is not None}
    try:
        graph = tetviz.training.read_nir(path, dt, **neurons)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    side = graph.spec.image_size
    if side and image_size not in (None, side):
        raise click.UsageError(f"--image-size {image_size}: the graph takes images of {side}; leave it out")
    for line in describe_graph(graph.spec):
        note(line)
    note(f"stepped with dt = {graph.dt:g} s, which most graphs do not say; was it trained with another, name it (--dt)")
    origin = {"imported": path.name, "weights_sha256": tetviz.training.file_sha256(path), "dt": graph.dt}
    return tetviz.training.Checkpoint(graph.spec, graph.state, timesteps, training=origin)


def filled_in(checkpoint: "Checkpoint", data: "LabelledDataset") -> "Checkpoint":
    """A checkpoint that takes its image from the data where its graph takes a vector."""
    spec: Any = checkpoint.spec
    if spec.image_size:
        return checkpoint
    return dataclasses.replace(
        checkpoint, spec=dataclasses.replace(spec, in_channels=data.in_channels, image_size=data.image_size)
    )


def describe_graph(spec: "GraphSpec") -> list[str]:
    """What a graph turned out to be."""
    sizes = " x ".join(map(str, spec.input_shape))
    lines = [f"{len(spec.nodes)} layers, input {sizes}, {spec.num_classes} outputs"]
    alike: dict[str, list[str]] = {}
    for name, node in spec.nodes.items():
        if "lif" in node["kind"]:
            alike.setdefault(_constants(node), []).append(name)
    for constants, names in alike.items():
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        lines.append(f"{', '.join(names[:3])}{more}: {constants}, reset to 0, surrogate {spec.surrogate}")
    return lines


def _constants(node: Any) -> str:
    if "neurons" in node:
        return f"{node['kind']} with constants by neuron"
    synaptic = f"synaptic leak {node['synaptic_leak']:g}, " if "synaptic_leak" in node else ""
    return f"{node['kind']}, {synaptic}leak {node['leak']:g}, V_th {node['threshold']:g} in units of its input"


def export_graph(file: Path, target: Path, dt: float | None) -> None:
    """Writes the network of a checkpoint as a graph of NIR, and says what it is."""
    checkpoint = tetviz.training.Checkpoint.load(file)
    spec = tetviz.training.write_nir(target, checkpoint, dt or tetviz.training.from_nir.DT)
    for line in describe_graph(spec):
        note(line)
