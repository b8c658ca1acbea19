"""What training a network computes: the result of ``tetviz training-energy``."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import pandas as pd

from tetviz.results import fields
from tetviz.results.schema import IntArray, Result, attribute, named

_count = partial(fields.count, ("layer", "timestep"))
_of_neurons = partial(fields.count, ("neuron", "timestep"))
_of_layer = partial(fields.count, ("layer",))
_number = partial(attribute, 0, least=0, most=2**56)


@dataclass(frozen=True, eq=False)
class TrainingOperations(Result):
    """Exact operation counts of backpropagation through time, for every layer and step, summed over the samples.

    A layer has weights; layers stand in order of first execution. A pair is an input element and an output that a
    weight joins; padding makes none. The three phases are forward (``forward``), input gradient (``backward``) and
    weight gradient (``weight``). An error is the gradient of the loss with respect to an output of the layer; it is
    needed at an input element where a neuron behind that element has a surrogate derivative that is not 0.

    ``names`` and ``modules`` are the names of the layers in the network and their types, ``neuron_names`` those of the
    groups of neurons. ``not_counted`` holds sentences; while there is one, totals are lower bounds. ``stages`` are
    (T, epochs), the schedule of the run that made the checkpoint. ``cost`` names
    the cost model; ``mac_pj`` and ``ac_pj`` are its energies of a multiply-accumulate and an accumulate, in pJ.
    """

    kind: ClassVar[str] = "training-energy"

    layer: IntArray = fields.position(("layer",), long_name="index of the layer, in order of execution")
    neuron: IntArray = fields.position(("neuron",), long_name="index of the group of neurons, in order of execution")
    timestep: IntArray = fields.timestep(first=1)
    sample: IntArray = fields.sample()
    dense: IntArray = _count(long_name="pairs within the input, whatever their values")
    forward: IntArray = _count(long_name="pairs whose input is not 0")
    backward: IntArray = _count(long_name="pairs whose error is not 0 and is needed at their input")
    backward_error: IntArray = _count(long_name="pairs whose error is not 0, wherever it is needed")
    backward_need: IntArray = _count(long_name="pairs at whose input the error is needed, whatever its value")
    weight: IntArray = _count(long_name="pairs whose input is not 0 and whose error is not 0")
    active_inputs: IntArray = _count(long_name="input elements that are not 0")
    needed_inputs: IntArray = _count(long_name="input elements at which the error is needed")
    active_errors: IntArray = _count(long_name="outputs whose error is not 0")
    inputs: IntArray = _of_layer(long_name="input elements of a sample and step")
    outputs: IntArray = _of_layer(long_name="outputs of a sample and step")
    weights: IntArray = _of_layer(long_name="weights of the layer, biases not included")
    spiking: IntArray = fields.flag(("layer",), long_name="1 where every input element was 0 or 1, else 0")
    input_gradient: IntArray = fields.flag(("layer",), long_name="1 where the input takes a gradient, else 0")
    neurons: IntArray = fields.count(("neuron",), long_name="neurons of the group")
    responsive: IntArray = _of_neurons(long_name="neurons whose surrogate derivative is not 0")
    surrogate_mac: IntArray = _of_neurons(long_name="multiply-adds of the surrogate derivative")
    leak_mac: IntArray = _of_neurons(long_name="multiply-adds of the gradient that the leak carries back in time")
    reset_mac: IntArray = _of_neurons(long_name="multiply-adds of the gradient that the reset carries back in time")
    names: tuple[str, ...] = attribute((), along="layer")
    modules: tuple[str, ...] = attribute((), along="layer")
    neuron_names: tuple[str, ...] = attribute((), along="neuron")
    not_counted: tuple[str, ...] = ()
    loss: str = attribute("tet", among=("sdt", "tet", "total", "mse", "trt"))
    bn: str = attribute("frozen", among=("frozen", "batch"))
    cost: str = "45nm-fp32"
    mac_pj: float = attribute(4.6, least=0, most=1e12)
    ac_pj: float = attribute(0.9, least=0, most=1e12)
    t_train: int = fields.t_train()
    parameters: int = _number()
    normalised: int = _number()
    optimizer: str = ""
    optimizer_mac: int = _number()
    train_batch_size: int = _number()
    train_samples: int = _number()
    stages: tuple[tuple[int, int], ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """The counts of layers as a table.

        Returns:
            A row for each layer and step: name and type of the layer, number of samples, and every count of the
            layer, summed over the samples.
        """
        names = {"name": self.names, "module": self.modules}
        return named(super().to_frame(), "layer", names, len(self.sample))
