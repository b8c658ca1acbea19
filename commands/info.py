"""``tetviz info``: what result files and checkpoints hold."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

import tetviz
from tetviz.commands.command import command
from tetviz.commands.console import print_json

_WHAT = {
    "tetviz-checkpoint": "a tetviz checkpoint",
    "tetviz-result": "a tetviz result",
    "loss-landscape": "a surface of loss-landscape",
}


@command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print all of it as a JSON object.")
def info(file: Path, as_json: bool) -> None:
    """Say what FILE is and how it was made: a checkpoint or a result.

    \b
    tetviz info tet.pt
    tetviz info tet.landscape.h5 --json
    """
    is_result = tetviz.results.looks_like_result(file)
    found = describe_result(file) if is_result else describe_checkpoint(file)
    if as_json:
        print_json(found)
        return
    lines = list(_result_lines(found) if is_result else _checkpoint_lines(found))
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        click.echo(f"{name:<{width}}  {value}".rstrip())


def describe_checkpoint(file: Path) -> dict[str, Any]:
    """What a checkpoint holds; none of its code is run."""
    checkpoint = tetviz.training.Checkpoint.load(file)
    spec = checkpoint.spec
    if isinstance(spec, tetviz.models.ForeignSpec):  # not built: info runs no code
        parameters, called = spec.parameters, {"called_with": spec.calling.options()}
    else:
        parameters, called = sum(p.numel() for p in checkpoint.model().parameters()), {}
    return {
        "file": str(file),
        "format": "tetviz-checkpoint",
        "sha256": tetviz.training.file_sha256(file),
        "model": {name: value for name, value in spec.to_dict().items() if name not in ("calling", "parameters")},
        **called,
        "parameters": parameters,
        "timesteps": checkpoint.timesteps,
        "data": dict(checkpoint.data),
        "training": dict(checkpoint.training),
        "epoch": checkpoint.epoch,
        "resumable": bool(checkpoint.resume),
        "measured": dict(checkpoint.history[-1]) if checkpoint.history else {},
    }


def describe_result(file: Path) -> dict[str, Any]:
    """What a result file holds, without the numbers in its arrays."""
    result, schema = tetviz.results.load_any(file), tetviz.results.schema
    arrays = {
        name: {
            "shape": dict(zip(field["dims"], getattr(result, name).shape, strict=True)),
            "long_name": field["long_name"],
            "units": field["units"],
        }
        for name, field in result.held().items()
    }
    done, total = result.progress()
    foreign = tetviz.results.loss_landscape.looks_like_loss_landscape(file)
    return {
        "file": str(file),
        "format": "loss-landscape" if foreign else "tetviz-result",
        "kind": result.kind,
        "attributes": {name: getattr(result, name) for name in schema.attribute_fields(type(result))},
        "points_done": done,
        "points": total,
        "provenance": vars(result.provenance),
        "arrays": arrays,
    }


def _checkpoint_lines(found: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "file", f"{found['file']}, {_WHAT[found['format']]}"
    yield "sha256", found["sha256"]
    for name, value in found["model"].items():
        if name == "nodes":
            yield from ((f"model node {node}", _described(settings)) for node, settings in value.items())
        else:
            yield f"model {name}", value
    if "called_with" in found:
        yield "model is called with", found["called_with"]
    yield "parameters", f"{found['parameters']:,}"
    yield "timesteps", found["timesteps"]
    for part in ("data", "training"):
        yield from ((f"{part} {name}", value) for name, value in found[part].items())
    yield "epoch", f"{found['epoch']}" + (" (can be resumed)" if found["resumable"] else "")
    if found["measured"]:
        yield f"at epoch {found['epoch']}", ""
        yield from ((f"  {name}", value) for name, value in found["measured"].items() if name != "epoch")


def _described(node: dict[str, Any]) -> str:
    settings = ", ".join(f"{name} {value}" for name, value in node.items() if name not in ("kind", "inputs"))
    return f"{node['kind']} of {' + '.join(node['inputs'])}: {settings}"


def _result_lines(found: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    stored = tetviz.results.schema.stored
    yield "file", f"{found['file']}, {_WHAT[found['format']]}"
    yield "kind", found["kind"]
    yield from ((name, stored(value)) for name, value in found["attributes"].items())
    if found["points"]:
        yield "points done", f"{found['points_done']} of {found['points']}"
    yield from ((f"provenance {name}", stored(value) if value else "") for name, value in found["provenance"].items())
    for name, array in found["arrays"].items():
        shape = ", ".join(f"{dim} {size}" for dim, size in array["shape"].items())
        yield f"array {name}", f"({shape}) {array['long_name']} [{array['units']}]"
