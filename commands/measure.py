"""The course of a measuring command: what is checked, measured, written, drawn and printed, and in which order."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import click

from tetviz.commands.cluster import workers_asked_for
from tetviz.commands.console import duration, exit_code, hold, note, print_results, warn
from tetviz.commands.progress import counting, progress
from tetviz.commands.session import compile_as_asked
from tetviz.errors import OutputError, ResultError
from tetviz.figures import Choices, save_figure
from tetviz.figures.output import source_digest
from tetviz.figures.plots.style import source_of
from tetviz.landscape import Store
from tetviz.landscape.store import Pool, in_this_process
from tetviz.results import Provenance, Result, load, save, writable_target
from tetviz.training import Checkpoint

if TYPE_CHECKING:
    from tetviz.commands.movable import MovableSession
    from tetviz.commands.session import Session
    from tetviz.figures.plots.picture import Picture
    from tetviz.landscape.workers import Workers

R = TypeVar("R", bound=Result)
S = TypeVar("S")


@dataclass(frozen=True)
class Job:
    """One measurement of a command.

    Attributes:
        path: the checkpoint.
        target: the HDF5 file that the result goes to.
        force: whether it may be replaced.
        finished: whether it is there already, complete, and is kept.
        resumes: whether the same command goes on with it once it was stopped.
    """

    path: Path
    target: Path
    force: bool
    finished: bool
    resumes: bool = True


def run_measurement(
    kind: type[R],
    checkpoints: Sequence[Path],
    targets: Sequence[Path],
    *,
    sessions: "Callable[[Sequence[Job]], Iterable[S]]",
    measure: Callable[[S, Job], R],
    draw: "Mapping[str, Callable[[Sequence[R]], Picture]]",
    warnings: Callable[[S, R], Iterable[str]] = lambda session, result: (),
    overlay: Path | None = None,
    needed: Sequence[Path] = (),
    choices: Choices | None = None,
    asked: Collection[str] = (),
    force: bool,
    as_json: bool,
) -> None:
    """Measures a result for every checkpoint, writes, draws and prints it.

    What can be refused is refused before the first measurement. A result that is there already is not measured again
    where it was asked for by the same command, and of its figures those that are missing, or of another result, are
    drawn.

    Args:
        targets: the HDF5 file of each checkpoint.
        sessions: opens what the jobs measure, one after the other or all at once.
        measure: gives the result of a job, which it has written.
        draw: the figures by name, the first named after the command; called with one result, or all for the overlay.
        warnings: what has to be said of a result.
        overlay: what the figures of all results together are named after.
        needed: checkpoints that are needed besides.
        choices: what to print of the results.
        asked: options that ask for further tables.
    """
    for target in targets:
        writable_target(target, force=True)
    hold(*targets, *([overlay] if overlay else []))
    figures = {target: figure_paths(target, draw) for target in [*targets, *([overlay] if overlay else [])]}
    jobs = [
        Job(path, target, force, _is_finished(target, kind, force))
        for path, target in zip(checkpoints, targets, strict=True)
    ]
    for job in jobs:
        for figure in figures[job.target].values():
            writable_target(figure, force or job.target.exists())
    for figure in figures[overlay].values() if overlay else ():
        writable_target(figure, force or all(job.finished for job in jobs))
    for path in (*checkpoints, *needed):
        Checkpoint.load(path)

    compile_as_asked()
    found: dict[Path, R] = {}
    visited = sorted(jobs, key=lambda job: not job.finished)  # what is there may be another command's: refused first
    workers = None if all(job.finished for job in jobs) else workers_asked_for()
    opened: Iterable[tuple[Job, S]] = zip(visited, sessions(visited), strict=True)
    if workers and isinstance(measure, InOneGo):
        opened = measure.begun_on(workers, opened)
    for job, session in opened:
        result = found[job.target] = measure(session, job)
        if job.finished:
            note(f"{job.target}: is there already, finished; --force measures it again")
        warn(warnings(session, result))
        drawn = _draw([result], draw, figures[job.target], of=[job])
        _tell([*([] if job.finished else [job.target]), *drawn])
    results = [found[target] for target in targets]
    if overlay:
        _tell(_draw(results, draw, figures[overlay], of=jobs))
    print_results(results, as_json, choices, asked)


def figure_paths(target: Path, names: Iterable[str]) -> dict[str, Path]:
    """The figures beside a result: ``tet.scale.png`` beside ``tet.scale.h5``, and of another name ``tet.exit.png``."""
    own, *others = names
    stem = target.stem.removesuffix(f".{own}")
    return {own: target.with_suffix(".png"), **{name: target.with_name(f"{stem}.{name}.png") for name in others}}


def _is_finished(target: Path, kind: type[Result], force: bool) -> bool:
    # A file that is no beginning of the result is refused before any work.
    writable_target(target, force=True)
    if force or not target.exists():
        return False
    try:
        done, total = load(target, kind).progress()
    except ResultError as error:
        raise OutputError(f"{error}. Choose another name with -o, or replace it with --force") from error
    return done == total


def _draw(
    results: Sequence[R],
    draw: "Mapping[str, Callable[[Sequence[R]], Picture]]",
    paths: Mapping[str, Path],
    of: Sequence[Job],
) -> list[Path]:
    # A figure of other results is of those before, whose command was stopped as it had measured and not yet drawn.
    source, drawn = source_digest(results), []
    for name, path in paths.items():
        if not all(job.finished for job in of) or source_of(path) != source:
            save_figure(draw[name](results), path, source)
            drawn.append(path)
    return drawn


def _tell(written: Sequence[Path]) -> None:
    if written:
        note(f"wrote {', '.join(map(str, written))}")


class InOneGo(Generic[R]):
    """How a result is measured in one pass over the samples.

    Args:
        compute: called with the session and the keywords indices, batch_size, provenance and progress.
        **settings: what decides the numbers besides checkpoint and samples.
    """

    def __init__(self, compute: Callable[..., R], **settings: Any) -> None:
        self._compute, self._settings = compute, settings
        self._begun: dict[Path, Callable[[], R]] = {}

    def __call__(self, session: "Session", job: Job) -> R:
        origin = self._origin(session)
        if job.finished:
            return cast(R, stored(job.target, Result, origin))
        if job.target in self._begun:
            result = self._begun.pop(job.target)()
        else:
            with counting(origin.label, len(session.indices)) as advance:
                result = self._call(session, origin)(progress=advance)
        session.check_sources()
        save(job.target, result)
        return result

    def begun_on(self, workers: "Workers", opened: Iterable[tuple[Job, Any]]) -> list[tuple[Job, Any]]:
        """Has workers begin with all that is not there yet."""
        jobs = list(opened)
        left = [(job, session) for job, session in jobs if not job.finished]
        note(f"{len(left)} checkpoints on {workers.count()} workers")
        for job, session in left:
            self._begun[job.target] = workers.start(self._call(session, self._origin(session)))
        return jobs

    def _origin(self, session: "Session") -> Provenance:
        return replace(session.provenance, request=session.request(self._settings))

    def _call(self, session: "Session", origin: Provenance) -> Callable[..., R]:
        batch_size = int(origin.batch_size)
        return partial(self._compute, session, indices=session.indices, batch_size=batch_size, provenance=origin)


def stored(target: Path, kind: type[R], wanted: Provenance) -> R:
    """Reads a result that was asked for by the same command."""
    result = load(target, kind)
    found: Provenance = result.provenance
    if found.request == wanted.request:
        return result
    if not found.request:
        raise OutputError(
            f"{target}: exists already, and does not say what was asked for when it was measured; choose another name "
            "with -o, or replace it with --force"
        )
    names = ("checkpoint_sha256", "dataset", "data_settings", "split", "batch_size", "seed")
    then, now = found.texts(), wanted.texts()
    differ = [name for name in names if then[name] != now[name]]
    raise OutputError(
        f"{target}: exists already, measured with another {', '.join(differ) or 'setting'}, by `{found.command}`; "
        "choose another name with -o, or replace it with --force"
    )


def point_by_point(
    compute: "Callable[[Any, Store], R]", points: "Callable[[Any], int]"
) -> "Callable[[MovableSession, Job], R]":
    """How a result is measured point by point, into a file that a stopped run goes on with.

    Args:
        compute: called with the session and with what keeps its points.
        points: how many points it takes.
    """

    def measure(session: "MovableSession", job: Job) -> R:
        if job.finished:
            return compute(session, Store(job.target, False, session.provenance))
        with recording(session, job, points(session), workers_asked_for()) as store:
            result = compute(session, store)
        if changed := session.changed_sources():
            warn([f"{changed}; the result is of the samples as they were read at its beginning"])
        return result

    return measure


@contextmanager
def recording(session: "MovableSession", job: Job, points: int, workers: "Workers | None" = None) -> Iterator[Store]:
    """Says how long a measurement takes, shows its progress, and says how to go on when it is stopped."""
    target = job.target
    done = load(target).progress()[0] if target.exists() and not job.force else 0
    before = _identity(target)
    resumed = f"resumed: {done} of {points} are done, " if done else ""
    left, seconds, each = points - done, session.seconds, f"{session.seconds:.2f} s each"
    pool: Pool = in_this_process
    if workers:
        seconds, each = seconds / workers.count(), f"{each}, {workers.count()} workers"
        pool = partial(workers.measure, points=left, seconds=session.seconds)
    note(f"{points} points, {resumed}{each}: about {duration(left * seconds)}")
    try:
        with progress(session.path.stem, points, done) as update:
            yield Store(target, job.force, session.provenance, lambda done, total: update(done), pool)
    except KeyboardInterrupt as stop:
        if target.exists() and not (job.force and _identity(target) == before):
            again = (
                "Go on with the same command (without --force)" if job.resumes else "A demo begins anew, with --force"
            )
            note(f"stopped; every finished point is in {target}. {again}")
        else:
            note("stopped before the first point was finished")
        raise click.exceptions.Exit(exit_code(stop)) from None


def _identity(path: Path) -> tuple[int, int] | None:
    # A file that took the place of another is another one, also where the clock was set back.
    return (path.stat().st_ino, path.stat().st_mtime_ns) if path.exists() else None
