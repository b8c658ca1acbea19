"""``tetviz smoothness``: how alike the nodes of a graph become from layer to layer."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import tetviz
from tetviz.commands.command import command
from tetviz.commands.options import (
    checkpoints_argument,
    data_options,
    output_option,
    run_options,
    samples_option,
    timesteps_option,
)
from tetviz.commands.targets import output_paths, overlay_path

if TYPE_CHECKING:
    from tetviz.commands.session import Session
    from tetviz.results import Smoothness


@command()
@checkpoints_argument
@timesteps_option()
@samples_option(0, "Whose accuracy is measured; smoothness is that of all nodes.")
@data_options
@run_options
@output_option("smoothness")
def smoothness(
    checkpoints: tuple[Path, ...],
    timesteps: int | None,
    output: Path | None,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure how alike the nodes of a graph become from layer to layer of CKPT (over-smoothing).

    Writes CKPT.smoothness.h5 and CKPT.smoothness.png: Dirichlet energy and mean cosine of the firing rates of all
    nodes, layer by layer. Several checkpoints are also overlaid, in CKPT-CKPT.smoothness.png (with -o FOLDER in
    FOLDER/smoothness.png); where they differ in firing threshold or depth, accuracy and firing rate stand against it.

    \b
    tetviz smoothness depth1.pt depth2.pt depth4.pt
    """

    def compute(session: "Session", **how: Any) -> "Smoothness":
        t_train = session.checkpoint.timesteps
        return tetviz.analysis.compute_smoothness(
            session.model, session.dataset, timesteps or t_train, t_train=t_train, **how
        )

    tetviz.commands.measure.run_measurement(
        tetviz.results.Smoothness,
        checkpoints,
        output_paths(checkpoints, output, "smoothness"),
        sessions=lambda jobs: (tetviz.commands.session.open_session(job.path, **options) for job in jobs),
        measure=tetviz.commands.measure.InOneGo(compute, timesteps=timesteps),
        draw={"smoothness": tetviz.figures.draw},
        overlay=overlay_path(checkpoints, output, "smoothness"),
        force=force,
        as_json=as_json,
    )
