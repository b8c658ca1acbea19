"""Graphs of NIR, and what snnTorch and SpikingJelly make of them step by step. Calls no tetviz."""

import contextlib
import importlib
import io
from itertools import pairwise
from typing import Any

import nir
import numpy as np
import torch
from torch import Tensor

DT = 1e-4


def weights(*shape: int, seed: int = 0, size: float = 1.0) -> np.ndarray:
    """Normal numbers in float32."""
    return (size * np.random.default_rng(seed).normal(size=shape)).astype(np.float32)


def lif(shape: tuple[int, ...], steps: float, r: float, threshold: float = 1.0, **others: float) -> nir.LIF:
    """A layer of LIF neurons of tau = ``steps`` dt."""
    full = {"tau": steps * DT, "r": r, "v_leak": 0.0, "v_threshold": threshold, "v_reset": 0.0, **others}
    return nir.LIF(**{name: np.full(shape, value) for name, value in full.items()})


def integrate(shape: tuple[int, ...], r: float = 1 / DT, threshold: float = 1.0) -> nir.IF:
    """A layer of IF neurons."""
    return nir.IF(np.full(shape, r), np.full(shape, threshold), np.zeros(shape))


def cubalif(
    shape: tuple[int, ...], synaptic: float = 2.0, membrane: float = 4.0, threshold: float = 1.0
) -> nir.CubaLIF:
    """A layer of CubaLIF neurons whose input counts in full, as both libraries want it."""
    tau_syn, tau_mem, r, v_leak, v_threshold, v_reset, w_in = (
        np.full(shape, value) for value in (synaptic * DT, membrane * DT, membrane, 0.0, threshold, 0.0, synaptic)
    )
    return nir.CubaLIF(tau_syn, tau_mem, r, v_leak, v_threshold, v_reset, w_in)


def conv(seed: int, channels: tuple[int, int], side: int, **settings: Any) -> nir.Conv2d:
    """A padded 3 x 3 convolution."""
    stated = {"stride": 1, "padding": 1, "dilation": 1, "groups": 1, **settings}
    weight, bias = (
        weights(channels[1], channels[0], 3, 3, seed=seed, size=0.7),
        weights(channels[1], seed=seed, size=0.3),
    )
    return nir.Conv2d((side, side), weight, bias=bias, **stated)


def pool(kind: Any = nir.AvgPool2d) -> Any:
    """A pooling of 2 x 2."""
    return kind(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))


def affine(seed: int, inputs: int, outputs: int, size: float = 0.5) -> nir.Affine:
    """A linear layer with biases."""
    return nir.Affine(weights(outputs, inputs, seed=seed, size=size), weights(outputs, seed=seed, size=0.2))


def chain(shape: tuple[int, ...], classes: int, **nodes: Any) -> nir.NIRGraph:
    """A graph of nodes one behind the other."""
    nodes = {"input": nir.Input(np.array(shape)), **nodes, "output": nir.Output(np.array([classes]))}
    names = list(nodes)
    return nir.NIRGraph(nodes, list(pairwise(names)), type_check=False)


def convnet(first: nir.NIRNode, last: nir.NIRNode) -> nir.NIRGraph:
    """Two convolutions on 1 x 8 x 8, and ten neurons that are its outputs."""
    return chain(
        (1, 8, 8),
        10,
        c1=conv(1, (1, 6), 8),
        l1=first,
        p=pool(),
        c2=conv(2, (6, 8), 4),
        l2=lif((8, 4, 4), 4, 4.0),
        flat=nir.Flatten(np.array([8, 4, 4]), 0, -1),
        fc=affine(3, 128, 10),
        last=last,
    )


def perceptron(hidden: nir.NIRNode, last: nir.NIRNode) -> nir.NIRGraph:
    """Twelve hidden neurons and five at the end, on vectors of 16."""
    return chain((16,), 5, a=nir.Linear(weights(12, 16, seed=4)), i=hidden, b=affine(5, 12, 5, 1.0), o=last)


def spikingjelly_outputs(graph: nir.NIRGraph, x_TB: Tensor) -> Tensor:
    """The outputs of the graph as SpikingJelly runs it, T x B x K."""
    exchange = importlib.import_module("spikingjelly.activation_based.nir_exchange")
    return _stepped(exchange.import_from_nir(graph), x_TB)


def snntorch_outputs(graph: nir.NIRGraph, x_TB: Tensor) -> Tensor:
    """The outputs of the graph as snnTorch runs it, T x B x K: sample by sample, since it flattens batches too."""
    module, runs = importlib.import_module("snntorch.import_nir"), []
    for x_T in x_TB.unbind(1):
        with contextlib.redirect_stdout(io.StringIO()):
            runs.append(_stepped(module.import_from_nir(graph), x_T).flatten(1))
    return torch.stack(runs, 1)


@torch.no_grad()
def _stepped(network: Any, x_T: Tensor) -> Tensor:
    outputs, state = [], None
    for x in x_T:
        output, state = network(x, state)
        outputs.append(output)
    return torch.stack(outputs)
