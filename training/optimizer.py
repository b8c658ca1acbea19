"""The optimiser of a run: what it makes of the settings, and how it goes on where a run was stopped."""

from typing import Any

import torch
from torch import Tensor, nn

from tetviz.models import STFN
from tetviz.training.config import TrainingConfig


def make_optimizer(config: TrainingConfig, model: nn.Module) -> torch.optim.Optimizer:
    """A fresh optimiser of a network's weights; of ``sam`` the one that takes the step."""
    weights = _decaying(model)
    if config.optimizer in ("sgd", "sam"):
        return torch.optim.SGD(weights, config.lr, momentum=config.momentum, weight_decay=config.weight_decay)
    adam = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return adam(weights, config.lr, weight_decay=config.weight_decay)


def _decaying(model: nn.Module) -> list[dict[str, Any]]:
    # Scale and shift of STFN do not decay, else the neurons behind die out.
    kept = {id(each) for module in model.modules() if isinstance(module, STFN) for each in module.parameters()}
    groups: list[dict[str, Any]] = [{"params": [each for each in model.parameters() if id(each) not in kept]}]
    if kept:
        groups.append({"params": [each for each in model.parameters() if id(each) in kept], "weight_decay": 0.0})
    return groups


def restore_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Sets an optimiser to what a checkpoint kept of it.

    Raises:
        ValueError: it has other settings, or what it keeps does not fit the weights.
    """
    groups = zip(optimizer.state_dict()["param_groups"], state["param_groups"], strict=True)
    if any(then[name] != now[name] for now, then in groups for name in then.keys() & now.keys() - {"lr"}):
        raise ValueError("its optimizer has other settings")
    optimizer.load_state_dict(state)
    for weights, kept in optimizer.state.items():
        if any(isinstance(each, Tensor) and each.dim() and each.shape != weights.shape for each in kept.values()):
            raise ValueError("what its optimizer keeps does not fit the weights")
