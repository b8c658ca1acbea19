"""``tetviz energy``: what a checkpoint computes at every number of timesteps, and what that costs."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import tetviz
from tetviz.commands.choices import CONVENTIONS, MEMORIES
from tetviz.commands.command import command
from tetviz.commands.console import at_chance
from tetviz.commands.options import (
    checkpoints_argument,
    combined,
    cost_option,
    data_options,
    output_option,
    run_options,
    samples_option,
    tmax_option,
)
from tetviz.commands.targets import output_paths, overlay_path

if TYPE_CHECKING:
    from tetviz.commands.session import Session
    from tetviz.results import OperationCounts

_pricing_options = combined(
    cost_option,
    click.option(
        "--convention",
        "preset",
        type=click.Choice(CONVENTIONS),
        default="tet",
        show_default=True,
        help="What is an addition; tet: spikes behind poolings and sums too; ssa, sdsa: in products of activations.",
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
        "--norm-cost",
        "norm",
        type=click.Choice(["fold", "charge"]),
        default="fold",
        show_default=True,
        help="Batch norm, beside the headline: in the weights, or multiplied out.",
    ),
    click.option(
        "--memory",
        type=click.Choice(["none", *MEMORIES]),
        help="Memory, beside the headline.  [default: --cost's]",
    ),
)


@command(renamed={"--bn": "--norm-cost"})
@checkpoints_argument
@tmax_option("T of training, where networks are priced; events: their frames")
@_pricing_options
@click.option(
    "--skip-zero-weights",
    is_flag=True,
    help="Weights that are 0 are no synapses, as of networks of tetviz compress always.",
)
@click.option(
    "--input-spikes",
    type=click.Choice(["yes", "no", "auto"]),
    default="no",
    show_default=True,
    help="Whether the data are spikes, so that the first layer adds; auto: if the first batch is 0 and 1 alone.",
)
@click.option(
    "--spiking", multiple=True, metavar="MODULE", help="Gives spikes, though no comparison is seen in it; repeatable."
)
@samples_option(0, "One pass gives the whole curve.")
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
    input_spikes: str,
    spiking: tuple[str, ...],
    output: Path | None,
    force: bool,
    as_json: bool,
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
    chosen = tetviz.summaries.convention(preset, first_layer=first_layer, pool=pool, norm=norm)
    prices = tetviz.summaries.load_cost(cost)
    if memory is not None:
        prices = tetviz.summaries.with_memory(prices, memory)
    named: dict[str, Any] = {
        "convention": chosen.name,
        "first_layer": chosen.first_layer,
        "pool": chosen.pool,
        "norm": chosen.norm,
        "cost": tetviz.summaries.cost_text(prices),
    }

    counting: dict[str, Any] = {
        "skip_zero_weights": skip_zero_weights,
        "input_spikes": input_spikes,
        "spiking": spiking,
    }

    def compute(session: "Session", **how: Any) -> "OperationCounts":
        skip = skip_zero_weights or "compressed" in session.checkpoint.training
        trained, frames = session.checkpoint.timesteps, session.dataset.spec.frames
        counts = tetviz.analysis.compute_operations(
            session.model,
            session.dataset,
            tmax or (min(trained, frames) if session.dataset.sequence else trained),
            t_train=trained,
            **{**counting, "skip_zero_weights": skip},
            **how,
        )
        return dataclasses.replace(counts, **named)

    tetviz.commands.measure.run_measurement(
        tetviz.results.OperationCounts,
        checkpoints,
        output_paths(checkpoints, output, "energy"),
        sessions=lambda jobs: (tetviz.commands.session.open_session(job.path, **options) for job in jobs),
        measure=tetviz.commands.measure.InOneGo(compute, tmax=tmax, **counting, **named),
        draw={"energy": tetviz.figures.draw_energy},
        warnings=warnings,
        overlay=overlay_path(checkpoints, output, "energy"),
        force=force,
        as_json=as_json,
    )


def warnings(session: "Session", counts: "OperationCounts") -> Iterator[str]:
    """What has to be said of counts."""
    yield from at_chance(counts.sdt_loss[-1], session.checkpoint.spec.num_classes)
    yield from counts.warnings
    if counts.not_counted:
        yield f"the numbers are lower bounds, not counted: {'; '.join(counts.not_counted)}"
