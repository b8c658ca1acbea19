"""What training computes: forward, input gradient and weight gradient, counted where spikes and errors are."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor, nn

from tetviz.analysis.bptt import Backpropagation, Call
from tetviz.analysis.fan_in import FanIn, count_pairs
from tetviz.errors import DataError
from tetviz.results import Provenance, TrainingOperations
from tetviz.results.schema import IntArray
from tetviz.training import to_batches
from tetviz.training.losses import make_loss
from tetviz.training.profile import a_parameter

BN_POLICIES = ("frozen", "batch")

_PAIRS = ("dense", "forward", "backward", "backward_error", "backward_need", "weight")
_ELEMENTS = ("active_inputs", "needed_inputs", "active_errors")
_OF_LAYER = ("inputs", "outputs", "weights", "spiking", "input_gradient")
_OF_NEURONS = ("responsive", "surrogate_mac", "leak_mac", "reset_mac")


def compute_training_cost(
    model: nn.Module,
    data: Any,
    timesteps: int | None = None,
    loss: str = "tet",
    *,
    lamb: float = 0.05,
    phi: float = 1.0,
    bn: str = "frozen",
    indices: IntArray | None = None,
    batch_size: int = 64,
    provenance: Provenance | None = None,
    progress: Callable[[int], None] | None = None,
) -> TrainingOperations:
    """Counts the operations of one forward and backward pass over each sample, for every layer and step.

    With s the input of a layer, d the gradient of the loss with respect to its output, and need the input elements
    behind which a surrogate derivative is not 0, in pairs (i, o) of an input element and an output::

        forward    #{s_i != 0}
        backward   #{d_o != 0 and need_i}        none where the input takes no gradient
        weight     #{s_i != 0 and d_o != 0}

    (H2Learn, Liang et al. 2021; SATA, Yin et al. 2022.) The model is left as it is: a copy runs.

    Args:
        model: ``model(x, timesteps)`` gives logits_TBK, time first within; its neurons are LIF.
        data: a Dataset, or batches, as in :func:`tetviz.training.to_batches`.
        timesteps: T; the model's own by default.
        loss: the loss that errors are those of: ``sdt``, ``tet`` or ``total``.
        lamb: weight of the regulariser in ``total``.
        phi: target of the regulariser in ``total``.
        bn: ``frozen``: batch normalisations are constant, as once folded, and an error is 0 where it is at the
            neuron; ``batch``: statistics of each batch take part in the gradient, which then is 0 almost nowhere.
        indices: which samples of a Dataset, in which order; all by default.
        batch_size: samples a batch.
        provenance: what the caller knows of the origin; device and precision are filled in.
        progress: called with the number of samples of each finished batch.

    Returns:
        The counts. Attributes about the run that made the checkpoint are left empty.

    Raises:
        DataError: there are no samples.
        ValueError: an unknown policy, T is not given and the model names none, or steps cannot be told apart.
    """
    if bn not in BN_POLICIES:
        raise ValueError(f"unknown batch-norm policy {bn!r}; known: {', '.join(BN_POLICIES)}")
    steps = timesteps or getattr(model, "timesteps", None)
    if not steps:
        raise ValueError("say for how many timesteps (timesteps): the model names none")
    passes, loss_function, weight = Backpropagation(model, bn), make_loss(loss, lamb, phi), a_parameter(model)
    totals = _Totals(passes, steps)
    samples = 0
    for x, labels_B in to_batches(data, batch_size, indices):
        passes.run(x.to(weight.device, weight.dtype), labels_B.to(weight.device), steps, loss_function)
        totals.add(len(labels_B))
        samples += len(labels_B)
        if progress is not None:
            progress(len(labels_B))
    if not samples:
        raise DataError("no samples to measure on: the data set is empty")
    return TrainingOperations(
        **totals.arrays(),
        timestep=np.arange(1, steps + 1),
        sample=np.arange(samples) if indices is None else np.asarray(indices),
        not_counted=tuple(totals.not_counted()),
        loss=loss,
        bn=bn,
        t_train=getattr(model, "timesteps", None) or steps,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        normalised=totals.normalised // samples,
        provenance=dataclasses.replace(
            provenance or Provenance(),
            device=str(weight.device),
            dtype=str(weight.dtype).removeprefix("torch."),
        ),
    )


class _Totals:
    """Sums over samples, for every layer or group of neurons, in order of first execution."""

    def __init__(self, passes: Backpropagation, timesteps: int) -> None:
        self.passes, self.timesteps = passes, timesteps
        self.fans = {name: FanIn(layer) for name, layer in passes.layers.items()}
        self.layers: dict[str, dict[str, IntArray]] = {}
        self.layer_facts: dict[str, dict[str, int]] = {}
        self.neurons: dict[str, dict[str, IntArray]] = {}
        self.neuron_sizes: dict[str, int] = {}
        self.normalised = 0

    def add(self, samples: int) -> None:
        """Adds what the last pass kept."""
        self.normalised += self.passes.normalised
        done = dict.fromkeys(self.fans, 0)
        for call in self.passes.calls:
            done[call.name] += self._add_layer(call, samples, done[call.name])
        for name, responsive_TB in self.passes.responsive.items():
            self._add_neurons(name, responsive_TB, samples)

    def _add_layer(self, call: Call, samples: int, done: int) -> int:
        fan = self.fans[call.name]
        active, error = fan.rows(call.active), fan.rows(call.error)
        steps, rest = divmod(len(active), samples)
        start = done % self.timesteps
        if rest or start + steps > self.timesteps or (done >= self.timesteps and steps < self.timesteps):
            raise ValueError(
                f"{call.name}: {len(active)} rows in one call, for {samples} samples and {self.timesteps} steps, of "
                f"which {done} came before; its steps cannot be told apart. A layer must take all steps at once, "
                "time first, or one after the other"
            )
        needed = None if call.needed is None else fan.rows(call.needed)
        counts = _count(fan, active, needed, error)
        facts = self.layer_facts.setdefault(call.name, {"spiking": 1, "input_gradient": 0})
        facts["spiking"] &= call.binary
        facts["input_gradient"] |= needed is not None
        facts["inputs"], facts["outputs"] = active[0].numel(), error[0].numel()
        facts["weights"] = fan.layer.weight.numel()
        sums = self.layers.setdefault(call.name, self._zeros((*_PAIRS, *_ELEMENTS)))
        for name, rows in counts.items():
            sums[name][start : start + steps] += rows.reshape(steps, samples).sum(1).cpu().numpy()
        return steps

    def _add_neurons(self, name: str, responsive_TB: Tensor, samples: int) -> None:
        if len(responsive_TB) != self.timesteps:
            raise ValueError(
                f"{name}: ran {len(responsive_TB)} steps in one call, expected {self.timesteps}: neurons must run over "
                "all steps at once"
            )
        size = responsive_TB[0].numel()
        self.neuron_sizes[name] = size // samples
        sums = self.neurons.setdefault(name, self._zeros(_OF_NEURONS))
        carried = np.arange(self.timesteps) < self.timesteps - 1  # nothing comes back into the last step
        sums["responsive"] += responsive_TB.flatten(1).sum(1).cpu().numpy()
        sums["surrogate_mac"] += size
        sums["leak_mac"] += size * carried
        sums["reset_mac"] += size * carried * (not self.passes.neurons[name].detach_reset)

    def _zeros(self, names: tuple[str, ...]) -> dict[str, IntArray]:
        return {name: np.zeros(self.timesteps, np.int64) for name in names}

    def arrays(self) -> dict[str, Any]:
        layers, neurons, steps = list(self.layers), list(self.neurons), self.timesteps
        stacked: dict[str, Any] = {
            name: np.array([self.layers[layer][name] for layer in layers]).reshape(-1, steps)
            for name in (*_PAIRS, *_ELEMENTS)
        }
        stacked |= {name: np.array([self.layer_facts[layer][name] for layer in layers]) for name in _OF_LAYER}
        stacked |= {
            name: np.array([self.neurons[group][name] for group in neurons]).reshape(-1, steps) for name in _OF_NEURONS
        }
        return stacked | {
            "layer": np.arange(len(layers)),
            "neuron": np.arange(len(neurons)),
            "neurons": np.array([self.neuron_sizes[group] for group in neurons]),
            "names": tuple(layers),
            "modules": tuple(type(self.passes.layers[layer]).__name__ for layer in layers),
            "neuron_names": tuple(neurons),
        }

    def not_counted(self) -> list[str]:
        strange = [
            f"{name or 'the network itself'} ({type(module).__name__}): has parameters, but is no convolution over "
            "two axes, no linear layer, no normalisation and no LIF"
            for name, module in self.passes.strange.items()
        ]
        unused = [
            f"{name} ({type(layer).__name__}): was not called, its weights may be used elsewhere"
            for name, layer in self.passes.layers.items()
            if name not in self.layers
        ]
        return strange + unused


def _count(fan: FanIn, active: Tensor, needed: Tensor | None, error: Tensor) -> dict[str, Tensor]:
    all_outputs = fan.outputs(error.new_ones(error.shape))
    errors, all_inputs, active_inputs = fan.outputs(error), fan.of_all(active), fan.of_marks(active)
    counts = {
        "dense": count_pairs(all_inputs, all_outputs),
        "forward": count_pairs(active_inputs, all_outputs),
        "weight": count_pairs(active_inputs, errors),
        "active_inputs": active.flatten(1).sum(1),
        "active_errors": error.flatten(1).sum(1),
    }
    if needed is None:
        return counts
    needed_inputs = fan.of_marks(needed)
    return counts | {
        "backward": count_pairs(needed_inputs, errors),
        "backward_error": count_pairs(all_inputs, errors),
        "backward_need": count_pairs(needed_inputs, all_outputs),
        "needed_inputs": needed.flatten(1).sum(1),
    }
