"""Random directions in parameter space, normalised filter by filter.

A direction maps every unique parameter name to a tensor of its shape. Parameters that a policy holds have a
direction of zero, so they stay where they are.
"""

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from tetviz.models import LIF, STFN
from tetviz.models.graph import Scale

Direction = dict[str, Tensor]
Filters = tuple[int, int, int, int]

ROLES = ("weight", "bias", "norm", "neuron")
NORMS = ("filter", "layer", "weight", "none")
HOLD_ALL_BUT_WEIGHTS = {"weight": "random", "bias": "hold", "norm": "hold", "neuron": "hold"}

TREATMENTS = ("random", "hold", "scale")

_STACKED = (nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention)  # name their biases themselves
_NORM_LAYERS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, Scale, STFN)


def parameter_roles(model: nn.Module) -> dict[str, str]:
    """What each parameter is for, told by the module that it belongs to.

    Args:
        model: any network.

    Returns:
        Unique parameter name to ``weight``, ``bias``, ``norm`` (gain and offset of a normalisation) or
        ``neuron`` (dynamics such as a learned leak).
    """
    modules = dict(model.named_modules())
    roles = {}
    for name, parameter in model.named_parameters():
        owner, _, own_name = name.rpartition(".")
        module = modules[owner]
        if isinstance(module, _NORM_LAYERS):
            roles[name] = "norm"
        elif isinstance(module, LIF):
            roles[name] = "neuron"
        elif own_name == "bias" or (isinstance(module, _STACKED) and "bias" in own_name):
            roles[name] = "bias"
        else:
            roles[name] = "weight" if parameter.dim() >= 2 else "neuron"
    return roles


