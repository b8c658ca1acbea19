"""``tetviz info``: what result files and checkpoints hold."""

from pathlib import Path
from typing import Any

import click

import tetviz


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
def info(file: Path) -> None:
    """Say what FILE is and how it was made: a checkpoint or a result.

    \b
    tetviz info tet.pt
    tetviz info tet.landscape.h5
    """
    lines = _result_lines(file) if tetviz.results.looks_like_result(file) else _checkpoint_lines(file)
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        click.echo(f"{name:<{width}}  {value}".rstrip())


def _checkpoint_lines(file: Path) -> list[tuple[str, Any]]:

    checkpoint = tetviz.training.Checkpoint.load(file)
    spec = checkpoint.spec
    if isinstance(spec, tetviz.models.ForeignSpec):  # not built: info runs no code
        parameters, called = spec.parameters, [("model is called with", spec.calling.options())]
    else:
        parameters, called = sum(p.numel() for p in checkpoint.model().parameters()), []
    lines: list[tuple[str, Any]] = [
        ("file", f"{file}, a tetviz checkpoint"),
        ("sha256", tetviz.training.file_sha256(file)),
    ]
    lines += [(f"model {name}", v) for name, v in spec.to_dict().items() if name not in ("calling", "parameters")]
    lines += called
    lines += [("parameters", f"{parameters:,}"), ("timesteps", checkpoint.timesteps)]
    lines += [(f"data {name}", value) for name, value in checkpoint.data.items()]
    lines += [(f"training {name}", value) for name, value in checkpoint.training.items()]
    lines += [("epoch", f"{checkpoint.epoch}" + (" (can be resumed)" if checkpoint.resume else ""))]
    if checkpoint.history:
        lines += [(f"at epoch {checkpoint.epoch}", "")]
        lines += [(f"  {name}", value) for name, value in checkpoint.history[-1].items() if name != "epoch"]
    return lines


def _result_lines(file: Path) -> list[tuple[str, Any]]:

    result: Any = tetviz.results.load_any(file)
    what = (
        "a surface of loss-landscape"
        if tetviz.results.loss_landscape.looks_like_loss_landscape(file)
        else "a tetviz result"
    )
    lines: list[tuple[str, Any]] = [("file", f"{file}, {what}"), ("kind", result.kind)]
    lines += [
        (name, tetviz.results.schema.stored(getattr(result, name)))
        for name in tetviz.results.schema.attribute_fields(type(result))
    ]
    done, total = result.progress()
    if total:
        lines += [("points done", f"{done} of {total}")]
    lines += [(f"provenance {name}", value) for name, value in result.provenance.texts().items()]
    for name, schema in tetviz.results.schema.array_fields(type(result)).items():
        shape = ", ".join(f"{dim} {n}" for dim, n in zip(schema["dims"], getattr(result, name).shape, strict=True))
        lines += [(f"array {name}", f"({shape}) {schema['long_name']} [{schema['units']}]")]
    return lines
