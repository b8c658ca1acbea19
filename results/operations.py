"""What a network computes: the result of ``tetviz energy``."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import pandas as pd

from tetviz.results import fields
from tetviz.results.schema import FloatArray, IntArray, Result, attribute, named, samples_at

_count = partial(fields.count, ("layer", "timestep"))
_of_layers = partial(attribute, (), along="layer")


@dataclass(frozen=True, eq=False)
class OperationCounts(Result):
    """Exact operation counts of a run, for every layer and step, summed over the samples.

    A layer is a module that computes, in order of first execution, or the products of two activations in one. A pair
    is an input element and an output that a weight joins, padding making none, or two elements that are multiplied. A
    count at t is of step t alone, so the cumulated counts up to t are those of a run of t steps. What is counted as
    what depends on a convention only in :mod:`tetviz.summaries.energy`: ``mac`` holds all non-zero pairs of inputs that
    are no spikes, ``unit_ac`` what ``unit_mac`` of them are as additions.

    ``names``, ``modules`` and ``inputs`` have an entry for each layer: its name in the network, its type,
    and what enters it: ``binary`` (0 or 1), ``scaled`` (0 or a constant), ``ternary`` (-1, 0, 1), ``graded`` (sums of
    spikes), ``pooled`` (means of spikes), ``data``, ``analog``, or nothing where no weights are applied. Of products of
    two activations the type is ``matmul``, ``mul`` (element by element) or ``mul, summed`` (a sum follows), and both
    kinds are named, such as ``binary x analog``; ``ac`` holds them where one is spikes, else ``mac``.
    ``warnings`` and ``not_counted`` hold sentences; while ``not_counted`` has one, totals are lower bounds. ``length``
    is there where samples end before the last step; behind its end nothing of a sample is counted. ``computed``
    is there where the counts are sums over other samples than those in ``sample``: a network on a graph computes all
    nodes, whichever it is asked for.
    """

    kind: ClassVar[str] = "energy"

    layer: IntArray = fields.position(("layer",), long_name="index of the layer, in order of execution")
    timestep: IntArray = fields.timestep(first=1)
    sample: IntArray = fields.sample()
    dense_mac: IntArray = _count(long_name="pairs, padding taps included")
    inbounds_mac: IntArray = _count(long_name="pairs within the input, without padding")
    mac: IntArray = _count(long_name="pairs whose input is not 0, of inputs that are no spikes")
    ac: IntArray = _count(long_name="pairs whose input is not 0, of inputs that are spikes")
    unit_ac: IntArray = _count(
        long_name="spikes behind a pooled or graded input, each times the outputs that it reaches"
    )
    unit_mac: IntArray = _count(long_name="the part of mac that unit_ac can stand for")
    bias_add: IntArray = _count(long_name="additions of a bias; of a batch norm, of the one that folding leaves")
    norm_mac: IntArray = _count(long_name="multiply-adds of normalisations that are not folded")
    residual_add: IntArray = _count(long_name="additions of two activations outside neurons")
    pool_add: IntArray = _count(long_name="additions of non-zero values in poolings")
    readout_add: IntArray = _count(long_name="additions of the outputs over time")
    neuron_mul: IntArray = _count(long_name="leak multiplications of neurons")
    neuron_add: IntArray = _count(long_name="additions of the input to the potential of neurons")
    neuron_compare: IntArray = _count(long_name="comparisons with the threshold; neurons x samples")
    neuron_reset: IntArray = _count(long_name="resets of the potential, one for each spike")
    spikes: IntArray = _count(long_name="spikes of neurons")
    never_fired: IntArray = _count(long_name="neurons that have not fired in steps 1..t for any sample")
    always_fired: IntArray = _count(long_name="neurons that have fired at each of the steps 1..t for every sample")
    neurons: IntArray = fields.count(("layer",), long_name="neurons of the layer; 0 where it has none")
    weights: IntArray = fields.count(("layer",), long_name="weights of the layer, biases not included")
    static: IntArray = fields.flag(("layer",), long_name="1 where the input is the same bits at every step")
    foldable: IntArray = fields.flag(
        ("layer",),
        long_name="1 where the spikes behind a pooled or graded input are always known, or a batch norm folds into "
        "weights",
    )
    accuracy: FloatArray = fields.accuracy(("timestep",))
    step_accuracy: FloatArray = fields.step_accuracy(("timestep",))
    sdt_loss: FloatArray = fields.sdt_loss(("timestep",))
    tet_loss: FloatArray = fields.tet_loss(("timestep",))
    active_inputs: IntArray | None = _count(
        long_name="input elements that are not 0; of a product those of its spikes", optional=True
    )
    input_elements: IntArray | None = _count(long_name="input elements that active_inputs are of", optional=True)
    length: IntArray | None = fields.length()
    computed: IntArray | None = fields.position(
        ("computed",), long_name="index of each sample that the counts are sums over", optional=True
    )
    names: tuple[str, ...] = _of_layers()
    modules: tuple[str, ...] = _of_layers()
    inputs: tuple[str, ...] = _of_layers()
    warnings: tuple[str, ...] = ()
    not_counted: tuple[str, ...] = ()
    skip_zero_weights: int = 0
    convention: str = "tet"
    first_layer: str = "per-step"
    pool: str = "fold"
    norm: str = "fold"
    cost: str = "45nm-fp32"
    t_train: int = fields.t_train()

    @property
    def runs(self) -> int:
        """How many runs of a sample the counts are sums over: one of each and of each of its draws, or ``computed``."""
        return len(self.sample if self.computed is None else self.computed)

    @property
    def step_runs(self) -> IntArray:
        """How many runs have a step t (timestep,): one of each sample, and of each of its draws."""
        if self.computed is not None:
            return samples_at(self.timestep, self.computed, None)
        return samples_at(self.timestep, self.sample, self.length)

    def to_frame(self) -> pd.DataFrame:
        """The counts as a table.

        Returns:
            A row for each layer and step: name, type and input of the layer, number of samples, and every count,
            summed over the samples.
        """
        names = {"name": self.names, "module": self.modules, "input": self.inputs}
        return named(super().to_frame(), "layer", names, self.runs)
