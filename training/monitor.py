"""What watches a training run: the interface, and TensorBoard logs."""

from pathlib import Path
from typing import Any

from tetviz.errors import TrainingError


class Monitor:
    """Watches a run; every method may be overridden and does nothing here."""

    def on_start(self, done: int, total: int) -> None:
        """The run begins or goes on."""

    def on_batch(self, batch: int, batches: int, loss: float) -> None:
        """A batch has been trained on."""

    def on_epoch(self, record: dict[str, Any]) -> None:
        """An epoch is finished and saved."""

    def on_end(self) -> None:
        """The run is over, finished or not."""


class TensorBoardMonitor(Monitor):
    """Writes every epoch's record as TensorBoard scalars."""

    def __init__(self, log_dir: str | Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise TrainingError("--log-dir needs TensorBoard: pip install 'tetviz[tensorboard]'") from error
        self._open, self._log_dir = SummaryWriter, str(log_dir)
        self._writer: Any = None

    def on_start(self, done: int, total: int) -> None:
        """Opens the log; entries of epochs that will run again are dropped."""
        self._writer = self._open(self._log_dir, purge_step=done + 1)

    def on_epoch(self, record: dict[str, Any]) -> None:
        """Logs every number of the record."""
        for name, value in record.items():
            if isinstance(value, int | float) and name != "epoch":
                self._writer.add_scalar(name, value, record["epoch"])
        self._writer.flush()

    def on_end(self) -> None:
        """Closes the log."""
        if self._writer is not None:
            self._writer.close()
