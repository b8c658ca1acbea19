"""``tetviz isometry``: how much each block of a network stretches gradients, at any depth."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import tetviz
from tetviz.commands.command import command
from tetviz.commands.console import note
from tetviz.commands.options import (
    bn_option,
    checkpoints_argument,
    combined,
    data_options,
    gradient_loss_option,
    output_option,
    run_options,
    samples_option,
    timesteps_option,
)
from tetviz.commands.targets import output_paths, overlay_path
from tetviz.commands.values import SEED, WholeRange

if TYPE_CHECKING:
    from tetviz.commands.session import Session
    from tetviz.results import BlockIsometry

# A share of the gradient that is worth a word.
_BYPASS = 0.01

_measure_options = combined(
    timesteps_option(),
    gradient_loss_option,
    click.option(
        "--blocks",
        metavar="REGEX",
        help="Whole names of the modules that are blocks.  [default: residual blocks; else from neurons to neurons]",
    ),
    click.option(
        "--probes", type=WholeRange(1), default=4, show_default=True, help="Random vectors a sample and step."
    ),
    bn_option("batch", " Gradients pass through those of the batch in training.", ("batch", "frozen")),
    click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of the random vectors."),
    click.option(
        "--depth",
        type=click.Choice(["absolute", "relative"]),
        help="Of the figures: number of the block, or its share of all.  [default: the share where networks differ in "
        "their number of blocks]",
    ),
)


@command()
@checkpoints_argument
@_measure_options
@samples_option(64, "Each takes a backward pass for every block and probe.")
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
        measure=tetviz.commands.measure.InOneGo(
            compute, timesteps=timesteps, loss=loss, blocks=blocks, probes=probes, bn=bn
        ),
        draw={"isometry": lambda results: tetviz.figures.draw(results, depth=depth)},
        warnings=warnings,
        overlay=overlay_path(checkpoints, output, "isometry"),
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


def _bypassed(result: "BlockIsometry") -> list[str]:
    shares = {name: share for name, share in zip(result.names, result.bypass, strict=True) if share > _BYPASS}
    if not shares:
        return []
    most = max(shares, key=shares.__getitem__)
    return [
        f"{len(shares)} of {len(result.block)} blocks do not carry all of the gradient, the most passes by {most} "
        f"({shares[most]:.0%} in norm): phi is right for each, the product is not what becomes of the gradient"
    ]
