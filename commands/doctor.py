"""``tetviz doctor``: whether a checkpoint is fit to be measured."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import tetviz
from tetviz.commands.command import command
from tetviz.commands.console import print_json, say
from tetviz.commands.options import (
    checkpoints_argument,
    data_options,
    machine_options,
    samples_option,
    timesteps_option,
)

if TYPE_CHECKING:
    from tetviz.training.doctor import Finding


@command()
@checkpoints_argument
@timesteps_option()
@samples_option(256, "Enough to find what is wrong.")
@data_options
@machine_options
@click.option("--json", "as_json", is_flag=True, help="Print the findings as a JSON list.")
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
    for path in checkpoints:
        tetviz.training.Checkpoint.load(path)
    records, failed = [], False
    for path in checkpoints:
        session = tetviz.commands.session.open_session(path, batch_size=batch_size, **options)
        batches = tetviz.training.to_batches(session.dataset, batch_size, session.indices)
        findings = tetviz.training.examine(session.model, batches, timesteps or session.checkpoint.timesteps)
        session.check_sources()
        failed |= any(finding.verdict == "failure" for finding in findings)
        records += [{"checkpoint": str(path), **dataclasses.asdict(finding)} for finding in findings]
        if not as_json:
            if len(checkpoints) > 1:
                say(f"{path}:")
            say(format_findings(findings))
    if as_json:
        print_json(records)
    if failed:
        raise click.exceptions.Exit(1)


def format_findings(findings: "list[Finding]") -> str:
    """Findings as a table."""
    widths = [max(len(getattr(finding, column)) for finding in findings) for column in ("verdict", "check")]
    return "\n".join(f"{f.verdict:<{widths[0]}}  {f.check:<{widths[1]}}  {f.message}" for f in findings)
