"""What a command shows: progress on stderr, tables on stdout."""

import json
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tetviz.training.monitor import Monitor

if TYPE_CHECKING:
    from tetviz.figures import Choices
    from tetviz.results import Result


def note(text: str) -> None:
    """Prints a line on stderr."""
    click.echo(text, err=True)


def warn_at_chance(sdt_loss: float, classes: int) -> None:
    """Warns of a network that knows nothing: its loss is that of equal odds, log K, or more."""
    if sdt_loss >= math.log(classes) - 1e-3:
        note(
            f"warning: this network is no better than chance (L_SDT {sdt_loss:.4f}, log {classes} = "
            f"{math.log(classes):.4f}), its numbers say little; with few batches an epoch it takes more epochs, or a "
            "smaller --batch-size, until the batch-norm statistics follow"
        )


def new_progress(*columns: str) -> Progress:
    """A progress bar on stderr with elapsed and remaining time."""
    texts = [TextColumn(column) for column in columns]
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        *texts,
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )


@contextmanager
def progress_bar(description: str, total: int) -> Iterator[tuple[Progress, TaskID]]:
    """A single progress bar."""
    with new_progress() as progress:
        yield progress, progress.add_task(description, total=total)


def print_json(records: list[dict[str, Any]]) -> None:
    """Prints records as JSON on stdout; a number that is not finite is null."""

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(each) for each in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    click.echo(json.dumps([{name: plain(value) for name, value in record.items()} for record in records]))


def print_results(results: "Sequence[Result]", choices: "Choices", as_json: bool) -> None:
    """Prints the tables and words of results; as JSON the numbers alone, with what is warned of on stderr."""
    from tetviz.figures import printed, records
    from tetviz.figures.registry import view_of

    if not as_json:
        click.echo(printed(results, choices))
        return
    for text in view_of(results).words(results, choices).warned:
        note(f"warning: {text}")
    print_json(records(results, choices))


class TrainingProgress(Monitor):
    """A bar over all batches of a run, and a line for each epoch."""

    def __init__(self) -> None:
        self._bar = new_progress("loss {task.fields[loss]:.4f}", "test {task.fields[accuracy]}")
        self._task: TaskID | None = None
        self._done = self._total = 0

    def on_start(self, done: int, total: int) -> None:
        """Shows the bar."""
        self._done, self._total = done, total
        if done:
            note(f"resumed: {done} of {total} epochs are done")
        self._bar.start()

    def on_batch(self, batch: int, batches: int, loss: float) -> None:
        """Moves the bar."""
        if self._task is None:
            left = (self._total - self._done) * batches
            self._task = self._bar.add_task("", total=left, loss=loss, accuracy="-")
        description = f"epoch {self._done + 1}/{self._total}"
        self._bar.update(self._task, advance=1, description=description, loss=loss)

    def on_epoch(self, record: dict[str, Any]) -> None:
        """Prints the epoch's line."""
        self._done = record["epoch"]
        held_out = f"  held out {record['val_accuracy']:.2%}" if "val_accuracy" in record else ""
        self._bar.console.print(
            f"epoch {record['epoch']:>{len(str(self._total))}}/{self._total}  T {record['timesteps']}  "
            f"{record['loss']} {record['train_loss']:.4f}{held_out}  test {record['test_accuracy']:.2%}  "
            f"(L_SDT {record['test_sdt_loss']:.4f}, L_TET {record['test_tet_loss']:.4f})",
            highlight=False,
            soft_wrap=True,
        )
        if self._task is not None:
            self._bar.update(self._task, accuracy=f"{record['test_accuracy']:.2%}")

    def on_end(self) -> None:
        """Removes the bar."""
        self._bar.stop()
