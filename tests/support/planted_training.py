"""Training operations with known content."""

from typing import Any

import numpy as np
from planted_results import origin

from tetviz.results import TrainingOperations


def planted_training(*, label: str = "VGGSNN TET", steps: int = 2, **attributes: Any) -> TrainingOperations:
    """A convolution on analog input, one on spikes, a readout on spikes; ten samples, every step the same.

    For each sample and step the three layers have 1000, 4000 and 100 pairs. The first computes all of them forward
    and half in the weight gradient; the others a quarter forward, 30 % in the input gradient of the 50 % with an
    error, and 10 % in the weight gradient.
    """
    samples = 10
    dense = np.array([1000, 4000, 100])

    def pairs(*shares: float) -> Any:
        return np.repeat((samples * dense * shares).round().astype(np.int64)[:, None], steps, 1)

    def elements(*counts: int) -> Any:
        return np.repeat(samples * np.array(counts)[:, None], steps, 1)

    carried = np.arange(steps) < steps - 1
    neurons = np.array([64, 32])
    defaults: dict[str, Any] = {
        "layer": np.arange(3),
        "neuron": np.arange(2),
        "timestep": np.arange(1, steps + 1),
        "sample": np.arange(samples),
        "dense": pairs(1, 1, 1),
        "forward": pairs(1, 0.25, 0.25),
        "backward": pairs(0, 0.3, 0.3),
        "backward_error": pairs(0, 0.5, 0.5),
        "backward_need": pairs(0, 0.6, 0.4),
        "weight": pairs(0.5, 0.1, 0.1),
        "active_inputs": elements(48, 16, 8),
        "needed_inputs": elements(0, 32, 16),
        "active_errors": elements(32, 16, 10),
        "inputs": np.array([48, 64, 32]),
        "outputs": np.array([64, 32, 10]),
        "weights": np.array([27, 72, 320]),
        "spiking": np.array([0, 1, 1]),
        "input_gradient": np.array([0, 1, 1]),
        "neurons": neurons,
        "responsive": np.repeat(samples * neurons[:, None] // 2, steps, 1),
        "surrogate_mac": np.repeat(samples * neurons[:, None], steps, 1),
        "leak_mac": samples * neurons[:, None] * carried,
        "reset_mac": samples * neurons[:, None] * carried,
        "names": ("features.0.conv", "features.2.conv", "classifier"),
        "modules": ("Conv2d", "Conv2d", "Linear"),
        "neuron_names": ("features.1", "features.3"),
        "t_train": steps,
        "parameters": 500,
        "optimizer": "adam",
        "optimizer_mac": 8,
        "train_batch_size": 5,
        "train_samples": 12,
        "stages": ((2, 300), (6, 50)),
        "provenance": origin(label=label, dataset="cifar10", split="train", checkpoint="runs/tet_t2.pt"),
    }
    return TrainingOperations(**{**defaults, **attributes})
