"""What ``tetviz study`` does: the commands of a plan that are not done yet, one after the other, and its page."""

import contextlib
import io
import shlex
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click

from tetviz.commands.cluster import workers_asked_for
from tetviz.commands.console import COMMAND_LINE, duration, exit_code, hold, note, say
from tetviz.commands.study_cost import Clock
from tetviz.commands.study_page import write_page
from tetviz.commands.study_plan import Job, command_named, jobs_of, read_plan
from tetviz.errors import OutputError, TetvizError, TrainingError
from tetviz.landscape.workers import Workers
from tetviz.results import Result, load

_PATHS = ("-o", "--data-root")


def run_study(named: str, folder: Path, data_root: Path | None, dry_run: bool, page_only: bool) -> None:
    """Trains and measures what a plan names and is not there yet, and writes the page of it."""
    plan = read_plan(named)
    jobs = jobs_of(plan, folder, data_root)
    left = unfinished(jobs)
    if not page_only:
        _say_cost(jobs, left, listed=dry_run)
    if dry_run:
        return
    folder.mkdir(parents=True, exist_ok=True)
    hold(folder / "study.html")
    workers = workers_asked_for() if left and not page_only else None
    run = partial(run_jobs_on, workers) if workers else run_jobs
    failed = [] if page_only else run(left)
    write_page(plan, folder, jobs, len(unfinished(jobs)))
    if failed:
        names = ", ".join(str(job.target) for job in failed)
        raise TrainingError(f"{len(failed)} of {len(jobs)} commands failed: {names}; see above, and give it again")


def unfinished(jobs: Sequence[Job]) -> list[Job]:
    """Those commands that are still to be run, in order.

    A training counts as done without its checkpoint too, where nothing is left to be measured of it.

    Raises:
        OutputError: a result that is there is one of another command.
    """
    measured = {job for job in jobs if job.needs and _is_done(job)}
    wanted = {job.needs for job in jobs if job.needs and job not in measured}
    trained = {
        job for job in jobs if not job.needs and _is_done(job) and (job.checkpoint.exists() or job not in wanted)
    }
    return [job for job in jobs if job not in measured | trained]


def _is_done(job: Job) -> bool:
    if not job.target.exists():
        return False
    found: Result = load(job.target)
    if asked(found.provenance.command) != asked(shlex.join(("tetviz", *job.words))):
        raise OutputError(
            f"{job.target}: is there already, made by `{found.provenance.command}`, and the plan asks for "
            f"`{shlex.join(('tetviz', *job.words))}`; choose another folder with -o, or delete the file"
        )
    return found.whole


def asked(command: str) -> list[str]:
    """What a command line asks for, wherever its files are: its words but for paths, in no order."""
    _, name, *words = shlex.split(command)
    paths = {index for index, word in enumerate(words) if word in _PATHS}
    plain = [word for index, word in enumerate(words) if index not in paths and index - 1 not in paths]
    kept = [word for word in plain if word not in ("--resume", "--force") and not word.endswith(".pt")]
    return [name, *sorted(kept)]


def _say_cost(jobs: Sequence[Job], left: Sequence[Job], listed: bool) -> None:
    trainings = sum(not job.needs for job in jobs)
    note(
        f"{trainings} trainings and {len(jobs) - trainings} measurements, {len(jobs) - len(left)} of "
        f"{len(jobs)} are done"
    )
    if not left:
        return
    seconds = Clock().seconds(left)
    training = sum(each for job, each in seconds.items() if not job.needs)
    whole = sum(seconds.values())
    note(f"what is left takes about {duration(whole)} here, {duration(training)} of it to train")
    for job in left if listed else ():
        say(f"{duration(seconds[job]):>8}  {shlex.join(('tetviz', *job.words))}")


def run_jobs(jobs: Sequence[Job]) -> list[Job]:
    """Runs commands one after the other; what one of them cannot do stops those alone that need it.

    Returns:
        Those that failed, and those that could not be run without them.
    """
    failed: list[Job] = []
    for number, job in enumerate(jobs, 1):
        if job.needs in failed:
            failed.append(job)
            continue
        words = _begun(job)
        note(f"[{number}/{len(jobs)}] {shlex.join(('tetviz', *words))}")
        try:
            run_command(words)
        except (TetvizError, click.UsageError) as error:
            note(f"failed: {error.format_message() if isinstance(error, click.UsageError) else error}")
            failed.append(job)
        except click.exceptions.Exit:
            note("the study was stopped; go on with the same command")
            raise
    return failed


def run_jobs_on(workers: Workers, jobs: Sequence[Job]) -> list[Job]:
    """Runs commands on workers, which see this folder under the same name: what needs a network once it is trained.

    Returns:
        Those that failed, and those that could not be run without them.
    """
    failed: list[Job] = []
    trainings = {job: position for position, job in enumerate(jobs) if not job.needs}
    calls = [partial(run_elsewhere, job, Path.cwd()) for job in jobs]
    note(f"on {workers.count()} workers")
    try:
        ended = workers.run(calls, [trainings.get(job.needs) if job.needs else None for job in jobs])
        for number, (position, outcome) in enumerate(ended, 1):
            job = jobs[position]
            note(f"[{number}/{len(jobs)}] {shlex.join(('tetviz', *job.words))}")
            if outcome is not None:
                failed.append(job)
                if job.needs not in failed:
                    note(f"failed: {outcome}")
    except KeyboardInterrupt as stop:
        note("the study was stopped; go on with the same command")
        raise click.exceptions.Exit(exit_code(stop)) from None
    return failed


def run_elsewhere(job: Job, folder: Path) -> None:
    """Runs a command in the process of a worker, whose words nobody hears.

    Raises:
        TetvizError: it failed, or the worker does not see the folder.
    """
    try:
        with contextlib.chdir(folder), contextlib.redirect_stderr(io.StringIO()):
            run_command(_begun(job))
    except click.UsageError as error:
        raise TrainingError(error.format_message()) from None
    except click.exceptions.Exit as stop:
        raise TrainingError(f"it ended with {stop.exit_code}") from None
    except OSError as error:
        raise TrainingError(f"a worker cannot use {folder} ({error.strerror or error})") from None


def _begun(job: Job) -> tuple[str, ...]:
    # The words of a training that was begun, or whose history alone is there.
    if job.needs:
        return job.words
    job.target.parent.mkdir(parents=True, exist_ok=True)
    if job.checkpoint.with_name(f"{job.checkpoint.stem}.last.pt").exists():
        return (*job.words, "--resume")
    return (*job.words, "--force") if job.target.exists() else job.words


def run_command(words: Sequence[str]) -> None:
    """Runs a command as if it had been typed; what it prints goes where its notes go."""
    command = command_named(words[0])
    with contextlib.redirect_stdout(sys.stderr), command.make_context(words[0], list(words[1:])) as context:
        context.meta[COMMAND_LINE] = list(words)
        command.invoke(context)