def parameter_filters(model: nn.Module) -> dict[str, Filters]:
    """Where the filters of each parameter are: all the weights that make one output feature.

    The first axis counts filters in convolutions (grouped ones too), linear and recurrent layers. In a
    transposed convolution (in, out / groups, ...) and in an embedding (words, features) it counts inputs.

    Args:
        model: any network.

    Returns:
        Unique parameter name to (groups, inputs, outputs, rest): viewed in this shape, a filter is a pair of a
        group and an output.
    """
    modules = dict(model.named_modules())
    filters = {}
    for name, parameter in model.named_parameters():
        owner, _, own_name = name.rpartition(".")
        module, shape = modules[owner], parameter.shape
        first = shape[0] if shape else 1
        filters[name] = (1, 1, first, parameter.numel() // max(1, first))
        if isinstance(module, nn.modules.conv._ConvTransposeNd) and own_name == "weight":
            groups = module.groups
            filters[name] = (groups, first // groups, shape[1], parameter[0, 0].numel())
        elif isinstance(module, nn.Embedding | nn.EmbeddingBag):
            filters[name] = (1, first, shape[1], 1)
    return filters


def filter_normalize(
    direction: Mapping[str, Tensor], weights: Mapping[str, Tensor], filters: Mapping[str, Filters] | None = None
) -> Direction:
    """Gives every filter of a direction the norm of the weights' filter (Li et al. 2018, section 4).

    d_f -> d_f * ||w_f|| / ||d_f|| for every filter f. A filter of zeros stays zero.

    Args:
        direction: parameter name to tensor.
        weights: the same names to the weights.
        filters: from :func:`parameter_filters`; by default the first axis of a tensor counts its filters.

    Returns:
        The normalised direction.
    """
    places = {name: (1, 1, len(d) if d.dim() else 1, -1) for name, d in direction.items()} | dict(filters or {})
    return {name: rescaled(d, weights[name], "filter", places[name]) for name, d in direction.items()}


def random_direction(
    model: nn.Module, seed: int, norm: str = "filter", policy: Mapping[str, str] = HOLD_ALL_BUT_WEIGHTS
) -> Direction:
    """A Gaussian direction over the unique parameters of a network (Li et al. 2018), rebuildable from its seed.

    Args:
        model: the network that the direction starts from.
        seed: seed of the NumPy generator that draws every entry, in float64 and in order of the names' first
            appearance, independent of device and precision.
        norm: ``filter``, ``layer`` (norm of each tensor), ``weight`` (each entry times its weight) or ``none``.
        policy: role to ``random``, ``hold`` (zero) or ``scale`` (the parameter itself).

    Returns:
        Parameter name to tensor, in the parameter's type and on its device.

    Raises:
        ValueError: an unknown norm, role or treatment.
    """
    if norm not in NORMS:
        raise ValueError(f"unknown norm {norm!r}; known: {', '.join(NORMS)}")
    if set(policy) != set(ROLES) or not set(policy.values()) <= set(TREATMENTS):
        raise ValueError(f"a policy maps each of {', '.join(ROLES)} to random, hold or scale, got {dict(policy)}")
    roles, filters = parameter_roles(model), parameter_filters(model)
    generator = np.random.default_rng(seed)
    direction = {}
    for name, parameter in model.named_parameters():
        treatment, weight = policy[roles[name]], parameter.detach()
        if treatment == "random":
            noise = torch.from_numpy(np.asarray(generator.standard_normal(weight.shape)))
            direction[name] = rescaled(noise.to(weight.device), weight, norm, filters[name])
        else:
            direction[name] = weight.clone() if treatment == "scale" else torch.zeros_like(weight)
    return direction


def random_noise(model: nn.Module, seed: int, policy: Mapping[str, str]) -> Direction:
    """Standard normal noise on the parameters that a policy moves at random."""
    random_only = {role: "random" if treatment == "random" else "hold" for role, treatment in policy.items()}
    return moving(random_direction(model, seed, "none", random_only))


def rescaled(direction: Tensor, weight: Tensor, norm: str, filters: Filters) -> Tensor:
    """One tensor of a direction, normalised.

    Args:
        weight: the parameter, of the same shape.
    """
    # Norms are taken in float64, so that a float32 direction has its filter norms to the last bit or two.
    d, w = direction.detach().double(), weight.detach().double()
    if norm == "weight":
        d = d * w
    elif norm != "none":
        shape, inputs = (filters, (1, 3)) if norm == "filter" else ((1, 1, 1, -1), (3,))
        ratio = w.reshape(shape).norm(dim=inputs, keepdim=True) / d.reshape(shape).norm(dim=inputs, keepdim=True)
        d = (d.reshape(shape) * ratio.nan_to_num(0.0, 0.0, 0.0)).reshape(d.shape)
    return d.to(weight.dtype)


def moving(direction: Mapping[str, Tensor]) -> Direction:
    """A direction without the parameters that it leaves where they are."""
    return {name: tensor for name, tensor in direction.items() if bool(tensor.any())}


def displaced(origin: Mapping[str, Tensor], *terms: tuple[float, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Weights moved along directions, w + a * d + b * e + ..., computed anew from w."""
    weights: dict[str, Tensor] = {}
    for coefficient, direction in terms:
        for name, tensor in direction.items():
            weights[name] = weights.get(name, origin[name]) + coefficient * tensor
    return weights


def inner(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> float:
    """Inner product of two directions, in float64."""
    return math.fsum(float((tensor.double() * b[name].double()).sum()) for name, tensor in a.items())


def length(direction: Mapping[str, Tensor]) -> float:
    """L2 norm of a direction."""
    return math.sqrt(inner(direction, direction))


def scaled_to(direction: Mapping[str, Tensor], norm: float) -> Direction:
    """A direction of a given length."""
    factor = norm / length(direction)
    return {name: factor * tensor for name, tensor in direction.items()}


def policy_text(policy: Mapping[str, str]) -> str:
    """What is done with each role of parameter, in words, such as ``"random weight; hold bias, norm, neuron"``."""
    groups = {treatment: [r for r, t in policy.items() if t == treatment] for treatment in policy.values()}
    return "; ".join(f"{treatment} {', '.join(roles)}" for treatment, roles in groups.items())
