"""A feed-forward network that is a graph of layers: plain values in its checkpoint build it, and no code of others."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn

from tetviz.errors import ModelError, unknown
from tetviz.models.layers import SpikingNetwork, over_time, step_by_step
from tetviz.models.neuron import LIF, CubaLIF

INPUT = "input"


class SumPool2d(nn.AvgPool2d):
    """Sums over windows of an image."""

    def __init__(
        self, kernel_size: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int] = (0, 0)
    ) -> None:
        super().__init__(kernel_size, stride, padding, divisor_override=1)


class Scale(nn.Module):
    """Multiplies element by element by constants.

    Args:
        size: shape of one sample of its input.
    """

    def __init__(self, size: Sequence[int]) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(*size))

    def forward(self, x: Tensor) -> Tensor:
        """Scales every sample alike."""
        return x * self.scale


@dataclass(frozen=True)
class GraphSpec:
    """A graph of layers, as plain values that a checkpoint stores.

    Args:
        num_classes: classes K.
        in_channels: channels of the input.
        image_size: height of the input.
        input_shape: what one sample is at one step, without the batch; of one or two axes where the input is
            C x H x W in another shape.
        nodes: name -> what a layer is, a layer behind those that it takes its input from: ``kind``, a key of
            :data:`KINDS`; ``inputs``, the names whose outputs are added up, ``input`` for the network's; ``shape`` of
            its output; and the arguments of its kind.
        outputs: the names whose outputs are added up to O(t).
        surrogate: name of the surrogate gradient, of neurons that spike.
        gamma: width of the surrogate.
        detach_reset: whether the reset is a constant for the gradient.
        name: what it is called.
        detach_carry: whether the potential that a step leaves to the next is a constant for the gradient.

    Raises:
        ValueError: a node of no kind, one that is not built before it is used, or a surrogate that does not spike.
    """

    num_classes: int
    in_channels: int
    image_size: int
    input_shape: Sequence[int]
    nodes: Mapping[str, Mapping[str, Any]]
    outputs: Sequence[str]
    surrogate: str = "triangle"
    gamma: float = 1.0
    detach_reset: bool = False
    name: str = "graph"
    detach_carry: bool = False

    def __post_init__(self) -> None:
        """Checks the values."""
        if self.surrogate == "sigmoid":
            raise ValueError("neurons of a graph spike, those of the surrogate 'sigmoid' do not; name another")
        built = {INPUT}
        for name, node in self.nodes.items():
            if node["kind"] not in KINDS:
                raise ValueError(f"node {name}: {unknown('kind', node['kind'], KINDS)}")
            _check_sources(name, node["inputs"], built)
            built.add(name)
        _check_sources("output", self.outputs, built)

    def to_dict(self) -> dict[str, Any]:
        """The spec as plain values, which ``GraphSpec(**it)`` takes back."""
        return asdict(self) | {"nodes": {name: dict(node) for name, node in self.nodes.items()}}

    def built(self, node: Mapping[str, Any]) -> nn.Module:
        """The layer that a node describes, with fresh weights."""
        arguments = {name: value for name, value in node.items() if name not in ("kind", "inputs", "shape")}
        if node["kind"] in NEURON_KINDS:
            arguments |= {"surrogate": self.surrogate, "gamma": self.gamma}
            arguments |= {"detach_reset": self.detach_reset, "detach_carry": self.detach_carry}
        return KINDS[node["kind"]](**arguments)


class GraphNetwork(SpikingNetwork):
    """Runs the layers of a graph in order, what comes together added up.

    Attributes:
        spec: the graph.
        nodes: its layers, by name.
    """

    def __init__(self, spec: GraphSpec) -> None:
        super().__init__()
        self.spec = spec
        self.nodes = nn.ModuleDict({name: spec.built(node) for name, node in spec.nodes.items()})

    def body(self, x_TBCHW: Tensor) -> Tensor:
        """The network on a time-major input."""
        spec, values = self.spec, {INPUT: self._shaped(x_TBCHW)}
        left = Counter(source for node in spec.nodes.values() for source in node["inputs"]) + Counter(spec.outputs)
        for name, node in spec.nodes.items():
            values[name] = run_node(self.nodes[name], _total(values, node["inputs"], left))
        return _total(values, spec.outputs, left)

    def check(self) -> None:
        """Runs one step, which on the device meta takes no memory: a file may give its layers any arguments.

        Raises:
            ValueError: there is not one number for each class.
        """
        found = self.body(torch.zeros(1, 1, *self.spec.input_shape)).shape[2:]
        if found != (self.spec.num_classes,):
            raise ValueError(f"its graph gives {tuple(found)} at every step, expected ({self.spec.num_classes},)")

    def _shaped(self, x_TBCHW: Tensor) -> Tensor:
        expected, got = torch.Size(self.spec.input_shape), x_TBCHW.shape[2:]
        if got.numel() != expected.numel() or (len(expected) == 3 and got != expected):
            raise ModelError(
                f"the graph takes samples of {' x '.join(map(str, expected))}, the data are of "
                f"{' x '.join(map(str, got))}; use the data that it was trained on (--data, --image-size)"
            )
        return x_TBCHW.reshape(*x_TBCHW.shape[:2], *expected)


def run_node(module: nn.Module, x_TB: Tensor) -> Tensor:
    """The output of a layer at every step."""
    if isinstance(module, LIF):
        return module(x_TB)  # type: ignore[no-any-return]
    return step_by_step(module, x_TB) if isinstance(module, nn.Linear) else over_time(module, x_TB)


def _total(values: dict[str, Tensor], sources: Sequence[str], left: Counter[str]) -> Tensor:
    # What nobody needs any more is let go.
    left.subtract(sources)
    return reduce(torch.add, [values[source] if left[source] else values.pop(source) for source in sources])


def _check_sources(name: str, sources: Sequence[str], built: set[str]) -> None:
    if not sources or not set(sources) <= built or len(set(sources)) < len(sources):
        raise ValueError(f"node {name}: expected inputs among {', '.join(sorted(built))}, each once, got {sources!r}")


def _lif(*, neurons: Sequence[int] | None = None, width: float = 1.0, gamma: float, **constants: Any) -> LIF:
    if neurons is not None:
        return LIF(torch.ones(*neurons), torch.ones(*neurons), gamma=torch.ones(*neurons), **constants)
    return LIF(gamma=gamma * width, **constants)


def _cubalif(*, neurons: Sequence[int] | None = None, width: float = 1.0, gamma: float, **constants: Any) -> LIF:
    if neurons is not None:
        by_neuron = {name: torch.ones(*neurons) for name in ("synaptic_leak", "leak", "threshold", "gamma")}
        return CubaLIF(**by_neuron, **constants)
    return CubaLIF(gamma=gamma * width, **constants)


NEURON_KINDS: dict[str, Callable[..., LIF]] = {"lif": _lif, "cubalif": _cubalif}
KINDS: dict[str, Callable[..., nn.Module]] = {
    "conv1d": nn.Conv1d,
    "conv2d": nn.Conv2d,
    "linear": nn.Linear,
    "avgpool2d": nn.AvgPool2d,
    "sumpool2d": SumPool2d,
    "flatten": nn.Flatten,
    "scale": Scale,
    **NEURON_KINDS,
}
