"""Spiking networks: neurons, normalisation, architectures. Knows no loss, no file and no data.

Axis letters: T timesteps, B batch, C channels, H height, W width, K classes. Time comes first.
"""

from tetviz.models.convnets import SNN5, VGGSNN
from tetviz.models.layers import SpikingNetwork
from tetviz.models.neuron import IF, LIF, streaming
from tetviz.models.norm import ConvNorm, TdBN, fold
from tetviz.models.resnet import ResNet19
from tetviz.models.spec import MODELS, ModelSpec, build
from tetviz.models.surrogate import SURROGATES

__all__ = [
    "IF",
    "LIF",
    "MODELS",
    "SNN5",
    "SURROGATES",
    "VGGSNN",
    "ConvNorm",
    "ModelSpec",
    "ResNet19",
    "SpikingNetwork",
    "TdBN",
    "build",
    "fold",
    "streaming",
]
