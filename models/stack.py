"""Residual blocks one behind the other, whose activations may be recomputed instead of kept."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint

from tetviz.models.layers import Parts, scaled
from tetviz.models.neuron import LIF

BlockMaker = Callable[..., nn.Module]


class ResidualStack(nn.Sequential):
    """Blocks in order.

    Args:
        checkpointing: so many blocks at a time keep only their input in training and run again in the backward pass
            (Chen et al. 2016): one more forward pass for a fraction of the memory, with the same gradients and
            running statistics. 0 keeps everything. Runs in eval mode and inside ``streaming`` keep everything.
    """

    def __init__(self, *blocks: Any, checkpointing: int = 0) -> None:
        super().__init__(*blocks)
        if checkpointing < 0:
            raise ValueError(f"checkpointing must be 0 or a number of blocks, got {checkpointing}")
        self.checkpointing = int(checkpointing)

    def forward(self, x_TBCHW: Tensor) -> Tensor:
        """Runs the blocks."""
        if not self.checkpointing or not self.training or not torch.is_grad_enabled() or self._streams():
            return super().forward(x_TBCHW)  # type: ignore[no-any-return, no-untyped-call]
        for start in range(0, len(self), self.checkpointing):
            again = _Recomputed(self[start : start + self.checkpointing])
            x_TBCHW = checkpoint(again, x_TBCHW, use_reentrant=False)
        return x_TBCHW

    def _streams(self) -> bool:
        # By the time of the backward pass the membranes that a run began with are gone.
        return any(isinstance(module, LIF) and module.carry for module in self.modules())


class _Recomputed:
    """Blocks that run once as they are, then with the weights of that run and copies of its buffers.

    A batch normalisation updates its statistics whenever it runs, and should do so once. A caller may have lent the
    network other weights for the forward pass (``functional_call``), which are gone in the backward pass.
    """

    def __init__(self, blocks: nn.Module) -> None:
        self.blocks, self.ran = blocks, False
        self.weights: dict[str, Tensor] = dict(blocks.named_parameters())
        self.buffers = dict(blocks.named_buffers())

    def __call__(self, x_TBCHW: Tensor) -> Tensor:
        if not self.ran:
            self.ran = True
            return self.blocks(x_TBCHW)  # type: ignore[no-any-return]
        copies = {name: buffer.clone() for name, buffer in self.buffers.items()}
        return functional_call(self.blocks, (self.weights, copies), (x_TBCHW,))  # type: ignore[no-any-return]


def stages(
    block: BlockMaker,
    channels: int,
    plan: Sequence[tuple[int, int, int]],
    width: float,
    parts: Parts,
    expansion: int = 1,
) -> tuple[list[nn.Module], int]:
    """The blocks of a residual network."""
    blocks = []
    for published, count, stride in plan:
        out_channels = scaled(published * expansion, width)
        make = block if expansion == 1 else partial(block, hidden=scaled(published, width))
        for index in range(count):
            blocks.append(make(channels, out_channels, stride if index == 0 else 1, parts))
            channels = out_channels
    return blocks, channels
