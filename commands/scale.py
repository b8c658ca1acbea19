"""``tetviz scale``: accuracy and losses of a checkpoint at every number of timesteps."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import tetviz
from tetviz.commands.choices import EXIT_RULES
from tetviz.commands.command import command
from tetviz.commands.console import at_chance
from tetviz.commands.options import (
    bn_option,
    calibration_option,
    checkpoints_argument,
    compile_option,
    data_options,
    output_option,
    run_options,
    samples_option,
    tmax_option,
)
from tetviz.commands.targets import output_paths, overlay_path

if TYPE_CHECKING:
    from tetviz.commands.session import Session
    from tetviz.results import ScalingCurve


@command()
@checkpoints_argument
@tmax_option("64; events: their frames")
@click.option(
    "--exit",
    "exit_rule",
    type=click.Choice([*EXIT_RULES, "both"]),
    help="Early exit: accuracy against mean T, by the softmax margin or entropy of the mean output.",
)
@click.option("--per-class", is_flag=True, help="Also the accuracy of each class.")
@click.option("--keep-outputs", is_flag=True, help="Store the outputs O(t) of every sample too.")
@bn_option(policies=("frozen", "recalibrate"), point="T, each a run of its own")
@calibration_option
@samples_option(0, "One pass gives the whole curve.")
@data_options
@compile_option
@run_options
@output_option("scale")
def scale(
    checkpoints: tuple[Path, ...],
    tmax: int | None,
    exit_rule: str | None,
    per_class: bool,
    keep_outputs: bool,
    bn: str,
    calibration: int,
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
    first. --exit and --per-class add a table, and the figures CKPT.exit.png and CKPT.classes.png. With --bn
    recalibrate every T is a run of its own, after batch-norm statistics were re-estimated in runs of that T on train
    samples, which takes about T_max / 2 times as long.

    \b
    tetviz scale tet.pt --tmax 64
    tetviz scale sdt.pt tet.pt --exit both
    tetviz plot sdt.scale.h5 tet.scale.h5 -o figure8.pdf
    """
    if exit_rule and bn == "recalibrate":
        raise click.UsageError("--exit takes one run for all T, with --bn recalibrate each T is a run of its own")
    again = {"bn": bn, "calibration": calibration} if bn == "recalibrate" else {}
    rules = EXIT_RULES if exit_rule == "both" else (exit_rule,) if exit_rule else ()
    draw = {
        "scale": tetviz.figures.draw_scaling,
        "exit": lambda curves: tetviz.figures.draw_exits(curves, rules),
        "classes": tetviz.figures.draw_classes,
    }
    wanted = {"scale": True, "exit": bool(rules), "classes": per_class}

    def compute(session: "Session", **how: Any) -> "ScalingCurve":
        frames = session.dataset.spec.frames if session.dataset.sequence else 64
        longest = tmax or tetviz.models.only_length(session.model) or frames
        return tetviz.analysis.compute_scaling(
            session.model,
            session.dataset,
            longest,
            keep_outputs=keep_outputs,
            calibration=session.calibration,
            calibration_indices=session.calibration_indices,
            **how,
        )

    options["calibration"] = again.get("calibration", 0)

    tetviz.commands.measure.run_measurement(
        tetviz.results.ScalingCurve,
        checkpoints,
        output_paths(checkpoints, output, "scale"),
        sessions=lambda jobs: (tetviz.commands.session.open_session(job.path, **options) for job in jobs),
        measure=tetviz.commands.measure.InOneGo(compute, tmax=tmax, keep_outputs=keep_outputs, **again),
        draw={name: draw[name] for name, asked in wanted.items() if asked},
        warnings=warnings,
        overlay=overlay_path(checkpoints, output, "scale"),
        asked=["steps", *rules, *(["per-class"] if per_class else []), "differences"],
        force=force,
        as_json=as_json,
    )


def warnings(session: "Session", curve: "ScalingCurve") -> Iterator[str]:
    """What has to be said of a scaling curve."""
    if curve.prefix_test.startswith("warning: "):
        yield f"{curve.prefix_test.removeprefix('warning: ')} (causal in t)"
    yield from at_chance(curve.sdt_loss[-1], session.checkpoint.spec.num_classes)
