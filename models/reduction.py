"""The outputs of all steps, out of a network that averages over time inside."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_MEANS: tuple[Any, ...] = (torch.mean, Tensor.mean)
_SUMS: tuple[Any, ...] = (torch.sum, Tensor.sum)


class TimeKept(TorchFunctionMode):
    """Skips means and sums over time, so that all that follows acts on every step.

    A call counts that reduces the time axis alone, of a tensor of three axes or more, where that axis is T long. Its
    input takes its place, scaled so that the reduction that the network is said to end in gives what the call
    would have given. What follows has to be linear, or mean(f(O)) is not f(mean(O)); the contract tests that.

    Attributes:
        skipped: how many calls were skipped.
    """

    def __init__(self, timesteps: int, axis: int, gives: str = "mean") -> None:
        super().__init__()
        self.timesteps, self.axis, self.gives, self.skipped = timesteps, axis, gives, 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Passes a call on, or skips it."""
        kwargs = kwargs or {}
        if func not in (*_MEANS, *_SUMS) or not self._over_time(*args, **kwargs):
            return func(*args, **kwargs)
        self.skipped += 1
        x = args[0] if args else kwargs["input"]
        if (func in _SUMS) == (self.gives == "sum"):
            return x
        return x * self.timesteps if func in _SUMS else x / self.timesteps

    def _over_time(self, input: Tensor, dim: Any = None, *_: Any, axis: Any = None, **__: Any) -> bool:
        dim = axis if dim is None else dim
        if isinstance(dim, tuple | list):
            dim = dim[0] if len(dim) == 1 else None
        if not isinstance(dim, int) or isinstance(dim, bool) or input.dim() < 3:
            return False
        return dim % input.dim() == self.axis and input.shape[self.axis] == self.timesteps
