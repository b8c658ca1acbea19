"""What is left of a network of smooth neurons when its neurons spike."""

from dataclasses import dataclass, replace
from typing import Any

import torch

from tetviz.models import ModelSpec
from tetviz.training import Checkpoint, TemporalProfile, measure


@dataclass(frozen=True)
class Transfer:
    """A network as it was trained, and the same weights with spiking neurons; all at its T of training.

    Attributes:
        accuracy: accuracy of the mean output, a fraction.
        sdt_loss: L_SDT in nats.
        tet_loss: L_TET in nats.
        spiking_accuracy: accuracy with spiking neurons; NaN where the network's own spike.
        spiking_sdt_loss: L_SDT likewise.
        spiking_tet_loss: L_TET likewise.
    """

    accuracy: float
    sdt_loss: float
    tet_loss: float
    spiking_accuracy: float = float("nan")
    spiking_sdt_loss: float = float("nan")
    spiking_tet_loss: float = float("nan")

    @property
    def gap(self) -> float:
        """Accuracy with spiking neurons less the network's own; negative where spikes do worse."""
        return self.spiking_accuracy - self.accuracy


def spiking_twin(checkpoint: Checkpoint) -> Checkpoint:
    """The same weights and batch-norm statistics, with neurons that spike.

    Args:
        checkpoint: of any network; forward, all surrogates but ``sigmoid`` are the same step.

    Returns:
        The checkpoint with the default surrogate.

    Raises:
        ValueError: the neurons are not of tetviz.
    """
    if not isinstance(checkpoint.spec, ModelSpec):
        raise ValueError("a foreign network has neurons of its own: its spiking twin is not known")
    return replace(checkpoint, spec=replace(checkpoint.spec, surrogate="triangle", gamma=1.0))


def measure_transfer(
    checkpoint: Checkpoint, data: Any, *, batch_size: int = 256, device: str | torch.device = "cpu"
) -> Transfer:
    """Measures a network as it is, and one of smooth neurons with spiking neurons as well.

    Args:
        checkpoint: the network.
        data: a Dataset or batches, as :func:`tetviz.training.measure` takes them.
        batch_size: samples a batch when a Dataset is given.
        device: where to measure.

    Returns:
        Both measurements.

    Raises:
        DataError: no samples, a label out of range, a sequence that is too short.
    """

    def numbers(each: Checkpoint) -> tuple[float, float, float]:
        profile: TemporalProfile = measure(each.model().to(device), data, each.timesteps, batch_size=batch_size)
        return float(profile.accuracy[-1]), float(profile.sdt_loss[-1]), float(profile.tet_loss[-1])

    own = numbers(checkpoint)
    smooth = isinstance(checkpoint.spec, ModelSpec) and checkpoint.spec.surrogate == "sigmoid"
    return Transfer(*own, *(numbers(spiking_twin(checkpoint)) if smooth else ()))
