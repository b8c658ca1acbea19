"""``tetviz history``: how a training run went, as a result file and a figure."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import tetviz
from tetviz.commands.command import command
from tetviz.commands.options import checkpoints_argument, force_option, json_option, output_option
from tetviz.commands.targets import output_paths

if TYPE_CHECKING:
    from tetviz.commands.measure import Job
    from tetviz.results import TrainingHistory


@command()
@checkpoints_argument
@force_option
@json_option
@output_option("history")
def history(checkpoints: tuple[Path, ...], output: Path | None, force: bool, as_json: bool) -> None:
    """Write down how the training of CKPT went: losses and accuracy after every epoch.

    Writes CKPT.history.h5 and CKPT.history.png, from what `tetviz train` stored; nothing is measured. Give it
    OUTPUT.last.pt, which holds the whole run: OUTPUT.pt holds the epochs up to the chosen one. The TET paper's Figure 3
    is the histories of a run with L_SDT and of one that was switched to L_TET, drawn by `tetviz plot`.

    \b
    tetviz history tet.last.pt
    tetviz train --data digits --loss sdt --switch tet@6 -o switched.pt
    tetviz history sdt.last.pt switched.last.pt
    tetviz plot sdt.last.history.h5 switched.last.history.h5 -o figure3.pdf
    """
    tetviz.commands.measure.run_measurement(
        tetviz.results.TrainingHistory,
        checkpoints,
        output_paths(checkpoints, output, "history"),
        sessions=lambda jobs: [tetviz.commands.epochs.history_of(job.path) for job in jobs],
        measure=write_history,
        draw={"history": tetviz.figures.draw_history},
        warnings=warnings,
        force=force,
        as_json=as_json,
    )


def write_history(run: "TrainingHistory", job: "Job") -> "TrainingHistory":
    """Writes a history, unless it is there."""
    if job.finished:
        return tetviz.commands.measure.stored(job.target, tetviz.results.TrainingHistory, run.provenance)
    tetviz.results.save(job.target, run)
    return run


def warnings(_: "TrainingHistory", run: "TrainingHistory") -> Iterator[str]:
    """Says where a history is not the whole."""
    if len(run.epoch) < run.planned_epochs:
        yield (
            f"{run.provenance.checkpoint}: holds the first {len(run.epoch)} of {run.planned_epochs} epochs; "
            "OUTPUT.last.pt holds all that were trained"
        )
