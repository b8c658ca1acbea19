"""``tetviz isometry``: how much each block of a network stretches gradients, at any depth."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tetviz.commands.options import (
    SEED,
    checkpoints_argument,
    combined,
    data_options,
    output_option,
    output_paths,
    overlay_path,
    run_options,
    samples_option,
)

if TYPE_CHECKING:
    from tetviz.commands.subject import Subject
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
    batch_size: int,
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
    from tetviz.commands.console import note, print_json
    from tetviz.commands.subject import open_subject
    from tetviz.figures import draw_isometry, printed, records, save_figure
    from tetviz.results import save, writable_target
    from tetviz.training import Checkpoint

    _check_blocks(blocks)
    targets = output_paths(checkpoints, output, "isometry")
    overlay = overlay_path(checkpoints, output, "isometry")
    for path in [*targets, *(target.with_suffix(".png") for target in [*targets, *overlay])]:
        writable_target(path, force)
    for checkpoint in checkpoints:
        Checkpoint.load(checkpoint)
    results = []
    for checkpoint, target in zip(checkpoints, targets, strict=True):
        subject = open_subject(checkpoint, batch_size=batch_size, **options)
        result = measure_isometry(subject, timesteps, loss, blocks, probes, bn, options["seed"], batch_size)
        results.append(result)
        save(target, result)
        save_figure(draw_isometry([result], depth), target.with_suffix(".png"))
        for sentence in [*result.not_measured, *_bypassed(result)]:
            note(f"warning: {sentence}")
        note(f"wrote {target} and {target.with_suffix('.png')}")
    for target in overlay:
        save_figure(draw_isometry(results, depth), target.with_suffix(".png"))
        note(f"wrote {target.with_suffix('.png')}")
    if as_json:
        print_json(records(results))
    else:
        click.echo(printed(results))


def _check_blocks(pattern: str | None) -> None:
    import re

    try:
        re.compile(pattern or "")
    except re.error as error:
        raise click.UsageError(f"--blocks: {pattern!r} is no regular expression: {error}") from None


def measure_isometry(
    subject: "Subject",
    timesteps: int | None,
    loss: str | None,
    blocks: str | None,
    probes: int,
    bn: str,
    seed: int,
    batch_size: int,
) -> "BlockIsometry":
    """Measures the blocks of a checkpoint."""
    from tetviz.analysis import compute_isometry
    from tetviz.commands.console import note, progress_bar

    training, history = subject.checkpoint.training, subject.checkpoint.history
    trained_on = history[-1].get("loss") if history else training.get("loss")
    if not (loss or trained_on):
        note("the checkpoint does not say what it was trained on: gradients are of L_TET; name another with --loss")
    with progress_bar(subject.provenance.label, len(subject.indices)) as (bar, task):
        return compute_isometry(
            subject.model,
            subject.dataset,
            timesteps,
            loss or trained_on or "tet",
            blocks=blocks,
            probes=probes,
            bn=bn,
            seed=seed,
            lamb=training.get("lamb", 0.05),
            phi=training.get("phi", 1.0),
            indices=subject.indices,
            batch_size=batch_size,
            provenance=subject.provenance,
            progress=lambda samples: bar.advance(task, samples),
        )


def _bypassed(result: "BlockIsometry") -> list[str]:
    shares = {name: share for name, share in zip(result.names, result.bypass, strict=True) if share > _BYPASS}
    if not shares:
        return []
    most = max(shares, key=shares.__getitem__)
    return [
        f"{len(shares)} of {len(result.block)} blocks do not carry all of the gradient, the most passes by {most} "
        f"({shares[most]:.0%} in norm): phi is right for each, the product is not what becomes of the gradient"
    ]
