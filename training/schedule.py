"""What is trained when: stages of growing T (TIT), a switch of the loss, the learning rate."""

import math
from dataclasses import dataclass

from tetviz.results.plain import MOST_TIMESTEPS
from tetviz.training.losses import LOSSES

LR_SCHEDULES = ("cosine", "constant")
MOST_EPOCHS = 1_000_000  # a plan has each of them
_MOST_LR = 1e30  # which float32 holds after the first steps of Adam


@dataclass(frozen=True)
class Stage:
    """A stretch of epochs at one T; several make time inheritance training (Deng et al. 2022, section 4.3).

    Args:
        timesteps: T of the stage.
        epochs: its length.
        lr: its initial learning rate; None for the run's.
    """

    timesteps: int
    epochs: int
    lr: float | None = None

    @classmethod
    def parse(cls, text: str) -> "Stage":
        """Reads ``T:EPOCHS`` or ``T:EPOCHS@LR``.

        Args:
            text: for example ``6:50@1e-4``.

        Returns:
            The stage.

        Raises:
            ValueError: the text is not of that form, or a number is out of range.
        """
        head, at, rate = text.partition("@")
        timesteps, colon, epochs = head.partition(":")
        try:
            stage = cls(int(timesteps), int(epochs), float(rate) if at else None)
        except ValueError:
            raise ValueError(f"expected T:EPOCHS or T:EPOCHS@LR such as 6:50@1e-4, got {text!r}") from None
        positive_lr = stage.lr is None or 0 < stage.lr <= _MOST_LR
        if not colon or stage.timesteps < 1 or stage.epochs < 1 or not positive_lr:
            raise ValueError(f"T and EPOCHS must be at least 1 and LR positive in T:EPOCHS@LR, got {text!r}")
        if stage.timesteps > MOST_TIMESTEPS or stage.epochs > MOST_EPOCHS:
            raise ValueError(
                f"T may be up to {MOST_TIMESTEPS:,} and EPOCHS up to {MOST_EPOCHS:,} in T:EPOCHS, got {text!r}"
            )
        return stage

    def __str__(self) -> str:
        return f"{self.timesteps}:{self.epochs}" + ("" if self.lr is None else f"@{self.lr!r}")


@dataclass(frozen=True)
class Switch:
    """A change of the loss (Deng et al. 2022, Figure 3).

    Args:
        loss: the loss from then on.
        after: how many epochs come before it.
    """

    loss: str
    after: int

    @classmethod
    def parse(cls, text: str) -> "Switch":
        """Reads ``LOSS@EPOCH``.

        Args:
            text: for example ``tet@200``: 200 epochs of the first loss, then TET.

        Returns:
            The switch.

        Raises:
            ValueError: the text is not of that form.
        """
        loss, _, after = text.partition("@")
        if loss not in LOSSES or not after.isdecimal() or int(after) < 1:
            raise ValueError(f"expected LOSS@EPOCH such as tet@200, with LOSS one of {', '.join(LOSSES)}, got {text!r}")
        return cls(loss, int(after))

    def __str__(self) -> str:
        return f"{self.loss}@{self.after}"


@dataclass(frozen=True)
class EpochPlan:
    """What one epoch does.

    Attributes:
        timesteps: T.
        loss: name of the loss that is trained on.
        lr: learning rate.
        starts_stage: whether a new stage begins, with a fresh optimiser.
    """

    timesteps: int
    loss: str
    lr: float
    starts_stage: bool


def plan_epochs(
    stages: list[Stage], loss: str, lr: float, lr_schedule: str = "cosine", switch: Switch | None = None
) -> list[EpochPlan]:
    """Lays out a run epoch by epoch.

    The cosine learning rate starts anew at each stage: lr (1 + cos(pi e / E)) / 2 in epoch e = 0..E-1 of E.
    """
    if lr_schedule not in LR_SCHEDULES:
        raise ValueError(f"unknown learning-rate schedule {lr_schedule!r}; known: {', '.join(LR_SCHEDULES)}")
    total = sum(stage.epochs for stage in stages)
    if switch is not None and switch.after >= total:
        raise ValueError(f"--switch {switch} comes after the last of {total} epochs")
    plans: list[EpochPlan] = []
    for stage in stages:
        start = lr if stage.lr is None else stage.lr
        for epoch in range(stage.epochs):
            decay = (1 + math.cos(math.pi * epoch / stage.epochs)) / 2 if lr_schedule == "cosine" else 1.0
            switched = switch is not None and len(plans) >= switch.after
            name = switch.loss if switch is not None and switched else loss
            plans.append(EpochPlan(stage.timesteps, name, start * decay, epoch == 0))
    return plans
