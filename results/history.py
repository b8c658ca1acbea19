"""How a training run went, epoch by epoch: the result of ``tetviz history``."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, cast

import numpy as np
import pandas as pd

from tetviz.results import fields
from tetviz.results.plain import MOST_TIMESTEPS
from tetviz.results.schema import FloatArray, IntArray, Result, array, array_fields

_nat = partial(array, ("epoch",), "nat")
_share = partial(array, ("epoch",), "1")


@dataclass(frozen=True, eq=False)
class TrainingHistory(Result):
    """What a training run recorded after every epoch.

    ``train_loss`` is of whatever loss the epoch was trained on. All else is measured after the epoch in eval mode,
    at the epoch's T: on the samples held out of the train split (NaN where there are none) and on the test split,
    which chooses nothing. ``losses`` are names, ``stages`` are of the form ``T:EPOCHS[@LR]``; ``switch`` is
    ``LOSS@EPOCH`` or empty. A run that was stopped has fewer epochs than ``planned_epochs``.
    """

    kind: ClassVar[str] = "history"

    epoch: IntArray = fields.index(("epoch",), long_name="epoch, from 1", least=1, rising=True)
    stage: IntArray = fields.index(("epoch",), long_name="index in stages of the epoch's stage", least=0)
    timesteps: IntArray = fields.index(
        ("epoch",), long_name="number of timesteps T of the epoch", least=1, most=MOST_TIMESTEPS
    )
    loss_index: IntArray = fields.index(
        ("epoch",), long_name="index in losses of the loss that was trained on", least=0
    )
    lr: FloatArray = _share(long_name="learning rate")
    train_loss: FloatArray = _nat(long_name="mean over the epoch of the loss trained on, in train mode")
    val_sdt_loss: FloatArray = _nat(long_name="L_SDT on the held-out samples (TET paper, eq. 7)")
    val_tet_loss: FloatArray = _nat(long_name="L_TET on the held-out samples (TET paper, eq. 9)")
    val_accuracy: FloatArray = _share(long_name="accuracy of the mean output on the held-out samples")
    test_sdt_loss: FloatArray = _nat(long_name="L_SDT on the test split (TET paper, eq. 7)")
    test_tet_loss: FloatArray = _nat(long_name="L_TET on the test split (TET paper, eq. 9)")
    test_accuracy: FloatArray = _share(long_name="accuracy of the mean output on the test split")
    losses: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    switch: str = ""
    best_epoch: int = 0
    planned_epochs: int = 0

    def __post_init__(self) -> None:
        """Checks that every epoch has a loss and a stage."""
        super().__post_init__()
        for name, entries in (("loss_index", self.losses), ("stage", self.stages)):
            if (getattr(self, name) >= len(entries)).any():
                raise ValueError(f"TrainingHistory.{name}: expected positions in {list(entries)}")

    def to_frame(self) -> pd.DataFrame:
        """The history as a table.

        Returns:
            A row for each epoch: the loss that it was trained on, and every number.
        """
        frame = super().to_frame()
        frame.insert(0, "loss", self.trained_on())
        return frame

    @property
    def of_training(self) -> bool:
        """Always."""
        return True

    @property
    def whole(self) -> bool:
        """Whether all epochs are done."""
        return len(self.epoch) == self.planned_epochs

    def begins(self, other: Result) -> bool:
        """Whether another one has the epochs of this one, and perhaps more, of the same training."""
        if not isinstance(other, TrainingHistory) or self.provenance.training != other.provenance.training:
            return False
        epochs = len(self.epoch)
        return all(
            np.array_equal(getattr(self, name), getattr(other, name)[:epochs], equal_nan=True)
            for name in array_fields(TrainingHistory)
        )

    def trained_on(self) -> list[str]:
        """The loss that each epoch was trained on.

        Returns:
            ``"sdt"``, ``"tet"``, ``"total"``, ``"mse"`` or ``"trt"`` for each epoch.
        """
        return [self.losses[index] for index in self.loss_index]

    def ends(self, name: str) -> list[int]:
        """The epochs after which something changes.

        Args:
            name: an array over epochs, such as ``"stage"`` or ``"loss_index"``.

        Returns:
            The last epoch before each change.
        """
        values = cast(IntArray, getattr(self, name))
        return [int(epoch) for epoch in self.epoch[:-1][np.diff(values) != 0]]
