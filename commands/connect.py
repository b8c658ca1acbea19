"""``tetviz connect``: a curve of low loss between two checkpoints."""

from pathlib import Path
from typing import Any

import click

from tetviz.commands.between import between, between_path, ends_arguments, report_path, require_one_network
from tetviz.commands.options import (
    SEED,
    FiniteRange,
    calibration_option,
    data_options,
    loss_option,
    probe_options,
    run_options,
    samples_option,
)


@click.command()
@ends_arguments
@loss_option
@click.option("--epochs", type=click.IntRange(1), default=5, show_default=True, help="Of training the curve.")
@click.option(
    "--lr", type=FiniteRange(0, min_open=True), default=1e-3, show_default=True, help="Initial learning rate."
)
@click.option("--train-batch-size", type=click.IntRange(1), default=64, show_default=True)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of the training of the curve.")
@click.option("--grid", type=click.IntRange(3), default=21, show_default=True, help="Points on the curve.")
@calibration_option
@probe_options
@samples_option(1024)
@data_options
@run_options
@click.option("-o", "--output", type=click.Path(path_type=Path), help="HDF5 file.  [default: CKPT-CKPT.curve.h5]")
def connect(
    checkpoints: tuple[Path, Path],
    loss: str,
    epochs: int,
    lr: float,
    train_batch_size: int,
    grid: int,
    output: Path | None,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a Bezier curve of low loss between two checkpoints, and measure it beside the straight line.

    Trains the curve's middle point with --loss for --epochs on the train split, and keeps it as a checkpoint
    beside the result. Batch-norm statistics are re-estimated at every measured point. Writes
    CKPT-CKPT.curve.h5, its figure, and CKPT-CKPT.curve.pt.

    \b
    tetviz connect sdt.pt tet.pt --epochs 5 --loss tet
    """
    import numpy as np

    from tetviz.commands.console import note
    from tetviz.commands.probing import check_inputs, open_probe, recording
    from tetviz.landscape import compute_curve
    from tetviz.results import Lines
    from tetviz.training import Checkpoint, file_sha256
    from tetviz.training.checkpoint import check_state

    target = between_path(checkpoints, output, "curve")
    middle = target.with_suffix(".pt")
    check_inputs(checkpoints, [target], Lines, force)
    require_one_network(checkpoints)
    first, second = (Checkpoint.load(path) for path in checkpoints)
    if middle.exists() and "between" not in Checkpoint.load(middle).training:
        raise click.UsageError(f"-o {target}: the curve would replace the checkpoint {middle}; name another file")
    has_norms = any(name.endswith("running_mean") for name in first.state)
    subject, probe, seconds = open_probe(
        checkpoints[0], loads_calibration=True, bn="recalibrate" if has_norms else "frozen", **options
    )
    check_state(checkpoints[1], probe.model.state_dict(), second.state)
    settings = {
        "loss": loss,
        "epochs": epochs,
        "lr": lr,
        "batch_size": train_batch_size,
        "seed": options["seed"],
        "between": [file_sha256(path) for path in checkpoints],
        "timesteps": probe.t_train,
        "precision": probe.dtype,
        "data": subject.calibration.spec.to_dict() if subject.calibration else {},
    }
    if force or not middle.exists():
        note(f"training the curve for {epochs} epochs")
        control = _train_middle(subject, probe, second, settings)
        probe.place(control)  # with statistics that fit it
        state = probe.model.state_dict()
        Checkpoint(first.spec, state, first.timesteps, training=settings, data=settings["data"]).save(middle)
    trained = Checkpoint.load(middle)
    check_middle(middle, trained.training, settings)
    with recording(between(subject, checkpoints), target, force, 2 * grid, seconds) as record:
        control = {name: trained.state[name] for name in probe.origin}
        lines = compute_curve(probe, second.state, control, np.linspace(0, 1, grid), loss, record)
    report_path(lines, target, as_json)
    note(f"the curve's middle point is {middle}")


def _train_middle(subject: Any, probe: Any, second: Any, settings: dict[str, Any]) -> Any:
    from tetviz.commands.console import note
    from tetviz.errors import DataError
    from tetviz.landscape import train_curve

    frames = subject.calibration.spec.frames if subject.calibration.sequence else probe.t_train
    if frames < probe.t_train:
        raise DataError(
            f"the curve is trained in runs of {probe.t_train} timesteps, the train samples have {frames} frames; cut "
            f"the recordings into at least {probe.t_train} (--frames)"
        )
    return train_curve(
        subject.model,
        probe.origin,
        {name: second.state[name].to(weight) for name, weight in probe.origin.items()},
        subject.calibration,
        probe.t_train,
        progress=lambda epoch, loss: note(f"epoch {epoch}/{settings['epochs']}  loss on the curve {loss:.4f}"),
        **{name: settings[name] for name in ("loss", "epochs", "lr", "batch_size", "seed")},
    )


def check_middle(path: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Checks that a stored curve was trained as the command asks."""
    from tetviz.errors import CheckpointError

    differ = [
        f"{name} (was {found.get(name)!r}, now {wanted[name]!r})" for name in wanted if found.get(name) != wanted[name]
    ]
    if differ:
        raise CheckpointError(
            f"{path}: holds a curve of other settings: {', '.join(differ)}; choose another name with -o, or replace it "
            "with --force"
        )
