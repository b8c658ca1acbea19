"""Mode connectivity: a quadratic Bezier curve between two checkpoints, trained to have a low loss all along."""

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.data import DataLoader

from tetviz.errors import TrainingError
from tetviz.landscape.interpolation import bezier
from tetviz.models.foreign.draws import draw_anew
from tetviz.models.foreign.isolation import differentiating
from tetviz.training.batches import collate, with_lengths
from tetviz.training.loop import seeded
from tetviz.training.losses import LOSSES
from tetviz.training.padding import without_padding
from tetviz.training.profile import exact_kernels
from tetviz.training.recalibration import batch_norms


def train_curve(
    model: nn.Module,
    start: Mapping[str, Tensor],
    end: Mapping[str, Tensor],
    data: Any,
    timesteps: int,
    *,
    loss: str = "tet",
    epochs: int = 5,
    lr: float = 1e-3,
    batch_size: int = 64,
    seed: int = 0,
    progress: Callable[[int, float], None] | None = None,
) -> dict[str, Tensor]:
    """Finds the control point c of a curve between two checkpoints (Garipov et al. 2018, section 3.3).

    Minimises E[L(w(t))] over t ~ U(0, 1), one t for each batch, with Adam and a cosine schedule, from c = (w_0 +
    w_1) / 2. The weights of the curve are handed to the network as it is (``torch.func.functional_call``), so any
    architecture will do. Batch normalisation is in train mode and keeps no statistics; estimate them where the
    curve is measured.

    Args:
        model: ``model(x, timesteps)`` gives logits_TBK; not changed.
        start: parameter name to value at t = 0.
        end: at t = 1.
        data: a Dataset of (x_CHW or x_TCHW, label).
        timesteps: T.
        loss: ``sdt`` or ``tet``.
        epochs: passes over the data.
        lr: initial learning rate.
        batch_size: samples a batch.
        seed: of the order of the samples and of t.
        progress: called with the number of each finished epoch and its mean loss in nats.

    Returns:
        Parameter name to the control point.

    Raises:
        TrainingError: the loss is not finite.
    """
    control = {n: ((w + end[n]) / 2).detach().clone().requires_grad_() for n, w in start.items()}
    reference = next(iter(start.values()))
    optimizer = torch.optim.Adam(control.values(), lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    generator = torch.Generator().manual_seed(seed)
    loader = DataLoader(with_lengths(data), batch_size, shuffle=True, collate_fn=collate, generator=generator)
    modes = {module: module.training for module in model.modules()}
    buffers = {name: buffer.detach().clone() for name, buffer in model.named_buffers()}
    step, normalises = itertools.count(), bool(batch_norms(model))
    try:
        with seeded(seed), exact_kernels():
            model.train()
            for epoch in range(1, epochs + 1):
                total = 0.0
                for x, labels_B in loader:
                    if normalises:
                        what = "a trained curve, normalised by statistics of each batch"
                        without_padding(labels_B, timesteps, what, "take samples that fill all frames")
                    draw_anew(model, next(step))
                    t = float(torch.rand((), generator=generator))
                    weights = bezier(start, control, end, t)
                    inputs = (x.to(reference.device, reference.dtype), timesteps)
                    logits_TBK = functional_call(model, (weights, buffers), inputs)
                    value = LOSSES[loss](logits_TBK, labels_B.to(reference.device))
                    optimizer.zero_grad()
                    with differentiating(value):
                        value.backward()  # type: ignore[no-untyped-call]
                    optimizer.step()
                    total += value.item() * len(labels_B)
                schedule.step()
                if not math.isfinite(total):
                    raise TrainingError(
                        f"the loss on the curve is {total} in epoch {epoch}; lower the learning rate (--lr)"
                    )
                if progress is not None:
                    progress(epoch, total / len(data))
    finally:
        draw_anew(model, 0)
        for module, training in modes.items():
            module.training = training
    return {name: tensor.detach() for name, tensor in control.items()}
