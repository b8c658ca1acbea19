"""The settings of a training run, as plain data that a checkpoint stores and a resumed run must repeat."""

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tetviz.errors import unknown
from tetviz.models import ModelSpec
from tetviz.training.augment import AUGMENTATIONS
from tetviz.training.data import DataSpec
from tetviz.training.losses import LOSSES
from tetviz.training.regularisers import REGULARISERS
from tetviz.training.schedule import EpochPlan, Stage, Switch, plan_epochs

OPTIMIZERS = ("adam", "adamw", "sgd", "sam")
PRECISIONS = ("float32", "float64", "bfloat16", "float16")

_OF_A_CHOICE = {"rho": "sam", "decay": "trt", "delta": "trt", "reg": "reg", "reg_weight": "reg"}


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that decides the outcome of a run.

    Attributes:
        spec: the network.
        data: the data set.
        stages: T and length of each stage.
        loss: ``sdt``, ``tet``, ``total``, ``mse`` or ``trt``.
        switch: a change of the loss during the run.
        lamb: weight of the regulariser in ``total``, eta in ``trt``.
        phi: target of the regulariser in ``total``.
        optimizer: ``adam``, ``adamw``, ``sgd``, or ``sam``: ``sgd`` by the gradient uphill of the weights.
        lr: initial learning rate.
        lr_schedule: ``cosine`` or ``constant``, within each stage.
        weight_decay: weight decay of the optimiser.
        momentum: momentum of ``sgd`` and ``sam``.
        batch_size: samples a step.
        augment: names of batch augmentations.
        val_fraction: share of the train split held out to choose the best epoch.
        seed: decides initial weights, held-out samples, order and augmentation.
        precision: ``float32``, ``float64``, or ``bfloat16`` or ``float16`` by autocast.
        rho: how far uphill ``sam`` goes.
        decay: factor of the weight term of ``trt``.
        delta: how fast that falls from step to step.
        reg: a regulariser of the membrane potentials, ``im`` or ``rmp``; empty for none.
        reg_weight: its weight.
    """

    spec: ModelSpec
    data: DataSpec
    stages: tuple[Stage, ...]
    loss: str = "tet"
    switch: Switch | None = None
    lamb: float = 0.05
    phi: float = 1.0
    optimizer: str = "adam"
    lr: float = 1e-3
    lr_schedule: str = "cosine"
    weight_decay: float = 0.0
    momentum: float = 0.9
    batch_size: int = 64
    augment: tuple[str, ...] = ()
    val_fraction: float = 0.1
    seed: int = 0
    precision: str = "float32"
    rho: float = 0.05
    decay: float = 1e-5
    delta: float = 0.25
    reg: str = ""
    reg_weight: float = 0.005

    def __post_init__(self) -> None:
        """Checks names and numbers."""
        choices: list[tuple[str, str, Iterable[str]]] = [("loss", self.loss, LOSSES)]
        choices += [("optimizer", self.optimizer, OPTIMIZERS), ("precision", self.precision, PRECISIONS)]
        choices += [("regulariser", self.reg, REGULARISERS)] if self.reg else []
        choices += [("augmentation", name, AUGMENTATIONS) for name in self.augment]
        for what, name, known in choices:
            if name not in known:
                raise ValueError(unknown(what, name, known))
        if not self.stages or self.batch_size < 1 or not 0 < self.lr < math.inf or not 0 <= self.val_fraction < 1:
            raise ValueError("expected at least one stage, batch_size >= 1, lr > 0 and 0 <= val_fraction < 1")
        for name in ("rho", "decay", "delta", "reg_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be 0 or more and finite, got {getattr(self, name)}")
        self.plan()

    def plan(self) -> list[EpochPlan]:
        """The run, epoch by epoch."""
        return plan_epochs(list(self.stages), self.loss, self.lr, self.lr_schedule, self.switch)

    def to_dict(self) -> dict[str, Any]:
        """The settings beside network and data, as plain values; stages and switch as their text."""
        used = {  # which runs of before there was such a choice do not record
            "sam": self.optimizer == "sam",
            "trt": "trt" in (self.loss, self.switch.loss if self.switch else ""),
            "reg": self.reg != "",
        }
        unused = {name for name, choice in _OF_A_CHOICE.items() if not used[choice]}
        names = [f.name for f in dataclasses.fields(self) if f.name not in {"spec", "data"} | unused]
        values = {name: getattr(self, name) for name in names}
        values["stages"] = [str(stage) for stage in self.stages]
        values["switch"] = "" if self.switch is None else str(self.switch)
        values["augment"] = list(self.augment)
        return values
