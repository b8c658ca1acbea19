"""``tetviz energy``: what a checkpoint computes at every number of timesteps, and what that costs."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tetviz.commands.options import (
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
    from tetviz.results import OperationCounts
    from tetviz.summaries import Convention, CostModel, EnergyReport

_pricing_options = combined(
    click.option(
        "--cost", default="45nm-fp32", show_default=True, help="Cost model: a name, or a TOML file that defines one."
    ),
    click.option(
        "--convention",
        "preset",
        type=click.Choice(["tet", "strict"]),
        default="tet",
        show_default=True,
        help="What is an addition; tet: spikes behind poolings and sums too.",
    ),
    click.option(
        "--first-layer",
        type=click.Choice(["per-step", "once"]),
        default="per-step",
        show_default=True,
        help="How often the layers between a static image and the first neurons compute.",
    ),
    click.option(
        "--pool", type=click.Choice(["fold", "mac"]), help="Means of spikes.  [default: fold; with strict: mac]"
    ),
    click.option(
        "--bn",
        "norm",
        type=click.Choice(["fold", "charge"]),
        default="fold",
        show_default=True,
        help="Batch norm, beside the headline: in the weights, or multiplied out.",
    ),
    click.option(
        "--memory",
        type=click.Choice(["none", "flat", "sram"]),
        help="Memory, beside the headline.  [default: --cost's]",
    ),
)


@click.command()
@checkpoints_argument
@click.option("--tmax", type=click.IntRange(1), help="Longest run.  [default: T of training; events: their frames]")
@_pricing_options
@click.option("--skip-zero-weights", is_flag=True, help="Weights that are 0 are no synapses.")
@samples_option(0)
@data_options
@run_options
@output_option("energy")
def energy(
    checkpoints: tuple[Path, ...],
    tmax: int | None,
    cost: str,
    preset: str,
    first_layer: str,
    pool: str | None,
    norm: str,
    memory: str | None,
    skip_zero_weights: bool,
    output: Path | None,
    force: bool,
    as_json: bool,
    batch_size: int,
    **options: Any,
) -> None:
    """Count what CKPT computes at every T from 1 to --tmax, in one pass, and price it.

    Writes CKPT.energy.h5, exact counts for each layer and step, and CKPT.energy.png. Prints the energy under each
    convention beside that of ANNs of the same shapes, energy against accuracy at every T, the layers, and their
    spikes. The headline is synaptic operations alone; all else stands beside it. Several checkpoints are also
    overlaid, in CKPT-CKPT.energy.png (with -o FOLDER in FOLDER/energy.png).

    \b
    tetviz energy tet.pt --tmax 8
    tetviz energy sdt.pt tet.pt --samples 1000 --convention strict --first-layer once
    tetviz plot sdt.energy.h5 tet.energy.h5 -o figure4b.pdf
    """
    from tetviz.commands.console import note, print_json, warn_at_chance
    from tetviz.commands.energy_report import energy_record, report_energy
    from tetviz.commands.subject import open_subject
    from tetviz.figures import draw_energy, save_figure
    from tetviz.results import save, writable_target
    from tetviz.summaries import convention, estimate_energy, load_cost
    from tetviz.summaries.costs import with_memory
    from tetviz.training import Checkpoint

    chosen = convention(preset, first_layer=first_layer, pool=pool, norm=norm)
    prices = load_cost(cost) if memory is None else with_memory(load_cost(cost), memory)
    targets = output_paths(checkpoints, output, "energy")
    overlay = [path.with_suffix(".png") for path in overlay_path(checkpoints, output, "energy")]
    for path in [*targets, *(target.with_suffix(".png") for target in targets), *overlay]:
        writable_target(path, force)
    for checkpoint in checkpoints:
        Checkpoint.load(checkpoint)
    reports: list[EnergyReport] = []
    for checkpoint, target in zip(checkpoints, targets, strict=True):
        subject = open_subject(checkpoint, batch_size=batch_size, **options)
        counts = named(measure_operations(subject, tmax, batch_size, skip_zero_weights), chosen, prices)
        save(target, counts)
        save_figure(draw_energy([counts]), target.with_suffix(".png"))
        reports.append(estimate_energy(counts, prices, chosen))
        warn_at_chance(counts.sdt_loss[-1], subject.checkpoint.spec.num_classes)
        for sentence in counts.warnings:
            note(f"warning: {sentence}")
        for sentence in counts.not_counted:
            note(f"warning: the numbers are lower bounds, not counted: {sentence}")
        note(f"wrote {target}, {target.with_suffix('.png')}")
    for path in overlay:
        save_figure(draw_energy([report.counts for report in reports]), path)
        note(f"wrote {path}")
    if as_json:
        print_json([energy_record(report) for report in reports])
    else:
        report_energy(reports)


def measure_operations(
    subject: "Subject", tmax: int | None, batch_size: int, skip_zero_weights: bool
) -> "OperationCounts":
    """Counts the operations of a checkpoint."""
    from tetviz.analysis import compute_operations
    from tetviz.commands.console import progress_bar

    trained, frames = subject.checkpoint.timesteps, subject.dataset.spec.frames
    longest = tmax or (min(trained, frames) if subject.dataset.sequence else trained)
    with progress_bar(subject.path.stem, len(subject.indices)) as (bar, task):
        return compute_operations(
            subject.model,
            subject.dataset,
            longest,
            t_train=trained,
            indices=subject.indices,
            batch_size=batch_size,
            skip_zero_weights=skip_zero_weights,
            provenance=subject.provenance,
            progress=lambda samples: bar.advance(task, samples),
        )


def named(counts: "OperationCounts", chosen: "Convention", cost: "CostModel") -> "OperationCounts":
    """Counts that name the convention and the cost model of their figures."""
    import dataclasses

    from tetviz.summaries.stored_costs import cost_text

    return dataclasses.replace(
        counts,
        convention=chosen.name,
        first_layer=chosen.first_layer,
        pool=chosen.pool,
        norm=chosen.norm,
        cost=cost_text(cost),
    )
