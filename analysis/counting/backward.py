"""What training computes: forward, input gradient and weight gradient, counted where spikes and errors are.

One pass of backpropagation through time is seen at every layer: what is active, what has an error, who needs it. Where
the error is needed is found by forward-mode differentiation, beside the run. Neurons send out a tangent that is not 0
where their surrogate derivative is not; whatever stands between them and the next layer, a pooling or a sum, passes it
on as its own derivatives say; the layer finds it at its input. Parameters want a gradient whatever the neurons do, so a
module that has some sends out a tangent everywhere.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tetviz.analysis.counting.synapses import FanIn, count_pairs
from tetviz.errors import DataError, TrainingError
from tetviz.models import LIF
from tetviz.models.nodes import refuse_graph
from tetviz.results import Provenance, TrainingOperations
from tetviz.results.schema import IntArray
from tetviz.training import to_batches
from tetviz.training.losses import Loss, make_loss
from tetviz.training.padding import without_padding
from tetviz.training.passes import check_length
from tetviz.training.profile import a_parameter, check_outputs, exact_kernels, measured_on

_BN_POLICIES = ("frozen", "batch")
_NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)
_Layer = nn.Conv2d | nn.Linear
_forward_ad: Any = torch.autograd.forward_ad

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
        loss: the loss that errors are those of, a name in :data:`tetviz.training.LOSSES`; of ``trt`` its outputs alone.
        lamb: weight of the regulariser in ``total``, eta in ``trt``.
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
        DataError: there are no samples, or a sample ends before T.
        ValueError: an unknown policy, T is not given and the model names none, or steps cannot be told apart.
    """
    if bn not in _BN_POLICIES:
        raise ValueError(f"unknown batch-norm policy {bn!r}; known: {', '.join(_BN_POLICIES)}")
    steps = timesteps or getattr(model, "timesteps", None)
    if not steps:
        raise ValueError("say for how many timesteps (timesteps): the model names none")
    refuse_graph(model, "sums over neighbours are not counted backwards; tetviz energy counts what a run computes")
    network, loss_function, weight = Backpropagation(model, bn), make_loss(loss, lamb, phi), a_parameter(model)
    totals = _Totals(network, steps)
    samples = 0
    for x, labels in to_batches(data, batch_size, indices):
        labels_B = without_padding(labels, steps, "training cost", "take a T that all samples have (--timesteps)")
        network.run(x.to(weight.device, weight.dtype), labels_B.to(weight.device), steps, loss_function)
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
        provenance=measured_on(model, provenance),
    )


@dataclass
class LayerPass:
    """One execution of a layer, forward and backward.

    Attributes:
        name: of the layer.
        active: where its input is not 0.
        binary: whether all of its input is 0 or 1.
        needed: where the error is needed at its input; None where the input takes no gradient.
        output: its output.
        error: where the gradient of the loss with respect to the output is not 0.
    """

    name: str
    active: Tensor
    binary: bool
    needed: Tensor | None
    output: Tensor
    error: Tensor = field(default_factory=lambda: torch.zeros(0))


