"""The result of ``tetviz isometry``."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import pandas as pd

from tetviz.results import fields
from tetviz.results.schema import FloatArray, IntArray, Result, array, attribute, named

_of_block = partial(array, ("block",), "1", least=0)
_gradient = partial(array, units="nat", least=0)
_of_neurons = partial(array, ("neuron", "timestep"), "1")


@dataclass(frozen=True, eq=False)
class BlockIsometry(Result):
    """How much each block of a network stretches gradients, what its potentials predict, and what passes through it.

    J is the Jacobian of a block's output by its input, for one sample, through the surrogate derivatives; J(t, t') is
    its part from the input at step t' to the output at step t, and d the size of the output at one step. Then
    ``phi[t, t']`` = tr(J(t, t') J(t, t')^T) / d, ``step_phi`` is the mean of phi[t, t], and ``run_phi`` = tr(J J^T) /
    (T d), the mean over t of the sum over t'. Standard errors are over samples, those of the random vectors included;
    over random vectors where there is a single sample. NaN where neither can be told.

    ``bypass`` is the norm of what the gradient at a block's input holds beyond what came through the block, over the
    norm of that gradient. Where it is 0, all of the gradient went through the block.

    ``names``, ``modules``, ``neuron_names`` and ``layer_names`` hold text: of the blocks their names and types,
    the names of the layers of neurons, and of the layers with weights, in order of execution. ``not_measured`` holds
    sentences.
    """

    kind: ClassVar[str] = "isometry"

    block: IntArray = fields.position(("block",), long_name="index of the block, in order of execution")
    neuron: IntArray = fields.position(("neuron",), long_name="index of the layer of neurons, in order of execution")
    layer: IntArray = fields.position(("layer",), long_name="index of the layer with weights, in order of execution")
    timestep: IntArray = fields.timestep(first=1)
    input_timestep: IntArray = fields.index(
        ("input_timestep",), long_name="step t' of a block's input, from 1", first=1
    )
    sample: IntArray = fields.sample()
    phi: FloatArray = array(
        ("block", "timestep", "input_timestep"),
        "1",
        "tr(J J^T) / d of the block's output at t by its input at t'",
        least=0,
    )
    step_phi: FloatArray = _of_block(long_name="mean over t of phi at t' = t")
    step_phi_se: FloatArray = _of_block(long_name="standard error of step_phi")
    run_phi: FloatArray = _of_block(long_name="tr(J J^T) / (T d) of the whole run: mean over t of the sum over t'")
    run_phi_se: FloatArray = _of_block(long_name="standard error of run_phi")
    closed_form: FloatArray = array(
        ("block", "timestep"),
        "1",
        "phi at t' = t that surrogate derivatives and weights predict; NaN where they do not",
        least=0,
    )
    input_gradient: FloatArray = _gradient(
        ("block", "timestep"),
        long_name="L2 norm of the gradient of a sample's loss at the block's input, root mean square over samples",
    )
    output_gradient: FloatArray = _gradient(
        ("block", "timestep"),
        long_name="L2 norm of the gradient of a sample's loss at the block's output, root mean square over samples",
    )
    bypass: FloatArray = _of_block(long_name="share of the gradient at the block's input that bypasses the block")
    rate: FloatArray = _of_neurons(long_name="mean output of the neurons at step t: spikes per neuron")
    potential_mean: FloatArray = _of_neurons(long_name="mean of the potential before the reset")
    potential_std: FloatArray = _of_neurons(long_name="standard deviation of the potential before the reset", least=0)
    mass: FloatArray = _of_neurons(long_name="mean square of the surrogate derivative", least=0)
    layer_gradient: FloatArray = _gradient(
        ("layer", "timestep"),
        long_name="L2 norm of the gradient of a sample's loss at the layer's output, root mean square over samples",
    )
    names: tuple[str, ...] = attribute((), along="block")
    modules: tuple[str, ...] = attribute((), along="block")
    neuron_names: tuple[str, ...] = attribute((), along="neuron")
    layer_names: tuple[str, ...] = attribute((), along="layer")
    not_measured: tuple[str, ...] = ()
    loss: str = attribute("tet", among=("sdt", "tet", "total", "mse", "trt"))
    bn: str = attribute("batch", among=("frozen", "batch"))
    probes: int = 0
    probe_seed: int = 0
    t_train: int = fields.t_train()

    def to_frame(self) -> pd.DataFrame:
        """What is known of the blocks as a table.

        Returns:
            A row for each block, step of its output and step of its input: name and type of the block, number of
            samples, and every variable of the block.
        """
        names = {"name": self.names, "module": self.modules}
        return named(super().to_frame(), "block", names, len(self.sample))
