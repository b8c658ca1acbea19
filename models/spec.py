"""A network in plain data: ModelSpec, the registry of architectures, and build."""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from tetviz.errors import unknown
from tetviz.models.convnets import SNN5, VGGSNN
from tetviz.models.layers import Parts, SpikingNetwork
from tetviz.models.neuron import LIF
from tetviz.models.resnet import ResNet19

MODELS: dict[str, Callable[..., SpikingNetwork]] = {
    "snn5": SNN5,
    "vggsnn": VGGSNN,
    "vggsnn-nopool": partial(VGGSNN, pool=False),
    "resnet19": ResNet19,
}

NORMS = ("bn", "tdbn")


@dataclass(frozen=True)
class ModelSpec:
    """Everything that builds a network again, as plain values that a checkpoint stores.

    Args:
        name: a name in :data:`MODELS`.
        num_classes: classes K.
        in_channels: channels of the input.
        image_size: side of the square input.
        width: channel multiplier, 1 for the published network.
        leak: share of the potential left after a step.
        threshold: firing threshold V_th.
        surrogate: name of the surrogate gradient.
        gamma: width of the surrogate.
        detach_reset: whether the reset is a constant for the gradient.
        norm: ``bn`` (as the TET code) or ``tdbn`` (Zheng et al. 2021).
        options: further arguments of one architecture, such as ``stem`` of resnet19.
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
    norm: str = "bn"
    options: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The spec as plain values.

        Returns:
            A dictionary that ``ModelSpec(**it)`` takes back.
        """
        return {**asdict(self), "options": dict(self.options)}


def build(spec: ModelSpec | str, **settings: Any) -> SpikingNetwork:
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
        raise ValueError("a ModelSpec is complete: change it with dataclasses.replace, not with further settings")
    if spec.name not in MODELS:
        raise ValueError(unknown("model", spec.name, MODELS))
    if spec.norm not in NORMS:
        raise ValueError(unknown("norm", spec.norm, NORMS))
    for name in ("num_classes", "in_channels", "image_size"):
        if not isinstance(getattr(spec, name), int) or getattr(spec, name) < 1:
            raise ValueError(f"{name} must be at least 1 and an integer, got {getattr(spec, name)!r}")
    for name in ("width", "leak", "threshold", "gamma"):
        if not isinstance(getattr(spec, name), int | float) or not math.isfinite(getattr(spec, name)):
            raise ValueError(f"{name} must be a finite number, got {getattr(spec, name)!r}")
    if spec.width <= 0:
        raise ValueError(f"width must be positive, got {spec.width}")
    builder = MODELS[spec.name]
    strange = [name for name in spec.options if name not in inspect.signature(builder).parameters]
    if strange:
        raise ValueError(f"{spec.name} does not take the option {', '.join(strange)}")
    neuron = partial(LIF, spec.leak, spec.threshold, spec.surrogate, spec.gamma, spec.detach_reset)
    return builder(
        num_classes=spec.num_classes,
        in_channels=spec.in_channels,
        image_size=spec.image_size,
        width=spec.width,
        parts=Parts(neuron, spec.norm, spec.threshold),
        **spec.options,
    )
