"""How far long work is, on stderr: a bar in a terminal, a line now and then in the log of a batch job."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tetviz.commands.console import duration, note
from tetviz.training import Monitor


class ProgressLines:
    """Says how far work is in a line, once a tenth more of it is done and half a minute has passed since the last."""

    SHARE, SECONDS = 0.1, 30.0

    def __init__(
        self, description: str, total: float, done: float = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._description, self._total, self._clock = description, total, clock
        self._begin = self._said = (clock(), done)

    def update(self, done: float) -> None:
        now, (when, then) = self._clock(), self._said
        if now - when < self.SECONDS or done - then < self.SHARE * self._total or done >= self._total:
            return
        started, before = self._begin
        left = (now - started) / (done - before) * (self._total - done)
        share = f"{100 * done / self._total:.0f} % ({done:g} of {self._total:g})"
        note(f"{self._description}: {share}, {duration(left)} left")
        self._said = (now, done)


def new_bar(*columns: str) -> Progress:
    """A progress bar with elapsed and remaining time."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        *(TextColumn(column) for column in columns),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )


@contextmanager
def progress(description: str, total: int, done: int = 0) -> Iterator[Callable[[float], None]]:
    """Shows how far work is; what it yields is to be called with how much is done."""
    if not sys.stderr.isatty():
        yield ProgressLines(description, total, done).update
        return
    with new_bar() as bar:
        task = bar.add_task(description, total=total, completed=done)
        yield lambda done: bar.update(task, completed=done)


@contextmanager
def counting(description: str, total: int) -> Iterator[Callable[[int], None]]:
    """The same for work that tells how much more is done."""
    with progress(description, total) as update:
        done = 0

        def advance(more: int) -> None:
            nonlocal done
            done += more
            update(done)

        yield advance


class TrainingProgress(Monitor):
    """A bar or lines over all batches of a run, and a line for each epoch."""

    def __init__(self) -> None:
        self._bar = new_bar("loss {task.fields[loss]:.4f}", "test {task.fields[accuracy]}")
        self._lines: ProgressLines | None = None
        self._task: TaskID | None = None
        self._done = self._total = self._batch = 0

    def on_start(self, done: int, total: int) -> None:
        """Shows the bar."""
        self._done, self._total = done, total
        if done:
            note(f"resumed: {done} of {total} epochs are done")
        if sys.stderr.isatty():
            self._bar.start()

    def on_batch(self, batch: int, batches: int, loss: float) -> None:
        """Moves the bar."""
        left = (self._total - self._done) * batches
        self._batch += 1
        if not sys.stderr.isatty():
            self._lines = self._lines or ProgressLines("training", left)
            self._lines.update(self._batch)
            return
        if self._task is None:
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
