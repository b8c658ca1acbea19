"""What the commands that move a network have in common: the checks before, the estimate, the outputs."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tetviz.commands.console import note, progress_bar
from tetviz.commands.subject import Subject, duration, open_subject
from tetviz.errors import CheckpointError, OutputError, ResultError
from tetviz.landscape import Probe, Record
from tetviz.results import load, writable_target
from tetviz.training import Checkpoint, measure, to_batches
from tetviz.training.doctor import examine

if TYPE_CHECKING:
    from tetviz.results import Result

# What a network may fail and still be measured with --allow-chance.
EXCUSABLE = ("above chance", "spikes")


def check_target(target: Path, kind: "type[Result]", force: bool) -> None:
    """Refuses, before any work, to replace a finished result or its figure.

    Args:
        target: the HDF5 file.
        kind: what it is to hold.
        force: whether to replace it after all.

    Raises:
        OutputError: it exists, finished, or holds something else.
    """
    writable_target(target, force=True)
    if force or not target.exists():
        writable_target(target.with_suffix(".png"), force)
        return
    try:
        done, total = load(target, kind).progress()
    except ResultError as error:
        raise OutputError(f"{error}. Choose another name with -o, or replace it with --force") from error
    if done == total:
        raise OutputError(
            f"{target}: exists already and is complete, with both losses; draw it with "
            f"`tetviz plot {target} --loss sdt|tet -o FIGURE`, choose another name with -o, or replace it "
            "with --force"
        )


def open_probe(
    path: Path,
    *,
    timesteps: int | None,
    batch_size: int,
    allow_chance: bool,
    bn: str = "frozen",
    calibration: int = 256,
    loads_calibration: bool = False,
    **options: Any,
) -> tuple[Subject, Probe, float]:
    """Opens a checkpoint with its data, and examines it before hours are spent on it, as ``tetviz doctor`` does.

    Args:
        path: the checkpoint.
        timesteps: longest run T; the training T by default.
        batch_size: samples a batch.
        allow_chance: whether to go on with a network that is no better than chance, or silent.
        bn: batch-norm policy.
        calibration: train samples to re-estimate statistics on.
        loads_calibration: whether those are needed whatever the policy.
        **options: as :func:`open_subject` takes them.

    Returns:
        The subject, the probe, and the seconds that a point takes.

    Raises:
        CheckpointError: the network is not fit to be measured.
    """
    wanted = calibration if loads_calibration or bn == "recalibrate" else 0
    subject = open_subject(path, batch_size=batch_size, calibration=wanted, **options)
    steps = timesteps or subject.checkpoint.timesteps
    batches = list(to_batches(subject.dataset, batch_size, subject.indices))
    centre = measure(subject.model, batches, steps)
    note(
        f"{path}: L_SDT {centre.sdt_loss[-1]:.4f}, L_TET {centre.tet_loss[-1]:.4f}, accuracy "
        f"{centre.accuracy[-1]:.2%} at T = {steps} on {centre.samples} {subject.provenance.split} samples"
    )
    for finding in examine(subject.model, batches, steps):
        lifted = allow_chance and finding.check in EXCUSABLE
        if finding.verdict == "failure" and not lifted:
            cure = ". Measure it all the same with --allow-chance" if finding.check in EXCUSABLE else ""
            raise CheckpointError(f"{path}: not fit to be measured ({finding.check}): {finding.message}{cure}")
        if finding.verdict != "ok":
            note(f"warning: {finding.check}: {finding.message}")
    probe = Probe(
        subject.model,
        batches,
        steps,
        indices=subject.indices,
        batch_size=batch_size,
        bn=bn,
        calibration=subject.calibration,
        calibration_indices=subject.calibration_indices,
    )
    begin = time.perf_counter()
    moved = probe.measure({})
    seconds = time.perf_counter() - begin
    if bn != "frozen":
        note(
            f"batch norm {bn}: L_SDT {moved.sdt_loss[-1]:.4f}, L_TET {moved.tet_loss[-1]:.4f} at the centre, "
            f"with the checkpoint's statistics {centre.sdt_loss[-1]:.4f}, {centre.tet_loss[-1]:.4f}"
        )
    return subject, probe, seconds


def check_inputs(checkpoints: tuple[Path, ...], targets: list[Path], kind: "type[Result]", force: bool) -> None:
    """Checks all outputs and checkpoints before the first is measured.

    Args:
        checkpoints: the checkpoints.
        targets: an HDF5 file for each.
        kind: what the files are to hold.
        force: whether files may be replaced.
    """
    for target in targets:
        check_target(target, kind, force)
    for path in checkpoints:
        Checkpoint.load(path)


@contextmanager
def recording(subject: Subject, target: Path, force: bool, points: int, seconds: float) -> Iterator[Record]:
    """Says how long a measurement takes, shows its progress, and says how to go on when it is stopped.

    Args:
        subject: what is measured.
        target: the HDF5 file.
        force: whether it may be replaced.
        points: points in all.
        seconds: that a point takes.

    Yields:
        The record to measure into.
    """
    done = load(target).progress()[0] if target.exists() and not force else 0
    resumed = f"resumed: {done} of {points} are done, " if done else ""
    note(f"{points} points, {resumed}{seconds:.2f} s each: about {duration((points - done) * seconds)}")
    try:
        with progress_bar(subject.path.stem, points) as (bar, task):

            def report(done: int, total: int) -> None:
                bar.update(task, completed=done, total=total)

            yield Record(target, force, subject.provenance, report)
    except KeyboardInterrupt:
        kept = f"every finished point is in {target}; go on" if target.exists() else "nothing was finished; begin again"
        note(f"stopped: {kept} with the same command{' (without --force)' * target.exists()}")
        raise click.exceptions.Exit(130) from None
