"""What a command says: notes on stderr, JSON on stdout."""

import json
import math
import shlex
import signal
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import tetviz
from tetviz.errors import KindError, printable

if TYPE_CHECKING:
    from tetviz.figures import Choices
    from tetviz.results import Result

COMMAND_LINE = "tetviz.command_line"
WAIT, COMPILE = "tetviz.wait", "tetviz.compile"
WORKERS, SCHEDULER, THREADS = "tetviz.workers", "tetviz.scheduler", "tetviz.threads"


def command_line() -> str:
    """The command as it was typed."""
    return shlex.join(["tetviz", *click.get_current_context().meta.get(COMMAND_LINE, [])])


class Terminated(KeyboardInterrupt):
    """SIGTERM, of a batch system before the end, or SIGHUP: a command stops as it does by Ctrl-C.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int = signal.SIGTERM) -> None:
        super().__init__()
        self.number = number


def signal_of(stop: KeyboardInterrupt) -> int:
    """The signal that stopped a command."""
    return stop.number if isinstance(stop, Terminated) else signal.SIGINT


def exit_code(stop: KeyboardInterrupt) -> int:
    """What a command that was stopped ends with, as a shell counts signals."""
    return 128 + signal_of(stop)


def shown(text: str) -> str:
    """A text whose parts may be somebody else's, as lines that a terminal does not obey."""
    return "\n".join(printable(line) for line in text.split("\n"))


def say(text: str) -> None:
    """Prints lines on stdout."""
    click.echo(shown(text))


def note(text: str) -> None:
    """Prints lines on stderr."""
    click.echo(shown(text), err=True)


def hold(*outputs: Path) -> None:
    """Keeps outputs to this command until it ends; with --wait it waits for them."""
    context = click.get_current_context()
    for path in sorted({output.absolute() for output in outputs}):
        context.with_resource(tetviz.results.holding(path, wait=bool(context.meta.get(WAIT))))


@contextmanager
def as_usage() -> Iterator[None]:
    """Tells what a description refuses of the values that options give it."""
    try:
        yield
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def at_chance(sdt_loss: float, classes: int) -> list[str]:
    """What is to be said of a network that knows nothing: its loss is that of equal odds, log K, or more."""
    if not tetviz.training.losses.no_better_than_chance(sdt_loss, classes):
        return []
    return [
        f"this network is no better than chance (L_SDT {sdt_loss:.4f}, log {classes} = {math.log(classes):.4f}), its "
        "numbers say little; with few batches an epoch it takes more epochs, or a smaller --batch-size, until the "
        "batch-norm statistics follow"
    ]


def warn(sentences: Iterable[str]) -> None:
    """Prints warnings on stderr."""
    for sentence in sentences:
        note(f"warning: {sentence}")


def duration(seconds: float) -> str:
    """A time span for people, such as ``40 s``, ``3 min`` or ``2.5 h``."""
    if seconds < 90:
        return f"{math.ceil(seconds)} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def print_results(
    results: "Sequence[Result]", as_json: bool, choices: "Choices | None" = None, asked: Collection[str] = ()
) -> None:
    """Prints the tables and words of results; as JSON the numbers alone, with what is warned of on stderr."""
    choices = choices or tetviz.figures.Choices()
    if not as_json:
        say(tetviz.figures.printed(results, choices, asked))
        return
    for text in tetviz.figures.printing.refusals(results, choices, asked):
        note(text)
    warn(tetviz.figures.registry.view_of(results).words(results, choices).warned)
    print_json(tetviz.figures.records(results, choices, asked))


@contextmanager
def naming_kinds(files: Sequence[Path], results: "Sequence[Result]") -> Iterator[None]:
    """Says of results that do not belong together which file holds which kind: the first of each."""
    try:
        yield
    except KindError as error:
        first = {result.view: file for file, result in reversed(list(zip(files, results, strict=False)))}
        held = ", ".join(f"{file} holds {kind}" for kind, file in sorted(first.items()))
        raise KindError(f"{error} ({held})") from error


def print_json(value: Any) -> None:
    """Prints plain values as JSON on stdout; a number that is not finite is null."""

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {str(name): plain(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [plain(each) for each in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    click.echo(json.dumps(plain(value)))
