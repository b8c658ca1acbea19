"""``tetviz scale``: accuracy and losses of a checkpoint at every number of timesteps."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tetviz.commands.options import (
    checkpoints_argument,
    data_options,
    output_option,
    output_paths,
    overlay_path,
    run_options,
    samples_option,
)

if TYPE_CHECKING:
    from tetviz.commands.subject import Subject
    from tetviz.results import ScalingCurve


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
    batch_size: int,
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
    from tetviz.commands.console import note, print_json, warn_at_chance
    from tetviz.commands.subject import open_subject
    from tetviz.figures import printed, records
    from tetviz.results import writable_target
    from tetviz.summaries.exits import RULES
    from tetviz.training import Checkpoint

    rules = RULES if exit_rule == "both" else (exit_rule,) if exit_rule else ()
    targets = output_paths(checkpoints, output, "scale")
    overlay = overlay_path(checkpoints, output, "scale")
    figures = [figure_paths(target, rules, per_class) for target in [*targets, *overlay]]
    for path in [*targets, *(path for paths in figures for path in paths.values())]:
        writable_target(path, force)
    for checkpoint in checkpoints:
        Checkpoint.load(checkpoint)
    curves = []
    for checkpoint, target, paths in zip(checkpoints, targets, figures, strict=False):
        subject = open_subject(checkpoint, batch_size=batch_size, **options)
        longest = tmax or (subject.dataset.spec.frames if subject.dataset.sequence else 64)
        curve = measure_scaling(subject, target, longest, batch_size, keep_outputs)
        curves.append(curve)
        warn_at_chance(curve.sdt_loss[-1], subject.checkpoint.spec.num_classes)
        draw_extra([curve], paths, rules)
        note(f"wrote {', '.join(map(str, [target, *paths.values()]))}")
    for paths in figures[len(checkpoints) :]:
        draw_overlay(curves, paths, rules)
        note(f"wrote {', '.join(map(str, paths.values()))}")
    asked = ["steps", *rules, *(["per-class"] if per_class else []), *compared(curves)]
    if as_json:
        print_json(records(curves, asked=asked))
    else:
        click.echo(printed(curves, asked=asked))


def compared(curves: "Sequence[ScalingCurve]") -> list[str]:
    """Asks for differences from the first checkpoint, where all were measured on the same samples."""
    from tetviz.commands.console import note
    from tetviz.errors import ResultError
    from tetviz.summaries.scaling import differences_from_first

    try:
        differences_from_first(curves)
    except ResultError as error:
        note(f"no difference is given: {error}")
        return []
    return ["differences"]


def figure_paths(target: Path, rules: Sequence[str], per_class: bool) -> dict[str, Path]:
    """The figures that stand beside a result."""
    stem = target.stem.removesuffix(".scale")
    wanted = {"exit": bool(rules), "classes": per_class}
    extra = {name: target.with_name(f"{stem}.{name}.png") for name, asked in wanted.items() if asked}
    return {"scale": target.with_suffix(".png"), **extra}


def measure_scaling(
    subject: "Subject", target: Path, tmax: int, batch_size: int, keep_outputs: bool = False
) -> "ScalingCurve":
    """Measures a scaling curve, writes and draws it."""
    from tetviz.analysis import compute_scaling
    from tetviz.commands.console import note, progress_bar
    from tetviz.figures import draw_scaling, save_figure
    from tetviz.results import save

    with progress_bar(subject.path.stem, len(subject.indices)) as (bar, task):
        curve = compute_scaling(
            subject.model,
            subject.dataset,
            tmax,
            indices=subject.indices,
            batch_size=batch_size,
            keep_outputs=keep_outputs,
            provenance=subject.provenance,
            progress=lambda samples: bar.advance(task, samples),
        )
    if curve.prefix_test.startswith("warning"):
        note(f"{curve.prefix_test} (causal in t)")
    save(target, curve)
    save_figure(draw_scaling([curve]), target.with_suffix(".png"))
    return curve


def draw_overlay(curves: "Sequence[ScalingCurve]", paths: dict[str, Path], rules: Sequence[str]) -> None:
    """Draws several curves in one figure, and what else is asked for."""
    from tetviz.figures import draw_scaling, save_figure

    save_figure(draw_scaling(curves), paths["scale"])
    draw_extra(curves, paths, rules)


def draw_extra(curves: "Sequence[ScalingCurve]", paths: dict[str, Path], rules: Sequence[str]) -> None:
    """Draws early exit and classes, as far as they are asked for."""
    from tetviz.figures import draw_classes, draw_exits, save_figure

    if "exit" in paths:
        save_figure(draw_exits(curves, rules), paths["exit"])
    if "classes" in paths:
        save_figure(draw_classes(curves), paths["classes"])
