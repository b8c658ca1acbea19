"""Networks of someone else's."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

T, B, K, SIDE = 4, 8, 5, 4
TIME_MAJOR: dict[str, Any] = {"takes": "time-major", "gives": "time-major"}


def images(samples: int = B) -> Tensor:
    return torch.randn(samples, 2, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """Leaky neurons between two layers; ``function(net, x)`` is its forward."""

    def __init__(self, function: Callable[..., Any] | None = None, **attributes: Any) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.first, self.last = nn.Linear(2 * SIDE * SIDE, 24), nn.Linear(24, K)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) / 3)
        self.function = function
        for name, value in attributes.items():
            setattr(self, name, value)

    def steps(self, x_TB: Any) -> Tensor:
        v: Any = 0.0
        outputs = []
        for x_B in x_TB:
            v = 0.6 * v + self.first(x_B.flatten(1))
            spikes = (v > 1).to(v)
            v = v - spikes
            outputs.append(self.last(spikes))
        return torch.stack(outputs)

    def forward(self, x: Tensor, *args: Any) -> Any:
        return self.steps(x) if self.function is None else self.function(self, x, *args)
