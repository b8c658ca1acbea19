"""``tetviz isometry``: how much each block of a network stretches gradients, at any depth."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import tetviz
from tetviz.commands.console import note
from tetviz.commands.options import (
    checkpoints_argument,
    combined,
    data_options,
    output_option,
    run_options,
    samples_option,
)
from tetviz.commands.targets import output_paths, overlay_path
from tetviz.commands.values import SEED

if TYPE_CHECKING:
    from tetviz.commands.session import Session
    from tetviz.results import BlockIsometry

# A share of the gradient that is worth a word.
_BYPASS = 0.01

_measure_options = combined(
    click.option("--timesteps", type=click.IntRange(1), help="T.  [default: T of training]"),
    click.option(
        "--loss", type=click.Choice(["sdt", "tet", "total"]), help="Whose gradient.  [default: the loss trained on]"
    ),
    click.option(
        "--blocks",
        metavar="REGEX",
        help="Whole names of the modules that are blocks.  [default: residual blocks; else from neurons to neurons]",
    ),
    click.option(
        "--probes", type=click.IntRange(1), default=4, show_default=True, help="Random vectors a sample and step."
    ),
    click.option(
        "--bn",
        type=click.Choice(["batch", "frozen"]),
        default="batch",
        show_default=True,
        help="Batch norm by the statistics of each batch, as in training, or by the running ones.",
    ),
    click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of the random vectors."),
    click.option(
        "--depth",
        type=click.Choice(["absolute", "relative"]),
        help="Of the figures: number of the block, or its share of all.  [default: the share where networks differ in "
        "their number of blocks]",
    ),
)


@click.command()
@checkpoints_argument
@_measure_options
@samples_option(64)
@data_options
@run_options
@output_option("isometry")
def isometry(
    checkpoints: tuple[Path, ...],
    timesteps: int | None,
    loss: str | None,
    blocks: str | None,
    probes: int,
    bn: str,
    depth: str | None,
    output: Path | None,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure phi(J J^T) of every block of CKPT: how much it stretches gradients on their way back.

    1 is isometry; the product over depth says what becomes of a gradient. Writes CKPT.isometry.h5 and
    CKPT.isometry.png: phi of each block with its standard error beside its closed form, the gradients of the loss by
    block, layer and step, and the firing rates. Several checkpoints are also overlaid, in CKPT-CKPT.isometry.png (with
    -o FOLDER in FOLDER/isometry.png). An untrained network is epoch-0000.pt in the folder that `tetviz train
    --keep-every` makes.

    \b
    tetviz train --model ms-resnet20 --data digits --epochs 1 --keep-every 1 -o ms.pt
    tetviz isometry ms.kept/epoch-0000.pt ms.pt
    tetviz isometry foreign.pt --trust --blocks "network\\.layer[0-9]+"
    """
    _check_blocks(blocks)

    def compute(session: "Session", **how: Any) -> "BlockIsometry":
        training = session.checkpoint.training
        trained_on = session.trained_on()
        if not (loss or trained_on):
            note("the checkpoint does not say what it was trained on: gradients are of L_TET; name another with --loss")
        return tetviz.analysis.compute_isometry(
            session.model,
            session.dataset,
            timesteps,
            loss or trained_on or "tet",
            blocks=blocks,
            probes=probes,
            bn=bn,
            seed=options["seed"],
            lamb=training.get("lamb", 0.05),
            phi=training.get("phi", 1.0),
            **how,
        )

    tetviz.commands.measure.run_measurement(
        tetviz.results.BlockIsometry,
        checkpoints,
        output_paths(checkpoints, output, "isometry"),
        sessions=lambda jobs: (tetviz.commands.session.open_session(job.path, **options) for job in jobs),
        measure=tetviz.commands.measure.in_one_go(
            compute, timesteps=timesteps, loss=loss, blocks=blocks, probes=probes, bn=bn
        ),
        draw={"isometry": lambda results: tetviz.figures.draw_isometry(results, depth)},
        warnings=warnings,
        overlay=overlay_path(checkpoints, output, "isometry"),
        report=report,
        records=lambda results: [record(result) for result in results],
        force=force,
        as_json=as_json,
    )


def _check_blocks(pattern: str | None) -> None:
    try:
        re.compile(pattern or "")
    except re.error as error:
        raise click.UsageError(f"--blocks: {pattern!r} is no regular expression: {error}") from None


def warnings(session: "Session", result: "BlockIsometry") -> Iterator[str]:
    """What has to be said of an isometry."""
    yield from result.not_measured
    yield from _bypassed(result)


def report(results: "Sequence[BlockIsometry]") -> None:
    """Prints the blocks of each network, and one table of several."""
    from tetviz.figures import format_table
    from tetviz.figures.report.tables_training import depth_table

    for result in results:
        click.echo(format_isometry(result) + "\n")
    if len(results) > 1:
        click.echo(format_table(depth_table(results).frame) + "\n")


def _bypassed(result: "BlockIsometry") -> list[str]:
    shares = {name: share for name, share in zip(result.names, result.bypass, strict=True) if share > _BYPASS}
    if not shares:
        return []
    most = max(shares, key=shares.__getitem__)
    return [
        f"{len(shares)} of {len(result.block)} blocks do not carry all of the gradient, the most passes by {most} "
        f"({shares[most]:.0%} in norm): phi is right for each, the product is not what becomes of the gradient"
    ]


def record(result: "BlockIsometry") -> dict[str, Any]:
    """A block isometry as plain values."""
    from tetviz.summaries.isometry import isometry_table

    table = isometry_table(result)
    return {
        "checkpoint": result.provenance.checkpoint,
        "label": result.provenance.label,
        "loss": result.loss,
        "bn": result.bn,
        "timesteps": len(result.timestep),
        "probes": result.probes,
        "samples": len(result.sample),
        "block": table.index.tolist(),
        **{str(name).replace(" ", "_"): column.tolist() for name, column in table.items()},
        "block_gradient_by_timestep": result.input_gradient.tolist(),
        "layer": result.layer_names,
        "layer_gradient_by_timestep": result.layer_gradient.tolist(),
        "neurons": result.neuron_names,
        "rate_by_timestep": result.rate.tolist(),
        "mass_by_timestep": result.mass.tolist(),
        "not_measured": result.not_measured,
    }


def format_isometry(result: "BlockIsometry") -> str:
    """A block isometry as a table."""
    from tetviz.figures import format_table
    from tetviz.figures.report.tables_training import block_table
    from tetviz.summaries.names import network_name

    table = block_table(result)
    return "\n".join([f"{network_name(result.provenance)}: {table.caption}", format_table(table.frame), *table.feet])
