"""Whether the running statistics of batch normalisations are those of the weights and of the data at hand."""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tetviz.models.foreign.state import clone
from tetviz.training.doctor.runs import listed, logits, watching
from tetviz.training.losses import sdt_loss

_WORSE, _BY = 2.0, 0.1  # times the loss with the statistics of the batch, and nat above
_SCALE = 1.15  # of deviations over those of training
_ALIKE = 1.1  # upper over lower quartile of the channels' scales


def running_statistics(model: nn.Module, x: Tensor, labels_B: Tensor, timesteps: int) -> list[tuple[str, str]]:
    """Compares the running statistics with those of the batch: in the loss, and in the spread of the first input."""
    norms = {name: module for name, module in model.named_modules() if _tracks(module)}
    if not norms:
        return [("ok", "no normalisation keeps running statistics")]
    found = _input_scale(model, norms, x, timesteps)
    running, batch = (
        float(sdt_loss(logits(each, x, timesteps).double(), labels_B.to(x.device)))
        for each in (clone(model), _by_batch(model))
    )
    losses = f"L_SDT {running:.4f} with the running statistics, {batch:.4f} with those of {_samples(x)} samples"
    if running > _WORSE * batch + _BY:
        found.append(
            (
                "warning",
                f"{losses}: they have not caught up with the weights, or the data are not those of training; measure "
                "with --bn recalibrate, or train on with a larger momentum",
            )
        )
    return found or [("ok", losses)]


def _tracks(module: nn.Module) -> bool:
    return isinstance(module, _BatchNorm) and module.running_mean is not None


def _by_batch(model: nn.Module) -> nn.Module:
    copied = clone(model)
    for module in copied.modules():
        if isinstance(module, _BatchNorm):
            module.track_running_stats = False
            module.running_mean = module.running_var = module.num_batches_tracked = None
    return copied


def _input_scale(model: nn.Module, norms: dict[str, _BatchNorm], x: Tensor, timesteps: int) -> list[tuple[str, str]]:
    # A factor on the inputs is one on all channels of the first normalisation; what else differs is none.
    taken: dict[str, list[Tensor]] = {}

    def see(name: str, inputs: list[Tensor], results: list[Tensor]) -> None:
        if name in norms and (not taken or name in taken):
            taken.setdefault(name, []).append(_by_channel(norms[name], inputs[0]))

    copied = clone(model)
    with watching(copied, see):
        logits(copied, x, timesteps)
    if not taken:
        return []
    ((name, parts),) = taken.items()
    running_var = norms[name].running_var
    assert running_var is not None
    scales = (torch.cat(parts, 1).double().var(1) / running_var.double()).sqrt()
    low, scale, high = scales.quantile(torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64, device=x.device)).tolist()
    if not high < _ALIKE * low or 1 / _SCALE <= scale <= _SCALE:
        return []
    where = listed(model, [name])
    return [
        (
            "warning",
            f"the inputs are {scale:.3g} times as large as in training: into {where} they spread so much more or less "
            "than its running statistics, on all channels alike; give them the normalisation of the training",
        )
    ]


def _by_channel(norm: _BatchNorm, values: Tensor) -> Tensor:
    behind = {nn.BatchNorm2d: 2, nn.BatchNorm3d: 3}
    axes = next((count for kind, count in behind.items() if isinstance(norm, kind)), None)
    leading = 1 + (getattr(norm, "step_mode", "s") == "m")
    return values.movedim(leading if axes is None else -1 - axes, 0).flatten(1)


def _samples(x: Tensor) -> int:
    return x.shape[1] if x.dim() == 5 else len(x)
