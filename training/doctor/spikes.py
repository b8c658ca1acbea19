"""Firing rates of the spiking layers, whatever they are called, and what float32 changes of their spikes."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tetviz.models.foreign.state import clone
from tetviz.training.doctor.runs import Attempt, listed, logits, watching
from tetviz.training.losses import sdt_loss, tet_loss
from tetviz.training.profile import a_parameter


@dataclass
class Firing:
    """What a module gave in a run.

    Attributes:
        spikes: sum of its outputs.
        values: number of its outputs.
        binary: whether each was 0 or 1.
        driven: whether an input was neither 0 nor 1.
    """

    spikes: float = 0.0
    values: int = 0
    binary: bool = True
    driven: bool = False


def spiking_layers(model: nn.Module, x: Tensor, timesteps: int) -> dict[str, Firing]:
    """The modules that turn anything into zeros and ones, found by running the network.

    Poolings and the like, which pass spikes on, are not among them; nor is a container of a spiking layer.
    """
    seen: dict[str, Firing] = {}

    def see(name: str, inputs: list[Tensor], results: list[Tensor]) -> None:
        firing = seen.setdefault(name, Firing())
        if not results or not firing.binary:
            return
        firing.binary = _binary(results[0])
        firing.driven = firing.driven or not all(map(_binary, inputs))
        firing.spikes += float(results[0].double().sum())
        firing.values += results[0].numel()

    copied = clone(model)
    with watching(copied, see):
        logits(copied, x, timesteps)
    found = {name: firing for name, firing in seen.items() if name and _spikes(model.get_submodule(name), firing)}
    neurons = [name for name in found if is_neuron(model.get_submodule(name))]
    return {
        name: firing
        for name, firing in found.items()
        if not any(name.startswith(f"{neuron}.") for neuron in neurons)
        and (name in neurons or not any(other.startswith(f"{name}.") for other in found))
    }


def _binary(values: Tensor) -> bool:
    return bool(((values == 0) | (values == 1)).all())


def is_neuron(module: nn.Module) -> bool:
    """Whether a module has a threshold, as neurons of all libraries do."""
    return hasattr(module, "threshold") or hasattr(module, "v_threshold")


def _spikes(module: nn.Module, firing: Firing) -> bool:
    # torch's own layers are no neurons, though zeros come out where zeros or zero weights go in.
    if any(base.__module__.startswith("torch.nn") and base is not nn.Module for base in type(module).__mro__):
        return False
    if not firing.values or not firing.binary:
        return False
    alive = firing.spikes > 0 or next(module.parameters(), None) is None
    return is_neuron(module) or (firing.driven and alive)


def firing(model: nn.Module, x: Tensor, timesteps: int) -> list[tuple[str, str]]:
    """Whether every spiking layer says something."""
    layers = spiking_layers(model, x, timesteps)
    if not layers:
        return [("warning", "no spiking layer found, no module gives zeros and ones alone: is this a spiking network?")]
    silent = [name for name, layer in layers.items() if layer.spikes == 0]
    saturated = [name for name, layer in layers.items() if layer.spikes == layer.values]
    samples = x.shape[1] if x.dim() == 5 else len(x)
    where = f"on {samples} samples at T = {timesteps}"
    if len(silent) == len(layers):
        cure = "lower the thresholds or scale the weights up"
        return [("failure", f"no neuron fires {where}, all spiking layers are silent: {listed(model, silent)}; {cure}")]
    found = []
    if silent:
        cure = "they pass nothing on; lower their thresholds"
        found.append(("warning", f"silent {where}: {listed(model, silent)}; {cure}"))
    if saturated:
        cure = "they carry nothing; raise their thresholds"
        found.append(("warning", f"every neuron fires at every step {where}: {listed(model, saturated)}; {cure}"))
    rate = sum(layer.spikes for layer in layers.values()) / sum(layer.values for layer in layers.values())
    return found or [("ok", f"{rate:.2%} of the neurons fire a step {where}, {len(layers)} spiking layers")]


def precision(model: nn.Module, x: Tensor, labels_B: Tensor, timesteps: int) -> tuple[str, str]:
    """What float32 changes: the same weights run in float32 and in float64."""
    layers = spiking_layers(model, x, timesteps)
    single = clone(model).float()
    double = clone(single).double()
    spikes: dict[str, list[Tensor]] = {name: [] for name in layers}
    counts = [0, 0]

    def keep(name: str, inputs: list[Tensor], results: list[Tensor]) -> None:
        if name in spikes:
            spikes[name].append(results[0] != 0)

    def compare(name: str, inputs: list[Tensor], results: list[Tensor]) -> None:
        if name in spikes:
            flipped = (results[0] != 0) != spikes[name].pop(0)
            counts[0] += int(flipped.sum())
            counts[1] += flipped.numel()

    with watching(single, keep):
        in_single = logits(single, x.float(), timesteps).double()
    with Attempt() as attempt, watching(double, compare):
        in_double = logits(double, x.float().double(), timesteps).double()
    if attempt.error:
        return "warning", f"not measured: the network cannot be run in float64 ({attempt.error})"
    labels_B = labels_B.to(in_single.device)
    sdt, tet = (float((loss(in_single, labels_B) - loss(in_double, labels_B)).abs()) for loss in (sdt_loss, tet_loss))
    flips = f"{counts[0] / max(1, counts[1]):.2%} of the spikes ({counts[0]} of {counts[1]})"
    text = f"{flips} differ between float32 and float64, L_SDT by {sdt:.2g} and L_TET by {tet:.2g} at T = {timesteps}"
    if max(sdt, tet) <= 1e-3 or a_parameter(model).dtype == torch.float64:
        return "ok", text
    return "warning", f"{text}: more than 0.001, take --precision float64"
