"""``tetviz doctor``: whether a checkpoint is fit to be measured."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tetviz.commands.options import checkpoints_argument, combined, data_options, samples_option

if TYPE_CHECKING:
    from tetviz.training.doctor import Finding

# As run_options, without --force: nothing is written.
look_options = combined(
    click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N."),
    click.option("--batch-size", type=click.IntRange(1), default=256, show_default=True, help="Samples a batch."),
    click.option("--precision", type=click.Choice(["float32", "float64"]), help="[default: the checkpoint's]"),
    click.option("--split", type=click.Choice(["test", "train"]), default="test", show_default=True),
    click.option("--json", "as_json", is_flag=True, help="Print the findings as a JSON list."),
)


@click.command()
@checkpoints_argument
@click.option("--timesteps", type=click.IntRange(1), help="Longest run T.  [default: T of training]")
@samples_option(256)
@data_options
@look_options
def doctor(
    checkpoints: tuple[Path, ...],
    timesteps: int | None,
    as_json: bool,
    batch_size: int,
    **options: Any,
) -> None:
    """Examine whether CKPT is fit to be measured, by experiments on copies of it.

    Does the same point give the same numbers twice, are they finite and better than chance, is a run of t steps
    the start of a longer one, do all layers fire, does float32 flip spikes, how long does a surface take? Writes
    nothing. The exit code is 1 if a check fails.

    \b
    tetviz doctor tet.pt
    tetviz doctor sdt.pt tet.pt --samples 1024 --json
    """
    from tetviz.commands.console import print_json
    from tetviz.commands.subject import open_subject
    from tetviz.training import Checkpoint, to_batches
    from tetviz.training.doctor import examine

    for path in checkpoints:
        Checkpoint.load(path)
    records, failed = [], False
    for path in checkpoints:
        subject = open_subject(path, batch_size=batch_size, **options)
        batches = to_batches(subject.dataset, batch_size, subject.indices)
        findings = examine(subject.model, batches, timesteps or subject.checkpoint.timesteps)
        failed |= any(finding.verdict == "failure" for finding in findings)
        records += [{"checkpoint": str(path), **dataclasses.asdict(finding)} for finding in findings]
        if not as_json:
            if len(checkpoints) > 1:
                click.echo(f"{path}:")
            click.echo(format_findings(findings))
    if as_json:
        print_json(records)
    if failed:
        raise click.exceptions.Exit(1)


def format_findings(findings: "list[Finding]") -> str:
    """Findings as a table."""
    widths = [max(len(getattr(finding, column)) for finding in findings) for column in ("verdict", "check")]
    return "\n".join(f"{f.verdict:<{widths[0]}}  {f.check:<{widths[1]}}  {f.message}" for f in findings)
