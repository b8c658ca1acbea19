"""The history of a training run in progress, in a file that is read without torch."""

from pathlib import Path
from typing import Any

from tetviz.commands.history import provenance_of
from tetviz.results import save
from tetviz.training import Checkpoint, training_history
from tetviz.training.monitor import Monitor


class HistoryFile(Monitor):
    """Writes the history so far after every epoch, as ``tetviz history`` does at the end."""

    def __init__(self, last: Path, target: Path) -> None:
        self._last, self._target = last, target

    def on_start(self, done: int, total: int) -> None:
        """Writes the file of a run that goes on: what was stopped may have left none, or an older one."""
        if done:
            self._write()

    def on_epoch(self, record: dict[str, Any]) -> None:
        """Writes the file."""
        self._write()

    def _write(self) -> None:
        checkpoint = Checkpoint.load(self._last)
        save(self._target, training_history(checkpoint, provenance_of(self._last, checkpoint)))
