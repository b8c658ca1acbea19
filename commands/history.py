"""``tetviz history``: how a training run went, as a result file and a figure."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tetviz.commands.options import checkpoints_argument, command_line, output_option, output_paths

if TYPE_CHECKING:
    from tetviz.results import Provenance
    from tetviz.training import Checkpoint


@click.command()
@checkpoints_argument
@click.option("--force", is_flag=True, help="Replace existing outputs.")
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as a JSON list.")
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
    from tetviz.commands.console import note, print_json
    from tetviz.figures import draw_history, printed, records, save_figure
    from tetviz.results import save, writable_target
    from tetviz.training import Checkpoint, training_history

    targets = output_paths(checkpoints, output, "history")
    for target in targets:
        writable_target(target, force)
        writable_target(target.with_suffix(".png"), force)
    histories = []
    for path in checkpoints:
        checkpoint = Checkpoint.load(path)
        histories.append(training_history(checkpoint, provenance_of(path, checkpoint)))
    for path, target, run in zip(checkpoints, targets, histories, strict=True):
        save(target, run)
        save_figure(draw_history([run]), target.with_suffix(".png"))
        if len(run.epoch) < run.planned_epochs:
            note(
                f"{path}: holds the first {len(run.epoch)} of {run.planned_epochs} epochs; OUTPUT.last.pt holds all "
                "that were trained"
            )
        note(f"wrote {target} and {target.with_suffix('.png')}")
    if as_json:
        print_json(records(histories))
    else:
        click.echo(printed(histories))


def provenance_of(path: Path, checkpoint: "Checkpoint") -> "Provenance":
    """Where the history of a checkpoint comes from."""
    from tetviz.commands.subject import architecture, neuron_settings, training_settings
    from tetviz.results import Provenance
    from tetviz.training import DataSpec, file_sha256

    data = DataSpec(**checkpoint.data) if checkpoint.data else None
    return Provenance(
        command=command_line(),
        dtype=str(next(iter(checkpoint.state.values())).dtype).removeprefix("torch."),
        checkpoint=str(path),
        checkpoint_sha256=file_sha256(path),
        label=path.stem.removesuffix(".last").encode(errors="replace").decode(),
        dataset=data.name if data else "",
        data_settings=data.to_dict() if data else {},
        network=architecture(checkpoint),
        training=training_settings(checkpoint),
        neurons=neuron_settings(checkpoint),
    )