class Backpropagation:
    """Runs a copy of a network forward and backward and keeps what passed; the network itself is left alone.

    Attributes:
        unknown: modules that have parameters and are of no type that is counted.
        passes: of the last batch, in order of execution.
        responsive: where surrogate derivatives are not 0, by layer of neurons, T x B x any further axes.
        normalised: elements that normalisations have given.
    """

    def __init__(self, model: nn.Module, bn: str = "frozen") -> None:
        self.model = copy.deepcopy(model).requires_grad_(True).eval()
        if not any(isinstance(module, LIF) for module in self.model.modules()):
            raise ValueError("the network has no LIF neurons: no surrogate derivative says where errors are needed")
        self.layers: dict[str, _Layer] = {}
        self.neurons: dict[str, LIF] = {}
        self.unknown: dict[str, nn.Module] = {}
        self.passes: list[LayerPass] = []
        self.responsive: dict[str, Tensor] = {}
        self.normalised = 0
        self._needed: dict[str, Tensor | None] = {}
        self._generator = torch.Generator(a_parameter(model).device).manual_seed(0)
        for name, module in self.model.named_modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.train(bn == "batch")
            self._watch(name, module)

    def _watch(self, name: str, module: nn.Module) -> None:
        if isinstance(module, LIF):
            self.neurons[name] = module
            module.register_forward_pre_hook(lambda _, args: _plain(args))
            module.register_forward_hook(lambda neuron, args, output: self._fired(name, neuron, args[0], output))
        elif isinstance(module, _Layer):
            self.layers[name] = module
            module.register_forward_pre_hook(lambda _, args: self._enter(name, args))
            module.register_forward_hook(lambda _, args, output: self._leave(name, args[0], output))
        elif list(module.parameters(recurse=False)) or isinstance(module, _NORMS):
            if not isinstance(module, _NORMS):
                self.unknown[name] = module
            module.register_forward_pre_hook(lambda _, args: _plain(args))
            module.register_forward_hook(lambda module, _, output: self._passed(module, output))

    def run(self, x: Tensor, labels_B: Tensor, timesteps: int, loss: Loss) -> None:
        """Replaces what was kept by what one batch shows."""
        check_length(x, timesteps)
        self.passes, self.responsive, self.normalised = [], {}, 0
        with exact_kernels(), torch.enable_grad(), _forward_ad.dual_level():
            (logits_TBK,) = _plain((self.model(x.detach().clone(), timesteps),))
            check_outputs(logits_TBK, labels_B)
            value = loss(logits_TBK, labels_B)
            if not torch.isfinite(value):
                raise TrainingError(f"the loss is {value.item()}: a network that has diverged has no training cost")
            gradients = torch.autograd.grad(value, [each.output for each in self.passes], allow_unused=True)
        for each, gradient in zip(self.passes, gradients, strict=True):
            each.error = torch.zeros_like(each.output, dtype=torch.bool) if gradient is None else gradient != 0
            each.output = each.output.detach()

    def _enter(self, name: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
        x, tangent = _forward_ad.unpack_dual(args[0])
        if not x.requires_grad:
            self._needed[name] = None
        else:
            self._needed[name] = torch.ones_like(x, dtype=torch.bool) if tangent is None else tangent != 0
        return (x, *args[1:])

    def _leave(self, name: str, x: Tensor, output: Tensor) -> Tensor:
        x = x.detach()
        active = x != 0
        binary = bool((active == x).all())
        self.passes.append(LayerPass(name, active, binary, self._needed.pop(name), output))
        return _wanted(output)

    def _passed(self, module: nn.Module, output: Any) -> Any:
        if isinstance(module, _NORMS):
            self.normalised += output.numel()
        return _wanted(output) if isinstance(output, Tensor) else output

    def _fired(self, name: str, neuron: nn.Module, current_TB: Tensor, spikes_TB: Tensor) -> Tensor:
        assert isinstance(neuron, LIF)
        responsive_TB = neuron.trace(current_TB).slopes != 0
        self.responsive[name] = responsive_TB
        # Another size for each neuron, so that a difference of two spikes does not cancel.
        tangent = torch.empty_like(spikes_TB, requires_grad=False).uniform_(0.5, 1.5, generator=self._generator)
        dual: Tensor = _forward_ad.make_dual(spikes_TB, tangent * responsive_TB)
        return dual


def _plain(args: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(_forward_ad.unpack_dual(arg).primal if isinstance(arg, Tensor) else arg for arg in args)


def _wanted(output: Tensor) -> Tensor:
    dual: Tensor = _forward_ad.make_dual(output, torch.ones_like(output, requires_grad=False))
    return dual


class _Totals:
    """Sums over samples, for every layer or group of neurons, in order of first execution."""

    def __init__(self, network: Backpropagation, timesteps: int) -> None:
        self.network, self.timesteps = network, timesteps
        self.fans = {name: FanIn(layer) for name, layer in network.layers.items()}
        self.layers: dict[str, dict[str, IntArray]] = {}
        self.layer_facts: dict[str, dict[str, int]] = {}
        self.neurons: dict[str, dict[str, IntArray]] = {}
        self.neuron_sizes: dict[str, int] = {}
        self.normalised = 0

    def add(self, samples: int) -> None:
        """Adds what the network has kept of a batch."""
        self.normalised += self.network.normalised
        done = dict.fromkeys(self.fans, 0)
        for each in self.network.passes:
            done[each.name] += self._add_layer(each, samples, done[each.name])
        for name, responsive_TB in self.network.responsive.items():
            self._add_neurons(name, responsive_TB, samples)

    def _add_layer(self, each: LayerPass, samples: int, done: int) -> int:
        fan = self.fans[each.name]
        active, error = fan.rows(each.active), fan.rows(each.error)
        steps, rest = divmod(len(active), samples)
        start = done % self.timesteps
        if rest or start + steps > self.timesteps or (done >= self.timesteps and steps < self.timesteps):
            raise ValueError(
                f"{each.name}: {len(active)} rows in one call, for {samples} samples and {self.timesteps} steps, of "
                f"which {done} came before; its steps cannot be told apart. A layer must take all steps at once, "
                "time first, or one after the other"
            )
        needed = None if each.needed is None else fan.rows(each.needed)
        counts = _count(fan, active, needed, error)
        facts = self.layer_facts.setdefault(each.name, {"spiking": 1, "input_gradient": 0})
        facts["spiking"] &= each.binary
        facts["input_gradient"] |= needed is not None
        facts["inputs"], facts["outputs"] = active[0].numel(), error[0].numel()
        facts["weights"] = fan.layer.weight.numel()
        sums = self.layers.setdefault(each.name, self._zeros((*_PAIRS, *_ELEMENTS)))
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
        neuron = self.network.neurons[name]
        if not neuron.detach_carry:
            sums["leak_mac"] += size * carried
            sums["reset_mac"] += size * carried * (not neuron.detach_reset)

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
            "modules": tuple(type(self.network.layers[layer]).__name__ for layer in layers),
            "neuron_names": tuple(neurons),
        }

    def not_counted(self) -> list[str]:
        unknown = [
            f"{name or 'the network itself'} ({type(module).__name__}): has parameters, but is no convolution over "
            "two axes, no linear layer, no normalisation and no LIF"
            for name, module in self.network.unknown.items()
        ]
        unused = [
            f"{name} ({type(layer).__name__}): was not called, its weights may be used elsewhere"
            for name, layer in self.network.layers.items()
            if name not in self.layers
        ]
        return unknown + unused


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
