"""Compressed networks beside the dense one: the result of ``tetviz compress``."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from tetviz.results import fields
from tetviz.results.schema import FloatArray, IntArray, Result, array, attribute

_of_variants = partial(attribute, (), along="variant")


@dataclass(frozen=True, eq=False)
class Compression(Result):
    """A dense network and what compression made of it, measured on the same samples.

    Variant 0 is the dense network as it was. ``names`` has an entry for each variant, ``paths`` the checkpoint of
    each, ``mechanisms`` one of ``dense``, ``retrained``, ``admm``, ``one-shot`` and ``activity``; ``layers`` names the
    layers of convolution and the linear ones, whose weights alone are compressed. Weights that are 0 are no synapses.
    Spikes, operations and energy are for each sample, of a run of t steps; operations and energy are those of
    synapses, under the convention ``tet`` and the model ``cost``.
    """

    kind: ClassVar[str] = "compression"

    variant: IntArray = fields.position(("variant",), long_name="index of the network, 0 for the dense one")
    timestep: IntArray = fields.timestep(first=1)
    layer: IntArray = fields.position(("layer",), long_name="index of the layer whose weights are compressed")
    level: FloatArray = fields.axis(("level",), long_name="share of the weights of one layer that is set to 0")
    epoch: IntArray = fields.index(("epoch",), long_name="epoch of ADMM, from 1", first=1)
    bin: FloatArray = fields.axis(
        ("bin",),
        long_name="middle of a bin of weights, each over the root mean square of its layer in the dense network",
    )
    sample: IntArray = fields.sample()
    accuracy: FloatArray = fields.accuracy(("variant", "timestep"), least=0, most=1)
    sdt_loss: FloatArray = fields.sdt_loss(("variant", "timestep"))
    spikes: FloatArray = array(
        ("variant", "timestep"), "1", "spikes of all neurons for each sample, of t steps", least=0
    )
    mac: FloatArray = array(("variant", "timestep"), "1", "multiply-accumulates for each sample, of t steps", least=0)
    ac: FloatArray = array(("variant", "timestep"), "1", "accumulates for each sample, of t steps", least=0)
    energy: FloatArray = array(
        ("variant", "timestep"), "pJ", "energy of synaptic operations for each sample, of t steps", least=0
    )
    layer_weights: IntArray = fields.count(("layer",), long_name="weights of the layer")
    zeros: IntArray = fields.count(("variant", "layer"), long_name="weights of the layer that are 0")
    asked_sparsity: FloatArray = array(("variant",), "1", "share of each layer that was asked to be 0", least=0, most=1)
    bits: FloatArray = array(("variant",), "bit", "bits of a weight that is left", least=1, most=64)
    activity: FloatArray = array(("variant",), "1", "lambda of the spikes in the loss", least=0)
    distance: FloatArray = array(
        ("variant", "epoch"), "1", "||W - Z|| / ||W|| after the epoch of ADMM; NaN where there was none", least=0
    )
    sensitivity: FloatArray = array(
        ("layer", "level"),
        "1",
        "accuracy at t_train with one layer of the dense network pruned, not retrained",
        least=0,
        most=1,
    )
    histogram: FloatArray = array(("variant", "bin"), "1", "share of all weights in the bin", least=0, most=1)
    names: tuple[str, ...] = _of_variants()
    paths: tuple[str, ...] = _of_variants()
    mechanisms: tuple[str, ...] = _of_variants()
    layers: tuple[str, ...] = attribute((), along="layer")
    other_parameters: int = attribute(0, least=0)
    cost: str = "45nm-fp32"
    t_train: int = fields.t_train()
