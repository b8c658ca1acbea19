"""Attacks made up for figures and tables."""

from dataclasses import replace
from typing import Any

import numpy as np

from tetviz.results import AttackRun, Provenance


def planted_attack(*, label: str = "VGGSNN TET", iterations: int = 5, **changes: Any) -> AttackRun:
    """Of 40 samples 36 are attacked; as many succeed in every iteration, half as many of the control."""
    attacked = np.arange(40) < 36
    succeeded = np.where(attacked, np.arange(40) % (iterations + 1), 0)
    control = np.where(np.arange(40) % 2, succeeded, 0)
    steps = np.arange(1, iterations + 1)
    rising = [((each > 0) & (each <= steps[:, None]))[:, attacked].mean(1) for each in (succeeded, control)]
    result = AttackRun(
        timestep=np.arange(1, 5),
        iteration=steps,
        sample=np.arange(40),
        label=np.arange(40) % 10,
        attacked=attacked.astype(np.int8),
        succeeded=succeeded,
        control_succeeded=control,
        distance=np.where(attacked, 0.02, np.nan),
        success=rising[0],
        control_success=rising[1],
        zero_gradient=np.linspace(0.5, 0.1, iterations),
        flips=np.full(iterations, 0.01),
        clean_accuracy=np.array([0.7, 0.8, 0.85, 0.9]),
        accuracy=np.array([0.2, 0.18, 0.16, 0.15]),
        control_accuracy=np.array([0.5, 0.5, 0.5, 0.525]),
        resampling_error=0.025,
        t_train=4,
        provenance=Provenance(label=label, dataset="cifar10", split="test"),
    )
    return replace(result, **changes)
