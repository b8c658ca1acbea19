"""A compression from beginning to end: ADMM, then training under what it has found."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tetviz.errors import CheckpointError
from tetviz.models import ModelSpec
from tetviz.training.checkpoint import Checkpoint
from tetviz.training.compression.admm import Admm
from tetviz.training.compression.held import Held
from tetviz.training.compression.projections import FULL
from tetviz.training.config import TrainingConfig
from tetviz.training.constraint import Constraint
from tetviz.training.data import DataSpec, LabelledDataset
from tetviz.training.loop import fit
from tetviz.training.monitor import Monitor
from tetviz.training.schedule import Stage

_RISE = 100.0  # of rho, from the first epoch of ADMM to the last


@dataclass(frozen=True)
class CompressionPlan:
    """How a network is compressed.

    Attributes:
        sparsity: the share of the weights of each layer that is set to 0; 0 prunes nothing.
        bits: of each weight that is left: 1.58, 3 to 8, or 32 for full precision.
        activity: lambda of the spikes in the loss.
        one_shot: whether weights are pruned by size at once, without ADMM.
        epochs: of ADMM.
        retrain: of the training that follows. What takes no ADMM is trained for the sum of both.
        lr: learning rate of Adam: constant in ADMM, by a cosine to 0 in the training that follows.
        rho: weight of the penalty in the first epoch of ADMM; in the last it is 100 times as large.
        batch_size: samples a step.
        seed: decides the order of samples.
    """

    sparsity: float = 0.0
    bits: float = FULL
    activity: float = 0.0
    one_shot: bool = False
    epochs: int = 10
    retrain: int = 10
    lr: float = 1e-3
    rho: float = 0.01
    batch_size: int = 64
    seed: int = 0

    @property
    def name(self) -> str:
        """A short name, such as ``s0.9-b3``; ``retrained`` where nothing is compressed."""
        parts = [f"s{self.sparsity:g}"] if self.sparsity else []
        parts += [f"b{self.bits:g}"] if self.bits != FULL else []
        parts += [f"a{self.activity:g}"] if self.activity else []
        parts += ["oneshot"] if self.one_shot else []
        return "-".join(parts) or "retrained"

    @property
    def takes_admm(self) -> bool:
        """Whether it begins with ADMM."""
        return not self.one_shot and (self.sparsity > 0 or self.bits != FULL)


def compress(
    checkpoint: Checkpoint,
    plan: CompressionPlan,
    train: LabelledDataset,
    test: LabelledDataset,
    path: str | Path,
    *,
    origin: str = "",
    device: str | torch.device = "cpu",
    monitors: Sequence[Monitor] = (),
) -> Checkpoint:
    """Compresses a network, or goes on where that was stopped.

    Network, T, loss and augmentation are those of the checkpoint; nothing is held out, and the last epoch counts.

    Args:
        checkpoint: the dense network.
        plan: how.
        train: the train split.
        test: the test split; it is recorded, and chooses nothing.
        path: file of the compressed network; ``.last.pt`` beside it is what a stopped run goes on from.
        origin: what tells the checkpoint from others, such as its SHA-256.
        device: where to train.
        monitors: what watches each training.

    Returns:
        The compressed network. Its pruned weights are exactly 0, its quantised ones exactly on the levels of their
        layer; ``training["compressed"]`` says how it was made.

    Raises:
        CheckpointError: a network that tetviz does not train.
        DataError: as in :func:`tetviz.training.fit`.
        TrainingError: likewise, or what is there belongs to another compression.
    """
    path = Path(path)
    config, settings = config_of(checkpoint, plan), settings_of(plan, origin)

    def run(phase: str, constraint: Constraint, state: dict[str, Any], epochs: int, schedule: str) -> Path:
        best = path if not phase else path.with_name(f"{path.stem}.{phase}.pt")
        last = best.with_name(f"{best.stem}.last.pt")
        stages = (Stage(checkpoint.timesteps, epochs),)
        run_config = dataclasses.replace(config, stages=stages, lr_schedule=schedule)
        keywords: dict[str, Any] = {"best_path": best, "last_path": last, "device": device, "resume": True}
        fit(run_config, train, test, **keywords, monitors=monitors, start=state, constraint=constraint)
        return last

    state, epochs = checkpoint.state, plan.epochs + plan.retrain
    if plan.takes_admm:
        growth = _RISE ** (1 / max(1, plan.epochs - 1))
        admm = Admm(settings, plan.sparsity, plan.bits, plan.activity, plan.rho, growth)
        state, epochs = Checkpoint.load(run("admm", admm, state, plan.epochs, "constant")).state, plan.retrain
    run("", Held(settings, plan.sparsity, plan.bits, plan.activity), state, epochs, "cosine")
    return Checkpoint.load(path)


def settings_of(plan: CompressionPlan, origin: str) -> dict[str, Any]:
    """What a compressed network records of how it was made."""
    return {"of": origin, **dataclasses.asdict(plan)}


def admm_distances(path: str | Path) -> list[float]:
    """||W - Z|| / ||W|| after every epoch of the ADMM behind a compressed network; nothing where there was none."""
    path = Path(path)
    last = path.with_name(f"{path.stem}.admm.last.pt")
    return [record["admm_distance"] for record in Checkpoint.load(last).history] if last.exists() else []


def config_of(checkpoint: Checkpoint, plan: CompressionPlan) -> TrainingConfig:
    """The settings that a compression trains with.

    Raises:
        CheckpointError: a network that tetviz does not train.
    """
    if not isinstance(checkpoint.spec, ModelSpec):
        raise CheckpointError(
            "tetviz compresses what it trains itself, not imported networks; name one of `tetviz train`"
        )
    was, data = checkpoint.training, checkpoint.data
    if not data:
        raise CheckpointError("records no data set to train on; name a checkpoint of `tetviz train`")
    loss = checkpoint.history[-1].get("loss", "tet") if checkpoint.history else was.get("loss", "tet")
    kept = {name: was[name] for name in ("lamb", "phi", "precision", "decay", "delta") if name in was}
    return TrainingConfig(
        checkpoint.spec,
        DataSpec(**data),
        (Stage(checkpoint.timesteps, 1),),
        loss=loss,
        augment=tuple(was.get("augment", ())),
        lr=plan.lr,
        batch_size=plan.batch_size,
        val_fraction=0.0,
        seed=plan.seed,
        **kept,
    )
