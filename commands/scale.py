"""``tetviz scale``: accuracy and losses of a checkpoint at every number of timesteps."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import tetviz
from tetviz.commands.choices import EXIT_RULES
from tetviz.commands.console import at_chance, note
from tetviz.commands.options import (
    checkpoints_argument,
    data_options,
    output_option,
    run_options,
    samples_option,
)
from tetviz.commands.scale_report import report_differences, scaling_records
from tetviz.commands.targets import output_paths, overlay_path
from tetviz.errors import ResultError

if TYPE_CHECKING:
    from tetviz.commands.session import Session
    from tetviz.results import ScalingCurve
    from tetviz.summaries import AccuracyDifference


@click.command()
@checkpoints_argument
@click.option("--tmax", type=click.IntRange(1), help="Longest run.  [default: 64; events: their frames]")
@click.option(
    "--exit",
    "exit_rule",
    type=click.Choice(["margin", "entropy", "both"]),
    help="Early exit: accuracy against mean T, by the softmax margin or entropy of the mean output.",
)
@click.option("--per-class", is_flag=True, help="Also the accuracy of each class.")
@click.option("--keep-outputs", is_flag=True, help="Store the outputs O(t) of every sample too.")
@samples_option(0)
@data_options
@run_options
@output_option("scale")
def scale(
    checkpoints: tuple[Path, ...],
    tmax: int | None,
    exit_rule: str | None,
    per_class: bool,
    keep_outputs: bool,
    output: Path | None,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure CKPT at every T from 1 to --tmax, in one pass whose memory does not grow with T.

    Writes CKPT.scale.h5 and CKPT.scale.png: accuracy and losses of the mean output of steps 1..T, accuracy and
    loss of each step alone, the growth of the accuracy relative to the T of training, and the predictions and
    confidences of every sample. Tests beforehand that the network is causal in time. Several checkpoints are also
    overlaid, in CKPT-CKPT.scale.png (with -o FOLDER in FOLDER/scale.png), and compared sample by sample with the
    first. --exit and --per-class add a table, and the figures CKPT.exit.png and CKPT.classes.png.

    \b
    tetviz scale tet.pt --tmax 64
    tetviz scale sdt.pt tet.pt --exit both
    tetviz plot sdt.scale.h5 tet.scale.h5 -o figure8.pdf
    """
    rules = EXIT_RULES if exit_rule == "both" else (exit_rule,) if exit_rule else ()
    draw = {
        "scale": tetviz.figures.draw_scaling,
        "exit": lambda curves: tetviz.figures.draw_exits(curves, rules),
        "classes": tetviz.figures.draw_classes,
    }
    wanted = {"scale": True, "exit": bool(rules), "classes": per_class}

    def compute(session: "Session", **how: Any) -> "ScalingCurve":
        longest = tmax or (session.dataset.spec.frames if session.dataset.sequence else 64)
        return tetviz.analysis.compute_scaling(
            session.model, session.dataset, longest, keep_outputs=keep_outputs, **how
        )

    def report(curves: "Sequence[ScalingCurve]") -> None:
        differences = compared(curves)
        report_curves(curves, rules, per_class)
        report_differences(curves, differences)

    tetviz.commands.measure.run_measurement(
        tetviz.results.ScalingCurve,
        checkpoints,
        output_paths(checkpoints, output, "scale"),
        sessions=lambda jobs: (tetviz.commands.session.open_session(job.path, **options) for job in jobs),
        measure=tetviz.commands.measure.in_one_go(compute, tmax=tmax, keep_outputs=keep_outputs),
        draw={name: draw[name] for name, asked in wanted.items() if asked},
        warnings=warnings,
        overlay=overlay_path(checkpoints, output, "scale"),
        report=report,
        records=lambda curves: scaling_records(curves, compared(curves), rules, per_class),
        force=force,
        as_json=as_json,
    )


def warnings(session: "Session", curve: "ScalingCurve") -> Iterator[str]:
    """What has to be said of a scaling curve."""
    if curve.prefix_test.startswith("warning: "):
        yield f"{curve.prefix_test.removeprefix('warning: ')} (causal in t)"
    yield from at_chance(curve.sdt_loss[-1], session.checkpoint.spec.num_classes)


def compared(curves: "Sequence[ScalingCurve]") -> "list[AccuracyDifference]":
    """How each checkpoint differs from the first, where they were measured on the same samples."""
    try:
        return tetviz.summaries.scaling.differences_from_first(curves)
    except ResultError as error:
        note(f"no difference is given: {error}")
        return []


def report_curves(curves: "Sequence[ScalingCurve]", rules: Sequence[str], per_class: bool) -> None:
    """Prints all tables."""
    from tetviz.commands.scale_report import format_classes, format_curve, format_exits
    from tetviz.figures import TABLE_CAPTION, format_table, step_accuracy_table
    from tetviz.summaries.names import network_names

    names = network_names(curves)
    for name, curve in zip(names, curves, strict=True):
        click.echo(f"{name}: {len(curve.sample):,} samples [95 % Wilson interval]")
        tables = [format_curve(curve), *(format_exits(curve, rule) for rule in rules)]
        click.echo("\n\n".join([*tables, *([format_classes(curve)] if per_class else [])]) + "\n")
    click.echo(f"{TABLE_CAPTION}\n{format_table(step_accuracy_table(curves))}")
