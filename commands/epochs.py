"""The history of a training run, in progress or done, in a file that is read without torch."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from tetviz.commands.session import provenance_of
from tetviz.results import Provenance, save
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
        checkpoint = Checkpoint.load(self._last)
        save(self._target, training_history(checkpoint, origin_of_history(self._last, checkpoint)))


def origin_of_history(path: Path, checkpoint: Checkpoint) -> Provenance:
    """Where the history of a checkpoint comes from; the checkpoint decides all of it."""
    data = DataSpec(**checkpoint.data) if checkpoint.data else None
    known = provenance_of(path, checkpoint)
    return dataclasses.replace(
        known,
        dtype=str(next(iter(checkpoint.state.values())).dtype).removeprefix("torch."),
        label=path.stem.removesuffix(".last").encode(errors="replace").decode(),
        dataset=data.name if data else "",
        data_settings=json.dumps(data.to_dict()) if data else "",
        request=known.checkpoint_sha256,
    )
