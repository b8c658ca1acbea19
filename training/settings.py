"""What a checkpoint records of the run that made it, and how another run differs."""

from collections.abc import Mapping
from typing import Any

from tetviz.training.checkpoint import Checkpoint
from tetviz.training.config import TrainingConfig


def recorded(config: TrainingConfig, compression: Mapping[str, Any] | None) -> dict[str, Any]:
    """The settings of a run, with those of a compression."""
    return {**config.to_dict(), **({"compressed": dict(compression)} if compression else {})}


def differing_settings(
    checkpoint: Checkpoint, config: TrainingConfig, compression: Mapping[str, Any] | None = None
) -> list[str]:
    """What a checkpoint was trained with and a run would do otherwise."""
    pairs = [
        (checkpoint.spec.to_dict(), config.spec.to_dict()),
        (checkpoint.training, recorded(config, compression)),
        (checkpoint.data, config.data.to_dict()),
    ]
    may_differ = {"root"}
    if "normalise" not in checkpoint.data and "crop" not in config.augment:
        may_differ.add("normalise")  # older runs did not record it; their crops padded with the mean
    return sorted(
        f"{name} (was {then.get(name)!r}, now {now.get(name)!r})"
        for then, now in pairs
        for name in then.keys() | now.keys()
        if name not in may_differ and then.get(name) != now.get(name)
    )
