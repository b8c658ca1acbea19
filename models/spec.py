"""A network in plain data: ModelSpec, the registry of architectures, and build."""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from tetviz.errors import unknown
from tetviz.models.convnets import SNN5, VGGSNN
from tetviz.models.fully_connected import FullyConnected
from tetviz.models.graph import GraphNetwork, GraphSpec
from tetviz.models.layers import Parts, SpikingNetwork
from tetviz.models.neuron import LIF, NEURONS
from tetviz.models.nodes import GASNN, GCSNN, NODE_NORMS
from tetviz.models.residual import CIFARResNet, ImageNetResNet
from tetviz.models.resnet import ResNet19


def _imagenet(block: str, depth: int) -> Callable[..., SpikingNetwork]:
    fixed: dict[str, Any] = {"block": block, "depth": depth}
    return partial(ImageNetResNet, **fixed if block == "sew" else {**fixed, "connect": "ADD"})


MODELS: dict[str, Callable[..., SpikingNetwork]] = {
    "snn5": SNN5,
    "vggsnn": VGGSNN,
    "vggsnn-nopool": partial(VGGSNN, pool=False),
    "resnet19": ResNet19,
    "spiking-resnet18": _imagenet("plain", 18),
    "spiking-resnet34": _imagenet("plain", 34),
    "sew-resnet18": _imagenet("sew", 18),
    "sew-resnet34": _imagenet("sew", 34),
    "sew-resnet50": _imagenet("sew", 50),
    "sew-resnet101": _imagenet("sew", 101),
    "sew-resnet152": _imagenet("sew", 152),
    "ms-resnet18": _imagenet("ms", 18),
    "ms-resnet34": _imagenet("ms", 34),
    "ms-resnet104": _imagenet("ms", 104),
    "ms-resnet20": partial(CIFARResNet, depth=20, block="ms", connect="ADD"),
    "ms-resnet110": partial(CIFARResNet, depth=110, block="ms", connect="ADD"),
    "ms-resnet482": partial(CIFARResNet, depth=482, block="ms", connect="ADD"),
    "cifar-resnet": CIFARResNet,
    "fc": FullyConnected,
    "gcsnn": GCSNN,
    "gasnn": GASNN,
}

_CONV_NORMS = ("bn", "tdbn")
LAYER_NORMS = (*_CONV_NORMS, *NODE_NORMS)
_MOST_WIDTH = 10_000  # sizes of weights stay within what torch can count


@dataclass(frozen=True)
class ModelSpec:
    """Everything that builds a network again, as plain values that a checkpoint stores.

    Args:
        name: a name in :data:`MODELS`.
        num_classes: classes K.
        in_channels: channels of the input.
        image_size: side of the square input.
        width: channel multiplier, 1 for the published network.
        leak: share of the potential left after a step; of ``plif`` at first. ``if`` has none.
        threshold: firing threshold V_th.
        surrogate: name of the surrogate gradient.
        gamma: width of the surrogate.
        detach_reset: whether the reset is a constant for the gradient.
        norm: ``bn`` (as the TET code) or ``tdbn`` (Zheng et al. 2021); of graph networks ``stfn``, ``stfn-run`` or
            ``none``. By default the first that the network takes.
        options: further arguments of one architecture, such as ``stem`` of resnet19.
        neuron: ``lif``, ``if`` (without leak) or ``plif`` (a leak learned by every layer).
        reset: ``hard`` (to 0) or ``soft`` (by the threshold).
        detach_carry: whether the potential that a step leaves to the next is a constant for the gradient.
    """

    name: str
    num_classes: int = 10
    in_channels: int = 3
    image_size: int = 32
    width: float = 1.0
    leak: float = 0.5
    threshold: float = 1.0
    surrogate: str = "triangle"
    gamma: float = 1.0
    detach_reset: bool = False
    norm: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    neuron: str = "lif"
    reset: str = "hard"
    detach_carry: bool = False

    def __post_init__(self) -> None:
        """Fills in the normalisation."""
        object.__setattr__(self, "norm", self.norm or norms_of(self.name)[0])

    def to_dict(self) -> dict[str, Any]:
        """The spec as plain values, which ``ModelSpec(**it)`` takes back."""
        return {**asdict(self), "options": dict(self.options)}


