"""Small networks whose operations are counted. Calls no tetviz.

Weights and inputs are small multiples of powers of two, so that float32 computes them without rounding and the
spikes do not depend on the order of a sum: however a run is laid out, it is the same run.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STEPS = 4


def dyadic(shape: tuple[int, ...], seed: int, unit: float = 1 / 8) -> Tensor:
    """Multiples of ``unit`` between -1 and 1, the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    reach = round(1 / unit)
    return torch.randint(-reach, reach + 1, shape, generator=generator) * unit


def make_dyadic(model: nn.Module, seed: int = 0) -> nn.Module:
    """Gives a network weights that float32 computes with exactly, and puts it into eval mode."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):  # doubles its input and adds a bit
            module.eps = 0.0
            assert module.running_var is not None
            module.running_var.fill_(0.25)
            nn.init.constant_(module.bias, 0.125)
            continue
        for parameter in module.parameters(recurse=False):
            values = torch.randint(-8, 9, parameter.shape, generator=generator)
            parameter.data.copy_(torch.where(values == 0, 3, values) / 16)
    return model.eval()


def split(merged: Tensor, lead: torch.Size) -> Tensor:
    """Takes the first axis apart again."""
    return merged.reshape(*lead, *merged.shape[1:])


def over_steps(currents: list[Tensor], leak: float = 0.5, threshold: float = 1.0) -> list[Tensor]:
    """LIF with a hard reset, a step after the other."""
    u, spikes = torch.zeros_like(currents[0]), []
    for current in currents:
        u = leak * u + current
        s = (u > threshold).to(u.dtype)
        u = u * (1 - s)
        spikes.append(s)
    return spikes


class PlainLIF(nn.Module):
    """LIF that tetviz does not know, over the time axis of its input, or from call to call where there is none."""

    def __init__(self, axis: int | None = 0) -> None:
        super().__init__()
        self.axis, self.u = axis, torch.zeros(())

    def forward(self, current: Tensor) -> Tensor:
        if self.axis is not None:
            return torch.stack(over_steps(list(current.unbind(self.axis))), self.axis)
        self.u = 0.5 * self.u + current
        s = (self.u > 1.0).to(current.dtype)
        self.u = self.u * (1 - s)
        return s


class Tiny(nn.Module):
    """The network of energy.md, section 4.1, with its time axis where ``layout`` says.

    conv 3 -> 4, BN, LIF; conv 4 -> 8 with stride 2, BN, LIF; average pooling; conv 8 -> 8 in two groups, BN, plus
    the pooled input, LIF; linear. Of 8 x 8 images.

    Args:
        layout: ``time`` T x B, ``batch`` B x T, ``merged`` TB, or ``loop``, a step after the other.
        neuron: makes the neurons, given the time axis; plain ones by default.
    """

    def __init__(self, layout: str = "time", neuron: Callable[[int | None], nn.Module] = PlainLIF) -> None:
        super().__init__()
        self.layout = layout
        axis = {"time": 0, "batch": 1, "merged": 0, "loop": None}[layout]
        self.conv1, self.bn1, self.lif1 = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), neuron(axis)
        self.conv2, self.bn2 = nn.Conv2d(4, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8)
        self.lif2, self.pool = neuron(axis), nn.AvgPool2d(2)
        self.conv3, self.bn3 = nn.Conv2d(8, 8, 3, padding=1, groups=2, bias=False), nn.BatchNorm2d(8)
        self.lif3, self.fc = neuron(axis), nn.Linear(32, 10)
        make_dyadic(self)

    def forward(self, x: Tensor, timesteps: int) -> Tensor:
        sequence = x.dim() == 5
        if self.layout == "loop":
            for lif in (self.lif1, self.lif2, self.lif3):
                lif.u = torch.zeros(())
            steps = [x[t] if sequence else x for t in range(timesteps)]
            return torch.stack([self.body(x_BCHW, x_BCHW.shape[:1]) for x_BCHW in steps])
        if self.layout == "batch":
            x = x[:timesteps].transpose(0, 1) if sequence else x[:, None].expand(-1, timesteps, -1, -1, -1)
            return self.body(x, x.shape[:2]).transpose(0, 1)
        x = x[:timesteps] if sequence else x.expand(timesteps, *x.shape)
        lead = x.shape[:2]
        if self.layout == "merged":
            return split(self.body(x.reshape(-1, *x.shape[2:]), lead), lead)
        return self.body(x, lead)

    def body(self, x: Tensor, lead: torch.Size) -> Tensor:
        """The network on an input whose axes before the channels are ``lead``, or one axis of all of them."""
        shape = x.shape[:-3]

        def flat(module: nn.Module, x: Tensor) -> Tensor:
            merged: Tensor = module(x.reshape(-1, *x.shape[len(shape) :]))
            return split(merged, shape)

        def fire(lif: nn.Module, x: Tensor) -> Tensor:
            spikes: Tensor = lif(split(x, lead) if shape != lead else x)
            return spikes.reshape(*shape, *x.shape[len(shape) :])

        s1 = fire(self.lif1, flat(self.bn1, flat(self.conv1, x)))
        s2 = fire(self.lif2, flat(self.bn2, flat(self.conv2, s1)))
        pooled = flat(self.pool, s2)
        s3 = fire(self.lif3, flat(self.bn3, flat(self.conv3, pooled)) + pooled)
        return flat(self.fc, s3.flatten(len(shape)))


class Above(nn.Module):
    """Neurons without memory: 1 where the input is above a threshold, or below it if ``below``."""

    def __init__(self, threshold: float = 0.0, below: bool = False) -> None:
        super().__init__()
        self.threshold, self.below = threshold, below

    def forward(self, x: Tensor) -> Tensor:
        return (x < self.threshold if self.below else x > self.threshold).to(x.dtype)


class OneLayer(nn.Module):
    """One layer on its input, or on the spikes that its input makes.

    Args:
        layer: the layer.
        spikes: whether the input is compared with 0 first.
        axes: axes of what the layer takes, behind the batch; 3 for images.
    """

    def __init__(self, layer: nn.Module, spikes: bool, axes: int = 3) -> None:
        super().__init__()
        self.neurons, self.layer, self.axes = Above() if spikes else nn.Identity(), layer, axes

    def forward(self, x: Tensor, timesteps: int) -> Tensor:
        x = self.neurons(x[:timesteps] if x.dim() == 5 else x.expand(timesteps, *x.shape))
        shaped = {1: x.flatten(2), 2: x.flatten(3), 3: x}[self.axes]
        y: Tensor = self.layer(shaped.flatten(0, 1))
        return split(y, x.shape[:2]).flatten(2)[..., :3]


class Between(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *tensors: Tensor) -> Tensor:
        return self.function(*tensors)


class Behind(nn.Module):
    """A linear layer ``layer`` behind a function of two trains of spikes and the input.

    Args:
        features: elements of what the function returns for one sample.
        function: takes spikes_TBCHW, other spikes_TBCHW and x_TBCHW, gives a tensor of T x B x features.
    """

    def __init__(self, features: int, function: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.above, self.below, self.between = Above(0.25), Above(0.5, below=True), Between(function)
        self.layer = nn.Linear(features, 3, bias=False)
        make_dyadic(self)

    def forward(self, x: Tensor, timesteps: int) -> Tensor:
        x = x[:timesteps] if x.dim() == 5 else x.expand(timesteps, *x.shape)
        y = self.between(self.above(x), self.below(x), x)
        logits: Tensor = self.layer(y.flatten(2).to(self.layer.weight.dtype))
        return logits


class StepLoop(nn.Module):
    """Runs a network that knows one step at a time, after resetting it.

    Args:
        step: the network of one step, logits_BK of x_BCHW; called ``step`` in the names of its layers.
        reset: called before every run.
    """

    def __init__(self, step: nn.Module, reset: Callable[[nn.Module], None] = lambda step: None) -> None:
        super().__init__()
        self.step, self.reset = step, reset

    def forward(self, x: Tensor, timesteps: int) -> Tensor:
        self.reset(self.step)
        return torch.stack([self.step(x[t] if x.dim() == 5 else x) for t in range(timesteps)])


class Functional(nn.Module):
    """Two convolutions and a readout that are parameters, not modules; the second convolution runs twice."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.zeros(4, 3, 3, 3))
        self.again = nn.Parameter(torch.zeros(4, 4, 3, 3))
        self.readout = nn.Parameter(torch.zeros(10, 4))
        make_dyadic(self)

    def forward(self, x: Tensor, timesteps: int) -> Tensor:
        x = x[:timesteps] if x.dim() == 5 else x.expand(timesteps, *x.shape)
        s = (F.conv2d(x.flatten(0, 1), self.kernel, padding=1) > 0).to(x.dtype)
        for _ in range(2):
            s = (F.conv2d(s, self.again, padding=1) > 0).to(x.dtype)
        return split(F.linear(s.amax((2, 3)), self.readout), x.shape[:2])
