"""Random directions in parameter space, normalised filter by filter.

A direction maps every unique parameter name to a tensor of its shape. Parameters that a policy holds have a
direction of zero, so they stay where they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from tetviz.models import LIF

Direction = dict[str, Tensor]

ROLES = ("weight", "bias", "norm", "neuron")
NORMS = ("filter", "layer", "weight", "none")
HOLD_ALL_BUT_WEIGHTS = {"weight": "random", "bias": "hold", "norm": "hold", "neuron": "hold"}

_NORM_LAYERS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


@dataclass(frozen=True)
class Plane:
    """Two directions through a checkpoint.

    Attributes:
        x: first direction, parameter name to tensor.
        y: second direction.
        seed: the seed that the plane was asked for with.
        direction_seeds: the seed of each direction, from which :func:`random_direction` rebuilds it.
        norm: how the directions are normalised.
        policy: what is done with each role of parameter.
    """

    x: Direction
    y: Direction
    seed: int
    direction_seeds: tuple[int, int]
    norm: str
    policy: Mapping[str, str]


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
        elif own_name == "bias":
            roles[name] = "bias"
        else:
            roles[name] = "weight" if parameter.dim() >= 2 else "neuron"
    return roles


def filter_normalize(direction: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> Direction:
    """Gives every filter of a direction the norm of the weights' filter (Li et al. 2018, section 4).

    d_f -> d_f * ||w_f|| / ||d_f||, where f runs over the first axis: output channels of a convolution, output
    neurons of a linear layer. A filter of zeros stays zero.

    Args:
        direction: parameter name to tensor.
        weights: the same names to the weights.

    Returns:
        The normalised direction.
    """
    return {name: _rescaled(d, weights[name], "filter") for name, d in direction.items()}


def random_direction(
    model: nn.Module, seed: int, norm: str = "filter", policy: Mapping[str, str] = HOLD_ALL_BUT_WEIGHTS
) -> Direction:
    """A Gaussian direction over the unique parameters of a network, rebuildable from its seed.

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
    if set(policy) != set(ROLES) or not set(policy.values()) <= {"random", "hold", "scale"}:
        raise ValueError(f"a policy maps each of {', '.join(ROLES)} to random, hold or scale, got {dict(policy)}")
    roles = parameter_roles(model)
    generator = np.random.default_rng(seed)
    direction = {}
    for name, parameter in model.named_parameters():
        treatment, weight = policy[roles[name]], parameter.detach()
        if treatment == "random":
            noise = torch.from_numpy(np.asarray(generator.standard_normal(weight.shape)))
            direction[name] = _rescaled(noise.to(weight.device), weight, norm)
        else:
            direction[name] = weight.clone() if treatment == "scale" else torch.zeros_like(weight)
    return direction


def random_plane(
    model: nn.Module, seed: int, norm: str = "filter", policy: Mapping[str, str] = HOLD_ALL_BUT_WEIGHTS
) -> Plane:
    """Two independent random directions, each with a seed of its own that follows from the plane's.

    Args:
        model: the network that the plane goes through.
        seed: seed of the plane.
        norm: as in :func:`random_direction`.
        policy: as in :func:`random_direction`; by default weights are random and all else is held.

    Returns:
        The plane.
    """
    first, second = (int(word) for word in np.random.SeedSequence(seed).generate_state(2))
    x, y = (random_direction(model, each, norm, policy) for each in (first, second))
    return Plane(x, y, seed, (first, second), norm, dict(policy))


def _rescaled(direction: Tensor, weight: Tensor, norm: str) -> Tensor:
    # Norms are taken in float64, so that a float32 direction has its filter norms to the last bit or two.
    d, w = direction.detach().double(), weight.detach().double()
    if norm == "weight":
        d = d * w
    elif norm != "none":
        rows = (len(d), -1) if norm == "filter" and d.dim() > 0 else (1, -1)
        ratio = w.reshape(rows).norm(dim=1) / d.reshape(rows).norm(dim=1)
        d = (d.reshape(rows) * ratio.nan_to_num(0.0, 0.0)[:, None]).reshape(d.shape)
    return d.to(weight.dtype)
