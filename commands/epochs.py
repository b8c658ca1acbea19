"""The history of a training run, in progress or done, in a file that is read without torch."""

import dataclasses
from pathlib import Path
from typing import Any

from tetviz.commands.session import provenance_of
from tetviz.results import TrainingHistory, save
from tetviz.training import Checkpoint, DataSpec, Monitor, training_history


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
        save(self._target, history_of(self._last))


def history_of(path: Path) -> TrainingHistory:
    """The history in a checkpoint, which decides all of it."""
    checkpoint = Checkpoint.load(path)
    data = DataSpec(**checkpoint.data) if checkpoint.data else None
    origin = provenance_of(path, checkpoint)
    origin = dataclasses.replace(
        origin,
        dtype=str(next(iter(checkpoint.state.values())).dtype).removeprefix("torch."),
        label=path.stem.removesuffix(".last").encode(errors="replace").decode(),
        dataset=data.name if data else "",
        data_settings=data.to_dict() if data else {},
        request=origin.checkpoint_sha256,
    )
    return training_history(checkpoint, origin)
