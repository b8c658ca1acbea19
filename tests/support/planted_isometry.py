"""Block isometries made up for figures and tables."""

from typing import Any

import numpy as np

from tetviz.results import BlockIsometry, Provenance


def planted_isometry(
    *, label: str = "plain-20", blocks: int = 9, steps: int = 2, phi: float = 1.2, **attributes: Any
) -> BlockIsometry:
    """Every block stretches by phi, a quarter of it carried over from the step before; gradients obey the product."""
    neurons, layers = 2 * blocks + 1, 2 * blocks + 2
    matrix = np.zeros((blocks, steps, steps))
    matrix[:, range(steps), range(steps)] = phi
    matrix[:, range(1, steps), range(steps - 1)] = phi / 4
    runs = matrix.sum(2).mean(1)
    growth = np.sqrt(np.cumprod(runs[::-1])[::-1])
    share = np.sqrt([0.75, *[0.25 / max(1, steps - 1)] * (steps - 1)]) if steps > 1 else np.ones(1)
    arrays: dict[str, Any] = {
        "block": np.arange(blocks),
        "neuron": np.arange(neurons),
        "layer": np.arange(layers),
        "timestep": np.arange(1, steps + 1),
        "input_timestep": np.arange(1, steps + 1),
        "sample": np.arange(16),
        "phi": matrix,
        "step_phi": np.full(blocks, phi),
        "step_phi_se": np.full(blocks, 0.01),
        "run_phi": runs,
        "run_phi_se": np.full(blocks, 0.02),
        "closed_form": np.full((blocks, steps), 0.95 * phi),
        "input_gradient": 0.1 * growth[:, None] * share,
        "output_gradient": 0.1 * np.append(growth[1:], 1.0)[:, None] * share,
        "bypass": np.zeros(blocks),
        "rate": np.linspace(0.3, 0.1, neurons)[:, None] * np.ones(steps),
        "potential_mean": np.full((neurons, steps), 0.1),
        "potential_std": np.ones((neurons, steps)),
        "mass": np.full((neurons, steps), 0.16),
        "layer_gradient": np.full((layers, steps), 0.2),
    }
    settings: dict[str, Any] = {
        "names": tuple([f"blocks.{k}" for k in range(blocks)]),
        "modules": ("BasicBlock",) * blocks,
        "neuron_names": tuple([f"lif{k}" for k in range(neurons)]),
        "layer_names": tuple([f"conv{k}" for k in range(layers)]),
        "probes": 4,
        "t_train": steps,
        "provenance": Provenance(label=label, dataset="cifar10", split="test"),
    }
    return BlockIsometry(**{**arrays, **settings, **attributes})
