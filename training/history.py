"""The history that a checkpoint carries, as a result."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tetviz.errors import CheckpointError
from tetviz.results import Provenance, TrainingHistory
from tetviz.training.checkpoint import Checkpoint
from tetviz.training.schedule import Stage

_MEASURED = [f"{split}_{name}" for split in ("val", "test") for name in ("sdt_loss", "tet_loss", "accuracy")]


def is_better(record: Mapping[str, Any], best: Mapping[str, Any]) -> bool:
    """Whether an epoch is chosen before the best one so far: by held-out accuracy, then held-out L_SDT."""
    if not best or "val_accuracy" not in record:
        return True
    now, then = ((each["val_accuracy"], -each["val_sdt_loss"]) for each in (record, best))
    return bool(now > then)


def training_history(checkpoint: Checkpoint, provenance: Provenance | None = None) -> TrainingHistory:
    """The history of a checkpoint as arrays over epochs.

    ``OUTPUT.last.pt`` of ``tetviz train`` holds the whole run, ``OUTPUT.pt`` its epochs up to the chosen one.

    Args:
        checkpoint: any that ``tetviz train`` writes.
        provenance: what is known of its origin.

    Returns:
        The history; ``best_epoch`` is the chosen one of the last stage that has begun.

    Raises:
        CheckpointError: there is no history, or one that no training writes.
    """
    origin = provenance or Provenance()
    where = origin.checkpoint or "the checkpoint"
    if not checkpoint.history:
        raise CheckpointError(f"{where}: records no epoch; give the OUTPUT.last.pt of a run of tetviz train")
    try:
        return _tabulate(checkpoint.history, checkpoint.training, origin)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"{where}: its history is not one that tetviz train writes ({type(error).__name__}: {error}); "
            "give the OUTPUT.last.pt of a run"
        ) from error


def _tabulate(records: Sequence[Mapping[str, Any]], training: Mapping[str, Any], origin: Provenance) -> TrainingHistory:
    epoch = [record["epoch"] for record in records]
    if epoch != list(range(1, len(records) + 1)):
        raise ValueError(f"its epochs are not 1 to {len(records)}")
    stages = [Stage.parse(text) for text in training["stages"]]
    ends = list(itertools.accumulate(stage.epochs for stage in stages))
    if len(records) > ends[-1]:
        raise ValueError(f"it has {len(records)} epochs, its stages {ends[-1]}")
    stage = np.searchsorted(ends, epoch)
    losses = list(dict.fromkeys(str(record["loss"]) for record in records))
    best: Mapping[str, Any] = {}
    for record in itertools.compress(records, stage == stage[-1]):
        best = record if is_better(record, best) else best
    return TrainingHistory(
        epoch=np.array(epoch),
        stage=stage,
        timesteps=np.array([record["timesteps"] for record in records]),
        loss_index=np.array([losses.index(str(record["loss"])) for record in records]),
        lr=np.array([float(record["lr"]) for record in records]),
        train_loss=np.array([float(record["train_loss"]) for record in records]),
        **{name: np.array([float(record.get(name, np.nan)) for record in records]) for name in _MEASURED},
        losses=tuple(losses),
        stages=tuple(str(stage) for stage in stages),
        switch=str(training.get("switch", "")),
        best_epoch=int(best["epoch"]),
        planned_epochs=ends[-1],
        provenance=origin,
    )