def norms_of(name: str) -> tuple[str, ...]:
    """The normalisations that an architecture takes, its own first."""
    norms: tuple[str, ...] = getattr(MODELS.get(name), "known_norms", _CONV_NORMS)
    return norms


def build(spec: ModelSpec | GraphSpec | str, **settings: Any) -> SpikingNetwork:
    """Builds a network with fresh weights.

    Args:
        spec: a spec, or the name of an architecture.
        **settings: fields of :class:`ModelSpec` when a name is given; what it does not know goes to the architecture.

    Returns:
        The network; ``forward(x, timesteps=None)`` gives logits_TBK.

    Raises:
        ValueError: an unknown architecture or setting, or one out of range.
    """
    if isinstance(spec, str):
        known = {key: settings.pop(key) for key in list(settings) if key in ModelSpec.__dataclass_fields__}
        spec = ModelSpec(spec, **{"options": settings, **known})
    elif settings:
        raise ValueError(
            f"a {type(spec).__name__} is complete: change it with dataclasses.replace, not with further settings"
        )
    if isinstance(spec, GraphSpec):
        return GraphNetwork(spec)
    if spec.name not in MODELS:
        raise ValueError(unknown("model", spec.name, MODELS))
    if spec.norm not in LAYER_NORMS:
        raise ValueError(unknown("norm", spec.norm, LAYER_NORMS))
    if spec.norm not in norms_of(spec.name):
        raise ValueError(f"{spec.name} normalises by {' or '.join(norms_of(spec.name))}, got {spec.norm}")
    if spec.neuron not in NEURONS:
        raise ValueError(unknown("neuron", spec.neuron, NEURONS))
    for name in ("num_classes", "in_channels", "image_size"):
        if not isinstance(getattr(spec, name), int) or getattr(spec, name) < 1:
            raise ValueError(f"{name} must be at least 1 and an integer, got {getattr(spec, name)!r}")
    for name in ("width", "leak", "threshold", "gamma"):
        if not isinstance(getattr(spec, name), int | float) or not math.isfinite(getattr(spec, name)):
            raise ValueError(f"{name} must be a finite number, got {getattr(spec, name)!r}")
    if spec.width <= 0:
        raise ValueError(f"width must be positive, got {spec.width}")
    if spec.width > _MOST_WIDTH:
        raise ValueError(f"width may be up to {_MOST_WIDTH:,}, got {spec.width}")
    builder = MODELS[spec.name]
    _check_options(spec)
    return builder(
        num_classes=spec.num_classes,
        in_channels=spec.in_channels,
        image_size=spec.image_size,
        width=spec.width,
        parts=Parts(_neuron(spec), spec.norm, spec.threshold),
        **spec.options,
    )


def _neuron(spec: ModelSpec) -> Callable[[], LIF]:
    constants: dict[str, Any] = {
        name: getattr(spec, name)
        for name in ("threshold", "surrogate", "gamma", "detach_reset", "reset", "detach_carry")
    }
    if spec.neuron != "if":
        constants["leak"] = spec.leak
    elif spec.leak not in (ModelSpec.leak, 1):
        raise ValueError(f"neurons of kind 'if' keep all of their potential: leave leak out, got {spec.leak}")
    return partial(NEURONS[spec.neuron], **constants)


def is_on_graph(name: str) -> bool:
    """Whether an architecture classifies the nodes of a graph."""
    return MODELS[name] in (GCSNN, GASNN)


def options_of(name: str) -> dict[str, Any]:
    """The options of an architecture and their types."""
    builder = MODELS[name]
    fixed = builder.keywords if isinstance(builder, partial) else {}
    return {
        name: parameter.annotation
        for name, parameter in inspect.signature(builder).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and name not in fixed
    }


def _check_options(spec: ModelSpec) -> None:
    known = options_of(spec.name)
    strange = [name for name in spec.options if name not in known]
    if strange:
        takes = f"; it takes {', '.join(known)}" if known else ""
        raise ValueError(f"{spec.name} does not take the option {', '.join(strange)}{takes}")
    for name, value in spec.options.items():
        if not isinstance(value, known[name]):
            expected = getattr(known[name], "__name__", str(known[name]))
            raise ValueError(f"{spec.name}: its option {name} is of type {expected}, got {value!r}")
