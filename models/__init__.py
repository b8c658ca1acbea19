"""Spiking networks: neurons, normalisation, architectures. Knows no loss, no file and no data.

Axis letters: T timesteps, B batch, C channels, H height, W width, K classes. Time comes first.
"""

from tetviz.models.convnets import SNN5, VGGSNN
from tetviz.models.foreign.check import adapt, check_contract
from tetviz.models.foreign.convention import Calling, ForeignSpec, split_reference
from tetviz.models.foreign.detect import propose
from tetviz.models.foreign.network import ForeignNetwork, only_length
from tetviz.models.fully_connected import FullyConnected
from tetviz.models.graph import GraphNetwork, GraphSpec
from tetviz.models.layers import SpikingNetwork
from tetviz.models.neuron import IF, LIF, NEURONS, PLIF, RESETS, CubaLIF, streaming
from tetviz.models.nodes import GASNN, GCSNN, Graph, NodeClassifier
from tetviz.models.norm import ConvNorm, TdBN, fold
from tetviz.models.residual import CIFARResNet, ImageNetResNet
from tetviz.models.resnet import ResNet19
from tetviz.models.spec import MODELS, ModelSpec, build
from tetviz.models.stfn import STFN
from tetviz.models.surrogate import SURROGATES
from tetviz.models.tracing import trace_graph

__all__ = [
    "GASNN",
    "GCSNN",
    "IF",
    "LIF",
    "MODELS",
    "NEURONS",
    "PLIF",
    "RESETS",
    "SNN5",
    "STFN",
    "SURROGATES",
    "VGGSNN",
    "CIFARResNet",
    "Calling",
    "ConvNorm",
    "CubaLIF",
    "ForeignNetwork",
    "ForeignSpec",
    "FullyConnected",
    "Graph",
    "GraphNetwork",
    "GraphSpec",
    "ImageNetResNet",
    "ModelSpec",
    "NodeClassifier",
    "ResNet19",
    "SpikingNetwork",
    "TdBN",
    "adapt",
    "build",
    "check_contract",
    "fold",
    "only_length",
    "propose",
    "split_reference",
    "streaming",
    "trace_graph",
]
