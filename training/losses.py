"""The losses of the TET paper on the outputs O(t) of a spiking network.

logits_TBK: T timesteps, B batch, K classes; labels_B: class indices. Every loss is a mean over the batch.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from tetviz.errors import unknown

Loss = Callable[[Tensor, Tensor], Tensor]


def no_better_than_chance(loss: float, classes: int) -> bool:
    """Whether a loss in nats is that of equal odds, log K, or more; below it a thousandth of a nat is nothing."""
    return loss >= math.log(classes) - 1e-3


def step_cross_entropy(logits_TBK: Tensor, labels_B: Tensor) -> Tensor:
    """Cross-entropy of every step and sample on its own.

    Args:
        logits_TBK: outputs O(t).
        labels_B: class indices.

    Returns:
        CE(O(t), y), T x B, in nats.
    """
    labels_TB = labels_B.expand(len(logits_TBK), -1)
    return F.cross_entropy(logits_TBK.flatten(0, 1), labels_TB.flatten(), reduction="none").view_as(labels_TB)


def sdt_loss(logits_TBK: Tensor, labels_B: Tensor) -> Tensor:
    """Standard direct training: CE(mean_t O(t), y) (Deng et al. 2022, eq. 7).

    Args:
        logits_TBK: outputs O(t).
        labels_B: class indices.

    Returns:
        The loss in nats, a scalar.
    """
    return F.cross_entropy(logits_TBK.mean(0), labels_B)


def tet_loss(logits_TBK: Tensor, labels_B: Tensor) -> Tensor:
    """Temporal efficient training: mean_t CE(O(t), y) (Deng et al. 2022, eq. 9).

    Never less than :func:`sdt_loss`, since cross-entropy is convex in the logits (Jensen).

    Args:
        logits_TBK: outputs O(t).
        labels_B: class indices.

    Returns:
        The loss in nats, a scalar.
    """
    return step_cross_entropy(logits_TBK, labels_B).mean()


def mse_regulariser(logits_TBK: Tensor, phi: float = 1.0) -> Tensor:
    """Mean of (O(t) - phi)^2 over steps, samples and classes (Deng et al. 2022, eq. 12).

    Args:
        logits_TBK: outputs O(t).
        phi: the value that every output is pulled to.

    Returns:
        The regulariser, a scalar.
    """
    return ((logits_TBK - phi) ** 2).mean()


def total_loss(logits_TBK: Tensor, labels_B: Tensor, lamb: float = 0.05, phi: float = 1.0) -> Tensor:
    """(1 - lamb) L_TET + lamb L_MSE (Deng et al. 2022, eq. 13).

    Args:
        logits_TBK: outputs O(t).
        labels_B: class indices.
        lamb: weight of the regulariser; the paper takes 0.05 on CIFAR, 0.001 on ImageNet and DVS-CIFAR10.
        phi: the value that every output is pulled to.

    Returns:
        The loss, a scalar.
    """
    return (1 - lamb) * tet_loss(logits_TBK, labels_B) + lamb * mse_regulariser(logits_TBK, phi)


def make_loss(name: str, lamb: float = 0.05, phi: float = 1.0) -> Loss:
    """A loss by name."""
    if name not in LOSSES:
        raise ValueError(unknown("loss", name, LOSSES))
    if name == "total":
        return lambda logits_TBK, labels_B: total_loss(logits_TBK, labels_B, lamb, phi)
    return LOSSES[name]


LOSSES: dict[str, Callable[..., torch.Tensor]] = {"sdt": sdt_loss, "tet": tet_loss, "total": total_loss}
