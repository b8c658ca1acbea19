"""The losses of the TET paper, and others, on the outputs O(t) of a spiking network.

logits_TBK: T timesteps, B batch, K classes; labels_B: class indices. Every loss is a mean over the batch. With
labels_BT (:func:`tetviz.training.mask_labels`) a sample has min(T, L_i) steps, and a mean over steps is one over these.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from tetviz.errors import unknown
from tetviz.training.padding import classes_and_lengths, mean_over_steps, of_run

Loss = Callable[[Tensor, Tensor], Tensor]


def no_better_than_chance(loss: float, classes: int) -> bool:
    """Whether a loss in nats is that of equal odds, log K, or more; below it a thousandth of a nat is nothing."""
    return loss >= math.log(classes) - 1e-3


def step_cross_entropy(logits_TBK: Tensor, labels_B: Tensor) -> Tensor:
    """Cross-entropy of every step and sample on its own.

    Args:
        logits_TBK: outputs O(t).
        labels_B: class indices, or labels_BT.

    Returns:
        CE(O(t), y), T x B, in nats; 0 behind the end of a sample.
    """
    labels_B = of_run(labels_B, len(logits_TBK))
    labels_TB = labels_B.expand(len(logits_TBK), -1) if labels_B.dim() == 1 else labels_B.T
    return F.cross_entropy(logits_TBK.flatten(0, 1), labels_TB.flatten(), reduction="none").view_as(labels_TB)


def sdt_loss(logits_TBK: Tensor, labels_B: Tensor) -> Tensor:
    """Standard direct training: CE(mean_t O(t), y) (Deng et al. 2022, eq. 7).

    Args:
        logits_TBK: outputs O(t).
        labels_B: class indices, or labels_BT.

    Returns:
        The loss in nats, a scalar.
    """
    labels_B = of_run(labels_B, len(logits_TBK))
    return F.cross_entropy(mean_over_steps(logits_TBK, labels_B), classes_and_lengths(labels_B, len(logits_TBK))[0])


def tet_loss(logits_TBK: Tensor, labels_B: Tensor) -> Tensor:
    """Temporal efficient training: mean_t CE(O(t), y) (Deng et al. 2022, eq. 9).

    Never less than :func:`sdt_loss`, since cross-entropy is convex in the logits (Jensen).

    Args:
        logits_TBK: outputs O(t).
        labels_B: class indices, or labels_BT.

    Returns:
        The loss in nats, a scalar.
    """
    return _mean(step_cross_entropy(logits_TBK, labels_B), labels_B)


def _mean(values_TB: Tensor, labels_B: Tensor | None) -> Tensor:
    # Over the steps of each sample, then over samples and any further axes.
    if labels_B is None or of_run(labels_B, len(values_TB)).dim() == 1:
        return values_TB.mean()
    return mean_over_steps(values_TB, of_run(labels_B, len(values_TB))).mean()


def mse_regulariser(logits_TBK: Tensor, phi: float = 1.0, labels_B: Tensor | None = None) -> Tensor:
    """Mean of (O(t) - phi)^2 over steps, samples and classes (Deng et al. 2022, eq. 12).

    Args:
        logits_TBK: outputs O(t).
        phi: the value that every output is pulled to.
        labels_B: labels_BT where samples end before the last step.

    Returns:
        The regulariser, a scalar.
    """
    return _mean((logits_TBK - phi) ** 2, labels_B)


def total_loss(logits_TBK: Tensor, labels_B: Tensor, lamb: float = 0.05, phi: float = 1.0) -> Tensor:
    """(1 - lamb) L_TET + lamb L_MSE (Deng et al. 2022, eq. 13).

    Args:
        logits_TBK: outputs O(t).
        labels_B: class indices, or labels_BT.
        lamb: weight of the regulariser; the paper takes 0.05 on CIFAR, 0.001 on ImageNet and DVS-CIFAR10.
        phi: the value that every output is pulled to.

    Returns:
        The loss, a scalar.
    """
    return (1 - lamb) * tet_loss(logits_TBK, labels_B) + lamb * mse_regulariser(logits_TBK, phi, labels_B)


def mse_loss(logits_TBK: Tensor, labels_B: Tensor) -> Tensor:
    """Mean over samples and classes of (mean_t O(t) - y)^2, y one-hot (Wu et al. 2018).

    Args:
        logits_TBK: outputs O(t).
        labels_B: class indices, or labels_BT.

    Returns:
        The loss, a scalar.
    """
    labels_B = of_run(labels_B, len(logits_TBK))
    mean_BK = mean_over_steps(logits_TBK, labels_B)
    classes_B = classes_and_lengths(labels_B, len(logits_TBK))[0]
    return F.mse_loss(mean_BK, F.one_hot(classes_B, mean_BK.shape[1]).to(mean_BK.dtype))


def trt_loss(logits_TBK: Tensor, labels_B: Tensor, eta: float = 0.05) -> Tensor:
    """Temporal regularisation training, on the outputs: (1 - eta) L_TET + eta (O(t) - y)^2, y one-hot.

    The square is a mean over steps, samples and classes. The other term of L_TRT, on the weights, is
    :func:`tetviz.training.regularisers.decay_over_time` (arXiv 2506.19256, as in its code).

    Args:
        logits_TBK: outputs O(t).
        labels_B: class indices, or labels_BT.
        eta: weight of the square; the paper's code takes 0.05 on CIFAR, 0.001 on DVS-CIFAR10.

    Returns:
        The loss, a scalar.
    """
    labels_B = of_run(labels_B, len(logits_TBK))
    classes_B = classes_and_lengths(labels_B, len(logits_TBK))[0]
    squares_TBK = (logits_TBK - F.one_hot(classes_B, logits_TBK.shape[2]).to(logits_TBK.dtype)) ** 2
    return (1 - eta) * tet_loss(logits_TBK, labels_B) + eta * _mean(squares_TBK, labels_B)


def make_loss(name: str, lamb: float = 0.05, phi: float = 1.0) -> Loss:
    """A loss by name."""
    if name not in LOSSES:
        raise ValueError(unknown("loss", name, LOSSES))
    if name == "total":
        return lambda logits_TBK, labels_B: total_loss(logits_TBK, labels_B, lamb, phi)
    if name == "trt":
        return lambda logits_TBK, labels_B: trt_loss(logits_TBK, labels_B, lamb)
    return LOSSES[name]


LOSSES: dict[str, Callable[..., torch.Tensor]] = {
    "sdt": sdt_loss,
    "tet": tet_loss,
    "total": total_loss,
    "mse": mse_loss,
    "trt": trt_loss,
}
