"""Results of networks that a study would train, with known differences."""

import dataclasses
from typing import Any, TypeVar

import numpy as np
from planted_results import planted_counts, planted_curvature, planted_curve, planted_history, planted_sharpness

from tetviz.results import Result

R = TypeVar("R", bound=Result)
SHIFTS = np.array([0.0, 0.02, -0.01, 0.03, -0.02])  # of accuracy, by seed


def trained(result: R, loss: str, seed: int, k: float | None = None, **settings: Any) -> R:
    """A result of a network that tetviz trained with a loss and a seed."""
    training = {"loss": loss, "seed": seed, "switch": "", "lamb": 0.05, "stages": ["4:30"], "lr": 0.001, **settings}
    neurons = {"surrogate": "triangle", "gamma": 1.0} if k is None else {"surrogate": "sigmoid", "gamma": 1 / k}
    origin = dataclasses.replace(
        result.provenance,
        label=f"{loss}-T4",
        training=training,
        neurons=neurons,
        network={"name": "snn5", "width": 1.0, "options": {}},
        dataset="cifar10",
        split="test",
        checkpoint_sha256=f"{loss}{seed}{k}{settings}",
    )
    return dataclasses.replace(result, provenance=origin)


def planted_accuracy(accuracy: float, **changes: Any) -> Any:
    """A scaling curve that has one accuracy at every T and step."""
    level = np.full(changes.pop("tmax", 8), accuracy)
    changes = {"relative_growth": 0 * level, "tet_loss": -np.log(level), **changes}
    return planted_curve(tmax=len(level), accuracy=level, step_accuracy=changes.pop("step_accuracy", level), **changes)


def planted_study(gain: float = 0.1, seeds: int = 5) -> list[Result]:
    """Everything that a claim needs: with L_TET accuracies are higher by about ``gain``, and losses flatter.

    The gain of a seed is ``gain`` times 1 and a hundredth for each seed.
    """
    made: list[Result] = []
    for seed in range(seeds):
        base, more = 0.6 + SHIFTS[seed % 5], gain * (1 + seed / 100)
        ripple = np.array([0, 0, 0, 0, 0.03, -0.03, 0.03, -0.03])
        for loss, accuracy, wave, low in (("sdt", base, 1.0, 5.0), ("tet", base + more, 0.1, 3.0)):
            sharp = planted_sharpness(sam=low / 10)
            lower = {name: (low + 0.01 * seed) * getattr(sharp, name) for name in ("sdt_loss", "tet_loss")}
            made += [
                trained(planted_accuracy(accuracy, step_accuracy=accuracy + wave * ripple), loss, seed),
                trained(planted_counts(accuracy=np.full(4, accuracy)), loss, seed),
                trained(dataclasses.replace(sharp, **lower), loss, seed),
                trained(dataclasses.replace(sharp, **lower, bn="recalibrate"), loss, seed),
                trained(planted_curvature(), loss, seed),
                trained(planted_history(loss=loss), loss, seed),
                trained(planted_accuracy(0.8 + more * (loss == "tet") / 10), loss, seed, k=10),
            ]
        made += [
            trained(planted_history(switch="tet@20"), "sdt", seed, switch="tet@20"),
            trained(planted_accuracy(base + 0.01), "sdt", seed, switch="tet@20"),
            trained(planted_accuracy(base + more + 0.001 * seed), "tet", seed, stages=["1:30", "4:7"]),
            trained(planted_accuracy(base + more + 0.02), "total", seed),
        ]
    return made
