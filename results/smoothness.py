"""The result of ``tetviz smoothness``."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from tetviz.results import fields
from tetviz.results.schema import FloatArray, IntArray, Result, array, attribute

_of_layer = partial(array, ("layer",), "1")


@dataclass(frozen=True, eq=False)
class Smoothness(Result):
    """How alike the nodes of a graph become from layer to layer of a network on it.

    Layer 0 are the features of the nodes, layer l the firing rates x_i of the l-th spiking layer in a run of T steps.
    With the degrees d_i, each node being its own neighbour too::

        dirichlet = sum over edges (i, j) of ||x_i / sqrt(d_i) - x_j / sqrt(d_j)||^2 / sum over i of ||x_i||^2

    (Cai and Wang 2020, arXiv:2006.13318, divided by the squared norm: 0 for what is the same everywhere, at most 2).
    ``cosine`` is the mean over all pairs of nodes that have both a value; NaN where there is no pair.
    """

    kind: ClassVar[str] = "smoothness"

    layer: IntArray = fields.position(("layer",), long_name="layer; 0 is the input")
    sample: IntArray = fields.sample()
    dirichlet: FloatArray = _of_layer(long_name="Dirichlet energy over the squared norm; NaN where all is 0", least=0)
    cosine: FloatArray = _of_layer(long_name="mean cosine of two nodes", least=-1, most=1)
    rate: FloatArray = _of_layer(long_name="spikes a neuron and step; of the input the share that is not 0", least=0)
    silent: FloatArray = _of_layer(long_name="share of the nodes of which all is 0", least=0, most=1)
    nodes: int = attribute(0, least=0, most=2**53)
    timesteps: int = fields.t_train()
    accuracy: float = attribute(float("nan"), least=0, most=1)
    t_train: int = fields.t_train()
